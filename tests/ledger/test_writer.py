"""This file is where the one writer is shown to commit in groups, to isolate what fails, and to answer everyone."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from headgate.errors import LedgerUnavailable
from headgate.ledger.store import wait_for
from headgate.ledger.writer import Batch
from headgate.model import RunState
from headgate.ports import Ended, Ending, Started

from .replica import Replica, Replicas, dropped, in_one_batch, job, now, on_object


def test_what_queues_up_is_one_commit(ledger: Replica) -> None:
    """Fifty events handed over while one commit is under way are the next commit."""
    ledger.declare([job("a", max_concurrent_runs=99)], [on_object("t", "a", max_objects=1)])
    batches, operations = ledger.ledger.written
    in_one_batch(ledger, *[lambda n=n: ledger.ledger.accept([dropped(f"{n}")]) for n in range(50)])

    assert ledger.ledger.written[1] - operations >= 50
    assert ledger.ledger.written[0] - batches <= 3
    assert len(ledger.taken()) == 50


def test_one_that_fails_fails_alone(ledger: Replica) -> None:
    """In one batch with a bug: the others land, what they made is handed over, what the bug made is not."""
    ledger.declare([job("a", max_concurrent_runs=99)], [on_object("t", "a", max_objects=1)])
    told: list[str] = []

    def bug(batch: Batch) -> None:
        batch.after(lambda: told.append("told"))
        batch.connection.exec_driver_sql("insert into latch values ('t', 'j', 'r', 'x', 1)")
        raise ValueError("a bug")

    def constraint(batch: Batch) -> None:
        for _ in range(2):
            batch.connection.exec_driver_sql("insert into latch values ('t', 'j', 'r', 'x', 1)")

    results = in_one_batch(
        ledger,
        lambda: ledger.ledger.accept([dropped("1")]),
        lambda: _write(ledger, bug),
        lambda: _write(ledger, constraint),
        lambda: ledger.ledger.accept([dropped("2")]),
    )

    assert isinstance(results[1], ValueError)
    assert "constraint" in str(results[2]).lower()
    assert [len(one) for one in (results[0], results[3])] == [1, 1]
    assert len(ledger.taken()) == 2
    assert ledger.sql("select * from latch") == []
    assert told == []
    assert ledger.ledger.replays >= 1


def test_a_start_is_not_lost_with_an_end_that_fails(ledger: Replica) -> None:
    """The end of a run cannot be written: its start, told in the same batch, is."""
    ledger.declare([job("a")])
    ledger.ask("a")
    (run,) = ledger.taken()
    bad = Ending(state=RunState.SUCCEEDED, at=now(), result={"text": "\ud800"})
    results = in_one_batch(
        ledger,
        lambda: ledger.ledger.started(Started(run.id, 0, "h", now(), None)),
        lambda: ledger.ledger.ended(Ended(run.id, 0, bad)),
    )

    assert isinstance(results[1], Exception)
    assert (ledger.run(run).state, ledger.run(run).external_id) == (RunState.RUNNING, "h")


def test_who_is_told_cannot_undo_or_repeat_a_commit(replicas: Replicas) -> None:
    """A hand-over that raises is logged: the run stays claimed, once, and the caller has its answer."""
    ledger = replicas.make(opened=False)
    calls: list[str] = []

    def raises(run: object) -> None:
        calls.append("called")
        raise RuntimeError("a bug of whoever is told")

    ledger.ledger.on_claimed = raises
    ledger.ledger.open()
    ledger.declare([job("a")])

    assert ledger.ask("a").id == ledger.runs()[0].id
    assert calls == ["called"]
    assert ledger.states() == ["STARTING"]


def test_everyone_is_answered_when_the_ledger_is_closed(replicas: Replicas) -> None:
    """Whatever was handed over before or while it closes is written or refused, and never left without an answer."""
    for _ in range(10):
        ledger = replicas.make()
        go = threading.Barrier(5)

        def submit(_: int, ledger: Replica = ledger, go: threading.Barrier = go) -> list[Future[None]]:
            go.wait()
            return [ledger.ledger.claim([]) for _ in range(50)]

        with ThreadPoolExecutor(5) as pool:
            asked = [pool.submit(submit, number) for number in range(4)]
            go.wait()
            ledger.ledger.close()
            futures = [future for one in asked for future in one.result()]
        errors = [future.exception(10) for future in futures]
        assert all(error is None or isinstance(error, LedgerUnavailable) for error in errors)
        with pytest.raises(LedgerUnavailable, match="closed"):
            wait_for(ledger.ledger.claim([]))


def _write(ledger: Replica, work: object) -> Future[object]:
    return ledger.ledger._write(work)  # type: ignore[arg-type]  # pyright: ignore[reportPrivateUsage, reportArgumentType] - to bring a bug in
