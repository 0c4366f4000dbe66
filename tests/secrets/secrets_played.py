"""This file is where providers of secrets are played that are slow, closed, or away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

VALUE = 's3cr3t-p/w+d é"1'  #: has something that every encoding changes


@dataclass
class Played:
    """A provider that has these values, and does first what it is told to."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    first: Callable[[], None] = lambda: None
    own_only: bool = False
    mixed: bool = False
    place: str = "a play"
    asked: list[list[str]] = field(default_factory=list[list[str]])

    def where(self, names: Sequence[str]) -> str:
        return f"{self.place} ({len(names)})"

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:
        assert until > 0
        self.asked.append(list(names))
        self.first()
        return {name: self.values[name] for name in names if name in self.values}
