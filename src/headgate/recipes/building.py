"""This file is where a recipe's run begins whose DataHub is not there yet: it is installed, and the run goes on.

It is the run's own process that does this: its log has what uv says, a stop or the time limit ends it as everything
else, and a supervisor that dies meanwhile is not missed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from headgate.errors import EngineError, EngineRefused
from headgate.recipes import entry, environments, reporting
from headgate.supervision import calling, handing, launching, records


def build(folder: str, requirements: str, quiet: str = "", brought: str = "") -> int:
    """Have the environment built, and become the run in it. Comes back only with an exit code for what went wrong.

    Args:
        folder: where environments are.
        requirements: JSON list of texts.
        quiet: see `headgate.recipes.entry.ingest`.
        brought: the same.
    """
    there = environments.Environments(Path(folder))
    signal.signal(signal.SIGTERM, _stopped)
    try:
        python = there.build(json.loads(requirements), os.environ, say=_say)
        become(python, there.source(), [quiet, brought])
    except EngineError as error:
        traceback.print_exc()
        place = Path(os.environ["HEADGATE_RESULT"]).with_name(records.ERROR)
        refused = isinstance(error, EngineRefused)
        reporting.leave_error(place, str(error), kind=type(error).__name__, retryable=not refused)
    return 1


def become(python: str, source: str, arguments: Sequence[str]) -> None:
    """Go on as the run, in another interpreter; what uv alone needed is left behind."""
    needless = environments.uv_variables(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in needless}
    pipe, environ = handing.hand_over(calling.secrets(), environ)
    if pipe is not None:
        os.dup2(pipe, handing.DESCRIPTOR)
    command = launching.cold_command(python, source, f"{entry.__name__}:ingest", arguments, [str(Path.cwd())])
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.execve(python, command, environ)  # noqa: S606 -- an interpreter that we built


def _say(words: str) -> None:
    sys.stdout.write(f"headgate: {words}\n")


def _stopped(_number: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)
