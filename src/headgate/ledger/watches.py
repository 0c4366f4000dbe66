"""This file is where it is kept what was seen in watched catalogs, and whose turn it is to look at them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.ledger import dialects, schema
from headgate.ledger.writer import Batch

_WATCH, _TABLE = schema.catalog_watch, schema.watched_table


def take_turn(batch: Batch, trigger: str, every: float) -> float:
    """Take the turn to look, so that the next is `every` seconds later: 0. Else in how many seconds there is one."""
    connection = batch.connection
    made = {"trigger": trigger, "next_look": 0.0, "looked_at": None, "comparable": False}
    connection.execute(_insert(connection, _WATCH).on_conflict_do_nothing(index_elements=["trigger"]), made)
    taken = connection.execute(
        _WATCH.update()
        .where(_WATCH.c.trigger == trigger, _WATCH.c.next_look <= batch.now)
        .values(next_look=batch.now + every)
    )
    if taken.rowcount:
        return 0.0
    following = connection.execute(sa.select(_WATCH.c.next_look).where(_WATCH.c.trigger == trigger)).scalar_one()
    return max(float(following) - batch.now, 0.001)


def put_off(batch: Batch, trigger: str, seconds: float) -> None:
    batch.connection.execute(_WATCH.update().where(_WATCH.c.trigger == trigger).values(next_look=batch.now + seconds))


def seen(connection: Connection, trigger: str) -> tuple[bool, bool, dict[str, str]]:
    """Whether there is something to compare with, whether there was ever a whole look, and what was there, by name."""
    found = connection.execute(sa.select(_WATCH).where(_WATCH.c.trigger == trigger)).first()
    if found is None:
        return False, False, {}
    tables = connection.execute(sa.select(_TABLE.c.name, _TABLE.c.version).where(_TABLE.c.trigger == trigger))
    return bool(found.comparable), found.looked_at is not None, {row.name: row.version for row in tables}


def remember(batch: Batch, trigger: str, found: Mapping[str, str], gone: Collection[str]) -> None:
    """Write these names with their versions, and take those away."""
    connection = batch.connection
    if found:
        insert = _insert(connection, _TABLE)
        upsert = insert.on_conflict_do_update(
            index_elements=["trigger", "name"], set_={"version": insert.excluded.version}
        )
        rows = [{"trigger": trigger, "name": name, "version": version} for name, version in sorted(found.items())]
        connection.execute(upsert, rows)
    if gone:
        connection.execute(_TABLE.delete().where(_TABLE.c.trigger == trigger, _TABLE.c.name.in_(sorted(gone))))


def looked(batch: Batch, trigger: str) -> None:
    """A whole look is over: from now on there is something to compare with."""
    batch.connection.execute(
        _WATCH.update().where(_WATCH.c.trigger == trigger).values(looked_at=batch.now, comparable=True)
    )


def keep_only(batch: Batch, triggers: Collection[str]) -> None:
    """Forget what was seen for any other trigger; that there was a look stays."""
    kept = sorted(triggers)
    batch.connection.execute(_TABLE.delete().where(_TABLE.c.trigger.not_in(kept)))
    batch.connection.execute(
        _WATCH.update().where(_WATCH.c.trigger.not_in(kept)).values(comparable=False, next_look=0.0)
    )


def _insert(connection: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialects.is_sqlite(connection) else postgresql.insert(table)
