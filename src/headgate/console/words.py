"""This file is where states, causes, results and times become words and colours for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from headgate.model import Json, Run, RunState, Trigger, TriggerType


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: a word, a sign beside it (colour alone says nothing to many), and a CSS class."""

    label: str
    sign: str
    css: str


LOOKS: Final[Mapping[RunState, Look]] = {
    RunState.WAITING: Look("waiting", "◷", "state-waiting"),
    RunState.STARTING: Look("starting", "▹", "state-starting"),
    RunState.RUNNING: Look("running", "▶", "state-running"),
    RunState.STOPPING: Look("stopping", "◪", "state-stopping"),
    RunState.STOPPED: Look("stopped", "■", "state-stopped"),
    RunState.SUCCEEDED: Look("succeeded", "✓", "state-succeeded"),
    RunState.FAILED: Look("failed", "✕", "state-failed"),
    RunState.TIMEOUT: Look("timed out", "◔", "state-timeout"),
    RunState.ERROR: Look("error", "!", "state-error"),
    RunState.EXPIRED: Look("expired", "∅", "state-expired"),
}
NEVER: Final = Look("never ran", "·", "state-never")

_UNITS: Final = ("kB", "MB", "GB", "TB")
#: What people look for first.
_FIRST: Final = ("rows", "rejects", "refused", "files", "views", "tables", "records", "missing", "warnings")
_SHORT_ACTOR: Final = "urn:li:corpuser:"


def actor_words(actor: str | None) -> str:
    return (actor or "someone").removeprefix(_SHORT_ACTOR)


def cause_words(run: Run) -> str:
    """Why the run was made, in a few words."""
    if run.predecessors:
        after = " and ".join(sorted({one.job for one in run.predecessors}))
        return f"after {after}" + (f", by {run.cause.trigger}" if run.cause.trigger else "")
    if run.cause.trigger:
        objects = f", {number_words(run.objects)} {'object' if run.objects == 1 else 'objects'}" if run.objects else ""
        return f"by {run.cause.trigger}{objects}"
    by = f"by hand, {actor_words(run.cause.actor)}"
    return f"{by}: {run.cause.reason}" if run.cause.reason else by


def number_words(value: Json) -> str:
    """12,345 for whole numbers, the shortest exact form for others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def values_words(values: Mapping[str, Json], most: int = 4) -> str:
    """`rows 99,993 · rejects 7`: the first few plain values of a progress or a result."""
    plain = [(name, value) for name, value in values.items() if isinstance(value, int | float | str) and value != ""]
    plain.sort(key=lambda one: _FIRST.index(one[0]) if one[0] in _FIRST else len(_FIRST))
    return " · ".join(f"{name.replace('_', ' ')} {cut(value_words(name, value), 40)}" for name, value in plain[:most])


def value_words(name: str, value: Json) -> str:
    """A value of a progress or a result; an id is no number to put commas into."""
    if isinstance(value, str | int | float | bool):
        return str(value) if name.endswith("id") or "snapshot" in name else number_words(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def outcome_words(run: Run) -> str:
    """What came of it so far, in short: the error, the result, or why it waits."""
    if run.error:
        return cut(run.error.strip().splitlines()[0] if run.error.strip() else "", 160)
    return values_words(run.result) or cut(run.detail, 160)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def moment_words(at: datetime | None) -> str:
    """2026-01-31 12:00:05 UTC; the browser says it in its own zone when it may run our script."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else ""


def duration_words(seconds: float) -> str:
    """450 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for size, large, smaller, small in ((60, "min", 1, "s"), (3600, "h", 60, "min"), (86_400, "d", 3600, "h")):
        if whole < size * (24 if large == "h" else 60) or large == "d":
            rest = whole % size // smaller
            return f"{whole // size} {large}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def size_words(size: int | None) -> str:
    if size is None:
        return "size unknown"
    if size < 1000:
        return f"{size} bytes"
    steps = min((len(str(size)) - 1) // 3, len(_UNITS))
    return f"{size / 1000**steps:.3g} {_UNITS[steps - 1]}"


def trigger_words(trigger: Trigger) -> str:
    """What makes the trigger fire, in words."""
    match trigger.type:
        case TriggerType.EVENT:
            return _event_words(trigger)
        case TriggerType.SCHEDULED:
            return f"{trigger.schedule} {trigger.timezone}"
        case TriggerType.CONDITIONAL:
            conditions = trigger.predicate.conditions if trigger.predicate else ()
            joint = " or " if trigger.predicate and trigger.predicate.logical == "ANY" else " and "
            return "when " + joint.join(f"{one.job} is {one.state.value}" for one in conditions)
        case TriggerType.ON_DEMAND:
            return "by hand"


def _event_words(trigger: Trigger) -> str:
    wanted = trigger.objects
    if trigger.catalog is not None:
        of = f" in {', '.join(trigger.catalog.databases)}" if trigger.catalog.databases else ""
        return f"tables of {trigger.catalog.name}{of}"
    if wanted is None:
        return "an event"
    endings = f" ending in {' or '.join(wanted.suffix)}" if wanted.suffix else ""
    return f"s3://{wanted.bucket}/{wanted.prefix}…{endings}"
