"""This file is where our own secrets are kept: sealed texts, which mean nothing without the key, that is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.errors import NotFound
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.writer import Batch

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """What anybody may know of a secret: that there is one, and who set it last."""

    name: str
    actor: str
    created_at: datetime
    updated_at: datetime


def read(connection: Connection) -> list[KeptSecret]:
    """All of them, by name."""
    table = schema.secret
    return [_kept(row) for row in connection.execute(sa.select(*_SHOWN).order_by(table.c.name))]


def sealed(connection: Connection, names: Sequence[str] | None = None) -> Mapping[str, bytes]:
    """The sealed texts of those of these names that there are; None: of all."""
    table = schema.secret
    asked = sa.select(table.c.name, table.c.sealed)
    if names is not None:
        asked = asked.where(table.c.name.in_(list(names)))
    return {name: text.encode("utf-8", "surrogatepass") for name, text in connection.execute(asked)}


def put(batch: Batch, name: str, text: bytes, *, actor: str, reason: str | None) -> KeptSecret:
    """Keep a sealed text under this name, in place of the one that is there. The audit says that, and not what."""
    table = schema.secret
    known = batch.connection.execute(sa.select(table.c.name).where(table.c.name == name)).first()
    values: dict[str, object] = {"sealed": text.decode("ascii"), "actor": actor, "updated_at": batch.now}
    made = _INSERT[batch.connection.dialect.name](table).values(name=name, created_at=batch.now, **values)
    batch.connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=values))
    detail = {"replaced": known is not None}
    catalogs.note(batch, actor=actor, action="secret.set", subject=name, reason=reason, detail=detail)
    return _find(batch.connection, name)


def delete(batch: Batch, name: str, *, actor: str, reason: str | None) -> KeptSecret:
    """Take a secret away; answers what it was. Raises NotFound."""
    table = schema.secret
    gone = _find(batch.connection, name)
    batch.connection.execute(table.delete().where(table.c.name == name))
    catalogs.note(batch, actor=actor, action="secret.delete", subject=name, reason=reason)
    return gone


def reseal(
    batch: Batch, texts: Mapping[str, tuple[bytes, bytes]], *, key: str, actor: str, reason: str | None
) -> list[str]:
    """Put other texts, sealed with `key`, in the place of these: (before, after) by name; one set meanwhile stays.

    Answers the names of those that were replaced.
    """
    table = schema.secret
    done: list[str] = []
    for name, (before, after) in sorted(texts.items()):
        same = sa.and_(table.c.name == name, table.c.sealed == before.decode("utf-8", "surrogatepass"))
        changed = batch.connection.execute(table.update().where(same).values(sealed=after.decode("ascii")))
        if changed.rowcount:
            done.append(name)
    if done:
        detail = {"key": key, "names": done}
        catalogs.note(batch, actor=actor, action="secret.rotate", subject=key, reason=reason, detail=detail)
    return done


_SHOWN = (schema.secret.c.name, schema.secret.c.actor, schema.secret.c.created_at, schema.secret.c.updated_at)


def _find(connection: Connection, name: str) -> KeptSecret:
    row = connection.execute(sa.select(*_SHOWN).where(schema.secret.c.name == name)).first()
    if row is None:
        raise NotFound("secret of our own", name, "see `headgate secrets list`")
    return _kept(row)


def _kept(row: Any) -> KeptSecret:
    return KeptSecret(
        name=row.name,
        actor=row.actor,
        created_at=rows.sure_moment(row.created_at),
        updated_at=rows.sure_moment(row.updated_at),
    )
