"""This file is where messages that nobody could read are kept, until a person has looked at them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.errors import NotFound
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.reading import Page
from headgate.ledger.writer import Batch

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_table = schema.dead_letter


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up, word for word."""

    source: str  #: the queue's URL
    message: str  #: the queue's own id of it
    body: str
    error: str  #: what is wrong with it
    receives: int  #: how often the queue had handed it out by then
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """A dead letter as the ledger has it."""

    seq: int
    id: str  #: dl_ and 16 hex digits, made of queue and message: given up twice, it is one letter
    letter: DeadLetter
    at: datetime  #: when it was given up


def letter_id(source: str, message: str) -> str:
    return "dl_" + hashlib.sha256(f"{source}\0{message}".encode("utf-8", "replace")).hexdigest()[:16]


def put(batch: Batch, letter: DeadLetter) -> str:
    """Keep a letter; answers its id. One that is there already stays, with the newest reason."""
    name = letter_id(letter.source, letter.message)
    newest: dict[str, object] = {"error": _sound(letter.error)[:4000], "receives": letter.receives}
    made = _INSERT[batch.connection.dialect.name](_table).values(
        id=name,
        source=_sound(letter.source),
        message=_sound(letter.message),
        body=_sound(letter.body),
        sent_at=letter.sent_at.timestamp() if letter.sent_at else None,
        at=batch.now,
        **newest,
    )
    batch.connection.execute(made.on_conflict_do_update(index_elements=["id"], set_=newest))
    return name


def read(connection: Connection, *, before: int | None, limit: int) -> Page[KeptLetter]:
    """Return a page of them, newest first."""
    wanted = sa.select(_table).order_by(_table.c.seq.desc()).limit(limit + 1)
    if before is not None:
        wanted = wanted.where(_table.c.seq < before)
    found = [_kept(row) for row in connection.execute(wanted)]
    return Page(found[:limit], found[limit - 1].seq if len(found) > limit else None)


def find(connection: Connection, name: str) -> KeptLetter:
    """Raises NotFound."""
    row = connection.execute(sa.select(_table).where(_table.c.id == name)).first()
    if row is None:
        raise NotFound("dead letter", name, "see `headgate events dead list`")
    return _kept(row)


def count(connection: Connection) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(_table)).scalar_one())


def delete(batch: Batch, name: str, *, action: str, actor: str, reason: str | None) -> KeptLetter:
    """Take a letter away, and note who did. Raises NotFound."""
    found = find(batch.connection, name)
    batch.connection.execute(_table.delete().where(_table.c.id == name))
    catalogs.note(
        batch, actor=actor, action=action, subject=name, reason=reason,
        detail={"queue": found.letter.source, "message": found.letter.message, "error": found.letter.error},
    )  # fmt: skip
    return found


def _kept(row: Any) -> KeptLetter:
    return KeptLetter(
        seq=row.seq,
        id=row.id,
        letter=DeadLetter(
            source=row.source,
            message=row.message,
            body=row.body,
            error=row.error,
            receives=row.receives,
            sent_at=rows.moment(row.sent_at),
        ),
        at=rows.sure_moment(row.at),
    )


def _sound(text: str) -> str:
    """Text every database column takes: what a queue hands out may hold anything."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
