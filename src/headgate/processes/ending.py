"""This file is where the end of a process becomes the ending of an attempt."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from headgate.model import Json, RunState
from headgate.ports import Ending
from headgate.supervision import records
from headgate.supervision.logs import last_line
from headgate.supervision.runs import Exit

LARGEST_RESULT: Final = 1 << 20  #: bytes
#: sysexits(3): usage, data, configuration, permission …: the same call will fail again. 75 is "temporary failure".
_FOR_GOOD: Final = frozenset({*range(64, 75), 76, 77, 78})
_NOT_NOW: Final = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EIO, errno.EROFS}
)


def ending_of(end: Exit, directory: Path, *, reports: bool = False) -> Ending:
    """Return the ending that exit record, error, result and log of a run directory add up to.

    `reports`: whoever ends well leaves a result. Without one something has ended the process before it was done.
    """
    at = datetime.fromtimestamp(end.at, UTC)
    result, note = read_result(directory)
    if end.timed_out:
        return Ending(state=RunState.TIMEOUT, at=at, detail="timeout", result=result, retryable=False)
    if end.stopped:
        return Ending(state=RunState.STOPPED, at=at, detail=note, result=result, retryable=False)
    if not end.started:
        error = "it never started: no trace of its process was found"
        return Ending(state=RunState.FAILED, at=at, error=error, detail="lost")
    if end.could_not_start:
        error = f"could not start: {end.could_not_start}"
        return Ending(
            state=RunState.FAILED, at=at, error=error, detail="could not start", retryable=end.errno in _NOT_NOW
        )
    if end.code == 0 and ((directory / records.RESULT).exists() or not reports):
        if end.leftovers:
            left = "1 process it left behind was" if end.leftovers == 1 else f"{end.leftovers} processes it left were"
            note = "; ".join(filter(None, (note, f"{left} ended")))
        return Ending(state=RunState.SUCCEEDED, at=at, detail=note, result=result)
    return _failed(end, directory, at, result, note)


def _failed(end: Exit, directory: Path, at: datetime, result: Mapping[str, Json], note: str) -> Ending:
    said = records.read(str(directory), records.ERROR) or {}
    if end.code == 0:
        error = (
            "it ended with exit code 0 and without a report: something in it has ended its process before it was done"
        )
        return Ending(state=RunState.FAILED, at=at, error=error, detail="no report")
    if end.code is None:
        error = "the process that supervised it was killed, and its exit code is not known"
        return Ending(state=RunState.FAILED, at=at, error=error, detail="lost", result=result)
    detail = f"signal {_signal(-end.code)}" if end.code < 0 else f"exit {end.code}"
    if end.out_of_memory or said.get("type") == "MemoryError":
        detail = "out of memory"
    line = last_line(str(directory))
    error = str(said["error"]) if said.get("error") else f"{detail}: {line}" if line else detail
    return Ending(
        state=RunState.FAILED,
        at=at,
        error=error,
        detail="; ".join(filter(None, (detail, note))),
        result=result,
        retryable=bool(said.get("retryable", end.code not in _FOR_GOOD)),
    )


def read_result(directory: Path) -> tuple[Mapping[str, Json], str]:
    """Return what the job left as its result, and a note when that had to be ignored."""
    file = directory / records.RESULT
    try:
        with file.open("rb") as opened:
            text = opened.read(LARGEST_RESULT + 1)
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"result ignored: it cannot be read ({error.strerror})"
    if len(text) > LARGEST_RESULT:
        return {}, "result ignored: it is larger than 1 MiB"
    try:
        found: Any = json.loads(text)
    except ValueError:
        return {}, "result ignored: it is not JSON"
    if not isinstance(found, dict):
        return {}, f"result ignored: it is a JSON {type(found).__name__}, not an object"
    return found, ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
