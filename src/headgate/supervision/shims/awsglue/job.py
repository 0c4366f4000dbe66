"""This file is where `awsglue.job.Job` is: bookmarks and commits are Glue's own, so here they do nothing."""

from __future__ import annotations

from collections.abc import Mapping


class Job:
    """Glue's Job without Glue. Success and failure are told by the script's exit code."""

    def __init__(self, glue_context: object = None) -> None:
        self.glue_context = glue_context
        self.name = ""

    def init(self, job_name: str, args: Mapping[str, str] | None = None) -> None:  # noqa: ARG002 -- Glue's signature
        self.name = job_name

    def commit(self) -> None:
        """Do nothing: without Glue there is no bookmark to move on."""
