"""This file is where the ledger's answers come back to the event loop: many in one hop, no thread per request."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from headgate.errors import LedgerUnavailable

T = TypeVar("T")

#: Seconds after which a ledger that has not answered counts as unavailable.
PATIENCE: Final = 30.0
_LATE: Final = "the ledger did not answer within {:g} s; what was sent may still be recorded, and may be sent again"


class Landing:
    """Turns the ledger's futures into awaitables of one loop.

    The writer finishes a batch of futures at a time; only the first of them wakes the loop, the others are found there.
    One look a second gives up on those that wait too long: a timer for each would cost more than the rest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: float = PATIENCE) -> None:
        self.loop = loop
        self.patience = patience
        self._landed: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._hopping = False
        self._waiting: dict[asyncio.Future[Any], float] = {}  #: since when, oldest first
        self._looking = False

    async def wait(self, future: Future[T]) -> T:
        """The future's result, or what it failed with; LedgerUnavailable when it takes longer than `patience`."""
        waiter: asyncio.Future[T] = self.loop.create_future()
        self._waiting[waiter] = self.loop.time()
        if not self._looking:
            self._looking = True
            self.loop.call_later(min(1.0, self.patience), self._look)
        future.add_done_callback(lambda done: self._land(waiter, done))
        try:
            return await waiter
        finally:
            del self._waiting[waiter]

    def _look(self) -> None:
        late = self.loop.time() - self.patience
        for waiter, since in list(self._waiting.items()):
            if since > late:
                break
            if not waiter.done():
                waiter.set_exception(LedgerUnavailable(_LATE.format(self.patience)))
        self._looking = bool(self._waiting)
        if self._looking:
            self.loop.call_later(min(1.0, self.patience), self._look)

    def _land(self, waiter: asyncio.Future[T], done: Future[T]) -> None:
        """Called in the writer's thread."""
        self._landed.append((waiter, done))
        if not self._hopping:
            self._hopping = True
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._hopping = False  # first: what lands from here on hops again, or is found below
        while self._landed:
            waiter, done = self._landed.popleft()
            if waiter.done():
                continue
            error = done.exception()
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())
