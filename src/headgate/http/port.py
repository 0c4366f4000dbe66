"""This file is where the one port is put together: who may enter, what is where, and how errors are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from headgate import __version__
from headgate.embedded.port import EmbeddedDataHub
from headgate.errors import HeadgateError, NotAuthenticated
from headgate.gate import Gate
from headgate.http import (
    acting,
    aws_wire,
    button,
    callbacks,
    clicks,
    dead_letters,
    docs,
    events,
    health,
    keys,
    looking,
    openlineage,
    pages,
    rules,
    secrets,
)
from headgate.http.answers import (
    MAX_BODY,
    SECURITY_HEADERS,
    field_problems,
    problem,
    refusal,
    status_of,
)
from headgate.http.auth import Guard, Headers, headers_of
from headgate.http.aws_callers import AwsCallers
from headgate.http.aws_services import services
from headgate.http.aws_small import SmallAws
from headgate.http.ingestion import IngestionDoor
from headgate.http.live import Broadcaster
from headgate.http.metrics import Metrics
from headgate.model import Json, Run
from headgate.ports import Message as Letter

if TYPE_CHECKING:
    from headgate.http.proxy import Proxy

API: Final = "/headgate/api/v1"
#: What anybody may ask under /headgate: to log in and out, and how those pages look.
_OPEN: Final = ("/headgate/login", "/headgate/logout", "/headgate/static/")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
Readiness = Callable[[], Mapping[str, Json]]


class Port:
    """The ASGI application. It has no lifespan of its own; `close` ends the streams so that a server can stop."""

    def __init__(
        self,
        app: FastAPI,
        door: events.EventsDoor,
        guard: Guard,
        proxy: Proxy | None = None,
        most: Callable[[str], int] = lambda _path: MAX_BODY,
    ) -> None:
        self.app = app
        self._most = most
        self._proxy = proxy
        self._door = door
        self._clicks: IngestionDoor = app.state.ingestion
        self._lineage: openlineage.LineageDoor = app.state.lineage
        self._guard = guard
        self._aws: aws_wire.AwsDoor = app.state.aws
        self._small_aws: SmallAws = app.state.small_aws

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and aws_wire.takes(scope):
            await self._aws(scope, receive, send)
            return
        if scope["type"] == "http" and self._small_aws.takes(scope):
            await self._small_aws(scope, receive, send)
            return
        if self._proxy is not None and scope["type"] == "http":
            ours = self._proxy.ours(scope)
            if ours is None:
                await self._proxy(scope, receive, send)
                return
            scope = ours
        if scope["type"] != "http":
            await self._other(scope, receive, send)
        elif scope["path"] == events.PATH and scope["method"] in ("POST", "HEAD"):
            await self._door(scope, receive, send)
        elif openlineage.takes(scope["path"]):
            await self._lineage(scope, receive, send)
        elif self._clicks.takes(scope["path"]):
            await self._clicks(scope, receive, send)
        else:
            response = await self._refuse(scope)
            await (response or self.app)(scope, _limited(scope, receive, self._most(scope["path"])), _secured(send))

    def close(self) -> None:
        """Call before the server is told to stop. Safe from any thread."""
        broadcaster: Broadcaster = self.app.state.broadcaster
        broadcaster.close()
        self._clicks.close()
        if self._proxy is not None:
            self._proxy.close()

    @property
    def metrics(self) -> Metrics:
        found: Metrics = self.app.state.metrics
        return found

    async def _refuse(self, scope: Scope) -> Response | None:
        """An answer for those who may not enter; else the scope gets its caller."""
        path: str = scope["path"]
        raw = cast("list[tuple[bytes, bytes]]", scope["headers"])
        headers: Headers = dict(raw)
        if path in ("/healthz", button.PATH):
            return None
        try:
            headers = headers_of(raw)
            if path == f"{API}{callbacks.PATH}" or not _under(path, "/headgate"):
                self._guard.check_place(headers)
            elif path.startswith(_OPEN):
                self._guard.check_console(headers)
            else:
                scope["headgate.caller"] = await self._clicks.callers.operator(scope["method"], headers)
        except HeadgateError as error:
            page = scope["method"] == "GET" and pages.wants_page(path, headers)
            if isinstance(error, NotAuthenticated) and page and self._guard.needs_login:
                return RedirectResponse(f"/headgate/login?next={quote(path, safe='/')}", 303)
            return refusal(error)
        return None

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})


def build(gate: Gate, *, readiness: Readiness, host: str, port: int) -> Port:
    """Make the one port's application.

    `readiness` answers {"ready": bool, "problems": [...], ...facts}; it may read the ledger. `host` is what the port is
    bound to and decides whether tokens are optional. Call this after the ledger's `announce` is set: it is wrapped, to
    count the runs that end.
    """
    guard, metrics = Guard(gate.settings, host), Metrics(gate)
    app = FastAPI(
        title="Headgate",
        version=__version__,
        summary="The control plane for data ingestion around DataHub and an AWS lakehouse.",
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json" if gate.settings.api_docs else None,
        redirect_slashes=False,
    )
    app.state.gate = gate
    app.state.readiness = readiness
    app.state.guard = guard
    app.state.metrics = metrics
    app.state.broadcaster = Broadcaster(lambda: gate.ledger.written)
    app.state.address = (host, port)
    app.state.events = events.EventsDoor(gate, guard, metrics)
    app.state.ingestion = IngestionDoor(gate, guard)
    app.state.lineage = openlineage.LineageDoor(gate, app.state.ingestion.callers, gate.settings.openlineage)
    aws_callers = AwsCallers(gate, guard, host)
    app.state.aws = aws_wire.AwsDoor(services(gate), aws_callers)
    app.state.small_aws = SmallAws(gate, aws_callers)
    app.include_router(docs.events_router)
    app.include_router(docs.lineage_router)
    app.include_router(clicks.router)
    app.include_router(acting.router, prefix=API)
    app.include_router(callbacks.router, prefix=API)
    app.include_router(looking.router, prefix=API)
    app.include_router(rules.router, prefix=API)
    app.include_router(rules.page_router)
    app.include_router(secrets.router, prefix=API)
    app.include_router(dead_letters.router, prefix=API)
    app.include_router(keys.router, prefix=API)
    if gate.settings.api_docs:
        app.include_router(docs.router, prefix=API)
    app.include_router(health.router)
    app.include_router(button.router)
    app.include_router(pages.router)
    most = _usual
    if isinstance(gate.datahub, EmbeddedDataHub):
        from headgate.http import gms  # noqa: PLC0415 - with graphql, which a server with a DataHub does without

        app.state.catalog = gate.datahub.catalog
        app.include_router(gms.router)
        most = gms.most
    docs.describe(app, API)
    _answer_errors(app, api_docs=gate.settings.api_docs)
    _count_ends(gate, metrics)
    return Port(app, app.state.events, guard, _proxy(gate), most)


def _proxy(gate: Gate) -> Proxy | None:
    """DataHub's frontend behind our port, if we are told where it is."""
    datahub = gate.settings.datahub
    if not datahub.frontend_url:
        return None
    from headgate.http.proxy import Proxy  # noqa: PLC0415 - its client takes a tenth of a second to load

    return Proxy(datahub.frontend_url, timeout=datahub.frontend_timeout)


def _count_ends(gate: Gate, metrics: Metrics) -> None:
    announce = gate.ledger.announce

    def counted(run: Run, was_failing: bool) -> Sequence[Letter]:
        metrics.ended(run)
        return announce(run, was_failing)

    gate.ledger.announce = counted


def _answer_errors(app: FastAPI, *, api_docs: bool) -> None:
    """No error leaves in a framework's own words."""

    async def ours(request: Request, error: Exception) -> Response:
        found = cast("HeadgateError", error)
        if pages.wants_page(request.url.path, dict(request.scope["headers"])):
            return pages.problem_page(status_of(found), str(found), api_docs=api_docs)
        return refusal(found)

    async def fields(request: Request, error: Exception) -> Response:
        del request
        return problem(400, field_problems(cast("RequestValidationError", error).errors()))

    async def routing(request: Request, error: Exception) -> Response:
        found = cast("HTTPException", error)
        if found.status_code == 404 and pages.wants_page(request.url.path, dict(request.scope["headers"])):
            return pages.problem_page(404, f"there is no page {request.url.path}", api_docs=api_docs)
        if found.status_code == 405:
            allowed = _allowed(app, request.scope)
            message = f"{request.method} is not for {request.url.path}; it takes {' and '.join(allowed)}"
            return problem(405, message, {"allow": ", ".join(allowed)})
        if found.status_code == 404:
            return problem(404, f"there is nothing at {request.url.path}")
        return problem(found.status_code, str(found.detail))

    async def bug(request: Request, error: Exception) -> Response:
        del error  # the server's error middleware raises it again, for the log
        return problem(500, f"{request.method} {request.url.path} failed; the server's log says why")

    app.add_exception_handler(HeadgateError, ours)
    app.add_exception_handler(RequestValidationError, fields)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(Exception, bug)


def _allowed(app: FastAPI, scope: Scope) -> list[str]:
    """The methods the path takes, of all routes together."""
    return [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _usual(_path: str) -> int:
    """Bytes of a body, wherever it goes."""
    return MAX_BODY


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


def _limited(scope: Scope, receive: Receive, most: int) -> Receive:
    """The body, as long as it is not too large; counted while it is read."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    size = most + 1 if len(length) > 12 or (length.isdigit() and int(length) > most) else 0

    async def counting() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise HTTPException(413, f"body: larger than {most:,} bytes")
        return message

    return counting


def _secured(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return adding
