"""This file is where one replica is put together and kept: what it opens, in which order, and how it is let go."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from headgate.app import troubles
from headgate.app.parts import catalog_door, connected, doubled, engines, noting, queues, relays
from headgate.aws import Clients
from headgate.doors.inbox import Inbox
from headgate.embedded.port import EmbeddedDataHub
from headgate.embedded.tables import written
from headgate.errors import HeadgateError
from headgate.executor.results import notes as request_notes
from headgate.executor.telling import Told, log_of
from headgate.flow.announce import Announcer, Subscription
from headgate.flow.dispatch import Dispatcher
from headgate.flow.lineage import CHANNEL, URL_CHANNEL
from headgate.gate import Gate
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Json, Run
from headgate.ports import DataHub, Message, Reporter
from headgate.reports.datahub import DataHubReporter
from headgate.reports.notify import Notifier
from headgate.runtime.deliver import Deliver
from headgate.runtime.home import HomeLock, make_home, place
from headgate.runtime.secrets import SecretStore
from headgate.runtime.sweep import SYSTEM, Sweep
from headgate.settings import Settings

if TYPE_CHECKING:
    from headgate.executor.executor import Executor, Source
    from headgate.executor.pipeline_file import PipelineFile

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class App:
    """One replica: a ledger, and what this process does with it (run jobs, watch inboxes, or only look)."""

    def __init__(self, settings: Settings, *, worker: bool, doors: bool) -> None:
        self.settings = settings
        self.ledger = Ledger(
            settings.database_url,
            fires_for=settings.conditional_fires_for,
            lease=settings.lease,
            claims=worker,
            place=place(settings.home),
        )
        self.gate = Gate(settings, self.ledger)
        self._secrets = SecretStore(self.ledger, settings)
        self.datahub: DataHub
        self.close_datahub: Callable[[], None] = _nothing
        if settings.datahub.configured:
            self.datahub, self.close_datahub = connected(settings)
        else:
            self.datahub = EmbeddedDataHub(self.ledger, token=settings.token, rules=self.gate.datasets.rules)
        self.gate.datahub = self.datahub
        clients = Clients()
        self._engines = engines(settings, self.ledger, self.gate, clients) if worker else {}
        self.ledger.anywhere = frozenset(name for name, engine in self._engines.items() if not engine.here_only)
        self._dispatcher = Dispatcher(self.ledger, self._engines, grace=settings.stop_grace)
        reporters: dict[str, Reporter] = {
            one.name: Notifier(one.name, one.url.reveal(), one.webhook, one.template) for one in settings.notify
        }
        self._teller = DataHubReporter(self.datahub)
        reporters[self._teller.name] = self._teller
        self._told = Told(self.gate, self.datahub)
        reporters[self._told.name] = self._told
        self.executor: Executor | None = None
        self._relays = relays(self.ledger, self.datahub, settings) if worker else {}
        self._deliver = Deliver(self.ledger, reporters if worker else {}, others=(CHANNEL, URL_CHANNEL))
        self._sweep = Sweep(
            self.ledger,
            stop_run=self._dispatcher.stop,
            schedules=doors or worker,
            retention_days=settings.retention_days,
            logs=settings.home / "logs",
            on_outbox=self._wake_tellers,
        )
        self._doubled = doubled(settings, self.ledger, self.datahub, clients) if doors or worker else None
        self._sweep.elsewhere = self._doubled.said if self._doubled is not None else None
        self._inboxes = (
            [Inbox(bucket, folder, self.gate.accept, home=settings.home) for bucket, folder in settings.inboxes.items()]
            if doors
            else []
        )
        self._queues = queues(settings, self.gate, clients) if doors else []
        self._catalogs = catalog_door(settings, self.ledger, clients) if doors else None
        self._worker = worker
        self._lock: HomeLock | None = None

    @staticmethod
    def build(settings: Settings, *, worker: bool, doors: bool) -> App:
        return App(settings, worker=worker, doors=doors)

    def start(self, *, role: str = "all", declare: bool = True, patience: float = 0.0) -> None:
        """Open the ledger, take up what was left, and begin.

        `declare`: put in force what headgate.yaml declares, but for drift. Not so for a command that applies it itself.
        `patience`: for so many seconds another process that holds this home is waited for.

        Raises:
            InUse: another process holds this home. LedgerUnavailable: the database cannot be used.
        """
        try:
            if self.ledger.on_sqlite:
                self._lock = HomeLock(self.settings.home, role, patience=patience)
                self.ledger.alone = role == "all"
            else:
                make_home(self.settings.home)
            self._begin(declare=declare)
        except HeadgateError:
            self.close()
            raise

    def _begin(self, *, declare: bool) -> None:
        ledger = self.ledger
        announcer = Announcer.of(
            [Subscription(channel=one.name, on=frozenset(one.on), job=one.job) for one in self.settings.notify]
        )
        told: Callable[[Run], Sequence[Message]] = written if isinstance(self.datahub, EmbeddedDataHub) else _no_message
        noted, home = noting(self.settings), self.settings.home

        def log(run: Run) -> str:
            return log_of(run, home)

        ledger.announce = lambda run, was_failing: [
            *announcer(run, was_failing), *noted.ended(run), *told(run), *request_notes(run, log)
        ]  # fmt: skip
        ledger.announce_start = noted.started
        ledger.on_claimed = self._dispatcher.start
        ledger.on_adopted = self._dispatcher.take_over
        ledger.on_stop = self._dispatcher.stop
        ledger.on_due = self._sweep.wake
        ledger.on_outbox = self._wake_tellers
        ledger.open()
        done = self.gate.definitions.apply(everything=False, actor=SYSTEM) if declare else ()
        for change in done:
            _log.info("definition", does=change.does.value, kind=change.kind, name=change.name)
        if isinstance(self.datahub, EmbeddedDataHub):
            self.datahub.start()
        if self._worker:
            if not ledger.on_sqlite:
                ledger.beat()
            # on SQLite nobody else can be alive: the lock is ours, so whatever was under way is taken up at once
            taken = wait_for(ledger.take_over(everyone=ledger.on_sqlite))
            if taken:
                _log.info("runs taken up again", count=len(taken))
        if self._doubled is not None:
            self._doubled.start()
        self._sweep.start()
        self._deliver.start()
        for relay in self._relays.values():
            relay.start()
        for queue in self._queues:
            queue.start()
        if self._catalogs is not None:
            self._catalogs.start()
        for inbox in self._inboxes:
            inbox.start()

    def carry_out(self, file: PipelineFile, *, source: Source | None = None) -> None:
        """Carry out DataHub's execution requests, too, as the file says. To be called after `start`.

        `source`: where they come from, in place of what the file says.

        Raises:
            Forbidden: our token may not do what that takes.
        """
        from headgate.executor.sources import check_rights, executor_of  # noqa: PLC0415 - httpx, as below

        check_rights(file, self.settings, self.datahub)
        self.executor = executor_of(file, self.gate, self.datahub, self._told, source)
        self.executor.start()

    def carry_out_as_set(self) -> None:
        """The same with the file of `datahub.executor`, where there is one and this replica runs jobs."""
        file = self.settings.datahub.executor
        if file is None or not self._worker:
            return
        from headgate.executor.pipeline_file import read_pipeline_file  # noqa: PLC0415 - seldom

        self.carry_out(read_pipeline_file(file, os.environ))

    def close(self) -> None:
        """Stop taking things on, write what is queued, let go. Jobs that run go on running."""
        if self.executor is not None:
            self.executor.close()
        self.ledger.stop_claiming()
        for inbox in self._inboxes:
            inbox.close()
        for queue in self._queues:
            queue.stop()
        if self._catalogs is not None:
            self._catalogs.close()
        for queue in self._queues:
            queue.close()
        self._sweep.close()
        if self._doubled is not None:
            self._doubled.close()
        self._dispatcher.close()
        for engine in self._engines.values():
            engine.close()
        self._deliver.close()
        for relay in self._relays.values():
            relay.close()
        self.ledger.close()
        self.close_datahub()
        self._release()

    def _wake_tellers(self) -> None:
        self._deliver.wake()
        for relay in self._relays.values():
            relay.wake()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every run, and every run that follows from it, has ended. False: not within `timeout` seconds."""
        until = time.monotonic() + timeout
        while self.ledger.counts():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def readiness(self) -> Mapping[str, Json]:
        """For /readyz: whether this replica does its work, and if not, why."""
        problems: list[str] = []
        waiting, oldest, error = 0, None, None
        try:
            waiting, oldest, error = self.ledger.outbox()
        except HeadgateError as failure:
            problems.append(str(failure))
        problems.extend(one for one in self._sweep.problems() if one not in problems)
        problems.extend(self.executor.problems() if self.executor is not None else [])
        problems.extend([self._deliver.problem] if self._deliver.problem else [])
        problems.extend(f"lineage ({name}): {one.problem}" for name, one in self._relays.items() if one.problem)
        problems.extend(f"inbox {one.bucket}: {one.problem}" for one in self._inboxes if one.problem)
        problems.extend(troubles.of_disk(self.settings.home))
        return {
            "ready": not problems,
            "problems": problems,
            "warnings": [
                *self.gate.datasets.warnings(),
                *self.gate.definitions.restart_warnings(),
                *troubles.of_credentials(self.settings, self.ledger.catalog.jobs.values()),
                *troubles.of_engines(self._engines),
                *troubles.of_starts(self._dispatcher.put_off()),
                *troubles.of_queues(self._queues, self.ledger),
                *troubles.of_secrets(self._secrets),
                *(self._catalogs.problems() if self._catalogs is not None else ()),
                *(self._doubled.warnings() if self._doubled is not None else ()),
                *(self.executor.warnings() if self.executor is not None else []),
            ],
            "replica": self.ledger.id,
            "worker": self._worker,
            "outbox": {
                "waiting": waiting,
                "oldest": oldest,
                "last_error": error,
                "refused_by_datahub": self._teller.dropped + self._told.dropped,
            },
        }


def _no_message(_run: Run) -> Sequence[Message]:
    """A DataHub that is configured learns of tables by their lineage."""
    return ()


def _nothing() -> None:
    return
