"""This package is where DataHub's execution requests are carried out: what its UI and its schedules ask to be ingested.

In the order things happen: `pipeline_file` (an Actions file, taken as it is) with its `filters`, `kafka`, `events` and
`rounds` (where requests come from), `requests` (what a change means), `taking` (one executor wins a request, and it
becomes a run), `results` and `telling` (what DataHub is told of it), `executor` (all of it at work).
`headgate.actions` is the same as a plug-in of the framework `datahub actions`.
"""
