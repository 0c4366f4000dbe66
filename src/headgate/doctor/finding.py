"""This file is where a finding is: how much it explains, what it is, how one knows, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """How much a finding explains; the smallest is told first."""

    BROKEN = 1  #: nothing can run while it is so
    LIKELY = 2  #: this is why the last time came to nothing
    POSSIBLE = 3  #: it will bite one day, or has bitten others
    UNSEEN = 4  #: it could not be looked at, so nobody knows
    NOTE = 5  #: good to know; nothing is wrong


#: What makes the answer "something is wrong".
WRONG = frozenset({Rank.BROKEN, Rank.LIKELY, Rank.POSSIBLE})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. Each text is a sentence or less, without a line end.

    `mend` is the command that mends it, or what to change and the command that follows; "" where nothing is to be done.
    """

    rank: Rank
    what: str
    evidence: str
    mend: str = ""


def ranked(found: Iterable[Finding]) -> list[Finding]:
    """What explains most first; of one rank in the order found. The same twice is told once."""
    return sorted(dict.fromkeys(found), key=lambda one: one.rank)


def unseen(what: str, evidence: str, mend: str) -> Finding:
    """Something could not be looked at: never to be taken for well."""
    return Finding(Rank.UNSEEN, f"{what} could not be looked at", evidence, mend)
