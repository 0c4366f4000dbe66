"""This file is where the ledger is kept in order: leases, the outbox, and what retention takes away."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from headgate.ledger import dialects, glue_workflows, rows, schema
from headgate.ledger.writer import Batch
from headgate.ports import Message

#: Rows deleted in one transaction, so that nobody waits long.
PORTION = 5_000
#: Bytes of messages that are taken at once in order; a larger one is taken alone.
PORTION_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the outbox, held for its deliverer for a while."""

    seq: int
    channel: str
    subject: str
    payload: Mapping[str, Any]
    tries: int


def beat(connection: Connection, me: str, until: float, now: float) -> None:
    """Prolong our lease. On a connection of its own, so that it never queues behind the work."""
    insert = sqlite.insert(schema.worker) if dialects.is_sqlite(connection) else postgresql.insert(schema.worker)
    statement = insert.values(id=me, until=until, host=socket.gethostname(), pid=os.getpid(), started_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"until": statement.excluded.until}))


def resign(connection: Connection, me: str) -> None:
    """Give the lease back: what is ours may be taken over at once."""
    connection.execute(schema.worker.update().where(schema.worker.c.id == me).values(until=0.0))


def workers(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(schema.worker)).mappings()]


_EARLIER = schema.outbox.alias("earlier")
_DUE = (
    sa.select(schema.outbox)
    .where(
        schema.outbox.c.not_before <= bindparam("now"),
        schema.outbox.c.claimed_until < bindparam("now"),
        schema.outbox.c.channel.not_in(bindparam("busy", expanding=True)),
        # a recovery is never told before the failure it is the end of
        sa.not_(
            sa.exists().where(
                _EARLIER.c.channel == schema.outbox.c.channel,
                _EARLIER.c.subject == schema.outbox.c.subject,
                _EARLIER.c.seq < schema.outbox.c.seq,
            )
        ),
    )
    .order_by(schema.outbox.c.seq)
    .limit(bindparam("most"))
)


def post(batch: Batch, messages: Sequence[Message]) -> None:
    """Put messages into the outbox, due now."""
    if not messages:
        return
    batch.connection.execute(
        schema.outbox.insert(),
        [
            {
                "channel": one.channel,
                "subject": one.subject,
                "payload": rows.dumps(one.payload),
                "tries": 0,
                "not_before": batch.now,
                "created_at": batch.now,
                "claimed_until": 0.0,
            }
            for one in messages
        ],
    )
    batch.to_wake.add("outbox")


def take_letters(batch: Batch, *, most: int, hold: float, busy: Sequence[str] = ()) -> list[Letter]:
    """The oldest due messages, kept from other deliverers for `hold` seconds. A crash gives them back by itself.

    Of one channel and subject only the first is given out, the next when that is delivered; of `busy` channels none.
    """
    found = batch.connection.execute(
        dialects.for_update(_DUE, batch.connection, skip_locked=True),
        {"now": batch.now, "most": most, "busy": list(busy)},
    ).all()
    if found:
        batch.connection.execute(
            schema.outbox.update()
            .where(schema.outbox.c.seq.in_([row.seq for row in found]))
            .values(claimed_until=batch.now + hold)
        )
    return [Letter(row.seq, row.channel, row.subject, rows.loads(row.payload), row.tries) for row in found]


_IN_ORDER = (
    sa.select(schema.outbox)
    .where(schema.outbox.c.channel == bindparam("channel"))
    .order_by(schema.outbox.c.seq)
    .limit(bindparam("most"))
)


def take_in_order(batch: Batch, channel: str, *, most: int, hold: float) -> list[Letter]:
    """The oldest messages of a channel that keeps one order for all of them, held for `hold` seconds.

    None while the first of them is held by another deliverer, or is not due: what stands behind it waits for it.
    """
    found = batch.connection.execute(
        dialects.for_update(_IN_ORDER, batch.connection, skip_locked=False), {"channel": channel, "most": most}
    ).all()
    if not found or found[0].claimed_until >= batch.now or found[0].not_before > batch.now:
        return []
    sizes = itertools.accumulate(len(row.payload) for row in found)
    found = [row for row, size in zip(found, sizes, strict=True) if size <= PORTION_BYTES] or found[:1]
    batch.connection.execute(
        schema.outbox.update()
        .where(schema.outbox.c.seq.in_([row.seq for row in found]))
        .values(claimed_until=batch.now + hold)
    )
    return [Letter(row.seq, row.channel, row.subject, rows.loads(row.payload), row.tries) for row in found]


def delivered_all(batch: Batch, letters: Sequence[Letter]) -> None:
    batch.connection.execute(schema.outbox.delete().where(schema.outbox.c.seq.in_([one.seq for one in letters])))


def not_delivered_yet(batch: Batch, letters: Sequence[Letter], error: str, not_before: float) -> None:
    """Give back messages that were taken in order; the first of them says when it goes on."""
    held = schema.outbox.c.seq.in_([one.seq for one in letters])
    batch.connection.execute(schema.outbox.update().where(held).values(claimed_until=0.0))
    not_delivered(batch, letters[0], error, not_before)


def delivered(batch: Batch, letter: Letter) -> None:
    batch.connection.execute(schema.outbox.delete().where(schema.outbox.c.seq == letter.seq))


def not_delivered(batch: Batch, letter: Letter, error: str, not_before: float) -> None:
    batch.connection.execute(
        schema.outbox.update()
        .where(schema.outbox.c.seq == letter.seq)
        .values(tries=letter.tries + 1, last_error=error[:2000], not_before=not_before, claimed_until=0.0)
    )


def outbox_state(connection: Connection) -> tuple[int, float | None, str | None]:
    """How many messages wait, since when the oldest does, and the last error."""
    table = schema.outbox
    count, oldest = connection.execute(sa.select(sa.func.count(), sa.func.min(table.c.created_at))).one()
    error = connection.execute(
        sa.select(table.c.last_error).where(table.c.last_error.is_not(None)).order_by(table.c.seq.desc()).limit(1)
    ).scalar()
    return int(count), oldest, error


def _forget_objects(connection: Connection, objects: Collection[tuple[str, str]]) -> None:
    """Forget which event of these objects was the newest, where no event of theirs is left."""
    event, newest = schema.event, schema.newest
    for bucket, key in sorted(objects):
        left = sa.exists().where(event.c.bucket == bucket, event.c.key == key)
        connection.execute(newest.delete().where(newest.c.object == f"{bucket}/{key}", sa.not_(left)))


def forget(batch: Batch, before: float) -> tuple[int, list[str]]:
    """Delete a portion of what ended (or came and led to nothing) before `before`.

    Answers how many rows went and the ids of the runs among them, whose logs may go too. An event stays as long as a
    run of it does.
    """
    connection = batch.connection
    history, decision, event = schema.history, schema.decision, schema.event
    runs = connection.execute(
        sa.select(history.c.seq, history.c.id).where(history.c.ended_at < before).limit(PORTION)
    ).all()
    gone = len(runs)
    if runs:
        numbers = [row.seq for row in runs]
        ids = [row.id for row in runs]
        for portion in range(0, len(ids), 500):
            some = slice(portion, portion + 500)
            connection.execute(decision.delete().where(decision.c.run_seq.in_(numbers[some])))
            connection.execute(schema.attempt.delete().where(schema.attempt.c.run.in_(ids[some])))
            connection.execute(history.delete().where(history.c.seq.in_(numbers[some])))
    undecided = sa.not_(sa.exists().where(decision.c.event_seq == event.c.seq, decision.c.run_seq.is_not(None)))
    old = connection.execute(
        sa.select(event.c.seq, event.c.bucket, event.c.key)
        .where(event.c.received_at < before, undecided)
        .limit(PORTION)
    ).all()
    gone += len(old)
    for portion in range(0, len(old), 500):
        numbers = [row.seq for row in old[portion : portion + 500]]
        connection.execute(decision.delete().where(decision.c.event_seq.in_(numbers)))
        connection.execute(event.delete().where(event.c.seq.in_(numbers)))
        _forget_objects(connection, {(row.bucket, row.key) for row in old[portion : portion + 500] if row.bucket})
    if not gone:
        connection.execute(schema.audit.delete().where(schema.audit.c.at < before))
        connection.execute(schema.dead_letter.delete().where(schema.dead_letter.c.at < before))
        connection.execute(schema.callback.delete().where(schema.callback.c.at < before))
        # those of one firing; the one latch of mode `any` waits however long it takes
        connection.execute(schema.latch.delete().where(schema.latch.c.root != "", schema.latch.c.at < before))
        connection.execute(schema.worker.delete().where(schema.worker.c.until < before))
        glue_workflows.forget(connection, before)
    return gone, [row.id for row in runs]
