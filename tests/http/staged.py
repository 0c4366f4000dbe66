"""This file is where Headgate is staged for the button: its API answers what a test says, all else is real."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from browser import Page
from fakes.frontend import FakeFrontend
from served import World, serving

from headgate.http import Port
from headgate.settings.record import DataHub

ORDERS = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.orders,PROD)"
CUSTOMERS = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.customers,PROD)"
RUN = "arn:aws:states:us-east-1:123456789012:execution:orders:jr_1"
BUTTON = "document.querySelector('headgate-run-ingestion')"
INSIDE = f"{BUTTON}?.shadowRoot"
PRESS = f"{INSIDE}?.querySelector('button')"
OVER = "document.querySelector('headgate-ingestion-overlay')?.shadowRoot"
DIALOG = f"{OVER}?.querySelector('dialog')"
TOAST = f"{OVER}?.querySelector('.toast')"
IN_HEADER = f"{BUTTON}?.parentNode?.dataset.of === 'header'"
ALONE = "document.querySelectorAll('headgate-run-ingestion').length"

LAST: Mapping[str, Any] = {
    "runId": "jr_0", "state": "FAILED", "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T00:01:00Z",
    "actor": "urn:li:corpuser:ann", "message": "no such bucket",
}  # fmt: skip
CAN: Mapping[str, Any] = {
    "runnable": True, "allowed": True, "code": "ok", "reason": None, "lastRun": LAST,
    "job": {"name": "orders-ingest", "description": "Loads the orders.", "engine": "step_functions"},
    "confirm": "This starts orders-ingest, which refreshes sales.orders.",
}  # fmt: skip


class Staged:
    """Headgate, but /api/ingestion answers what the test says and remembers what it was asked."""

    def __init__(self, port: Port, base: str) -> None:
        self._port = port
        self._place = f"{base}api/ingestion/"
        self.runnable: tuple[int, Any] = (200, CAN)
        self.run: tuple[int, Any] = (200, {"runId": RUN, "status": "started"})
        self.state: tuple[int, Any] = (200, {"runId": RUN, "state": "RUNNING", "startedAt": None, "endedAt": None})
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.cors = ""

    def close(self) -> None:
        self._port.close()

    @property
    def datasets(self) -> list[str]:
        """What was asked for with /runnable."""
        return [what for method, what, _, _ in self.asked if method == "GET" and what.startswith("urn:")]

    @property
    def posted(self) -> list[tuple[dict[str, str], Any]]:
        return [(headers, body) for method, _, headers, body in self.asked if method == "POST"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._place):
            await self._port(scope, receive, send)
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        rest = scope["path"].removeprefix(self._place)
        query = parse_qs(scope["query_string"].decode())
        what = query["datasetUrn"][0] if rest == "runnable" else unquote(rest)
        self.asked.append((scope["method"], what, headers, json.loads(body) if body else None))
        status, answer = self.runnable if rest == "runnable" else self.run if rest == "run" else self.state
        if rest == "run" and scope["method"] == "POST":
            await _off_the_loop(self.hold)
        about = [(b"content-type", b"application/json")]
        if self.cors:
            about.append((b"access-control-allow-origin", self.cors.encode()))
            about.append((b"access-control-allow-credentials", b"true"))
            about.append((b"access-control-allow-headers", b"content-type, x-headgate-request"))
        if scope["method"] == "OPTIONS":
            status, answer = 204, None
        content = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": status, "headers": about})
        await send({"type": "http.response.body", "body": content})


async def _off_the_loop(event: threading.Event) -> None:
    await asyncio.get_running_loop().run_in_executor(None, event.wait, 30)


@contextmanager
def staged(folder: Path, frontend: FakeFrontend) -> Generator[tuple[str, Staged]]:
    world = World(folder, settings={"datahub": DataHub(frontend_url=frontend.url)})
    stage = Staged(world.port, frontend.base)
    world.port = stage  # type: ignore[assignment]
    try:
        with serving(world) as url:
            yield url, stage
    finally:
        world.close()


def open_dataset(page: Page, url: str, urn: str = ORDERS, *, dark: bool = False) -> None:
    """As somebody who is signed in; the button is there when this returns."""
    visit(page, f"{url}/dataset/{urn}/Columns", dark=dark)
    page.until(IN_HEADER)


def visit(page: Page, url: str, *, dark: bool = False) -> None:
    page.call("Network.setCookie", url=url, name="actor", value="urn:li:corpuser:datahub")
    page.open(url, dark=dark)


def confirm(page: Page, reason: str = "") -> None:
    page.ask(f"{PRESS}.click()")
    page.until(f"{DIALOG}.open")
    page.write(reason)
    page.press("Enter", code=13, text="\r")
