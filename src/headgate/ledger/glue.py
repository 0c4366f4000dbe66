"""This file is where definitions made through Glue's API are kept: what was said, beside what it became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.errors import NotFound
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.writer import Batch
from headgate.model import Job, Origin, Trigger, TriggerName

_INSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
Members = Mapping[str, Any]


class Made(StrEnum):
    """What came of a definition that was to be new."""

    NEW = "new"
    SAME = "same"  #: it was there already, said in the same words: a call that was sent again
    OTHER = "other"  #: there is one of that name, said otherwise
    DECLARED = "declared"  #: there is one of that name that no such call made


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a call said of a definition."""

    members: Members
    tags: Mapping[str, str]
    invocation: str = ""  #: the call's, by which its repetition is recognised


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    job: Job
    members: Members  #: as Glue's API was told; empty for a job it was not told of
    tags: Mapping[str, str]
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRow:
    trigger: Trigger
    members: Members
    tags: Mapping[str, str]
    touched: bool  #: switched on or off since it was made


def jobs(connection: Connection, names: Sequence[str]) -> dict[str, JobRow]:
    """Those of these jobs that there are."""
    return {
        row.name: JobRow(
            job=rows.to_job(row.spec, row.origin),
            members=rows.loads(row.members),
            tags=_tags(row.tags),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in _read(connection, schema.job, "job", names)
    }


def triggers(connection: Connection, names: Sequence[str]) -> dict[str, TriggerRow]:
    """Those of these triggers that there are."""
    return {
        row.name: TriggerRow(
            trigger=rows.to_trigger(row.spec, enabled=bool(row.enabled), origin=row.origin),
            members=rows.loads(row.members),
            tags=_tags(row.tags),
            touched=row.last_tick is not None,
        )
        for row in _read(connection, schema.trigger, "trigger", names)
    }


def python_shells(connection: Connection) -> set[str]:
    """The jobs whose Command, as Glue's API was told of it, is a Python shell's."""
    told = schema.glue_definition
    found = connection.execute(sa.select(told.c.name, told.c.members).where(told.c.kind == "job"))
    commands = {row.name: rows.loads(row.members).get("Command") for row in found}
    return {name for name, one in commands.items() if isinstance(one, dict) and one.get("Name") == "pythonshell"}


def _read(connection: Connection, table: sa.Table, kind: str, names: Sequence[str]) -> list[Any]:
    told = schema.glue_definition
    statement = sa.select(table, told.c.members, told.c.tags).outerjoin(
        told, sa.and_(told.c.kind == kind, told.c.name == table.c.name)
    )
    found: list[Any] = []
    for portion in range(0, len(names), 500):
        some = statement.where(table.c.name.in_(names[portion : portion + 500]), sa.not_(table.c.deleted))
        found.extend(connection.execute(some))
    return found


def create_job(batch: Batch, job: Job, told: Told, *, actor: str) -> Made:
    made = _made(batch, schema.job, "job", job.name, told)
    if made is Made.NEW:
        tell(batch, "job", job.name, told)
        _write_job(batch, job)
        catalogs.note(batch, actor=actor, action="job.create", subject=job.name, reason=None)
    return made


def update_job(batch: Batch, job: Job, members: Members, *, actor: str) -> None:
    """Overwrite the whole definition of a job that there is."""
    retell(batch, "job", job.name, members)
    _write_job(batch, job)
    catalogs.note(batch, actor=actor, action="job.update", subject=job.name, reason=None)


def _write_job(batch: Batch, job: Job) -> None:
    values: dict[str, object] = {
        "max_concurrent_runs": job.max_concurrent_runs,
        "spec": rows.job_spec(job),
        "origin": Origin.API.value,
        "deleted": False,
        "updated_at": batch.now,
    }
    # what a file last declared of it stays: by that, drift is seen
    _upsert(batch, schema.job, {"name": job.name}, values, {"created_at": batch.now, "declared": None})
    batch.to_claim.add(job.name)  # a raised limit has places at once
    catalogs.changed(batch)


def create_trigger(batch: Batch, trigger: Trigger, told: Told, *, actor: str) -> Made:
    made = _made(batch, schema.trigger, "trigger", trigger.name, told)
    if made is Made.NEW:
        tell(batch, "trigger", trigger.name, told)
        _write_trigger(batch, trigger, new=True)
        catalogs.note(batch, actor=actor, action="trigger.create", subject=trigger.name, reason=None)
    return made


def update_trigger(batch: Batch, trigger: Trigger, members: Members, *, actor: str) -> None:
    """Overwrite what a trigger does; whether it is switched on stays, what it remembers goes."""
    retell(batch, "trigger", trigger.name, members)
    _write_trigger(batch, trigger, new=False)
    catalogs.note(batch, actor=actor, action="trigger.update", subject=trigger.name, reason=None)


def _write_trigger(batch: Batch, trigger: Trigger, *, new: bool) -> None:
    values: dict[str, object] = {
        "type": trigger.type.value,
        "spec": rows.trigger_spec(trigger),
        "origin": Origin.API.value,
        "deleted": False,
        "updated_at": batch.now,
    }
    if new:  # what ticked before it was switched on is not made up; never switched on is no tick at all
        values.update(enabled=trigger.enabled, last_tick=batch.now if trigger.enabled else None)
    first: dict[str, object] = {"created_at": batch.now, "declared": None, "enabled": trigger.enabled}
    _upsert(batch, schema.trigger, {"name": trigger.name}, values, first)
    batch.connection.execute(schema.latch.delete().where(schema.latch.c.trigger == trigger.name))
    catalogs.changed(batch)


def stop_trigger(batch: Batch, name: TriggerName, *, actor: str) -> None:
    """Switch it off; one that never was on has been touched from now on. Raises NotFound."""
    catalogs.set_enabled(batch, name, enabled=False, actor=actor, reason="StopTrigger")
    table = schema.trigger
    touched = batch.connection.execute(
        table.update().where(table.c.name == name, table.c.last_tick.is_(None)).values(last_tick=batch.now)
    )
    if touched.rowcount:
        catalogs.changed(batch)


def delete(batch: Batch, kind: str, name: str, *, actor: str) -> bool:
    """Take a job or trigger away, whoever made it; its history stays. False: there is none."""
    table = schema.job if kind == "job" else schema.trigger
    gone = batch.connection.execute(
        table.update().where(table.c.name == name, sa.not_(table.c.deleted)).values(deleted=True, updated_at=batch.now)
    )
    forget(batch, kind, name)
    if not gone.rowcount:
        return False
    if kind == "trigger":
        batch.connection.execute(schema.latch.delete().where(schema.latch.c.trigger == name))
    else:
        batch.connection.execute(schema.glue_bookmark.delete().where(schema.glue_bookmark.c.job == name))
    catalogs.changed(batch)
    catalogs.note(batch, actor=actor, action=f"{kind}.delete", subject=name, reason=None)
    return True


def tags(connection: Connection, kind: str, name: str) -> dict[str, str]:
    """Raises NotFound where there is no job, trigger or workflow of that name."""
    told = schema.glue_definition
    _must_be(connection, kind, name)
    return _tags(
        connection.execute(sa.select(told.c.tags).where(told.c.kind == kind, told.c.name == name)).scalar_one_or_none()
    )


def all_tags(connection: Connection, kind: str) -> dict[str, dict[str, str]]:
    """By name, of those that have any."""
    told = schema.glue_definition
    found = connection.execute(sa.select(told.c.name, told.c.tags).where(told.c.kind == kind, told.c.tags != "{}"))
    return {row.name: _tags(row.tags) for row in found}


def set_tags(batch: Batch, kind: str, name: str, wanted: Mapping[str, str], *, actor: str) -> None:
    """Let it have these tags and no others. Raises NotFound."""
    told = schema.glue_definition
    _must_be(batch.connection, kind, name)
    _upsert(
        batch, told, {"kind": kind, "name": name}, {"tags": rows.dumps(dict(wanted)), "updated_at": batch.now},
        {"members": "{}", "invocation": "", "created_at": batch.now},
    )  # fmt: skip
    catalogs.note(batch, actor=actor, action=f"{kind}.tag", subject=name, reason=None)


def _must_be(connection: Connection, kind: str, name: str) -> None:
    told = schema.glue_definition
    if kind == "workflow":
        statement = sa.select(told.c.name).where(told.c.kind == kind, told.c.name == name)
    else:
        table = schema.job if kind == "job" else schema.trigger
        statement = sa.select(table.c.name).where(table.c.name == name, sa.not_(table.c.deleted))
    if connection.execute(statement).first() is None:
        raise NotFound(kind, name)


def absent_jobs(batch: Batch, names: Sequence[str]) -> list[str]:
    """Which of these jobs there are not, as of this transaction."""
    table = schema.job
    wanted = sorted(set(names))
    found = batch.connection.execute(sa.select(table.c.name).where(table.c.name.in_(wanted), sa.not_(table.c.deleted)))
    there = set(found.scalars())
    return [name for name in wanted if name not in there]


def _made(batch: Batch, table: sa.Table, kind: str, name: str, told: Told) -> Made:
    there = batch.connection.execute(
        sa.select(table.c.origin).where(table.c.name == name, sa.not_(table.c.deleted))
    ).first()
    if there is None:
        return Made.NEW
    return Made.DECLARED if there.origin == Origin.DECLARED.value else compared(batch, kind, name, told)


def compared(batch: Batch, kind: str, name: str, told: Told) -> Made:
    """How a definition that is there was said."""
    table = schema.glue_definition
    kept = batch.connection.execute(sa.select(table).where(table.c.kind == kind, table.c.name == name)).first()
    if kept is None or (kept.members == "{}" and kind != "workflow"):
        return Made.DECLARED
    same = kept.members == rows.dumps(told.members) and kept.tags == rows.dumps(dict(told.tags))
    again = bool(told.invocation) and kept.invocation == told.invocation
    return Made.SAME if same or again else Made.OTHER


def tell(batch: Batch, kind: str, name: str, told: Told) -> None:
    """Keep what was said of something new."""
    values: dict[str, object] = {
        "members": rows.dumps(told.members), "tags": rows.dumps(dict(told.tags)), "invocation": told.invocation,
        "created_at": batch.now, "updated_at": batch.now,
    }  # fmt: skip
    _upsert(batch, schema.glue_definition, {"kind": kind, "name": name}, values, {})


def retell(batch: Batch, kind: str, name: str, members: Members) -> None:
    """Keep what was said of something that is there; its tags stay."""
    values: dict[str, object] = {"members": rows.dumps(members), "updated_at": batch.now}
    first: dict[str, object] = {"tags": "{}", "invocation": "", "created_at": batch.now}
    _upsert(batch, schema.glue_definition, {"kind": kind, "name": name}, values, first)


def noted(batch: Batch, action: str, subject: str, *, actor: str) -> None:
    catalogs.note(batch, actor=actor, action=action, subject=subject, reason=None)


def forget(batch: Batch, kind: str, name: str) -> None:
    told = schema.glue_definition
    batch.connection.execute(told.delete().where(told.c.kind == kind, told.c.name == name))


def _upsert(
    batch: Batch, table: sa.Table, key: Mapping[str, str], values: Mapping[str, object], first: Mapping[str, object]
) -> None:
    """`values` are written in any case, `first` only with a new row."""
    made = _INSERT[batch.connection.dialect.name](table).values(**{**first, **values}, **key)
    batch.connection.execute(made.on_conflict_do_update(index_elements=list(key), set_=dict(values)))


def _tags(text: str | None) -> dict[str, str]:
    return {name: str(value) for name, value in rows.loads(text).items()}
