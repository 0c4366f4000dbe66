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


class Landing:
    """Turns the ledger's futures into awaitables of one loop.

    The writer finishes a batch of futures at a time; only the first of them wakes the loop, the others are found there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._landed: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._hopping = False

    async def wait(self, future: Future[T], seconds: float = PATIENCE) -> T:
        """The future's result, or what it failed with. Raises LedgerUnavailable when it takes longer."""
        waiter: asyncio.Future[T] = self.loop.create_future()
        future.add_done_callback(lambda done: self._land(waiter, done))
        late = self.loop.call_later(seconds, _give_up, waiter, seconds)
        try:
            return await waiter
        finally:
            late.cancel()

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


def _give_up(waiter: asyncio.Future[Any], seconds: float) -> None:
    if not waiter.done():
        waiter.set_exception(
            LedgerUnavailable(f"the ledger did not answer within {seconds:g} s; what was sent may still be recorded")
        )
