"""This file is where a command ends: with an exit code, and with one clear message where it failed."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum
from io import TextIOWrapper
from types import TracebackType
from typing import NoReturn

from headgate.errors import HeadgateError, Invalid, MissingExtra, Unavailable
from headgate.supervision import cores

DEBUG = "HEADGATE_DEBUG"


class ExitCode(IntEnum):
    """What a shell is told. The meaning of each is its line in docs/cli.md."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


MEANING = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "what was asked failed: a run that did not succeed, a check that is negative, an event refused,"
    " a thing that is not there",
    ExitCode.USAGE: "usage or configuration: nothing was done",
    ExitCode.UNREACHABLE: "a server, the database, a disk or a far side cannot be reached or is in use",
    ExitCode.INTERRUPTED: "interrupted from the keyboard",
}


class Failed(HeadgateError):
    """What was asked was done, and the outcome is bad. The text may be empty where all has been said already."""


def code_of(error: BaseException) -> ExitCode:
    """The exit code an error ends a command with."""
    if isinstance(error, Invalid | MissingExtra):
        return ExitCode.USAGE
    if isinstance(error, Unavailable | OSError):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED


def main() -> NoReturn:
    """The command `headgate`: reads the arguments of this process and ends it."""
    cores.forbid()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and answer its exit code; errors of ours are told on stderr."""
    # imported here so that a defect of the tree is reported like every other one
    from headgate.cli.tree import command  # noqa: PLC0415

    sys.excepthook = _defect
    for stream in (sys.stdout, sys.stderr):
        # a file name that is no text must not end a listing
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = 0
    try:
        command().main(args=list(arguments), prog_name="headgate")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _closed_pipe()
    except (HeadgateError, OSError) as error:
        code = _tell(error)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _closed_pipe()
    except OSError as error:
        code = _tell(error)
        _silence()
    return int(code)


def message(error: BaseException) -> str:
    """An error as a person reads it: what happened, to which thing, what to do."""
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"the system refused: {error.strerror or error}{where}; check that the disk is there and can be written"
    return str(error)


def _tell(error: BaseException) -> ExitCode:
    if os.environ.get(DEBUG) == "1":
        raise error
    if text := message(error):
        from headgate.cli.printing import visible  # noqa: PLC0415 - only who fails needs it
        from headgate.secrets import known  # noqa: PLC0415 - as above

        sys.stderr.write(visible(known.mask(f"headgate: {text}\n")))
    return code_of(error)


def _defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For what should never happen: short, and with the way to more."""
    from headgate.secrets import known  # noqa: PLC0415 - see above

    if os.environ.get(DEBUG) == "1":
        sys.stderr.write(known.mask("".join(traceback.format_exception(kind, error, trace))))
        return
    sys.stderr.write(
        known.mask(f"headgate: a defect of ours: {kind.__name__}: {error}\n")
        + f"Run it again with {DEBUG}=1 to see where, and report that.\n"
    )


def _closed_pipe() -> int:
    """Whoever read our output has gone (`| head`): nothing more to say, to anyone."""
    _silence()
    return int(ExitCode.FAILED)


def _silence() -> None:
    """Let the interpreter's own last flush go nowhere, so that it has nothing to complain about."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
