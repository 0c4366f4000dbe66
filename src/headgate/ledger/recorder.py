"""This file is where one batch's new events, decisions and runs are gathered, numbered and written together."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial

from headgate.catalog import Catalog
from headgate.ledger import dialects, rows, schema
from headgate.ledger.claiming import places_now
from headgate.ledger.runs import Row, Wanted, at_limit, refused_row, row_for
from headgate.ledger.writer import Batch, Claimer
from headgate.model import Decision, Event, EventId, JobName, Outcome, Run, RunId, RunState


@dataclass(slots=True)
class Made:
    """A run that was made, or one that an event joins: its row, and whether it is over already (refused)."""

    row: Row
    over: bool = False

    @property
    def id(self) -> RunId:
        return RunId(str(self.row["id"]))


@dataclass(slots=True)
class Recorder:
    """Gathers rows; `flush` writes them. Everything it makes is in the batch's transaction or nowhere."""

    batch: Batch
    catalog: Catalog
    events: list[Row] = field(default_factory=list[Row])
    decisions: list[tuple[Row, Row, Made | None]] = field(default_factory=list[tuple[Row, Row, Made | None]])
    made: list[Made] = field(default_factory=list[Made])
    in_workflows: list[Row] = field(default_factory=list[Row])
    _added: Counter[str] = field(default_factory=Counter[str])

    def event(self, event: Event) -> Row:
        row = rows.event_row(event, 0, self.batch.now)
        self.events.append(row)
        return row

    def decide(
        self,
        event: Row,
        *,
        trigger: str,
        outcome: Outcome,
        reason: str,
        job: str | None = None,
        run: Made | None = None,
    ) -> Decision:
        row: Row = {
            "event_seq": 0,
            "trigger": trigger,
            "job": job,
            "outcome": outcome.value,
            "reason": reason,
            "run_seq": None,
            "run": run.id if run else None,
            "at": self.batch.now,
        }
        self.decisions.append((row, event, run))
        return Decision(
            event=EventId(str(event["id"])),
            trigger=trigger,
            outcome=outcome,
            reason=reason,
            run=run.id if run else None,
            job=JobName(job) if job else None,
        )

    def make(self, wanted: Wanted) -> Made:
        """Make the run, WAITING; or, where it can not be, over at once and saying why (as Glue records it)."""
        job = self.catalog.jobs.get(wanted.action.job)
        now = self.batch.now
        if job is None:
            error = f"the job {wanted.action.job!r} does not exist (deleted?)"
            row = refused_row(wanted, None, seq=0, now=now, state=RunState.ERROR, error=error)
            return self._keep(Made(row, True), wanted)
        if at_limit(self.batch, job, added=self._added[job.name], queue=wanted.queue):
            error = f"Max concurrent runs exceeded: {job.name} may have {job.max_concurrent_runs} and does not queue"
            row = refused_row(wanted, job, seq=0, now=now, state=RunState.FAILED, error=error)
            return self._keep(Made(row, True), wanted)
        self._added[job.name] += 1
        if not wanted.settle:
            self.batch.to_claim.add(job.name)
        self.batch.to_wake.add(f"job {job.name}")
        return self._keep(Made(row_for(wanted, job, seq=0, now=now)), wanted)

    def room(self, name: JobName, queue: bool | None = None) -> bool:
        """Whether a run of this job could be made now. False for one at its limit that does not queue."""
        job = self.catalog.jobs.get(name)
        return job is not None and not at_limit(self.batch, job, added=self._added[name], queue=queue)

    def flush(self) -> None:
        """Number and write it all: four statements at most, whatever the batch holds."""
        connection = self.batch.connection
        to_number = [*self.events, *(made.row for made in self.made)]
        if to_number:
            for row, seq in zip(to_number, dialects.take_numbers(connection, len(to_number)), strict=True):
                row["seq"] = seq
        if self.events:
            # in the order of ids, so that two replicas given the same events wait for each other and not in a circle
            dialects.insert_many(connection, schema.event, sorted(self.events, key=_by_id))
        if self.made:
            self._start_at_once()
            dialects.insert_many(connection, schema.run, [made.row for made in self.made if not made.over])
            dialects.insert_many(connection, schema.history, [made.row for made in self.made if made.over])
        for row, event, run in self.decisions:
            row["event_seq"] = event["seq"]
            row["run_seq"] = run.row["seq"] if run else None
        dialects.insert_many(connection, schema.decision, [row for row, _, _ in self.decisions])
        if self.in_workflows:
            dialects.insert_many(connection, schema.glue_workflow_action, self.in_workflows)

    def _start_at_once(self) -> None:
        """Claim new runs before they are written, where nobody waits before them: one write in place of three."""
        claimer = self.batch.claimer
        if claimer is None:
            return
        by_job: dict[str, list[Row]] = defaultdict(list)
        for made in self.made:
            if not made.over and made.row["not_before"] is None:
                by_job[str(made.row["job"])].append(made.row)
        for job, waiting in sorted(by_job.items()):
            known = self.catalog.jobs.get(JobName(job)) if claimer.alone else None
            places = places_now(self.batch, job, limit=known.max_concurrent_runs if known else None)
            for row in waiting[: max(places, 0)]:
                row.update(state=RunState.STARTING.value, detail="", owner=claimer.id)
                self.batch.after(partial(_hand_over, claimer, row))
            if len(waiting) <= places:
                self.batch.to_claim.discard(job)

    def _keep(self, made: Made, wanted: Wanted) -> Made:
        self.made.append(made)
        if wanted.workflow is not None:
            by, job = wanted.cause.trigger or "", wanted.action.job
            self.in_workflows.append({"workflow_run": wanted.root, "run": made.id, "trigger": by, "job": job})
        return made


def _hand_over(claimer: Claimer, row: Row) -> None:
    claimer.hand_over(as_run(row))


def as_run(row: Row) -> Run:
    return rows.to_run([row[name] for name in rows.RUN_COLUMNS])


def _by_id(row: Row) -> str:
    return str(row["id"])
