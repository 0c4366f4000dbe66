"""This file is where an event meets the triggers: which of them fire, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from headgate.catalog import Catalog
from headgate.flow.match import object_filter_reason, skip_reason, table_reason
from headgate.model import DEMAND, FIRST_START, TICK, Event, JobName, StoredObject, Trigger, TriggerName

#: A bucket with more triggers than this gets one decision for all that did not match, not one for each.
EACH_UP_TO = 20


#: What the schedule door says in a tick's payload: {job: why it is not started}, since somebody else does that; and why
#: nobody could be asked about it.
ELSEWHERE: Final = "elsewhere"
UNASKED: Final = "unasked"


@dataclass(frozen=True, slots=True)
class Fire:
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Skip:
    trigger: str  #: "" where the reason concerns no trigger in particular
    reason: str


def match(event: Event, catalog: Catalog) -> Sequence[Fire | Skip]:
    """Say what the event does at every trigger it concerns. Never empty: an event nobody wants says so."""
    if event.kind in (TICK, FIRST_START):
        return [_tick(event, catalog)]
    if event.kind == DEMAND:
        return [_demand(event, catalog)]
    if event.object is None:
        return [Skip("", f"no trigger takes events of kind {event.kind!r}")]
    return _changed(event, catalog) if event.object.in_catalog else _stored(event, event.object, catalog)


def _stored(event: Event, stored: StoredObject, catalog: Catalog) -> Sequence[Fire | Skip]:
    """Something happened to an object of a bucket."""
    if reason := skip_reason(stored):
        return [Skip("", reason)]
    index = catalog.buckets.get(stored.bucket)
    if index is None:
        return [Skip("", f"bucket: no trigger watches {stored.bucket!r}")]
    few = len(index.everyone) <= EACH_UP_TO
    answers: list[Fire | Skip] = []
    for trigger in index.everyone if few else index.under(stored.key):
        reason = _reason(trigger, event)
        answers.append(Fire(trigger) if reason is None else Skip(trigger.name, reason))
    if not answers:
        count = len(index.everyone)
        answers.append(Skip("", f"prefix: none of the {count:,} triggers on {stored.bucket!r} takes this key"))
    return answers


def left_to_others(event: Event, job: JobName) -> str | None:
    """Why this job is not started by this tick, though its trigger fires; None where it is."""
    said = event.payload.get(ELSEWHERE)
    return cast("dict[str, str]", said).get(job) if isinstance(said, dict) else None


def _reason(trigger: Trigger, event: Event) -> str | None:
    if trigger.objects is None:
        return "filter: the trigger names no bucket"
    reason = object_filter_reason(trigger.objects, event)
    if reason is None and not trigger.enabled:
        return "disabled: the trigger is DEACTIVATED"
    return reason


def _changed(event: Event, catalog: Catalog) -> Sequence[Fire | Skip]:
    """A table of a watched catalog has changed."""
    name = event.object.bucket if event.object else ""
    watching = [(one, one.catalog) for one in catalog.watched if one.catalog is not None and one.catalog.name == name]
    if not watching:
        return [Skip("", f"catalog: no trigger watches {name!r}")]
    answers: list[Fire | Skip] = []
    for trigger, watch in watching:
        reason = table_reason(watch, event)
        if reason is None and not trigger.enabled:
            reason = "disabled: the trigger is DEACTIVATED"
        answers.append(Fire(trigger) if reason is None else Skip(trigger.name, reason))
    return answers


def _tick(event: Event, catalog: Catalog) -> Fire | Skip:
    name = str(event.payload.get("trigger", ""))
    trigger = catalog.triggers.get(TriggerName(name))
    if trigger is None:
        return Skip(name, "deleted: there is no such trigger any more")
    if not trigger.enabled:
        return Skip(name, "disabled: the trigger is DEACTIVATED")
    return Fire(trigger)


def _demand(event: Event, catalog: Catalog) -> Fire | Skip:
    """An ON_DEMAND trigger is never switched on or off: whoever fires it fires it."""
    name = str(event.payload.get("trigger", ""))
    trigger = catalog.triggers.get(TriggerName(name))
    return Fire(trigger) if trigger is not None else Skip(name, "deleted: there is no such trigger any more")
