"""This file is where a run's end meets the conditional triggers of every ledger."""

from __future__ import annotations

import threading

import pytest

from headgate.ledger.store import wait_for
from headgate.model import WATCHABLE, Backoff, FiresFor, Logical, Run, RunState, TriggerName
from headgate.ports import Ended, Ending

from .replica import Replica, Replicas, after, dropped, job, now, on_object

MANY = 100


def _run(ledger: Replica, name: str, state: RunState = RunState.SUCCEEDED, *, downstream: bool = True) -> Run:
    """A run of the job, asked for and ended."""
    asked = ledger.ask(name, downstream=downstream)
    ledger.claim(name)
    run = next(one for one in ledger.claimed if one.id == asked.id)
    ledger.end(run, state)
    return ledger.run(run)


def test_one_success_is_one_downstream_run_in_the_same_transaction(ledger: Replica) -> None:
    """The end, the decision and the run that follows are one batch; the new run is claimed in it."""
    ledger.declare([job("a"), job("b")], [after("t", "b", when={"a": RunState.SUCCEEDED})])
    ledger.ask("a")
    (first,) = ledger.taken()
    batches = ledger.ledger.written[0]
    ledger.end(first)
    (second,) = ledger.taken()

    assert (second.job, second.cause.trigger) == ("b", "t")
    assert [(one.job, one.run) for one in second.predecessors] == [("a", first.id)]
    assert ledger.ledger.written[0] - batches <= 1
    assert ledger.run(second).predecessors == second.predecessors


@pytest.mark.parametrize("watched", sorted(WATCHABLE))
def test_a_trigger_fires_for_the_state_it_watches_and_no_other(ledger: Replica, watched: RunState) -> None:
    """For each of Glue's four watchable states."""
    ledger.declare(
        [job("a", max_concurrent_runs=9), job("b", max_concurrent_runs=9)], [after("t", "b", when={"a": watched})]
    )
    for state in sorted(WATCHABLE):
        _run(ledger, "a", state)

    assert len(ledger.runs("b")) == 1
    fired = [reason for reason in ledger.reasons("t") if reason.startswith("fired")]
    skipped = [reason for reason in ledger.reasons("t") if reason.startswith("skipped: state:")]
    assert (len(fired), len(skipped)) == (1, 3)


def test_only_the_last_attempt_fires(ledger: Replica) -> None:
    """Attempts that are tried again fire nothing, neither as failures nor otherwise."""
    ledger.declare(
        [job("a", max_retries=2), job("b"), job("c")],
        [
            after("on-failure", "b", when={"a": RunState.FAILED}),
            after("on-success", "c", when={"a": RunState.SUCCEEDED}),
        ],
    )
    ledger.ask("a")
    for _ in range(2):
        ledger.end(ledger.taken()[0], RunState.FAILED)
        ledger.claim("a")
    assert ledger.runs("b") == []
    ledger.end(ledger.taken()[0], RunState.FAILED)

    assert (len(ledger.runs("b")), len(ledger.runs("c"))) == (1, 0)


def test_any_fires_for_each_end(ledger: Replica) -> None:
    """With ANY each condition that comes true is a firing of its own."""
    ledger.declare(
        [job("a"), job("b"), job("c", max_concurrent_runs=9)],
        [after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.FAILED}, logical=Logical.ANY)],
    )
    _run(ledger, "a")
    _run(ledger, "b", RunState.FAILED)
    _run(ledger, "b")

    assert [run.predecessors[0].job for run in ledger.runs("c")] == ["a", "b"]


def test_and_waits_for_all_and_takes_the_newest_end_of_each(ledger: Replica) -> None:
    """A latch per condition: the newest end counts, the firing clears them, and the decision says what is missing."""
    ledger.declare(
        [job("a"), job("b"), job("c", max_concurrent_runs=9)],
        [after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED})],
    )
    _run(ledger, "a")
    assert "still waiting for b SUCCEEDED" in ledger.reasons("t")[0]
    newest = _run(ledger, "a")
    last = _run(ledger, "b")
    (fired,) = ledger.runs("c")
    assert {one.run for one in fired.predecessors} == {newest.id, last.id}

    _run(ledger, "b")
    assert len(ledger.runs("c")) == 1, "a latch outlived its firing"
    _run(ledger, "a")
    assert len(ledger.runs("c")) == 2


def test_and_over_ends_of_one_batch_fires_once(ledger: Replica) -> None:
    """Both watched runs end in one transaction."""
    ledger.declare(
        [job("a"), job("b"), job("c", max_concurrent_runs=99)],
        [after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED})],
    )
    for number in range(10):
        ledger.ask("a")
        ledger.ask("b")
        ends = [
            Ended(run.id, 0, Ending(state=RunState.SUCCEEDED, at=now())) for run in ledger.taken() if run.job != "c"
        ]
        for future in [ledger.ledger.ended(end) for end in ends]:
            wait_for(future)
        assert len(ledger.runs("c")) == number + 1


def test_every_action_of_a_conditional_trigger_starts(ledger: Replica) -> None:
    """Two actions are two runs with the same predecessors."""
    ledger.declare([job("a"), job("b"), job("c")], [after("t", "b", "c", when={"a": RunState.SUCCEEDED})])
    first = _run(ledger, "a")

    assert [[one.run for one in run.predecessors] for name in "bc" for run in ledger.runs(name)] == [[first.id]] * 2


def test_a_disabled_trigger_remembers_nothing(ledger: Replica) -> None:
    """Ends that came while it was off neither fire nor count when it is on again, and say why."""
    ledger.declare(
        [job("a"), job("b"), job("c")],
        [after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED})],
    )
    _run(ledger, "a")
    for enabled in (False, True):
        wait_for(ledger.ledger.set_enabled(TriggerName("t"), enabled=enabled, actor="ann", reason="r"))
        if not enabled:
            _run(ledger, "a")
            assert "disabled" in ledger.reasons("t")[0]
    _run(ledger, "b")

    assert ledger.runs("c") == [], "a latch from before the trigger was disabled counted"


def test_a_run_without_followers_has_none(ledger: Replica) -> None:
    """`downstream: false` fires nothing, says so, and leaves no latch."""
    ledger.declare([job("a"), job("b")], [after("t", "b", when={"a": RunState.SUCCEEDED})])
    _run(ledger, "a", downstream=False)

    assert ledger.runs("b") == []
    assert "no-downstream" in ledger.reasons("t")[0]


def test_a_downstream_job_that_is_gone_makes_an_error_run(ledger: Replica) -> None:
    """The end is not lost: the run that should follow is in ERROR."""
    ledger.declare([job("a")], [after("t", "b", when={"a": RunState.SUCCEEDED})])
    _run(ledger, "a")

    assert ledger.states("b") == ["ERROR"]


def test_in_mode_triggered_only_runs_of_triggers_count(replicas: Replicas) -> None:
    """As on AWS: a run started by hand fires nothing, one started by a trigger does."""
    ledger = replicas.make(fires_for=FiresFor.TRIGGERED)
    ledger.declare(
        [job("a", max_concurrent_runs=9), job("b")],
        [on_object("up", "a"), after("t", "b", when={"a": RunState.SUCCEEDED})],
    )
    _run(ledger, "a")
    assert ledger.runs("b") == []
    assert "not triggered" in ledger.reasons("t")[0]
    ledger.accept(dropped())
    ledger.end(ledger.taken()[-1])

    assert len(ledger.runs("b")) == 1


def test_in_mode_triggered_latches_are_kept_for_each_firing(replicas: Replicas) -> None:
    """AND pairs runs that descend from one firing, never those of two."""
    ledger = replicas.make(fires_for=FiresFor.TRIGGERED)
    names = [job(name, max_concurrent_runs=9) for name in "abc"]
    ledger.declare(
        names,
        [
            on_object("up", "a", "b", max_objects=1),
            after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED}),
        ],
    )
    ledger.accept(dropped("1"))
    first = {str(run.job): run for run in ledger.taken()}
    ledger.accept(dropped("2"))
    second = {str(run.job): run for run in ledger.taken()}
    ledger.end(first["a"])
    ledger.end(second["b"])
    assert ledger.runs("c") == [], "runs of two firings were paired"
    ledger.end(second["a"])
    ledger.end(first["b"])

    assert [{one.run for one in run.predecessors} for run in ledger.runs("c")] == [
        {second["a"].id, second["b"].id},
        {first["a"].id, first["b"].id},
    ]
    assert ledger.sql("select count(*) from latch")[0][0] == 0


def test_a_trigger_may_override_the_mode(ledger: Replica) -> None:
    """`conditional_fires_for` of the trigger wins over the ledger's."""
    ledger.declare(
        [job("a"), job("b"), job("c")],
        [
            after("like-aws", "b", when={"a": RunState.SUCCEEDED}, fires_for=FiresFor.TRIGGERED),
            after("ours", "c", when={"a": RunState.SUCCEEDED}),
        ],
    )
    _run(ledger, "a")

    assert (len(ledger.runs("b")), len(ledger.runs("c"))) == (0, 1)


def test_chains_go_on_through_many_links(ledger: Replica) -> None:
    """Each link's end fires the next, once."""
    jobs = [job(f"j{n}") for n in range(6)]
    ledger.declare(jobs, [after(f"t{n}", f"j{n + 1}", when={f"j{n}": RunState.SUCCEEDED}) for n in range(5)])
    ledger.ask("j0")
    while taken := ledger.taken():
        for run in taken:
            ledger.end(run)

    assert [run.job for run in ledger.runs()] == [f"j{n}" for n in range(6)]


def test_a_stopped_waiting_run_is_an_end_too(ledger: Replica) -> None:
    """STOPPED before it started: a trigger that waits for STOPPED fires."""
    ledger.declare([job("a", backoff=Backoff()), job("b")], [after("t", "b", when={"a": RunState.STOPPED})])
    ledger.ask("a")
    ledger.stop(ledger.ask("a"))

    assert len(ledger.runs("b")) == 1


@pytest.mark.postgres
def test_two_replicas_ending_both_watched_runs_at_once_fire_exactly_once(postgres_url: str) -> None:
    """A hundred rounds: whoever commits last sees the other's latch; never none, never two."""
    one, other = Replica(postgres_url), Replica(postgres_url, claims=False)
    one.declare(
        [job("a"), job("b"), job("c", max_concurrent_runs=500)],
        [after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED})],
    )
    other.ledger.refresh()
    for number in range(MANY):
        one.ask("a")
        one.ask("b")
        mine, theirs = sorted((run for run in one.taken() if run.job != "c"), key=lambda run: run.job)
        one.sql("update run set owner = :owner where id = :id", owner=other.id, id=theirs.id)
        both = threading.Barrier(2)

        def end(replica: Replica, run: Run, both: threading.Barrier = both) -> None:
            both.wait()
            replica.end(run)

        threads = [threading.Thread(target=end, args=pair) for pair in ((one, mine), (other, theirs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.sql("select count(*) from run where job = 'c'")[0][0] == number + 1
    one.close()
    other.close()
