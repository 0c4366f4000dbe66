"""This file is where requests are read from DataHub's Events API: the change log over HTTP, without Kafka or Avro.

How far we have read is kept in the ledger, after what was read is there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import urlencode

import structlog

from headgate.datahub.answers import Answer, document, message, record, sequence
from headgate.datahub.wire import Limits, Wire
from headgate.errors import NotFound, Unavailable
from headgate.executor.executor import Accept
from headgate.executor.filters import Filters
from headgate.executor.pipeline_file import MCL
from headgate.executor.requests import Change, read_change
from headgate.ledger import executions
from headgate.ledger.store import Ledger, wait_for

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PATH: Final = "/openapi/v1/events/poll"
MOST: Final = 500  #: events in an answer
PATIENCE: Final = 10  #: seconds DataHub may wait for events; it takes no more
LOOKBACK: Final = 1  #: days, where we have read nothing yet
QUIET: Final = 1.0  #: seconds before the next question where an empty answer came at once


class EventsApi:
    """Reads the change log of one GMS for one executor."""

    name = "the Events API"

    def __init__(
        self,
        gms_url: str,
        authorization: str,
        ledger: Ledger,
        executor_id: str,
        *,
        topic: str = MCL,
        filters: Filters | None = None,
        patience: int = PATIENCE,
        limits: Limits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = gms_url
        self._limits = limits or Limits(silence=patience + 10.0, whole=patience + 20.0)
        self._headers: Mapping[str, str] = {"Authorization": authorization} if authorization else {}
        self._ledger = ledger
        self._note = f"events:{executor_id}:{topic}"
        self._topic = topic
        self._filters = filters or Filters()
        self._patience = patience
        self._monotonic = monotonic

    def follow(self, accept: Accept, closing: threading.Event) -> None:
        offset = self._ledger.read(lambda connection: executions.noted(connection, self._note))
        wire = Wire(self._url, self._limits)
        try:
            while not closing.is_set():
                offset = self._turn(wire, offset, accept, closing)
        finally:
            wire.close()

    def _turn(self, wire: Wire, offset: str | None, accept: Accept, closing: threading.Event) -> str | None:
        """Ask once, hand on what came, remember how far that was; answers where to go on."""
        begun = self._monotonic()
        asked: dict[str, object] = {"topic": self._topic, "limit": MOST, "pollTimeoutSeconds": self._patience}
        asked |= {"lookbackWindowDays": LOOKBACK} if offset is None else {"offsetId": offset}
        answer = wire.call("GET", f"{PATH}?{urlencode(asked)}", headers=self._headers)
        if closing.is_set():
            return offset  # the ledger may be closed already; it is read again
        if answer.status == 400 and offset is not None:
            _log.warning("DataHub does not know our place in its events any more; the last day is read again",
                         why=message(answer))  # fmt: skip
            return None
        found = document(_fine(answer, wire.place), f"DataHub at {wire.place}")
        following = found.get("offsetId")
        if not isinstance(following, str):
            raise Unavailable(f"the Events API of DataHub at {wire.place} answered without an offsetId")
        events = sequence(found.get("events"))
        accept(_changes(events, self._filters))
        if following != offset:
            wait_for(self._ledger.write(lambda batch: executions.note(batch, self._note, following)))
        if not events and self._monotonic() - begun < QUIET:
            closing.wait(QUIET)
        return following


def _fine(answer: Answer, place: str) -> Answer:
    if answer.status == 404 or answer.html:
        raise NotFound("Events API", place, "it is older than that, or has it switched off (EVENTS_API_ENABLED)")
    if answer.status == 403:
        why = "it does not let us: our credential lacks the privilege GET_METADATA_CHANGE_LOG_EVENTS"
        raise NotFound("Events API", place, why)
    if answer.status == 401:
        raise Unavailable(f"DataHub at {place} does not take our credential; check `datahub.token`")
    if not 200 <= answer.status < 300:
        raise Unavailable(f"DataHub at {place} answered {answer.seen()}")
    return answer


def _changes(events: Sequence[Any], filters: Filters) -> list[Change]:
    """What the events mean. One that is none is passed over with a word in the log: it must not hold up the others."""
    found: list[Change] = []
    for one in events:
        value = record(one).get("value")
        try:
            event = json.loads(value) if isinstance(value, str) else None
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            _log.error("an event of DataHub's is no JSON object; passed over", begins=str(value)[:100])
            continue
        change = read_change(cast("dict[str, Any]", event), filters.take)
        if change is not None:
            found.append(change)
    return found
