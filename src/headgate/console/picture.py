"""This file is where the flow is drawn: sources, triggers and jobs in columns from left to right, arrows between them.

Columns are the longest way from a source; a circle of triggers is drawn, its last arrow going back. A picture nobody
could take in is not drawn: with more than MOST_TRIGGERS triggers the busiest are shown, and how many are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.catalog import Catalog
from headgate.console.words import LOOKS, NEVER, Look, trigger_words
from headgate.model import Job, JobName, Run, RunState, Trigger, TriggerType

MOST_TRIGGERS: Final = 40
MOST_JOBS: Final = 40
WIDTH: Final = 216
HEIGHT: Final = 56
_ACROSS: Final = 64  #: between columns
_DOWN: Final = 18  #: between boxes of a column
_EDGE: Final = 10

_MOVING: Final = (RunState.RUNNING, RunState.STARTING, RunState.STOPPING)
_BUSIEST: Final = (*_MOVING, RunState.WAITING)


@dataclass(slots=True, kw_only=True)
class Box:
    """A source, trigger or job. Coordinates are pixels of its upper left corner."""

    key: str
    kind: str  #: source | trigger | job
    title: str
    line: str  #: what is written small below the title
    look: Look | None = None  #: of a job
    off: bool = False  #: a disabled trigger
    href: str = ""
    column: int = 0
    x: int = 0
    y: int = 0

    @property
    def spoken(self) -> str:
        """All of it in words, for those who hear the page and for the tooltip."""
        state = f", {self.look.label}" if self.look else ""
        return f"{self.kind} {self.title}{state}{', disabled' if self.off else ''}: {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    start: Box
    end: Box
    lit: bool  #: something runs because of it
    off: bool

    @property
    def path(self) -> str:
        """An SVG path from the start's right edge to the end's left edge."""
        x1, y1 = self.start.x + WIDTH, self.start.y + HEIGHT // 2
        x2, y2 = self.end.x - 5, self.end.y + HEIGHT // 2
        bend = max((x2 - x1) // 2, 24)
        return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    width: int
    height: int
    left_out: int  #: triggers and jobs that are not drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What the jobs are doing. `live` are runs under way, `last` each job's newest, `counts` by job and state."""

    live: Sequence[Run] = ()
    last: Mapping[JobName, Run] = field(default_factory=dict[JobName, Run])
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, "Mapping[str, int]"])


def shown(catalog: Catalog, live: Sequence[Run]) -> tuple[list[Trigger], list[Job]]:
    """Which triggers and jobs are drawn: those at work first, then enabled ones, then by name."""
    busy = {run.cause.trigger for run in live}
    triggers = sorted(catalog.triggers.values(), key=lambda one: (one.name not in busy, not one.enabled, one.name))[
        :MOST_TRIGGERS
    ]
    wanted = {action.job for one in triggers for action in one.actions}
    wanted |= {condition.job for one in triggers if one.predicate for condition in one.predicate.conditions}
    running = {run.job for run in live}
    jobs = sorted(catalog.jobs.values(), key=lambda one: (one.name not in running, one.name not in wanted, one.name))[
        :MOST_JOBS
    ]
    return sorted(triggers, key=lambda one: one.name), sorted(jobs, key=lambda one: one.name)


def draw(
    triggers: Sequence[Trigger], jobs: Sequence[Job], doing: Doing, *, inboxes: Iterable[str] = (), left_out: int = 0
) -> Picture:
    """Lay the flow out. `inboxes` are buckets that a folder of this machine stands for."""
    boxes = {f"job {one.name}": _job_box(one, doing) for one in jobs}
    boxes |= {f"trigger {one.name}": _trigger_box(one) for one in triggers}
    moving = {(run.cause.trigger, run.job) for run in doing.live if run.state in _MOVING}
    busy = {trigger for trigger, _ in moving}
    ways: dict[tuple[str, str], tuple[bool, bool]] = {}  #: from box to box: whether it is lit, whether it is off
    for one in triggers:
        me, off = f"trigger {one.name}", not one.enabled
        for source in _sources(one, set(inboxes)):
            boxes.setdefault(source.key, source)
            ways[source.key, me] = one.name in busy, off
        ways |= {(f"job {job}", me): (one.name in busy, off) for job in _watched(one)}
        ways |= {(me, f"job {action.job}"): ((one.name, action.job) in moving, off) for action in one.actions}
    ways = {way: how for way, how in ways.items() if way[0] in boxes and way[1] in boxes}
    _place(boxes, list(ways))
    arrows = [Arrow(start=boxes[start], end=boxes[end], lit=lit, off=off) for (start, end), (lit, off) in ways.items()]
    every = sorted(boxes.values(), key=lambda box: (box.column, box.y))  # the order in which it is read aloud
    return Picture(
        boxes=every,
        arrows=sorted(arrows, key=lambda arrow: arrow.lit),  # lit ones last: drawn on top
        width=max((box.x + WIDTH for box in every), default=0) + _EDGE,
        height=max((box.y + HEIGHT for box in every), default=0) + _EDGE,
        left_out=left_out,
    )


def job_look(job: JobName, doing: Doing) -> Look:
    """The busiest state of its runs under way, else how its newest run ended."""
    counts = doing.counts.get(job, {})
    for state in _BUSIEST:
        if counts.get(state.value):
            return LOOKS[state]
    last = doing.last.get(job)
    return LOOKS[last.state] if last else NEVER


def job_line(job: Job, doing: Doing) -> str:
    """Running 1, waiting 3; or how it ended."""
    counts = doing.counts.get(job.name, {})
    busy = [f"{LOOKS[state].label} {counts[state.value]}" for state in _BUSIEST if counts.get(state.value)]
    return ", ".join(busy) or job_look(job.name, doing).label


def _job_box(job: Job, doing: Doing) -> Box:
    look = job_look(job.name, doing)
    return Box(
        key=f"job {job.name}", kind="job", title=job.name, line=f"{look.sign} {job_line(job, doing)} · {job.engine}",
        look=look, href=f"#job-{job.name}",
    )  # fmt: skip


def _trigger_box(trigger: Trigger) -> Box:
    kind = trigger.type.value.replace("_", " ").lower()
    line = f"{kind}, disabled" if not trigger.enabled else kind
    if trigger.type is TriggerType.CONDITIONAL and trigger.predicate:
        states = sorted({one.state.value for one in trigger.predicate.conditions})
        line += f" · on {'/'.join(states)}"
    return Box(key=f"trigger {trigger.name}", kind="trigger", title=trigger.name, line=line, off=not trigger.enabled)


def _sources(trigger: Trigger, inboxes: set[str]) -> list[Box]:
    match trigger.type:
        case TriggerType.EVENT:
            if trigger.catalog is not None:
                name = trigger.catalog.name
                return [Box(key=f"source catalog {name}", kind="source", title=name, line="catalog")]
            bucket = trigger.objects.bucket if trigger.objects else "?"
            line = "a folder of this machine" if bucket in inboxes else "bucket"
            return [Box(key=f"source bucket {bucket}", kind="source", title=bucket, line=line)]
        case TriggerType.SCHEDULED:
            text = trigger_words(trigger)
            return [
                Box(key=f"source schedule {text}", kind="source", title=trigger.schedule or "?", line=trigger.timezone)
            ]
        case TriggerType.ON_DEMAND:
            return [Box(key="source hand", kind="source", title="by hand", line="console, CLI, API")]
        case TriggerType.CONDITIONAL:
            return []


def _watched(trigger: Trigger) -> list[JobName]:
    if trigger.type is not TriggerType.CONDITIONAL or trigger.predicate is None:
        return []
    return sorted({condition.job for condition in trigger.predicate.conditions})


def _place(boxes: Mapping[str, Box], ways: Sequence[tuple[str, str]]) -> None:
    before: dict[str, list[str]] = defaultdict(list)
    for start, end in ways:
        before[end].append(start)
    columns = _columns(boxes, before)
    by_column: dict[int, list[Box]] = defaultdict(list)
    for key, box in boxes.items():
        box.column = columns[key]
        by_column[box.column].append(box)
    tallest = max((len(those) for those in by_column.values()), default=0) * (HEIGHT + _DOWN)
    for column in sorted(by_column):
        # each box as near as may be to what leads to it, which keeps arrows short and mostly uncrossed
        those = sorted(by_column[column], key=lambda box: (_middle(boxes, before[box.key], box), box.key))
        top = _EDGE + (tallest - len(those) * (HEIGHT + _DOWN)) // 2
        for row, box in enumerate(those):
            box.x, box.y = _EDGE + column * (WIDTH + _ACROSS), top + row * (HEIGHT + _DOWN)


def _middle(boxes: Mapping[str, Box], before: Sequence[str], box: Box) -> float:
    earlier = [boxes[key].y for key in before if boxes[key].column < box.column]
    return sum(earlier) / len(earlier) if earlier else float("inf")


def _columns(boxes: Mapping[str, Box], before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    least = {"source": 0, "trigger": 1, "job": 2}
    columns: dict[str, int] = {}
    under_way: set[str] = set()
    for key in boxes:
        stack = [key]
        while stack:
            one = stack[-1]
            under_way.add(one)
            open_ways = [k for k in before.get(one, ()) if k not in columns and k not in under_way]
            if open_ways and one not in columns:
                stack.extend(open_ways[:1])
                continue
            stack.pop()
            under_way.discard(one)
            earlier = [columns[k] + 1 for k in before.get(one, ()) if k in columns]
            columns.setdefault(one, max([least[boxes[one].kind], *earlier]))
    return columns
