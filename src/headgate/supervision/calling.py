"""This file is where a Python job is called: in a process forked from warm modules, or in a cold one."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import NoReturn

from headgate.supervision.handing import VARIABLE

_secrets: dict[str, str] = {}


def secrets() -> dict[str, str]:
    """The values that were handed to this run's process, by name. They are kept in its memory and nowhere else."""
    return dict(_secrets)


def call_warm(call: str, arguments: Sequence[str], environ: dict[str, str], secrets: dict[str, str]) -> NoReturn:
    """Call `module:function` as a fresh interpreter would run it, and leave with the exit code it returns.

    The function's exceptions are printed and mean 1. `atexit` is run and threads are waited for, as at any end.
    """
    code: object = 1
    try:
        os.environ.clear()
        os.environ.update(environ)
        _secrets.update(secrets)
        time.tzset()
        _open_streams()
        code = _call(call, arguments)
    except BaseException:  # noqa: BLE001 -- a job's end, whatever it is, is told by code and traceback
        traceback.print_exc()
    finally:
        try:
            # what a finishing interpreter does, without taking the warm modules apart one by one
            threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 -- as multiprocessing does it
            atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 -- as above
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF if isinstance(code, int) else 0)


def main() -> None:
    """Call cold; the last argument is {"call": "module:function", "arguments": [...], "path": [folders]}."""
    config = json.loads(sys.argv[-1])
    sys.path[:0] = config["path"]
    _secrets.update(read_secrets())
    code = _call(config["call"], config["arguments"])
    sys.exit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Open standard output and error anew: those of the warm process remember what descriptors 1 and 2 were there."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        stream = open(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 -- it stays open, and has no path
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def read_secrets() -> dict[str, str]:
    """Read what was handed over by pipe, once; nothing where there is no pipe."""
    fd = os.environ.pop(VARIABLE, "")
    if not fd.isdigit():
        return {}
    with open(int(fd), "rb") as pipe:  # noqa: PTH123 -- a descriptor has no path
        return json.loads(pipe.read() or b"{}")


def _call(call: str, arguments: Sequence[str]) -> object:
    sys.argv = [call, *arguments]
    for stream in (sys.stdout, sys.stderr):
        # one write per line, so that the lines of several processes do not mix; no text can fail to be printed
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    module, _, function = call.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)
