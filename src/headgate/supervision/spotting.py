"""This file is where it is found, fast, where in a piece of data a secret may be; nearly always that is nowhere.

Of each form a run of bytes that are always the same is looked for, its anchor: few of them with `bytes.find`, many by
sampling. Data is read in words of eight (or four) bytes, at distances that no anchor fits between, and each is looked
up among the words that anchors are made of: a thousand anchors cost what ten do.

Base64 may be cut into lines within an anchor. So what comes before a line end that stands in the middle of digits is
looked at, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from headgate.supervision.forms import BREAK, ENOUGH, Anchor, Form

Spot = tuple[int, int]  #: from where on, and until where at least, a form may be

#: Anchors up to which each is looked for by itself: beyond, sampling is faster.
_FEW: Final = 12
_MOST_TINY: Final = 64  #: anchors too short for sampling, and beginnings; with more of them every byte is looked at
_DIGIT: Final = rb"[A-Za-z0-9+/_-]"
#: What may end a line of base64 (no encoder makes them shorter than 60): after so many digits, or all there are.
_SEAMS: Final = [
    re.compile(end + rb"(?<=" + _DIGIT + rb"{40}" + end + rb")") for end in (rb"\n", rb"\r", rb"\\", rb"%")
]
_FIRST_SEAM: Final = re.compile(_DIGIT + rb"{1,40}[\r\n\\%]")


class _Sampler(NamedTuple):
    """Looks for anchors of `shortest` bytes and more, in words of `width` bytes at distances of `stride`."""

    width: int
    stride: int
    words: dict[int, list[tuple[Anchor, int]]]  #: which anchors a word is of, and where in them

    @property
    def shortest(self) -> int:
        return self.width + self.stride - 1

    def learn(self, anchor: Anchor) -> None:
        for place in range(self.stride):
            word = int.from_bytes(anchor.text[place : place + self.width], sys.byteorder)
            self.words.setdefault(word, []).append((anchor, place))

    def find(self, data: bytes, spots: list[Spot]) -> None:
        view = memoryview(data)
        known = self.words.keys()
        for shift in range(0, min(self.width, len(data)), self.stride):
            whole = (len(data) - shift) // self.width * self.width
            words = view[shift : shift + whole].cast("Q" if self.width == 8 else "I").tolist()
            if known.isdisjoint(words):
                continue
            for number, word in enumerate(words):
                for anchor, place in self.words.get(word, ()):
                    start = shift + number * self.width - place
                    if start >= 0 and data.startswith(anchor.text, start):
                        spots.append((max(start - anchor.before, 0), start + len(anchor.text)))


class Spotter:
    """Where to look for these forms. Keeps nothing of what it is given."""

    def __init__(self, forms: Sequence[Form]) -> None:
        self._samplers = [_Sampler(8, 8, {}), _Sampler(4, 4, {}), _Sampler(4, 2, {}), _Sampler(4, 1, {})]
        self._single: list[Anchor] = []
        self._beginnings: re.Pattern[bytes] | None = None
        found: dict[Anchor, None] = {}
        hard: set[bytes] = set()
        for form in forms:
            if (anchor := form.anchor()) is not None:
                found[anchor] = None
            else:
                hard |= form.beginnings()
        reach = max((anchor.before + len(anchor.text) for anchor in found), default=2)
        self._reach = max(reach, ENOUGH)  #: bytes from a form's beginning to its anchor's end
        self.tail = self._reach + BREAK - 1  #: bytes at the end of data in which a form may begin unseen
        tiny = self._sort(list(found))
        self._everywhere = len(tiny) > _MOST_TINY or len(hard) > _MOST_TINY
        self._single += tiny
        if hard:
            self._beginnings = re.compile(b"|".join(map(re.escape, sorted(hard))), re.DOTALL)

    def _sort(self, anchors: list[Anchor]) -> list[Anchor]:
        """Give each anchor to who looks for such; answers those that are too short for all."""
        for sampler in self._samplers:
            mine = [anchor for anchor in anchors if len(anchor.text) >= sampler.shortest]
            anchors = [anchor for anchor in anchors if len(anchor.text) < sampler.shortest]
            if len(mine) <= _FEW:
                self._single += mine
            else:
                for anchor in mine:
                    sampler.learn(anchor)
        self._samplers = [sampler for sampler in self._samplers if sampler.words]
        return anchors

    def find(self, data: bytes) -> list[Spot]:
        """Where a form may be that is wholly in the data; in no order."""
        if self._everywhere:
            return [(0, len(data))]
        spots: list[Spot] = []
        for text, before in self._single:
            place = data.find(text)
            while place >= 0:
                spots.append((max(place - before, 0), place + len(text)))
                place = data.find(text, place + 1)
        for sampler in self._samplers:
            sampler.find(data, spots)
        if self._beginnings is not None:
            spots += [match.span() for match in self._beginnings.finditer(data)]
        spots += [(max(match.start() - self._reach, 0), match.end()) for match in _seams(data)]
        return spots


def _seams(data: bytes) -> Iterable[re.Match[bytes]]:
    if first := _FIRST_SEAM.match(data):
        yield first
    for end in _SEAMS:
        yield from end.finditer(data)
