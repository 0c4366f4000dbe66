"""This file is where everything is written: one thread that commits what has queued up in one transaction.

A group commit costs one fsync however many operations it holds. An operation that fails takes nobody with it: the batch
is rolled back and replayed one by one, each in a savepoint. What must happen only once the batch is durable (handing a
claimed run to its engine) is queued with `Batch.after` and dropped if the batch is.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from headgate.catalog import Catalog
from headgate.errors import HeadgateError, LedgerUnavailable
from headgate.ledger import dialects
from headgate.model import Run
from headgate.ports import Started

T = TypeVar("T")
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST = 512  #: operations in one batch
TRIES = 6  #: times a batch is tried when the database says "not now"
PATIENCE = 10.0  #: seconds within which those tries are spread


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who claims in a batch's own transaction, and who is handed what was claimed once it is durable."""

    id: str
    hand_over: Callable[[Run], None]
    alone: bool  #: no other process writes, so the catalog's limits are the ledger's


@dataclass(slots=True)
class Batch:
    """What one transaction gathers while its operations run."""

    connection: Connection
    now: float
    to_claim: set[str] = field(default_factory=set[str])  #: jobs whose queue is to be looked at before the commit
    to_wake: set[str] = field(default_factory=set[str])  #: what other replicas should know, see dialects.notify
    started: dict[tuple[str, int], Started] = field(default_factory=dict[tuple[str, int], Started])
    claimer: Claimer | None = None  #: set where this replica runs jobs
    catalog: Catalog | None = None  #: as of this transaction, once someone has asked
    actions: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def after(self, action: Callable[[], None]) -> None:
        """Do this once the transaction is durable, and never if it is not. It must return at once and not raise."""
        self.actions.append(action)


class Group(Generic[T]):
    """A kind of operation whose members in a batch are done together, in a few statements for all of them.

    `apply` gets them in order and answers one result each; a result that is an exception fails that member alone.
    """

    def __init__(self, name: str, apply: Callable[[Batch, Sequence[Any]], Sequence[T | Exception]], order: int) -> None:
        self.name = name
        self.apply = apply
        self.order = order  #: groups of a batch are applied in this order


@dataclass(slots=True)
class _Operation:
    group: Group[Any]
    argument: Any
    future: Future[Any]


class Writer:
    """Owns the one connection that writes. `submit` may be called from any thread."""

    def __init__(self, engine: Engine, *, before_commit: Callable[[Batch], None], url: str, name: str) -> None:
        self.claimer: Claimer | None = None
        self._engine = engine
        self._before_commit = before_commit
        self._url = url
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"{name}-writer", daemon=True)
        self._closed = False
        self._closing = threading.Lock()
        self.uncertain = threading.Event()  #: a batch failed, or its commit was not answered: see Ledger.take_up_again
        self._connection: Connection | None = None
        self.batches = 0
        self.replays = 0  #: batches that had to be done one by one: an operation failed, or something is wrong
        self.operations = 0

    def start(self) -> None:
        self._thread.start()

    def submit(self, group: Group[T], argument: object) -> Future[T]:
        future: Future[T] = Future()
        with self._closing:  # or an operation could come after the last one, and nobody would ever answer it
            if not self._closed:
                self._queue.put(_Operation(group, argument, future))
                return future
        future.set_exception(LedgerUnavailable("the ledger is closed"))
        return future

    def close(self) -> None:
        """Write what is queued, then stop."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._queue.get()
            if first is None:
                break
            batch = [first]
            while len(batch) < MOST:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                batch.append(more)
            self._commit(batch)
            self.batches += 1
            self.operations += len(batch)
        self._drop_connection()

    def _commit(self, operations: list[_Operation]) -> None:
        """Make the batch durable, or tell each caller why not."""
        ordered = sorted(operations, key=lambda one: one.group.order)  # stable: within a group, as they came
        one_by_one = False
        until = time.monotonic() + PATIENCE
        for attempt in range(TRIES):
            try:
                actions, results = self._try(ordered, one_by_one=one_by_one)
            except (IntegrityError, HeadgateError) as error:
                if one_by_one:
                    self._fail(ordered, error)
                    return
                one_by_one = True
                self.replays += 1
            except DBAPIError as error:
                one_by_one = one_by_one or not isinstance(error, OperationalError)
                last = attempt == TRIES - 1 or time.monotonic() > until or not _may_pass(error)
                if last:
                    self._fail(ordered, dialects.explain_failure(error, self._url))
                    return
                time.sleep(min(0.05 * 4**attempt, 2.0))
            except Exception as error:  # noqa: BLE001 - a bug in one operation must not end the only writer
                if one_by_one:
                    self._fail(ordered, error)
                    return
                _log.exception("a batch failed; its operations are tried one by one", operations=len(ordered))
                one_by_one = True
                self.replays += 1
            else:
                _act(actions)
                for operation, result in zip(ordered, results, strict=True):
                    _answer(operation.future, result)
                return
        self._fail(ordered, LedgerUnavailable("the ledger could not commit; see the log"))

    def _try(self, ordered: list[_Operation], *, one_by_one: bool) -> tuple[list[Callable[[], None]], list[object]]:
        """Do it in one transaction; answers what is to be done now that it is durable, and the results."""
        connection = self._connect()
        batch = Batch(connection, time.time(), claimer=self.claimer)
        kept = False
        try:
            dialects.begin_writing(connection)
            work = self._singly if one_by_one else self._together
            results = work(batch, ordered)
            self._before_commit(batch)
            dialects.notify(connection, batch.to_wake)
            try:
                dialects.finish_writing(connection, keep=True)
            except DBAPIError:
                # it may be durable all the same: then its claims are written, and what was to follow is not done
                self.uncertain.set()
                raise
            kept = True
        finally:
            if not kept:
                self._give_up_transaction(connection)
        return batch.actions, results

    def _together(self, batch: Batch, ordered: list[_Operation]) -> list[object]:
        results: list[object] = []
        start = 0
        while start < len(ordered):
            group = ordered[start].group
            end = start
            while end < len(ordered) and ordered[end].group is group:
                end += 1
            results.extend(group.apply(batch, [one.argument for one in ordered[start:end]]))
            start = end
        return results

    def _singly(self, batch: Batch, ordered: list[_Operation]) -> list[object]:
        results: list[object] = []
        for one in ordered:
            actions, claims, started = len(batch.actions), set(batch.to_claim), dict(batch.started)
            savepoint = batch.connection.begin_nested()
            try:
                results.append(one.group.apply(batch, [one.argument])[0])
                savepoint.commit()
            except OperationalError:
                raise  # the database itself is in trouble: the whole batch waits for it
            except Exception as error:  # noqa: BLE001 - the caller of this one operation gets it, the others go on
                savepoint.rollback()
                del batch.actions[actions:]
                batch.to_claim, batch.started = claims, started
                results.append(error)
        return results

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            if dialects.is_sqlite(connection):
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            self._connection = connection
        return self._connection

    def _give_up_transaction(self, connection: Connection) -> None:
        try:
            dialects.finish_writing(connection, keep=False)
        except DBAPIError:
            self._drop_connection()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except DBAPIError:
                return

    def _fail(self, ordered: list[_Operation], error: Exception) -> None:
        self.uncertain.set()
        for operation in ordered:
            _answer(operation.future, error)


def _act(actions: Sequence[Callable[[], None]]) -> None:
    """The batch is durable: whatever goes wrong with one who is told, it is neither undone nor done again."""
    for action in actions:
        try:
            action()
        except Exception:  # noqa: BLE001 - see the docstring
            _log.exception("something that should follow a commit failed")


def _answer(future: Future[Any], result: object) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _may_pass(error: DBAPIError) -> bool:
    """Whether the same batch may work a moment later: lost connections, deadlocks, locks. A full disk will not."""
    text = str(error.orig or error).lower()
    return not any(sign in text for sign in ("disk is full", "readonly", "read-only", "malformed", "not a database"))
