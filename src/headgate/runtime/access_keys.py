"""This file is where keys for AWS calls are made and found again: sealed where they lie, open only to be compared."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from headgate.errors import Invalid
from headgate.ledger import access_keys as kept
from headgate.ledger.access_keys import AccessKey
from headgate.ledger.store import Ledger, wait_for
from headgate.runtime.secrets import sealer_of
from headgate.secrets import known
from headgate.settings import Settings

LONGEST: Final = 10 * 365 * 86_400.0  #: seconds a key may be good for
#: Seconds for which an opened key is remembered: a revoked one is good for that long at most.
REMEMBERED: Final = 1.0
_MOST: Final = 1_000  #: opened keys that are remembered
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only time its secret is seen."""

    key: AccessKey
    secret: str = field(repr=False)
    session_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A key with its secret, to compare signatures with."""

    key: AccessKey
    secret: str = field(repr=False)


class AccessKeys:
    """Safe from any thread; what changes something is durable when it returns."""

    def __init__(self, ledger: Ledger, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._sealer = sealer_of(settings)
        self._opener = sealer_of(settings, make=False)
        self.clock = clock
        self._open: dict[str, tuple[float, OpenKey]] = {}

    def list(self) -> list[AccessKey]:
        return self._ledger.read(kept.read)

    def create(
        self,
        *,
        name: str = "",
        lasts: float | None = None,
        session: bool = False,
        actor: str,
        reason: str | None = None,
    ) -> NewKey:
        """Make a key. `lasts`: seconds until it expires; `session`: calls must send a session token, too.

        Raises:
            Invalid: the name or the time is none. Unavailable: the key it is sealed with cannot be read or made.
        """
        if name and not _NAME.fullmatch(name):
            raise Invalid(f"name: {name[:80]!r}; expected 1 to 64 letters, digits, dots, dashes and underscores")
        if lasts is not None and not 60 <= lasts <= LONGEST:
            raise Invalid(f"the key would be good for {lasts:g} s; expected a minute to ten years")
        key_id = ("HGSA" if session else "HGAK") + "".join(secrets.choice(_LETTERS) for _ in range(16))
        secret, token = secrets.token_urlsafe(30), secrets.token_urlsafe(48) if session else None
        known.learn([secret, *([token] if token else [])])
        key = AccessKey(
            id=key_id,
            name=name or key_id,
            actor=actor,
            created_at=datetime.now(UTC),
            expires_at=datetime.now(UTC) + timedelta(seconds=lasts) if lasts is not None else None,
            revoked_at=None,
            session=digest(token) if token else None,
            sealed=self._sealer().seal(secret.encode(), _context(key_id)),
        )
        made = wait_for(self._ledger.write(lambda batch: kept.put(batch, key, reason=reason)))
        return NewKey(made, secret, token)

    def revoke(self, key: str, *, actor: str, reason: str | None = None) -> AccessKey:
        """Raises NotFound."""
        gone = wait_for(self._ledger.write(lambda batch: kept.revoke(batch, key, actor=actor, reason=reason)))
        self._open.pop(key, None)
        return gone

    def remembered(self, key: str) -> OpenKey | None:
        """The key, if it was opened a moment ago. Asks nobody."""
        at, found = self._open.get(key, (0.0, None))
        return found if found is not None and self.clock() - at < REMEMBERED else None

    def find(self, key: str) -> OpenKey | None:
        """The key with its secret, whatever state it is in; None where there is none.

        Raises:
            CannotUnseal: no key here opens it. LedgerUnavailable: the ledger cannot be asked.
        """
        row = self._ledger.read(lambda connection: kept.find(connection, key))
        if row is None:
            return None
        secret = self._opener().open(row.sealed, _context(row.id)).decode()
        known.learn([secret])
        found = OpenKey(row, secret)
        if len(self._open) >= _MOST:
            self._open.clear()
        self._open[key] = (self.clock(), found)
        return found


def digest(token: str) -> str:
    """What is kept of a session token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _context(key: str) -> str:
    """What a secret is sealed for: its own key, so that no row can stand for another."""
    return f"access-key:{key}"
