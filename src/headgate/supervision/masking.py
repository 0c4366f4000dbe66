"""This file is where secrets are taken out of what a run writes, in whatever form and however it is cut into chunks.

A secret is found as it is, URL-encoded, escaped as in JSON (also as a JSON string inside JSON), in Python's `repr` or
in HTML, and in base64, wherever it stands in what was encoded, and also where that was cut into lines. All but the last
go character by character, so that every mix of them is found, too: encoders do not agree on what needs escaping.

How it works: all forms together (`forms`) are one automaton, made node by node and state by state as the text asks for
it. It takes single steps only where `spotting` says that there may be something, and over the last bytes of a chunk.
Its state also says how many bytes may still become a secret: just these are held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from headgate.supervision.forms import Form, all_forms, steps, worth_masking
from headgate.supervision.spotting import Spotter

MASK: Final = b"****"
_MOST_STATES: Final = 20_000
_END: Final = -1  #: in place of a node: the form is complete

_Place = tuple[int, int, bytes]  #: which form, which element of it, and what of that was read


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
        spots = sorted([*net.spotter.find(data), (max(end - net.spotter.tail, 0), end)], reverse=True)
        state, until = self._state, place
        while place < end:
            if not state.threads and place >= until:
                start, until = spots.pop() if spots else (end, end)
                place = max(place, start)
                if place >= until:
                    continue
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
        if not self._net.spotter.find(data):
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
    """All forms of all secrets. A node is a place within one of them, made when it is first reached."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = len(secrets)
        self.root = _State((), 0)
        self._forms = all_forms(secrets)
        self.spotter = Spotter(self._forms)
        #: Where a byte leads from each node; None: nobody was there yet. The first is where every form begins.
        #: Where a byte leads from each node; None: nobody was there yet. The first is where every form begins.
        self._edges: list[dict[int, list[int]] | None] = [None]
        self._places: list[_Place] = [(-1, 0, b"")]
        self._nodes: dict[_Place, int] = {}
        self._states: dict[tuple[frozenset[tuple[int, int]], int], _State] = {}
        beginnings: dict[int, list[int]] = {}
        for number in range(len(self._forms)):
            self._lead(beginnings, (number, 0, b""))
        self._edges[0] = beginnings

    def step(self, state: _State, byte: int) -> _State:
        """The state after this byte; it is remembered."""
        threads: dict[int, int] = {}
        match = 0
        for node, depth in (*state.threads, (0, 0)):
            for target in self._from(node).get(byte, ()):
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

    def _from(self, node: int) -> dict[int, list[int]]:
        edges = self._edges[node]
        if edges is None:
            edges = self._edges[node] = {}
            self._lead(edges, self._places[node])
        return edges

    def _lead(self, edges: dict[int, list[int]], here: _Place) -> None:
        """Note where each byte leads from a place: on within its element, to the next one, or both."""
        number, place, so_far = here
        form: Form = self._forms[number]
        for byte, (ends, goes_on) in steps(form.element(place))[so_far].items():
            targets = edges.setdefault(byte, [])
            if ends:
                targets.append(_END if place == len(form) - 1 else self._node((number, place + 1, b"")))
            if goes_on:
                targets.append(self._node((number, place, so_far + bytes([byte]))))

    def _node(self, place: _Place) -> int:
        if place not in self._nodes:
            self._nodes[place] = len(self._edges)
            self._edges.append(None)
            self._places.append(place)
        return self._nodes[place]
