"""This file is where everything is that may be asked of the ledger without changing it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from headgate.ledger import catalogs, dialects, housekeeping, reading
from headgate.model import Attempt, EventId, JobName, Run, RunId, RunState, StoredObject, TriggerName

T = TypeVar("T")


class Reader:
    """Each call reads on a connection of its own, from any thread; all raise LedgerUnavailable."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self.url = url

    def run(self, name: str) -> Run:
        """The run of this id, ours or the engine's. Raises NotFound."""
        with self.looking() as connection:
            return reading.find_run(connection, name)

    def runs(
        self,
        *,
        job: str | None = None,
        state: RunState | None = None,
        trigger: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> reading.Page[Run]:
        wanted = reading.RunFilter(job=job, state=state, trigger=trigger)
        with self.looking() as connection:
            dialects.begin_looking(connection)
            return reading.list_runs(connection, wanted, before=before, limit=limit)

    def live_runs(self) -> list[Run]:
        with self.looking() as connection:
            return reading.live_runs(connection)

    def last_runs(self, jobs: Sequence[JobName]) -> dict[JobName, Run]:
        with self.looking() as connection:
            dialects.begin_looking(connection)
            return reading.last_runs(connection, jobs)

    def durations(self, job: str) -> list[float]:
        """How long the job's newest successful runs took, in seconds."""
        with self.looking() as connection:
            return reading.durations(connection, job)

    def attempts(self, run: Run) -> list[Attempt]:
        with self.looking() as connection:
            return reading.attempts(connection, run)

    def manifest(self, run: RunId) -> list[StoredObject] | None:
        with self.looking() as connection:
            return reading.manifest(connection, run)

    def events(
        self, wanted: reading.EventFilter, *, before: int | None = None, limit: int = 50
    ) -> reading.Page[reading.DecidedEvent]:
        with self.looking() as connection:
            return reading.list_events(connection, wanted, before=before, limit=limit)

    def event(self, name: EventId) -> reading.DecidedEvent:
        with self.looking() as connection:
            return reading.find_event(connection, name)

    def decisions(
        self,
        *,
        trigger: str | None = None,
        run: str | None = None,
        outcome: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> reading.Page[reading.DatedDecision]:
        with self.looking() as connection:
            return reading.list_decisions(
                connection, trigger=trigger, run=run, outcome=outcome, before=before, limit=limit
            )

    def decision(self, seq: int) -> reading.DatedDecision:
        with self.looking() as connection:
            return reading.find_decision(connection, seq)

    def audit(self, *, before: int | None = None, limit: int = 50) -> reading.Page[reading.AuditEntry]:
        with self.looking() as connection:
            return reading.list_audit(connection, before=before, limit=limit)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        with self.looking() as connection:
            return reading.counts(connection)

    def last_ticks(self) -> dict[TriggerName, datetime]:
        with self.looking() as connection:
            return {name: datetime.fromtimestamp(at, UTC) for name, at in catalogs.last_ticks(connection).items()}

    def not_begun(self) -> dict[TriggerName, datetime]:
        """The scheduled triggers that never had a first start, and since when each is there or active."""
        with self.looking() as connection:
            return {name: datetime.fromtimestamp(at, UTC) for name, at in catalogs.not_begun(connection).items()}

    def created(self) -> dict[TriggerName, datetime]:
        with self.looking() as connection:
            return {name: datetime.fromtimestamp(at, UTC) for name, at in catalogs.created(connection).items()}

    def workers(self) -> list[dict[str, Any]]:
        with self.looking() as connection:
            return housekeeping.workers(connection)

    def outbox(self) -> tuple[int, float | None, str | None]:
        with self.looking() as connection:
            return housekeeping.outbox_state(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Look at something on a connection of its own."""
        with self.looking() as connection:
            return work(connection)

    @contextmanager
    def looking(self) -> Generator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise dialects.explain_failure(error, self.url) from error
