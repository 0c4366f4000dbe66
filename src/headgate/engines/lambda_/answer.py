"""This file is where what a function answered becomes the ending of an attempt."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from headgate.model import Json, RunState
from headgate.ports import Ending

_LARGEST_RESULT: Final = 1 << 20  #: bytes; a function may answer 6 MB
_LARGEST_ERROR: Final = 4000  #: characters

#: The function itself is broken: the same call will fail again.
FOR_GOOD: Final = frozenset(
    {
        "Runtime.ImportModuleError",
        "Runtime.HandlerNotFound",
        "Runtime.MalformedHandlerName",
        "Runtime.UserCodeSyntaxError",
        "Runtime.InvalidEntrypoint",
        "Runtime.InvalidWorkingDir",
    }
)


def ending_of(answer: Mapping[str, Any], text: bytes, at: datetime) -> Ending:
    """Read what `invoke` answered, and the payload that came with it."""
    found, note = _read(text)
    if answer.get("FunctionError"):
        return _failed(found if isinstance(found, dict) else {}, text, at)
    result: Mapping[str, Json] = {} if found is None else found if isinstance(found, dict) else {"output": found}
    return Ending(state=RunState.SUCCEEDED, at=at, detail=note, result=result)


def log_tail(answer: Mapping[str, Any]) -> str:
    """Return the last 4 KB of the invocation's log, as `LogType: Tail` has it."""
    try:
        return base64.b64decode(str(answer.get("LogResult") or ""), validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def _failed(said: Mapping[str, Any], text: bytes, at: datetime) -> Ending:
    kind, message = str(said.get("errorType") or ""), str(said.get("errorMessage") or "")
    error = ": ".join(filter(None, (kind, message))) or text[:500].decode("utf-8", "replace")
    error = error[:_LARGEST_ERROR] or "the function failed, and Lambda says no more"
    if kind == "Sandbox.Timedout" or "Task timed out after" in message:
        return Ending(state=RunState.TIMEOUT, at=at, error=error, detail="the function's own limit", retryable=False)
    return Ending(state=RunState.FAILED, at=at, error=error, detail="function error", retryable=kind not in FOR_GOOD)


def _read(text: bytes) -> tuple[Json, str]:
    if len(text) > _LARGEST_RESULT:
        return None, f"result ignored: it is larger than {_LARGEST_RESULT:,} bytes"
    if not text:
        return None, ""
    try:
        return json.loads(text), ""
    except ValueError:
        return None, "result ignored: it is not JSON"
