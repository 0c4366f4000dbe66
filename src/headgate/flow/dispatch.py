"""This file is where a claimed run is handed to its engine, and where one that cannot start is put back or ended."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import structlog

from headgate.errors import EngineInDoubt, EngineRefused, EngineUnavailable
from headgate.model import Job, Run, RunId, RunState, attempt_id
from headgate.ports import Ended, Ending, Engine, Order, Postponed, RunLedger, Started

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Seconds before an engine that was not available is offered the run again: doubles up to the second figure.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


def order_for(run: Run, job: Job | None, ledger: RunLedger) -> Order:
    """The run's present attempt as its engine gets it. A job deleted meanwhile still has the run's own engine."""
    known = job or Job(name=run.job, engine=run.engine, target={})
    return Order(
        run=run,
        job=known,
        attempt_id=attempt_id(run.id, run.attempt),
        manifest=lambda: ledger.manifest(run.id) if run.objects else None,
    )


class Dispatcher:
    """Hands runs over, as many at a time to each engine as it takes. Its methods return at once."""

    def __init__(self, ledger: RunLedger, engines: Mapping[str, Engine], *, grace: float) -> None:
        self._ledger = ledger
        self._engines = engines
        self._grace = grace
        self._pools = {
            name: ThreadPoolExecutor(engine.threads, thread_name_prefix=f"start-{name}")
            for name, engine in engines.items()
        }
        self._pauses: dict[RunId, float] = {}
        self._put_off: dict[RunId, tuple[str, float]] = {}  #: engine, and when by the monotonic clock
        #: those that may have been started, until they are asked for again
        self._held: dict[RunId, threading.Timer] = {}

    def start(self, run: Run) -> None:
        """For `Ledger.on_claimed`; and for a run taken over while STARTING, whose engine finds the first start."""
        self._submit(run, self._start)

    def take_over(self, run: Run, here: bool) -> None:
        """For `Ledger.on_adopted`. `here`: it was left at this machine and home, so its processes can be found."""
        engine = self._engines.get(run.engine)
        if engine is not None and engine.here_only and not here:
            why = "the machine it ran on is gone, and what ran there cannot be reached from here"
            ending = Ending(state=RunState.FAILED, at=datetime.now(UTC), error=why, detail="lost")
            self._ledger.ended(Ended(run.id, run.attempt, ending))
        else:
            self._submit(run, self._start if run.state is RunState.STARTING else self._adopt)

    def stop(self, run: Run) -> None:
        """For `Ledger.on_stop`. Harmless when repeated."""
        timer = self._held.pop(run.id, None)
        if timer is not None:  # it is not to be started any more: the engine finds out whether it was
            timer.cancel()
        self._submit(run, self._stop)

    def put_off(self) -> dict[str, int]:
        """How many runs each engine could not start when it was last asked to; none asked for again is forgotten."""
        since = time.monotonic() - 2 * LONGEST_PAUSE
        for run, (_, at) in list(self._put_off.items()):
            if at < since:
                self._put_off.pop(run, None)
        return dict(Counter(engine for engine, _ in list(self._put_off.values())))

    def close(self) -> None:
        for timer in list(self._held.values()):
            timer.cancel()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, run: Run, work: Callable[[Engine, Run], None]) -> None:
        engine = self._engines.get(run.engine)
        if engine is None:
            why = f"the engine {run.engine!r} is not part of this installation; known here: {', '.join(self._engines)}"
            self._end(run, RunState.FAILED, why, detail="refused")
            return
        try:
            self._pools[run.engine].submit(self._guarded, work, engine, run)
        except RuntimeError:  # closing: the next start of the server takes the run over
            _log.info("run left for the next start", run=run.id)

    def _guarded(self, work: Callable[[Engine, Run], None], engine: Engine, run: Run) -> None:
        try:
            work(engine, run)
        except EngineRefused as error:
            self._end(run, RunState.FAILED, str(error), detail=error.detail)
        except EngineInDoubt as error:
            self._hold(run, str(error))
        except EngineUnavailable as error:
            self._postpone(run, str(error))
        except Exception as error:  # noqa: BLE001 - an engine's bug must end this run, and nobody else's
            _log.exception("engine failed", run=run.id, engine=run.engine)
            self._end(run, RunState.FAILED, f"the engine {run.engine} failed: {error}", detail="engine error")

    def _start(self, engine: Engine, run: Run) -> None:
        order = order_for(run, self._ledger.catalog.jobs.get(run.job), self._ledger)
        handle = engine.start(order)
        self._pauses.pop(run.id, None)
        self._put_off.pop(run.id, None)
        now = datetime.now(UTC)
        deadline = now.timestamp() + run.timeout if run.timeout else None
        self._ledger.started(Started(run.id, run.attempt, handle, now, deadline))

    def _adopt(self, engine: Engine, run: Run) -> None:
        order = order_for(run, self._ledger.catalog.jobs.get(run.job), self._ledger)
        engine.adopt(order)
        if run.state is RunState.STOPPING:
            engine.stop(order, grace=self._grace)

    def _stop(self, engine: Engine, run: Run) -> None:
        engine.stop(order_for(run, self._ledger.catalog.jobs.get(run.job), self._ledger), grace=self._grace)

    def _end(self, run: Run, state: RunState, error: str, *, detail: str) -> None:
        self._put_off.pop(run.id, None)
        ending = Ending(state=state, at=datetime.now(UTC), error=error, detail=detail, retryable=False)
        self._ledger.ended(Ended(run.id, run.attempt, ending))

    def _postpone(self, run: Run, why: str) -> None:
        not_before = datetime.now(UTC).timestamp() + self._pause(run, why)
        self._ledger.postponed(Postponed(run.id, run.attempt, f"engine unavailable: {why}", not_before))

    def _hold(self, run: Run, why: str) -> None:
        """What may run there is not put back: who stopped it in the queue would leave it running, unseen."""
        pause = self._pause(run, why)
        not_before = datetime.now(UTC).timestamp() + pause
        self._ledger.postponed(Postponed(run.id, run.attempt, f"may have been started: {why}", not_before, held=True))
        timer = threading.Timer(pause, self._ask_again, (run,))
        timer.daemon = True
        self._held[run.id] = timer
        timer.start()

    def _ask_again(self, run: Run) -> None:
        if self._held.pop(run.id, None) is not None:
            self._submit(run, self._start)

    def _pause(self, run: Run, why: str) -> float:
        pause = min(self._pauses.get(run.id, FIRST_PAUSE / 2) * 2, LONGEST_PAUSE)
        self._pauses[run.id] = pause
        self._put_off[run.id] = run.engine, time.monotonic()
        _log.warning("engine unavailable", run=run.id, engine=run.engine, why=why, again_in=pause)
        return pause
