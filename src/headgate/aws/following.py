"""This file is where attempts that run elsewhere are followed: one thread looks at all of them, politely.

How soon one is looked at again goes by its age (what runs for an hour is not looked at each second), and all looks
share one budget below AWS's limits. What AWS tells by itself (`noticed`) saves the look.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from headgate.aws.budget import Budget, Rests
from headgate.aws.faults import Fault, FaultKind
from headgate.aws.files import RunFiles
from headgate.errors import EngineError, EngineInDoubt, EngineUnavailable
from headgate.model import TERMINAL, Json, RunState
from headgate.ports import Ending, Order, Watcher

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LONGEST_PAUSE: Final = 60.0  #: seconds between looks while the far side fails
_NOW: Final = -1e9  #: stops, and what AWS told of, do not queue behind hundreds that are merely due


@dataclass(frozen=True, slots=True)
class Begun:
    """What the far side says of a start."""

    handle: str
    at: datetime
    found: bool = False  #: it had been started before
    ending: Ending | None = None  #: where no more will ever be known of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was seen of an attempt: RUNNING, or its end."""

    state: RunState
    words: str  #: the far side's own word for it, for the log
    at: datetime
    error: str | None = None
    detail: str = ""
    result: Mapping[str, Json] = field(default_factory=dict[str, Json])
    retryable: bool = True
    log: str = ""  #: where the far side keeps its log, if it says so


class Far(Protocol):
    """The far side. Nothing raises for what AWS says: a fault is an answer, too."""

    def find(self, order: Order) -> str | Fault | None:
        """The handle of what was started of this attempt, where nobody here knows it."""
        ...

    def where(self, order: Order) -> str:
        """A name for where it runs: what runs at one place is silent together."""
        ...

    def look(self, order: Order, handle: str) -> Looked | Fault: ...

    def stop(self, order: Order, handle: str) -> Fault | None:
        """Ask it to end. Ended already is no fault."""
        ...

    def follow(self, order: Order, handle: str, seen: Looked) -> None:
        """After each look: fetch what there is to fetch, its log for instance."""
        ...


@dataclass(slots=True, eq=False)
class _Followed:
    order: Order
    since: float  #: by the monotonic clock
    handle: str = ""
    known: bool = False  #: somebody has seen it run: if it is missing now, it may be there in a moment
    starting: int = 0  #: calls of start that are under way
    gate: threading.Lock = field(default_factory=threading.Lock)  #: one start at a time
    told: bool = False
    words: str = ""
    due: float = 0.0
    stop_asked: bool = False
    stop_taken: bool = False
    missing_since: float | None = None
    failures: int = 0
    over: bool = False
    ended: Looked | None = None  #: how it ended, while more is expected of its log
    later: int = 0  #: how often it was followed after that


class Follower:
    """Everything `ports.Engine` promises, for what can be asked for its state. Safe from any thread."""

    def __init__(
        self,
        name: str,
        watcher: Watcher,
        files: RunFiles,
        far: Far,
        *,
        quickest: float = 1.0,
        slowest: float = 30.0,
        patience: float = 30.0,
        rate: float = 8.0,
        burst: float = 50.0,
        later: Sequence[float] = (),
    ) -> None:
        """No thread is started before there is something to follow.

        Something young is looked at each `quickest` seconds, something old each `slowest`, and in between each tenth of
        its age; all together at most `rate` times a second, of which `burst` may be saved up. What was seen to run and
        is missing counts as lost after `patience` seconds. What has ended is told at once, and its log is followed
        again after each of `later` seconds: what AWS shows lags behind. `name` is the engine's.
        """
        self._name = name
        self._watcher = watcher
        self._files = files
        self._far = far
        self._quickest = quickest
        self._slowest = slowest
        self._patience = patience
        self._later = tuple(later)
        self._budget = Budget(rate=rate, burst=burst)
        self._rests = Rests(first=quickest, longest=_LONGEST_PAUSE)
        self._changed = threading.Condition()
        self._followed: dict[str, _Followed] = {}
        self._by_handle: dict[str, str] = {}
        self._queue: list[tuple[float, int, _Followed]] = []
        self._number = itertools.count()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.problem: str | None = None  #: why the last look failed, in a word that names no target

    # -- what an engine is asked

    def start(self, order: Order, begin: Callable[[], Begun]) -> str:
        """Start it by `begin`, or find that it was; answers the handle.

        Raises:
            EngineError: what `begin` raises; EngineInDoubt while an earlier one may have been done all the same.
        """
        while True:
            with self._changed:
                one = self._followed.get(order.attempt_id)
                if one is None:
                    one = self._followed[order.attempt_id] = _Followed(order, time.monotonic())
                one.starting += 1
            with one.gate:
                if one.over:
                    continue  # it ended between the two: begin again, so that its end is told to this start as well
                return self._start(one, begin)

    def _start(self, one: _Followed, begin: Callable[[], Begun]) -> str:
        attempt = one.order.attempt_id
        if one.handle and one.told:
            self._started(one)
            return one.handle
        settled = self._files.settled(attempt)
        if settled is not None:
            self._end(one, settled)
            return one.handle or attempt
        try:
            begun = begin()
        except EngineError as error:
            in_doubt = self._in_doubt(attempt, for_good=not isinstance(error, EngineUnavailable))
            self._files.say(attempt, f"{'not known to be started' if in_doubt else 'not started'}: {error}")
            self._not_started(one)
            if in_doubt:
                raise EngineInDoubt(str(error)) from error
            raise
        except BaseException:
            self._not_started(one)
            raise
        self._name_it(one, begun.handle)
        one.known = True
        if not begun.found:
            one.told = True
            self._watcher.running(attempt, begun.handle, begun.at)
        self._files.say(attempt, f"{'found again' if begun.found else 'started'}: {begun.handle}")
        if begun.ending is not None:
            self._end(one, begun.ending)
            return begun.handle
        self._started(one, look_now=begun.found)
        return begun.handle

    def _in_doubt(self, attempt_id: str, *, for_good: bool) -> bool:
        """Whether an earlier start may have been done; what refuses `for_good` is believed after some patience."""
        since = self._files.in_doubt(attempt_id)
        return since is not None and (not for_good or since < self._patience)

    def _started(self, one: _Followed, *, look_now: bool = False) -> None:
        with self._changed:
            one.starting -= 1
            self._plan(one, _NOW if look_now or one.stop_asked else self._quickest)

    def _not_started(self, one: _Followed) -> None:
        with self._changed:
            one.starting -= 1
            if one.starting > 0:
                return
            if one.stop_asked:
                self._plan(one, _NOW)  # a reply may have been lost: only the far side knows
                return
            one.over = True
            self._followed.pop(one.order.attempt_id, None)

    def stop(self, order: Order) -> None:
        """Ask it to end; asked again until the far side has taken it."""
        with self._changed:
            one = self._followed.get(order.attempt_id)
            if one is None:
                if self._files.finished(order.attempt_id):
                    return  # who asks knows, or is told when the attempt is adopted
                one = self._follow(order)
            if one.stop_asked:
                return
            one.stop_asked = True
            self._plan(one, _NOW)
        self._files.say(order.attempt_id, "a stop was asked for")

    def adopt(self, order: Order) -> None:
        """Follow what was started earlier."""
        settled = self._files.settled(order.attempt_id)
        with self._changed:
            one = self._followed.get(order.attempt_id)
            if one is None:
                one = self._follow(order)
                if settled is None:
                    self._plan(one, 0.0)
        if settled is not None:
            self._end(one, settled)

    def noticed(self, handle: str, seen: Looked | None) -> bool:
        """Take in what the far side told by itself; without `seen` it is looked at now. False: not ours to follow."""
        with self._changed:
            one = self._followed.get(self._by_handle.get(handle, ""))
            if one is None:
                return False
            if seen is None:
                self._plan(one, _NOW)
                return True
        self._take(one, seen)
        return True

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    # -- following

    def _follow(self, order: Order) -> _Followed:
        """Take it up by what is known of it here or in the ledger. The lock is held."""
        handle = order.run.external_id or self._files.noted(order.attempt_id)
        one = self._followed[order.attempt_id] = _Followed(order, time.monotonic(), known=bool(handle))
        if handle:
            self._name_it(one, handle)
        return one

    def _name_it(self, one: _Followed, handle: str) -> None:
        with self._changed:
            one.handle = handle
            self._by_handle[handle] = one.order.attempt_id

    def _plan(self, one: _Followed, after: float) -> None:
        """Look at it in `after` seconds; _NOW: before all others. The lock is held."""
        one.due = time.monotonic() + after
        heapq.heappush(self._queue, (one.due, next(self._number), one))
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._look_for_ever, name=f"follow-{self._name}", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _look_for_ever(self) -> None:
        while (one := self._next()) is not None:
            try:
                if self._rests_now(one):
                    continue
                if one.ended is None:
                    self._look(one)
                else:
                    self._follow_on(one, one.ended)
            except Exception as error:  # noqa: BLE001 - one attempt that cannot be looked at must not blind us to the rest
                _log.exception("look failed", engine=self._name, attempt=one.order.attempt_id)
                self._again(one, f"a mistake of ours: {error}", "a mistake of ours")

    def _next(self) -> _Followed | None:
        """Wait for the next attempt that is due and that the budget allows a look at; None: closing."""
        with self._changed:
            while not self._closing:
                while self._queue and self._stale(self._queue[0]):
                    heapq.heappop(self._queue)
                if not self._queue:
                    self._changed.wait()
                    continue
                wait = self._queue[0][0] - time.monotonic()
                if wait <= 0 and (wait := self._budget.wait()) <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)
            return None

    @staticmethod
    def _stale(entry: tuple[float, int, _Followed]) -> bool:
        due, _, one = entry
        return (one.over and one.ended is None) or one.due != due or (one.starting > 0 and not one.handle)

    def _rests_now(self, one: _Followed) -> bool:
        """Whether where it runs is silent, and left alone for a while."""
        rest = self._rests.left(self._far.where(one.order))
        if rest <= 0:
            return False
        self._budget.spare()
        with self._changed:
            self._plan(one, rest)
        return True

    def _look(self, one: _Followed) -> None:
        if not one.handle:
            found = self._far.find(one.order)
            if isinstance(found, Fault):
                return self._trouble(one, found)
            if found is None:
                return self._missing(one)
            self._name_it(one, found)
        if one.stop_asked and not one.stop_taken:
            fault = self._far.stop(one.order, one.handle)
            if fault is not None:
                return self._missing(one) if fault.kind is FaultKind.MISSING else self._trouble(one, fault)
            one.stop_taken = True
        seen = self._far.look(one.order, one.handle)
        if isinstance(seen, Fault):
            return self._missing(one) if seen.kind is FaultKind.MISSING else self._trouble(one, seen)
        one.failures, one.missing_since, self.problem = 0, None, None
        self._rests.answered(self._far.where(one.order))
        if seen.state not in TERMINAL:
            self._far.follow(one.order, one.handle, seen)
            return self._take(one, seen)
        return self._follow_on(one, seen)

    def _follow_on(self, one: _Followed, seen: Looked) -> None:
        """Fetch what there is of something that ended, tell its end the first time, and come back a little later."""
        self._far.follow(one.order, one.handle, seen)
        if one.ended is None:
            self._take(one, seen)
        with self._changed:
            one.ended = seen if one.later < len(self._later) else None
            if one.ended is not None:
                self._plan(one, self._later[one.later])
                one.later += 1

    def _take(self, one: _Followed, seen: Looked) -> None:
        attempt = one.order.attempt_id
        if seen.words != one.words:
            one.words = seen.words
            self._files.say(attempt, f"the state is {seen.words}")
        if seen.state not in TERMINAL:
            one.known = True
            if not one.told:
                one.told = True
                self._watcher.running(attempt, one.handle, seen.at)
            with self._changed:
                if one.over:
                    return
                age = time.monotonic() - one.since
                pace = self._quickest if one.stop_asked else min(max(age / 10, self._quickest), self._slowest)
                self._plan(one, pace)
            return
        error, detail = seen.error, seen.detail
        if seen.state is RunState.STOPPED and not one.stop_asked:
            detail = detail or "stopped by somebody else"
        self._end(
            one,
            Ending(state=seen.state, at=seen.at, error=error, detail=detail, result=seen.result,
                   retryable=seen.retryable and seen.state is RunState.FAILED),
        )  # fmt: skip

    def _missing(self, one: _Followed) -> None:
        """It is not there: not yet (what AWS shows lags behind), never, or not any more."""
        now = time.monotonic()
        one.missing_since = one.missing_since if one.missing_since is not None else now
        known = one.known or self._in_doubt(one.order.attempt_id, for_good=True)
        if known and now - one.missing_since < self._patience:
            with self._changed:
                self._plan(one, min(self._quickest, self._patience / 4))
            return
        at = datetime.now(UTC)
        if one.stop_asked and not one.known:
            ending = Ending(state=RunState.STOPPED, at=at, detail="stopped before it started", retryable=False)
        else:
            error = f"no trace of it was found: {one.handle or one.order.attempt_id}"
            ending = Ending(state=RunState.FAILED, at=at, error=error, detail="lost")
        with self._changed:
            if one.starting:  # somebody starts it right now: its answer says whether it is there
                return
        self._files.settle(one.order.attempt_id, ending)
        self._end(one, ending)

    def _trouble(self, one: _Followed, fault: Fault) -> None:
        """The far side does not answer as it should: what runs, runs on, and is looked at again."""
        if fault.kind is FaultKind.THROTTLED:
            self._budget.throttled()
        if not fault.answered:
            self._rests.silent(self._far.where(one.order))
        self._again(one, str(fault), fault.code, least=fault.wait)

    def _again(self, one: _Followed, why: str, word: str, *, least: float = 0.0) -> None:
        if word != self.problem:
            _log.warning("cannot look", engine=self._name, attempt=one.order.attempt_id, why=why)
        if one.failures == 0:
            self._files.say(one.order.attempt_id, f"cannot be looked at now, will be again: {why}")
        self.problem = word
        one.failures += 1
        pause = min(self._quickest * 2 ** min(one.failures, 16), _LONGEST_PAUSE)
        with self._changed:
            if not one.over:
                self._plan(one, max(pause, least))

    def _end(self, one: _Followed, ending: Ending) -> None:
        attempt = one.order.attempt_id
        with self._changed:
            if one.over or self._closing:  # whoever follows it next sees the same end
                return
            one.over = True
            self._followed.pop(attempt, None)
            self._by_handle.pop(one.handle, None)
            if not self._followed:
                self.problem = None
        why = f": {ending.error}" if ending.error else f" ({ending.detail})" if ending.detail else ""
        self._files.say(attempt, f"ended {ending.state}{why}")
        self._files.finish(attempt, ending)
        self._watcher.ended(attempt, ending)
