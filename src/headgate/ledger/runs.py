"""This file is where new runs are made: at a door, by a trigger, by another run's end, or again after one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from headgate.ledger import dialects, rows, schema
from headgate.ledger.writer import Batch
from headgate.model import Action, Cause, Job, JobName, Predecessor, RunId, RunState, new_run_id

Row = dict[str, object]
#: What the ids of workflows' runs begin with. A run that belongs to one has that id for its root.
WORKFLOW_RUN: Final = "wr_"

_LOCK_JOB = sa.select(schema.job.c.name).where(schema.job.c.name == sa.bindparam("job"))
_UNDER_WAY = (
    sa.select(sa.func.count())
    .select_from(schema.run)
    .where(
        schema.run.c.job == sa.bindparam("job"),
        sa.or_(schema.IS_WAITING, schema.IS_OCCUPYING),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A run that is to be."""

    action: Action
    cause: Cause
    root: str | None
    downstream: bool
    predecessors: Sequence[Predecessor] = ()
    arguments: Mapping[str, str] | None = None  #: given by whoever asked; over the action's and the job's
    settle: float = 0.0
    objects: int = 0
    previous: RunId | None = None
    id: RunId | None = None
    queue: bool | None = None  #: whether it waits where the job is at its limit; None: as the job says
    workflow: str | None = None  #: it belongs to a run of this workflow, whose id is its root


def row_for(wanted: Wanted, job: Job, *, seq: int, now: float) -> Row:
    """The live row of a new run, WAITING.

    Arguments: the job's, the action's over them, the caller's over both, and over all what the job lets nobody change.
    """
    arguments = {**job.arguments, **wanted.action.arguments, **(wanted.arguments or {}), **job.fixed_arguments}
    if wanted.workflow is not None:
        arguments.update({"--WORKFLOW_NAME": wanted.workflow, "--WORKFLOW_RUN_ID": wanted.root or ""})
    settling = wanted.settle > 0
    return {
        "seq": seq,
        "id": wanted.id or new_run_id(),
        "job": job.name,
        "engine": job.engine,
        "state": RunState.WAITING.value,
        "detail": "settling" if settling else "queued",
        "attempt": 0,
        "event": wanted.cause.event,
        "trigger": wanted.cause.trigger,
        "actor": wanted.cause.actor,
        "reason": wanted.cause.reason,
        "arguments": rows.dumps(arguments),
        "external_id": None,
        "created_at": now,
        "started_at": None,
        "ended_at": None,
        "error": None,
        "result": None,
        "predecessors": rows.from_predecessors(wanted.predecessors),
        "timeout": wanted.action.timeout or job.timeout,
        "objects": wanted.objects,
        "owner": None,
        "root": wanted.root,
        "downstream": wanted.downstream,
        "not_before": now + wanted.settle if settling else None,
        "settle_until": now + 10 * wanted.settle if settling else None,
        "max_retries": job.max_retries,
        "progress": None,
        "stop_reason": None,
        "deadline": None,
        "previous": wanted.previous,
    }


def refused_row(wanted: Wanted, job: Job | None, *, seq: int, now: float, state: RunState, error: str) -> Row:
    """The history row of a run that was over before it began."""
    stand_in = job or Job(name=JobName(wanted.action.job), engine="", target={})
    row = row_for(wanted, stand_in, seq=seq, now=now)
    row.update(state=state.value, detail="refused", error=error, ended_at=now, not_before=None, settle_until=None)
    return row


def at_limit(batch: Batch, job: Job, *, added: int, queue: bool | None = None) -> bool:
    """Whether a job that does not queue has no place left, counting `added` runs of this batch not yet written.

    `queue`: what the call says of it, where it says anything; it wins over the job's own.
    """
    if job.queue if queue is None else queue:
        return False
    # asked at the same moment at two replicas, each would see the other's place as free
    batch.connection.execute(dialects.for_update(_LOCK_JOB, batch.connection), {"job": job.name}).all()
    under_way = int(batch.connection.execute(_UNDER_WAY, {"job": job.name}).scalar_one())
    return under_way + added >= job.max_concurrent_runs
