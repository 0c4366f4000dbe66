"""This file is where catalogs are looked at from time to time, and what changed in them is handed over.

What was seen is kept in the ledger, so a change while nobody looked is one event at the next look; at the first look
nothing is news, unless its trigger has `at_first_start`. Replicas take turns. What is handed over is remembered after
that, so a crash in between finds it again and the ledger knows its identity. A catalog that cannot be looked at is left
alone longer and longer, and its trouble is told.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from headgate.catalog import Catalog
from headgate.doors.catalog.reading import Broken, Change, Look, Reader, Turn, changes, event_of, marks
from headgate.errors import HeadgateError
from headgate.model import CatalogWatch, Event, Trigger, TriggerName

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PORTION: Final = 500  #: events handed over at a time, and names remembered
LONGEST_PAUSE: Final = 900.0  #: seconds between looks at a catalog that cannot be looked at, where `every` is less
PATIENCE: Final = 60.0  #: seconds for the ledger to take what was found


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the door is given of the rest. All may raise a HeadgateError."""

    catalog: Callable[[], Catalog]
    turn: Callable[[TriggerName, float], Turn]  #: asks for the turn; the next one is so many seconds later
    seen: Callable[[TriggerName], tuple[bool, bool, Mapping[str, str]]]
    """Whether there is something to compare with, whether it was ever looked at, and what was there."""
    accept: Callable[[Sequence[Event]], Future[Any]]
    remember: Callable[[TriggerName, Mapping[str, str], Collection[str]], Future[Any]]  #: these are so, those are gone
    looked: Callable[[TriggerName], Future[Any]]  #: from now on there is something to compare with
    put_off: Callable[[TriggerName, float], Future[Any]]  #: the next turn is only in so many seconds
    keep_only: Callable[[Collection[TriggerName]], Future[Any]]  #: forget what was seen for any other trigger


class CatalogDoor:
    """All watched catalogs, in one thread."""

    def __init__(
        self,
        inside: Inside,
        read: Reader,
        *,
        tick: float = 0.5,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`read` looks at a catalog; `tick` is how often, in seconds, it is seen whether a look is due."""
        self._inside = inside
        self._read = read
        self._tick = tick
        self._jitter = jitter
        self._due: dict[TriggerName, float] = {}  #: by time.monotonic
        self._failures: dict[TriggerName, int] = {}
        self._problems: dict[TriggerName, str] = {}
        self._watching: frozenset[TriggerName] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, patience: float = 10.0) -> None:
        """Look no more. What is being written is finished; a catalog that does not answer is not waited for."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def problems(self) -> list[str]:
        """For /readyz: which catalogs cannot be looked at, or not in every part."""
        return [f"trigger {name}: {why}" for name, why in sorted(self._problems.copy().items())]

    def look(self, trigger: Trigger, watch: CatalogWatch) -> int:
        """Look at one catalog now; answers how many events there were.

        Raises:
            Broken: it could not be looked at. HeadgateError: the ledger did not take what was found.
        """
        inside, name = self._inside, trigger.name
        comparable, ever, before = inside.seen(name)
        found = self._read(watch)
        done = list(changes(before, found))
        news: list[Change] = []
        if comparable or (trigger.at_first_start and not ever):
            news = [one for one in done if one.kind in watch.kinds]
        now = datetime.now(UTC)
        for start in range(0, len(news), PORTION):
            events = [event_of(watch, one, now) for one in news[start : start + PORTION]]
            inside.accept(events).result(PATIENCE)
        self._remember(name, before, found, [one.table for one in done if one.removed])
        self._tell(name, found)
        return len(news)

    def _remember(self, name: TriggerName, before: Mapping[str, str], look: Look, gone: Sequence[str]) -> None:
        fresh = {one: said for one, said in {**look.tables, **marks(before, look)}.items() if before.get(one) != said}
        items = list(fresh.items())
        for start in range(0, max(len(items), len(gone)), PORTION):
            portion = slice(start, start + PORTION)
            self._inside.remember(name, dict(items[portion]), gone[portion]).result(PATIENCE)
        self._inside.looked(name).result(PATIENCE)

    def _tell(self, name: TriggerName, look: Look) -> None:
        if look.unread:
            # their names are for the log alone: anybody may ask /readyz
            names = ", ".join(f"{one} ({why})" for one, why in sorted(look.unread.items())[:20])
            count, words = len(look.unread), ", ".join(sorted(set(look.unread.values())))
            some = "a database" if count == 1 else f"{count} databases"
            self._say(name, f"{some} of its catalog cannot be read: {words}; the server's log has the names", names)
        elif name in self._problems:
            _log.info("the catalog is looked at again", trigger=name)
            self._problems.pop(name)

    # -- the loop

    def _run(self) -> None:
        while not self._closing.wait(self._tick):
            try:
                self._round()
            except HeadgateError as error:
                _log.warning("catalogs are not looked at", why=str(error))
                self._closing.wait(self._jitter(0.5, 1.0) * 5.0)
            except Exception:  # noqa: BLE001 - a mistake at one look must not be the end of all of them
                _log.exception("catalogs could not be looked at")
                self._closing.wait(5.0)

    def _round(self) -> None:
        """See to every watched catalog. Raises HeadgateError."""
        watched = [
            (one, one.catalog) for one in self._inside.catalog().watched if one.enabled and one.catalog is not None
        ]
        names = frozenset(one.name for one, _ in watched)
        if names != self._watching:
            # what happens while a trigger is off is not made up, so it has nothing to compare with when it is on again
            self._inside.keep_only(names).result(PATIENCE)
            for gone in (self._watching or frozenset()) - names:
                self._problems.pop(gone, None)
                self._failures.pop(gone, None)
                self._due.pop(gone, None)
            self._watching = names
        for trigger, watch in watched:
            if self._closing.is_set():
                return
            if time.monotonic() >= self._due.get(trigger.name, 0.0):
                self._take(trigger, watch)

    def _take(self, trigger: Trigger, watch: CatalogWatch) -> None:
        name = trigger.name
        turn = self._inside.turn(name, watch.every)
        if not turn.ours:
            self._due[name] = time.monotonic() + min(max(turn.wait, self._tick), watch.every)
            return
        try:
            count = self.look(trigger, watch)
        except Broken as error:
            self._say(name, f"its catalog cannot be looked at ({error.word})", str(error))
            self._later(name, watch, error.wait)
            return
        except (HeadgateError, TimeoutError) as error:
            self._say(name, "the ledger does not take what changed in its catalog", str(error))
            self._later(name, watch, 0.0)
            return
        except Exception as error:  # noqa: BLE001 - a mistake at one catalog must not keep others from being looked at
            _log.exception("a catalog could not be looked at", trigger=name)
            self._say(name, f"a mistake of ours at its catalog: {type(error).__name__}; the server's log says where")
            self._later(name, watch, 0.0)
            return
        self._failures.pop(name, None)
        self._due[name] = time.monotonic() + watch.every
        if count:
            _log.info("tables changed", trigger=name, catalog=watch.name, count=count)

    def _later(self, name: TriggerName, watch: CatalogWatch, least: float) -> None:
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        longest = min(watch.every * 2 ** min(failures - 1, 16), max(LONGEST_PAUSE, watch.every))
        pause = max(longest * self._jitter(0.5, 1.0), least)
        self._due[name] = time.monotonic() + pause
        self._inside.put_off(name, pause).result(PATIENCE)

    def _say(self, name: TriggerName, problem: str, why: str = "") -> None:
        if self._problems.get(name) != problem:
            _log.warning(problem, trigger=name, why=why)
        self._problems[name] = problem
