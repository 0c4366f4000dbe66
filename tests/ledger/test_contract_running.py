"""This file is where every ledger's queue, starts, ends, retries and stops are held to their promises."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from headgate.errors import Conflict, NotFound
from headgate.ledger.store import wait_for
from headgate.model import NEXT, OCCUPYING, Backoff, RunState
from headgate.ports import TIMED_OUT, Ended, Ending, Postponed, Progress, Started, Stop

from .replica import Replica, Replicas, in_one_batch, job, now, on_object

# -- the queue


def test_runs_start_in_the_order_they_came_and_never_more_than_the_limit(ledger: Replica) -> None:
    """Ten runs of a job with two places: two at a time, oldest first."""
    ledger.declare([job("a", max_concurrent_runs=2)])
    asked = [ledger.ask("a").id for _ in range(10)]
    order: list[str] = []
    while taken := ledger.taken():
        order += [run.id for run in taken]
        assert sum(run.state in OCCUPYING for run in ledger.runs()) <= 2
        ledger.end(taken[0])
        for run in taken[1:]:
            ledger.end(run)

    assert order == asked
    assert set(ledger.states()) == {"SUCCEEDED"}
    assert ledger.ledger.replays == 0


def test_many_asked_at_once_are_claimed_within_the_limit(ledger: Replica) -> None:
    """Asks that fall into one batch are claimed together, exactly as many as there are places."""
    ledger.declare([job("a", max_concurrent_runs=7)])
    threads = [threading.Thread(target=ledger.ask, args=("a",)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ledger.taken()) == 7
    assert ledger.states().count("WAITING") == 23


def test_a_raised_limit_has_places_at_once(ledger: Replica) -> None:
    """Declaring a higher limit starts what waits in the same transaction."""
    ledger.declare([job("a")])
    for _ in range(3):
        ledger.ask("a")
    assert len(ledger.taken()) == 1
    ledger.declare([job("a", max_concurrent_runs=3)])

    assert len(ledger.taken()) == 2


def test_a_deleted_job_starts_nothing_more_and_its_running_runs_end(ledger: Replica) -> None:
    """Deleting a job starts nothing more of it; what runs ends as it does."""
    ledger.declare([job("a")])
    ledger.ask("a")
    waiting = ledger.ask("a")
    (first,) = ledger.taken()
    ledger.declare([])
    ledger.end(first)

    assert ledger.taken() == []
    assert ledger.run(waiting).state is RunState.ERROR
    assert ledger.run(first).state is RunState.SUCCEEDED


# -- starting


def test_a_start_is_noted_with_handle_time_and_deadline(ledger: Replica) -> None:
    """RUNNING has the engine's own id; told twice, the first time stays."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.start(run, handle="pid-1")
    first = ledger.run(run).started_at
    ledger.start(run, handle="pid-1")

    assert (ledger.run(run).state, ledger.run("pid-1").id) == (RunState.RUNNING, run.id)
    assert ledger.run(run).started_at == first


@pytest.mark.parametrize("deadlines", [(5.0, None), (None, 5.0)])
def test_a_deadline_is_kept_whoever_tells_the_start_last(
    ledger: Replica, deadlines: tuple[float | None, float | None]
) -> None:
    """The dispatcher knows the deadline and the watcher does not: told in one batch, the deadline stays."""
    ledger.declare([job("a"), job("b")])
    ledger.ask("a")
    (run,) = ledger.taken()
    in_one_batch(ledger, *[lambda d=d: ledger.ledger.started(Started(run.id, 0, "h", now(), d)) for d in deadlines])

    assert ledger.ledger.look(time.time())[2] == [run.id]


def test_a_start_and_end_of_one_batch_leave_the_handle_and_the_times(ledger: Replica) -> None:
    """A run that starts and ends before the next commit is written once, with everything."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    ending = Ending(state=RunState.SUCCEEDED, at=now(), result={"rows": 1})
    in_one_batch(
        ledger,
        lambda: ledger.ledger.started(Started(run.id, 0, "h-1", now(), None)),
        lambda: ledger.ledger.ended(Ended(run.id, 0, ending)),
    )
    over = ledger.run("h-1")

    assert (over.id, over.state, over.result) == (run.id, RunState.SUCCEEDED, {"rows": 1})
    assert over.started_at is not None


@pytest.mark.parametrize("together", [True, False])
def test_of_two_who_tell_a_start_the_earlier_time_counts(ledger: Replica, together: bool) -> None:
    """A process that was taken over began before the dispatcher handed it over again: its engine knows when."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    began = now() - timedelta(seconds=9)
    told = [
        lambda at=at: ledger.ledger.started(Started(run.id, 0, "h-1", at, None))
        for at in (now(), began, now())
    ]  # fmt: skip
    if together:
        in_one_batch(ledger, *told)
    else:
        for one in told:
            wait_for(one())

    assert ledger.run(run).started_at == began


@pytest.mark.parametrize("together", [True, False])
def test_no_run_starts_after_its_end(ledger: Replica, together: bool) -> None:
    """One that ended while nobody watched is told as started later, by whoever takes it over."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    ending = Ending(state=RunState.SUCCEEDED, at=now() - timedelta(seconds=9))
    if together:
        in_one_batch(
            ledger,
            lambda: ledger.ledger.started(Started(run.id, 0, "h-1", now(), None)),
            lambda: ledger.ledger.ended(Ended(run.id, 0, ending)),
        )
    else:
        ledger.start(run)
        wait_for(ledger.ledger.ended(Ended(run.id, 0, ending)))
    over = ledger.run(run)

    assert (over.state, over.started_at, over.ended_at) == (RunState.SUCCEEDED, ending.at, ending.at)


def test_progress_is_the_newest_that_was_told(ledger: Replica) -> None:
    """Progress shows on the live run."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    for rows in (1, 2):
        wait_for(ledger.ledger.progressed(Progress(run.id, 0, {"rows": rows})))

    assert ledger.run(run).progress == {"rows": 2}


def test_a_postponed_run_waits_without_counting_an_attempt_and_keeps_its_place(ledger: Replica) -> None:
    """An engine that is not available gives the place back; when its time comes the run is first again."""
    ledger.declare([job("a")])
    ledger.ask("a")
    later = ledger.ask("a")
    (run,) = ledger.taken()
    wait_for(ledger.ledger.postponed(Postponed(run.id, 0, "engine unavailable: away", time.time() + 60)))
    waiting = ledger.run(run)
    assert (waiting.state, waiting.attempt, waiting.detail, waiting.owner) == (
        RunState.WAITING,
        0,
        "engine unavailable: away",
        None,
    )
    ledger.claim("a")
    assert [one.id for one in ledger.taken()] == [later.id], "the free place was left empty"
    ledger.make_due()
    ledger.end(later)
    assert [one.id for one in ledger.taken()] == [run.id]


def test_a_run_that_may_have_been_started_keeps_its_place_and_is_stopped_by_its_engine(ledger: Replica) -> None:
    """Held, it stays STARTING with the reason; a start clears that, and a stop does not end it on its own."""
    ledger.declare([job("a", max_concurrent_runs=2)])
    ledger.ask("a")
    ledger.ask("a")
    first, second = ledger.taken()
    for run in (first, second):
        wait_for(ledger.ledger.postponed(Postponed(run.id, 0, "may have been started: away", time.time(), held=True)))
    held = ledger.run(first)
    assert (held.state, held.detail, held.owner) == (RunState.STARTING, "may have been started: away", ledger.ledger.id)
    ledger.start(first)
    assert (ledger.run(first).state, ledger.run(first).detail) == (RunState.RUNNING, "")
    stopped = wait_for(ledger.ledger.stop(Stop(second.id, "somebody", "enough")))
    assert stopped.state is RunState.STOPPING


# -- ending and retrying


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.TIMEOUT])
def test_an_end_is_final_and_told_once(ledger: Replica, state: RunState) -> None:
    """The first end counts; whatever is told later is answered None and changes nothing."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.start(run)

    assert ledger.end(run, state, error="e") is state
    over = ledger.run(run)
    for other in RunState:
        if other in (RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.TIMEOUT, RunState.ERROR):
            assert ledger.end(run, other, error="late") is None
    ledger.start(run)
    assert ledger.run(run) == over
    assert (over.state, over.error, over.owner) == (state, "e", None)


def test_a_timeout_says_so_in_words(ledger: Replica) -> None:
    """An engine that keeps the time limit itself tells TIMEOUT: whoever reads the run learns which limit that was."""
    ledger.declare([job("a", timeout=7.0)])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.end(run, RunState.TIMEOUT, detail="timeout")

    assert "7 s" in (ledger.run(run).error or "")


def test_two_ends_of_one_run_in_one_batch_are_one(ledger: Replica) -> None:
    """Only the first of two ends is written, even when both are there before the commit."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    states = (RunState.SUCCEEDED, RunState.FAILED)
    results = in_one_batch(
        ledger, *[lambda s=s: ledger.ledger.ended(Ended(run.id, 0, Ending(state=s, at=now()))) for s in states]
    )

    assert results == [RunState.SUCCEEDED, None]
    assert ledger.run(run).state is RunState.SUCCEEDED


def test_a_failed_attempt_is_tried_again_and_every_attempt_is_kept(ledger: Replica) -> None:
    """Attempts are rows of their own; between them the run is WAITING with detail `retry`."""
    ledger.declare([job("a", max_retries=2, backoff=Backoff(base=60.0))])
    ledger.ask("a")
    for number in range(2):
        (run,) = ledger.taken()
        ledger.start(run, handle=f"h{number}")
        assert ledger.end(run, RunState.FAILED, error=f"e{number}") is RunState.WAITING
        waiting = ledger.run(run)
        assert (waiting.state, waiting.detail, waiting.attempt) == (RunState.WAITING, "retry", number + 1)
        ledger.make_due()
    (run,) = ledger.taken()
    ledger.start(run, handle="h2")
    ledger.end(run)
    over = ledger.run(run)
    attempts = ledger.ledger.attempts(over)

    assert [(one.number, one.state.value, one.error, one.external_id) for one in attempts] == [
        (0, "FAILED", "e0", "h0"),
        (1, "FAILED", "e1", "h1"),
        (2, "SUCCEEDED", None, "h2"),
    ]
    assert attempts[2].id == f"{over.id}_attempt_2"
    assert ledger.run(attempts[1].id).id == over.id
    assert (over.state, over.attempt) == (RunState.SUCCEEDED, 2)


def test_the_last_failed_attempt_fails_the_run(ledger: Replica) -> None:
    """With no retries left the run ends FAILED with the last attempt's error."""
    ledger.declare([job("a", max_retries=1)])
    ledger.ask("a")
    ledger.end(ledger.taken()[0], RunState.FAILED, error="first")
    ledger.claim("a")
    assert ledger.end(ledger.taken()[0], RunState.FAILED, error="last") is RunState.FAILED

    assert ledger.runs()[0].error == "last"


def test_an_end_told_for_an_earlier_attempt_is_ignored(ledger: Replica) -> None:
    """A late word about attempt 0 cannot end attempt 1."""
    ledger.declare([job("a", max_retries=1)])
    ledger.ask("a")
    (first,) = ledger.taken()
    ledger.end(first, RunState.FAILED)
    ledger.claim("a")
    (second,) = ledger.taken()

    assert ledger.end(first, RunState.SUCCEEDED) is None
    assert ledger.run(second).state is RunState.STARTING


def test_a_retry_waits_between_half_and_all_of_its_pause(ledger: Replica) -> None:
    """Pauses double from `base` up to `cap`, each with a random part between half and all."""
    ledger.declare([job("a", max_retries=4, backoff=Backoff(base=100.0, factor=2.0, cap=300.0))])
    ledger.ask("a")
    for full in (100, 200, 300, 300):
        (run,) = ledger.taken()
        before = time.time()
        ledger.end(run, RunState.FAILED)
        not_before = ledger.run(run).not_before
        assert not_before is not None
        assert full / 2 - 1 <= not_before.timestamp() - before <= full + 1
        ledger.claim("a")
        assert ledger.taken() == [], "it was claimed before its time"
        ledger.make_due()


@pytest.mark.parametrize(
    ("state", "retryable"), [(RunState.FAILED, False), (RunState.TIMEOUT, True), (RunState.STOPPED, True)]
)
def test_what_cannot_be_helped_is_not_tried_again(ledger: Replica, state: RunState, retryable: bool) -> None:
    """NotRetryable, TIMEOUT and STOPPED end the run, however many retries are left."""
    ledger.declare([job("a", max_retries=5)])
    ledger.ask("a")

    assert ledger.end(ledger.taken()[0], state, retryable=retryable) is state


# -- stopping


def test_a_waiting_run_is_stopped_at_once(ledger: Replica) -> None:
    """STOPPED without having started, with who and why; nothing is asked of the engine."""
    ledger.declare([job("a")])
    ledger.ask("a")
    waiting = ledger.ask("a")
    stopped = ledger.stop(waiting, "wrong file")

    assert (stopped.state, stopped.error) == (RunState.STOPPED, "stopped by ann: wrong file")
    assert ledger.stopped == []
    assert ledger.run(waiting).state is RunState.STOPPED


def test_a_run_between_attempts_is_stopped_at_once(ledger: Replica) -> None:
    """One that waits for its retry ends STOPPED and keeps the attempts it had."""
    ledger.declare([job("a", max_retries=1, backoff=Backoff(base=99, cap=99))])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.end(run, RunState.FAILED)
    stopped = ledger.stop(run)

    assert stopped.state is RunState.STOPPED
    assert [one.state.value for one in ledger.ledger.attempts(stopped)] == ["FAILED", "STOPPED"]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("told", "ends"),
    [
        (RunState.STOPPED, RunState.STOPPED),
        (RunState.SUCCEEDED, RunState.SUCCEEDED),
        (RunState.FAILED, RunState.FAILED),
        (RunState.TIMEOUT, RunState.TIMEOUT),
        (RunState.ERROR, RunState.STOPPED),
    ],
)
def test_a_run_under_way_is_stopping_until_its_engine_has_ended_it(
    ledger: Replica, running: bool, told: RunState, ends: RunState
) -> None:
    """STOPPING, its engine asked once it is durable; the end is what the engine really saw. No retry; who, and why."""
    ledger.declare([job("a", max_retries=3)])
    ledger.ask("a")
    (run,) = ledger.taken()
    if running:
        ledger.start(run)
    assert ledger.stop(run, "enough").state is RunState.STOPPING
    assert [one.id for one in ledger.stopped] == [run.id]
    ledger.start(run)
    assert ledger.run(run).state is RunState.STOPPING, "a late start undid the stop"
    assert ledger.stop(run).state is RunState.STOPPING, "stopping twice is harmless"

    assert ledger.end(run, told) is ends
    assert ends in NEXT[RunState.STOPPING]
    assert ledger.run(run).detail == ("stop asked for by ann: enough" if ends is RunState.STOPPED else "")


def test_a_run_past_its_limit_ends_timeout_and_is_not_tried_again(ledger: Replica) -> None:
    """The stop that the time limit asked for ends in TIMEOUT, with the limit in words."""
    ledger.declare([job("a", max_retries=3, timeout=2.0)])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.start(run, deadline=time.time() - 1)
    assert ledger.ledger.look(time.time())[2] == [run.id]
    ledger.stop(run, TIMED_OUT)
    assert ledger.ledger.look(time.time())[2] == [], "a run that is being stopped is overdue no more"

    assert ledger.end(run, RunState.STOPPED) is RunState.TIMEOUT
    assert "2 s" in (ledger.run(run).error or "")


def test_what_is_over_or_unknown_cannot_be_stopped(ledger: Replica) -> None:
    """Conflict says how it ended, NotFound that there is none; neither disturbs a batch."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    ledger.end(run)
    with pytest.raises(Conflict, match="it ended SUCCEEDED"):
        ledger.stop(run)
    unknown = ledger.ask("a")
    ledger.sql("delete from run where id = :id", id=unknown.id)
    with pytest.raises(NotFound):
        ledger.stop(unknown)
    assert ledger.ledger.replays == 0


def test_a_stop_told_to_another_replica_reaches_the_owner(replicas: Replicas) -> None:
    """Any replica takes a stop; the one that runs the run finds it at its next look."""
    owner, other = replicas.make(), replicas.make(claims=False)
    owner.declare([job("a")])
    owner.ask("a")
    (run,) = owner.taken()

    assert other.stop(run).state is RunState.STOPPING
    assert (other.stopped, owner.stopped) == ([], [])
    assert [one.id for one in owner.ledger.look(time.time())[3]] == [run.id]
    assert other.ledger.look(time.time())[3] == []


def test_the_next_run_is_claimed_in_the_transaction_that_ends_one(ledger: Replica) -> None:
    """End and claim are one batch: between two runs of a job there is no waiting for a poll."""
    ledger.declare([job("a")])
    ledger.ask("a")
    following = ledger.ask("a")
    (first,) = ledger.taken()
    before = ledger.ledger.written[0]
    ledger.end(first)

    assert [run.id for run in ledger.taken()] == [following.id]
    assert ledger.ledger.written[0] - before <= 1


def test_a_batch_does_not_start_what_an_action_cannot_take(replicas: Replicas) -> None:
    """A replica that runs nothing claims nothing: what it accepts waits for one that does."""
    doors, worker = replicas.make(claims=False), replicas.make()
    doors.declare([job("a")], [on_object("t", "a")])
    doors.ask("a")
    assert (doors.taken(), doors.states()) == ([], ["WAITING"])
    worker.claim("a")

    assert len(worker.taken()) == 1
