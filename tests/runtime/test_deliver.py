"""This file is where the outbox is emptied: in order, past the dead and the slow, and whatever a reporter raises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from ledger.replica import Replica, job

from headgate.flow.announce import Announcer, Subscription
from headgate.ledger.store import Ledger
from headgate.model import Json, RunState
from headgate.runtime.deliver import MOST, Deliver

DEADLINE = 30.0


class Told:
    """A reporter that does what the test says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.got: list[tuple[str, object]] = []
        self.raises: list[Exception] = []
        self.open = threading.Event()
        self.open.set()
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def report(self, kind: str, payload: Mapping[str, Json]) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.open.wait(DEADLINE)
        with self._lock:
            self.at_once -= 1
            if self.raises:
                raise self.raises.pop(0)
            self.got.append((kind, payload["job"]))


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(f"sqlite:///{tmp_path / 'ledger.db'}")
    made.declare([job(f"j{number}") for number in range(40)])
    yield made
    made.close()


def _fail(replica: Replica, *channels: str, jobs: int = 1) -> None:
    subscriptions = [Subscription(channel=name, on=frozenset({"FAILED", "RECOVERED"})) for name in channels]
    replica.ledger.announce = Announcer.of(subscriptions)
    for number in range(jobs):
        for state in ("FAILED", "SUCCEEDED"):
            replica.ask(f"j{number}")
            replica.end(replica.taken()[0], RunState(state))


def _until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.005)


def _deliver(ledger: Ledger, *reporters: Told) -> Deliver:
    made = Deliver(ledger, {one.name: one for one in reporters})
    ledger.on_outbox = made.wake
    made.start()
    return made


def test_each_subject_is_told_in_order_once(replica: Replica) -> None:
    """Forty jobs fail and recover: eighty messages, each job's failure first."""
    told = Told("c")
    _fail(replica, "c", jobs=40)
    deliver = _deliver(replica.ledger, told)
    _until(lambda: replica.ledger.outbox()[0] == 0, "all to be told")
    deliver.close()

    assert len(told.got) == 80
    for number in range(40):
        assert [kind for kind, name in told.got if name == f"j{number}"] == ["FAILED", "RECOVERED"]


def test_what_a_reporter_raises_is_noted_and_the_message_kept(replica: Replica) -> None:
    """Any exception: the thread goes on, the message is tried again and arrives once."""
    told = Told("c")
    told.raises = [ValueError("a bug"), RuntimeError("another")]
    _fail(replica, "c", jobs=1)
    deliver = _deliver(replica.ledger, told)
    _until(lambda: replica.ledger.outbox()[2], "the error to be noted")
    assert replica.ledger.outbox()[2] == "ValueError: a bug"

    def told_both() -> bool:
        replica.sql("update outbox set not_before = 1")
        deliver.wake()
        return len(told.got) == 2

    _until(told_both, "both to arrive")
    deliver.close()

    assert [kind for kind, _ in told.got] == ["FAILED", "RECOVERED"]


def test_a_slow_receiver_delays_nobody_else_and_is_told_nothing_twice(replica: Replica) -> None:
    """One hangs: the other is told everything meanwhile, and no more is taken for the hanging one than it can do."""
    slow, quick = Told("slow"), Told("quick")
    slow.open.clear()
    _fail(replica, "slow", "quick", jobs=30)
    deliver = _deliver(replica.ledger, slow, quick)
    _until(lambda: len(quick.got) == 60, "the quick one to be told")
    held = replica.sql("select count(*) from outbox where channel = 'slow' and claimed_until > 0")[0][0]
    assert held <= MOST + 4
    assert slow.got == []
    slow.open.set()
    _until(lambda: replica.ledger.outbox()[0] == 0, "the slow one to be told")
    deliver.close()

    assert len(slow.got) == len(quick.got) == 60
    assert slow.most_at_once <= 4


def test_a_message_for_nobody_waits_and_holds_up_nobody(replica: Replica) -> None:
    """A channel that left the settings: noted, and the others are told."""
    told = Told("here")
    _fail(replica, "gone", "here", jobs=2)
    deliver = _deliver(replica.ledger, told)
    _until(lambda: len(told.got) == 4, "the other to be told")
    _until(lambda: replica.ledger.outbox()[2], "it to be noted")
    deliver.close()

    assert replica.ledger.outbox()[2] == "nobody of that name is in the settings"
