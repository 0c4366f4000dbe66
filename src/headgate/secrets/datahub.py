"""This file is where DataHub's secrets are a provider, through whoever can ask DataHub for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Ask = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class OfDataHub:
    """Secrets that were made in DataHub (Ingestion, Secrets). `ask` is bounded in time by itself."""

    ask: Ask
    place: str  #: DataHub's address
    own_only: bool = False
    mixed: bool = False

    def where(self, names: Sequence[str]) -> str:  # noqa: ARG002 - a name is its own there
        return f"DataHub's secrets ({self.place})"

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:  # noqa: ARG002 - see above
        found = self.ask(names)
        return {name: found[name] for name in names if name in found}
