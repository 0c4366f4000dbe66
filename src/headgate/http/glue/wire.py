"""This file is where Glue's operations are listed, and our errors become Glue's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from headgate.errors import HeadgateError, Invalid, MissingExtra, NotFound, TooManyRuns, Unavailable
from headgate.gate import Gate
from headgate.http.aws_wire import Call, unknown_operation
from headgate.http.glue import bookmarks, jobs, model, runs, tags, triggers, workflows
from headgate.http.glue.room import Room
from headgate.model import Json

Answer = Mapping[str, Json]
#: What looks or writes and may wait for the database; done in a thread.
Work = Callable[[Room, Call, Mapping[str, Any]], Answer]
#: What waits on the event loop.
Quick = Callable[[Room, Call, Mapping[str, Any]], Awaitable[Answer]]

QUICK: Final[Mapping[str, Quick]] = {
    "StartJobRun": runs.start_job_run,
    "GetJobRun": runs.get_job_run,
}
OPERATIONS: Final[Mapping[str, Work]] = {
    "CreateJob": jobs.create_job,
    "UpdateJob": jobs.update_job,
    "DeleteJob": jobs.delete_job,
    "GetJob": jobs.get_job,
    "GetJobs": jobs.get_jobs,
    "ListJobs": jobs.list_jobs,
    "BatchGetJobs": jobs.batch_get_jobs,
    "CreateTrigger": triggers.create_trigger,
    "UpdateTrigger": triggers.update_trigger,
    "DeleteTrigger": triggers.delete_trigger,
    "GetTrigger": triggers.get_trigger,
    "GetTriggers": triggers.get_triggers,
    "ListTriggers": triggers.list_triggers,
    "BatchGetTriggers": triggers.batch_get_triggers,
    "StartTrigger": triggers.start_trigger,
    "StopTrigger": triggers.stop_trigger,
    "GetJobBookmark": bookmarks.get_job_bookmark,
    "ResetJobBookmark": bookmarks.reset_job_bookmark,
    "GetTags": tags.get_tags,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "CreateWorkflow": workflows.create_workflow,
    "UpdateWorkflow": workflows.update_workflow,
    "DeleteWorkflow": workflows.delete_workflow,
    "GetWorkflow": workflows.get_workflow,
    "ListWorkflows": workflows.list_workflows,
    "BatchGetWorkflows": workflows.batch_get_workflows,
    "StartWorkflowRun": workflows.start_workflow_run,
    "GetWorkflowRun": workflows.get_workflow_run,
    "GetWorkflowRuns": workflows.get_workflow_runs,
    "GetWorkflowRunProperties": workflows.get_workflow_run_properties,
    "PutWorkflowRunProperties": workflows.put_workflow_run_properties,
    "StopWorkflowRun": workflows.stop_workflow_run,
    "ResumeWorkflowRun": workflows.resume_workflow_run,
    "GetJobRuns": runs.get_job_runs,
    "BatchStopJobRun": runs.batch_stop_job_run,
}


class GlueService:
    """AWSGlue.* of the AWS JSON protocol."""

    signing_name = "glue"
    faults: Sequence[tuple[type[HeadgateError], str, int]] = (
        (TooManyRuns, "ConcurrentRunsExceededException", 400),
        (NotFound, "EntityNotFoundException", 400),
        (Invalid, "InvalidInputException", 400),
        (MissingExtra, "InternalServiceException", 500),
        (Unavailable, "InternalServiceException", 500),
    )

    def __init__(self, gate: Gate) -> None:
        self._room = Room(gate)
        self._model: model.Model | None = None

    async def answer(self, call: Call) -> Answer:
        """Raises Fault: also for operations of Glue that are not served here."""
        quick, work = QUICK.get(call.operation), OPERATIONS.get(call.operation)
        known = self._model or await asyncio.to_thread(self._load)
        if quick is not None:
            return await quick(self._room, call, known.read(call.operation, call.body))
        if work is not None:
            return await asyncio.to_thread(work, self._room, call, known.read(call.operation, call.body))
        raise unknown_operation(f"AWSGlue.{call.operation}")

    def _load(self) -> model.Model:
        self._model = model.load("glue")
        return self._model
