"""This file is where workflows run: a start, a snapshot of the triggers that follow, and the runs that belong to it.

Whether a workflow's run is over is not written anywhere: it is seen from its runs. A run's end and what it fires are
one transaction, so there is no moment at which none is under way and one is still to come.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam

from headgate.catalog import Catalog
from headgate.errors import Conflict, NotFound
from headgate.ledger import catalogs, dialects, reading, rows, schema
from headgate.ledger.recorder import Recorder
from headgate.ledger.runs import WORKFLOW_RUN, Row, Wanted
from headgate.ledger.writer import Batch
from headgate.model import (
    Action,
    Cause,
    Decision,
    Event,
    Json,
    Logical,
    Outcome,
    Run,
    RunState,
    Trigger,
    TriggerType,
)

KIND: Final = "workflow"
_STOP: Final = "workflow.stop"
STARTS: Final = frozenset({TriggerType.ON_DEMAND, TriggerType.SCHEDULED, TriggerType.EVENT})
_DEFINITION: Final = sa.select(schema.glue_definition).where(
    schema.glue_definition.c.kind == KIND, schema.glue_definition.c.name == bindparam("name")
)
_UNDER_WAY: Final = (
    sa.select(sa.func.count(sa.distinct(schema.glue_workflow_action.c.workflow_run)))
    .join(schema.run, schema.run.c.id == schema.glue_workflow_action.c.run)
    .join(schema.glue_workflow_run, schema.glue_workflow_run.c.id == schema.glue_workflow_action.c.workflow_run)
    .where(schema.glue_workflow_run.c.workflow == bindparam("name"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    name: str
    members: Mapping[str, Any]  #: in Glue's words
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run of a job that belongs to a workflow's run."""

    run: Run
    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    id: str
    seq: int
    workflow: str
    previous: str | None
    properties: Mapping[str, str]
    events: Sequence[tuple[str, float]]  #: the batch of events that it started with, and when each was recorded
    triggers: Sequence[Trigger]  #: as they were when it started
    created_at: float
    stopped_at: float | None
    error: str | None
    done: Sequence[Done]

    @property
    def live(self) -> list[Run]:
        return [one.run for one in self.done if one.run.ended_at is None]

    @property
    def status(self) -> str:
        """RUNNING, STOPPING, STOPPED, COMPLETED (whatever became of its jobs) or ERROR (it never started)."""
        if self.error is not None:
            return "ERROR"
        if self.live:
            return "STOPPING" if self.stopped_at is not None else "RUNNING"
        return "STOPPED" if self.stopped_at is not None else "COMPLETED"

    @property
    def completed_at(self) -> float | None:
        if self.live:
            return None
        ends = [one.run.ended_at.timestamp() for one in self.done if one.run.ended_at is not None]
        return max([*ends, self.stopped_at or 0.0], default=0.0) or self.created_at


class AtLimit(Conflict):
    """The workflow has as many runs as it may."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Concurrent runs exceeded for workflow: {name}.")


def find(connection: Connection, name: str) -> Workflow | None:
    row = connection.execute(_DEFINITION, {"name": name}).first()
    if row is None:
        return None
    return Workflow(
        name=row.name, members=rows.loads(row.members), created_at=row.created_at, updated_at=row.updated_at
    )


def names(connection: Connection) -> list[str]:
    table = schema.glue_definition
    return list(connection.execute(sa.select(table.c.name).where(table.c.kind == KIND)).scalars())


def triggers_of(catalog: Catalog, name: str) -> list[Trigger]:
    """The workflow's triggers, by name."""
    return sorted((one for one in catalog.triggers.values() if one.workflow == name), key=lambda one: one.name)


# -- starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A run of a workflow that somebody, or its schedule, asks for."""

    workflow: str
    event: Event
    properties: Mapping[str, str]
    actor: str | None
    previous: str | None = None
    only: Sequence[str] | None = None  #: the jobs to start with; None: those of the start trigger
    settle: float = 0.0  #: seconds for which its first runs wait for more events


def start(batch: Batch, catalog: Catalog, wish: Wish) -> str | Exception:
    """Start a run of the workflow; answers its id. Asked again with the same event identity, it answers the first.

    Fails with NotFound (no such workflow, or nothing that starts it) or AtLimit.
    """
    event = replace(wish.event, id=rows.event_id(wish.event.identity))
    table = schema.glue_workflow_run
    known = batch.connection.execute(sa.select(table.c.id).where(table.c.event == event.id)).scalar()
    if known is not None:
        return str(known)
    recorder = Recorder(batch, catalog)
    row = recorder.event(event)
    begun = begin(recorder, row, replace(wish, event=event))
    if isinstance(begun, Exception):
        return begun
    recorder.flush()
    catalogs.note(
        batch, actor=wish.actor or "", action="workflow.start", subject=wish.workflow, reason=None,
        detail={"run": begun[0]},
    )  # fmt: skip
    return begun[0]


def begin(recorder: Recorder, row: Row, wish: Wish) -> tuple[str, list[Decision]] | Exception:
    """Write the workflow's run and make the runs it starts with; the recorder is flushed by who calls."""
    connection = recorder.batch.connection
    found = connection.execute(dialects.for_update(_DEFINITION, connection), {"name": wish.workflow}).first()
    if found is None:
        return NotFound("workflow", wish.workflow)
    snapshot = triggers_of(recorder.catalog, wish.workflow)
    starting = _starting(connection, wish, snapshot)
    if not starting:
        return NotFound("start trigger of workflow", wish.workflow)
    members = rows.loads(found.members)
    most: Any = members.get("MaxConcurrentRuns")
    if most and _under_way(recorder, wish.workflow) >= most:
        return AtLimit(wish.workflow)
    defaults: Any = members.get("DefaultRunProperties") or {}
    id_ = _write(recorder.batch, wish, {**defaults, **wish.properties}, snapshot)
    decisions = [_fire(recorder, row, wish, id_, trigger, action) for trigger, action in starting]
    return id_, decisions


def _under_way(recorder: Recorder, name: str) -> int:
    """How many runs the workflow has: those that are written, and those that this batch is about to write."""
    new = {str(made.row["root"]) for made in recorder.made if not made.over and made.row["root"]}
    table, connection = schema.glue_workflow_run, recorder.batch.connection
    mine = sa.select(sa.func.count()).where(table.c.workflow == name, table.c.id.in_(new))
    count = int(connection.execute(_UNDER_WAY, {"name": name}).scalar_one())
    return count + (int(connection.execute(mine).scalar_one()) if new else 0)


def _starting(connection: Connection, wish: Wish, snapshot: Sequence[Trigger]) -> list[tuple[Trigger, Action]]:
    if wish.only is None:
        return [(one, action) for one in snapshot if one.type in STARTS for action in one.actions]
    actions = [(one, action) for one in snapshot for action in one.actions if action.job in wish.only]
    if wish.previous is None:
        return actions
    # resumed: by the triggers that had started these jobs
    table = schema.glue_workflow_action
    had = {
        (row.trigger, row.job)
        for row in connection.execute(sa.select(table).where(table.c.workflow_run == wish.previous))
    }
    return [(one, action) for one, action in actions if (one.name, action.job) in had]


def _write(
    batch: Batch, wish: Wish, properties: Mapping[str, str], snapshot: Sequence[Trigger], error: str | None = None
) -> str:
    id_ = WORKFLOW_RUN + secrets.token_hex(32)
    batch.connection.execute(
        schema.glue_workflow_run.insert(),
        {
            "id": id_,
            "workflow": wish.workflow,
            "previous": wish.previous,
            "properties": rows.dumps(dict(properties)),
            "snapshot": rows.dumps([{"spec": rows.trigger_spec(one), "enabled": one.enabled} for one in snapshot]),
            "event": wish.event.id,
            "actor": wish.actor,
            "stopped_at": None,
            "error": error,
            "created_at": batch.now,
        },
    )
    return id_


def _fire(recorder: Recorder, row: Row, wish: Wish, id_: str, trigger: Trigger, action: Action) -> Decision:  # noqa: PLR0917 - one place calls it
    made = recorder.make(
        Wanted(
            action=action,
            cause=Cause(event=wish.event.id, trigger=trigger.name, actor=wish.actor),
            root=id_,
            downstream=True,
            workflow=wish.workflow,
            settle=wish.settle,
            objects=1 if wish.event.object else 0,
        )
    )
    reason = str(made.row["error"]) if made.over else f"run {id_[:11]}… of workflow {wish.workflow}"
    return recorder.decide(row, trigger=trigger.name, outcome=Outcome.FIRED, reason=reason, job=action.job, run=made)


def fired(recorder: Recorder, row: Row, event: Event, trigger: Trigger) -> list[Decision]:
    """A workflow's start trigger ticked, or somebody fired it: a run of the workflow starts, or it says why not."""
    actor: Any = event.payload.get("actor")
    wish = Wish(
        workflow=str(trigger.workflow), event=event, properties={}, actor=actor, settle=trigger.settle
    )  # fmt: skip
    begun = begin(recorder, row, wish)
    if isinstance(begun, AtLimit):
        # as AWS has it: a run of the workflow that never started, and says why
        _write(recorder.batch, wish, {}, triggers_of(recorder.catalog, wish.workflow), str(begun))
    if isinstance(begun, Exception):
        return [recorder.decide(row, trigger=trigger.name, outcome=Outcome.SKIPPED, reason=str(begun))]
    return begun[1]


# -- what follows


def watching(connection: Connection, id_: str) -> dict[str, list[Trigger]]:
    """The conditional triggers of a workflow's run, by the jobs they watch. None of one that was stopped."""
    table = schema.glue_workflow_run
    row = connection.execute(sa.select(table.c.snapshot, table.c.stopped_at).where(table.c.id == id_)).first()
    found: dict[str, list[Trigger]] = defaultdict(list)
    if row is None or row.stopped_at is not None:
        return found
    for trigger in _snapshot(row.snapshot):
        if trigger.type is TriggerType.CONDITIONAL and trigger.predicate is not None:
            for job in {condition.job for condition in trigger.predicate.conditions}:
                found[job].append(trigger)
    return found


def _snapshot(text: str) -> list[Trigger]:
    kept: Any = rows.load_list(text)
    return [rows.to_trigger(one["spec"], enabled=bool(one["enabled"]), origin="api") for one in kept]


# -- looking


def run(connection: Connection, name: str, id_: str) -> WorkflowRun | None:
    table = schema.glue_workflow_run
    row = connection.execute(sa.select(table).where(table.c.id == id_, table.c.workflow == name)).first()
    return _runs(connection, [row])[0] if row else None


def page(connection: Connection, name: str, *, before: int | None, limit: int) -> reading.Page[WorkflowRun]:
    """Runs of the workflow, newest first."""
    table = schema.glue_workflow_run
    statement = sa.select(table).where(table.c.workflow == name).order_by(table.c.seq.desc()).limit(limit + 1)
    if before is not None:
        statement = statement.where(table.c.seq < before)
    found = connection.execute(statement).all()
    runs = _runs(connection, found[:limit])
    return reading.Page(runs, runs[-1].seq if len(found) > limit else None)


def _runs(connection: Connection, found: Sequence[Any]) -> list[WorkflowRun]:
    action = schema.glue_workflow_action
    done: dict[str, dict[str, Done]] = defaultdict(dict)
    for table in (schema.run, schema.history):  # one that ends in between is seen by both; over is what it is
        statement = (
            sa.select(*table.columns, action.c.workflow_run, action.c.trigger.label("by"))
            .join(action, action.c.run == table.c.id)
            .where(action.c.workflow_run.in_([row.id for row in found]))
            .order_by(table.c.seq)
        )
        for row in connection.execute(statement):
            one = rows.to_run(row[: len(rows.RUN_COLUMNS)])
            done[row.workflow_run][one.id] = Done(run=one, trigger=row.by)
    events = _events(connection, [id_ for those in done.values() for id_, one in those.items() if one.run.objects])
    return [
        WorkflowRun(
            id=row.id,
            seq=row.seq,
            workflow=row.workflow,
            previous=row.previous,
            properties={name: str(value) for name, value in rows.loads(row.properties).items()},
            events=next((events[one] for one in done[row.id] if one in events), ()),
            triggers=_snapshot(row.snapshot),
            created_at=row.created_at,
            stopped_at=row.stopped_at,
            error=row.error,
            done=sorted(done[row.id].values(), key=lambda one: one.run.seq),
        )
        for row in found
    ]


def _events(connection: Connection, runs: Sequence[str]) -> dict[str, list[tuple[str, float]]]:
    """Of each run the events about objects that are its, in their order."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    statement = (
        sa.select(schema.decision.c.run, schema.event.c.id, schema.decision.c.at)
        .join(schema.event, schema.event.c.seq == schema.decision.c.event_seq)
        .where(schema.decision.c.run.in_(runs), schema.event.c.bucket.is_not(None))
        .order_by(schema.decision.c.seq)
    )
    for row in connection.execute(statement) if runs else ():
        found[row.run].append((row.id, row.at))
    return found


# -- changing


def put_properties(batch: Batch, name: str, id_: str, properties: Mapping[str, str]) -> bool:
    """Add these, over those of the same names. False: there is no such run."""
    table = schema.glue_workflow_run
    statement = sa.select(table.c.properties).where(table.c.id == id_, table.c.workflow == name)
    kept = batch.connection.execute(dialects.for_update(statement, batch.connection)).scalar()
    if kept is None:
        return False
    merged: dict[str, Json] = {**rows.loads(kept), **properties}
    batch.connection.execute(table.update().where(table.c.id == id_).values(properties=rows.dumps(merged)))
    return True


def stop(batch: Batch, id_: str, *, actor: str, invocation: str = "") -> None:
    """From now on nothing follows in this run. What is under way is for the caller to stop.

    `invocation`: the call's, by which its repetition is recognised.
    """
    table = schema.glue_workflow_run
    batch.connection.execute(table.update().where(table.c.id == id_).values(stopped_at=batch.now))
    catalogs.note(batch, actor=actor, action=_STOP, subject=id_, reason=None, detail={"invocation": invocation})


def has_stopped(connection: Connection, stopped: WorkflowRun, invocation: str) -> bool:
    """Whether it was this call that stopped the run."""
    table = schema.audit  # which is indexed by time
    statement = sa.select(table.c.detail).where(
        table.c.at == stopped.stopped_at, table.c.action == _STOP, table.c.subject == stopped.id
    )
    return any(rows.loads(text).get("invocation") == invocation for text in connection.execute(statement).scalars())


def resume(batch: Batch, catalog: Catalog, earlier: WorkflowRun, wish: Wish) -> str | Exception:
    """Start a run that goes on from some jobs of an earlier one; what the others came to then counts in it."""
    id_ = start(batch, catalog, wish)
    if isinstance(id_, Exception) or wish.only is None:
        return id_
    again = set(wish.only)
    came: dict[str, tuple[RunState, str]] = {one.run.job: (one.run.state, one.run.id) for one in earlier.done}
    latches: list[Row] = []
    for trigger in earlier.triggers:
        predicate = trigger.predicate
        if predicate is None or predicate.logical is not Logical.AND or len(predicate.conditions) < 2:
            continue
        for condition in predicate.conditions:
            state, run_id = came.get(condition.job, (None, ""))
            if condition.job not in again and state is condition.state:
                latches.append(
                    {"trigger": trigger.name, "job": condition.job, "root": id_, "run": run_id, "at": batch.now}
                )
    dialects.insert_many(batch.connection, schema.latch, latches)
    return id_


def forget(connection: Connection, before: float) -> None:
    """Delete runs of workflows that began before then and are over; the runs of their jobs have gone by themselves."""
    run, action = schema.glue_workflow_run, schema.glue_workflow_action
    live = sa.select(action.c.workflow_run).join(schema.run, schema.run.c.id == action.c.run)
    old = sa.select(run.c.id).where(run.c.created_at < before, run.c.id.not_in(live))
    connection.execute(action.delete().where(action.c.workflow_run.in_(old)))
    connection.execute(run.delete().where(run.c.created_at < before, run.c.id.not_in(live)))
