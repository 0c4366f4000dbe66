"""This file is where claimed runs are handed to an engine that does what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from headgate.catalog import Catalog
from headgate.errors import EngineInDoubt, EngineRefused, EngineUnavailable
from headgate.flow import dispatch
from headgate.flow.dispatch import FIRST_PAUSE, Dispatcher
from headgate.flow.watch import Watch, split_attempt
from headgate.model import Cause, Job, JobName, Run, RunId, RunState, StoredObject, attempt_id
from headgate.ports import Ended, Ending, Order, Postponed, Progress, Started

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE = 20.0
RUN = Run(
    id=RunId("jr_x"), seq=1, job=JobName("a"), engine="fake", state=RunState.STARTING, detail="", attempt=0,
    cause=Cause(), arguments={}, external_id=None, created_at=NOW, started_at=None, ended_at=None, error=None,
    result={}, timeout=60.0, objects=1,
)  # fmt: skip


@dataclass
class Told:
    """A ledger that remembers what it was told."""

    id: str = "w_1"
    catalog: Catalog = field(
        default_factory=lambda: Catalog.of(1, [Job(name=JobName("a"), engine="fake", target={})], [])
    )
    said: list[object] = field(default_factory=list[object])

    def started(self, started: Started) -> Future[None]:
        return self._note(started)

    def progressed(self, progress: Progress) -> Future[None]:
        return self._note(progress)

    def postponed(self, postponed: Postponed) -> Future[None]:
        return self._note(postponed)

    def ended(self, ended: Ended) -> Future[RunState | None]:
        future: Future[RunState | None] = Future()
        self._note(ended)
        future.set_result(ended.ending.state)
        return future

    def manifest(self, run: RunId) -> Sequence[StoredObject] | None:
        return [StoredObject(bucket="b", key=run)]

    def _note(self, what: object) -> Future[None]:
        self.said.append(what)
        future: Future[None] = Future()
        future.set_result(None)
        return future


@dataclass
class Fake:
    """An engine."""

    name: str = "fake"
    threads: int = 2
    here_only: bool = True
    raises: Exception | None = None
    calls: list[tuple[str, Order]] = field(default_factory=list[tuple[str, Order]])
    held: threading.Event = field(default_factory=threading.Event)

    def start(self, order: Order) -> str:
        self.calls.append(("start", order))
        self.held.wait(DEADLINE)
        if self.raises:
            raise self.raises
        return "handle"

    def stop(self, order: Order, *, grace: float) -> None:
        self.calls.append((f"stop {grace:g}", order))

    def adopt(self, order: Order) -> None:
        self.calls.append(("adopt", order))

    def close(self) -> None:
        return


@dataclass
class World:
    ledger: Told
    engine: Fake
    dispatcher: Dispatcher

    def names(self) -> list[str]:
        return [name for name, _ in self.engine.calls]


@pytest.fixture
def world() -> Iterator[World]:
    ledger, engine = Told(), Fake()
    engine.held.set()
    made = World(ledger, engine, Dispatcher(ledger, {"fake": engine}, grace=3.0))
    yield made
    engine.held.set()
    made.dispatcher.close()


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.002)


def test_a_claimed_run_is_started_with_its_attempt_manifest_and_deadline(world: World) -> None:
    """The engine gets the order; the ledger learns handle and deadline."""
    world.dispatcher.start(replace(RUN, attempt=2))
    until(lambda: world.ledger.said)
    ((_, order),) = world.engine.calls
    (started,) = world.ledger.said

    assert order.attempt_id == "jr_x_attempt_2"
    assert [one.key for one in order.manifest() or ()] == ["jr_x"]
    assert isinstance(started, Started)
    assert (started.attempt, started.external_id) == (2, "handle")
    assert started.deadline == started.at.timestamp() + 60


def test_starting_returns_at_once_and_only_so_many_start_at_a_time(world: World) -> None:
    """The caller is the ledger's writer: it never waits for an engine."""
    world.engine.held.clear()
    for number in range(5):
        world.dispatcher.start(replace(RUN, id=RunId(f"jr_{number}")))
    until(lambda: len(world.engine.calls) == 2)
    assert world.ledger.said == []
    world.engine.held.set()
    until(lambda: len(world.ledger.said) == 5)


def test_what_can_never_start_fails_without_a_retry(world: World) -> None:
    """EngineRefused: FAILED with the engine's words."""
    world.engine.raises = EngineRefused("no such script")
    world.dispatcher.start(RUN)
    until(lambda: world.ledger.said)
    (ended,) = world.ledger.said

    assert isinstance(ended, Ended)
    assert (ended.ending.state, ended.ending.error, ended.ending.retryable) == (
        RunState.FAILED,
        "no such script",
        False,
    )


def test_a_bug_of_an_engine_ends_its_run_and_nobody_elses(world: World) -> None:
    """Anything raised is that run's failure; the next one starts."""
    world.engine.raises = ZeroDivisionError("oops")
    world.dispatcher.start(RUN)
    until(lambda: world.ledger.said)
    world.engine.raises = None
    world.dispatcher.start(replace(RUN, id=RunId("jr_y")))
    until(lambda: len(world.ledger.said) == 2)
    first, second = world.ledger.said

    assert isinstance(first, Ended)
    assert "the engine fake failed: oops" in (first.ending.error or "")
    assert isinstance(second, Started)


def test_an_engine_that_is_away_has_the_run_wait_longer_each_time(world: World) -> None:
    """Postponed with the reason; the pause doubles, and begins anew once it has started."""
    world.engine.raises = EngineUnavailable("no disk")
    pauses: list[float] = []
    for number in range(4):
        before = time.time()
        world.dispatcher.start(RUN)
        until(lambda n=number: len(world.ledger.said) == n + 1)
        postponed = world.ledger.said[-1]
        assert isinstance(postponed, Postponed)
        assert postponed.why == "engine unavailable: no disk"
        pauses.append(round(postponed.not_before - before))

    assert pauses == [FIRST_PAUSE * 2**number for number in range(4)]
    assert world.dispatcher.put_off() == {"fake": 1}
    world.engine.raises = None
    world.dispatcher.start(RUN)
    until(lambda: isinstance(world.ledger.said[-1], Started))
    assert world.dispatcher.put_off() == {}


def test_who_is_not_asked_for_again_is_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was stopped while it waited is no warning for ever."""
    world.engine.raises = EngineUnavailable("no disk")
    world.dispatcher.start(RUN)
    until(lambda: world.ledger.said)
    assert world.dispatcher.put_off() == {"fake": 1}
    monkeypatch.setattr(dispatch, "LONGEST_PAUSE", -1.0)
    assert world.dispatcher.put_off() == {}


def test_what_may_have_been_started_is_held_and_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In doubt it does not go back into the queue, where a stop would leave it running; the engine is asked again."""
    monkeypatch.setattr(dispatch, "FIRST_PAUSE", 0.01)
    world.engine.raises = EngineInDoubt("no answer")
    world.dispatcher.start(RUN)
    until(lambda: len(world.engine.calls) == 2)
    held = world.ledger.said[0]
    assert isinstance(held, Postponed)
    assert (held.held, held.why) == (True, "may have been started: no answer")
    world.engine.raises = None
    until(lambda: isinstance(world.ledger.said[-1], Started))


def test_a_stop_in_doubt_is_the_engines_to_settle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not started any more, and the engine finds out whether it was."""
    monkeypatch.setattr(dispatch, "FIRST_PAUSE", 0.1)
    world.engine.raises = EngineInDoubt("no answer")
    world.dispatcher.start(RUN)
    until(lambda: world.ledger.said)
    world.dispatcher.stop(RUN)
    until(lambda: "stop 3" in world.names())
    time.sleep(0.2)  # as long as it would have taken
    assert world.names() == ["start", "stop 3"]


def test_an_unknown_engine_fails_the_run_and_names_what_there_is(world: World) -> None:
    """Later engines are known to the configuration before they are here."""
    world.dispatcher.start(replace(RUN, engine="glue"))
    (ended,) = world.ledger.said

    assert isinstance(ended, Ended)
    assert ended.ending.error == "the engine 'glue' is not part of this installation; known here: fake"
    assert not ended.ending.retryable


@pytest.mark.parametrize(
    ("state", "calls"),
    [(RunState.STARTING, ["start"]), (RunState.RUNNING, ["adopt"]), (RunState.STOPPING, ["adopt", "stop 3"])],
)
def test_what_is_taken_over_is_started_again_followed_or_stopped(
    world: World, state: RunState, calls: list[str]
) -> None:
    """By the state it was left in; a start finds the first start."""
    world.dispatcher.take_over(replace(RUN, state=state), True)
    until(lambda: world.names() == calls)


def test_what_ran_on_another_machine_is_lost_and_may_be_tried_again(world: World) -> None:
    """Processes cannot be reached from here: FAILED, lost; an engine that is elsewhere anyway is asked."""
    world.dispatcher.take_over(replace(RUN, state=RunState.RUNNING), False)
    (ended,) = world.ledger.said
    assert isinstance(ended, Ended)
    assert (ended.ending.state, ended.ending.detail, ended.ending.retryable) == (RunState.FAILED, "lost", True)
    world.engine.here_only = False
    world.dispatcher.take_over(replace(RUN, state=RunState.RUNNING), False)
    until(lambda: world.names() == ["adopt"])


def test_a_run_of_a_deleted_job_can_still_be_stopped(world: World) -> None:
    """The run's own engine is asked, though there is no such job any more."""
    world.ledger.catalog = Catalog.of(2, [], [])
    world.dispatcher.stop(RUN)
    until(lambda: world.names() == ["stop 3"])


def test_a_closing_dispatcher_leaves_runs_for_the_next_start(world: World) -> None:
    """Nothing is raised into the ledger's writer, nothing is ended."""
    world.dispatcher.close()
    world.dispatcher.start(RUN)

    assert world.ledger.said == []


def test_the_watcher_tells_the_ledger_which_attempt_it_was() -> None:
    """Attempt ids are taken apart the way they are put together."""
    ledger = Told()
    watch = Watch(ledger)
    watch.running("jr_x_attempt_3", "h", NOW)
    watch.progressed("jr_x", {"n": 1})
    watch.ended("jr_x_attempt_12", Ending(state=RunState.SUCCEEDED, at=NOW))

    assert [(one.run, one.attempt) for one in ledger.said if isinstance(one, Started | Progress | Ended)] == [
        ("jr_x", 3),
        ("jr_x", 0),
        ("jr_x", 12),
    ]
    for number in (0, 1, 12):
        assert split_attempt(attempt_id(RunId("jr_x"), number)) == ("jr_x", number)
