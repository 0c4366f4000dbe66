"""This file is where AWS's JSON protocol is spoken: POST / with X-Amz-Target, one service for each prefix of it.

A service decodes nothing and encodes nothing: it is handed a `Call` and answers a mapping, or raises. Whatever happens
is answered in the protocol's own shape, on a connection that stays open.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from headgate.errors import Forbidden, HeadgateError, Invalid, NotAuthenticated
from headgate.http.answers import SECURITY_HEADERS, TooLarge, encode
from headgate.http.auth import Headers, headers_of
from headgate.http.events import ClientGone, read_body
from headgate.model import Json

TARGET: Final = b"x-amz-target"
CONTENT_TYPE: Final = b"application/x-amz-json-1.1"
#: SDKs give every attempt of one call the same value, so a call that is sent again can be recognised.
INVOCATION: Final = b"amz-sdk-invocation-id"

_FIXED: Final = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
_decode: Final = msgspec.json.Decoder().decode
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Fault(Invalid):
    """An error in AWS's own words; SDKs raise it as `client.exceptions.<code>`."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an operation, by somebody who may."""

    operation: str
    body: Mapping[str, Any]  #: the JSON object that was sent, as it was sent
    actor: str  #: urn:li:corpuser:NAME
    invocation: str = ""  #: the same for every attempt of one SDK call; "" where the client sends none
    region: str = "us-east-1"  #: what the client signed for


class Service(Protocol):
    """One AWS service."""

    signing_name: str  #: the service in the signature's scope, e.g. `glue`
    #: What errors of ours are called there, and their status; the first class that fits counts.
    faults: Sequence[tuple[type[HeadgateError], str, int]]

    async def answer(self, call: Call) -> Mapping[str, Json]:
        """Do it. Raises Fault, or an error of ours that `faults` names."""
        ...


class Admission(Protocol):
    """Who decides whether a call may be made."""

    async def admit(self, scope: Scope, headers: Headers, body: bytes, service: str) -> tuple[str, str]:
        """The caller's actor and the region signed for. Raises Fault or Forbidden."""
        ...


def takes(scope: Scope) -> bool:
    """Whether this is a call of AWS's JSON protocol."""
    return bool(
        scope["method"] == "POST" and scope["path"] == "/" and any(name == TARGET for name, _ in scope["headers"])
    )


class AwsDoor:
    """The one handler behind POST / with X-Amz-Target. `services` by the target's prefix, e.g. AWSGlue."""

    def __init__(self, services: Mapping[str, Service], admission: Admission) -> None:
        self._services = services
        self.admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", CONTENT_TYPE), (b"x-amzn-requestid", str(uuid.uuid4()).encode()), *_FIXED]
        try:
            status, body = 200, encode(await self._answer(scope, receive))
        except ClientGone:
            return
        except Fault as fault:
            status, body = fault.status, encode({"__type": fault.code, "Message": str(fault)})
            headers.append((b"x-amzn-errortype", fault.code.encode("ascii", "replace")))
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Mapping[str, Json]:
        """Find the service and let it answer; every failure comes out as a Fault (or ClientGone)."""
        raw = cast("list[tuple[bytes, bytes]]", scope["headers"])
        headers: Headers = dict(raw)
        prefix, _, operation = headers[TARGET].decode("latin-1").partition(".")
        service = self._services.get(prefix)
        try:
            headers = headers_of(raw)
            body = await read_body(headers, receive)
            actor, region = await self.admission.admit(scope, headers, body, service.signing_name if service else "")
            known = _there(service, headers)
            call = Call(
                operation=operation,
                body=read_object(headers, body),
                actor=actor,
                invocation=headers.get(INVOCATION, b"").decode("latin-1")[:200],
                region=region,
            )
            return await known.answer(call)
        except (ClientGone, Fault, asyncio.CancelledError):
            raise
        except HeadgateError as error:
            raise fault_of(error, service.faults if service else ()) from error
        except Exception as error:
            _log.exception("an AWS call failed", target=f"{prefix}.{operation}"[:200])
            message = "the call failed by a defect of the server; its log says why"
            raise Fault("InternalServiceException", message, 500) from error


def _there(service: Service | None, headers: Headers) -> Service:
    """Raises Fault: the target is of none of the services here, whose bodies nobody need read."""
    if service is None:
        raise unknown_operation(headers[TARGET].decode("latin-1"))
    return service


def unknown_operation(target: str) -> Fault:
    return Fault("UnknownOperationException", f"{target[:200]} is not among the operations that are served here")


def read_object(headers: Headers, body: bytes) -> Mapping[str, Any]:
    """The body as the JSON object it must be. Raises Fault."""
    if headers.get(b"content-type", b"").strip() != CONTENT_TYPE:
        raise Fault("SerializationException", f"expected Content-Type: {CONTENT_TYPE.decode()}")
    try:
        found = _decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Fault("SerializationException", "the body is not a JSON object")
    return cast("Mapping[str, Any]", found)


def fault_of(error: HeadgateError, faults: Sequence[tuple[type[HeadgateError], str, int]]) -> Fault:
    """An error of ours in a service's words. Only what is not the caller's doing has a status of 500."""
    if isinstance(error, TooLarge):
        return Fault("RequestEntityTooLargeException", str(error), 413)
    for kind, code, status in (*faults, *_EVERYWHERE):
        if isinstance(error, kind):
            return Fault(code, str(error), status)
    return Fault("InternalServiceException", str(error), 500)


_EVERYWHERE: Final[Sequence[tuple[type[HeadgateError], str, int]]] = (
    (NotAuthenticated, "MissingAuthenticationTokenException", 400),
    (Forbidden, "AccessDeniedException", 400),
    (Invalid, "ValidationException", 400),
)
