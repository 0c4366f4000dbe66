"""This file is where everything that is to be known of one trigger is read, once, for the checks to look at."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from headgate.doctor.records import Doc, Records
from headgate.errors import NotFound
from headgate.settings import Settings

DECISIONS: Final = 100  #: the newest that are looked at
RUNS: Final = 50
EVENTS: Final = 300
_LIBRARIES: Final = {"aws": "boto3", "datahub": "datahub"}  #: by the extra that brings them


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trigger, and all that could keep it from firing. Lists are newest first."""

    trigger: Doc
    jobs: Mapping[str, Doc]
    decisions: Sequence[Doc] = ()  #: at this trigger
    runs: Sequence[Doc] = ()  #: that it started
    of_jobs: Mapping[str, Sequence[Doc]]  #: runs of the jobs it watches or starts, whoever started them
    events: Sequence[Doc] = ()  #: about objects, in any bucket; of a schedule: its ticks
    fires_for: str  #: of a conditional trigger, as it is in force
    inboxes: Mapping[str, Path]
    queues: int = 0  #: how many SQS queues are read
    served: bool
    status: Doc
    now: datetime
    zone_here: str = "UTC"  #: of this machine
    lacking: Sequence[str] = ()  #: extras that are not installed here, where runs would happen

    @property
    def name(self) -> str:
        return str(self.trigger["name"])


def read(name: str, records: Records, settings: Settings, now: datetime) -> Case:
    """Read it all.

    Raises:
        NotFound: there is no such trigger.
    """
    triggers = {str(one["name"]): one for one in records.triggers()}
    trigger = triggers.get(name)
    if trigger is None:
        raise NotFound("trigger", name, "see `headgate triggers list`")
    watched = [one["job"] for one in (trigger["predicate"] or {"conditions": []})["conditions"]]
    wanted = dict.fromkeys([*watched, *(one["job"] for one in trigger["actions"])])
    return Case(
        trigger=trigger,
        jobs={str(one["name"]): one for one in records.jobs()},
        decisions=records.decided(name, most=DECISIONS),
        runs=records.runs(trigger=name, most=RUNS),
        of_jobs={job: records.runs(job=job, most=RUNS) for job in wanted},
        events=_events(trigger, records),
        fires_for=str(trigger["fires_for"] or settings.conditional_fires_for.value),
        inboxes=settings.inboxes,
        queues=len(settings.sqs),
        served=records.served,
        status=records.status(),
        now=now,
        zone_here=zone_here(),
        lacking=() if records.served else lacking(),
    )


def _events(trigger: Doc, records: Records) -> Sequence[Doc]:
    if trigger["type"] == "EVENT":
        return [one for one in records.events(most=EVENTS) if one["object"]]
    if trigger["type"] == "SCHEDULED":
        found = records.events(door="schedule", most=EVENTS)
        return [one for one in found if one["payload"].get("trigger") == trigger["name"]]
    return ()


def lacking() -> list[str]:
    """The extras whose libraries are not installed in this Python."""
    return [extra for extra, library in _LIBRARIES.items() if importlib.util.find_spec(library) is None]


def zone_here() -> str:
    """The zone this machine's clock shows, as far as one can tell."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named:
        return named
    try:
        return str(Path("/etc/localtime").readlink()).partition("zoneinfo/")[2] or "UTC"
    except OSError:
        return "UTC"
