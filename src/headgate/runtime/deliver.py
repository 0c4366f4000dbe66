"""This file is where the outbox is emptied. A receiver that is away or slow delays its own messages only."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from headgate.errors import HeadgateError
from headgate.ledger.housekeeping import Letter
from headgate.ledger.store import Ledger, wait_for
from headgate.ports import Reporter

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY = 5.0  #: seconds between looks when nobody says that there is something
HOLD = 60.0  #: seconds a message is kept from other deliverers
MOST = 16  #: messages taken at a time: so few that a slow receiver gets through them while they are held
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 900.0  #: seconds between tries; doubles
GIVE_UP = 3 * 86_400.0  #: seconds after which a message is of no use to anyone
THREADS = 4  #: for each receiver


class Deliver:
    """Runs until closed. Reporters may raise anything: it is noted at the message, which is tried again."""

    def __init__(self, ledger: Ledger, reporters: Mapping[str, Reporter], *, others: Sequence[str] = ()) -> None:
        self._ledger = ledger
        self._others = others  #: channels that somebody else empties
        self._reporters = reporters
        self._pools = {name: ThreadPoolExecutor(THREADS, thread_name_prefix=f"tell-{name}") for name in reporters}
        self._under_way: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
        self.problem: str | None = None  #: what nobody foresaw at the last turn, for /readyz

    def start(self) -> None:
        if self._reporters:
            self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                full = self._turn()
                self.problem = None
            except HeadgateError as error:
                _log.warning("the outbox could not be read", why=str(error))
                full = False
            except Exception as error:  # noqa: BLE001 - a bug at one turn must not leave the outbox lying for good
                if self.problem is None:
                    _log.exception("a turn of the outbox failed")
                self.problem = f"the outbox: {type(error).__name__}: {error}; the server's log says where"
                full = False
            if not full:
                self._wake.wait(EVERY)
                self._wake.clear()

    def _turn(self) -> bool:
        if not self._ledger.outbox()[0]:
            return False
        with self._counting:
            busy = [*self._others] + [channel for channel, count in self._under_way.items() if count >= THREADS]
        letters = wait_for(self._ledger.take_letters(most=MOST, hold=HOLD, busy=busy))
        for letter in letters:
            pool = self._pools.get(letter.channel)
            if pool is None:
                self._ledger.not_delivered(letter, "nobody of that name is in the settings", time.time() + 3600)
                continue
            with self._counting:
                self._under_way[letter.channel] += 1
            pool.submit(self._deliver, letter)
        return len(letters) == MOST

    def _deliver(self, letter: Letter) -> None:
        """A reporter cannot hurt: whatever it raises, the message is kept and the reason noted."""
        try:
            self._reporters[letter.channel].report(str(letter.payload.get("kind", "")), letter.payload)
        except Exception as error:  # noqa: BLE001 - see the docstring
            written = self._keep(letter, f"{type(error).__name__}: {error}")
        else:
            written = self._ledger.delivered(letter)
        with self._counting:
            self._under_way[letter.channel] -= 1
        written.add_done_callback(lambda _: self.wake())  # the next of its subject may go now

    def _keep(self, letter: Letter, why: str) -> Future[None]:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**letter.tries) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if letter.tries > GIVE_UP / LONGEST_PAUSE:
            _log.error("message given up", channel=letter.channel, subject=letter.subject, why=why)
            return self._ledger.delivered(letter)
        _log.warning("message not delivered", channel=letter.channel, why=why, tries=letter.tries + 1, again_in=pause)
        return self._ledger.not_delivered(letter, why, time.time() + pause)
