"""This file is where lineage leaves the outbox: in one order, many messages in one call, none lost, none holding up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from headgate.errors import HeadgateError, Invalid
from headgate.ledger.housekeeping import Letter
from headgate.ledger.store import Ledger, wait_for

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY = 5.0  #: seconds between looks when nobody says that there is something
HOLD = 180.0  #: seconds messages are kept from another replica's relay: longer than the slowest call
MOST = 200  #: messages taken at a time
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 120.0  #: seconds between tries; doubles

Send = Callable[[Sequence[Letter]], None]


class Relay:
    """Sends a channel's messages in their order, until closed.

    `send` gets them in order and returns when the far side has taken all of them. It raises Invalid when the far side
    refuses something for good: then each is sent alone, and what is refused is dropped, logged and counted. Whatever
    else it raises, all of them stay and are sent again, in the same order; nothing overtakes them.
    """

    def __init__(self, ledger: Ledger, channel: str, send: Send) -> None:
        self._ledger = ledger
        self._channel = channel
        self._send = send
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"relay-{channel}", daemon=True)
        self.sent = 0
        self.refused = 0
        self.problem: str | None = None  #: why the last try failed, for /readyz

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Look now. Safe from any thread."""
        self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        failed: str | None = None
        while not self._closing.is_set():
            try:
                pause = self.turn()
                if failed is not None and self.problem == failed:
                    self.problem = None
                failed = None
            except HeadgateError as error:
                _log.warning("the outbox could not be read", channel=self._channel, why=str(error))
                pause = EVERY
            except Exception as error:  # noqa: BLE001 - a bug at one turn must not leave the outbox lying for good
                if failed is None:
                    _log.exception("a turn of the outbox failed", channel=self._channel)
                failed = self.problem = f"{type(error).__name__}: {error}; the server's log says where"
                pause = EVERY
            if pause:
                self._wake.wait(pause)
                self._wake.clear()

    def turn(self) -> float:
        """Send what is due; answers how long to wait before the next turn, 0.0 when there may be more."""
        letters = wait_for(self._ledger.take_in_order(self._channel, most=MOST, hold=HOLD))
        if not letters:
            return EVERY
        try:
            self._send_all(letters)
        except Exception as error:  # noqa: BLE001 - whatever a far side's client raises, the messages stay
            return self._keep(letters, f"{type(error).__name__}: {error}")
        self.problem = None
        wait_for(self._ledger.delivered_all(letters))
        return 0.0

    def _send_all(self, letters: Sequence[Letter]) -> None:
        try:
            self._send(letters)
            self.sent += len(letters)
        except Invalid:
            for one in letters:
                self._send_one(one)

    def _send_one(self, letter: Letter) -> None:
        try:
            self._send([letter])
            self.sent += 1
        except Invalid as error:
            self.refused += 1
            _log.error("lineage refused for good", channel=self._channel, message=letter.seq, why=str(error)[:2000])

    def _keep(self, letters: Sequence[Letter], why: str) -> float:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(letters[0].tries, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        if self.problem is None:
            _log.warning("lineage not delivered", channel=self._channel, why=why, waiting=len(letters), again_in=pause)
        self.problem = why
        wait_for(self._ledger.not_delivered_yet(letters, why, time.time() + pause))
        return pause
