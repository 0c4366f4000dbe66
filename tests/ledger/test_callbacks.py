"""This file is where functions' tokens are kept by every ledger, and taken in by a replica that never gave them."""

from __future__ import annotations

import pytest

from headgate.errors import Conflict, NotFound
from headgate.ledger import callbacks
from headgate.ledger.store import wait_for
from headgate.model import Run, RunState
from headgate.ports import Ending

from .replica import Replica, Replicas, job, now, on_object, until


def give(replica: Replica, run: Run, secret: str = "s3cret", attempt: str = "") -> str:
    token = f"{attempt or run.id}.{secret}"
    wait_for(replica.ledger.write(lambda batch: callbacks.keep(batch, token)))
    return token


def call(replica: Replica, token: str, state: RunState = RunState.SUCCEEDED) -> str:
    ending = Ending(state=state, at=now(), error=None if state is RunState.SUCCEEDED else "no", result={"rows": 3})
    return wait_for(replica.ledger.end_by_token(token, ending))


def test_another_replica_takes_the_end_in(replicas: Replicas) -> None:
    """Its run ends with its result, its place is free for the next one, and nothing of it is told twice."""
    worker, door = replicas.make(), replicas.make(claims=False)
    worker.declare([job("a"), job("b")])
    run = worker.ask("a")
    waiting = worker.ask("a")
    worker.start(run)
    token = give(worker, run)

    assert call(door, token) == run.id
    ended = door.run(run)
    assert (ended.state, ended.result, ended.external_id) == (RunState.SUCCEEDED, {"rows": 3}, f"h-{run.id[:9]}")
    assert worker.end(run, RunState.FAILED) is None, "the replica that has it may hear of it late, and changes nothing"
    worker.claim("a")
    until(lambda: [one.id for one in worker.claimed] == [run.id, waiting.id], "the next one to be claimed")


def test_only_the_first_word_counts_and_forged_ones_none(ledger: Replica) -> None:
    """A second word is a Conflict; another secret, another run, a token nobody gave: not found, and nothing ends."""
    ledger.declare([job("a", max_concurrent_runs=2)])
    run, other = ledger.ask("a"), ledger.ask("a")
    token = give(ledger, run)
    for forged in (f"{run.id}.guess", f"{other.id}.s3cret", "", ".", "x", f"{run.id}.", "é.\ud800", "a." + "b" * 9_999):
        with pytest.raises(NotFound, match="waits for this token"):
            call(ledger, forged)
    assert ledger.states() == ["STARTING", "STARTING"]
    call(ledger, token)
    with pytest.raises(Conflict, match="ended already"):
        call(ledger, token, RunState.FAILED)
    assert ledger.run(run).state is RunState.SUCCEEDED


def test_a_failure_is_tried_again_and_the_old_token_is_over(ledger: Replica) -> None:
    """The end is the attempt's: the next one has a token of its own."""
    ledger.declare([job("a", max_retries=1)])
    run = ledger.ask("a")
    first = give(ledger, run)
    call(ledger, first, RunState.FAILED)
    assert ledger.run(run).state in (RunState.WAITING, RunState.STARTING)
    ledger.make_due()
    assert ledger.run(run).attempt == 1
    with pytest.raises(Conflict):
        call(ledger, first)
    call(ledger, give(ledger, run, "other", f"{run.id}_attempt_1"))
    assert ledger.run(run).state is RunState.SUCCEEDED


def test_a_token_is_known_to_all_and_its_secret_to_none(replicas: Replicas) -> None:
    """Who takes a run over can tell that its function will call; the tables hold no secret."""
    one, other = replicas.make(), replicas.make(claims=False)
    one.declare([job("a")], [on_object("t", "a")])
    run = one.ask("a")
    assert not other.ledger.read(lambda connection: callbacks.given(connection, run.id))
    give(one, run)
    give(one, run)
    assert other.ledger.read(lambda connection: callbacks.given(connection, run.id))
    kept = [tuple(row) for row in one.sql("select * from callback")]
    assert len(kept) == 1
    assert "s3cret" not in str(kept)


def test_old_tokens_are_forgotten(ledger: Replica) -> None:
    """With the runs they were of, after the time of retention."""
    ledger.declare([job("a")])
    give(ledger, ledger.ask("a"))
    ledger.sql("update callback set at = 1")
    until(lambda: not wait_for(ledger.ledger.forget(2.0))[0], "nothing more to go")
    assert ledger.sql("select * from callback") == []
