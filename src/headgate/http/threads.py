"""This file is where what blocks is done in a few threads of its own, so that it can hold up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from headgate.errors import Unavailable

T = TypeVar("T")


class Threads:
    """At most `most` threads; what comes while all are busy waits its turn, off the event loop."""

    def __init__(self, name: str, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)

    async def do(self, work: Callable[[], T]) -> T:
        """The work's result, or what it raised. Unavailable once they are closed, for what has not begun by then."""
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            raise Unavailable("the server is stopping; try again soon") from None
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future.cancelled() and (task is None or not task.cancelling()):
                raise Unavailable("the server is stopping; try again soon") from None
            raise

    def close(self) -> None:
        """Begin nothing more. Returns at once; what is under way goes on. Safe from any thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)
