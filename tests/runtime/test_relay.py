"""This file is where lineage leaves the outbox: in order, past what is refused, and never past what is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger.replica import Replica, job

from headgate.errors import Invalid, Unavailable
from headgate.flow.lineage import Noting
from headgate.ledger.housekeeping import PORTION_BYTES, Letter
from headgate.ledger.store import wait_for
from headgate.model import Run, RunState
from headgate.ports import Message, Started
from headgate.runtime import relay as relaying
from headgate.runtime.relay import Relay

DEADLINE = 30.0


class FarSide:
    """Takes messages, as the test says."""

    def __init__(self) -> None:
        self.got: list[object] = []
        self.calls: list[int] = []
        self.away = 0  #: calls that still fail
        self.bad: set[object] = set()  #: what is refused for good

    def __call__(self, letters: Sequence[Letter]) -> None:
        self.calls.append(len(letters))
        if self.away:
            self.away -= 1
            raise Unavailable("DataHub is away")
        if self.bad & {one.payload["n"] for one in letters}:
            raise Invalid("no")
        self.got += [one.payload["n"] for one in letters]


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(f"sqlite:///{tmp_path / 'ledger.db'}")
    made.declare([job("a")])
    yield made
    made.close()


def tell(replica: Replica, *numbers: int, channel: str = "c", **more: object) -> None:
    wait_for(replica.ledger.tell([Message(channel, "", {"n": number, **more}) for number in numbers]))


def test_everything_goes_in_its_order_and_in_few_calls(replica: Replica) -> None:
    """Five hundred messages are three calls, and what is sent is gone."""
    far = FarSide()
    relay = Relay(replica.ledger, "c", far)
    tell(replica, *range(500))
    while not relay.turn():
        pass
    assert far.got == list(range(500))
    assert far.calls == [200, 200, 100]
    assert replica.ledger.outbox()[0] == 0


def test_while_the_far_side_is_away_nothing_is_lost_or_overtaken(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes later waits behind what could not be sent."""
    monkeypatch.setattr(relaying, "FIRST_PAUSE", 0.02)
    far = FarSide()
    far.away = 3
    relay = Relay(replica.ledger, "c", far)
    tell(replica, 1, 2)
    relay.start()
    tell(replica, 3)
    relay.wake()
    until = time.monotonic() + DEADLINE
    while len(far.got) < 3 and time.monotonic() < until:
        relay.wake()
        time.sleep(0.005)
    relay.close()
    assert far.got == [1, 2, 3]


def test_what_is_refused_for_good_is_dropped_alone(replica: Replica) -> None:
    """One bad message costs itself; it is counted."""
    far = FarSide()
    far.bad = {2}
    relay = Relay(replica.ledger, "c", far)
    tell(replica, 1, 2, 3)
    assert relay.turn() == 0.0
    assert (far.got, relay.sent, relay.refused) == ([1, 3], 2, 1)
    assert replica.ledger.outbox()[0] == 0


def test_the_pause_grows_and_the_reason_is_kept(replica: Replica) -> None:
    """Each failure in a row is waited for longer, up to a limit, and one can read why."""
    far = FarSide()
    far.away = 5
    relay = Relay(replica.ledger, "c", far)
    tell(replica, 1)
    first = relay.turn()
    assert 0 < first <= 1.0
    assert relay.problem is not None
    assert "DataHub is away" in relay.problem
    assert relay.turn() == relaying.EVERY, "it is not due yet"
    assert far.calls == [1]
    assert "DataHub is away" in str(replica.ledger.outbox()[2])


def test_one_relay_at_a_time(replica: Replica) -> None:
    """While one holds the oldest messages another gets none of the channel, and others' channels are not touched."""
    tell(replica, 1, 2)
    tell(replica, 9, channel="other")
    held = wait_for(replica.ledger.take_in_order("c", most=1, hold=60))
    assert [one.payload["n"] for one in held] == [1]
    assert wait_for(replica.ledger.take_in_order("c", most=10, hold=60)) == []
    assert len(wait_for(replica.ledger.take_in_order("other", most=10, hold=60))) == 1


def test_large_messages_are_taken_a_few_at_a_time(replica: Replica) -> None:
    """What is held in memory at once is bounded; one that is larger than that is taken alone."""
    tell(replica, 1, 2, 3, text="x" * (PORTION_BYTES // 2))
    tell(replica, 4, text="x" * PORTION_BYTES)
    far = FarSide()
    relay = Relay(replica.ledger, "c", far)
    while not relay.turn():
        pass
    assert far.got == [1, 2, 3, 4]
    assert far.calls == [1, 1, 1, 1]


def noted(replica: Replica) -> Run:
    """A run that is to be started, whose start and end are noted."""
    noting = Noting(("c",))
    replica.ledger.announce_start = noting.started
    replica.ledger.announce = lambda run, _: noting.ended(run)
    replica.ask("a")
    [run] = replica.taken()
    return run


def test_a_run_notes_its_start_and_its_end_once(replica: Replica) -> None:
    """The notes are in the transactions of the run: a start, and the end that it really had."""
    run = noted(replica)
    wait_for(replica.ledger.started(Started(run.id, run.attempt, "pid-1", datetime.now(UTC), None)))
    wait_for(replica.ledger.started(Started(run.id, run.attempt, "pid-1", datetime.now(UTC), 99e9)))  # told twice
    replica.end(run, RunState.FAILED)
    letters = wait_for(replica.ledger.take_in_order("c", most=10, hold=60))
    assert [(one.payload["run"], one.payload["kind"]) for one in letters] == [(run.id, "START"), (run.id, "FAIL")]


def test_no_start_is_noted_after_the_end(replica: Replica) -> None:
    """An engine may be done before the dispatcher has said that it began; who hears that late shows it running."""
    run = noted(replica)
    replica.end(run, RunState.FAILED)
    wait_for(replica.ledger.started(Started(run.id, run.attempt, "pid-1", datetime.now(UTC), None)))
    letters = wait_for(replica.ledger.take_in_order("c", most=10, hold=60))
    assert [(one.payload["run"], one.payload["kind"]) for one in letters] == [(run.id, "FAIL")]


def test_closing_ends_the_thread_while_nothing_is_there(replica: Replica) -> None:
    """A relay that waits is closed at once."""
    relay = Relay(replica.ledger, "c", FarSide())
    relay.start()
    relay.close()
    assert not [one for one in threading.enumerate() if one.name == "relay-c"]
