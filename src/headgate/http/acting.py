"""This file is where the REST API changes something: runs are started, stopped and retried, triggers switched."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from headgate import shapes
from headgate.errors import Invalid
from headgate.gate import Gate
from headgate.http.answers import Answer
from headgate.http.asked import Actor, ApplyAsked, Because, Name, ReplayAsked, RunAsked, TheGate, TriggerStartAsked
from headgate.http.looking import trigger_shapes
from headgate.ledger.reading import EventFilter
from headgate.model import Run

router = APIRouter(tags=["acting"])


@router.post("/runs")
def start(gate: TheGate, actor: Actor, asked: RunAsked) -> Response:
    """Start a run of a job, or of the job that refreshes a dataset. 409: the job is at its limit and does not queue."""
    return Answer(shapes.run_json(_start(gate, actor, asked)))


def _start(gate: Gate, actor: str, asked: RunAsked) -> Run:
    if asked.dataset is not None:
        return gate.start_for(asked.dataset, arguments=asked.arguments, actor=actor, reason=asked.reason)
    if asked.job is None:  # the model asks for one of the two
        raise Invalid("job: expected a job's name")
    return gate.start(asked.job, arguments=asked.arguments, actor=actor, reason=asked.reason, key=asked.key)


@router.post("/runs/{run:path}/stop")
def stop(gate: TheGate, actor: Actor, run: Name, because: Because | None = None) -> Response:
    """Stop a run and everything it started: answers it STOPPED, or STOPPING until its engine has ended it."""
    return Answer(shapes.run_json(gate.stop(run, actor=actor, reason=because.reason if because else None)))


@router.post("/runs/{run:path}/retry")
def retry(gate: TheGate, actor: Actor, run: Name, because: Because | None = None) -> Response:
    """Run it again as a new run, with the same arguments and the same objects."""
    return Answer(shapes.run_json(gate.retry(run, actor=actor, reason=because.reason if because else None)))


@router.post("/triggers/{name:path}/enable")
def enable(gate: TheGate, actor: Actor, name: Name, because: Because | None = None) -> Response:
    """Enable a trigger. What passed while it was disabled is not made up."""
    return _switch(gate, actor, name, because, enabled=True)


@router.post("/triggers/{name:path}/disable")
def disable(gate: TheGate, actor: Actor, name: Name, because: Because | None = None) -> Response:
    """Disable a trigger: its events are recorded as skipped."""
    return _switch(gate, actor, name, because, enabled=False)


@router.post("/triggers/{name:path}/start")
def start_trigger(gate: TheGate, actor: Actor, name: Name, asked: TriggerStartAsked | None = None) -> Response:
    """Fire an ON_DEMAND trigger: all its actions start. Answers what was decided. 409: it fires by itself."""
    given = asked or TriggerStartAsked()
    return Answer(shapes.receipt_json(gate.start_trigger(name, actor=actor, reason=given.reason, key=given.key)))


def _switch(gate: Gate, actor: str, name: str, because: Because | None, *, enabled: bool) -> Response:
    found = gate.switch(name, enabled=enabled, actor=actor, reason=because.reason if because else None)
    return Answer(trigger_shapes(gate, [found])[0])


@router.post("/events/replay")
def replay(gate: TheGate, actor: Actor, asked: ReplayAsked) -> Response:
    """Let events happen again, those named or those the filter finds (at most 10,000). `dry_run` only lists them."""
    wanted = EventFilter(prefix=asked.prefix, since=asked.since, until=asked.until, only_failed=asked.failed)
    replayed = gate.replay(
        wanted,
        events=asked.events or (),
        downstream=asked.downstream,
        actor=actor,
        reason=asked.reason,
        dry_run=asked.dry_run,
    )
    return Answer(shapes.page_json([shapes.replayed_json(event, receipt) for event, receipt in replayed], None))


@router.post("/apply")
def apply(gate: TheGate, actor: Actor, asked: ApplyAsked | None = None) -> Response:
    """Make the ledger say what headgate.yaml declares; answers what was changed."""
    done = gate.definitions.apply(everything=asked.everything if asked else True, actor=actor)
    return Answer(shapes.page_json([shapes.change_json(one) for one in done], None))


@router.post("/apply/glue")
def apply_glue(gate: TheGate, actor: Actor) -> Response:
    """Make AWS Glue what headgate.yaml declares of it; answers what was changed."""
    done = gate.definitions.apply_glue(actor=actor)
    return Answer(shapes.page_json([shapes.glue_change_json(one) for one in done], None))
