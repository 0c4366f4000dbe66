"""This file is where what a page shows is gathered from the gate, as plain records for the templates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from headgate.console import picture
from headgate.errors import NotFound
from headgate.flow.click import dataset_name, read_dataset
from headgate.gate import Gate
from headgate.ledger.reading import DatedDecision
from headgate.model import Attempt, Event, Job, Run, RunId, RunState, StoredObject, Trigger, TriggerName
from headgate.shapes import Shape, explanation_json

RUNS_SHOWN: Final = 50
OBJECTS_SHOWN: Final = 100
_CHAIN: Final = 12  #: runs of a chain that are looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which runs the list shows; `before` is a run's number, for the pages after the first."""

    job: str | None = None
    state: RunState | None = None
    trigger: str | None = None
    before: int | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.job or self.state or self.trigger or self.before is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    picture: picture.Picture
    runs: Sequence[Run]
    next: int | None
    jobs: Sequence[tuple[Job, Run | None]]
    triggers: Sequence[Trigger]
    on_glue: Sequence[Trigger]  #: declared here, and firing there
    untouched: Collection[TriggerName]  #: never switched on or off since they were made
    doing: picture.Doing
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of why a run exists. `run` None: an event's or a trigger's line."""

    words: str
    run: Run | None = None
    here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    run: Run
    job: Job | None  #: None: it was deleted since
    chain: Sequence[Step]
    decisions: Sequence[DatedDecision]
    more_decisions: bool
    attempts: Sequence[Attempt]
    objects: Sequence[StoredObject]
    objects_left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPage:
    name: str
    found: Shape  #: what `headgate explain` tells
    runs: Sequence[Run]
    frontend: str  #: its page in DataHub; "" without one


def home(gate: Gate, wanted: Wanted) -> Home:
    catalog = gate.ledger.refresh()
    live = gate.ledger.live_runs()
    triggers, jobs = picture.shown(catalog, live)
    doing = picture.Doing(
        live=live, last=gate.ledger.last_runs([job.name for job in jobs]), counts=gate.ledger.counts()
    )
    left_out = len(catalog.triggers) - len(triggers) + len(catalog.jobs) - len(jobs)
    page = gate.ledger.runs(
        job=wanted.job, state=wanted.state, trigger=wanted.trigger, before=wanted.before, limit=RUNS_SHOWN
    )
    return Home(
        picture=picture.draw(triggers, jobs, doing, inboxes=gate.settings.inboxes, left_out=left_out),
        runs=page.items,
        next=page.next,
        jobs=[(job, doing.last.get(job.name)) for job in jobs],
        triggers=triggers,
        on_glue=[one.trigger for _, one in sorted(gate.settings.glue.triggers.items())][: picture.MOST_TRIGGERS],
        untouched=catalog.untouched,
        doing=doing,
        wanted=wanted,
    )


def run_page(gate: Gate, name: str) -> RunPage:
    """Everything about one run. Raises NotFound."""
    run = gate.ledger.run(name)
    decisions = gate.ledger.decisions(run=run.id, limit=RUNS_SHOWN)
    objects = gate.objects(run.id) if run.objects else []
    return RunPage(
        run=run,
        job=gate.ledger.catalog.jobs.get(run.job),
        chain=_chain(gate, run),
        decisions=decisions.items[::-1],
        more_decisions=decisions.next is not None,
        attempts=gate.ledger.attempts(run),
        objects=objects[:OBJECTS_SHOWN],
        objects_left_out=max(len(objects) - OBJECTS_SHOWN, 0),
    )


def dataset_page(gate: Gate, urn: str) -> DatasetPage:
    """What a click on the dataset would start, and the newest runs of that. Raises Invalid: no dataset's URN."""
    name = dataset_name(read_dataset(urn))
    found = gate.datasets.explain(urn)
    frontend = gate.settings.datahub.frontend_url
    return DatasetPage(
        name=name,
        found=explanation_json(found),
        runs=gate.datasets.runs_for(found.job, urn, most=RUNS_SHOWN) if found.job else [],
        frontend=f"{frontend.rstrip('/')}/dataset/{quote(urn, safe='')}" if frontend else "",
    )


def _chain(gate: Gate, run: Run) -> list[Step]:
    """From the first event down to the run."""
    steps: list[Step] = []
    one: Run | None = run
    seen: set[RunId] = set()
    while one is not None and one.id not in seen and len(seen) < _CHAIN:
        seen.add(one.id)
        steps.append(Step(words="this run" if one is run else "", run=one, here=one is run))
        steps.extend(_reasons(gate, one))
        one = _predecessor(gate, one)
    return steps[::-1]


def _reasons(gate: Gate, run: Run) -> list[Step]:
    """The trigger's and the event's line above a run, nearest first."""
    lines: list[Step] = []
    if run.cause.trigger:
        others = [f"{one.job} ({one.run[:11]}…)" for one in run.predecessors[1:]]
        also = f", which also waited for {', '.join(others)}" if others else ""
        lines.append(Step(words=f"trigger {run.cause.trigger} fired{also}"))
    if not run.predecessors and run.cause.event:
        try:
            lines.append(Step(words=event_words(gate.ledger.event(run.cause.event).event)))
        except NotFound:
            lines.append(Step(words=f"event {run.cause.event} (no longer kept)"))
    return lines


def _predecessor(gate: Gate, run: Run) -> Run | None:
    if not run.predecessors:
        return None
    try:
        return gate.ledger.run(run.predecessors[0].run)
    except NotFound:  # retention has taken it
        return None


def event_words(event: Event) -> str:
    """One event in a sentence."""
    if event.object is not None:
        return f"{event.kind} of {event.object.uri} came in by door {event.door}"
    if event.kind == "Asked":
        actor = str(event.payload.get("actor", "someone")).removeprefix("urn:li:corpuser:")
        reason = event.payload.get("reason")
        return f"asked for by {actor}" + (f": {reason}" if reason else "")
    if event.kind == "Tick":
        return f"the schedule of {event.payload.get('trigger')} ticked for {event.payload.get('tick')}"
    if event.kind == "FirstStart":
        return f"{event.payload.get('trigger')} is active for the first time"
    return f"{event.kind} came in by door {event.door}"
