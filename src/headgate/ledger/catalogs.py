"""This file is where jobs and triggers are kept: declared by the file, made through an API, switched on and off.

Who owns a definition: `serve` creates and updates what the file declares. It never changes whether a trigger is
enabled, never touches what an API made, never brings back what was deleted by hand: drift, which only `apply` mends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.catalog import Catalog
from headgate.errors import NotFound
from headgate.ledger import rows, schema
from headgate.ledger.writer import Batch
from headgate.model import Job, JobName, Origin, Trigger, TriggerName

VERSION = "catalog"
_INSERT: Mapping[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Does(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    ENABLE = "enable"
    DISABLE = "disable"
    RESTART = "restart"  #: only a restart of the server puts it in force


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is declared and what the ledger has. `drift`: only `apply` mends it."""

    kind: str  #: job | trigger | rule | setting; the ledger keeps the first two
    name: str
    does: Does
    drift: bool
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a configuration file says there is."""

    jobs: Mapping[JobName, Job]
    triggers: Mapping[TriggerName, Trigger]


def version(connection: Connection) -> int:
    found = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.name == VERSION)).scalar()
    return int(found or 0)


def read(connection: Connection) -> Catalog:
    """The catalog as it is now. The version is read first: a change in between makes it stale, never wrong for good."""
    number = version(connection)
    jobs = [
        rows.to_job(row.spec, row.origin)
        for row in connection.execute(sa.select(schema.job).where(sa.not_(schema.job.c.deleted)))
    ]
    found = connection.execute(
        sa.select(schema.trigger).where(sa.not_(schema.trigger.c.deleted)).order_by(schema.trigger.c.name)
    ).all()
    triggers = [rows.to_trigger(row.spec, enabled=row.enabled, origin=row.origin) for row in found]
    untouched = [TriggerName(row.name) for row in found if row.last_tick is None]
    return Catalog.of(number, jobs, triggers, untouched=untouched)


def plan(connection: Connection, declared: Declaration) -> list[Change]:
    """Every difference, jobs before triggers, by name."""
    found_jobs = {row.name: row for row in connection.execute(sa.select(schema.job))}
    found_triggers = {row.name: row for row in connection.execute(sa.select(schema.trigger))}
    changes: list[Change] = []
    for name in sorted({*declared.jobs, *found_jobs}):
        job = declared.jobs.get(JobName(name))
        changes.extend(_differences("job", name, rows.job_spec(job) if job else None, found_jobs.get(name)))
    for name in sorted({*declared.triggers, *found_triggers}):
        trigger = declared.triggers.get(TriggerName(name))
        found = found_triggers.get(name)
        changes.extend(_differences("trigger", name, rows.trigger_spec(trigger) if trigger else None, found))
        if trigger and found and not found.deleted and found.enabled != trigger.enabled:
            does = Does.ENABLE if trigger.enabled else Does.DISABLE
            changes.append(
                Change("trigger", name, does, True, {"enabled": bool(found.enabled)}, {"enabled": trigger.enabled})
            )
    return changes


def _differences(kind: str, name: str, wanted: str | None, found: Any) -> list[Change]:
    if wanted is None:
        if found is None or found.deleted or found.origin != Origin.DECLARED.value:
            return []
        return [Change(kind, name, Does.DELETE, True, rows.loads(found.spec), None)]
    after = rows.loads(wanted)
    if found is None:
        return [Change(kind, name, Does.CREATE, False, None, after)]
    if found.deleted:
        return [Change(kind, name, Does.RESTORE, True, rows.loads(found.spec), after)]
    if found.spec == wanted:
        return []
    # made or changed through an API since the file last said it: the file does not silently win
    drift = found.origin == Origin.API.value or (found.declared is not None and found.declared != found.spec)
    return [Change(kind, name, Does.UPDATE, drift, rows.loads(found.spec), after)]


def apply(batch: Batch, declared: Declaration, *, everything: bool, actor: str) -> list[Change]:
    """Make the ledger say what is declared; `everything`: mend drift too. Answers what was done."""
    done: list[Change] = []
    for change in plan(batch.connection, declared):
        if change.drift and not everything:
            continue
        if change.kind == "job":
            _put_job(batch, change, declared.jobs.get(JobName(change.name)))
        else:
            _put_trigger(batch, change, declared.triggers.get(TriggerName(change.name)))
        done.append(change)
        note(batch, actor=actor, action=f"{change.kind}.{change.does}", subject=change.name, reason=None)
    if done:
        changed(batch)
    return done


def _put_job(batch: Batch, change: Change, job: Job | None) -> None:
    table = schema.job
    if job is None:
        _mark_deleted(batch, table, change.name)
        return
    spec = rows.job_spec(job)
    values = {
        "max_concurrent_runs": job.max_concurrent_runs,
        "spec": spec,
        "declared": spec if job.origin is Origin.DECLARED else None,
        "origin": job.origin.value,
        "deleted": False,
        "updated_at": batch.now,
    }
    if change.does is Does.CREATE:
        batch.connection.execute(table.insert().values(name=job.name, created_at=batch.now, **values))
    else:
        batch.connection.execute(table.update().where(table.c.name == job.name).values(**values))
    batch.to_claim.add(job.name)  # a raised limit has places at once


def _put_trigger(batch: Batch, change: Change, trigger: Trigger | None) -> None:
    table = schema.trigger
    if trigger is None:
        _mark_deleted(batch, table, change.name)
        return
    if change.does in (Does.ENABLE, Does.DISABLE):
        _switch(batch, trigger.name, enabled=trigger.enabled)
        return
    spec = rows.trigger_spec(trigger)
    values: dict[str, object] = {
        "type": trigger.type.value,
        "spec": spec,
        "declared": spec if trigger.origin is Origin.DECLARED else None,
        "origin": trigger.origin.value,
        "deleted": False,
        "updated_at": batch.now,
    }
    if change.does in (Does.CREATE, Does.RESTORE):
        values.update(enabled=trigger.enabled, last_tick=batch.now)
    if change.does is Does.CREATE:
        batch.connection.execute(table.insert().values(name=trigger.name, created_at=batch.now, **values))
    else:
        batch.connection.execute(table.update().where(table.c.name == trigger.name).values(**values))
        batch.connection.execute(schema.latch.delete().where(schema.latch.c.trigger == trigger.name))


def _mark_deleted(batch: Batch, table: sa.Table, name: str) -> None:
    batch.connection.execute(table.update().where(table.c.name == name).values(deleted=True, updated_at=batch.now))


def add_implicit(batch: Batch, catalog: Catalog, jobs: Sequence[Job]) -> Catalog:
    """Make the jobs that rules imply, where there is none of that name; answers the catalog that has them."""
    missing = {job.name: job for job in jobs if job.name not in catalog.jobs}
    if not missing:
        return catalog
    table = schema.job
    for name, job in sorted(missing.items()):
        values: dict[str, object] = {
            "max_concurrent_runs": job.max_concurrent_runs,
            "spec": rows.job_spec(job),
            "origin": Origin.API.value,
            "declared": None,
            "deleted": False,
            "updated_at": batch.now,
        }
        # another replica may make it at this moment; who deleted it by hand did not delete the rule that names it
        made = _INSERT[batch.connection.dialect.name](table).values(name=name, created_at=batch.now, **values)
        batch.connection.execute(
            made.on_conflict_do_update(index_elements=["name"], set_=values, where=table.c.deleted)
        )
        # its description says what it was made for: a dataset's rule, or a run that brings its recipe
        note(batch, actor="system", action="job.create", subject=name, reason=job.description)
    changed(batch)
    return read(batch.connection)


def set_enabled(batch: Batch, name: TriggerName, *, enabled: bool, actor: str, reason: str) -> Trigger:
    """Switch a trigger on or off. Ticks and ends that came while it was off are never made up."""
    found = batch.connection.execute(
        sa.select(schema.trigger).where(schema.trigger.c.name == name, sa.not_(schema.trigger.c.deleted))
    ).first()
    if found is None:
        raise NotFound("trigger", name, "see `headgate triggers list`")
    if bool(found.enabled) != enabled:
        _switch(batch, name, enabled=enabled)
        changed(batch)
    note(batch, actor=actor, action="trigger.enable" if enabled else "trigger.disable", subject=name, reason=reason)
    return replace(rows.to_trigger(found.spec, enabled=enabled, origin=found.origin))


def _switch(batch: Batch, name: str, *, enabled: bool) -> None:
    table = schema.trigger
    values: dict[str, object] = {"enabled": enabled, "updated_at": batch.now}
    if enabled:
        values["last_tick"] = batch.now
    batch.connection.execute(table.update().where(table.c.name == name).values(**values))
    batch.connection.execute(schema.latch.delete().where(schema.latch.c.trigger == name))


def changed(batch: Batch) -> None:
    """Say that the catalog has a new version. Every replica looks at the number in each of its transactions."""
    table = schema.meta
    batch.connection.execute(table.update().where(table.c.name == VERSION).values(value=table.c.value + 1))
    batch.to_wake.add("catalog")
    batch.catalog = None


def note(
    batch: Batch, *, actor: str, action: str, subject: str, reason: str | None, detail: Mapping[str, Any] | None = None
) -> None:
    """Write who did what, to what, why, when."""
    batch.connection.execute(
        schema.audit.insert(),
        {
            "at": batch.now,
            "actor": actor,
            "action": action,
            "subject": subject,
            "reason": reason,
            "detail": rows.dumps(detail) if detail else None,
        },
    )


def last_ticks(connection: Connection) -> dict[TriggerName, float]:
    """Up to when each scheduled trigger has been dealt with (seconds since the epoch); its creation at first."""
    table = schema.trigger
    found = connection.execute(
        sa.select(table.c.name, sa.func.coalesce(table.c.last_tick, table.c.created_at)).where(
            sa.not_(table.c.deleted), table.c.type == "SCHEDULED"
        )
    )
    return {TriggerName(name): float(tick) for name, tick in found}


def not_begun(connection: Connection) -> dict[TriggerName, float]:
    """The scheduled triggers that never had a first start, and when each became active or was made."""
    table = schema.trigger
    found = connection.execute(
        sa.select(table.c.name, sa.func.coalesce(table.c.last_tick, table.c.created_at)).where(
            sa.not_(table.c.deleted), table.c.type == "SCHEDULED", table.c.first_start.is_(None)
        )
    )
    return {TriggerName(name): float(at) for name, at in found}


def begin(batch: Batch, name: TriggerName) -> bool:
    """Take the one first start of a trigger; False where it has been taken, by whatever replica."""
    table = schema.trigger
    taken = batch.connection.execute(
        table.update().where(table.c.name == name, table.c.first_start.is_(None)).values(first_start=batch.now)
    )
    return taken.rowcount == 1


def created(connection: Connection) -> dict[TriggerName, float]:
    table = schema.trigger
    found = connection.execute(
        sa.select(table.c.name, table.c.created_at).where(sa.not_(table.c.deleted), table.c.type == "SCHEDULED")
    )
    return {TriggerName(name): float(at) for name, at in found}
