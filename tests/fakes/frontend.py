"""This file is where DataHub's frontend is faked: its shell, its sign-in, its headers, and a page that routes itself.

Written from the reference (I and A.4), not from our proxy or our button. What its API answers comes from a fake GMS,
if one is given. `/openapi/probe/…` stands for whatever else it passes on, and does what a test wants to see.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs

import httpx
import uvicorn

DEADLINE: Final = 30.0
CSP: Final = "script-src 'unsafe-inline' 'unsafe-eval' https: http: data:; connect-src *; frame-ancestors *"
APP: Final = Path(__file__).with_name("frontend_app.js")
STYLE: Final = Path(__file__).with_name("frontend_app.css")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in, its bytes untouched."""

    method: str
    target: bytes  #: path and query as sent
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """All values of a header, joined; None where it was not sent."""
        found = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        return ", ".join(found) if found else None


class FakeFrontend:
    """A server on loopback. `go` lets what waits go on, `left` is set when a caller went away while it waited."""

    def __init__(
        self,
        *,
        base: str = "/",
        csp: str = CSP,
        report_only: bool = False,
        nonce: str = "",
        dark: bool = False,
        api: str = "",
        always_gzip: bool = False,
    ) -> None:
        self.base, self.csp, self.nonce, self.dark, self.api = base, csp, nonce, dark, api
        self.report_only, self.always_gzip = report_only, always_gzip
        self.asked: list[Asked] = []
        self.pieces: list[bytes] = []  #: of an upload, as they came
        self.go, self.left, self.waiting = threading.Event(), threading.Event(), threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                interface="asgi3",
                proxy_headers=False,
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, name="fake frontend", daemon=True
        )
        self._thread.start()
        give_up = time.monotonic() + DEADLINE
        while not self._server.started:
            assert time.monotonic() < give_up, "the fake frontend did not start"
            time.sleep(0.005)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}{self.base.rstrip('/')}"

    def close(self) -> None:
        self.go.set()
        self._server.should_exit = True
        self._thread.join(DEADLINE)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    # -- what it answers

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == f"{self.base}openapi/probe/upload":
            await self._upload(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        asked = Asked(scope["method"], target, list(scope["headers"]), body)
        self.asked.append(asked)
        if not path.startswith(self.base):
            await _give(send, 404, [(b"content-type", b"text/plain")], b"outside the base path")
            return
        inner = path[len(self.base) :]
        if inner.startswith("openapi/probe/"):
            await self._probe(inner.rpartition("/")[2], asked, scope, receive, send)
        elif self.api and inner.startswith(("logIn", "logOut", "api/v2/graphql", "api/gms/")):
            await self._pass_on(inner, asked, scope, send)
        elif inner == "logIn" and scope["method"] == "POST":
            await self._log_in(asked, send)
        elif inner == "authenticate":
            place = [(b"location", f"{self.base}login?redirect_uri=/".encode()), (b"content-length", b"0")]
            await _give(send, 303, place, b"")
        elif inner == "assets/app.js":
            await self._asset(asked, send)
        elif inner.startswith(("api/", "openapi/")):
            await _give(send, 401, [(b"content-length", b"0")], b"")
        elif scope["method"] in ("GET", "HEAD"):
            await self._shell(asked, send)
        else:
            await _give(send, 404, [(b"content-type", b"text/html; charset=utf-8")], b"<h1>Action not found</h1>")

    async def _shell(self, asked: Asked, send: Any) -> None:
        nonce = f' nonce="{self.nonce}"' if self.nonce else ""
        dark = " data-dark" if self.dark else ""
        html = (
            f'<!DOCTYPE html><html lang="en"{dark}><head><meta charset="utf-8"/><base href="{self.base}"/>'
            f'<title>DataHub</title><link rel="icon" href="data:,"/><style{nonce}>{STYLE.read_text()}</style></head>'
            f'<body><div id="root" class="app"></div>'
            f'<script type="module"{nonce} src="assets/app.js"></script></body></html>'
        ).encode()
        headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-cache")]
        headers.append((b"etag", b'"shell"'))
        await self._page(asked, send, headers, html)

    async def _asset(self, asked: Asked, send: Any) -> None:
        script = APP.read_bytes()
        tag = f'"{hashlib.md5(script).hexdigest()}"'.encode()
        headers = [(b"content-type", b"application/javascript; charset=UTF-8"), (b"etag", tag)]
        headers.append((b"cache-control", b"public, max-age=31536000, immutable"))
        if asked.header("if-none-match") == tag.decode():
            # the length of what is not sent is allowed here (RFC 9110, 15.4.5), and Play sends it
            await _give(send, 304, [*headers, (b"content-length", str(len(script)).encode())], b"")
            return
        await self._page(asked, send, headers, script)

    async def _page(self, asked: Asked, send: Any, headers: Headers, content: bytes) -> None:
        """With the CSP, and gzip as Play's filter does it."""
        name = b"content-security-policy-report-only" if self.report_only else b"content-security-policy"
        if self.csp:
            headers = [*headers, (name, self.csp.encode())]
        if self.always_gzip or "gzip" in (asked.header("accept-encoding") or ""):
            content = gzip.compress(content)
            headers = [*headers, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        headers = [*headers, (b"content-length", str(len(content)).encode())]
        await _give(send, 200, headers, b"" if asked.method == "HEAD" else content)

    async def _log_in(self, asked: Asked, send: Any) -> None:
        if json.loads(asked.body) != {"username": "datahub", "password": "datahub"}:
            body = b'{"message":"Invalid Credentials"}'
            await _give(send, 400, [(b"content-type", b"application/json")], body)
            return
        cookies = [
            (b"set-cookie", b"PLAY_SESSION=eyJ.session; SameSite=Lax; Path=/; HTTPOnly"),
            (b"set-cookie", b"actor=urn:li:corpuser:datahub; Max-Age=86400; SameSite=Lax; Path=/"),
        ]
        await _give(send, 200, [*cookies, (b"content-length", b"0")], b"")

    async def _pass_on(self, inner: str, asked: Asked, scope: Any, send: Any) -> None:
        headers = [(name, value) for name, value in asked.headers if name not in (b"host", b"accept-encoding")]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE) as client:
            answer = await client.request(
                asked.method, f"{self.api}/{inner}{query}", headers=headers, content=asked.body
            )
        kept = [(key.lower(), value) for key, value in answer.headers.raw]
        await _give(send, answer.status_code, [one for one in kept if one[0] in _KEPT], answer.content)

    async def _probe(self, name: str, asked: Asked, scope: Any, receive: Any, send: Any) -> None:
        plain = (b"content-type", b"text/plain")
        if name == "drip":  # a piece, and a second one when the test says so
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
            await self._wait(receive)
            await send({"type": "http.response.body", "body": b"data: second\n\n"})
        elif name == "slow":  # no answer until the test says so
            await self._wait(receive)
            await _give(send, 200, [plain], b"at last")
        elif name == "cut":  # breaks off in the middle of its answer
            await send({"type": "http.response.start", "status": 200, "headers": [plain, (b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"half"})
        elif name == "status":
            status = int(parse_qs(scope["query_string"].decode())["is"][0])
            await _give(send, status, [(b"x-own", b"one"), (b"x-own", b"two")], b"")
        elif name == "hops":
            hops = [(b"connection", b"x-secret, close"), (b"x-secret", b"1"), (b"keep-alive", b"timeout=5"), plain]
            await _give(send, 200, [*hops, (b"x-kept", b"1")], b"ok")
        elif name == "zipped":
            content = gzip.compress(b"x" * 1000)
            about = [
                plain,
                (b"content-encoding", b"gzip"),
                (b"etag", b'"z"'),
                (b"content-length", str(len(content)).encode()),
            ]
            await _give(send, 200, about, content)
        else:
            said = {"method": asked.method, "target": asked.target.decode("latin-1"), "size": len(asked.body)}
            await _give(send, 200, [(b"content-type", b"application/json")], json.dumps(said).encode())

    async def _wait(self, receive: Any) -> None:
        """Until `go`; a caller that leaves meanwhile is noted."""
        self.waiting.set()
        leaving = asyncio.ensure_future(receive())
        while not self.go.is_set():
            done, _ = await asyncio.wait({leaving}, timeout=0.01)
            if done and leaving.result()["type"] == "http.disconnect":
                self.left.set()
                return
        leaving.cancel()

    async def _upload(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            if message.get("body"):
                self.pieces.append(message["body"])
            if not message.get("more_body"):
                break
        self.asked.append(Asked(scope["method"], scope["raw_path"], list(scope["headers"]), b"".join(self.pieces)))
        await _give(send, 200, [(b"content-type", b"text/plain")], str(sum(map(len, self.pieces))).encode())


_KEPT: Final = frozenset({b"content-type", b"set-cookie", b"location", b"www-authenticate"})


async def _give(send: Any, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
