"""This file is where messages that could not be read are kept, looked at, tried again and thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from headgate.doors.object_events import decode
from headgate.ledger import dead
from headgate.ledger.accepting import Receipt
from headgate.ledger.dead import DeadLetter, KeptLetter
from headgate.ledger.reading import Page
from headgate.ledger.store import Ledger, wait_for

DOOR = "sqs"


class DeadLetters:
    """The dead-letter list of a ledger. Safe from any thread; what changes something is durable when it returns."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def bury(self, letter: DeadLetter) -> Future[str]:
        """Keep a message; the future has the letter's id."""
        return self._ledger.write(lambda batch: dead.put(batch, letter))

    def page(self, *, before: int | None = None, limit: int = 50) -> Page[KeptLetter]:
        """Return those there are, newest first."""
        return self._ledger.read(lambda connection: dead.read(connection, before=before, limit=limit))

    def get(self, name: str) -> KeptLetter:
        """Raises NotFound."""
        return self._ledger.read(lambda connection: dead.find(connection, name))

    def count(self) -> int:
        return self._ledger.read(dead.count)

    def replay(self, name: str, *, actor: str, reason: str | None) -> Sequence[Receipt]:
        """Read the message again and take what it holds; the letter is gone then. Answers what each event led to.

        Raises:
            NotFound: there is no such letter. Invalid: it still cannot be read; the letter stays.
        """
        found = self.get(name)
        events = decode(found.letter.body, source=DOOR).events
        # first the events, which are known if this comes twice, then the letter
        receipts = wait_for(self._ledger.accept(events)) if events else []
        wait_for(
            self._ledger.write(lambda batch: dead.delete(batch, name, action="dead.replay", actor=actor, reason=reason))
        )
        return receipts

    def delete(self, name: str, *, actor: str, reason: str | None) -> KeptLetter:
        """Throw a letter away; answers what it was. Raises NotFound."""
        return wait_for(
            self._ledger.write(lambda batch: dead.delete(batch, name, action="dead.delete", actor=actor, reason=reason))
        )
