"""This file is where time passes by hand: what the sweep claims, stops, takes over, ticks and forgets at a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger.replica import Replica, dropped, job, on_object

from headgate.errors import LedgerUnavailable
from headgate.ledger.store import wait_for
from headgate.model import Action, Backoff, JobName, Missed, Run, RunState, Trigger, TriggerName, TriggerType
from headgate.runtime.sweep import ASK_AGAIN, IDLE, Sweep

DEADLINE = 30.0


class Passing:
    """A replica and its sweep, not started: a test says when it looks."""

    def __init__(self, folder: Path) -> None:
        self.replica = Replica(f"sqlite:///{folder / 'ledger.db'}")
        self.logs = folder / "logs"
        self.asked: list[Run] = []
        self.sweep = Sweep(
            self.replica.ledger,
            stop_run=self.asked.append,
            schedules=True,
            retention_days=90,
            logs=self.logs,
            on_outbox=lambda: None,
        )

    def look(self, now: float | None = None) -> float:
        """Look; waits until what was asked of the ledger is done."""
        following = self.sweep.look(time.time() if now is None else now)
        wait_for(self.replica.ledger.claim([]))
        return following


@pytest.fixture
def passing(tmp_path: Path) -> Iterator[Passing]:
    made = Passing(tmp_path)
    yield made
    made.replica.close()


def _until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.005)


def test_a_settled_run_is_claimed_when_it_is_due(passing: Passing) -> None:
    """Not before; and the look says when it will be."""
    passing.replica.declare([job("a")], [on_object("t", "a", settle=0.2)])
    before = time.time()
    passing.replica.accept(dropped())
    following = passing.look()
    assert passing.replica.taken() == []
    assert following <= before + 0.2 + 0.1
    _until(lambda: time.time() > before + 0.25, "the time to come")
    passing.look()

    assert len(passing.replica.taken()) == 1


def test_a_retry_is_claimed_when_its_pause_is_over(passing: Passing) -> None:
    """The pause is slept through, not polled: the look says when."""
    passing.replica.declare([job("a", max_retries=1, backoff=Backoff(base=0.2, cap=0.2))])
    passing.replica.ask("a")
    passing.replica.end(passing.replica.taken()[0], RunState.FAILED)
    assert passing.look() < time.time() + 0.3
    _until(lambda: passing.look() and passing.replica.claimed, "the retry")

    assert passing.replica.taken()[0].attempt == 1


def test_a_run_past_its_deadline_is_stopped_once_and_asked_again_later(passing: Passing) -> None:
    """STOPPING for its time limit; its engine is asked again only after a while."""
    passing.replica.declare([job("a", timeout=1.0)])
    passing.replica.ask("a")
    (run,) = passing.replica.taken()
    now = time.time()
    passing.replica.start(run, deadline=now + 1)
    passing.look(now)
    assert passing.replica.run(run).state is RunState.RUNNING
    passing.look(now + 2)
    assert passing.replica.run(run).state is RunState.STOPPING
    assert len(passing.replica.stopped) == 1
    passing.look(now + 2.1)
    passing.look(now + 2.2)
    assert len(passing.asked) == 1
    passing.look(now + 2.2 + ASK_AGAIN)

    assert [one.id for one in passing.asked] == [run.id, run.id]


def test_ticks_fire_once_and_the_next_is_told(passing: Passing) -> None:
    """A tick of the past minute fires with `once`; looking again fires nothing; the next minute is waited for."""
    passing.replica.declare([job("a", max_concurrent_runs=9)], [_every_minute(Missed.ONCE)])
    now = time.time()
    passing.replica.sql("update trigger_ set last_tick = :at", at=now - 300)
    following = passing.look(now)
    passing.look(now + 0.01)

    assert len(passing.replica.runs()) == 1
    assert following <= now + IDLE
    passing.look((now // 60 + 1) * 60 + 0.5)
    assert len(passing.replica.runs()) == 2


def test_a_disabled_trigger_owes_nothing_when_it_is_on_again(passing: Passing) -> None:
    """Ticks that passed while it was off are not made up, even with `all`."""
    passing.replica.declare([job("a", max_concurrent_runs=9)], [_every_minute(Missed.ALL)])
    passing.replica.sql("update trigger_ set last_tick = :at", at=time.time() - 600)
    for enabled in (False, True):
        wait_for(passing.replica.ledger.set_enabled(TriggerName("m"), enabled=enabled, actor="ann", reason=""))
    passing.look()

    assert passing.replica.runs() == []


def test_retention_takes_the_logs_along(passing: Passing) -> None:
    """What ended more than 90 days ago goes, with the folders of all its attempts; younger stays."""
    passing.replica.declare([job("a")])
    for _ in range(2):
        passing.replica.ask("a")
        passing.replica.end(passing.replica.taken()[0])
    old, young = passing.replica.runs()
    for name in (old.id, f"{old.id}_attempt_1", young.id):
        (passing.logs / name).mkdir(parents=True)
    passing.replica.sql("update history set ended_at = 1 where id = :id", id=old.id)
    passing.look(time.time() + 61)

    assert [one.name for one in passing.logs.iterdir()] == [young.id]
    assert [run.id for run in passing.replica.runs()] == [young.id]


def test_what_a_failed_write_left_is_taken_up_at_the_next_look(passing: Passing) -> None:
    """An end that could not be written: its run is handed over again without being asked."""
    passing.replica.declare([job("a")])
    passing.replica.ask("a")
    (run,) = passing.replica.taken()
    passing.look()
    assert passing.replica.adopted == []
    passing.replica.sql("alter table history rename to away")
    with pytest.raises(LedgerUnavailable):
        passing.replica.end(run)
    passing.replica.sql("alter table away rename to history")
    passing.look()

    assert [one.id for one, _ in passing.replica.adopted] == [run.id]
    assert passing.replica.end(run) is RunState.SUCCEEDED


def test_a_look_that_fails_is_a_problem_until_one_succeeds(passing: Passing) -> None:
    """/readyz says why; the sweep goes on by itself."""
    passing.replica.declare([job("a")], [on_object("t", "a")])
    passing.sweep.start()
    passing.replica.sql("alter table run rename to away")
    _until(lambda: passing.sweep.problem, "the problem to be noted")
    assert "no such table" in str(passing.sweep.problem)
    passing.replica.sql("alter table away rename to run")
    passing.sweep.wake()
    _until(lambda: passing.sweep.problem is None, "the problem to be over")
    passing.sweep.close()


def _every_minute(missed: Missed) -> Trigger:
    return Trigger(
        name=TriggerName("m"),
        type=TriggerType.SCHEDULED,
        actions=[Action(job=JobName("a"))],
        schedule="* * * * *",
        missed=missed,
    )


def test_a_bug_in_a_look_is_seen_and_is_not_the_last_look(passing: Passing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a look raises, /readyz is told and time goes on passing."""
    looks: list[float] = []

    def broken(now: float) -> float:
        looks.append(now)
        if len(looks) == 1:
            raise ZeroDivisionError("a bug")
        return now + 60.0

    monkeypatch.setattr(passing.sweep, "look", broken)
    passing.sweep.start()
    _until(lambda: passing.sweep.problem, "the problem to be told")
    assert "ZeroDivisionError: a bug" in str(passing.sweep.problem)
    _until(lambda: len(looks) > 1 and passing.sweep.problem is None, "the next look")
    passing.sweep.close()


def test_a_trigger_that_is_new_has_its_first_start(passing: Passing) -> None:
    """Once: the next looks, and those after it was switched off and on, find nothing to start."""
    name = TriggerName("t")
    trigger = Trigger(
        name=name, type=TriggerType.SCHEDULED, actions=[Action(job=JobName("a"))], schedule="cron(0 0 1 1 ? 2099)",
        at_first_start=True,
    )  # fmt: skip
    passing.replica.declare([job("a")], [trigger])
    passing.look()
    passing.look()
    for enabled in (False, True):
        wait_for(passing.replica.ledger.set_enabled(name, enabled=enabled, actor="ann", reason=""))
        passing.look()

    (run,) = passing.replica.taken()
    assert run.cause.trigger == "t"
