"""This file is where a recipe's `${NAME}` becomes a value: the providers are asked in their order, the first has it.

A provider that cannot be asked ends the search: what the next one has under that name may be another secret, and which
of two is used must not depend on who is away. A value is only ever in what `resolve` returns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from headgate.errors import Invalid, MissingSecrets, Unavailable
from headgate.secrets import known
from headgate.supervision.masking import Masker

PATIENCE: Final = 45.0  #: seconds for all providers together
LARGEST: Final = 1 << 16  #: bytes of a value, as AWS has it
#: Names that say that something is private.
PRIVATE: Final = re.compile(r"pass|pwd|secret|token|credential|key|auth|private|dsn|cookie", re.IGNORECASE)
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


class Values(dict[str, str]):
    """Values by name, and which provider each is from. Its repr has the names alone."""

    def __init__(
        self,
        values: Mapping[str, str] | None = None,
        places: Mapping[str, str] | None = None,
        *,
        mixed: Iterable[str] = (),
    ) -> None:
        """`mixed` names those of them that may be no secrets: they come from where not all is one."""
        super().__init__(values or {})
        self.places: Mapping[str, str] = dict(places or {})
        self.mixed = frozenset(mixed)

    def __repr__(self) -> str:
        return f"Values({', '.join(sorted(self))})"

    __str__ = __repr__

    def masker(self) -> Masker:
        """What masks these values in a stream."""
        return Masker(self.values())


class Provider(Protocol):
    """Somewhere secrets are. Safe from any thread; every call ends within a bounded time."""

    @property
    def own_only(self) -> bool:
        """Whether it is there for recipes of this project alone, and not for those that others send."""
        ...

    @property
    def mixed(self) -> bool:
        """Whether it also has what is no secret, such as a region's name, which our log need not mask."""
        ...

    def where(self, names: Sequence[str]) -> str:
        """Where it looks for these, for a person."""
        ...

    def find(self, names: Sequence[str], *, until: float) -> Mapping[str, str]:
        """The values of those names that it has; it is done by `until` (time.monotonic), or gives up.

        Raises:
            SecretsDenied: it does not let us. Unavailable: it cannot be asked now. Invalid: it has one that is none.
            CannotUnseal: it has one that cannot be opened.
        """
        ...


class Secrets:
    """The providers, in the order they are asked in. Safe from any thread."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        patience: float = PATIENCE,
        learn: Callable[[Iterable[str]], None] = known.learn,
    ) -> None:
        """`learn` is told every secret that is given out, so that logs mask it."""
        self._providers = tuple(providers)
        self._patience = patience
        self._learn = learn

    def __repr__(self) -> str:
        return f"Secrets({', '.join(type(one).__name__ for one in self._providers)})"

    def resolve(self, names: Iterable[str], *, foreign: bool = False) -> Values:
        """The values of all of these names.

        Args:
            names: as in a recipe's `${NAME}`.
            foreign: whoever wrote the recipe is not who runs this server (an execution request of DataHub's): the
                environment is then asked only for what its allow-list names.

        Raises:
            MissingSecrets: nobody has some of them. SecretsDenied, Unavailable, CannotUnseal: somebody who may have one
                cannot be asked for it. Invalid: a name that cannot be one, or a value that is no text.
        """
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            check_name(name)
        until = time.monotonic() + self._patience
        values: dict[str, str] = {}
        places: dict[str, str] = {}
        mixed: list[str] = []
        blank: dict[str, str] = {}  #: by name, where it is empty on purpose
        looked: list[tuple[Provider, list[str]]] = []  #: who was asked, and what is empty there
        for provider in self._providers:
            missing = [name for name in wanted if name not in values]
            if not missing:
                break
            if provider.own_only and foreign:
                continue
            in_time(until, provider.where(missing))
            # an empty value is none: as a password it would be sent, and refused far from here. Of what is no secret
            # it counts when nobody else has one, as it does to `datahub ingest`: `AWS_ROLE=` does without a role
            given = provider.find(missing, until=until)
            found = {name: value for name, value in given.items() if value}
            if provider.mixed:
                blank |= {name: provider.where([name]) for name in given.keys() - found if not PRIVATE.search(name)}
            self._learn(value for name, value in found.items() if not provider.mixed or PRIVATE.search(name))
            here = [name for name in missing if name in found]
            values.update((name, found[name]) for name in here)
            places.update((name, provider.where([name])) for name in here)
            mixed += here if provider.mixed else []
            looked.append((provider, sorted(given.keys() - found)))
        values.update((name, "") for name in blank if name not in values)
        places = {**blank, **places}
        missing = [name for name in wanted if name not in values]
        if missing:
            raise MissingSecrets(missing, [_looked(provider, missing, empty) for provider, empty in looked])
        return Values(values, places, mixed=mixed)


def _looked(provider: Provider, missing: Sequence[str], empty: Sequence[str]) -> str:
    hollow = [name for name in missing if name in empty]
    return provider.where(missing) + (f" (where {', '.join(hollow)} is empty)" if hollow else "")


def check_name(name: str) -> str:
    """Raises Invalid."""
    if NAME.fullmatch(name):
        return name
    raise Invalid(
        f"{name[:80]!r} is no name of a secret; one has up to 255 letters, digits and underscores, no digit first"
    )


def in_time(until: float, where: str) -> float:
    """The seconds that are left. Raises Unavailable when none are."""
    left = until - time.monotonic()
    if left <= 0:
        raise Unavailable(f"there was no time left to look for secrets in {where}; a provider before it took it all")
    return left


def as_text(value: bytes, name: str, where: str) -> str:
    """Raises Invalid: it is no text, or too large to be a secret."""
    if len(value) > LARGEST:
        raise Invalid(f"{name} in {where} is larger than {LARGEST:,} bytes; that is no secret")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        # without its cause, which quotes the value
        raise Invalid(f"{name} in {where} is no UTF-8 text") from None
