"""This file is where scalars of events are made texts and numbers, as Jackson would."""

from __future__ import annotations

from typing import Final

from headgate.errors import MalformedEvent
from headgate.openlineage.java import double_text, whole_text

#: What stands where a text is expected, and where an integer is.
Text = str | int | float | bool | None
Number = int | float | str | None
_LONG: Final = 2**63


def text(value: Text) -> str | None:
    """A text; a number or a boolean as Jackson would make one of it."""
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return whole_text(value)
    return double_text(value) if isinstance(value, float) else value


def whole(value: Number, what: str) -> int | None:
    """A 64-bit integer; a fraction is cut off and digits in quotes are taken, as Jackson does.

    Raises:
        MalformedEvent: it is none.
    """
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError) as error:
        raise MalformedEvent(f"{what}: expected an integer, found {_shown(value)}") from error
    if not -_LONG <= number < _LONG:
        raise MalformedEvent(f"{what}: expected an integer of 64 bits, found {_shown(value)}")
    return number


def double(value: Number, what: str) -> float | None:
    """Raises MalformedEvent where it is no number."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if isinstance(value, int) and value > 0 else float("-inf")
    except ValueError as error:
        raise MalformedEvent(f"{what}: expected a number, found {_shown(value)}") from error


def _shown(value: Number) -> str:
    words = repr(value) if not isinstance(value, int) or abs(value) < 10**100 else "one of more than 100 digits"
    return words if len(words) <= 80 else words[:77] + "..."
