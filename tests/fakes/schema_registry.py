"""This file is where a schema registry is faked: one schema, and 404 for all else, as Confluent's API has it (F.2)."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class SchemaRegistry:
    """At `url`, as GMS has it. `status` other than 200 is what everybody gets; `asked` counts the questions."""

    def __init__(self, schema: str, *, login: str = "") -> None:
        self.status = 200
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                registry.headers.append({name.lower(): value for name, value in self.headers.items()})
                # Confluent's client asks with a query, and with two slashes where its URL ends with one
                known = urlsplit(self.path).path.replace("//", "/") == "/schema-registry/api/schemas/ids/1"
                allowed = not login or self.headers.get("authorization") == login
                status = registry.status if registry.status != 200 else 200 if known else 404
                body = {"schema": schema} if status == 200 else {"error_code": status * 100 + 1, "message": "not found"}
                data = json.dumps(body if allowed else {"error_code": 40101, "message": "unauthorized"}).encode()
                self.send_response(status if allowed else 401)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/schema-registry/api/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
