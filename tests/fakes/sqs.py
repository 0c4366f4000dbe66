"""This file is where an SQS that misbehaves is played, on one port, in its JSON protocol.

Written from AWS's description of the API: a message that was received is hidden for its visibility timeout, and comes
again after it unless it was deleted by the receipt handle of its last receive.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

URL: Final = "https://sqs.eu-west-1.amazonaws.com/123456789012/uploads"
WAIT: Final = 20.0  #: seconds a call that hangs is held at most


@dataclass(slots=True)
class Kept:
    """A message in the queue."""

    id: str
    body: str
    receives: int = 0
    hidden_until: float = 0.0
    receipt: str = ""


@dataclass(slots=True)
class FakeSqs:
    """The queue. Use as a context: it serves on loopback while it lasts."""

    messages: dict[str, Kept] = field(default_factory=dict[str, Kept])
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, Mapping[str, Any]]])
    deleted: list[str] = field(default_factory=list[str])  #: ids
    regions: set[str] = field(default_factory=set[str])  #: that were signed for
    gone: bool = False
    twice: bool = False  #: the next message is handed out once more while it is hidden: at least once, not once
    _faults: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    changed: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> FakeSqs:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                fake.serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake-sqs", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with self.changed:
            self.changed.notify_all()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def send(self, body: object) -> str:
        """Put a message into the queue; answers its id."""
        text = body if isinstance(body, str) else json.dumps(body)
        name = str(uuid.uuid4())
        with self.changed:
            self.messages[name] = Kept(name, text)
            self.changed.notify_all()
        return name

    def fault(self, operation: str, kind: str, times: int = 1) -> None:
        """Let the next calls go wrong: throttle, error, html, expired, denied, lost (it is done, nobody hears it)."""
        with self.changed:
            self._faults.setdefault(operation, []).extend([kind] * times)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        with self.changed:
            self._faults.clear()

    def show(self, name: str) -> None:
        """Let a message's visibility timeout be over."""
        with self.changed:
            if name in self.messages:
                self.messages[name].hidden_until = 0.0
            self.changed.notify_all()

    def count(self, operation: str) -> int:
        with self.changed:
            return sum(name == operation for name, _ in self.calls)

    def empty(self) -> bool:
        with self.changed:
            return not self.messages

    # -- the wire

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length") or 0)) or b"{}")
        operation = request.headers.get("X-Amz-Target", "").partition(".")[2]
        scope = request.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        with self.changed:
            self.calls.append((operation, body))
            self.regions.update(scope[2:3])
            faults = self._faults.get(operation) or []
            kind = faults.pop(0) if faults else ""
        if kind in _INSTEAD:
            self._answer(request, *_INSTEAD[kind])
            return
        if self.gone:
            self._answer(request, 400, _error("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue is gone."))
            return
        does = {
            "ReceiveMessage": self._receive,
            "DeleteMessageBatch": self._delete,
            "ChangeMessageVisibilityBatch": self._hide,
        }
        answer = does[operation](body)
        if kind == "lost":
            request.close_connection = True
            request.connection.close()
            return
        self._answer(request, 200, answer)

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/x-amz-json-1.0")
            request.send_header("x-amzn-RequestId", str(uuid.uuid4()))
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
        except OSError:
            request.close_connection = True  # whoever asked has gone

    # -- what is done

    def _receive(self, body: Mapping[str, Any]) -> dict[str, Any]:
        until = time.monotonic() + float(body.get("WaitTimeSeconds") or 0)
        with self.changed:
            while not (found := self._visible(int(body.get("MaxNumberOfMessages") or 1))):
                if self.over.is_set() or (left := until - time.monotonic()) <= 0:
                    return {}
                self.changed.wait(min(left, 0.05))
            for one in found:
                one.receives += 1
                one.receipt = f"{one.id}#{one.receives}"
                one.hidden_until = 0.0 if self.twice else time.monotonic() + float(body.get("VisibilityTimeout") or 30)
            self.twice = False
            return {"Messages": [_handed_out(one) for one in found]}

    def _visible(self, most: int) -> list[Kept]:
        now = time.monotonic()
        return [one for one in self.messages.values() if one.hidden_until <= now][:most]

    def _delete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        done: list[Mapping[str, Any]] = []
        failed: list[Mapping[str, Any]] = []
        with self.changed:
            for entry in body["Entries"]:
                if (self._faults.get("delete one") or [""])[0]:
                    self._faults["delete one"].pop(0)
                    failed.append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "no"})
                    continue
                name = str(entry["ReceiptHandle"]).partition("#")[0]
                if self.messages.pop(name, None) is not None:
                    self.deleted.append(name)
                done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": failed}

    def _hide(self, body: Mapping[str, Any]) -> dict[str, Any]:
        with self.changed:
            for entry in body["Entries"]:
                found = self.messages.get(str(entry["ReceiptHandle"]).partition("#")[0])
                if found is not None:
                    found.hidden_until = time.monotonic() + float(entry["VisibilityTimeout"])
            self.changed.notify_all()
        return {"Successful": [{"Id": entry["Id"]} for entry in body["Entries"]], "Failed": []}


def _handed_out(one: Kept) -> dict[str, Any]:
    return {
        "MessageId": one.id,
        "ReceiptHandle": one.receipt,
        "MD5OfBody": "",
        "Body": one.body,
        "Attributes": {"ApproximateReceiveCount": str(one.receives), "SentTimestamp": "1767225600000"},
    }


def _error(code: str, message: str) -> dict[str, str]:
    return {"__type": code, "message": message}


_INSTEAD: Final[Mapping[str, tuple[int, Any]]] = {
    "throttle": (400, _error("com.amazonaws.sqs#RequestThrottled", "Rate exceeded")),
    "error": (500, _error("InternalFailure", "we are sorry")),
    "html": (502, b"<html><body>Bad Gateway</body></html>"),
    "expired": (403, _error("com.amazon.coral.service#ExpiredTokenException", "The security token has expired")),
    "denied": (403, _error("com.amazon.coral.service#AccessDeniedException", "User is not authorized to do this")),
}
