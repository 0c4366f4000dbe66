"""This file is where what Step Functions says of an execution becomes a run's state: one table, and the end's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from headgate.aws import Looked
from headgate.model import Json, RunState

#: An execution's status -> the run's state. A redrive that is pending goes on from where it failed.
STATES: Final[Mapping[str, RunState]] = {
    "RUNNING": RunState.RUNNING,
    "PENDING_REDRIVE": RunState.RUNNING,
    "SUCCEEDED": RunState.SUCCEEDED,
    "FAILED": RunState.FAILED,
    "TIMED_OUT": RunState.TIMEOUT,
    "ABORTED": RunState.STOPPED,
}

#: Errors of the state machine itself: the same input will end the same way.
FOR_GOOD: Final = frozenset(
    {
        "States.Permissions",
        "States.Runtime",
        "States.ParameterPathFailure",
        "States.ResultPathMatchFailure",
        "States.NoChoiceMatched",
        "States.IntrinsicFailure",
        "States.QueryEvaluationError",
        "States.DataLimitExceeded",
        "States.ItemReaderFailed",
    }
)

_LARGEST_OUTPUT: Final = 1 << 18  #: bytes; Step Functions' own limit
_LARGEST_CAUSE: Final = 4000  #: characters of up to 32,768


def read_execution(said: Mapping[str, Any]) -> Looked:
    """Read what DescribeExecution answers, or the `detail` of an `Execution Status Change` event (times in ms)."""
    words = str(said.get("status"))
    state = STATES.get(words, RunState.RUNNING)  # a status they have and we do not know is not over
    began, ended = _time(said.get("startDate")), _time(said.get("stopDate"))
    at = (began if state is RunState.RUNNING else ended) or datetime.now(UTC)
    if state is RunState.SUCCEEDED:
        result, detail = read_output(said.get("output"))
        return Looked(state=state, words=words, at=at, detail=detail, result=result)
    if state is RunState.RUNNING:
        return Looked(state=state, words=words, at=at)
    name, cause = str(said.get("error") or ""), str(said.get("cause") or "")
    error = ": ".join(filter(None, (name, _readable(cause))))
    if state is RunState.FAILED and not error:
        error = "the execution failed, and Step Functions says no more"
    return Looked(state=state, words=words, at=at, error=error or None, retryable=name not in FOR_GOOD)


def read_output(output: object) -> tuple[dict[str, Json], str]:
    """Return an output as a run's result (an object as it is, anything else under `output`), and a note."""
    if not isinstance(output, str) or not output:
        return {}, ""
    if len(output.encode("utf-8", "surrogatepass")) > _LARGEST_OUTPUT:
        return {}, f"output ignored: it is larger than {_LARGEST_OUTPUT:,} bytes"
    try:
        found: Any = json.loads(output)
    except ValueError:
        found = output
    return (found, "") if isinstance(found, dict) else ({"output": found}, "")


def _readable(cause: str) -> str:
    """A Lambda's failure comes as JSON; its message is what a person wants to read."""
    try:
        found: Any = json.loads(cause)
    except ValueError:
        return cause[:_LARGEST_CAUSE]
    if isinstance(found, dict) and isinstance(found.get("errorMessage"), str):
        kind = found.get("errorType")
        return (f"{kind}: " if kind else "") + str(found["errorMessage"])[:_LARGEST_CAUSE]
    return cause[:_LARGEST_CAUSE]


def _time(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    # an event of EventBridge: milliseconds; what is no time of this millennium is nobody's
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e14:
        return datetime.fromtimestamp(value / 1000, UTC)
    return None
