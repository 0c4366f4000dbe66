"""This file is where secrets are taken out of what a run writes, in whatever form and however it is cut into chunks.

A secret is found as it is, URL-encoded, escaped as in JSON (also as a JSON string inside JSON) or in Python's `repr`,
and in base64, wherever it stands in what was encoded. The first three go character by character, so that every mix of
them is found, too: encoders do not agree on what needs escaping. What one character may look like is `forms_of`.

How it works: all forms together are one automaton, made state by state as the text asks for it. Of each form a run of
bytes that are always the same is looked for with `bytes.find`, the fastest there is; only around what that finds
(nearly always nothing) and over the last bytes of a chunk the automaton takes single steps. Its state also says how
many bytes may still become a secret: just these are held back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

MASK: Final = b"****"
#: Characters. What is shorter stands in every other word: its mask would tell more than it hides, and spoil the text.
SHORTEST: Final = 4
#: Of a value of several lines each is a secret of its own from this length on: who logs it puts something before each.
SHORTEST_LINE: Final = 8
#: Characters of a value of several lines above which its lines are looked for and the whole is not.
LONGEST_WHOLE: Final = 512
#: Characters of what is looked for as one; what is longer is looked for in pieces of this length,
LONGEST: Final = 1024
#: and of a line so many characters at all. A key of RSA has 3,000, a service account's file 2,500.
MOST: Final = 16_384

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE: Final = {ord("+"): b"-", ord("/"): b"_"}
_NAMED: Final = {
    '"': '\\"', "'": "\\'", "\\": "\\\\", "/": "\\/",
    "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
}  # fmt: skip
_PEM: Final = re.compile(r"-----(BEGIN|END) ")
_NEAR: Final = 64  #: characters from a form's beginning within which there is what is looked for
_ENOUGH: Final = 24  #: bytes of it, from which on more make nothing faster
_FIRST: Final = 3  #: bytes that are looked for in a form with no two such bytes in a row
_MOST_STATES: Final = 20_000
_END: Final = -1  #: in place of a node: the form is complete

Element = frozenset[bytes]  #: what one character, or one digit of base64, may look like


def forms_of(character: str) -> Element:
    """What a character of a secret may look like: itself, %XX, +, and the escapes of JSON and `repr`, once or twice."""
    raw = _bytes_of(character)
    if character.isascii() and character.isalnum():
        return frozenset({raw})
    escapes = [_NAMED[character]] if character in _NAMED else []
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escapes += [_each("\\u", some, 4) for some in (units, units.upper())]
    if not character.isprintable() or not character.isascii():
        escapes += [_each("\\x", some, 2) for some in {raw.hex(), f"{ord(character):02x}"} if len(some) % 2 == 0]
    twice = [json.dumps(escape)[1:-1] for escape in escapes]
    percent = [_each("%", some, 2) for some in (raw.hex(), raw.hex().upper())]
    plus = ["+"] if character == " " else []
    return frozenset({raw, *(some.encode("ascii") for some in (*escapes, *twice, *percent, *plus))})


def base64_forms(raw: bytes) -> list[list[Element]]:
    """The digits that stand for these bytes and nothing else, for each of the three places they may begin at.

    A digit that also holds bits of a neighbour is left out: it tells at most four bits.
    """
    bits = int.from_bytes(raw, "big")
    forms: list[list[Element]] = []
    for skipped in (0, 4, 2):  # bits of the first byte that share a digit with the byte before
        whole, over = divmod(8 * len(raw) - skipped, 6)
        digits = [_BASE64[(bits >> (over + 6 * place)) & 63] for place in range(whole - 1, -1, -1)]
        forms.append([frozenset({bytes([one]), _URL_SAFE.get(one, bytes([one]))}) for one in digits])
    return forms


def worth_masking(values: Iterable[str]) -> list[str]:
    """What is looked for: the values without the white space around them, those long enough, and their lines."""
    found: dict[str, None] = {}
    for value in values:
        text = value.strip()
        if len(text) < SHORTEST:
            continue
        lines = [line.strip() for line in text.splitlines()]
        if len(lines) == 1 or len(text) <= LONGEST_WHOLE:
            found.update(dict.fromkeys(_pieces(text)))
        if len(lines) > 1:
            kept = [line for line in lines if len(line) >= SHORTEST_LINE and not _PEM.match(line)]
            found.update(dict.fromkeys(piece for line in kept for piece in _pieces(line)))
    return list(found)


def _pieces(line: str) -> list[str]:
    pieces = [line[place : place + LONGEST] for place in range(0, min(len(line), MOST), LONGEST)]
    return [piece for piece in pieces if len(piece) >= SHORTEST]


class Masker:
    """Masks one stream. Not for two threads at once; `text` is, and leaves the stream alone.

    Every byte that belongs to a form of a secret is masked; bytes next to each other share one MASK. The output is the
    same however the input is cut.
    """

    def __init__(self, values: Iterable[str] = (), *, like: Masker | None = None) -> None:
        """Make one for these values, or for another stream and the same values as `like`, which costs nothing."""
        self._net = like._net if like is not None else _Net(worth_masking(values))  # noqa: SLF001 - one of us
        self._state = self._net.root
        self._held = b""  #: not said yet: it may become a secret
        self._spans: list[tuple[int, int]] = []  #: of that, what is one
        self._masking = False  #: the last thing said was a MASK

    def __repr__(self) -> str:
        return f"Masker({self._net.secrets} secrets)"

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return self._net.secrets > 0

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, chunk: bytes) -> bytes:
        """Take the next bytes in; answers what can be said now."""
        net = self._net
        if not net.secrets:
            return bytes(chunk)
        data = self._held + chunk
        place, end = len(self._held), len(data)
        state, until, leaps = self._state, place, net.leaps(data)
        while place < end:
            if not state.threads and place >= until:
                place, until = leaps.next(place)
            state = state.after.get(data[place]) or net.step(state, data[place])
            place += 1
            if state.match:
                self._cover(place - state.match, place)
        self._state = state
        return self._say(data, end - state.held)

    def close(self) -> bytes:
        """End the stream; answers what was held back. The next `feed` begins another."""
        rest = self._say(self._held, len(self._held))
        self._state, self._masking = self._net.root, False
        return rest

    def text(self, text: str) -> str:
        """Mask a text that is whole."""
        if not self._net.secrets:
            return text
        how = "surrogateescape"  # as Python keeps bytes that are no text
        try:
            data = text.encode("utf-8", how)
        except UnicodeEncodeError:
            how = "surrogatepass"
            data = text.encode("utf-8", how)
        if not self._net.may_hold(data):
            return text
        fresh = Masker(like=self)
        masked = fresh.feed(data) + fresh.close()
        return text if masked == data else masked.decode("utf-8", how)

    def _cover(self, start: int, stop: int) -> None:
        """Note that a secret stands there; what touches it becomes one with it."""
        spans = self._spans
        while spans and spans[-1][1] >= start:
            start = min(start, spans.pop()[0])
        spans.append((max(start, 0), stop))

    def _say(self, data: bytes, decided: int) -> bytes:
        """Give out what comes before `decided`, and secrets that begin by then: they are covered, whatever follows."""
        said: list[bytes] = []
        place = 0
        later: list[tuple[int, int]] = []
        for start, stop in self._spans:
            if start > max(decided, place):
                later.append((start, stop))
                continue
            said.append(data[place:start])
            if start > place or not self._masking:
                said.append(MASK)
            self._masking, place = True, stop
        if decided > place:
            said.append(data[place:decided])
            self._masking, place = False, decided
        self._held = data[place:]
        self._spans = [(start - place, stop - place) for start, stop in later]
        return b"".join(said)


class _State:
    """Where the automaton is: which forms it is in the middle of, and since how many bytes."""

    __slots__ = ("after", "held", "match", "threads")

    def __init__(self, threads: tuple[tuple[int, int], ...], match: int) -> None:
        self.threads = threads  #: (node, bytes since the form began)
        self.match = match  #: the length of the longest form that ended with the last byte
        self.held = max((depth for _, depth in threads), default=0)
        self.after: dict[int, _State] = {}


class _Net:
    """All forms of all secrets. A node is a place within a form; `_edges` says where a byte leads from there."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = len(secrets)
        self._edges: list[dict[int, list[int]]] = [{}]  # the first node is where every form begins
        self.root = _State((), 0)
        self._states: dict[tuple[frozenset[tuple[int, int]], int], _State] = {}
        self._probes: list[_Probe] = []
        hard = False
        for form in _forms(secrets):
            self._add(form)
            probe = _probe(form)
            if probe is None:
                hard = True
            elif probe not in self._probes:
                self._probes.append(probe)
        if hard:
            self._probes.append(_Probe(b"", 0, re.compile(_one_of(self._first_bytes()), re.DOTALL)))

    def may_hold(self, data: bytes) -> bool:
        """Whether there may be a whole form in the data."""
        return any(probe.find(data, 0) < len(data) for probe in self._probes)

    def leaps(self, data: bytes) -> _Leaps:
        return _Leaps(self._probes, data)

    def step(self, state: _State, byte: int) -> _State:
        """The state after this byte; it is remembered."""
        threads: dict[int, int] = {}
        match = 0
        for node, depth in (*state.threads, (0, 0)):
            for target in self._edges[node].get(byte, ()):
                if target == _END:
                    match = max(match, depth + 1)
                else:  # of two ways to the same place the longer counts: what it covers holds what the other does
                    threads[target] = max(threads.get(target, 0), depth + 1)
        if not threads and not match:
            found = self.root
        else:
            if len(self._states) > _MOST_STATES:  # a text made to visit them all must not fill the memory
                self._states.clear()
                self.root.after.clear()
            key = (frozenset(threads.items()), match)
            found = self._states.get(key) or self._states.setdefault(key, _State(tuple(threads.items()), match))
        state.after[byte] = found
        return found

    def _add(self, form: Sequence[Element]) -> None:
        node = 0
        for place, element in enumerate(form):
            following = _END if place == len(form) - 1 else self._node()
            for alternative in element:
                self._path(node, alternative, following)
            node = following

    def _path(self, node: int, alternative: bytes, following: int) -> None:
        for byte in alternative[:-1]:
            fresh = self._node()
            self._edges[node].setdefault(byte, []).append(fresh)
            node = fresh
        self._edges[node].setdefault(alternative[-1], []).append(following)

    def _node(self) -> int:
        self._edges.append({})
        return len(self._edges) - 1

    def _first_bytes(self) -> set[bytes]:
        """What forms begin with."""
        reached = {(b"", 0)}
        for _ in range(_FIRST):
            reached = {
                (text + bytes([byte]), target)
                for text, node in reached
                for byte, targets in self._edges[node].items()
                for target in targets
            }
        return {text for text, _ in reached}


class _Probe(NamedTuple):
    """What is looked for in place of a form: a text, or where there is none what a form may begin with."""

    text: bytes
    before: int  #: bytes of the form there may be before it
    pattern: re.Pattern[bytes] | None = None

    @property
    def reach(self) -> int:
        """From the form's beginning to its end."""
        return self.before + (len(self.text) or _FIRST)

    def find(self, data: bytes, place: int) -> int:
        """Its next place, len(data) where there is none."""
        if self.pattern is None:
            found = data.find(self.text, place)
            return found if found >= 0 else len(data)
        match = self.pattern.search(data, place)
        return match.start() if match is not None else len(data)


class _Leaps:
    """Where in one piece of data steps have to be taken. Each byte is looked at once for each probe."""

    def __init__(self, probes: Sequence[_Probe], data: bytes) -> None:
        self._probes = probes
        self._data = data
        self._found: list[int] = []
        self._tail = max((probe.reach for probe in probes), default=0) - 1

    def next(self, place: int) -> tuple[int, int]:
        """From where on, and until where at least, no form being under way at `place`."""
        data, probes = self._data, self._probes
        if not self._found:
            self._found = [probe.find(data, place) for probe in probes]
        start, until = max(place, len(data) - self._tail), len(data)  # what is looked for may come with the next chunk
        for number, probe in enumerate(probes):
            found = self._found[number]
            if found < place:
                found = self._found[number] = probe.find(data, place)
            if found - probe.before < start and found < len(data):
                start, until = max(place, found - probe.before), found + probe.reach - probe.before
        return start, until


def _probe(form: Sequence[Element]) -> _Probe | None:
    """The first run of bytes near the form's beginning that is long enough, else the longest; None: none of two."""
    best = run = b""
    best_before = before = total = 0
    for element in form[:_NEAR]:
        only = next(iter(element)) if len(element) == 1 else b""
        if only and not run:
            before = total
        run = run + only if only else b""
        if len(run) > len(best):
            best, best_before = run, before
        if len(best) >= _ENOUGH:
            break
        total += max(map(len, element))
    return _Probe(best, best_before) if len(best) > 1 else None


def _forms(secrets: Iterable[str]) -> list[list[Element]]:
    forms: list[list[Element]] = []
    for secret in secrets:
        forms.append([forms_of(character) for character in secret])
        forms += base64_forms(b"".join(_bytes_of(character) for character in secret))
    return forms


def _one_of(words: Iterable[bytes]) -> bytes:
    """A regular expression for any of these words of one length, with what they begin with in common written once."""
    by_first: dict[int, set[bytes]] = {}
    for word in words:
        if word:
            by_first.setdefault(word[0], set()).add(word[1:])
    if not by_first:
        return b""
    branches = [re.escape(bytes([first])) + _one_of(rest) for first, rest in sorted(by_first.items())]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _bytes_of(character: str) -> bytes:
    """UTF-8; a byte that Python keeps as half a surrogate (an environment that is no text) is that byte."""
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00])
    return character.encode("utf-8", "surrogatepass")


def _each(before: str, digits: str, width: int) -> str:
    return "".join(before + digits[place : place + width] for place in range(0, len(digits), width))
