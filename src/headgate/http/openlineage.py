"""This file is where OpenLineage comes in: POST /openapi/openlineage/api/v1/lineage (and /batch), a bare ASGI door.

An event is converted at once, so that a bad one is answered as such, and its aspects go into the outbox: the producer
waits for our ledger, never for DataHub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from headgate.errors import HeadgateError, Invalid, MalformedEvent, UnconvertibleEvent
from headgate.flow.lineage import CHANNEL
from headgate.gate import Gate
from headgate.http.answers import SECURITY_HEADERS, encode, problem_headers, status_of
from headgate.http.auth import Headers
from headgate.http.callers import Callers
from headgate.http.events import ClientGone, read_body
from headgate.http.landing import Landing
from headgate.openlineage import SharedAliases, configured, convert
from headgate.ports import Message
from headgate.settings.record import OpenLineage

PREFIX: Final = "/openapi/openlineage"
PATH: Final = f"{PREFIX}/api/v1/lineage"
BATCH: Final = f"{PATH}/batch"
#: Larger bodies are converted in a thread, so that nobody else waits.
_LARGE: Final = 64 * 1024
MOST: Final = 1_000  #: events of one batch

_FIXED: Final = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
_raw: Final = msgspec.json.Decoder(list[msgspec.Raw])
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def takes(path: str) -> bool:
    """Whether this path is the door's: all that is OpenLineage's, so that none of it ever reaches a proxied DataHub."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


class LineageDoor:
    """Answers 201 with nothing, 400 for what is no event, 422 for one that cannot be converted, 401, 405, 413."""

    def __init__(self, gate: Gate, callers: Callers, settings: OpenLineage) -> None:
        self._gate = gate
        self._callers = callers
        self._options = configured(settings)
        self._aliases = SharedAliases(settings.alias_memory) if settings.alias_memory else None
        self._landing: Landing | None = None
        self.accepted = 0
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body = await self.answer(scope, receive)
        except ClientGone:
            return
        headers = [*_FIXED, (b"content-length", b"%d" % len(body))]
        if body:
            headers.append((b"content-type", b"application/json"))
        if status == 405:
            headers.append((b"allow", b"POST"))
        if status >= 400:
            headers += [(name.encode(), value.encode()) for name, value in problem_headers(status).items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Convert and keep what the body holds, whole or not at all; answer the status and what to say.

        Raises:
            ClientGone: the body never came to its end.
        """
        path: str = scope["path"].rstrip("/")
        if path not in (PATH, BATCH):
            return 404, encode({"message": f"there is nothing at {path}; events are posted to {PATH}"})
        if scope["method"] != "POST":
            return 405, encode({"message": f"{scope['method']} is not for {path}; POST an OpenLineage event"})
        headers: Headers = dict(scope["headers"])
        try:
            await self._callers.producer(headers)
            body = await read_body(headers, receive)
            work = self._batch if path == BATCH else self._one
            messages = await asyncio.to_thread(work, body) if len(body) > _LARGE else work(body)
            if messages:
                await self._land().wait(self._gate.ledger.tell(messages))
        except HeadgateError as error:
            self.refused += 1
            return status_of(error), encode({"message": str(error)})
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - a bug is answered as JSON too; the log has it
            _log.exception("an OpenLineage event could not be taken")
            return 500, encode({"message": "the event could not be taken; the server's log says why"})
        self.accepted += len(messages)
        return 201, b""

    def _one(self, body: bytes) -> list[Message]:
        return self._message(body)

    def _batch(self, body: bytes) -> list[Message]:
        """All of them or none: the answer names the first that is wrong, by its place."""
        try:
            events = _raw.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedEvent(f"body: expected a JSON list of OpenLineage events: {error}") from error
        if len(events) > MOST:
            raise Invalid(f"body: {len(events)} events; at most {MOST} are taken at once")
        messages: list[Message] = []
        for place, one in enumerate(events):
            try:
                messages += self._message(bytes(one))
            except UnconvertibleEvent as error:
                raise UnconvertibleEvent(f"event {place}: {error}") from error
            except MalformedEvent as error:
                raise MalformedEvent(f"event {place}: {error}") from error
        return messages

    def _message(self, event: bytes) -> list[Message]:
        proposals: Sequence[Any] = convert(event, self._options, now=int(time.time() * 1000), aliases=self._aliases)
        return [Message(CHANNEL, "", {"proposals": proposals})] if proposals else []

    def _land(self) -> Landing:
        loop = asyncio.get_running_loop()
        if self._landing is None or self._landing.loop is not loop:
            self._landing = Landing(loop)
        return self._landing
