"""This package is where Glue's own API is served, so that `aws glue … --endpoint-url` and boto3 work unchanged.

`model` (what a call may say, by AWS's own service model), `wire` (the operations, and errors in Glue's words), `shapes`
(our records in Glue's words), `definitions` (Glue's words as our jobs and triggers), and the operations themselves:
`jobs`, `runs`, `triggers`, `workflows`, `tags`, `bookmarks`.
"""

from headgate.http.glue.wire import GlueService

__all__ = ["GlueService"]
