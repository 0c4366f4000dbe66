"""This file is where AWS Glue's catalog is played: databases and tables, page by page, and what can go wrong with them.

Written from AWS's description of GetDatabases and GetTables (JSON 1.1): at most 100 to a page, whatever is asked, and a
token for the next one; times as seconds. It answers from memory, so what readers take is their own time.
`python -m fakes.glue_catalog FILE`, with `tests` on the path, serves what a JSON file holds and prints the URL.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, cast

ACCOUNT: Final = "123456789012"
PAGE: Final = 100
CREATED: Final = 1_760_000_000.25  #: seconds; when the first table was made
HUNG: Final = 30.0  #: seconds a call is left hanging at most

#: What goes wrong with a call -> status and body.
FAULTS: Final[Mapping[str, tuple[int, bytes]]] = {
    "throttle": (400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}'),
    "error": (500, b'{"__type":"InternalServiceException","message":"try later"}'),
    "denied": (400, b'{"__type":"AccessDeniedException","message":"not authorized to perform: glue:GetTables"}'),
    "html": (200, b"<html>sign in to the network first</html>"),
    "list": (200, b"[]"),
    "other": (200, b'{"Tables": []}'),
}


@dataclass(slots=True)
class FakeGlue:
    """The whole of it. Use as a context: it serves on loopback while it lasts."""

    databases: Mapping[str, Mapping[str, Any]]  #: name -> the rest of a Database
    tables: Mapping[str, Sequence[Mapping[str, Any]]]  #: database -> TableInputs
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list[tuple[str, Mapping[str, Any]]])
    failing: Callable[[str, Mapping[str, Any], int], str | None] | None = None
    """(operation, what is asked, which call of all, from 0) -> a fault of FAULTS, `lost`, `hang`, or None."""
    url: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _pages: dict[tuple[str, int], bytes] = field(default_factory=dict[tuple[str, int], bytes])

    def __enter__(self) -> FakeGlue:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def forget_pages(self) -> None:
        """What is kept of answers is made anew: the tables were changed."""
        with self._lock:
            self._pages.clear()

    def answer(self, operation: str, asked: Mapping[str, Any]) -> tuple[int, bytes] | None:
        """Status and body; None leaves the caller without any."""
        with self._lock:
            number = len(self.calls)
            self.calls.append((operation, asked))
        fault = self.failing(operation, asked, number) if self.failing else None
        if fault == "hang":
            self._over.wait(HUNG)
        if fault in ("hang", "lost"):
            return None
        return FAULTS[fault] if fault else self._right(operation, asked)

    def _right(self, operation: str, asked: Mapping[str, Any]) -> tuple[int, bytes]:
        start = int(base64.b64decode(asked["NextToken"])) if "NextToken" in asked else 0
        if operation == "GetDatabases":
            own = {"CatalogId": ACCOUNT, "CreateTime": CREATED}
            found = [{"Name": name, **own, **self.databases[name]} for name in sorted(self.databases)]
            return 200, _page("DatabaseList", found[start : start + PAGE], start, len(found))
        if operation == "GetTables":
            return self._tables(str(asked["DatabaseName"]), start)
        if operation == "GetTable":
            given = self.tables.get(asked["DatabaseName"], ())
            found = [_table(asked["DatabaseName"], 0, one) for one in given if one["Name"] == asked["Name"]]
            if found:
                return 200, json.dumps({"Table": found[0]}).encode()
            return 400, b'{"__type":"EntityNotFoundException","Message":"Entity Not Found"}'
        return 400, b'{"__type":"InvalidInputException","message":"no such operation here"}'

    def _tables(self, database: str, start: int) -> tuple[int, bytes]:
        if database not in self.databases:
            return 400, b'{"__type":"EntityNotFoundException","Message":"Database not found"}'
        known = self._pages.get((database, start))
        if known is None:
            given = self.tables.get(database, ())
            shown = [_table(database, start + number, one) for number, one in enumerate(given[start : start + PAGE])]
            known = self._pages[database, start] = _page("TableList", shown, start, len(given))
        return 200, known


def _table(database: str, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
    own = {"DatabaseName": database, "CatalogId": ACCOUNT, "VersionId": "1", "IsRegisteredWithLakeFormation": False}
    when = {"CreateTime": CREATED + number, "UpdateTime": CREATED + number + 3600 * (number % 2)}
    return {**own, **when, "CreatedBy": f"arn:aws:iam::{ACCOUNT}:user/ann", "Retention": 0, **given}


def _page(key: str, shown: Sequence[Any], start: int, of: int) -> bytes:
    page: dict[str, Any] = {key: list(shown)}
    if start + PAGE < of:
        page["NextToken"] = base64.b64encode(str(start + PAGE).encode()).decode()
    return json.dumps(page, ensure_ascii=False).encode()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGlue
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.fake.answer(operation, cast("dict[str, Any]", asked))
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # it would go to the tests' stderr
        pass


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    with FakeGlue(given["databases"], given["tables"]) as fake:
        print(fake.url, flush=True)
        sys.stdin.read()  # until whoever started us closes it


if __name__ == "__main__":
    main()
