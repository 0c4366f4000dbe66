"""This file is where runs are taken up: claimed from a job's queue, taken over from a dead replica, put back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from enum import Enum

import sqlalchemy as sa
from sqlalchemy import bindparam

from headgate.ledger import dialects, rows, schema
from headgate.ledger.writer import Batch
from headgate.model import Run, RunId, RunState
from headgate.ports import Postponed, Progress, Started

MOST = 512  #: runs claimed of one job in one batch


class Claim(Enum):
    DONE = "done"
    LOCKED = "locked"  #: another replica looks at this job's queue right now; look again soon


_LIMIT = sa.select(schema.job.c.max_concurrent_runs, schema.job.c.deleted).where(schema.job.c.name == bindparam("job"))
_OCCUPIED = (
    sa.select(sa.func.count()).select_from(schema.run).where(schema.run.c.job == bindparam("job"), schema.IS_OCCUPYING)
)
_NEXT = (
    sa.select(schema.run)
    .where(
        schema.run.c.job == bindparam("job"),
        schema.IS_WAITING,
        sa.or_(schema.run.c.not_before.is_(None), schema.run.c.not_before <= bindparam("now")),
    )
    .order_by(schema.run.c.seq)
    .limit(bindparam("most"))
)
_ANY_DUE = (
    sa.select(schema.run.c.seq)
    .where(
        schema.run.c.job == bindparam("job"),
        schema.IS_WAITING,
        sa.or_(schema.run.c.not_before.is_(None), schema.run.c.not_before <= bindparam("now")),
    )
    .limit(1)
)
_TAKE = (
    schema.run.update()
    .where(schema.run.c.seq.in_(bindparam("seqs", expanding=True)))
    .values(state=RunState.STARTING.value, detail="", owner=bindparam("me"), not_before=None, settle_until=None)
)
_STARTED = (
    schema.run.update()
    .where(
        schema.run.c.id == bindparam("b_id"),
        schema.run.c.owner == bindparam("b_owner"),
        schema.run.c.attempt == bindparam("b_attempt"),
        schema.IS_OCCUPYING,
    )
    .values(
        # a stop that was asked for while it started stays asked for
        state=sa.case(
            (schema.run.c.state == RunState.STOPPING.value, RunState.STOPPING.value), else_=RunState.RUNNING.value
        ),
        external_id=bindparam("b_external_id"),
        detail=sa.case((schema.run.c.state == RunState.STARTING.value, ""), else_=schema.run.c.detail),
        # the engine knows when its process began, also of one that was taken over; the dispatcher does not
        started_at=sa.case(
            (schema.run.c.started_at < bindparam("b_started_at"), schema.run.c.started_at),
            else_=bindparam("b_started_at"),
        ),
        deadline=sa.func.coalesce(schema.run.c.deadline, bindparam("b_deadline")),
    )
)
_PROGRESS = (
    schema.run.update()
    .where(
        schema.run.c.id == bindparam("b_id"),
        schema.run.c.owner == bindparam("b_owner"),
        schema.run.c.attempt == bindparam("b_attempt"),
    )
    .values(progress=bindparam("b_progress"))
)
_BEING_STARTED = schema.run.update().where(
    schema.run.c.id == bindparam("b_id"),
    schema.run.c.owner == bindparam("b_owner"),
    schema.run.c.attempt == bindparam("b_attempt"),
    schema.run.c.state == RunState.STARTING.value,
)
_POSTPONED = _BEING_STARTED.values(
    state=RunState.WAITING.value,
    detail=bindparam("b_detail"),
    owner=None,
    not_before=bindparam("b_not_before"),
)
_HELD = _BEING_STARTED.values(detail=bindparam("b_detail"))
_ABANDONED = (
    sa.select(schema.run, sa.func.coalesce(schema.worker.c.until, 0.0).label("until"))
    .outerjoin(schema.worker, schema.worker.c.id == schema.run.c.owner)
    .where(
        schema.IS_OCCUPYING,
        schema.run.c.owner != bindparam("me"),
        sa.or_(schema.worker.c.until.is_(None), schema.worker.c.until < bindparam("now")),
    )
    .order_by(schema.run.c.seq)
)
_OWN = sa.select(schema.run).where(schema.run.c.owner == bindparam("me"), schema.IS_OCCUPYING)
_TAKE_OVER = (
    schema.run.update().where(schema.run.c.seq.in_(bindparam("seqs", expanding=True))).values(owner=bindparam("me"))
)
_DUE = sa.select(schema.run.c.job).where(schema.IS_WAITING, schema.run.c.not_before <= bindparam("now")).distinct()
_NEVER_TIMED = sa.select(schema.run.c.job).where(schema.IS_WAITING, schema.run.c.not_before.is_(None)).distinct()
_NEXT_DUE = sa.select(sa.func.min(schema.run.c.not_before)).where(schema.IS_WAITING)
_OVERDUE = sa.select(schema.run.c.id).where(
    schema.run.c.owner == bindparam("me"),
    schema.IS_OCCUPYING,
    schema.run.c.state == RunState.RUNNING.value,
    schema.run.c.deadline < bindparam("now"),
)
_STOPPING = sa.select(schema.run).where(
    schema.run.c.owner == bindparam("me"), schema.IS_OCCUPYING, schema.run.c.state == RunState.STOPPING.value
)


def claim(batch: Batch, job: str, me: str, hand_over: Callable[[Run], None], *, limit: int | None = None) -> Claim:
    """Take as many due runs of the job, oldest first, as its limit has places for; hand each over once durable.

    `limit`: the job's, where the caller is sure of it (nobody else writes); otherwise it is read, and the job locked.
    """
    connection = batch.connection
    if limit is None:
        row = connection.execute(dialects.for_update(_LIMIT, connection, skip_locked=True), {"job": job}).first()
        if row is None:
            return Claim.LOCKED
        if row.deleted:
            return Claim.DONE
        limit = int(row.max_concurrent_runs)
    places = limit - int(connection.execute(_OCCUPIED, {"job": job}).scalar_one())
    if places <= 0:
        return Claim.DONE
    most = min(places, MOST)
    found = connection.execute(
        dialects.for_update(_NEXT, connection, skip_locked=True), {"job": job, "now": batch.now, "most": most}
    ).all()
    if not found:
        return Claim.DONE
    connection.execute(_TAKE, {"seqs": [row.seq for row in found], "me": me})
    for row in found:
        fields = list(row)
        _replace(fields, state=RunState.STARTING.value, detail="", owner=me, not_before=None)
        run = rows.to_run(fields)
        batch.after(lambda run=run: hand_over(run))
    # a job with more places than we take at once has its queue looked at again
    return Claim.LOCKED if len(found) == MOST else Claim.DONE


def places_now(batch: Batch, job: str, *, limit: int | None) -> int:
    """How many new runs of the job may start at once, ahead of nobody: 0 when any run of it waits that is due.

    `limit` as for `claim`; without it the job is locked until the transaction ends.
    """
    connection = batch.connection
    if limit is None:
        row = connection.execute(dialects.for_update(_LIMIT, connection, skip_locked=True), {"job": job}).first()
        if row is None or row.deleted:
            return 0
        limit = int(row.max_concurrent_runs)
    if connection.execute(_ANY_DUE, {"job": job, "now": batch.now}).first():
        return 0
    return limit - int(connection.execute(_OCCUPIED, {"job": job}).scalar_one())


def take_over(
    batch: Batch,
    me: str,
    hand_over: Callable[[Run, bool], None],
    *,
    everyone: bool,
    patience: float,
    anywhere: Collection[str],
) -> list[RunId]:
    """Make the runs of dead replicas ours.

    `everyone`: nobody else can be alive (this process holds the only lock). What a replica of another place (machine
    and home, see `place_of`) left is taken only `patience` seconds after its lease ended, since one of its own place
    can do better: find the processes. Runs of the engines in `anywhere` have none, so nobody waits for them.
    `hand_over` is told whether the run was left at our place.
    """
    connection = batch.connection
    now = float("inf") if everyone else batch.now
    found = [
        row
        for row in connection.execute(_abandoned(connection), {"me": me, "now": now}).all()
        if everyone or row.engine in anywhere or place_of(row.owner) == place_of(me) or row.until + patience < batch.now
    ]
    for start in range(0, len(found), 500):
        connection.execute(_TAKE_OVER, {"seqs": [row.seq for row in found[start : start + 500]], "me": me})
    for row in found:
        fields = list(row)[:-1]
        _replace(fields, owner=me)
        run = rows.to_run(fields)
        here = place_of(row.owner) == place_of(me)
        batch.after(lambda run=run, here=here: hand_over(run, here))
    return [RunId(row.id) for row in found]


def take_up_again(batch: Batch, me: str, hand_over: Callable[[Run, bool], None]) -> list[RunId]:
    """Hand our own runs over once more: who runs them finds the first start, and tells an end it has told before."""
    found = [rows.to_run(row) for row in batch.connection.execute(_OWN, {"me": me})]
    for run in found:
        batch.after(lambda run=run: hand_over(run, True))
    return [run.id for run in found]


def place_of(replica: str) -> str:
    """Replicas of one machine and one home have the first part of their id in common."""
    return replica.rpartition("_")[0]


def _abandoned(connection: sa.Connection) -> sa.Select[*tuple[object, ...]]:
    if dialects.is_sqlite(connection):
        return _ABANDONED
    return _ABANDONED.with_for_update(of=schema.run, skip_locked=True)


def note_started(batch: Batch, those: Sequence[Started]) -> list[None]:
    """Kept until the end of the batch: a run that ended in the same batch is written once, ended."""
    for one in those:
        before = batch.started.get((one.run, one.attempt))
        # told twice, by the dispatcher (which knows the deadline) and by the engine, in either order: the first counts,
        # but for the time, of which the earlier one does
        deadline = one.deadline if before is None or before.deadline is None else before.deadline
        at = min(one.at, before.at) if before else one.at
        batch.started[one.run, one.attempt] = replace(before or one, at=at, deadline=deadline)
    return [None] * len(those)


def write_started(batch: Batch, me: str) -> None:
    """Write the starts that no end of this batch took along."""
    if not batch.started:
        return
    batch.connection.execute(
        _STARTED,
        [
            {
                "b_id": one.run,
                "b_owner": me,
                "b_attempt": one.attempt,
                "b_external_id": one.external_id,
                "b_started_at": one.at.timestamp(),
                "b_deadline": one.deadline,
            }
            for one in batch.started.values()
        ],
    )
    batch.started.clear()


def note_progress(batch: Batch, those: Sequence[Progress], me: str) -> list[None]:
    newest = {(one.run, one.attempt): one for one in those}
    batch.connection.execute(
        _PROGRESS,
        [
            {"b_id": one.run, "b_owner": me, "b_attempt": one.attempt, "b_progress": rows.dumps(one.values)}
            for one in newest.values()
        ],
    )
    return [None] * len(those)


def note_postponed(batch: Batch, those: Sequence[Postponed], me: str) -> list[None]:
    back, held = [one for one in those if not one.held], [one for one in those if one.held]
    if back:
        told = [{**_told(one, me), "b_not_before": one.not_before} for one in back]
        batch.connection.execute(_POSTPONED, told)
    if held:
        batch.connection.execute(_HELD, [_told(one, me) for one in held])
    return [None] * len(those)


def _told(one: Postponed, me: str) -> dict[str, object]:
    return {"b_id": one.run, "b_owner": me, "b_attempt": one.attempt, "b_detail": one.why}


def due_jobs(connection: sa.Connection, now: float) -> set[str]:
    """Jobs with a waiting run that may start now, as far as its time is concerned."""
    due = {str(name) for (name,) in connection.execute(_DUE, {"now": now})}
    return due | {str(name) for (name,) in connection.execute(_NEVER_TIMED)}


def next_due(connection: sa.Connection) -> float | None:
    found = connection.execute(_NEXT_DUE).scalar()
    return None if found is None else float(found)


def overdue(connection: sa.Connection, me: str, now: float) -> list[RunId]:
    return [RunId(row.id) for row in connection.execute(_OVERDUE, {"me": me, "now": now})]


def stopping(connection: sa.Connection, me: str) -> list[Run]:
    return [rows.to_run(row) for row in connection.execute(_STOPPING, {"me": me})]


_PLACE = {name: place for place, name in enumerate(rows.RUN_COLUMNS)}


def _replace(fields: list[object], **values: object) -> None:
    for name, value in values.items():
        fields[_PLACE[name]] = value
