"""This file is where secrets are taken out of what a run writes, in whatever form and however it is cut into chunks.

A secret is found as it is, URL-encoded, escaped as in JSON (also as a JSON string inside JSON), in Python's `repr` or
in HTML, and in base64, wherever it stands in what was encoded, and also where that was cut into lines. All but the last
go character by character, so that every mix of them is found, too: encoders do not agree on what needs escaping.

How it works: all forms together (`forms`) are one automaton, made node by node and state by state as the text asks for
it. It takes single steps only where `spotting` says that there may be something, and over the last bytes of a chunk.
Its state also says how many bytes may still become a secret: just these are held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from headgate.supervision.forms import Form, all_forms, steps, worth_masking
from headgate.supervision.spotting import Spotter

MASK: Final = b"****"
_MOST: Final = 20_000  #: states, or nodes
_FEW: Final = 8  #: places of a node, up to which each byte is looked up when it comes

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


class _Node:
    """Where forms that began at one byte are: all that go on alike are one node."""

    __slots__ = ("after", "ends", "places")

    def __init__(self, places: frozenset[_Place], *, ends: bool) -> None:
        self.places = places
        self.ends = ends  #: one of the forms is complete
        self.after: dict[int, _Node | None] = {}


class _State:
    """Where the automaton is: which nodes it is at, and since how many bytes."""

    __slots__ = ("after", "held", "match", "threads")

    def __init__(self, threads: tuple[tuple[_Node, int], ...], match: int) -> None:
        self.threads = threads  #: (node, bytes since its forms began)
        self.match = match  #: the length of the longest form that ended with the last byte
        self.held = max((depth for _, depth in threads), default=0)
        self.after: dict[int, _State] = {}


class _Net:
    """All forms of all secrets, as nodes and states that are made when they are first reached."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = len(secrets)
        self._forms = all_forms(secrets)
        self.spotter = Spotter(self._forms)
        self.root = _State((), 0)
        self._states: dict[tuple[frozenset[tuple[_Node, int]], int], _State] = {}
        self._nodes: dict[tuple[frozenset[_Place], bool], _Node] = {}
        self._first = self._beginning()

    def step(self, state: _State, byte: int) -> _State:
        """The state after this byte; it is remembered."""
        threads: dict[_Node, int] = {}
        match = 0
        moves = [
            *((self._next(node, byte), depth) for node, depth in state.threads),
            (self._next(self._first, byte), 0),
        ]
        for node, depth in moves:
            if node is None:
                continue
            if node.ends:
                match = max(match, depth + 1)
            if node.places:  # of two ways to the same node the longer counts: what it covers holds what the other does
                threads[node] = max(threads.get(node, 0), depth + 1)
        if not threads and not match:
            found = self.root
        else:
            if len(self._states) > _MOST or len(self._nodes) > _MOST:
                self._forget()  # a text made to visit them all must not fill the memory
            key = (frozenset(threads.items()), match)
            found = self._states.get(key) or self._states.setdefault(key, _State(tuple(threads.items()), match))
        state.after[byte] = found
        return found

    def _beginning(self) -> _Node:
        return _Node(frozenset((number, 0, b"") for number in range(len(self._forms))), ends=False)

    def _next(self, node: _Node, byte: int) -> _Node | None:
        if byte not in node.after:
            if len(node.places) <= _FEW:
                node.after[byte] = self._node(*self._reached(node.places, byte))
            else:  # all bytes at once: most will come, and each place is looked at once for all of them
                node.after = self._all_after(node)
        return node.after.get(byte)

    def _reached(self, places: Iterable[_Place], byte: int) -> tuple[frozenset[_Place], bool]:
        """Where this byte leads to from these places, and whether a form ends with it."""
        reached: set[_Place] = set()
        complete = False
        for place in places:
            for there in self._moves(place, byte):
                complete |= there is None
                reached |= {there} if there is not None else set()
        return frozenset(reached), complete

    def _all_after(self, node: _Node) -> dict[int, _Node | None]:
        reached: dict[int, set[_Place]] = {}
        complete: set[int] = set()
        for place in node.places:
            for byte in steps(self._forms[place[0]].element(place[1]))[place[2]]:
                for there in self._moves(place, byte):
                    if there is None:
                        complete.add(byte)
                    else:
                        reached.setdefault(byte, set()).add(there)
        every: dict[int, _Node | None] = dict.fromkeys(range(256))
        return every | {
            byte: self._node(frozenset(reached.get(byte, ())), byte in complete) for byte in {*reached, *complete}
        }

    def _moves(self, here: _Place, byte: int) -> Iterator[_Place | None]:
        """Where a byte leads from one place: on within the element, to the next one, or both; None: the form ends."""
        number, place, so_far = here
        form: Form = self._forms[number]
        ends, goes_on = steps(form.element(place))[so_far].get(byte, (False, False))
        if ends:
            yield None if place == len(form) - 1 else (number, place + 1, b"")
        if goes_on:
            yield number, place, so_far + bytes([byte])

    def _node(self, places: frozenset[_Place], complete: bool) -> _Node | None:
        if not places and not complete:
            return None
        key = (places, complete)
        return self._nodes.get(key) or self._nodes.setdefault(key, _Node(places, ends=complete))

    def _forget(self) -> None:
        self._states.clear()
        self._nodes.clear()
        self._first = self._beginning()
        self.root.after.clear()
