"""This file is where our own secrets are a provider: sealed texts of the ledger, opened when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.secrets.sealing import Sealer

Sealed = Callable[[Sequence[str]], Mapping[str, bytes]]  #: the sealed texts of those names that there are


def context(name: str) -> str:
    """What a secret is sealed for: its own name, so that no row can stand for another."""
    return f"secret:{name}"


@dataclass(frozen=True, slots=True)
class OwnStore:
    """What `headgate secrets set` keeps. The key is read when the first secret is opened."""

    sealed: Sealed
    sealer: Callable[[], Sealer]
    own_only: bool = False
    mixed: bool = False

    def where(self, names: Sequence[str]) -> str:  # noqa: ARG002 - a name is its own there
        return "our own store (`headgate secrets list`)"

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:  # noqa: ARG002 - the ledger is near
        sealed = self.sealed(names)
        if not sealed:
            return {}
        sealer = self.sealer()
        return {name: sealer.open(text, context(name)).decode("utf-8") for name, text in sealed.items()}
