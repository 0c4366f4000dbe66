"""This file is where the providers of secrets are made of the settings, and where our own secrets are kept and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from headgate.aws import Clients, Place
from headgate.errors import CannotUnseal, Invalid
from headgate.ledger import secrets as kept
from headgate.ledger.secrets import KeptSecret
from headgate.ledger.store import Ledger, wait_for
from headgate.secrets import Provider, Secrets, known
from headgate.secrets.aws import Parameters, SecretsManager
from headgate.secrets.datahub import OfDataHub
from headgate.secrets.plain import Environment, Files
from headgate.secrets.resolving import LARGEST, check_name
from headgate.secrets.store import OwnStore, context
from headgate.settings import Settings
from headgate.settings.record import ProviderKind, SecretProvider

if TYPE_CHECKING:
    from headgate.datahub.secrets import SecretReader
    from headgate.secrets.sealing import Sealer

T = TypeVar("T")


class SecretStore:
    """Our own secrets. Safe from any thread; what changes something is durable when it returns."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._sealer = sealer_of(settings)
        self._opener = sealer_of(settings, make=False)

    def names(self) -> list[KeptSecret]:
        """Which there are, by name. Needs no key."""
        return self._ledger.read(kept.read)

    def put(self, name: str, value: str, *, actor: str, reason: str | None = None) -> KeptSecret:
        """Keep a value, in place of the one there is.

        Raises:
            Invalid: the name or the value is none. Unavailable: the key or the ledger cannot be used.
        """
        check_name(name)
        text = _sound(value)
        known.learn([value])
        sealed = self._sealer().seal(text, context(name))
        return wait_for(self._ledger.write(lambda batch: kept.put(batch, name, sealed, actor=actor, reason=reason)))

    def delete(self, name: str, *, actor: str, reason: str | None = None) -> KeptSecret:
        """Take a secret away; answers what it was. Raises NotFound."""
        return wait_for(self._ledger.write(lambda batch: kept.delete(batch, name, actor=actor, reason=reason)))

    def rotate(self, *, actor: str, reason: str | None = None) -> tuple[list[str], list[str]]:
        """Seal with the first key what is sealed with another; answers the names of those, and of what no key opens."""
        texts: dict[str, tuple[bytes, bytes]] = {}
        closed: list[str] = []
        found = self._ledger.read(kept.sealed)
        if not found:
            return [], []
        sealer = self._opener()
        for name, text in found.items():
            try:
                value = sealer.open(text, context(name))
            except CannotUnseal:
                closed.append(name)
            else:
                if not sealer.current(text):
                    texts[name] = text, sealer.seal(value, context(name))
        done = wait_for(
            self._ledger.write(lambda batch: kept.reseal(batch, texts, key=sealer.key_id, actor=actor, reason=reason))
        )
        return done, sorted(closed)

    def closed(self) -> list[str]:
        """The names of those that are sealed with a key that is not here. Raises what `put` raises of the key."""
        texts = self._ledger.read(kept.sealed)
        if not texts:
            return []
        sealer = self._opener()
        return sorted(name for name, text in texts.items() if not sealer.knows(text))

    def provider(self) -> OwnStore:
        """The same secrets, for those who resolve."""
        return OwnStore(self._sealed, self._opener)

    def _sealed(self, names: Sequence[str]) -> Mapping[str, bytes]:
        return self._ledger.read(lambda connection: kept.sealed(connection, names))


def sealer_of(settings: Settings, *, make: bool = True) -> Callable[[], Sealer]:
    """Gives the sealer of these settings; its key is looked for (with `make`, made) when that is first called.

    What it gives raises what `Sealer.of` raises.
    """

    def find() -> Sealer:
        from headgate.secrets.sealing import Sealer  # noqa: PLC0415 - cryptography: 70 ms

        return Sealer.of(settings.home, file=settings.secrets.key_file, make=make)

    return _once(find)


def resolver(settings: Settings, ledger: Ledger, clients: Clients) -> Secrets:
    """The providers that the settings ask for, in their order."""
    return Secrets([_provider(one, settings, ledger, clients) for one in settings.secrets.providers])


def _provider(wanted: SecretProvider, settings: Settings, ledger: Ledger, clients: Clients) -> Provider:
    place = Place.of(wanted, session="headgate-secrets")
    match wanted.kind:
        case ProviderKind.STORE:
            return SecretStore(ledger, settings).provider()
        case ProviderKind.ENV:
            return Environment(wanted.allow, own_only=wanted.own_only)
        case ProviderKind.FILES:
            return Files(wanted.folder)
        case ProviderKind.SECRETS_MANAGER:
            return SecretsManager(clients=clients, place=place, prefix=wanted.prefix, names=wanted.names)
        case ProviderKind.SSM:
            return Parameters(clients=clients, place=place, prefix=wanted.prefix, names=wanted.names)
        case ProviderKind.DATAHUB:
            return _of_datahub(settings)


def _of_datahub(settings: Settings) -> OfDataHub:
    def make() -> SecretReader:
        from headgate.datahub.secrets import SecretReader  # noqa: PLC0415 - httpx: a tenth of a second

        return SecretReader(settings.datahub)

    reader = _once(make)

    def ask(names: Sequence[str]) -> Mapping[str, str]:
        return reader().values(names)

    address = urlsplit(settings.datahub.gms_url or settings.datahub.frontend_url)
    return OfDataHub(ask, address.hostname or "")


def _once(make: Callable[[], T]) -> Callable[[], T]:
    lock = threading.Lock()
    made: list[T] = []

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def _sound(value: str) -> bytes:
    """Raises Invalid: the value is empty, too large, or no text."""
    try:
        text = value.encode("utf-8")
    except UnicodeEncodeError:
        raise Invalid("the value is no UTF-8 text; encode it (in base64, say) before it is kept") from None
    if not text or len(text) > LARGEST or "\0" in value:
        raise Invalid(f"the value must be a text of 1 to {LARGEST:,} bytes without NUL; it has {len(text):,}")
    return text
