"""This file is where runs are asked for by name, by a person or a door that knows the job: an event and its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import bindparam

from headgate.catalog import Catalog
from headgate.errors import NotFound, TooManyRuns
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.accepting import Ask, decided_before
from headgate.ledger.recorder import Made, Recorder, as_run
from headgate.ledger.runs import Wanted
from headgate.ledger.writer import Batch
from headgate.model import Action, Job, Outcome, Run, RunId

_COPY_MANIFEST = (
    sa.select(schema.decision.c.event_seq, schema.decision.c.trigger, schema.decision.c.job)
    .join(schema.event, schema.event.c.seq == schema.decision.c.event_seq)
    .where(schema.decision.c.run == bindparam("run"), schema.event.c.bucket.is_not(None))
    .order_by(schema.decision.c.seq)
)


def ask_for_runs(batch: Batch, catalog: Catalog, asks: Sequence[Ask]) -> list[Run | Exception]:
    """Write each ask as an event and its run. Asked again with the same event identity, it answers the first run."""
    asks = [replace(ask, event=replace(ask.event, id=rows.event_id(ask.event.identity))) for ask in asks]
    known = decided_before(batch, [ask.event for ask in asks])
    catalog = catalogs.add_implicit(batch, catalog, [ask.implicit for ask in asks if ask.implicit is not None])
    recorder = Recorder(batch, catalog)
    answers: list[Made | RunId | Exception] = []
    copies: list[tuple[Ask, Made]] = []
    for ask in asks:
        job = catalog.jobs.get(ask.job)
        if ask.event.id in known:
            run = next((decision.run for decision in known[ask.event.id] if decision.run), None)
            answers.append(run or NotFound("run of event", ask.event.id))
        elif job is None:
            answers.append(no_such_job(ask.job, catalog))
        elif not recorder.room(ask.job, ask.queue):
            answers.append(TooManyRuns(ask.job, job.max_concurrent_runs))
        else:
            made = _ask(recorder, ask, job)
            answers.append(made)
            if ask.previous:
                copies.append((ask, made))
    recorder.flush()
    for ask, made in copies:
        _copy_manifest(batch, ask, made)
    return [_answer(batch, answer) for answer in answers]


def _ask(recorder: Recorder, ask: Ask, job: Job) -> Made:
    row = recorder.event(ask.event)
    made = recorder.make(
        Wanted(
            action=Action(job=job.name, timeout=ask.timeout),
            cause=replace(ask.cause, event=ask.event.id),
            root=None,
            downstream=ask.event.downstream,
            arguments=ask.arguments,
            previous=ask.previous,
            id=ask.run,
            queue=ask.queue,
        )
    )
    reason = f"asked for by {ask.cause.actor or 'someone'}"
    recorder.decide(row, trigger="", outcome=Outcome.FIRED, reason=reason, job=job.name, run=made)
    return made


def _copy_manifest(batch: Batch, ask: Ask, made: Made) -> None:
    """A retried run gets the objects of the run it is a retry of."""
    found = batch.connection.execute(_COPY_MANIFEST, {"run": ask.previous}).all()
    if not found:
        return
    batch.connection.execute(
        schema.decision.insert(),
        [
            {
                "event_seq": one.event_seq,
                "trigger": one.trigger,
                "job": one.job,
                "outcome": Outcome.JOINED.value,
                "reason": f"taken over from {ask.previous}",
                "run_seq": made.row["seq"],
                "run": made.id,
                "at": batch.now,
            }
            for one in found
        ],
    )
    made.row["objects"] = len(found)
    batch.connection.execute(schema.run.update().where(schema.run.c.seq == made.row["seq"]).values(objects=len(found)))


def no_such_job(name: str, catalog: Catalog) -> NotFound:
    known = ", ".join(sorted(catalog.jobs)[:10]) or "none"
    return NotFound("job", name, f"known jobs: {known}")


def _answer(batch: Batch, answer: Made | RunId | Exception) -> Run | Exception:
    if isinstance(answer, Made):
        return as_run(answer.row)
    if isinstance(answer, Exception):
        return answer
    for table in (schema.run, schema.history):
        if row := batch.connection.execute(sa.select(table).where(table.c.id == answer)).first():
            return rows.to_run(row)
    return NotFound("run", answer)
