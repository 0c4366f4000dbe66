"""This file is where events are handed to every ledger: once, again, late, together, and with nowhere to go."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import NotFound, TooManyRuns
from headgate.model import Backoff, Event, Outcome, RunState, new_event_id

from .replica import Replica, Replicas, dropped, job, now, on_object


def test_an_event_is_a_decision_and_a_run_that_is_claimed_at_once(ledger: Replica) -> None:
    """One transaction writes event, decision and run, and claims it; it is handed over when that is durable."""
    ledger.declare([job("a")], [on_object("t", "a")])
    (receipt,) = ledger.accept(dropped("x.csv"))
    (run,) = ledger.taken()

    assert (receipt.duplicate, receipt.decisions[0].outcome, receipt.decisions[0].run) == (False, Outcome.FIRED, run.id)
    assert (run.state, run.cause.event, run.cause.trigger, run.owner) == (
        RunState.STARTING,
        receipt.event,
        "t",
        ledger.id,
    )
    assert ledger.run(run).state is RunState.STARTING
    assert sum(ledger.ledger.written) < 20, "accept and claim were not one batch"
    assert ledger.ledger.replays == 0


def test_a_redelivery_is_answered_with_the_first_decisions(ledger: Replica) -> None:
    """The same identity again, later or in the same batch, is a duplicate: same event, same decisions, no new run."""
    ledger.declare([job("a")], [on_object("t", "a")])
    first, twin = ledger.accept(dropped("x.csv"), dropped("x.csv"))
    (again,) = ledger.accept(dropped("x.csv"))

    assert (first.duplicate, twin.duplicate, again.duplicate) == (False, True, True)
    assert first.event == twin.event == again.event
    assert list(first.decisions) == list(twin.decisions) == list(again.decisions)
    assert len(ledger.runs()) == 1


def test_a_redelivery_to_another_replica_is_known_there(replicas: Replicas) -> None:
    """What one replica took, another answers as a duplicate."""
    one, other = replicas.make(), replicas.make()
    one.declare([job("a")], [on_object("t", "a")])
    (first,) = one.accept(dropped("x.csv"))
    (again,) = other.accept(dropped("x.csv"))

    assert again.duplicate
    assert list(again.decisions) == list(first.decisions)


def test_an_event_older_than_the_newest_of_its_object_is_skipped(ledger: Replica) -> None:
    """S3 may deliver out of order: by the sequencer, compared as S3 says, the older one comes too late."""
    ledger.declare([job("a", max_concurrent_runs=9)], [on_object("t", "a", max_objects=1)])
    ledger.accept(dropped("x.csv", etag="2", sequencer="0A0B"))
    (late,) = ledger.accept(dropped("x.csv", etag="1", sequencer="0A0A"))
    (longer,) = ledger.accept(dropped("x.csv", etag="3", sequencer="0a0b01"))
    (other,) = ledger.accept(dropped("y.csv", etag="1", sequencer="00"))

    assert late.decisions[0].outcome is Outcome.SKIPPED
    assert late.decisions[0].reason.startswith("late:")
    assert [one.decisions[0].outcome for one in (longer, other)] == [Outcome.FIRED, Outcome.FIRED]


def test_events_join_the_waiting_run_until_it_starts(ledger: Replica) -> None:
    """A burst is one run with a manifest; once that run has started the next event makes a new one."""
    ledger.declare([job("a")], [on_object("t", "a")])
    ledger.accept(dropped("0.csv"))
    running = ledger.taken()[0]
    receipts = ledger.accept(*[dropped(f"{n}.csv") for n in range(1, 4)])
    (joined,) = ledger.accept(dropped("4.csv"))
    waiting = ledger.runs()[1]

    assert [one.decisions[0].outcome for one in (*receipts, joined)] == ["fired", "joined", "joined", "joined"]
    assert (waiting.state, waiting.objects, len(ledger.runs())) == (RunState.WAITING, 4, 2)
    assert [one.key for one in ledger.ledger.manifest(waiting.id) or ()] == ["1.csv", "2.csv", "3.csv", "4.csv"]
    assert [one.key for one in ledger.ledger.manifest(running.id) or ()] == ["0.csv"]

    ledger.end(running)
    assert [run.id for run in ledger.taken()] == [waiting.id]
    assert ledger.accept(dropped("5.csv"))[0].decisions[0].outcome is Outcome.FIRED


def test_a_run_holds_at_most_max_objects(ledger: Replica) -> None:
    """Twice max_objects and one more events, over several batches, are three runs of exactly 3, 3 and 1."""
    ledger.declare([job("a")], [on_object("t", "a", max_objects=3)])
    ledger.ask("a")
    ledger.accept(*[dropped(f"{n}.csv") for n in range(2)])
    ledger.accept(*[dropped(f"{n}.csv") for n in range(2, 6)])
    ledger.accept(dropped("6.csv"))

    assert [run.objects for run in ledger.runs()] == [0, 3, 3, 1]
    assert [len(ledger.ledger.manifest(run.id) or ()) for run in ledger.runs()] == [0, 3, 3, 1]


def test_runs_of_other_triggers_and_without_followers_are_not_joined(ledger: Replica) -> None:
    """An event joins a run of its own trigger, job and `downstream` only; and never one that waits for a retry."""
    ledger.declare([job("a", max_retries=1, backoff=Backoff(base=60.0))], [on_object("t", "a"), on_object("u", "a")])
    first = ledger.ask("a")
    ledger.accept(dropped("1.csv"))
    ledger.accept(dropped("2.csv", downstream=False))

    assert [run.objects for run in ledger.runs()] == [0, 1, 1, 1, 1]
    ledger.end(first)
    failed = ledger.taken()[-1]
    ledger.end(failed, RunState.FAILED)
    assert ledger.run(failed).detail == "retry"
    ledger.accept(dropped("3.csv", downstream=failed.downstream))
    assert ledger.run(failed).objects == 1


def test_a_settling_run_waits_for_quiet_and_not_for_ever(ledger: Replica) -> None:
    """Each joining event puts the start off by the settle window, up to ten windows after the first."""
    ledger.declare([job("a")], [on_object("t", "a", settle=50.0)])
    before = now()
    ledger.accept(dropped("1.csv"))
    run = ledger.runs()[0]
    assert run.not_before is not None
    assert ledger.taken() == []
    assert run.detail == "settling"
    assert timedelta(seconds=49) < run.not_before - before < timedelta(seconds=52)

    ledger.sql("update run set not_before = not_before - 40, settle_until = settle_until - 470")
    ledger.accept(dropped("2.csv"))
    later = ledger.run(run)
    assert later.not_before is not None
    assert timedelta(seconds=28) < later.not_before - before < timedelta(seconds=32), "the ceiling did not hold"
    ledger.make_due()
    assert [(one.id, one.objects) for one in ledger.taken()] == [(run.id, 2)]


def test_every_event_has_a_decision(ledger: Replica) -> None:
    """What nobody wants says why: bucket, prefix, disabled, marker."""
    ledger.declare([job("a")], [on_object("t", "a", prefix="in/"), on_object("off", "a", prefix="off/", enabled=False)])
    reasons = [
        [one.reason for one in receipt.decisions]
        for receipt in ledger.accept(
            dropped("in/x", bucket="elsewhere"), dropped("other/x"), dropped("off/x"), dropped("in/x.tmp")
        )
    ]

    assert [len(one) for one in reasons] == [1, 2, 2, 1]
    assert all(reason for one in reasons for reason in one)
    assert "elsewhere" in reasons[0][0]
    assert any(reason.startswith("disabled") for reason in reasons[2])
    assert ledger.runs() == []


def test_every_action_of_a_trigger_starts(ledger: Replica) -> None:
    """A trigger with two jobs makes two runs, one decision each."""
    ledger.declare([job("a"), job("b")], [on_object("t", "a", "b")])
    (receipt,) = ledger.accept(dropped())

    assert [one.job for one in receipt.decisions] == ["a", "b"]
    assert sorted(run.job for run in ledger.taken()) == ["a", "b"]


def test_a_job_that_does_not_queue_refuses_people_and_records_triggers(ledger: Replica) -> None:
    """At its limit: TooManyRuns for whoever asks, a FAILED run for a trigger, as Glue does."""
    ledger.declare([job("a", queue=False)], [on_object("t", "a")])
    first = ledger.ask("a")
    with pytest.raises(TooManyRuns, match="a: it may have 1 at a time"):
        ledger.ask("a")
    (receipt,) = ledger.accept(dropped())
    refused = ledger.run(receipt.decisions[0].run or "")

    assert (refused.state, refused.detail) == (RunState.FAILED, "refused")
    assert "Max concurrent runs exceeded" in (refused.error or "")
    assert refused.ended_at is not None
    assert ledger.ledger.replays == 0
    ledger.end(first)
    assert ledger.ask("a").state is RunState.STARTING


def test_a_trigger_for_a_deleted_job_makes_an_error_run(ledger: Replica) -> None:
    """The event is not lost: it is a run in ERROR that says which job is missing."""
    ledger.declare([], [on_object("t", "gone")])
    (receipt,) = ledger.accept(dropped())
    run = ledger.run(receipt.decisions[0].run or "")

    assert (run.state, run.job) == (RunState.ERROR, "gone")
    assert "does not exist" in (run.error or "")


def test_asking_for_an_unknown_job_names_the_known_ones(ledger: Replica) -> None:
    """NotFound says what there is; nothing is written."""
    ledger.declare([job("a"), job("b")])
    with pytest.raises(NotFound, match="known jobs: a, b"):
        ledger.ask("c")
    assert ledger.runs() == []


def test_asking_twice_with_one_key_is_one_run(ledger: Replica) -> None:
    """The same key answers the run of the first call, under way and when it is over."""
    ledger.declare([job("a")])
    first = ledger.ask("a", key="k")
    assert ledger.ask("a", key="k").id == first.id
    ledger.end(ledger.taken()[0])
    again = ledger.ask("a", key="k")
    assert (again.id, again.state) == (first.id, RunState.SUCCEEDED)


def test_a_retried_run_has_the_objects_of_the_first(ledger: Replica) -> None:
    """A run asked for again after another gets that one's manifest."""
    ledger.declare([job("a")], [on_object("t", "a", settle=100)])
    ledger.accept(dropped("1.csv"), dropped("2.csv"))
    ledger.make_due()
    (first,) = ledger.taken()
    ledger.end(first, RunState.FAILED)
    again = ledger.ask("a", previous=first.id)

    assert [one.key for one in ledger.ledger.manifest(again.id) or ()] == ["1.csv", "2.csv"]
    assert ledger.taken()[0].objects == 2


def test_arguments_override_key_by_key(ledger: Replica) -> None:
    """The job's, over them the caller's."""
    ledger.declare([job("a", arguments={"--x": "1", "--y": "2"})])

    assert ledger.ask("a", arguments={"--y": "3", "--z": "4"}).arguments == {"--x": "1", "--y": "3", "--z": "4"}


def test_one_bad_event_in_a_batch_fails_alone(ledger: Replica) -> None:
    """An operation that cannot be written tells its own caller; those that came with it land."""
    ledger.declare([job("a", max_concurrent_runs=100)], [on_object("t", "a", max_objects=1)])
    poisoned = Event(id=new_event_id(), door="s3", kind="k", identity="poison", at=now(), payload={"n": "\ud800"})
    futures = [
        ledger.ledger.accept([dropped("1.csv")]),
        ledger.ledger.accept([poisoned]),
        ledger.ledger.accept([dropped("2.csv")]),
    ]
    results = [future.exception(30) for future in futures]

    assert [error is None for error in results] == [True, False, True]
    assert len(ledger.taken()) == 2


_KEYS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=1, max_size=25)


@given(deliveries=_KEYS, cuts=st.lists(st.integers(1, 5), max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_are_taken_once_in_any_order_and_repetition(
    ledger: Replica, deliveries: list[tuple[str, int]], cuts: list[int]
) -> None:
    """However events are repeated, ordered and cut into batches: one event each, and every first one decided once."""
    ledger.sql("delete from decision")
    ledger.sql("delete from event")
    ledger.sql("delete from run")
    ledger.sql("delete from newest")
    ledger.sql("delete from job")
    ledger.sql("delete from trigger_")
    ledger.declare([job("a", max_concurrent_runs=1)], [on_object("t", "a", max_objects=4)])
    events = [dropped(f"{name}.csv", etag=str(number), sequencer=f"{number:04X}") for name, number in deliveries]
    waiting = iter(events)
    sizes = [*cuts, len(events)]
    for size in sizes:
        batch = list(islice(waiting, size))
        if batch:
            ledger.accept(*batch)
    expected = {event.identity for event in events}
    newest: dict[str, int] = {}
    started: set[tuple[str, int]] = set()
    for name, number in deliveries:
        if number >= newest.get(name, -1):
            started.add((name, number))
        newest[name] = max(newest.get(name, -1), number)
    decided = ledger.sql("select outcome from decision")

    assert len(ledger.sql("select id from event")) == len(expected)
    assert len(decided) == len(expected)
    assert sum(run.objects for run in ledger.runs()) == len(started)
    assert all(run.objects <= 4 for run in ledger.runs())


def test_waiting_runs_of_a_deleted_job_end_in_error(ledger: Replica) -> None:
    """Nobody would ever start them; the one under way goes on."""
    ledger.declare([job("a")])
    first, second = ledger.ask("a"), ledger.ask("a")
    ledger.declare([])

    ended = ledger.run(second.id)
    assert (ended.state, ended.detail) == (RunState.ERROR, "job deleted")
    assert "deleted while this run waited" in (ended.error or "")
    assert ledger.run(first.id).state is RunState.STARTING
