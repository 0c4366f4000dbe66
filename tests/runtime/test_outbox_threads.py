"""This file is where those who empty the outbox meet what nobody foresaw: /readyz is told, and they go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from headgate.ledger.housekeeping import Letter
from headgate.runtime import deliver, relay
from headgate.runtime.deliver import Deliver
from headgate.runtime.relay import Relay

DEADLINE = 30.0


class Outbox:
    """A ledger whose outbox is asked about, with what the test says in the way."""

    def __init__(self) -> None:
        self.looks = 0
        self.bug = True

    def outbox(self) -> tuple[int, None, None]:
        self._look()
        return 0, None, None

    def take_in_order(self, _channel: str, *, most: int, hold: float) -> Future[list[Letter]]:
        del most, hold
        self._look()
        none: Future[list[Letter]] = Future()
        none.set_result([])
        return none

    def _look(self) -> None:
        self.looks += 1
        if self.bug:
            raise ZeroDivisionError("a bug")


class Told:
    """A reporter nobody has anything for."""

    name = "told"

    def report(self, kind: str, payload: object) -> None: ...


def _until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.005)


def _send(_letters: Sequence[Letter]) -> None: ...


def _deliver(ledger: Any) -> Deliver:
    return Deliver(ledger, {"told": Told()})


def _relay(ledger: Any) -> Relay:
    return Relay(ledger, "c", _send)


@pytest.mark.parametrize("make", [_deliver, _relay])
def test_a_bug_at_one_turn_is_told_and_is_not_the_last_turn(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Deliver | Relay]
) -> None:
    """The messages stay, and go when it works again; until then /readyz names it."""
    monkeypatch.setattr(deliver, "EVERY", 0.01)
    monkeypatch.setattr(relay, "EVERY", 0.01)
    ledger = Outbox()
    one = make(ledger)
    one.start()
    _until(lambda: one.problem, "the problem to be told")
    assert "ZeroDivisionError: a bug" in str(one.problem)
    _until(lambda: ledger.looks > 2, "the next turns")
    ledger.bug = False
    _until(lambda: one.problem is None, "it to be well again")
    one.close()
