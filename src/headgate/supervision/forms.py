"""This file is where it is said what a secret may look like: which texts are looked for, and what each turns into.

A form is a row of elements. Of a text each character is one: what encoders make of it is `forms_of`. Of base64 each
digit is one, for each of the three places it may begin at in what was encoded; a line may end before any but the first.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

#: Characters. What is shorter stands in every other word: its mask would tell more than it hides, and spoil the text.
SHORTEST: Final = 4
#: Of a value of several lines each is a secret of its own from this length on: who logs it puts something before each.
SHORTEST_LINE: Final = 8
#: Characters of a value of several lines above which its lines are looked for and the whole is not.
LONGEST_WHOLE: Final = 512
#: Characters of what is looked for as one; what is longer is looked for in pieces of this length,
LONGEST: Final = 1024
#: and of a line so many characters at all: as many as a value may have bytes.
MOST: Final = 65_536
NEAR: Final = 64  #: characters from a form's beginning within which there is what is looked for
ENOUGH: Final = 15  #: bytes of it

Element = frozenset[bytes]  #: what one character, or one digit of base64, may look like

_NAMED: Final = {
    '"': '\\"', "'": "\\'", "\\": "\\\\", "/": "\\/",
    "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip
_ENTITIES: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
#: How a line ends that base64 was cut into: as it is, in JSON once and twice, in a URL.
_BREAKS: Final = tuple(
    end.encode() for once in ("\n", "\r\n") for end in (
        once, json.dumps(once)[1:-1], json.dumps(json.dumps(once))[3:-3],
        "".join(f"%{ord(one):02X}" for one in once), "".join(f"%{ord(one):02x}" for one in once),
    )
)  # fmt: skip
BREAK: Final = max(map(len, _BREAKS))  #: bytes
DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGIT: Final[dict[str, Element]] = {
    **{one: frozenset({one.encode()}) for one in DIGITS},
    "+": frozenset({b"+", b"-", b"%2B", b"%2b"}),
    "/": frozenset({b"/", b"_", b"%2F", b"%2f", b"\\/"}),
}
_LATER_DIGIT: Final[dict[str, Element]] = {
    one: forms | {end + form for end in _BREAKS for form in forms} for one, forms in _DIGIT.items()
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9]{2,}")  # these characters, and digits of base64, look like nothing else
_PEM: Final = re.compile(r"-----(BEGIN|END) ")
_PRIVATE: Final = re.compile(r"pass|pwd|secret|token|credential|key|auth|private", re.IGNORECASE)


class Anchor(NamedTuple):
    """What is looked for in place of a form."""

    text: bytes
    before: int  #: bytes of the form there may be before it


class Form:
    """One thing that is looked for: a text, or the digits of base64 that stand for it and for nothing else."""

    __slots__ = ("_first", "_later", "text")

    def __init__(self, text: str, *, digits: bool) -> None:
        self.text = text
        self._first, self._later = (_DIGIT.__getitem__, _LATER_DIGIT.__getitem__) if digits else (forms_of, forms_of)

    def __len__(self) -> int:
        return len(self.text)

    def element(self, place: int) -> Element:
        return self._later(self.text[place]) if place else self._first(self.text[0])

    def anchor(self) -> Anchor | None:
        """The first run of bytes near its beginning that is long enough, else the longest; None: none of two.

        Where base64 is cut into lines it may be cut as well: see `spotting`.
        """
        runs = list(_PLAIN.finditer(self.text, 0, NEAR + ENOUGH))
        if not runs:
            return None
        best = next((run for run in runs if len(run[0]) >= ENOUGH), None) or max(runs, key=lambda run: len(run[0]))
        before = sum(max(map(len, self._first(one))) for one in self.text[: best.start()])
        return Anchor(best[0][:ENOUGH].encode(), before)

    def beginnings(self) -> set[bytes]:
        """The two bytes it may begin with."""
        return {(one + other)[:2] for one in self.element(0) for other in self.element(1)}


def all_forms(texts: Iterable[str]) -> list[Form]:
    """Every form of these texts."""
    return [form for text in texts for form in _forms(text)]


@lru_cache(maxsize=4096)
def forms_of(character: str) -> Element:
    """What a character may look like: itself, %XX, +, entities of HTML, and the escapes of JSON and `repr`.

    Those of URLs, JSON and `repr` once or twice.
    """
    raw = bytes_of(character)
    if character.isascii() and character.isalnum():
        return frozenset({raw})
    escapes = [_NAMED[character]] if character in _NAMED else []
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escapes += _both("\\u", units, 4)
    if not character.isprintable() or not character.isascii():
        for some in {raw.hex(), f"{ord(character):02x}"}:
            escapes += _both("\\x", some, 2) if len(some) % 2 == 0 else []
    if ord(character) > 0xFFFF:
        escapes += _both("\\U", f"{ord(character):08x}", 8)
    twice = [json.dumps(escape)[1:-1] for escape in escapes]
    percent = [*_both("%", raw.hex(), 2), *_both("%25", raw.hex(), 2)]
    plus = ["+"] if character == " " else []
    code = ord(character)
    entities = [f"&#{code};", f"&#{code:03};", f"&#x{code:x};", f"&#x{code:X};"]
    entities += [f"&{_ENTITIES[character]};"] if character in _ENTITIES else []
    return frozenset({raw, *(some.encode("ascii") for some in (*escapes, *twice, *percent, *plus, *entities))})


@lru_cache(maxsize=4096)
def steps(element: Element) -> dict[bytes, dict[int, tuple[bool, bool]]]:
    """Of an element, byte by byte: by what was read so far and the next byte, whether that ends it or may go on."""
    found: dict[bytes, dict[int, tuple[bool, bool]]] = {}
    for form in element:
        for place, byte in enumerate(form):
            there = found.setdefault(form[:place], {})
            ends, goes_on = there.get(byte, (False, False))
            last = place == len(form) - 1
            there[byte] = (ends or last, goes_on or not last)
    return found


def worth_masking(values: Iterable[str]) -> list[str]:
    """What is looked for: the values without the white space around them, those long enough, and their lines.

    Of a JSON object also the members whose names say that they are private: who reads it shows these alone.
    """
    found: dict[str, None] = {}
    for value in values:
        for text in (value.strip(), *_members(value)):
            if len(text) < SHORTEST:
                continue
            lines = [line.strip() for line in text.splitlines()]
            kept = [line for line in lines if len(line) >= SHORTEST_LINE and not _PEM.match(line)]
            if len(lines) == 1 or len(text) <= LONGEST_WHOLE or sum(map(len, kept)) < len(text) // 2:
                found.update(dict.fromkeys(_pieces(text)))
            if len(lines) > 1:
                found.update(dict.fromkeys(piece for line in kept for piece in _pieces(line)))
    return list(found)


def bytes_of(character: str) -> bytes:
    """UTF-8; a byte that Python keeps as half a surrogate (an environment that is no text) is that byte."""
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00])
    return character.encode("utf-8", "surrogatepass")


def _forms(text: str) -> Iterator[Form]:
    yield Form(text, digits=False)
    raw = b"".join(map(bytes_of, text))
    for before in range(3):
        digits = base64.b64encode(b"\0" * before + raw).decode()
        # a digit that also holds bits of a neighbour is left out: it tells at most four bits
        yield Form(digits[-(-8 * before // 6) : 8 * (before + len(raw)) // 6], digits=True)


def _members(value: str) -> list[str]:
    """Texts of a JSON object, however deep, whose names say that they are private."""
    if not value.lstrip().startswith("{"):
        return []
    try:
        document: Any = json.loads(value)
    except (ValueError, RecursionError):
        return []
    found: list[str] = []
    left: list[tuple[str, Any]] = [("", document)]
    while left:
        name, one = left.pop()
        if isinstance(one, dict):
            left += cast("dict[str, Any]", one).items()
        elif isinstance(one, list):
            left += [(name, each) for each in cast("list[Any]", one)]
        elif isinstance(one, str) and len(one) >= SHORTEST_LINE and _PRIVATE.search(name):
            found.append(one.strip())
    return found


def _pieces(line: str) -> list[str]:
    pieces = [line[place : place + LONGEST] for place in range(0, min(len(line), MOST), LONGEST)]
    return [piece for piece in pieces if len(piece) >= SHORTEST]


def _both(before: str, digits: str, width: int) -> list[str]:
    """Hex digits in groups, each with this before it, in lower case and in upper."""
    return [
        "".join(before + some[place : place + width] for place in range(0, len(some), width))
        for some in (digits, digits.upper())
    ]
