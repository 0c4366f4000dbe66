"""This file is where runs end: the end, what it fires and whom it concerns are written in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from headgate.catalog import Catalog
from headgate.errors import Conflict, NotFound
from headgate.flow import conditional
from headgate.flow import ending as rules
from headgate.ledger import dialects, glue_workflows, housekeeping, rows, schema
from headgate.ledger.recorder import Recorder
from headgate.ledger.runs import WORKFLOW_RUN, Row, Wanted
from headgate.ledger.writer import Batch
from headgate.model import (
    Backoff,
    Cause,
    Event,
    FiresFor,
    JobName,
    Json,
    Outcome,
    Predecessor,
    Run,
    RunId,
    RunState,
    Trigger,
)
from headgate.ports import TIMED_OUT, Announce, Ended, Ending, Message, Stop

RUN_ENDED = "RunEnded"
_FAILURES = (RunState.FAILED, RunState.TIMEOUT, RunState.ERROR)


_MINE = sa.select(schema.run).where(
    schema.run.c.id.in_(bindparam("ids", expanding=True)), schema.run.c.owner == bindparam("me"), schema.IS_OCCUPYING
)
_LIVE = sa.select(schema.run).where(schema.run.c.id == bindparam("id"))
_WAITING = sa.select(schema.run).where(schema.run.c.job == bindparam("job"), schema.IS_WAITING)
_DELETE = schema.run.delete().where(schema.run.c.seq.in_(bindparam("seqs", expanding=True)))
_RETRY = (
    schema.run.update()
    .where(schema.run.c.seq == bindparam("b_seq"))
    .values(
        state=RunState.WAITING.value,
        detail=rules.RETRY,
        attempt=schema.run.c.attempt + 1,
        owner=None,
        external_id=None,
        started_at=None,
        deadline=None,
        progress=None,
        error=bindparam("b_error"),
        not_before=bindparam("b_not_before"),
    )
)
_STOPPING = (
    schema.run.update()
    .where(schema.run.c.seq == bindparam("b_seq"))
    .values(state=RunState.STOPPING.value, stop_reason=bindparam("b_reason"), detail=bindparam("b_detail"))
)
_FAILING = sa.select(schema.health.c.job).where(
    schema.health.c.job.in_(bindparam("jobs", expanding=True)), schema.health.c.failing
)
_LATCHES = sa.select(schema.latch.c.job, schema.latch.c.run).where(
    schema.latch.c.trigger == bindparam("trigger"), schema.latch.c.root == bindparam("root")
)
_RESULTS = sa.select(schema.history.c.id, schema.history.c.result).where(
    schema.history.c.id.in_(bindparam("ids", expanding=True))
)
_LOCK_TRIGGER = sa.select(schema.trigger.c.name).where(schema.trigger.c.name == bindparam("name"))
_CLEAR = schema.latch.delete().where(
    schema.latch.c.trigger == bindparam("b_trigger"), schema.latch.c.root == bindparam("b_root")
)


@dataclass(slots=True)
class Endings:
    """The ends of one batch."""

    batch: Batch
    catalog: Catalog
    me: str
    fires_for: FiresFor
    announce: Announce
    recorder: Recorder = field(init=False)
    over: list[Row] = field(default_factory=list[Row])
    attempts: list[Row] = field(default_factory=list[Row])
    retries: list[Row] = field(default_factory=list[Row])
    ends: list[Run] = field(default_factory=list[Run])
    workflows: dict[str, dict[str, list[Trigger]]] = field(default_factory=dict[str, dict[str, list[Trigger]]])

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.batch, self.catalog)

    def end(self, those: Sequence[Ended]) -> list[RunState | None]:
        """Write the ends. None where it is not ours any more: the lease was lost, or it was told before."""
        connection = self.batch.connection
        ids = sorted({one.run for one in those})
        found = connection.execute(dialects.for_update(_MINE, connection), {"ids": ids, "me": self.me}).all()
        live: dict[str, dict[str, Any]] = {str(row.id): dict(zip(rows.RUN_COLUMNS, row, strict=True)) for row in found}
        answers: list[RunState | None] = []
        for one in those:
            row = live.get(one.run)
            if row is None or row["attempt"] != one.attempt:
                answers.append(None)
                continue
            del live[one.run]
            answers.append(self._end(row, one.ending))
        self.write()
        return answers

    def _end(self, row: dict[str, Any], ending: Ending) -> RunState:
        started = self.batch.started.pop((row["id"], row["attempt"]), None)
        if started is not None:
            row["external_id"] = started.external_id
            row["started_at"] = min(row["started_at"] or started.at.timestamp(), started.at.timestamp())
        # one that ended while nobody watched is told as started by whoever takes it over, which is later
        row["started_at"] = min(row["started_at"] or ending.at.timestamp(), ending.at.timestamp())
        run = _as_run(row)
        job = self.catalog.jobs.get(run.job)
        timed_out = row["stop_reason"] == TIMED_OUT
        decided = rules.after(run, ending, job.backoff if job else Backoff(), timed_out=timed_out)
        self.batch.to_claim.add(run.job)
        if isinstance(decided, rules.TryAgain):
            self._keep_attempt(row, RunState.FAILED, ending.at.timestamp(), decided.error)
            self.retries.append({"b_seq": row["seq"], "b_error": decided.error, "b_not_before": decided.at.timestamp()})
            self.batch.to_wake.add("due")
            return RunState.WAITING
        if row["attempt"]:
            self._keep_attempt(row, decided.state, ending.at.timestamp(), decided.error)
        result = {**rows.loads(row["result"]), **ending.result}
        row.update(
            state=decided.state.value,
            detail=decided.detail,
            error=decided.error,
            ended_at=ending.at.timestamp(),
            result=rows.dumps(result) if result else None,
        )
        self._over(row, run)
        return decided.state

    def stop(self, wanted: Stop, ask_engine: Callable[[Run], None]) -> Run | Exception:
        """End a waiting run at once; turn one under way to STOPPING and have its owner's engine end it."""
        connection = self.batch.connection
        found = connection.execute(dialects.for_update(_LIVE, connection), {"id": wanted.run}).mappings().first()
        if found is None:
            return self._not_live(wanted.run)
        row: dict[str, Any] = dict(found)
        state = RunState(row["state"])
        timed_out = wanted.reason == TIMED_OUT
        if state is RunState.WAITING:
            row.update(state=RunState.STOPPED.value, ended_at=self.batch.now, detail="stopped before it started")
            row.update(error=f"stopped by {wanted.actor}: {wanted.reason}" if wanted.reason else None)
            self._over(row, _as_run(row))
            self.write()
        elif state is not RunState.STOPPING:
            why = f": {wanted.reason}" if wanted.reason else ""
            detail = "timeout" if timed_out else f"stop asked for by {wanted.actor}{why}"
            row.update(state=RunState.STOPPING.value, stop_reason=wanted.reason or "stop", detail=detail)
            connection.execute(
                _STOPPING, {"b_seq": row["seq"], "b_reason": row["stop_reason"], "b_detail": row["detail"]}
            )
        run = _as_run(row)
        if run.state is RunState.STOPPING:
            if run.owner == self.me:
                self.batch.after(lambda: ask_engine(run))
            else:
                self.batch.to_wake.add("stop")
        return run

    def give_up(self, job: str) -> None:
        """End the waiting runs of a job that has just been deleted: nobody would ever start them."""
        for found in self.batch.connection.execute(_WAITING, {"job": job}).all():
            row: dict[str, Any] = dict(zip(rows.RUN_COLUMNS, found, strict=True))
            row.update(state=RunState.ERROR.value, ended_at=self.batch.now, detail="job deleted")
            row.update(error=f"the job {job!r} was deleted while this run waited for it")
            self._over(row, _as_run(row))
        self.write()

    def _not_live(self, run: RunId) -> Exception:
        table = schema.history
        ended = self.batch.connection.execute(sa.select(table.c.state).where(table.c.id == run)).scalar()
        if ended is None:
            return NotFound("run", run)
        return Conflict(f"the run {run} is over already: it ended {ended}")

    def _keep_attempt(self, row: Mapping[str, Any], state: RunState, at: float, error: str | None) -> None:
        self.attempts.append(
            {
                "run": row["id"],
                "number": row["attempt"],
                "state": state.value,
                "external_id": row["external_id"],
                "started_at": row["started_at"],
                "ended_at": at,
                "error": error,
            }
        )

    def _over(self, row: dict[str, Any], run: Run) -> None:
        """`row` is what the run is now, `run` what it was: only what an end changes is taken from the row."""
        row.update(owner=None, not_before=None, deadline=None, settle_until=None)
        self.over.append(row)
        ended = replace(
            run,
            state=RunState(row["state"]),
            detail=row["detail"],
            error=row["error"],
            external_id=row["external_id"],
            started_at=rows.moment(row["started_at"]),
            ended_at=rows.moment(row["ended_at"]),
            result=rows.loads(row["result"]),
            owner=None,
            not_before=None,
        )
        self.ends.append(ended)
        self._consider_triggers(ended)

    def _consider_triggers(self, run: Run) -> None:
        triggers = self._watching(run)
        if not triggers:
            return
        at = run.ended_at or datetime.fromtimestamp(self.batch.now, UTC)
        identity = f"ended:{run.id}"
        event = Event(
            id=rows.event_id(identity),
            door="conditional",
            kind=RUN_ENDED,
            identity=identity,
            at=at,
            payload={"job": run.job, "run": run.id, "state": run.state.value},
            downstream=run.downstream,
        )
        row = self.recorder.event(event)
        for trigger in sorted(triggers, key=lambda one: one.name):
            self._consider(run, trigger, event, row)

    def _watching(self, run: Run) -> Sequence[Trigger]:
        """Of a run that belongs to a workflow the workflow's triggers, and no others; of any other, no workflow's."""
        if run.root is None or not run.root.startswith(WORKFLOW_RUN):
            return self.catalog.watching.get(run.job, ())
        if run.root not in self.workflows:
            self.workflows[run.root] = glue_workflows.watching(self.batch.connection, run.root)
        return self.workflows[run.root].get(run.job, ())

    def _consider(self, run: Run, trigger: Trigger, event: Event, row: Row) -> None:
        mode = FiresFor.TRIGGERED if trigger.workflow else trigger.fires_for or self.fires_for
        root = conditional.latch_root(run, mode)
        latched = conditional.needs_latches(trigger)
        latches = self._latches(trigger, root) if latched else {}
        answer = conditional.consider(run, trigger, mode, latches)
        if isinstance(answer, conditional.Skips):
            self.recorder.decide(row, trigger=trigger.name, outcome=Outcome.SKIPPED, reason=answer.reason)
            return
        if isinstance(answer, conditional.Remembers):
            self._remember(trigger, run, root)
            reason = "latched: still waiting for " + ", ".join(answer.missing)
            self.recorder.decide(row, trigger=trigger.name, outcome=Outcome.SKIPPED, reason=reason)
            return
        if latched:
            self.batch.connection.execute(_CLEAR, {"b_trigger": trigger.name, "b_root": root})
        reason = " and ".join(f"{one.job} {one.run[:11]}…" for one in answer.predecessors) + f" ended {run.state}"
        for action in trigger.actions:
            handed = conditional.hand_on(action, self._results(answer.predecessors, run)) if action.from_result else {}
            if isinstance(handed, conditional.Skips):
                self.recorder.decide(
                    row, trigger=trigger.name, outcome=Outcome.SKIPPED, reason=handed.reason, job=action.job
                )
                continue
            made = self.recorder.make(
                Wanted(
                    action=action,
                    cause=Cause(event=event.id, trigger=trigger.name),
                    root=run.root or f"{event.id}:{trigger.name}",
                    downstream=run.downstream,
                    predecessors=answer.predecessors,
                    arguments=handed or None,
                    workflow=trigger.workflow,
                )
            )
            self.recorder.decide(
                row, trigger=trigger.name, outcome=Outcome.FIRED, reason=reason, job=action.job, run=made
            )

    def _results(self, predecessors: Sequence[Predecessor], run: Run) -> dict[RunId, Mapping[str, Json]]:
        """What the runs that fire have for results; that of the run that ends now is not written yet."""
        ids = [one.run for one in predecessors if one.run != run.id]
        found: dict[str, Any] = {}
        if ids:
            found.update((row.id, row.result) for row in self.batch.connection.execute(_RESULTS, {"ids": ids}))
            found.update((str(row["id"]), row["result"]) for row in self.over if row["id"] in ids)
        return {one.run: run.result if one.run == run.id else rows.loads(found.get(one.run)) for one in predecessors}

    def _latches(self, trigger: Trigger, root: str) -> dict[JobName, RunId]:
        connection = self.batch.connection
        # two replicas ending the two watched runs at once would each miss the other's latch
        connection.execute(dialects.for_update(_LOCK_TRIGGER, connection), {"name": trigger.name}).all()
        found = connection.execute(_LATCHES, {"trigger": trigger.name, "root": root})
        return {JobName(job): RunId(run) for job, run in found}

    def _remember(self, trigger: Trigger, run: Run, root: str) -> None:
        values = {"trigger": trigger.name, "job": run.job, "root": root, "run": run.id, "at": self.batch.now}
        self.batch.connection.execute(
            _upsert(self.batch.connection, schema.latch, ("trigger", "job", "root"), ("run", "at")), values
        )

    def write(self) -> None:
        """History before firings, so that a fired run never refers to something not there."""
        connection = self.batch.connection
        if self.over:
            connection.execute(_DELETE, {"seqs": [row["seq"] for row in self.over]})
            dialects.insert_many(connection, schema.history, self.over)
        if self.retries:
            connection.execute(_RETRY, self.retries)
        if self.attempts:
            connection.execute(
                _upsert(connection, schema.attempt, ("run", "number"), ("state", "ended_at", "error")), self.attempts
            )
        self.recorder.flush()
        self._announce()

    def _announce(self) -> None:
        if not self.ends:
            return
        connection = self.batch.connection
        jobs = sorted({run.job for run in self.ends})
        failing = {str(name) for (name,) in connection.execute(_FAILING, {"jobs": jobs})}
        messages: list[Message] = []
        changed: dict[str, Row] = {}
        for run in sorted(self.ends, key=lambda one: (one.ended_at, one.seq)):
            was_failing = run.job in failing
            messages.extend(self.announce(run, was_failing))
            fails = run.state in _FAILURES
            if fails != was_failing and (fails or run.state is RunState.SUCCEEDED):
                failing.symmetric_difference_update({run.job})
                changed[run.job] = {"job": run.job, "failing": fails, "run": run.id, "at": self.batch.now}
        if changed:
            upsert = _upsert(connection, schema.health, ("job",), ("failing", "run", "at"))
            connection.execute(upsert, [changed[name] for name in sorted(changed)])
        housekeeping.post(self.batch, messages)


def _as_run(row: Mapping[str, Any]) -> Run:
    return rows.to_run(list(row.values()))


def _upsert(connection: sa.Connection, table: sa.Table, keys: Sequence[str], values: Sequence[str]) -> sa.Insert:
    made = sqlite.insert(table) if dialects.is_sqlite(connection) else postgresql.insert(table)
    return made.on_conflict_do_update(index_elements=list(keys), set_={name: made.excluded[name] for name in values})
