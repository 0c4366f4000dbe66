"""This file is where every ledger keeps messages that nobody could read, each once, until a person or time takes it."""

from __future__ import annotations

import pytest

from headgate.errors import NotFound
from headgate.ledger import dead
from headgate.ledger.dead import DeadLetter
from headgate.ledger.store import wait_for

from .replica import Replica


def put(ledger: Replica, message: str, body: str = "no JSON") -> str:
    letter = DeadLetter(source="queue", message=message, body=body, error="expected JSON", receives=3)
    return wait_for(ledger.ledger.write(lambda batch: dead.put(batch, letter)))


def test_letters_come_newest_first_in_pages(ledger: Replica) -> None:
    """Each once, however often it was given up; the reason and the count of the last time."""
    names = [put(ledger, f"m{number}") for number in range(5)]
    assert put(ledger, "m0") == names[0]
    first = ledger.ledger.read(lambda connection: dead.read(connection, before=None, limit=3))
    rest = ledger.ledger.read(lambda connection: dead.read(connection, before=first.next, limit=3))

    assert [one.id for one in [*first.items, *rest.items]] == names[::-1]
    assert rest.next is None


@pytest.mark.parametrize("body", ["a\0b", "\ud800", "ünïcödé \U0001f600", "x" * 1_100_000])
def test_whatever_a_message_holds_can_be_kept(ledger: Replica, body: str) -> None:
    """What no database takes is replaced; the rest is word for word."""
    name = put(ledger, "m", body)
    found = ledger.ledger.read(lambda connection: dead.find(connection, name)).letter.body

    assert found == body.replace("\0", "\ufffd").replace("\ud800", "?")


def test_a_letter_is_taken_once(ledger: Replica) -> None:
    """Who comes second is told that there is none."""
    name = put(ledger, "m")

    def take() -> None:
        wait_for(
            ledger.ledger.write(lambda batch: dead.delete(batch, name, action="dead.delete", actor="ann", reason=None))
        )

    take()
    with pytest.raises(NotFound, match="headgate events dead list"):
        take()
    assert ledger.ledger.read(dead.count) == 0
