"""This file is where what is not ours goes on to DataHub's frontend, and its answers come back, byte for byte.

Both ways are streamed. Only the HTML shell is changed (see shell). Who may do what there is the frontend's business: no
check of ours stands before it, and no header of ours is added to its answers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final, cast
from urllib.parse import urlsplit

import httpx
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headgate.http import pages, shell
from headgate.http.answers import SECURITY_HEADERS, problem
from headgate.http.shell import RawHeaders

#: Paths that never leave us: a wrong method or name there is answered here.
OURS: Final = ("/headgate", "/api/ingestion", "/openapi/openlineage", "/2015-03-31", "/healthz", "/readyz", "/metrics")
#: Where the frontend serves no pages of its own; HTML that comes from there is somebody else's.
_NO_PAGES: Final = ("/api/", "/openapi/", "/assets/", "/node_modules/")
CONNECT_TIMEOUT: Final = 5.0  #: seconds
STOPPING: Final = 3.0  #: seconds that requests under way have when the server stops

#: RFC 9110, 7.6.1, and what older software sends; besides, whatever Connection names.
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
     b"trailer", b"transfer-encoding", b"upgrade"}
)  # fmt: skip
#: What would make the frontend answer with less than the whole page, or with bytes we cannot read.
_CONDITIONS: Final = frozenset({b"if-none-match", b"if-modified-since", b"if-range", b"range", b"accept-encoding"})
_REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Proxy:
    """An ASGI application that is DataHub's frontend. `timeout`: seconds it may be silent (it gives up at 120)."""

    def __init__(self, frontend_url: str, *, timeout: float) -> None:
        self._url = httpx.URL(frontend_url)
        self._base = urlsplit(frontend_url).path.rstrip("/")
        self._timeout = {"connect": CONNECT_TIMEOUT, "read": timeout, "write": timeout, "pool": CONNECT_TIMEOUT}
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._closed = False

    def ours(self, scope: Scope) -> Scope | None:
        """The scope, if the request is for us and not for the frontend. Below the frontend's base path we are, too."""
        path, raw = str(scope["path"]), cast("bytes", scope.get("raw_path") or b"")
        if path.startswith(self._base + "/") and _is_ours(path[len(self._base) :]):
            return {**scope, "path": path[len(self._base) :], "raw_path": raw[len(self._base) :]}
        return scope if _is_ours(path) or _is_for_aws(scope) else None

    def close(self) -> None:
        """Let go of the frontend, as soon as what is under way has ended or STOPPING is over. Safe from any thread."""
        self._closed = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._begin_closing)

    def _begin_closing(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())

    async def _close(self) -> None:
        try:
            if self._under_way:
                await asyncio.wait(set(self._under_way), timeout=STOPPING)
        finally:
            for task in self._under_way:
                task.cancel()
            if self._transport is not None:
                await self._transport.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._closed:
            await _problem(scope, 503, "Headgate is stopping; try again in a moment.")(scope, receive, send)
            return
        if _wants_websocket(scope["headers"]):
            await _problem(scope, 501, "DataHub has no websockets, and none are passed on.")(scope, receive, send)
            return
        browser = _Browser(receive, has_body=_has_body(scope["headers"]))
        forwarding = asyncio.ensure_future(self._forward(scope, browser, send))
        leaving = asyncio.ensure_future(browser.gone())
        self._under_way.add(forwarding)
        try:
            await asyncio.wait({forwarding, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._under_way.discard(forwarding)
            forwarding.cancel()  # nothing where it has ended; else nobody waits for it any more
            leaving.cancel()
            ends = await asyncio.gather(forwarding, leaving, return_exceptions=True)
        if isinstance(ends[0], Exception):
            raise ends[0]

    async def _forward(self, scope: Scope, browser: _Browser, send: Send) -> None:
        answered = False

        async def sending(message: object) -> None:
            nonlocal answered
            answered = True
            await send(cast("dict[str, object]", message))

        try:
            response = await self._ask(scope, browser)
            try:
                await _answer(scope, response, sending)
            finally:
                await response.aclose()
        except _Gone:
            return
        except httpx.TransportError as error:
            status, message = _explained(error, self._timeout["read"])
            about = {"at": self._url.netloc.decode("ascii", "replace").rpartition("@")[2], "path": scope["path"]}
            _log.warning("frontend", **about, status=status, error=f"{type(error).__name__}: {error}")
            if not answered:  # else the broken-off answer says it: no end is sent, and the server cuts the connection
                await _problem(scope, status, message)(scope, browser.receive, send)

    async def _ask(self, scope: Scope, browser: _Browser) -> httpx.Response:
        """Send the request on and read the head of the answer. One that changes nothing is sent twice if need be.

        A kept connection may be closed by the frontend at the moment it is used again; nothing was answered then.
        """
        transport = self._connections()
        target = cast("bytes", scope.get("raw_path") or scope["path"].encode()) or b"/"
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        request = httpx.Request(
            scope["method"],
            self._url,
            headers=_to_frontend(scope),
            stream=browser if browser.has_body else httpx.ByteStream(b""),
            extensions={"target": target, "timeout": self._timeout},
        )
        try:
            return await transport.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if browser.has_body or scope["method"] not in _REPEATABLE:
                raise
            return await transport.handle_async_request(request)

    def _connections(self) -> httpx.AsyncHTTPTransport:
        """One pool, made in the loop that uses it. A connection that cannot be made is tried once more."""
        if self._transport is None:
            self._loop = asyncio.get_running_loop()
            self._transport = httpx.AsyncHTTPTransport(
                verify=ssl.create_default_context() if self._url.scheme == "https" else False,
                trust_env=False,
                retries=1,
                limits=httpx.Limits(max_connections=512, max_keepalive_connections=64, keepalive_expiry=15.0),
            )
        return self._transport


class _Gone(Exception):
    """The browser has gone before it had sent everything."""


class _Browser(httpx.AsyncByteStream):
    """The caller: its body, piece by piece as the frontend takes it, and the moment it goes away."""

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self.receive = receive
        self.has_body = has_body
        self._sent = asyncio.Event()  #: from here on the only thing to be received is that it has gone
        if not has_body:
            self._sent.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                self._sent.set()
                return

    async def gone(self) -> None:
        await self._sent.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def _answer(scope: Scope, response: httpx.Response, send: Send) -> None:
    headers = _to_browser(response)
    pieces = response.aiter_raw()
    if not _may_be_shell(scope, response):
        await _stream(scope, response.status_code, headers, pieces, send)
        return
    if scope["method"] == "HEAD":
        await _stream(scope, response.status_code, shell.without_length(headers), pieces, send)
        return
    read: list[bytes] = []
    async for piece in pieces:
        read.append(piece)
        if sum(map(len, read)) > shell.MAX_SHELL:
            break
    else:
        body = b"".join(read)
        made = shell.changed(body, headers, scheme=_scheme(scope), host=_header(scope, b"host").decode("latin-1"))
        body, headers = made or (body, headers)
        await send({"type": "http.response.start", "status": response.status_code, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})
        return
    await _stream(scope, response.status_code, headers, _chained(read, pieces), send)


async def _stream(scope: Scope, status: int, headers: RawHeaders, pieces: AsyncIterator[bytes], send: Send) -> None:
    if status < 200 or status in (204, 304):  # they have no body, whatever length they say it would have had
        headers = [(name, value) for name, value in headers if name != b"content-length"]
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    if scope["method"] != "HEAD":
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _chained(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    for piece in first:
        yield piece
    async for piece in rest:
        yield piece


def _may_be_shell(scope: Scope, response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").lower()
    page = response.status_code == 200 and kind.startswith("text/html") and not scope["path"].startswith(_NO_PAGES)
    return page and scope["method"] in ("GET", "HEAD")


# -- headers


def _to_frontend(scope: Scope) -> RawHeaders:
    sent: RawHeaders = scope["headers"]
    dropped = _HOP_BY_HOP | _named_by_connection(sent) | {b"expect", b"x-forwarded-for"}
    if _wants_page(scope):
        dropped |= _CONDITIONS
    headers = [(name, value) for name, value in sent if name.lower() not in dropped]
    peer = scope["client"][0] if scope.get("client") else ""
    path_so_far = [value for name, value in sent if name == b"x-forwarded-for"]
    headers.append((b"x-forwarded-for", b", ".join([*path_so_far, *([peer.encode()] if peer else [])])))
    known = {name for name, _ in sent}
    if b"x-forwarded-host" not in known:
        headers.append((b"x-forwarded-host", _header(scope, b"host")))
    if b"x-forwarded-proto" not in known:
        headers.append((b"x-forwarded-proto", str(scope["scheme"]).encode()))
    if _wants_page(scope):
        headers.append((b"accept-encoding", b"identity"))
    if b"transfer-encoding" in known:  # this hop's own; a length beside it would be a lie to one of the two readers
        headers = [(name, value) for name, value in headers if name != b"content-length"]
        headers.append((b"transfer-encoding", b"chunked"))
    return headers


def _to_browser(response: httpx.Response) -> RawHeaders:
    raw = [(name.lower(), value) for name, value in response.headers.raw]
    dropped = _HOP_BY_HOP | _named_by_connection(raw)
    return [(name, value) for name, value in raw if name not in dropped]


def _named_by_connection(headers: RawHeaders) -> set[bytes]:
    return {
        one.strip().lower() for name, value in headers if name.lower() == b"connection" for one in value.split(b",")
    }


def _header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in cast("RawHeaders", scope["headers"]) if name == wanted), b"")


def _scheme(scope: Scope) -> str:
    """How the browser came: a proxy before us may have ended its TLS."""
    forwarded = _header(scope, b"x-forwarded-proto").decode("latin-1").split(",")[0].strip().lower()
    return forwarded or str(scope["scheme"])


def _has_body(headers: RawHeaders) -> bool:
    lengths = [value for name, value in headers if name == b"content-length"]
    return any(name == b"transfer-encoding" for name, _ in headers) or any(one.strip() != b"0" for one in lengths)


def _wants_page(scope: Scope) -> bool:
    page = scope["method"] == "GET" and not scope["path"].startswith(_NO_PAGES)
    return page and b"text/html" in _header(scope, b"accept")


def _wants_websocket(headers: RawHeaders) -> bool:
    return b"upgrade" in _named_by_connection(headers) and any(
        name == b"upgrade" and value.strip().lower() == b"websocket" for name, value in headers
    )


# -- whose it is, and what is said when the frontend does not answer


def _is_ours(path: str) -> bool:
    return any(path == one or path.startswith(one + "/") for one in OURS)


def _is_for_aws(scope: Scope) -> bool:
    """A call of an AWS SDK, which DataHub's frontend has no use for."""
    return bool(_header(scope, b"x-amz-target")) or _header(scope, b"authorization").startswith(b"AWS4-HMAC-SHA256")


def _problem(scope: Scope, status: int, message: str) -> Response:
    answer = pages.problem_page(status, message) if _wants_page(scope) else problem(status, message)
    answer.headers.update({**SECURITY_HEADERS, "cache-control": "no-store"})
    return answer


def _explained(error: httpx.TransportError, patience: float) -> tuple[int, str]:
    ours = "Headgate itself is well: its console is at /headgate/."
    if isinstance(error, httpx.LocalProtocolError):
        return 400, f"This request cannot be passed on to DataHub's frontend: {error}."
    if isinstance(error, httpx.PoolTimeout):
        return 503, f"Too many requests wait for DataHub's frontend; try again in a moment. {ours}"
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return 502, (
            "DataHub's frontend cannot be reached. Is it running, and is datahub.frontend_url its address?"
            f" The server's log says what was tried. {ours}"
        )
    if isinstance(error, httpx.TimeoutException):
        return 504, f"DataHub's frontend did not answer within {patience:g} seconds. Try again. {ours}"
    return 502, f"DataHub's frontend broke off before it had answered. Try again; its log may say why. {ours}"
