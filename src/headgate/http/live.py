"""This file is where pages are kept live: server-sent events, rendered once per view however many are looking.

Nothing runs while nobody looks. With viewers, a view is rendered anew when this process has written to the ledger, and
every RENDER_ANYWAY seconds for what other replicas wrote; it is sent only when what was rendered differs. A viewer
that is slow gets the newest state, never a queue of old ones. No viewer has state here: any replica serves any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headgate.errors import HeadgateError
from headgate.gate import LogPart
from headgate.http.answers import encode

TICK: Final = 0.25  #: seconds between two looks at whether something changed
RENDER_ANYWAY: Final = 2.0  #: seconds
HEARTBEAT: Final = 15.0  #: seconds of silence after which proxies are told that the connection lives
STILL_HERE: Final = b": still here\n\n"

Render = Callable[[], object]
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def frame(event: str, data: object, name: str = "") -> bytes:
    """One server-sent event with JSON in it, which never holds a line break."""
    head = f"event: {event}\n" + (f"id: {name}\n" if name else "")
    return head.encode() + b"data: " + encode(data) + b"\n\n"


class EventStream(Response):
    """Sends frames as they come, and stops as soon as the viewer has gone."""

    def __init__(self, frames: AsyncGenerator[bytes]) -> None:
        self.frames = frames
        super().__init__(
            headers={"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):  # it has gone while we were sending
                    await task

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.frames):
            async for one in self.frames:
                await send({"type": "http.response.body", "body": one, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class _View:
    render: Render
    viewers: int = 0
    version: int = 0
    latest: bytes = b""
    changed: asyncio.Event = field(default_factory=asyncio.Event)  #: replaced at each change


class Broadcaster:
    """Renders what is looked at. All but `close` is called on the event loop."""

    def __init__(self, written: Callable[[], tuple[int, int]]) -> None:
        self._written = written
        self._views: dict[str, _View] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._closed = False
        self.renders = 0  #: how often something was rendered, for the tests and the curious

    @property
    def viewers(self) -> int:
        return sum(view.viewers for view in self._views.values())

    @property
    def idle(self) -> bool:
        """Whether nothing is rendered, because nobody looks."""
        return self._task is None or self._task.done()

    def watch(self, name: str, render: Render) -> EventStream:
        """A stream of the view: its state now, and again at every change. `render` may block; equal is unchanged."""
        return EventStream(self.frames(name, render))

    def close(self) -> None:
        """End every stream, and those that come after, so that a server can stop. Safe from any thread."""
        self._closed = True
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._closing.set)

    async def closing(self, seconds: float) -> bool:
        """Wait so long, or until we are closing; whether we are."""
        self._here()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return self._closing.is_set()

    def _here(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._closing, self._task = loop, asyncio.Event(), None
            self._views.clear()
            if self._closed:
                self._closing.set()

    async def frames(self, name: str, render: Render) -> AsyncGenerator[bytes]:
        """What `watch` streams."""
        self._here()
        view = self._views.setdefault(name, _View(render))
        view.viewers += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        seen = 0
        try:
            while not self._closing.is_set():
                changed = view.changed
                if view.version > seen:
                    seen = view.version
                    yield view.latest
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        await changed.wait()
                        continue
                yield STILL_HERE
        finally:
            view.viewers -= 1
            if view.viewers == 0 and self._views.get(name) is view:
                del self._views[name]

    async def _run(self) -> None:
        """Look, render, tell; until nobody looks."""
        written: tuple[int, int] | None = None
        rendered = 0.0
        while self._views and not self._closing.is_set():
            now, current = monotonic(), self._written()
            everything = current != written or now - rendered >= RENDER_ANYWAY
            for view in list(self._views.values()):
                if everything or not view.version:
                    await self._render(view)
            if everything:
                written, rendered = current, now
            await self.closing(TICK)
        for view in self._views.values():
            view.changed.set()

    async def _render(self, view: _View) -> None:
        try:
            latest = await run_in_threadpool(lambda: frame("view", view.render()))
        except HeadgateError as error:
            latest = frame("problem", {"message": str(error)})
        except Exception:  # noqa: BLE001 - a page that cannot be drawn must not end everybody's updates
            _log.exception("a view could not be rendered")
            latest = frame("problem", {"message": "the page could not be drawn; the server's log says why"})
        self.renders += 1
        if latest != view.latest:
            view.latest = latest
            view.version += 1
            view.changed.set()
            view.changed = asyncio.Event()


async def log_frames(
    read: Callable[[int], LogPart], offset: int, closing: Callable[[float], Awaitable[bool]]
) -> AsyncGenerator[bytes]:
    """A log as it grows: frames `log` with `{text, next, complete}` (their id is `next`), then one `end`."""
    pause, quiet = TICK, 0.0
    while True:
        part = await run_in_threadpool(read, offset)
        if part.text or part.complete:
            offset, pause, quiet = part.next, TICK, 0.0
            yield frame("log", {"text": part.text, "next": part.next, "complete": part.complete}, str(part.next))
        if part.complete:
            yield frame("end", {"next": offset}, str(offset))
            return
        if part.text:
            continue
        if quiet >= HEARTBEAT:
            quiet = 0.0
            yield STILL_HERE
        if await closing(pause):
            return
        quiet += pause
        pause = min(pause * 1.25, 1.0)
