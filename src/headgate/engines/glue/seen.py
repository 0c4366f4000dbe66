"""This file is where what Glue says of a job's run becomes a run's state, and where a run of ours is recognised."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from headgate.aws import Looked
from headgate.aws.console import console_of
from headgate.model import Json, RunState

#: The argument that carries the attempt's id.
PLANTED: Final = "--headgate_run_id"

#: Glue's state -> ours. What waits or starts there has left our hands: it runs, for us.
STATES: Final[Mapping[str, RunState]] = {
    "WAITING": RunState.RUNNING,
    "STARTING": RunState.RUNNING,
    "RUNNING": RunState.RUNNING,
    "STOPPING": RunState.RUNNING,
    "STOPPED": RunState.STOPPED,
    "SUCCEEDED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "TIMEOUT": RunState.TIMEOUT,
    "ERROR": RunState.ERROR,
    "EXPIRED": RunState.FAILED,
}

#: Pieces of error messages that a retry will not change: the script or its rights are wrong.
FOR_GOOD: Final = (
    "SyntaxError",
    "IndentationError",
    "ModuleNotFoundError",
    "ImportError",
    "AccessDenied",
    "GlueArgumentError",
)

#: What Glue counts, under our names in the run's result.
_COUNTED: Final = {
    "ExecutionTime": "execution_seconds",
    "DPUSeconds": "dpu_seconds",
    "WorkerType": "worker_type",
    "NumberOfWorkers": "workers",
    "GlueVersion": "glue_version",
}


def read_run(said: Mapping[str, Any]) -> Looked:
    """Read a JobRun."""
    words = str(said.get("JobRunState"))
    state = STATES.get(words, RunState.RUNNING)  # a state they have and we do not know is not over
    if state is RunState.RUNNING:
        more = str(said.get("StateDetail") or "")
        words = f"{words} ({more})" if more else words
        return Looked(state=state, words=words, at=time_of(said.get("StartedOn")), log=_log_of(said))
    error = str(said.get("ErrorMessage") or "")[:4000]
    if not error and state in (RunState.FAILED, RunState.ERROR):
        waited = "it waited in Glue's queue longer than it may" if words == "EXPIRED" else ""
        error = waited or "the job's run failed, and Glue says no more"
    result: dict[str, Json] = {ours: said[theirs] for theirs, ours in _COUNTED.items() if said.get(theirs) is not None}
    return Looked(
        state=state,
        words=words,
        at=time_of(said.get("CompletedOn") or said.get("LastModifiedOn")),
        error=None if state in (RunState.SUCCEEDED, RunState.STOPPED) else error or None,
        result=result,
        retryable=not any(piece in error for piece in FOR_GOOD),
        log=_log_of(said),
    )


def is_ours(said: Mapping[str, Any], attempt_id: str) -> bool:
    """Whether a JobRun carries the attempt's id."""
    return bool((said.get("Arguments") or {}).get(PLANTED) == attempt_id)


def _log_of(said: Mapping[str, Any]) -> str:
    return str(said.get("LogGroupName") or "")


def time_of(value: object) -> datetime:
    return value.astimezone(UTC) if isinstance(value, datetime) else datetime.now(UTC)


def console_link(region: str, job: str, run: str) -> str:
    """Return the page of a job's run in the AWS console; "" where the region is not known."""
    host = console_of(region)
    page = f"#/job/{quote(job, safe='')}/run/{quote(run, safe='')}"
    return f"{host}/gluestudio/home?region={region}{page}" if host else ""
