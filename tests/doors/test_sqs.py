"""This file is where the SQS door is held to its word: what it took is durable before it is deleted, whatever fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from fakes.sqs import URL, FakeSqs
from services.moto import CREDENTIALS

from headgate.aws import Clients
from headgate.aws_lambda.messages import StateChange
from headgate.doors.object_events import decode
from headgate.doors.sqs import Inside, Poison, QueueDoor
from headgate.errors import Invalid, LedgerUnavailable
from headgate.model import Event
from headgate.settings.record import Queue

DEADLINE = 30.0
GLUE = {
    "detail-type": "Glue Job State Change",
    "source": "aws.glue",
    "detail": {"jobRunId": "jr_1", "jobName": "a", "state": "SUCCEEDED"},
}


def upload(key: str) -> dict[str, Any]:
    about = {"key": key, "size": 5, "eTag": key.encode().hex(), "sequencer": "0A"}
    return {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                         "s3": {"bucket": {"name": "raw-data"}, "object": about}}]}  # fmt: skip


class Within:
    """A ledger that does as it is told."""

    def __init__(self) -> None:
        self.accepted: list[str] = []  #: keys, in the order they came
        self.batches: list[int] = []
        self.buried: list[Poison] = []
        self.changed: list[StateChange] = []
        self.fail: list[Exception] = []  #: what the next writes fail with
        self.refuse: set[str] = set()  #: keys nobody wants
        self.asked = threading.Event()  #: something is on its way into the ledger
        self.hold = threading.Event()
        self.hold.set()

    def inside(self) -> Inside:
        return Inside(
            decode=lambda body: decode(body, source="sqs"), accept=self._accept, changed=self._changed, bury=self._bury
        )

    def _changed(self, change: StateChange) -> bool:
        self.changed.append(change)
        return True

    def _accept(self, events: Sequence[Event]) -> Future[None]:
        future: Future[None] = Future()
        keys = [event.object.key for event in events if event.object]
        self.asked.set()
        threading.Thread(target=self._write, args=(keys, future), daemon=True).start()
        return future

    def _write(self, keys: list[str], future: Future[None]) -> None:
        self.hold.wait(DEADLINE)
        if self.fail:
            future.set_exception(self.fail.pop(0))
        elif bad := self.refuse.intersection(keys):
            future.set_exception(Invalid(f"nobody wants {bad}"))
        else:
            self.batches.append(len(keys))
            self.accepted += keys
            future.set_result(None)

    def _bury(self, poison: Poison) -> Future[None]:
        future: Future[None] = Future()
        self.buried.append(poison)
        future.set_result(None)
        return future


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSqs]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with FakeSqs() as fake:
        yield fake


@pytest.fixture
def within() -> Within:
    return Within()


@pytest.fixture
def door(sqs: FakeSqs, within: Within) -> Iterator[QueueDoor]:
    made = door_of(sqs, within)
    made.start()
    yield made
    made.close()


def door_of(sqs: FakeSqs, within: Within, *, wait: int = 1, visibility: int = 30) -> QueueDoor:
    queue = Queue(url=URL, region="eu-west-1", endpoint_url=sqs.url)
    return QueueDoor(queue, within.inside(), clients=Clients(environ={}), name="sqs[0]", wait=wait,
                     visibility=visibility, pause=0.02, retry=0)  # fmt: skip


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.01)


def test_a_message_is_taken_and_then_deleted(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """What it holds is handed over; the poll is long, asks for ten, and is signed for the queue's region."""
    sqs.send(upload("in/my+file%3D1.csv"))
    until(sqs.empty, "the queue to be empty")

    assert within.accepted == ["in/my file=1.csv"]
    name, asked = sqs.calls[0]
    assert (name, asked["QueueUrl"], asked["MaxNumberOfMessages"]) == ("ReceiveMessage", URL, 10)
    assert asked["WaitTimeSeconds"] > 0
    assert sqs.regions == {"eu-west-1"}


def test_ten_messages_are_one_write(sqs: FakeSqs, within: Within) -> None:
    """What was received together is written together, and deleted in one call."""
    for number in range(10):
        sqs.send(upload(f"in/{number}.csv"))
    door = door_of(sqs, within)
    door.start()
    until(sqs.empty, "the queue to be empty")
    door.close()

    assert within.batches == [10]
    assert sqs.count("DeleteMessageBatch") == 1
    assert door.taken == 10


def test_nothing_is_deleted_before_it_is_written(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """While the ledger writes, the message stays in the queue."""
    within.hold.clear()
    sqs.send(upload("in/a.csv"))
    until(lambda: sqs.count("ReceiveMessage"), "the message to be received")
    time.sleep(0.1)
    assert sqs.deleted == []
    within.hold.set()
    until(sqs.empty, "the queue to be empty")


def test_a_slow_write_keeps_the_message_from_others(sqs: FakeSqs, within: Within) -> None:
    """The visibility timeout is put off for as long as it takes, so nobody else is handed the message meanwhile."""
    within.hold.clear()
    sqs.send(upload("in/a.csv"))
    door = door_of(sqs, within, visibility=1)
    door.start()
    until(lambda: sqs.count("ChangeMessageVisibilityBatch") >= 4, "four times a third of the timeout")
    within.hold.set()
    until(sqs.empty, "the queue to be empty")
    door.close()

    assert within.accepted == ["in/a.csv"]


def test_while_the_ledger_is_away_the_message_is_held(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """It is written again and again, without another receive that would count towards the queue's own limit."""
    within.fail = [LedgerUnavailable("the disk is full")] * 3
    sqs.send(upload("in/a.csv"))
    until(lambda: door.problem, "the door to say so")
    assert door.problem == "the ledger does not take them"
    until(sqs.empty, "the queue to be empty")

    assert within.accepted == ["in/a.csv"]
    until(lambda: door.problem is None, "the door to be well again")


@pytest.mark.parametrize("kind", ["throttle", "error", "html", "denied", "expired", "lost"])
def test_a_queue_that_cannot_be_asked_is_asked_again(sqs: FakeSqs, within: Within, door: QueueDoor, kind: str) -> None:
    """Whatever it answers in place of messages: the door says so, waits, and loses nothing."""
    sqs.fault("ReceiveMessage", kind, 3)
    until(lambda: door.problem, "the door to say so")
    assert "uploads" not in str(door.problem)
    if kind == "lost":  # the answer was lost, and with it the receive: it comes again when its timeout is over
        sqs.mend()
    sqs.send(upload("in/a.csv"))
    until(sqs.empty, "the queue to be empty")

    assert within.accepted == ["in/a.csv"]
    until(lambda: door.problem is None, "the door to be well again")


def test_a_queue_that_is_gone_is_waited_for(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """Somebody deleted the queue, and made it again."""
    sqs.gone = True
    until(lambda: door.problem, "the door to say so")
    assert "QueueDoesNotExist" in str(door.problem)
    sqs.gone = False
    sqs.send(upload("in/a.csv"))
    until(sqs.empty, "the queue to be empty")


def test_a_deletion_that_fails_is_made_again(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """One message of a batch that was not deleted is deleted with the next call."""
    sqs.fault("delete one", "yes", 1)
    sqs.send(upload("in/a.csv"))
    sqs.send(upload("in/b.csv"))
    until(sqs.empty, "the queue to be empty")

    assert sqs.count("DeleteMessageBatch") >= 2
    assert sorted(within.accepted) == ["in/a.csv", "in/b.csv"]


def test_a_message_that_cannot_be_read_is_given_up_after_three_receives(
    sqs: FakeSqs, within: Within, door: QueueDoor
) -> None:
    """Word for word, with what is wrong; what came with it is taken at once."""
    with sqs.changed:
        bad, good = sqs.send('{"Records": [{"s3": {}}]}'), sqs.send(upload("in/a.csv"))
    until(lambda: good in sqs.deleted, "the good one to be taken")
    until(sqs.empty, "the queue to be empty")

    [poison] = within.buried
    assert (poison.message, poison.receives, poison.queue) == (bad, 3, URL)
    assert poison.body == '{"Records": [{"s3": {}}]}'
    assert "Records[0].s3.object" in poison.error
    assert poison.sent_at is not None


def test_one_refused_message_does_not_keep_the_others_out(sqs: FakeSqs, within: Within) -> None:
    """When the ledger refuses a batch, its messages are written one by one."""
    within.refuse = {"in/bad.csv"}
    for key in ("in/a.csv", "in/bad.csv", "in/b.csv"):
        sqs.send(upload(key))
    door = door_of(sqs, within)
    door.start()
    until(lambda: len(within.accepted) == 2 and len(sqs.deleted) >= 2, "the two others to be taken")
    door.close()
    left = [one.body for one in sqs.messages.values()] or [one.body for one in within.buried]

    assert sorted(within.accepted) == ["in/a.csv", "in/b.csv"]
    assert [json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in left] == ["in/bad.csv"]


def test_what_is_no_event_is_deleted(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """S3's test message, and what an input transformer left empty."""
    sqs.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw-data"})
    sqs.send({"Records": []})
    until(sqs.empty, "the queue to be empty")

    assert within.accepted == []


def test_a_state_change_is_handed_on(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """What AWS says of a run's state, to whoever follows it; then the message is deleted."""
    sqs.send(GLUE)
    until(sqs.empty, "the queue to be empty")

    assert [(one.engine, one.id, one.detail["state"]) for one in within.changed] == [("glue", "jr_1", "SUCCEEDED")]


def test_closing_does_not_wait_for_a_long_poll(sqs: FakeSqs, within: Within) -> None:
    """A poll of twenty seconds is left alone, at once."""
    door = door_of(sqs, within, wait=20)
    door.start()
    until(lambda: sqs.count("ReceiveMessage"), "the poll to begin")
    begun = time.monotonic()
    door.close()

    assert time.monotonic() - begun < 10


def test_what_a_poll_brings_after_the_end_is_given_back(sqs: FakeSqs, within: Within) -> None:
    """A message that arrives while the door closes is visible to others at once."""
    door = door_of(sqs, within, wait=20)
    door.start()
    until(lambda: sqs.count("ReceiveMessage"), "the poll to begin")
    door.close()
    name = sqs.send(upload("in/a.csv"))
    until(lambda: sqs.count("ChangeMessageVisibilityBatch"), "the message to be given back")

    assert within.accepted == []
    assert sqs.messages[name].hidden_until <= time.monotonic()


def test_closing_waits_for_what_is_being_written(sqs: FakeSqs, within: Within) -> None:
    """A batch that is on its way into the ledger is finished and deleted."""
    within.hold.clear()
    sqs.send(upload("in/a.csv"))
    door = door_of(sqs, within)
    door.start()
    assert within.asked.wait(DEADLINE)
    threading.Timer(0.2, within.hold.set).start()
    door.close()

    assert within.accepted == ["in/a.csv"]
    assert sqs.empty()


def test_a_mistake_of_ours_does_not_end_the_door(sqs: FakeSqs, within: Within, door: QueueDoor) -> None:
    """An exception nobody thought of is said, and the message comes again."""
    within.fail = [RuntimeError("we did not think of that")]
    name = sqs.send(upload("in/a.csv"))
    until(lambda: not within.fail, "the mistake")
    until(lambda: door.problem == "a mistake of ours" or within.accepted, "the door to say so")
    sqs.show(name)
    until(sqs.empty, "the queue to be empty")

    assert within.accepted == ["in/a.csv"]


def test_an_sqs_that_does_not_wait_is_not_asked_without_end(sqs: FakeSqs, within: Within) -> None:
    """Empty answers that come at once are not asked for more than twice a second."""
    door = door_of(sqs, within, wait=1)
    sqs.over.set()  # it waits no more
    door.start()
    until(lambda: sqs.count("ReceiveMessage") >= 2, "two polls")
    begun, before = time.monotonic(), sqs.count("ReceiveMessage")
    time.sleep(1.0)
    door.close()

    assert sqs.count("ReceiveMessage") - before <= 2 * (time.monotonic() - begun) + 2
