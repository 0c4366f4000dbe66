"""This file is where a `run: module.function` job begins, in its own process: it finds the function and calls it."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from headgate.job import Context, NotRetryable
from headgate.supervision import records


class SaidAlready(NotRetryable):
    """The job failed, and its log says already how."""


def call(module: str, function: str) -> int:
    """Call the function with the run's context and return the exit code.

    What it raises is printed with its traceback (but SaidAlready), and left in `error.json` for the engine:
    {"error": "<Type>: <message>", "retryable": bool}.
    """
    try:
        found = _find(module, function)
        context = Context.from_environment()
        found(context)
    except SystemExit as leaving:
        return _code(leaving)
    except BaseException as error:  # noqa: BLE001 -- whatever ends the job is its error, and the process ends with it
        if not isinstance(error, SaidAlready):
            traceback.print_exc()
        _leave_behind(error)
        return 1
    return 0


def _find(module: str, function: str) -> Callable[[Context], object]:
    try:
        home = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # a missing library of the job's is the job's own error; a missing target is the configuration's
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise NotRetryable(
                f"there is no module {error.name!r}; looked for {module}.{function} in {', '.join(sys.path[:2])} "
                "and the installed packages"
            ) from None
        raise
    found = getattr(home, function, None)
    if not callable(found):
        raise NotRetryable(f"module {module!r} ({home.__file__}) has no function {function!r}")
    return found


def _code(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    sys.stderr.write(f"{leaving.code}\n")
    return 1


def _leave_behind(error: BaseException) -> None:
    name = type(error).__qualname__
    text = str(error) if isinstance(error, SaidAlready) else f"{name}: {error}" if str(error) else name
    record = {"error": text[:4000], "retryable": not isinstance(error, NotRetryable), "type": name}
    folder = Path(os.environ["HEADGATE_RESULT"]).parent
    temporary = folder / f".{records.ERROR}.{os.getpid()}"
    temporary.write_text(json.dumps(record), "utf-8")
    temporary.replace(folder / records.ERROR)
