"""This file is where the REST API is read: jobs, triggers, events, decisions, runs, the plan, the audit, the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from headgate import __version__, shapes
from headgate.errors import NotFound
from headgate.flow.timeouts import suggest
from headgate.gate import MOST_EXTERNAL, Gate
from headgate.http.answers import Answer
from headgate.http.asked import (
    Before,
    Given,
    Limit,
    MomentGiven,
    Name,
    Number,
    Offset,
    OutcomeGiven,
    Seq,
    StateGiven,
    Text,
    TheGate,
    page_token,
)
from headgate.http.live import Broadcaster, EventStream, log_frames
from headgate.ledger.reading import EventFilter, Page
from headgate.model import EventId, Job, JobName, Json, Trigger, TriggerName, TriggerType

router = APIRouter(tags=["looking"])
T = TypeVar("T")


def _page(page: Page[T], shape: Callable[[T], shapes.Shape]) -> Answer:
    return Answer(shapes.page_json([shape(one) for one in page.items], page_token(page.next)))


def _all(items: Sequence[shapes.Shape]) -> Answer:
    return Answer(shapes.page_json(items, None))


# -- jobs and triggers: their number is what people have written, so these lists are one page


@router.get("/jobs")
def jobs(gate: TheGate) -> Response:
    """Every job with its policy, its newest run, and how many of its runs are under way in which state."""
    found = sorted(gate.ledger.refresh().jobs.values(), key=lambda job: job.name)
    return _all(_jobs(gate, found))


@router.get("/jobs/{name:path}")
def job(gate: TheGate, name: Name) -> Response:
    """One job; `durations` says how long its newest successes took (seconds) and what time limit that suggests."""
    found = gate.ledger.refresh().jobs.get(JobName(name))
    if found is None:
        raise NotFound("job", name, "see `headgate jobs list`")
    durations = suggest(gate.ledger.durations(found.name))
    return Answer({**_jobs(gate, [found])[0], "durations": asdict(durations) if durations else None})


def _jobs(gate: Gate, found: Sequence[Job]) -> list[shapes.Shape]:
    last, counts = gate.ledger.last_runs([one.name for one in found]), gate.ledger.counts()
    return [shapes.job_json(one, last=last.get(one.name), counts=counts.get(one.name)) for one in found]


@router.get("/triggers")
def triggers(gate: TheGate) -> Response:
    """Every trigger, with the ticks of those that have a schedule; then those that are declared to fire on AWS Glue."""
    found = sorted(gate.ledger.refresh().triggers.values(), key=lambda trigger: trigger.name)
    return _all([*trigger_shapes(gate, found), *shapes.glue_triggers_json(gate.settings.glue)])


@router.get("/triggers/{name:path}")
def trigger(gate: TheGate, name: Name) -> Response:
    """One trigger."""
    if (found := gate.ledger.refresh().triggers.get(TriggerName(name))) is not None:
        return Answer(trigger_shapes(gate, [found])[0])
    if (there := gate.settings.glue.triggers.get(TriggerName(name))) is not None:
        return Answer(shapes.glue_trigger_json(there.trigger, workflow=there.workflow))
    return Answer(trigger_shapes(gate, [gate.trigger(name)])[0])


def trigger_shapes(gate: Gate, found: Sequence[Trigger]) -> list[shapes.Shape]:
    """Triggers as JSON, with the ticks of those that have any."""
    untouched = gate.ledger.refresh().untouched
    if not any(one.type is TriggerType.SCHEDULED for one in found):
        return [shapes.trigger_json(one, touched=one.name not in untouched) for one in found]
    last, made, now = gate.ledger.last_ticks(), gate.ledger.created(), datetime.now(UTC)
    return [
        shapes.trigger_json(
            one,
            touched=one.name not in untouched,
            last_tick=at if (at := last.get(one.name)) != made.get(one.name) else None,
            next_tick=shapes.next_tick(one, now, anchor=made.get(one.name, now)),
        )
        for one in found
    ]


# -- events and decisions


@router.get("/events")
def events(
    *,
    gate: TheGate,
    before: Before,
    limit: Limit = 50,
    prefix: Given = None,
    since: MomentGiven = None,
    until: MomentGiven = None,
    failed: bool = False,
    door: Given = None,
) -> Response:
    """Events, newest first, each with what was decided. `prefix` is `s3://bucket/key…`, `bucket/key…` or a key's."""
    wanted = EventFilter(prefix=prefix, since=since, until=until, only_failed=failed, door=door)
    return _page(gate.ledger.events(wanted, before=before, limit=limit), shapes.event_json)


@router.get("/events/{event}")
def event(gate: TheGate, event: Name) -> Response:
    """One event with its decisions."""
    return Answer(shapes.event_json(gate.ledger.event(EventId(event))))


@router.get("/decisions")
def decisions(
    *,
    gate: TheGate,
    before: Before,
    limit: Limit = 50,
    trigger: Given = None,
    run: Given = None,
    outcome: OutcomeGiven = None,
) -> Response:
    """What was decided, newest first: why something ran, and why it did not."""
    page = gate.ledger.decisions(
        trigger=trigger, run=run, outcome=outcome.value if outcome else None, before=before, limit=limit
    )
    return _page(page, shapes.dated_decision_json)


@router.get("/decisions/{seq}")
def decision(gate: TheGate, seq: Seq) -> Response:
    """One decision, by the `id` the list gives."""
    return Answer(shapes.dated_decision_json(gate.ledger.decision(seq)))


# -- runs

Origin = Annotated[Literal["headgate", "external"], Query(description="Who runs them.")]


@router.get("/runs")
def runs(
    *,
    gate: TheGate,
    before: Before,
    limit: Limit = 50,
    job: Given = None,
    state: StateGiven = None,
    trigger: Given = None,
    origin: Origin = "headgate",
) -> Response:
    """Runs, newest first, under way or over. `origin=external`: the ingestions others run, as DataHub lists them."""
    if origin == "external":
        those = (one for one in gate.external_runs(most=MOST_EXTERNAL) if job in (None, one.name))
        found = [one for one in those if state in (None, one.state) and not trigger]
        return Answer(shapes.page_json([shapes.external_json(one) for one in found[:limit]], None))
    page = gate.ledger.runs(job=job, state=state, trigger=trigger, before=before, limit=limit)
    return _page(page, shapes.run_json)


@router.get("/runs/{run:path}/attempts")
def attempts(gate: TheGate, run: Name) -> Response:
    """Every try of the run, first to last."""
    return _all([shapes.attempt_json(one) for one in gate.ledger.attempts(gate.ledger.run(run))])


@router.get("/runs/{run:path}/objects")
def objects(gate: TheGate, run: Name) -> Response:
    """The objects the run was given, in the order they came."""
    return _all([shapes.object_json(one) for one in gate.objects(run)])


@router.get("/runs/{run:path}/log")
async def log(
    *,
    request: Request,
    gate: TheGate,
    run: Name,
    offset: Offset = 0,
    attempt: Number = None,
    limit: Annotated[int, Query(ge=4, le=1 << 20, description="Bytes at most.")] = 1 << 16,
    follow: bool = False,
) -> Response:
    """A piece of the log, `{text, next, complete}`; with `follow=1` a stream of them (server-sent events)."""
    if not follow:
        part = await run_in_threadpool(gate.log, run, offset=offset, limit=limit, attempt=attempt)
        return Answer({"text": part.text, "next": part.next, "complete": part.complete})
    last_seen = request.headers.get("last-event-id", "")  # a browser that lost the connection goes on from there
    if last_seen.isascii() and last_seen.isdigit() and len(last_seen) < 16:
        offset = int(last_seen)
    attempt = await run_in_threadpool(_attempt, gate, run, attempt)
    broadcaster: Broadcaster = request.app.state.broadcaster
    return EventStream(
        log_frames(lambda at: gate.log(run, offset=at, limit=limit, attempt=attempt), offset, broadcaster.closing)
    )


def _attempt(gate: Gate, run: str, asked: int | None) -> int:
    """The attempt a follower stays with, also when the run is tried again meanwhile."""
    found = gate.ledger.run(run)
    if asked is not None:
        return asked
    given = run.partition("_attempt_")[2]
    return int(given) if given.isdigit() else found.attempt


@router.get("/runs/{run:path}")
def run(gate: TheGate, run: Name) -> Response:
    """One run, by any of its ids: ours, an attempt's, the engine's own, or the beginning of ours."""
    return Answer(shapes.run_json(gate.ledger.run(run)))


# -- the whole


@router.get("/plan")
def plan(gate: TheGate) -> Response:
    """What `apply` would change in the ledger."""
    return _all([shapes.change_json(one) for one in gate.definitions.plan()])


@router.get("/plan/glue")
def plan_glue(gate: TheGate) -> Response:
    """What `POST /apply/glue` would change on AWS Glue, and what is there and not ours (`does: unmanaged`)."""
    return _all([shapes.glue_change_json(one) for one in gate.definitions.plan_glue()])


@router.get("/explain")
def explain(gate: TheGate, urn: Annotated[Text, Query(description="A dataset's URN.")]) -> Response:
    """Which job a click on this dataset would start, by which rule, and which rules lost. Starts nothing."""
    return Answer(shapes.explanation_json(gate.datasets.explain(urn)))


@router.get("/last-writes")
def last_writes(gate: TheGate, limit: Limit = 50) -> Response:
    """Who wrote the catalog's datasets last, newest first: a sample of what ingestions write, in a few calls."""
    return _all([shapes.last_write_json(one) for one in gate.last_writes(most=limit)])


@router.get("/audit")
def audit(gate: TheGate, before: Before, limit: Limit = 50) -> Response:
    """Who did what, to what, why, and when; newest first."""
    return _page(gate.ledger.audit(before=before, limit=limit), shapes.audit_json)


@router.get("/status")
def status(request: Request, gate: TheGate) -> Response:
    """The replicas, how many runs are under way, what waits to be told, and whether all is well."""
    readiness: Callable[[], Mapping[str, Json]] = request.app.state.readiness
    now = datetime.now(UTC)
    counts = gate.ledger.counts()
    totals: dict[str, int] = {}
    for states in counts.values():
        for state, number in states.items():
            totals[state] = totals.get(state, 0) + number
    return Answer(
        {
            "version": __version__,
            "at": shapes.time_json(now),
            "readiness": dict(readiness()),
            "workers": [shapes.worker_json(one, now) for one in gate.ledger.workers()],
            "runs": totals,
            "jobs": {job: dict(states) for job, states in counts.items()},
            "outbox": shapes.outbox_json(gate.ledger.outbox()),
        }
    )
