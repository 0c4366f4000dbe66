"""This file is where time passes: due runs are claimed, limits enforced, dead replicas' runs taken over, ticks fired.

It only looks at the ledger and asks. One thread looks, one keeps the lease (so that slow work never costs it), one
listens to other replicas (PostgreSQL).
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from headgate.catalog import Catalog
from headgate.doors.schedule import due, first_starts
from headgate.errors import HeadgateError
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Event, Json, Run, RunId, Trigger, TriggerName
from headgate.ports import TIMED_OUT, Stop

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

HELD = 0.1  #: seconds before ticks that wait for an answer of DataHub's are looked at again
IDLE = 1.0  #: seconds between looks when nothing is known to fall due
AGAIN = 0.02  #: seconds before a queue that another replica held is looked at again
ASK_AGAIN = 5.0  #: seconds before a stop is asked for once more
ON_TIME = timedelta(seconds=60)  #: how late a tick may fire and not count as missed
RETENTION_EVERY = 3600.0  #: seconds
SYSTEM = "urn:li:corpuser:headgate"


#: What the event of a time that is due has to say of who else does the same; None: that is not known yet.
Elsewhere = Callable[[Trigger, Catalog], Mapping[str, Json] | None]


class Sweep:
    """Runs until closed. `stop_run` asks the engine of a run of ours to end it."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        stop_run: Callable[[Run], None],
        schedules: bool,
        retention_days: int,
        logs: Path,
        on_outbox: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._stop_run = stop_run
        self._schedules = schedules
        self._retention = retention_days * 86_400.0
        self._logs = logs
        self._on_outbox = on_outbox
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._asked: dict[RunId, float] = {}
        self._threads: list[threading.Thread] = []
        self._next_takeover = 0.0
        self._next_retention = time.time() + 60.0
        self._next_tick = 0.0
        self._catalog_seen = -1
        self.elsewhere: Elsewhere | None = None  #: set by the app: what DataHub says of recipes that are due
        self.problem: str | None = None  #: why the last look failed, for /readyz
        self._troubles: dict[str, str] = {}  #: of the other threads, by the thread's name

    def start(self) -> None:
        self._thread(self._look_for_ever, "sweep")
        if not self._ledger.on_sqlite:
            if self._ledger.claims:
                self._ledger.beat()
                self._thread(self._beat_for_ever, "lease")
            self._thread(self._listen_for_ever, "listen")

    def problems(self) -> list[str]:
        """What keeps time from passing here as it should, for /readyz."""
        found = [self.problem] if self.problem else []
        found.extend(list(self._troubles.values()))
        gone = [one.name for one in self._threads if not one.is_alive() and not self._closing.is_set()]
        return [*found, *(f"the thread {name} has ended; restart this server" for name in gone)]

    def wake(self) -> None:
        """Look now. For `Ledger.on_due`."""
        self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=10)
        if self._ledger.claims and not self._ledger.on_sqlite:
            try:
                self._ledger.resign()
            except HeadgateError as error:
                _log.warning("lease not given back", why=str(error))

    def look(self, now: float) -> float:
        """One look at everything; answers when the next is due, in seconds since the epoch."""
        due_jobs, next_due, overdue, stopping = self._ledger.look(now)
        again = self._ledger.to_look_again()
        if self._ledger.claims:
            if due_jobs or again:
                self._ledger.claim(sorted(due_jobs | again))
            for run in overdue:
                self._ledger.stop(Stop(run, SYSTEM, TIMED_OUT))
            self._ask_stops(stopping, now)
            self._ledger.take_up_again()
            self._take_over(now)
        if self._schedules:
            self._tick(now)
        if now >= self._next_retention:
            self._forget(now)
        soon = [now + IDLE]
        if next_due is not None and next_due > now:
            soon.append(next_due)
        if self._schedules and self._next_tick > now:
            soon.append(self._next_tick)
        if again:
            soon.append(now + AGAIN)
        return min(soon)

    def _ask_stops(self, stopping: list[Run], now: float) -> None:
        live = {run.id for run in stopping}
        self._asked = {run: at for run, at in self._asked.items() if run in live}
        for run in stopping:
            if now - self._asked.get(run.id, 0.0) > ASK_AGAIN:
                self._asked[run.id] = now
                self._stop_run(run)

    def _take_over(self, now: float) -> None:
        if self._ledger.on_sqlite or now < self._next_takeover:
            return
        self._next_takeover = now + self._ledger.lease / 4
        self._ledger.take_over()

    def _tick(self, now: float) -> None:
        catalog = self._ledger.catalog
        if now < self._next_tick and catalog.version == self._catalog_seen:
            return
        if not catalog.scheduled:
            self._next_tick, self._catalog_seen = now + 60.0, catalog.version
            return
        moment = datetime.fromtimestamp(now, UTC)
        first = [one for one in catalog.scheduled if one.at_first_start]
        begun = first_starts(first, self._ledger.not_begun(), moment) if first else ()
        ticks = due(catalog.scheduled, self._ledger.last_ticks(), moment, ON_TIME, anchors=self._ledger.created())
        events, held = self._asked_about((*begun, *ticks.events), catalog)
        if events:
            wait_for(self._ledger.accept(events))
        self._catalog_seen = catalog.version
        # an hour at most: a clock that is set is noticed
        coming = min(ticks.next_wakeup.timestamp() if ticks.next_wakeup else now + 3600, now + 3600)
        self._next_tick = now + HELD if held else coming

    def _asked_about(self, events: Sequence[Event], catalog: Catalog) -> tuple[list[Event], bool]:
        """The events with what DataHub says of them, and whether some have to wait for that."""
        if self.elsewhere is None or not events:
            return list(events), False
        found: list[Event] = []
        for event in events:
            trigger = catalog.triggers.get(TriggerName(str(event.payload["trigger"])))
            said = self.elsewhere(trigger, catalog) if trigger is not None else {}
            if said is not None:
                found.append(replace(event, payload={**event.payload, **said}) if said else event)
        return found, len(found) < len(events)

    def _forget(self, now: float) -> None:
        gone, runs = wait_for(self._ledger.forget(now - self._retention), 120)
        for run in runs:
            for folder in (self._logs / run, *self._logs.glob(f"{run}_attempt_*")):
                shutil.rmtree(folder, ignore_errors=True)
        self._next_retention = now + (1.0 if gone else RETENTION_EVERY)

    def _look_for_ever(self) -> None:
        following = 0.0
        while not self._closing.is_set():
            self._wake.wait(max(0.0, following - time.time()))
            self._wake.clear()
            if self._closing.is_set():
                return
            now = time.time()
            try:
                if not self._ledger.on_sqlite:
                    self._ledger.refresh()
                following = self.look(now)
                self.problem = None
            except HeadgateError as error:
                if self.problem is None:
                    _log.error("cannot look at the ledger", why=str(error))
                self.problem = str(error)
                following = now + IDLE
            except Exception as error:  # noqa: BLE001 - a bug in one look must not be the end of all of them
                _log.exception("a look at the ledger failed")
                self.problem = f"the sweep failed: {type(error).__name__}: {error}; the server's log says where"
                following = now + IDLE

    def _beat_for_ever(self) -> None:
        while not self._closing.wait(self._ledger.lease / 3):
            try:
                self._ledger.beat()
                self._troubles.pop("lease", None)
            except HeadgateError as error:
                _log.warning("lease not prolonged", why=str(error))
                self._troubles["lease"] = f"the lease is not prolonged, so others take the runs here over: {error}"
            except Exception as error:  # noqa: BLE001 - the lease has to be tried again, whatever was wrong this time
                self._failed("lease", error)

    def _listen_for_ever(self) -> None:
        while not self._closing.is_set():
            try:
                for said in self._ledger.listen(self._closing):
                    self._hear(said)
            except Exception as error:  # noqa: BLE001 - what was missed meanwhile the looks find, and then it is heard again
                self._failed("listen", error)
                self._closing.wait(IDLE)

    def _hear(self, said: str) -> None:
        if said.startswith("job ") and self._ledger.claims:
            self._ledger.claim([said.removeprefix("job ")])
        elif said == "outbox":
            self._on_outbox()
        else:
            self._wake.set()
        self._troubles.pop("listen", None)

    def _failed(self, thread: str, error: Exception) -> None:
        said = f"{thread} failed: {type(error).__name__}: {error}; the server's log says where"
        if self._troubles.get(thread) != said:  # once, and not at each try
            _log.exception("a thread of the sweep failed and goes on", thread=thread)
        self._troubles[thread] = said

    def _thread(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
