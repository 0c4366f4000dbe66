"""This file is where job bookmarks are: how far a job's successful runs have come, and where that was set back.

What a script has processed is its own to remember (the lake's jobs know it from their table). A bookmark here says
which runs counted: those that ended SUCCEEDED with bookmarks enabled, unless a reset took them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.ledger import catalogs, schema
from headgate.ledger.writer import Batch
from headgate.model import RunState, attempt_id

_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
ENABLED: Final = '%"--job-bookmark-option":"job-bookmark-enable"%'
MOST: Final = 1_000  #: runs that are looked through


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    job: str
    version: int  #: how often it was reset
    runs: int  #: that count, of the newest thousand
    attempt: int
    run: str | None
    previous: str | None


def read(connection: Connection, job: str, *, at: str | None = None) -> Bookmark | None:
    """The job's bookmark, or how it stood after the run `at`. None: there is none."""
    kept = connection.execute(sa.select(schema.glue_bookmark).where(schema.glue_bookmark.c.job == job)).first()
    history = schema.history
    statement = (
        sa.select(history.c.id, history.c.attempt, history.c.seq)
        .where(
            history.c.job == job, history.c.state == RunState.SUCCEEDED.value, history.c.arguments.like(ENABLED)
        )
        .order_by(history.c.seq.desc())
        .limit(MOST)
    )  # fmt: skip
    if kept is not None:
        statement = statement.where(sa.or_(history.c.seq <= kept.kept, history.c.seq > kept.cut))
    found = connection.execute(statement).all()
    if at is not None:
        own = at.partition("_attempt_")[0]
        place = next((number for number, row in enumerate(found) if row.id == own), None)
        if place is None:
            return None
        found = found[place:]
    if not found and kept is None:
        return None
    return Bookmark(
        job=job,
        version=kept.version if kept else 0,
        runs=len(found),
        attempt=found[0].attempt if found else 0,
        run=attempt_id(found[0].id, found[0].attempt) if found else None,
        previous=attempt_id(found[1].id, found[1].attempt) if len(found) > 1 else None,
    )


def reset(batch: Batch, job: str, *, to: str | None, actor: str) -> Bookmark | None:
    """Set it back to its beginning, or to how it stood after the run `to`. None: there is none, or no such run."""
    before = read(batch.connection, job, at=to)
    if before is None:
        return None
    history = schema.history
    newest = batch.connection.execute(sa.select(sa.func.max(history.c.seq)).where(history.c.job == job)).scalar() or 0
    kept = 0
    if to is not None:
        own = to.partition("_attempt_")[0]
        kept = batch.connection.execute(sa.select(history.c.seq).where(history.c.id == own)).scalar() or 0
    values = {"version": before.version + 1, "kept": kept, "cut": newest}
    made = _INSERT[batch.connection.dialect.name](schema.glue_bookmark).values(job=job, **values)
    batch.connection.execute(made.on_conflict_do_update(index_elements=["job"], set_=values))
    catalogs.note(batch, actor=actor, action="bookmark.reset", subject=job, reason=to)
    return read(batch.connection, job)
