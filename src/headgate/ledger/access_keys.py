"""This file is where the keys that AWS calls are signed with are kept, their secrets sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.errors import NotFound
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.writer import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key, without its secret."""

    id: str
    name: str  #: whose calls it signs, in words; the audit has it
    actor: str  #: who made it
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    session: str | None = field(default=None, repr=False)  #: sha256 of its session token, where it needs one
    sealed: bytes = field(default=b"", repr=False)


def read(connection: Connection) -> list[AccessKey]:
    """All of them, the newest first; revoked ones stay, so that the audit can be read."""
    table = schema.access_key
    return [_key(row) for row in connection.execute(sa.select(table).order_by(table.c.created_at.desc(), table.c.id))]


def find(connection: Connection, key: str) -> AccessKey | None:
    table = schema.access_key
    row = connection.execute(sa.select(table).where(table.c.id == key)).first()
    return _key(row) if row else None


def put(batch: Batch, key: AccessKey, *, reason: str | None) -> AccessKey:
    batch.connection.execute(
        schema.access_key.insert(),
        {
            "id": key.id,
            "name": key.name,
            "sealed": key.sealed.decode("ascii"),
            "session": key.session,
            "actor": key.actor,
            "created_at": batch.now,
            "expires_at": key.expires_at.timestamp() if key.expires_at else None,
            "revoked_at": None,
        },
    )
    catalogs.note(batch, actor=key.actor, action="key.create", subject=key.id, reason=reason)
    found = find(batch.connection, key.id)
    return found or key


def revoke(batch: Batch, key: str, *, actor: str, reason: str | None) -> AccessKey:
    """Let nobody sign with it any more. Raises NotFound."""
    table = schema.access_key
    batch.connection.execute(
        table.update().where(table.c.id == key, table.c.revoked_at.is_(None)).values(revoked_at=batch.now)
    )
    found = find(batch.connection, key)
    if found is None:
        raise NotFound("access key", key, "see `headgate keys list`")
    catalogs.note(batch, actor=actor, action="key.revoke", subject=key, reason=reason)
    return found


def _key(row: Any) -> AccessKey:
    return AccessKey(
        id=row.id,
        name=row.name,
        actor=row.actor,
        created_at=rows.sure_moment(row.created_at),
        expires_at=rows.moment(row.expires_at),
        revoked_at=rows.moment(row.revoked_at),
        session=row.session,
        sealed=row.sealed.encode("ascii"),
    )
