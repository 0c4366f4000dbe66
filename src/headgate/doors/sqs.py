"""This file is where events come in from SQS queues: one thread a queue, which loses nothing that it took.

A message is deleted once what it holds is durable in the ledger, and never before; until then the queue is asked to
keep it from others, however long the commit takes. Delivered again all the same, it is known by its events'
identities. A message that cannot be read is left for another try, and after some of them put into the dead-letter
list. While the queue cannot be asked, the door waits longer and longer, and says so.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import structlog

from headgate.aws import Clients, Fault, Place
from headgate.aws_lambda.messages import StateChange
from headgate.errors import HeadgateError, Invalid, Unavailable
from headgate.model import Event
from headgate.settings.record import Queue

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
T = TypeVar("T")

DOOR: Final = "sqs"
_MOST: Final = 10  #: messages SQS hands out at a time, and takes in a batch
_LONGEST_PAUSE: Final = 60.0  #: seconds between tries while the queue cannot be asked
_LEAST_ROUND: Final = 0.5  #: seconds an empty poll takes at least: not every SQS waits as it is asked to


class Decoded(Protocol):
    """What a message held; the decoder of the HTTP door answers it."""

    @property
    def events(self) -> Sequence[Event]: ...
    @property
    def changes(self) -> Sequence[StateChange]: ...
    @property
    def ignored(self) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A message that cannot be read, and was received too often."""

    queue: str  #: its URL
    message: str  #: the queue's own id of it
    body: str
    error: str
    receives: int
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the door is given of the rest. Each may be called from the door's own threads."""

    decode: Callable[[str], Decoded]  #: raises Invalid
    accept: Callable[[Sequence[Event]], Future[Any]]  #: durable when it is done
    changed: Callable[[StateChange], bool]  #: told what AWS says of a run's state; False: nobody here follows that
    bury: Callable[[Poison], Future[Any]]  #: keeps it in the dead-letter list; durable when it is done


@dataclass(frozen=True, slots=True)
class _Message:
    id: str
    receipt: str
    body: str
    receives: int
    sent_at: datetime | None


class QueueDoor:
    """One queue."""

    def __init__(
        self,
        queue: Queue,
        inside: Inside,
        *,
        clients: Clients,
        name: str,
        wait: int = 20,
        visibility: int = 60,
        pause: float = 1.0,
        retry: int = 5,
    ) -> None:
        """Nothing is loaded or asked before `start`.

        Args:
            queue: where to poll, and as whom.
            inside: who is handed what was found.
            clients: shared with the AWS engines.
            name: what it is called where AWS's names are not to be shown.
            wait: seconds a poll waits for a message.
            visibility: seconds a message is kept from others; asked for again each third of that.
            pause: seconds before the first try after a fault; it doubles from fault to fault.
            retry: seconds before a message that cannot be read comes again; so many more each time.
        """
        self.name = name
        self.problem: str | None = None  #: why the queue cannot be read now, in words that name nothing of AWS
        self.taken = 0  #: messages that were done with
        self._queue = queue
        self._inside = inside
        self._clients = clients
        self._place = Place.of(queue, session="headgate-sqs", endpoint=queue.endpoint_url)
        self._wait = wait
        self._visibility = visibility
        self._pause = pause
        self._retry = retry
        self._failures = 0
        self._closing = threading.Event()
        self._waiting = threading.Event()  #: inside a poll that found nothing yet: nothing is lost by leaving it alone
        self._thread = threading.Thread(target=self._run, name=f"sqs-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take no more; what is being written is finished."""
        self._closing.set()

    def close(self, patience: float = 10.0) -> None:
        """Take no more. A batch that is being written is given `patience` seconds; a poll that waits is left behind."""
        self._closing.set()
        until = time.monotonic() + patience
        while self._thread.is_alive() and not self._waiting.is_set() and time.monotonic() < until:
            self._thread.join(0.02)

    # -- the loop

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - a batch we make a mistake with comes again; the door must be there
                _log.exception("a batch could not be taken", queue=self._queue.url)
                self._trouble("a mistake of ours", str(error))

    def _round(self) -> None:
        begun = time.monotonic()
        self._waiting.set()
        found = self._call(
            "receive_message",
            {
                "MaxNumberOfMessages": _MOST,
                "WaitTimeSeconds": self._wait,
                "VisibilityTimeout": self._visibility,
                "AttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
            },
            read=self._wait + 10.0,
        )
        self._waiting.clear()
        if isinstance(found, Fault):
            self._trouble(found.code, str(found), least=found.wait)
            return
        messages = [_message(one) for one in found.get("Messages") or ()]
        if self._closing.is_set():
            self._release(messages, 0)
            return
        self._well()
        if messages:
            self._take(messages)
        else:
            self._closing.wait(max(0.0, min(_LEAST_ROUND, self._wait) - (time.monotonic() - begun)))

    # -- what was received

    def _take(self, messages: Sequence[_Message]) -> None:
        read: dict[str, Decoded] = {}
        wrong: dict[str, str] = {}
        for one in messages:
            try:
                read[one.id] = self._inside.decode(one.body)
            except Invalid as error:
                wrong[one.id] = str(error)
        good = [one for one in messages if one.id in read]
        events = [event for one in good for event in read[one.id].events]
        if events:
            refused = self._accept(good, read)
            if refused is None:
                return
            wrong.update(refused)
        good = [one for one in good if one.id not in wrong]
        for one in good:
            for change in read[one.id].changes:
                self._inside.changed(change)
            for place, reason in read[one.id].ignored:
                _log.info("not an event", queue=self._queue.url, message=one.id, place=place, reason=reason)
        buried = [one for one in messages if one.id in wrong and self._bury(one, wrong[one.id])]
        self._delete([*good, *buried])

    def _accept(self, good: Sequence[_Message], read: Mapping[str, Decoded]) -> dict[str, str] | None:
        """Let everything be written; answers what is wrong with which messages, None when the door closed first."""
        together = [event for one in good for event in read[one.id].events]
        try:
            return {} if self._held(good, lambda: self._inside.accept(together)) else None
        except HeadgateError as error:
            if len(good) == 1:
                return {good[0].id: str(error)}
        wrong: dict[str, str] = {}
        for one in good:  # one of them is refused: it must not keep the others out
            found = self._accept([one], read)
            if found is None:
                return None
            wrong.update(found)
        return wrong

    def _bury(self, message: _Message, error: str) -> bool:
        """Give up a message that was received often enough; another is left for its next try."""
        _log.warning("cannot be read", queue=self._queue.url, message=message.id, receives=message.receives, why=error)
        if message.receives < self._queue.poison_after:
            self._release([message], min(self._retry * message.receives, self._visibility))
            return False
        poison = Poison(
            queue=self._queue.url,
            message=message.id,
            body=message.body,
            error=error,
            receives=message.receives,
            sent_at=message.sent_at,
        )
        return self._held([message], lambda: self._inside.bury(poison))

    def _held(self, messages: Sequence[_Message], write: Callable[[], Future[Any]]) -> bool:
        """Write, while the queue keeps the messages from others; again and again while the ledger is away.

        False: the door closed before it was written, and the messages were given back.

        Raises:
            HeadgateError: it is refused for good.
        """
        failures = 0
        while True:
            try:
                self._until_done(messages, write())
            except Unavailable as error:
                failures += 1
                self._say("the ledger does not take them", str(error))
                if self._closing.wait(min(self._delay(failures), self._visibility / 3)):
                    self._release(messages, 0)
                    return False
                self._release(messages, self._visibility)
            else:
                if failures:
                    self._well()
                return True

    def _until_done(self, messages: Sequence[_Message], future: Future[Any]) -> None:
        while True:
            try:
                future.result(self._visibility / 3)
            except TimeoutError:
                if future.done():
                    raise  # it is the write that says so, not our patience
                self._release(messages, self._visibility)
            else:
                return

    # -- what the queue is told

    def _delete(self, messages: Sequence[_Message]) -> None:
        left = list(messages)
        for attempt in range(3):
            if not left:
                break
            entries = [{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(left)]
            said = self._call("delete_message_batch", {"Entries": entries}, attempts=3)
            if isinstance(said, Fault):
                _log.warning("not deleted; it comes again and is known", queue=self._queue.url, why=str(said))
                break
            self.taken += len(left)
            left = [left[int(one["Id"])] for one in said.get("Failed") or () if not one.get("SenderFault")]
            self.taken -= len(left)
            if left and self._closing.wait(self._pause * attempt):
                break

    def _release(self, messages: Sequence[_Message], seconds: int) -> None:
        """Keep messages from others for so long from now on. What fails here only lets them come again sooner."""
        if not messages:
            return
        entries = [
            {"Id": str(number), "ReceiptHandle": one.receipt, "VisibilityTimeout": seconds}
            for number, one in enumerate(messages)
        ]
        said = self._call("change_message_visibility_batch", {"Entries": entries}, attempts=2)
        if isinstance(said, Fault):
            _log.warning("cannot be kept from others", queue=self._queue.url, why=str(said))

    def _call(
        self, operation: str, arguments: Mapping[str, Any], *, attempts: int = 1, read: float | None = None
    ) -> dict[str, Any] | Fault:
        asked = {"QueueUrl": self._queue.url, **arguments}
        doing = f"{operation} at the queue {self._queue.url}"
        return self._clients.call(self._place, "sqs", operation, asked, doing=doing, attempts=attempts, read=read)

    # -- how it goes

    def _trouble(self, word: str, why: str, *, least: float = 0.0) -> None:
        self._failures += 1
        self._say(word, why)
        self._closing.wait(max(self._delay(self._failures), least))

    def _say(self, word: str, why: str) -> None:
        if word != self.problem:
            _log.warning("cannot be read", queue=self._queue.url, why=why)
        self.problem = word

    def _delay(self, failures: int) -> float:
        longest = min(self._pause * 2 ** min(failures - 1, 16), _LONGEST_PAUSE)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that replicas do not all come back at once

    def _well(self) -> None:
        if self.problem:
            _log.info("is read again", queue=self._queue.url)
        self._failures, self.problem = 0, None


def _message(said: Mapping[str, Any]) -> _Message:
    """Read a message as it was received; what a stand-in for SQS leaves out is not missed."""
    attributes: Mapping[str, Any] = said.get("Attributes") or {}
    receives, sent = str(attributes.get("ApproximateReceiveCount", "1")), str(attributes.get("SentTimestamp", ""))
    body = said.get("Body")
    return _Message(
        id=str(said.get("MessageId") or said["ReceiptHandle"]),
        receipt=str(said["ReceiptHandle"]),
        body=body if isinstance(body, str) else json.dumps(body),
        receives=int(receives) if receives.isdecimal() else 1,
        sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent.isdecimal() and len(sent) < 16 else None,
    )
