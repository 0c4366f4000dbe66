"""This file is where it is told why a job was left out: DataHub does it, nothing was written, a catalog is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from doctor_world import WELL, World, world

from headgate.doctor import Rank
from headgate.doors.catalog.reading import Change, event_of
from headgate.model import TABLE_CHANGES, TICK, Event, new_event_id

PROJECT = """\
jobs:
  load: {engine: local, command: ["true"]}
  refresh: {engine: local, command: ["true"]}
triggers:
  nightly: {type: SCHEDULED, schedule: "cron(0 3 * * ? *)", actions: [refresh]}
  written:
    type: CONDITIONAL
    predicate: {conditions: [{job: load, state: SUCCEEDED}]}
    actions: [{job: refresh, from_result: {--tables: written}}]
  changed: {type: EVENT, catalog: {glue: {region: eu-west-1, databases: [sales]}}, actions: [refresh]}
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What is found out of a trigger, by what it says."""

    here: World

    def about(self, trigger: str, words: str) -> tuple[Rank, str, str, str]:
        found = next(one for one in self.here.diagnose(trigger) if words in one.what)
        return found.rank, found.what, found.evidence, found.mend


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with world(tmp_path, PROJECT) as made:
        yield Told(made)


def test_what_was_left_to_datahub_is_said(told: Told) -> None:
    """With DataHub's source, and both ways out."""
    why = "doubled: DataHub's ingestion source nightly (urn:li:dataHubIngestionSource:n), which runs at 0 3 * * * (UTC)"
    payload = {"trigger": "nightly", "tick": "2026-01-01T03:00:00+00:00", "missed": 0, "elsewhere": {"refresh": why}}
    tick = Event(id=new_event_id(), door="schedule", kind=TICK, identity="t", at=datetime.now(UTC), payload=payload)
    told.here.gate.accept([tick])
    rank, _, evidence, mend = told.about("nightly", "left to DataHub")

    assert rank is Rank.LIKELY
    assert why in evidence
    assert "unless_datahub_schedules: false at triggers.nightly" in mend


def test_a_run_that_wrote_nothing_is_said(told: Told) -> None:
    """It is as it should be, so it is a note."""
    run = told.here.ended(told.here.started("load"))
    rank, _, evidence, mend = told.about("written", "left nothing behind")

    assert rank is Rank.NOTE
    assert f"{run.id[:11]}… has nothing under 'written'" in evidence
    assert mend.endswith("headgate runs list --job load")


def test_a_catalog_that_cannot_be_looked_at_is_said(told: Told) -> None:
    """With what the server says of it; and when it fired last, where it did."""
    never = told.about("changed", "no table changed")
    watch = told.here.ledger.catalog.watched[0].catalog
    assert watch is not None
    change = Change(TABLE_CHANGES["updated"], "sales.orders", "2")
    told.here.gate.accept([event_of(watch, change, datetime.now(UTC))])
    trouble = "trigger changed: its catalog cannot be looked at (ThrottlingException)"
    told.here.records.says = {**WELL, "readiness": {"problems": [], "warnings": [trouble]}}
    rank, what, _, mend = told.about("changed", "cannot be looked at")

    assert "glue:eu-west-1 (sales) each 60 s for what is created or updated" in never[2]
    assert (rank, what, mend) == (Rank.LIKELY, trouble, "headgate doctor aws")
    assert told.about("changed", "it last fired at")[0] is Rank.NOTE
