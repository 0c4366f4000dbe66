"""This file is where a ledger is given hands: what an engine would say to it is said by a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from headgate.ledger.accepting import Ask, Receipt
from headgate.ledger.catalogs import Change, Declaration
from headgate.ledger.store import Ledger, wait_for
from headgate.model import (
    Action,
    Backoff,
    Cause,
    Condition,
    Event,
    Job,
    JobName,
    Json,
    Logical,
    ObjectFilter,
    Predicate,
    Run,
    RunId,
    RunState,
    StoredObject,
    Trigger,
    TriggerName,
    TriggerType,
    new_event_id,
)
from headgate.ports import Ended, Ending, Started, Stop

BUCKET = "raw"
DEADLINE = 30.0


def now() -> datetime:
    return datetime.now(UTC)


def job(name: str, **policy: Any) -> Job:
    policy = {"backoff": Backoff(base=0.0, cap=0.0), **policy}
    return Job(name=JobName(name), engine="local", target={"command": ["true"]}, **policy)


def on_object(name: str, *jobs: str, prefix: str = "", **policy: Any) -> Trigger:
    return Trigger(
        name=TriggerName(name),
        type=TriggerType.EVENT,
        actions=[Action(job=JobName(one)) for one in jobs],
        objects=ObjectFilter(bucket=BUCKET, prefix=prefix),
        **policy,
    )


def after(
    name: str, *actions: str, when: Mapping[str, RunState], logical: Logical = Logical.AND, **policy: Any
) -> Trigger:
    return Trigger(
        name=TriggerName(name),
        type=TriggerType.CONDITIONAL,
        actions=[Action(job=JobName(one)) for one in actions],
        predicate=Predicate(
            conditions=[Condition(job=JobName(watched), state=state) for watched, state in when.items()],
            logical=logical,
        ),
        **policy,
    )


def dropped(key: str = "a.csv", *, etag: str = "1", sequencer: str = "", bucket: str = BUCKET, **more: Any) -> Event:
    """An object has been created."""
    return Event(
        id=new_event_id(),
        door="s3",
        kind="ObjectCreated:Put",
        identity=f"{bucket}/{key}/{etag}/{sequencer}",
        at=now(),
        object=StoredObject(bucket=bucket, key=key, size=1, etag=etag, sequencer=sequencer),
        **more,
    )


class Replica:
    """One ledger with an engine that does what the test says. All calls wait until they are durable."""

    def __init__(self, url: str, *, claims: bool = True, opened: bool = True, **more: Any) -> None:
        self.ledger = Ledger(url, claims=claims, **more)
        self.claimed: list[Run] = []
        self.adopted: list[tuple[Run, bool]] = []
        self.stopped: list[Run] = []
        self.ledger.on_claimed = self.claimed.append
        self.ledger.on_adopted = lambda run, here: self.adopted.append((run, here))
        self.ledger.on_stop = self.stopped.append
        self._sql = sa.create_engine(url, poolclass=sa.NullPool)
        if opened:
            self.ledger.open()

    @property
    def id(self) -> str:
        return self.ledger.id

    def close(self) -> None:
        self.ledger.close()
        self._sql.dispose()

    def declare(
        self, jobs: Sequence[Job], triggers: Sequence[Trigger] = (), *, everything: bool = True
    ) -> list[Change]:
        declared = Declaration({one.name: one for one in jobs}, {one.name: one for one in triggers})
        return wait_for(self.ledger.apply(declared, everything=everything, actor="tester"))

    def accept(self, *events: Event) -> list[Receipt]:
        return wait_for(self.ledger.accept(events))

    def ask(self, name: str, *, key: str | None = None, downstream: bool = True, **more: Any) -> Run:
        event_id = new_event_id()
        event = Event(
            id=event_id,
            door="manual",
            kind="Asked",
            identity=f"asked:{key or event_id}",
            at=now(),
            downstream=downstream,
        )
        return wait_for(self.ledger.ask(Ask(job=JobName(name), event=event, cause=Cause(actor="ann"), **more)))

    def start(self, run: Run, *, handle: str = "", deadline: float | None = None) -> None:
        wait_for(self.ledger.started(Started(run.id, run.attempt, handle or f"h-{run.id[:9]}", now(), deadline)))

    def end(self, run: Run, state: RunState = RunState.SUCCEEDED, **more: Any) -> RunState | None:
        ending = Ending(state=state, at=now(), **more)
        return wait_for(self.ledger.ended(Ended(run.id, run.attempt, ending)))

    def stop(self, run: Run, reason: str = "") -> Run:
        return wait_for(self.ledger.stop(Stop(run.id, "ann", reason)))

    def claim(self, *jobs: str) -> None:
        wait_for(self.ledger.claim(jobs))

    def take_over(self, *, everyone: bool = False) -> list[RunId]:
        return wait_for(self.ledger.take_over(everyone=everyone))

    def run(self, which: Run | str) -> Run:
        return self.ledger.run(which if isinstance(which, str) else which.id)

    def runs(self, name: str | None = None) -> list[Run]:
        """All runs (of a job), oldest first."""
        return list(self.ledger.runs(job=name, limit=100_000).items)[::-1]

    def states(self, name: str | None = None) -> list[str]:
        return [run.state.value for run in self.runs(name)]

    def reasons(self, trigger: str) -> list[str]:
        return [
            f"{one.decision.outcome}: {one.decision.reason}" for one in self.ledger.decisions(trigger=trigger).items
        ]

    def taken(self) -> list[Run]:
        """What was claimed since the last time."""
        taken, self.claimed[:] = list(self.claimed), []
        return taken

    def sql(self, statement: str, **values: Json) -> list[Any]:
        """Say something to the database behind the ledger's back."""
        with self._sql.begin() as connection:
            found = connection.execute(sa.text(statement), values)
            return list(found) if found.returns_rows else []

    def make_due(self) -> None:
        """Let the time come that waiting runs wait for."""
        self.sql("update run set not_before = 1 where not_before is not null")
        self.claim(*self.ledger.catalog.jobs)


class Replicas:
    """The replicas of one test on one ledger."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.made: list[Replica] = []

    def make(self, **more: Any) -> Replica:
        one = Replica(self.url, **more)
        self.made.append(one)
        return one

    def close(self) -> None:
        for one in self.made:
            one.close()


def in_one_batch(ledger: Replica, *calls: Callable[[], Future[Any]]) -> list[Any]:
    """Submit all while the writer is held up, so that one batch takes them together; answers their results."""
    held, go = threading.Event(), threading.Event()

    def hold(_batch: object) -> None:
        held.set()
        assert go.wait(DEADLINE)

    first = ledger.ledger._write(hold)  # pyright: ignore[reportPrivateUsage] - nothing public holds up the writer
    assert held.wait(DEADLINE)
    before = ledger.ledger.written[0]
    futures = [call() for call in calls]
    go.set()
    wait_for(first)
    results = [future.exception(DEADLINE) or future.result() for future in futures]
    wait_for(ledger.ledger.claim([]))
    assert ledger.ledger.written[0] - before <= 3, "they were not one batch"
    return results


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for: {what}"
        time.sleep(0.005)
