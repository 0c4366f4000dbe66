"""This file is where the ledger is put together: what everyone else sees of it, and all that changes it.

Writes answer a Future that is done once they are durable. Reads are those of `Reader`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from headgate.catalog import Catalog
from headgate.errors import LedgerUnavailable
from headgate.ledger import (
    accepting,
    asking,
    callbacks,
    catalogs,
    claiming,
    dialects,
    glue,
    housekeeping,
    migrate,
)
from headgate.ledger.accepting import Ask, Receipt
from headgate.ledger.catalogs import Change, Declaration, Does
from headgate.ledger.claiming import Claim
from headgate.ledger.ending import Endings
from headgate.ledger.housekeeping import Letter
from headgate.ledger.reader import Reader
from headgate.ledger.writer import Batch, Claimer, Group, Writer
from headgate.model import (
    Event,
    FiresFor,
    JobName,
    Run,
    RunId,
    RunState,
    Trigger,
    TriggerName,
)
from headgate.ports import Announce, AnnounceStart, Ended, Ending, Message, Postponed, Progress, Started, Stop

#: Starts that are remembered, so that each is announced once, and none after its end.
MOST_STARTS = 4_096
T = TypeVar("T")
HandOver = Callable[[Run], None]


def _nobody(run: Run, was_failing: bool) -> Sequence[Any]:  # noqa: ARG001 - the shape is Announce's
    return ()


def _no_word(started: Started) -> Sequence[Message]:  # noqa: ARG001 - the shape is AnnounceStart's
    return ()


def _ignore(run: Run) -> None:  # noqa: ARG001 - a ledger without an engine behind it claims nothing
    return


def _leave(run: Run, here: bool) -> None:  # noqa: ARG001 - see _ignore
    return


class Ledger(Reader):
    """The durable record. One per process; every method may be called from any thread.

    `claims`: this replica runs jobs: it claims due runs in the transactions that make them due, and hands each to
    `on_claimed` once that is durable. `on_adopted` gets runs taken over from a dead replica, `on_stop` runs of ours
    that are to be stopped. These three return at once and do not raise.
    """

    def __init__(
        self,
        url: str,
        *,
        fires_for: FiresFor = FiresFor.ANY,
        lease: float = 10.0,
        claims: bool = False,
        place: str = "w",
    ) -> None:
        super().__init__(dialects.open_engine(url), url)
        self.id = f"{place}_{secrets.token_hex(8)}"
        self.claims = claims
        self.lease = lease
        self.on_claimed: HandOver = _ignore
        self.on_adopted: Callable[[Run, bool], None] = _leave
        self.on_stop: HandOver = _ignore
        self.on_due: Callable[[], None] = lambda: None
        self.on_outbox: Callable[[], None] = lambda: None
        self.announce: Announce = _nobody
        self.announce_start: AnnounceStart = _no_word
        self._started_told: OrderedDict[tuple[RunId, int], None] = OrderedDict()  #: the newest announced
        self.fires_for = fires_for
        self.anywhere: frozenset[str] = frozenset()  #: engines whose runs every replica can follow, wherever they began
        self.alone = False  #: no other process writes: SQLite, and the whole home is ours
        self.again: set[str] = set()  #: jobs whose queue another replica held when we looked
        self._again_lock = threading.Lock()
        # the lease is not to wait for a connection behind people who look at lists
        self._lease_engine = dialects.open_engine(url, connections=1)
        self._catalog = Catalog.of(0, (), ())
        self._writer = Writer(self._engine, before_commit=self._before_commit, url=url, name="ledger")
        self._accept = Group(
            "accept", lambda batch, those: accepting.accept_events(batch, self._current(batch), those), 0
        )
        self._ask = Group("ask", lambda batch, those: asking.ask_for_runs(batch, self._current(batch), those), 1)
        self._started = Group("started", claiming.note_started, 2)
        self._progress = Group("progress", lambda batch, those: claiming.note_progress(batch, those, self.id), 3)
        self._postponed = Group("postponed", lambda batch, those: claiming.note_postponed(batch, those, self.id), 4)
        self._ended = Group("ended", self._end, 5)
        self._other = Group("other", _each, 6)

    # -- opening and closing

    def open(self, *, create: bool = True) -> None:
        """Bring the tables up to date and begin.

        Raises:
            LedgerUnavailable: the database is away, read-only, damaged, or newer than this program.
        """
        try:
            if create:
                migrate.upgrade(self._engine)
            else:
                migrate.check(self._engine)
            with self._engine.connect() as connection:
                self._catalog = catalogs.read(connection)
        except DatabaseError as error:
            self._engine.dispose()
            raise dialects.explain_failure(error, self.url) from error
        if self.claims:
            self._writer.claimer = Claimer(self.id, self.on_claimed, self.alone)
        self._writer.start()

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()
        self._lease_engine.dispose()

    def stop_claiming(self) -> None:
        """From now on runs are left for others, or for the next start."""
        self.claims = False
        self._writer.claimer = None

    def integrity(self) -> str | None:
        """What is wrong with the file, or None. SQLite only; PostgreSQL looks after itself."""
        if not self.on_sqlite:
            return None
        with self.looking() as connection:
            answer = str(connection.exec_driver_sql("pragma quick_check(1)").scalar())
        return None if answer == "ok" else answer

    @property
    def on_sqlite(self) -> bool:
        return dialects.is_sqlite(self._engine)

    @property
    def written(self) -> tuple[int, int]:
        """Batches and operations so far."""
        return self._writer.batches, self._writer.operations

    @property
    def replays(self) -> int:
        """Batches that had to be done one by one, because an operation in them failed."""
        return self._writer.replays

    # -- what happens

    def accept(self, events: Sequence[Event]) -> Future[list[Receipt]]:
        """Write the events, each once whatever is redelivered, with what they lead to."""
        return self._writer.submit(self._accept, events)

    def ask(self, ask: Ask) -> Future[Run]:
        """Write a run that someone asked for by the job's name. Fails with NotFound or TooManyRuns."""
        return self._writer.submit(self._ask, ask)

    def started(self, started: Started) -> Future[None]:
        return self._writer.submit(self._started, started)

    def progressed(self, progress: Progress) -> Future[None]:
        return self._writer.submit(self._progress, progress)

    def postponed(self, postponed: Postponed) -> Future[None]:
        future = self._writer.submit(self._postponed, postponed)
        future.add_done_callback(lambda _: self.on_due())
        return future

    def ended(self, ended: Ended) -> Future[RunState | None]:
        """Write an attempt's end, and all that follows from it. None: it is not ours, or was told before."""
        return self._writer.submit(self._ended, ended)

    def stop(self, stop: Stop) -> Future[Run]:
        """Stop a run. Fails with NotFound, or Conflict when it is over already."""

        def work(batch: Batch) -> Run | Exception:
            answer = self._endings(batch).stop(stop, self.on_stop)
            if isinstance(answer, Run):
                catalogs.note(batch, actor=stop.actor, action="run.stop", subject=stop.run, reason=stop.reason)
            return answer

        return self._write(work)

    def end_by_token(self, token: str, ending: Ending) -> Future[str]:
        """Write an attempt's end as its function says it, whichever replica has the run; answers the attempt's id.

        Fails with NotFound: no such token was given. Conflict: it has ended already; the first word counts.
        """

        def work(batch: Batch) -> str:
            run, attempt, job, owner = callbacks.whose(batch, token)
            endings = Endings(batch, self._current(batch), owner, self.fires_for, self.announce)
            ended = [Ended(run, attempt, ending)]
            endings.end(ended)
            batch.after(lambda: self._remember_starts(ended))
            batch.to_wake.add(f"job {job}")  # its place is free, for whoever runs jobs
            return token.rpartition(".")[0]

        return self._write(work)

    def claim(self, jobs: Sequence[str]) -> Future[None]:
        """Look at these jobs' queues."""

        def work(batch: Batch) -> None:
            batch.to_claim.update(jobs)

        return self._write(work)

    def take_over(self, *, everyone: bool = False) -> Future[list[RunId]]:
        """Make the runs of dead replicas ours and hand them to `on_adopted`."""
        patience = 3 * self.lease
        return self._write(
            lambda batch: claiming.take_over(
                batch, self.id, self.on_adopted, everyone=everyone, patience=patience, anywhere=self.anywhere
            )
        )

    def take_up_again(self) -> Future[list[RunId]] | None:
        """Where a write failed or a commit was not answered, hand our runs to `on_adopted` again; else None.

        An end that could not be written is told once more that way, and a claim whose commit was cut off is started.
        """
        if not self._writer.uncertain.is_set():
            return None
        self._writer.uncertain.clear()
        return self._write(lambda batch: claiming.take_up_again(batch, self.id, self.on_adopted))

    # -- definitions

    @property
    def catalog(self) -> Catalog:
        """The newest catalog this process has seen."""
        return self._catalog

    def refresh(self) -> Catalog:
        with self.looking() as connection:
            if catalogs.version(connection) != self._catalog.version:
                self._catalog = catalogs.read(connection)
        return self._catalog

    def plan(self, declared: Declaration) -> list[Change]:
        with self.looking() as connection:
            return catalogs.plan(connection, declared)

    def apply(
        self, declared: Declaration, *, everything: bool, actor: str, beside: Sequence[Change] = ()
    ) -> Future[list[Change]]:
        """Make the ledger say what is declared; with `everything`, delete and restore, too. Answers what was done.

        `beside`: what is put in force at the same time and not kept here; it stands in the audit.
        """

        def work(batch: Batch) -> list[Change]:
            done = catalogs.apply(batch, declared, everything=everything, actor=actor)
            for change in beside:
                action = f"{change.kind}.{change.does}"
                catalogs.note(batch, actor=actor, action=action, subject=change.name, reason=None)
            for change in done:
                if change.kind == "job" and change.does is Does.DELETE:
                    self._endings(batch).give_up(change.name)
            return done

        return self._write(work)

    def set_enabled(self, name: TriggerName, *, enabled: bool, actor: str, reason: str) -> Future[Trigger]:
        return self._write(lambda batch: catalogs.set_enabled(batch, name, enabled=enabled, actor=actor, reason=reason))

    def delete_job(self, name: str, *, actor: str) -> Future[bool]:
        """Delete a job, whoever made it; runs that wait for it end. False: there is none."""

        def work(batch: Batch) -> bool:
            deleted = glue.delete(batch, "job", name, actor=actor)
            if deleted:
                self._endings(batch).give_up(name)
            return deleted

        return self._write(work)

    def note(self, *, actor: str, action: str, subject: str, reason: str | None) -> Future[None]:
        return self._write(
            lambda batch: catalogs.note(batch, actor=actor, action=action, subject=subject, reason=reason)
        )

    # -- keeping order

    def look(self, now: float) -> tuple[set[str], float | None, list[RunId], list[Run]]:
        """For the sweep: jobs with due runs, when the next falls due, our overdue runs, our runs to be stopped."""
        with self.looking() as connection:
            return (
                claiming.due_jobs(connection, now),
                claiming.next_due(connection),
                claiming.overdue(connection, self.id, now),
                claiming.stopping(connection, self.id),
            )

    def beat(self) -> None:
        """Prolong our lease, on a connection of its own."""
        now = time.time()
        with self._changing() as connection:
            housekeeping.beat(connection, self.id, now + self.lease, now)

    def resign(self) -> None:
        with self._changing() as connection:
            housekeeping.resign(connection, self.id)

    def tell(self, messages: Sequence[Message]) -> Future[None]:
        """Put messages into the outbox; of one channel and subject they are delivered in this order."""
        return self._write(lambda batch: housekeeping.post(batch, messages))

    def write(self, work: Callable[[Batch], T | Exception]) -> Future[T]:
        """Do something in the next transaction, on the one connection that writes; nothing but SQL, and quickly."""
        return self._write(work)

    def write_knowing(self, work: Callable[[Batch, Catalog], T | Exception]) -> Future[T]:
        """`write`, with the catalog as of the transaction."""
        return self._write(lambda batch: work(batch, self._current(batch)))

    def take_letters(self, *, most: int, hold: float, busy: Sequence[str] = ()) -> Future[list[Letter]]:
        return self._write(lambda batch: housekeeping.take_letters(batch, most=most, hold=hold, busy=busy))

    def take_in_order(self, channel: str, *, most: int, hold: float) -> Future[list[Letter]]:
        return self._write(lambda batch: housekeeping.take_in_order(batch, channel, most=most, hold=hold))

    def delivered_all(self, letters: Sequence[Letter]) -> Future[None]:
        return self._write(lambda batch: housekeeping.delivered_all(batch, letters))

    def not_delivered_yet(self, letters: Sequence[Letter], error: str, not_before: float) -> Future[None]:
        return self._write(lambda batch: housekeeping.not_delivered_yet(batch, letters, error, not_before))

    def delivered(self, letter: Letter) -> Future[None]:
        return self._write(lambda batch: housekeeping.delivered(batch, letter))

    def not_delivered(self, letter: Letter, error: str, not_before: float) -> Future[None]:
        return self._write(lambda batch: housekeeping.not_delivered(batch, letter, error, not_before))

    def forget(self, before: float) -> Future[tuple[int, list[str]]]:
        return self._write(lambda batch: housekeeping.forget(batch, before))

    def listen(self, stop: threading.Event) -> Iterator[str]:
        """What other replicas say (PostgreSQL): `job NAME`, `stop`, `catalog`, `due`, `outbox`. Ends when told to."""
        yield from dialects.listen(self._engine, stop)

    # -- inside

    def _write(self, work: Callable[[Batch], T | Exception]) -> Future[T]:
        return self._writer.submit(self._other, work)

    def _endings(self, batch: Batch) -> Endings:
        return Endings(batch, self._current(batch), self.id, self.fires_for, self.announce)

    def _end(self, batch: Batch, those: Sequence[Ended]) -> Sequence[RunState | None]:
        # its engine may be quicker than the dispatcher, whose word of the start then comes after the end
        batch.after(lambda: self._remember_starts(those))
        return self._endings(batch).end(those)

    def _current(self, batch: Batch) -> Catalog:
        """The catalog as of this transaction, whatever replica changed it last."""
        if batch.catalog is None:
            known = self._catalog
            # alone on the file, only our own writer changes it, and says so in `to_wake`
            certain = self.alone and known.version and "catalog" not in batch.to_wake
            if not certain and catalogs.version(batch.connection) != known.version:
                known = catalogs.read(batch.connection)
            batch.catalog = known
        return batch.catalog

    def _before_commit(self, batch: Batch) -> None:
        self._announce_starts(batch)
        claiming.write_started(batch, self.id)
        if "due" in batch.to_wake:
            batch.after(self.on_due)
        if "outbox" in batch.to_wake:
            batch.after(self.on_outbox)
        if "catalog" in batch.to_wake:
            catalog = self._current(batch)
            # before the runs of this batch are handed over: their jobs may be new in it
            batch.actions.insert(0, lambda: self._learn(catalog))
        elif batch.catalog is not None and batch.catalog is not self._catalog:
            self._catalog = batch.catalog
        if not self.claims or not batch.to_claim:
            return
        limits = self._current(batch).jobs if self.alone else {}
        for job in sorted(batch.to_claim):
            limit = limits[JobName(job)].max_concurrent_runs if job in limits else None
            if claiming.claim(batch, job, self.id, self.on_claimed, limit=limit) is Claim.LOCKED:
                # look again soon, ourselves; telling the others made three replicas wake each other for ever
                with self._again_lock:
                    self.again.add(job)
        batch.to_wake.difference_update({f"job {job}" for job in batch.to_claim})
        batch.after(self.on_due)

    def _announce_starts(self, batch: Batch) -> None:
        """A start is told to us twice (see `claiming.note_started`), and by us to others once."""
        new = [one for one in batch.started.values() if (one.run, one.attempt) not in self._started_told]
        messages = [message for one in new for message in self.announce_start(one)]
        if messages:
            housekeeping.post(batch, messages)
            batch.after(lambda: self._remember_starts(new))

    def _remember_starts(self, starts: Sequence[Started | Ended]) -> None:
        self._started_told.update({(one.run, one.attempt): None for one in starts})
        while len(self._started_told) > MOST_STARTS:
            self._started_told.popitem(last=False)

    def _learn(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def to_look_again(self) -> set[str]:
        with self._again_lock:
            again, self.again = self.again, set()
        return again

    @contextmanager
    def _changing(self) -> Generator[Connection]:
        try:
            with self._lease_engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise dialects.explain_failure(error, self.url) from error


def wait_for(future: Future[T], seconds: float = 30.0) -> T:
    """The result of a write; a ledger that does not answer in time is unavailable."""
    try:
        return future.result(seconds)
    except TimeoutError as error:
        raise LedgerUnavailable(f"the ledger did not answer within {seconds:g} s; see the log of the server") from error


def _each(batch: Batch, those: Sequence[Callable[[Batch], Any]]) -> list[Any]:
    """Operations that share nothing with each other, one after the other."""
    return [work(batch) for work in those]
