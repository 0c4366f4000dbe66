"""This file is where events come in over HTTP: POST /api/ingestion/events, as a bare ASGI application.

It is the hot path: no routing, no validation layers, nothing but the decoder, the ledger's future and the encoder.
The FastAPI route of the same path exists for the schema and calls the same `answer`.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from headgate.doors.object_events import Decoded, decode
from headgate.errors import HeadgateError
from headgate.gate import Gate
from headgate.http.answers import (
    MAX_BODY,
    SECURITY_HEADERS,
    TooLarge,
    WrongEncoding,
    encode,
    problem_headers,
    status_of,
)
from headgate.http.auth import Guard, Headers
from headgate.http.landing import Landing
from headgate.http.metrics import Metrics
from headgate.ledger.accepting import Receipt

PATH: Final = "/api/ingestion/events"
DOOR: Final = "s3"
#: Larger bodies are decoded in a thread: ten thousand records would hold up everybody else for a third of a second.
_LARGE: Final = 64 * 1024

_FIXED: Final = [
    (b"content-type", b"application/json"),
    *((k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()),
]
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ClientGone(Exception):
    """The sender hung up before its body was complete; nobody waits for an answer."""


class EventsDoor:
    def __init__(self, gate: Gate, guard: Guard, metrics: Metrics) -> None:
        self._gate = gate
        self._guard = guard
        self._metrics = metrics
        self._landing: Landing | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST, or a HEAD (MinIO's probe of its webhook)."""
        try:
            status, body = await self.answer(scope, receive)
        except ClientGone:
            return
        headers = [*_FIXED, (b"content-length", b"%d" % len(body))]
        if status != 200:
            headers += [(name.encode(), value.encode()) for name, value in problem_headers(status).items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Record what the body holds, whole or not at all; answer the status and the JSON.

        Raises:
            ClientGone: the body never came to its end.
        """
        headers: Headers = dict(scope["headers"])
        try:
            self._guard.check_events(headers)
            return 200, await self._record(await read_body(headers, receive))
        except HeadgateError as error:
            return status_of(error), encode({"message": str(error)})
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - a bug is answered as JSON too; the log has it
            _log.exception("an event could not be taken")
            return 500, encode({"message": "the event could not be taken; the server's log says why"})

    async def _record(self, body: bytes) -> bytes:
        begun = perf_counter()
        large = len(body) > _LARGE
        decoded = await asyncio.to_thread(decode, body, source=DOOR) if large else decode(body, source=DOOR)
        receipts: list[Receipt] = []
        if decoded.events:
            receipts = await self._land().wait(self._gate.ledger.accept(decoded.events))
            self._metrics.took(receipts, perf_counter() - begun)
        # who sends events may say that a run ended; whether it did, we ask AWS ourselves
        noticed = [self._gate.changed(one, trusted=False) for one in decoded.changes]
        return encode(_answer(receipts, decoded, noticed))

    def _land(self) -> Landing:
        loop = asyncio.get_running_loop()
        if self._landing is None or self._landing.loop is not loop:
            self._landing = Landing(loop)
        return self._landing


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """The request's body.

    Raises:
        TooLarge: more than MAX_BODY, by Content-Length or as it comes. WrongEncoding: it is compressed.
        ClientGone: the connection ended before the body did.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 12 or int(length) > MAX_BODY):
        raise TooLarge
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise WrongEncoding("body: expected no Content-Encoding; send the JSON as it is")
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body: bytes = message.get("body", b"")  # all in one message: the usual case, without a copy
        if len(body) > MAX_BODY:
            raise TooLarge
        return body
    parts: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        part: bytes = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise TooLarge
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()
    raise ClientGone


def _answer(receipts: list[Receipt], decoded: Decoded, noticed: list[bool]) -> dict[str, object]:
    # msgspec writes a Decision as decision_json would; a test holds the two together
    events = [{"id": one.event, "duplicate": one.duplicate, "decisions": one.decisions} for one in receipts]
    answer: dict[str, object] = {
        "events": events,
        "ignored": [{"place": place, "reason": reason} for place, reason in decoded.ignored],
    }
    if decoded.changes:
        told = zip(decoded.changes, noticed, strict=True)
        answer["noticed"] = [{"place": one.place, "id": one.id, "followed": ours} for one, ours in told]
    return answer
