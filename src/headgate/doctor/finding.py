"""This file is where a finding is: how much it explains, what it is, how one knows, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final


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


#: How what was changed in headgate.yaml is put in force where no server runs; a server reads the file at its start.
APPLY: Final = "then: headgate apply"
_RESTART: Final = "then restart headgate serve"


def ranked(found: Iterable[Finding], *, served: bool) -> list[Finding]:
    """What explains most first; of one rank in the order found. The same twice is told once.

    `served`: a server runs, so what is changed in headgate.yaml takes its restart.
    """
    told = sorted(dict.fromkeys(found), key=lambda one: one.rank)
    return [replace(one, mend=_where_served(one.mend)) for one in told] if served else told


def _where_served(mend: str) -> str:
    return mend.replace(f"{APPLY} && ", f"{_RESTART}, and: ").replace(APPLY, _RESTART)


def unseen(what: str, evidence: str, mend: str) -> Finding:
    """Something could not be looked at: never to be taken for well."""
    return Finding(Rank.UNSEEN, f"{what} could not be looked at", evidence, mend)
