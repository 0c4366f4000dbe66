"""This file is where a text from the configuration or the environment becomes a number, a duration, a choice.

A kind is what is expected, in words, and the function that makes the value. The words stand in error messages and in
the reference, so they read after "expected".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)

_DURATION: Final = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|s|m|h|d)?)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_BYTES: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")
_LONGEST: Final = 10 * 365 * 86400.0  #: seconds; beyond this a deadline can not be computed on every system
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """What is expected, and how it is read. `parse` raises ValueError for a text that is none."""

    expected: str
    parse: Callable[[str], T_co]
    choices: tuple[str, ...] = ()  #: for "did you mean"


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    seconds = float(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise ValueError(text)
    return seconds


def _positive_duration(text: str) -> float:
    seconds = _duration(text)
    if seconds <= 0:
        raise ValueError(text)
    return seconds


def _timeout(text: str) -> float | None:
    return None if text.strip().lower() == "none" else _positive_duration(text)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    size = int(float(found[1]) * _BYTES[found[2].upper()])
    if not 2**20 <= size < 2**63:
        raise ValueError(text)
    return size


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return word in _TRUE


def _positive(text: str) -> float:
    number = float(text) if re.fullmatch(r"\d+(\.\d+)?", text.strip()) else 0.0
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _cores(text: str) -> float:
    number = _positive(text)
    if number > 1024:
        raise ValueError(text)
    return number


def _growth(text: str) -> float:
    number = _positive(text)
    if number < 1:
        raise ValueError(text)
    return number


def _some(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError(text)
    return text


def is_name(text: str) -> bool:
    """Glue's rule for a name: 1 to 255 characters, none of them a control character; not blank, which helps nobody."""
    return 1 <= len(text) <= 255 and bool(text.strip()) and not _CONTROL.search(text)


def whole(least: int, most: int | None = None) -> Kind[int]:
    """A whole number between two others, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text.strip()):
            raise ValueError(text)
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError(text)
        return number

    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    return Kind(f"a whole number {limits}", parse)


def one_of(*choices: str) -> Kind[str]:
    """One of some words, in any case."""
    table = {choice.lower(): choice for choice in choices}

    def parse(text: str) -> str:
        try:
            return table[text.strip().lower()]
        except KeyError:
            raise ValueError(text) from None

    return Kind("one of " + ", ".join(choices), parse, choices)


def member(enum: type[E], allowed: Iterable[E] | None = None) -> Kind[E]:
    """A member of an enum (or of a part of it), by its value in any case."""
    members = set(enum if allowed is None else allowed)
    words = one_of(*(one.value for one in enum if one in members))
    return Kind(words.expected, lambda text: enum(words.parse(text)), words.choices)


def pattern(expected: str, expression: str) -> Kind[str]:
    """A text of a certain shape; `expected` says which."""
    compiled = re.compile(expression)

    def parse(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(text)
        return text

    return Kind(expected, parse)


ANY_TEXT: Final = Kind("text", str)
TEXT: Final = Kind("a text that is not empty", _some)
DESCRIPTION: Final = pattern("a text of at most 2048 characters", r"(?s).{0,2048}")
BOOLEAN: Final = Kind("true or false", _boolean)
DURATION: Final = Kind("a duration such as 250ms, 1.5s, 60m or 2h, or a number of seconds", _duration)
POSITIVE_DURATION: Final = Kind(
    "a duration above zero such as 250ms, 1.5s, 60m or 2h, or a number of seconds", _positive_duration
)
TIMEOUT: Final = Kind("a duration above zero such as 90 (seconds), 60m or 2h, or none for no limit", _timeout)
SIZE: Final = Kind("a size of at least 1M such as 512M or 2G", _size)
POSITIVE: Final = Kind("a number above zero", _positive)
CORES: Final = Kind("a number of cores such as 0.5 or 2, at most 1024", _cores)
GROWTH: Final = Kind("a number of at least 1", _growth)
BUCKET_NAME: Final = pattern("a bucket's name, without s3:// and without a slash", r"[^/\s:]+")
PATH: Final = Kind("a path", _some)
