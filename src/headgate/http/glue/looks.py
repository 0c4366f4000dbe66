"""This file is where those who ask for a job run share a look: whoever comes while one is under way is in the next.

To poll a run until it is over is what clients do most. A thread and a connection for each call cost four times what
the look itself does; shared, they are paid once for all who ask at a time, and the event loop still waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from headgate.errors import Unavailable
from headgate.ledger.glue_runs import JobRun

#: Job and id of one that is asked for.
Named = tuple[str, str]
MOST: Final = 200  #: of one look


class Looks:
    """The looks of one event loop, one after the other; `look` finds many, in the order they are asked for."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, look: Callable[[Sequence[Named]], Sequence[JobRun | None]]
    ) -> None:
        self.loop = loop
        self._look = look
        self._asked: list[tuple[Named, asyncio.Future[JobRun | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def find(self, job: str, name: str) -> JobRun | None:
        """The job run as it is at a moment after this call, or None. Raises what the look raises."""
        mine: asyncio.Future[JobRun | None] = self.loop.create_future()
        self._asked.append(((job, name), mine))
        if self._task is None:
            self._task = self.loop.create_task(self._run())
        return await mine

    async def _run(self) -> None:
        try:
            while self._asked:
                those, self._asked = self._asked[:MOST], self._asked[MOST:]
                await self._answer(those)
        finally:
            self._task = None

    async def _answer(self, those: Sequence[tuple[Named, asyncio.Future[JobRun | None]]]) -> None:
        named = list(dict.fromkeys(one for one, _ in those))
        try:
            found = dict(zip(named, await asyncio.to_thread(partial(self._look, named)), strict=True))
        except Exception as error:  # noqa: BLE001 - it goes to whoever asked
            if len(those) > 1 and not isinstance(error, Unavailable):
                for each in those:  # whatever is wrong with one of them is nobody else's trouble
                    await self._answer([each])
                return
            for _, waiter in those:
                if not waiter.done():
                    waiter.set_exception(error)
            return
        for one, waiter in those:
            if not waiter.done():  # its client may have gone
                waiter.set_result(found[one])
