"""This file is where the fake GMS meets the wire: requests as they came in, answers good and bad."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

How = Literal[
    "400", "401", "403", "404", "413", "422", "429", "500", "502", "503", "504", "slow", "drip", "html", "truncated",
    "not_json", "graphql_error", "disconnect", "lost", "huge", "redirect",
]  # fmt: skip
HTML = "<!DOCTYPE html><html><head><title>DataHub</title></head><body>Sign in</body></html>"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in. `body` is what its JSON says, None where there is none."""

    server: str  #: gms or frontend
    method: str
    path: str  #: without the query; still percent-encoded
    query: str
    headers: Mapping[str, str]  #: names in lower case
    body: Any
    at: float  #: time.monotonic()

    @property
    def operation(self) -> str:
        """The GraphQL document's first field, in the braces."""
        text = str((self.body or {}).get("query", "")) if isinstance(self.body, dict) else ""
        inner = text[text.find("{") + 1 :].strip()
        return inner.split("(")[0].split("{")[0].strip()


@dataclass(slots=True)
class Trouble:
    path: str
    how: How
    left: int
    seconds: float
    code: int
    operation: str


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cookies: list[str] = field(default_factory=list[str])


class Answering(Protocol):
    """Who answers what came in."""

    def answer(self, asked: Asked, handler: Handler) -> None: ...


def json_answer(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def rest_li(status: int, message: str) -> Answer:
    name = "com.linkedin.restli.server.RestLiServiceException"
    body = {"status": status, "message": message, "exceptionClass": name, "stackTrace": f"{name}: …"}
    return json_answer(status, body)


_JSON = {"Content-Type": "application/json"}
_HUGE = 40 << 20  #: bytes


def bad(trouble: Trouble) -> Answer:
    """The answer of a world that misbehaves in this way."""
    fixed: dict[str, tuple[int, bytes, dict[str, str]]] = {
        "html": (200, HTML.encode(), {"Content-Type": "text/html; charset=utf-8"}),
        "truncated": (200, b'{"data": {"me": {"corpUser": {"urn": "urn:li:co', _JSON),
        "not_json": (200, b'{"data": {"me": ', _JSON),
        "redirect": (302, b"", {"Location": "/authenticate?redirect_uri=%2F"}),
    }
    if trouble.how in fixed:
        status, body, headers = fixed[trouble.how]
        return Answer(status, body, dict(headers))
    if trouble.how == "huge":
        return Answer(200, b'{"data": "' + b"x" * _HUGE + b'"}', dict(_JSON))
    if trouble.how == "graphql_error":
        types = {400: "BAD_REQUEST", 403: "UNAUTHORIZED", 404: "NOT_FOUND", 409: "CONFLICT"}
        extensions = {"code": trouble.code, "type": types.get(trouble.code, "SERVER_ERROR")}
        error = {"message": "An unknown error occurred.", "path": [], "extensions": extensions}
        return json_answer(200, {"data": None, "errors": [error]})
    answer = json_answer(int(trouble.how), {"error": "Rate limit exceeded" if trouble.how == "429" else "it hurts"})
    if trouble.how in ("429", "503"):
        answer.headers["Retry-After"] = f"{trouble.seconds:g}"
    return answer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
        return

    def _do(self) -> None:
        assert isinstance(self.server, Server)
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            given = json.loads(body) if body else None
        except ValueError:
            given = None
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(server.name, self.command, parts.path, parts.query, headers, given, time.monotonic())
        server.fake.answer(asked, self)

    do_GET = do_POST = do_HEAD = do_PATCH = do_PUT = do_DELETE = _do  # noqa: N815 - the base class's names

    def give(self, answer: Answer, *, cut: bool = False) -> None:
        try:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            for one in answer.cookies:
                self.send_header("Set-Cookie", one)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body) + (100 if cut else 0)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            if cut:
                self.hang_up()
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # who asked has left

    def drip(self, seconds: float, over: threading.Event) -> None:
        """An answer of which a byte comes now and then: no read takes long, the whole takes for ever."""
        end = time.monotonic() + seconds
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while time.monotonic() < end and not over.wait(0.02):
                self.wfile.write(b" ")
        except (ConnectionError, TimeoutError):
            pass
        self.close_connection = True

    def hang_up(self) -> None:
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, fake: Answering, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fake = fake
        self.name = name
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, name=f"fake-{name}")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news; anything else is a defect of the fake and is printed."""

        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def end(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()
