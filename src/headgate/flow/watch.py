"""This file is where what an engine tells becomes what the ledger writes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime

import structlog

from headgate.model import Json, RunId, RunState
from headgate.ports import Ended, Ending, Progress, RunLedger, Started

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def split_attempt(name: str) -> tuple[RunId, int]:
    """`jr_…` is attempt 0 of that run, `jr_…_attempt_2` its attempt 2."""
    run, _, number = name.partition("_attempt_")
    return RunId(run), int(number or 0)


class Watch:
    """The watcher engines are given. Safe from any thread; returns at once."""

    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    def running(self, attempt_id: str, external_id: str, at: datetime) -> None:
        run, attempt = split_attempt(attempt_id)
        self._ledger.started(Started(run, attempt, external_id, at, None))

    def progressed(self, attempt_id: str, values: Mapping[str, Json]) -> None:
        run, attempt = split_attempt(attempt_id)
        self._ledger.progressed(Progress(run, attempt, values))

    def ended(self, attempt_id: str, ending: Ending) -> None:
        run, attempt = split_attempt(attempt_id)
        written = self._ledger.ended(Ended(run, attempt, ending))
        written.add_done_callback(lambda future: _say(attempt_id, ending, future))


def _say(attempt_id: str, ending: Ending, future: Future[RunState | None]) -> None:
    error = future.exception()
    if error is not None:
        # the end is kept where the engine keeps it: the sweep has the run taken up again, and it is told once more
        _log.error("an end could not be written", attempt=attempt_id, state=ending.state, error=str(error))
    else:
        say = _log.debug if ending.state is RunState.SUCCEEDED else _log.info
        say("attempt ended", attempt=attempt_id, state=ending.state, run_state=future.result(), why=ending.error)
