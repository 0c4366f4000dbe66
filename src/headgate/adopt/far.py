"""This file is where Glue itself is asked and told, patiently: throttles, lost replies, and changes that take a while.

Everything told here may be told twice: what was done already is found done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headgate.aws import Clients, Fault, FaultKind
from headgate.aws.clients import Place
from headgate.errors import HeadgateError, Invalid, Unavailable
from headgate.settings.record import AwsPlace

_MOST_PAGES: Final = 10_000  #: far more than an account may have; an answer without an end is nonsense
_TRIES: Final = 8  #: of a call that changes something
_FIRST: Final = 0.25  #: seconds between the first two, of which a random part of up to half is left out
_LONGEST: Final = 8.0  #: seconds
_SETTLES: Final = 60.0  #: seconds that a trigger is given to stop, or to be gone
_TRYING: Final = frozenset({FaultKind.THROTTLED, FaultKind.AWAY})
_THERE: Final = "AlreadyExistsException"

Pause = Callable[[float], None]


class Far:
    """Glue at one place. Raises Unavailable for what may work later or with other rights, Invalid for what will not."""

    def __init__(self, clients: Clients, place: AwsPlace, *, pause: Pause = time.sleep) -> None:
        self._clients = clients
        self._place = Place.of(place, session="headgate-apply")
        self._pause = pause

    def every(self, operation: str, member: str, size: int, doing: str, **asked: Any) -> list[Any]:
        """All pages of a listing.

        Raises:
            Unavailable: the list has no end. What was not read would be taken for deleted, so a part is no answer.
        """
        found: list[Any] = []
        tokens: set[str] = set()
        asked["MaxResults"] = size
        pages = self._clients.pages(self._place, "glue", operation, asked, doing=doing, attempts=3, most=_MOST_PAGES)
        for number, answer in enumerate(pages, 1):
            if isinstance(answer, Fault):
                raise error_of(answer)
            found += answer.get(member) or []
            token = str(answer.get("NextToken") or "")
            if token and (token in tokens or number == _MOST_PAGES):
                raise Unavailable(
                    f"AWS Glue: {doing}: the list goes on without an end ({number:,} pages, {len(found):,} things);"
                    " what is there is not known, and nothing was changed; try again, or look at what answers for AWS"
                )
            tokens.add(token)
        return found

    def tell(self, operation: str, asked: Mapping[str, Any], doing: str) -> None:
        """Change something. Tried again while it is throttled, being changed by another, or unanswered."""
        doubtful = False
        for number in range(_TRIES):
            answer = self._clients.call(self._place, "glue", operation, asked, doing=doing)
            if not isinstance(answer, Fault) or (doubtful and answer.code == _THERE):
                return
            doubtful = doubtful or answer.maybe_done
            if answer.kind not in _TRYING or number == _TRIES - 1:
                raise error_of(answer)
            self._wait(number, answer.wait)

    def until(self, name: str, settled: Callable[[str], bool], doing: str) -> str:
        """Wait until the trigger's state is so, and answer it; "" is that of a trigger that is not there.

        Raises:
            Unavailable: it is not, after a minute.
        """
        waited, number = 0.0, 0
        while True:
            answer = self._clients.call(self._place, "glue", "get_trigger", {"Name": name}, doing=doing, attempts=3)
            if isinstance(answer, Fault) and answer.kind is not FaultKind.MISSING:
                raise error_of(answer)
            state = "" if isinstance(answer, Fault) else str(answer["Trigger"]["State"])
            if settled(state):
                return state
            if waited >= _SETTLES:
                raise Unavailable(f"{doing}: Glue has not done it within {_SETTLES:g} s; run `headgate apply` again")
            waited += self._wait(number, 0.0)
            number += 1

    def _wait(self, number: int, least: float) -> float:
        longest = min(_LONGEST, _FIRST * 2**number)
        seconds = max(least, longest * random.uniform(0.5, 1.0))  # noqa: S311 - it keeps no secret
        self._pause(seconds)
        return seconds


def error_of(fault: Fault) -> HeadgateError:
    """The error for a person: the far side's, or one of what was said to it."""
    beyond = fault.later or fault.kind in (FaultKind.DENIED, FaultKind.NO_CREDENTIALS)
    if beyond or fault.code == "NoRegionError":
        return Unavailable(f"AWS Glue: {fault}")
    if fault.code == "MissingExtra":
        return Invalid(fault.message)
    return Invalid(f"AWS Glue refuses it: {fault}")


def names(found: Sequence[Any]) -> set[str]:
    return {str(one) for one in found}
