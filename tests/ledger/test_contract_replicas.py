"""This file is where several replicas share every ledger: limits, leases, fencing, takeover, and no word twice."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from headgate.errors import HeadgateError, LedgerUnavailable
from headgate.ledger import dialects
from headgate.model import (
    OCCUPYING,
    TICK,
    Action,
    Event,
    JobName,
    Run,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
    new_event_id,
)

from .replica import DEADLINE, Replica, Replicas, dropped, job, now, on_object

LEASE = 10.0
_T = TriggerName("t")
_TICKER = TriggerName("tick")
_DROP = sa.text(
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)


def _scheduled() -> Trigger:
    return Trigger(
        name=_TICKER, type=TriggerType.SCHEDULED, actions=[Action(job=JobName("a"))], schedule="rate(1 minute)"
    )


def _tick(minute: int) -> Event:
    at = now().replace(second=0, microsecond=0) + timedelta(days=1, minutes=minute)
    return Event(
        id=new_event_id(),
        door="schedule",
        kind=TICK,
        identity=f"tick:{at.isoformat()}",
        at=at,
        payload={"trigger": _TICKER, "tick": at.isoformat()},
    )


def _at_once(calls: list[Callable[[], object]]) -> None:
    """Call all at the same moment, and raise what one of them raised."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], object]) -> None:
        barrier.wait(DEADLINE)
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(one, call) for call in calls]:
            future.result()


def _expire(ledger: Replica, of: Replica, ago: float) -> None:
    ledger.sql("update worker set until = :until where id = :id", until=time.time() - ago, id=of.id)


def _claimed_by(replicas: Replicas, **more: str) -> tuple[Replica, Run]:
    """A replica with a lease and one run."""
    dead = replicas.make(lease=LEASE, **more)
    dead.declare([job("a", max_concurrent_runs=9)])
    dead.ledger.beat()
    dead.ask("a")
    (run,) = dead.taken()
    return dead, run


def test_what_a_living_replica_runs_is_nobody_elses(replicas: Replicas) -> None:
    """While the lease holds nothing is taken over."""
    _claimed_by(replicas)
    other = replicas.make(lease=LEASE)
    other.ledger.beat()

    assert other.take_over() == []
    assert other.adopted == []


def test_what_a_dead_replica_of_this_place_ran_is_taken_over_when_its_lease_ends(replicas: Replicas) -> None:
    """One of the same machine and home takes it at once, and is told that its processes can be found."""
    dead, run = _claimed_by(replicas, place="here")
    heir = replicas.make(lease=LEASE, place="here")
    _expire(heir, dead, 0.5)

    assert heir.take_over() == [run.id]
    assert [(one.id, here) for one, here in heir.adopted] == [(run.id, True)]
    assert heir.run(run).owner == heir.id
    assert heir.take_over() == []


def test_another_place_waits_until_none_of_the_own_place_came(replicas: Replicas) -> None:
    """What runs elsewhere is left to who can find it; after three leases more it is taken, and said to be elsewhere."""
    dead, run = _claimed_by(replicas, place="there")
    heir = replicas.make(lease=LEASE, place="here")
    _expire(heir, dead, 0.5)
    assert heir.take_over() == []
    _expire(heir, dead, 3 * LEASE + 1)

    assert heir.take_over() == [run.id]
    assert [here for _, here in heir.adopted] == [False]


def test_what_runs_nowhere_near_is_taken_over_by_any_place(replicas: Replicas) -> None:
    """Nobody waits for a place where a run has no processes: every replica can follow it."""
    dead, run = _claimed_by(replicas, place="there")
    heir = replicas.make(lease=LEASE, place="here")
    heir.ledger.anywhere = frozenset({heir.run(run).engine})
    _expire(heir, dead, 0.5)

    assert heir.take_over() == [run.id]
    assert [here for _, here in heir.adopted] == [False]


def test_a_replica_that_resigns_is_followed_at_once(replicas: Replicas) -> None:
    """A replica that closes gives its lease back."""
    leaving, run = _claimed_by(replicas)
    leaving.ledger.resign()

    assert replicas.make(lease=LEASE).take_over() == [run.id]


def test_a_replica_that_lost_its_run_cannot_speak_of_it(replicas: Replicas) -> None:
    """Fencing: start, progress, postponing and end told by the former owner change nothing."""
    former, run = _claimed_by(replicas)
    heir = replicas.make(lease=LEASE)
    _expire(heir, former, 1)
    heir.take_over()
    before = heir.run(run)
    former.start(run, handle="former")
    assert former.end(run, RunState.FAILED) is None
    assert heir.run(run) == before
    heir.start(run, handle="heir")

    assert heir.end(run) is RunState.SUCCEEDED
    assert heir.run(run).external_id == "heir"


def test_everyone_takes_over_all_there_is(replicas: Replicas) -> None:
    """After a crash the only process takes every run that was under way, however many, whatever leases say."""
    crashed = replicas.make(lease=1000.0, place="was")
    crashed.declare([job("a", max_concurrent_runs=1000)])
    crashed.ledger.beat()
    for future in [crashed.ledger.accept([]) for _ in range(3)]:
        future.result(30)
    threads = [threading.Thread(target=lambda: [crashed.ask("a") for _ in range(75)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(crashed.taken()) == 300
    next_life = replicas.make(place="is")

    assert len(next_life.take_over(everyone=True)) == 300
    assert len(next_life.adopted) == 300
    assert {run.owner for run in next_life.runs()} == {next_life.id}


def test_a_stopping_run_is_taken_over_stopping(replicas: Replicas) -> None:
    """The heir knows that a stop was asked for."""
    dead, run = _claimed_by(replicas)
    dead.stop(run)
    heir = replicas.make(lease=LEASE)
    _expire(heir, dead, 1)
    heir.take_over()

    assert [one.state for one, _ in heir.adopted] == [RunState.STOPPING]
    assert [one.id for one in heir.ledger.look(time.time())[3]] == [run.id]


def test_a_change_of_the_catalog_is_seen_in_the_next_transaction_of_others(replicas: Replicas) -> None:
    """What one replica declares or switches, the next accept of another goes by."""
    one, other = replicas.make(), replicas.make()
    one.declare([job("a")], [on_object("t", "a")])
    assert other.accept(dropped("1"))[0].decisions[0].outcome == "fired"
    one.ledger.set_enabled(_T, enabled=False, actor="ann", reason="r").result(30)
    assert other.accept(dropped("2"))[0].decisions[0].reason.startswith("disabled")
    one.declare([job("a")], [])
    assert "no trigger watches" in other.accept(dropped("3"))[0].decisions[0].reason


def test_the_limit_holds_between_replicas(replicas: Replicas) -> None:
    """Three replicas take, claim and end at once: never more than the limit, all done, no run twice."""
    workers = [replicas.make() for _ in range(3)]
    workers[0].declare([job("a", max_concurrent_runs=2)], [on_object("t", "a", max_objects=1)])
    seen: list[int] = []
    watching = threading.Event()

    def work(number: int, worker: Replica) -> None:
        for one in range(15):
            worker.accept(dropped(f"{number}-{one}"))
            _work_off(worker)

    def watch() -> None:
        while not watching.wait(0.002):
            seen.append(sum(run.state in OCCUPYING for run in workers[0].ledger.live_runs()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _at_once([lambda n=n, w=w: work(n, w) for n, w in enumerate(workers)])
    give_up = time.monotonic() + 60
    while workers[0].ledger.counts():
        assert time.monotonic() < give_up
        for worker in workers:
            worker.claim("a")
            _work_off(worker)
    watching.set()
    watcher.join()

    assert max(seen) <= 2
    assert workers[0].states("a") == ["SUCCEEDED"] * 45


def _work_off(worker: Replica) -> None:
    """End what was claimed, and look again where another replica held the queue."""
    while True:
        taken = worker.taken()
        for run in taken:
            assert worker.end(run) is RunState.SUCCEEDED
        again = worker.ledger.to_look_again()
        if again:
            worker.claim(*again)
        if not taken and not again:
            return


def test_three_replicas_with_one_tick_fire_it_once(replicas: Replicas) -> None:
    """The same instants of the same trigger found by everyone at once are one firing each."""
    everyone = [replicas.make(claims=False) for _ in range(3)]
    everyone[0].declare([job("a", max_concurrent_runs=99)], [_scheduled()])
    ticks = [_tick(minute) for minute in range(20)]

    def fire(replica: Replica) -> None:
        for tick in ticks:
            replica.accept(tick)

    _at_once([lambda r=r: fire(r) for r in everyone])

    assert len(everyone[0].runs("a")) == 20
    assert everyone[0].ledger.last_ticks()[_TICKER] == ticks[-1].at


def test_the_same_events_given_to_three_replicas_at_once_are_taken_once(replicas: Replicas) -> None:
    """Batches in different orders: no deadlock is left, none is lost, none is doubled."""
    everyone = [replicas.make(claims=False) for _ in range(3)]
    everyone[0].declare([job("a", max_concurrent_runs=9)], [on_object("t", "a", max_objects=7)])
    events = [dropped(f"{number}") for number in range(60)]

    def give(number: int, replica: Replica) -> None:
        mine = events if number else events[::-1]
        for start in range(0, len(mine), 10):
            replica.accept(*mine[start : start + 10])

    _at_once([lambda n=n, r=r: give(n, r) for n, r in enumerate(everyone)])
    runs = everyone[0].runs("a")
    keys = [one.key for run in runs for one in everyone[0].ledger.manifest(run.id) or ()]

    assert sorted(keys) == sorted(event.object.key for event in events if event.object)
    assert sum(run.objects for run in runs) == 60
    assert all(run.objects <= 7 for run in runs)


def test_a_job_that_does_not_queue_has_one_run_whoever_asks_at_once(replicas: Replicas) -> None:
    """`queue: false` and a limit of 1: of three replicas asked at the same moment one starts a run."""
    everyone = [replicas.make() for _ in range(3)]
    everyone[0].declare([job("a", queue=False)])
    for _ in range(15):
        refused: list[HeadgateError] = []

        def ask(replica: Replica, refused: list[HeadgateError] = refused) -> None:
            try:
                replica.ask("a")
            except HeadgateError as error:
                refused.append(error)

        _at_once([lambda r=r: ask(r) for r in everyone])
        live = everyone[0].ledger.live_runs()
        assert (len(live), len(refused)) == (1, 2)
        for replica in everyone:
            for run in replica.taken():
                replica.end(run)


@pytest.mark.postgres
def test_replicas_hear_of_each_other(postgres_url: str) -> None:
    """What one replica that runs nothing accepts, another hears of at once, by name."""
    doors, worker = Replica(postgres_url, claims=False), Replica(postgres_url)
    doors.declare([job("a")])
    heard: list[str] = []
    over, listening = threading.Event(), threading.Event()

    def listen() -> None:
        for said in worker.ledger.listen(over):
            heard.append(said)
            listening.set()

    thread = threading.Thread(target=listen)
    thread.start()
    assert listening.wait(30)
    doors.ask("a")
    give_up = time.monotonic() + 30
    while "job a" not in heard and time.monotonic() < give_up:
        time.sleep(0.005)
    over.set()
    thread.join()
    doors.close()
    worker.close()

    assert heard[:2] == ["lost", "job a"]


@pytest.mark.postgres
def test_a_dropped_connection_loses_nothing(postgres_url: str) -> None:
    """The server drops our connections in the middle of work, again and again: every call is answered and true."""
    ledger, killer = Replica(postgres_url), sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    ledger.declare([job("a", max_concurrent_runs=100_000)])
    over, enough = threading.Event(), threading.Event()
    asked: list[str] = []

    def drop() -> None:
        dropped = 0
        with killer.connect() as connection:
            while not over.wait(random.uniform(0.05, 0.25)):
                dropped += len(connection.execute(_DROP).all())
                if dropped > 3:
                    enough.set()

    def work(number: int) -> None:
        until = time.monotonic() + DEADLINE
        while not enough.is_set() and time.monotonic() < until:
            key = f"{number}-{len(asked)}"
            ledger.ask("a", key=key)
            asked.append(key)

    with ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(drop)
        try:
            _at_once([lambda n=n: work(n) for n in range(4)])
        finally:
            over.set()
        dropping.result()
    killer.dispose()
    again = ledger.ledger.take_up_again()
    if again:
        again.result(DEADLINE)
    found = {run.id for run in ledger.runs("a")}
    handed = {run.id for run in ledger.claimed} | {run.id for run, _ in ledger.adopted}
    ledger.close()

    assert enough.is_set()
    assert len(found) == len(asked)
    assert handed == found, "claimed, and nobody was told"


def test_a_commit_that_was_cut_off_is_taken_up_again(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit lands and its answer does not: its claims are handed over all the same, with the next look."""
    ledger = replicas.make()
    ledger.declare([job("a")])
    finish, cut = dialects.finish_writing, [True]

    def cut_off(connection: sa.Connection, *, keep: bool) -> None:
        finish(connection, keep=keep)
        if keep and cut:
            cut.clear()
            raise OperationalError("commit", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(dialects, "finish_writing", cut_off)
    asked = ledger.ask("a", key="k")
    assert ledger.taken() == [], "the commit was answered"
    again = ledger.ledger.take_up_again()
    assert again is not None
    assert again.result(DEADLINE) == [asked.id]
    assert [(run.id, run.state, here) for run, here in ledger.adopted] == [(asked.id, RunState.STARTING, True)]
    assert ledger.ledger.take_up_again() is None


@pytest.mark.postgres
def test_the_lease_is_kept_while_all_connections_are_taken(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone reads lists: the heartbeat has a connection of its own, and who reads too much is told so."""
    ledger = Replica(postgres_url)
    pool = ledger.ledger._engine.pool  # pyright: ignore[reportPrivateUsage] - nothing public takes them all
    monkeypatch.setattr(pool, "_timeout", 0.1)
    taken = [pool.connect() for _ in range(10)]
    ledger.ledger.beat()
    with pytest.raises(LedgerUnavailable, match="QueuePool limit"):
        ledger.ledger.workers()
    for connection in taken:
        connection.close()
    (worker,) = ledger.ledger.workers()
    ledger.close()

    assert worker["id"] == ledger.id
    assert worker["until"] > time.time() + 5
