"""This file is where CloudWatch's filter patterns of words are read: which lines of a log are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from headgate.errors import Invalid

_TERM: Final = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|\Z)')


def matcher(pattern: str) -> Callable[[str], bool]:
    """Read a pattern: every word must be there, `-word` must not, of `?word`s one must; `"two words"` are one.

    Raises:
        Invalid: a pattern for JSON or for columns, which nothing here writes, or a quote without its end.
    """
    text = pattern.strip()
    if text[:1] in ("{", "[", "%"):
        raise Invalid(f"filterPattern: {text[:40]!r} is for JSON, columns or expressions; only words are searched here")
    every: list[str] = []
    none: list[str] = []
    some: list[str] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise Invalid(f"filterPattern: a quote without its end, at {text[at : at + 40]!r}")
        word = re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        {"-": none, "?": some, "": every}[found[1]].append(word)
        at = found.end()

    def fits(line: str) -> bool:
        return (
            all(word in line for word in every)
            and not any(word in line for word in none)
            and (not some or any(word in line for word in some))
        )

    return fits
