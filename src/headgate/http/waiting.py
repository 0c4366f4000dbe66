"""This file is where clicks wait until an engine has taken their runs: one look at the ledger serves all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Final

from headgate.errors import Unavailable
from headgate.flow.clicked import Stage, stage
from headgate.http.threads import Threads
from headgate.model import Run, RunId

TICK: Final = 0.01  #: seconds between two looks at whether this process has written anything
LOOK_ANYWAY: Final = 0.5  #: seconds; other replicas write, too


class Waiting:
    """Runs that somebody waits for. All but `close` is called on the event loop; a new loop begins anew."""

    def __init__(
        self, look: Callable[[Sequence[RunId]], Mapping[RunId, Run]], written: Callable[[], object], threads: Threads
    ) -> None:
        self._look = look
        self._written = written
        self._threads = threads
        self._waiting: dict[RunId, list[asyncio.Future[Run]]] = {}
        self._newest: dict[RunId, Run] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.looks = 0  #: how often the ledger was read, for the tests and the curious

    def close(self) -> None:
        """Keep nobody waiting any longer. Safe from any thread."""
        self._closed = True

    async def landed(self, run: Run, seconds: float) -> Run:
        """The run once an engine has taken or refused it; as it was seen last where that takes longer."""
        loop = asyncio.get_running_loop()
        if stage(run) is not Stage.PENDING or self._closed or seconds <= 0:
            return run
        if self._loop is not loop:
            self._loop, self._task = loop, None
            self._waiting.clear()
            self._newest.clear()
        mine: asyncio.Future[Run] = loop.create_future()
        self._waiting.setdefault(run.id, []).append(mine)
        self._newest.setdefault(run.id, run)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())
        try:
            async with asyncio.timeout(seconds):
                return await mine
        except TimeoutError:
            return self._newest.get(run.id, run)
        finally:
            others = self._waiting.get(run.id, [])
            if mine in others:
                others.remove(mine)
            if not others:
                self._waiting.pop(run.id, None)
                self._newest.pop(run.id, None)

    async def _run(self) -> None:
        """Look, tell; until nobody waits."""
        written: object = None
        looked = 0.0
        while self._waiting and not self._closed:
            now, current = monotonic(), self._written()
            if current != written or now - looked >= LOOK_ANYWAY:
                written, looked = current, now
                self.looks += 1
                try:
                    found = await self._threads.do(partial(self._look, list(self._waiting)))
                except Unavailable:
                    found = {}  # the runs are written; their clickers are told so when their time is up
                self._tell(found)
            await asyncio.sleep(TICK)
        if self._closed:
            self._tell_all()

    def _tell(self, found: Mapping[RunId, Run]) -> None:
        for name, run in found.items():
            if name in self._waiting:
                self._newest[name] = run
            if stage(run) is not Stage.PENDING:
                self._answer(name, run)

    def _tell_all(self) -> None:
        for name, run in list(self._newest.items()):
            self._answer(name, run)

    def _answer(self, name: RunId, run: Run) -> None:
        for one in self._waiting.get(name, ()):
            if not one.done():
                one.set_result(run)
