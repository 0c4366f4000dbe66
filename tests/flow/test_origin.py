"""This file is where runs say where they came from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headgate.executor.requests import cause_of
from headgate.flow.origin import Origin, origin_of
from headgate.model import Cause, JobName, Run, RunId, RunState, TriggerName

ASKED = {"source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:one"}}
BY_HAND = cause_of({**ASKED, "actorUrn": "urn:li:corpuser:alice"})
BY_SCHEDULE = cause_of({"source": {**ASKED["source"], "type": "SCHEDULED_INGESTION_SOURCE"}})
REQUEST = {"--request": "urn:li:dataHubExecutionRequest:1"}


def run(cause: Cause, **arguments: str) -> Run:
    return Run(
        id=RunId("jr_1"), seq=1, job=JobName("j"), engine="recipe", state=RunState.RUNNING, detail="", attempt=0,
        cause=cause, arguments=arguments, external_id=None, created_at=datetime.now(UTC), started_at=None,
        ended_at=None, error=None, result={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "origin"),
    [
        (run(Cause(actor=BY_HAND[0], reason=BY_HAND[1]), **REQUEST), Origin.MANUAL_UI),
        (run(Cause(actor=BY_SCHEDULE[0], reason=BY_SCHEDULE[1]), **REQUEST), Origin.SCHEDULED_UI),
        (run(Cause(actor="urn:li:corpuser:ann", reason="retry of jr_1"), **REQUEST), Origin.MANUAL),
        (run(Cause(trigger=TriggerName("t"))), Origin.TRIGGER),
        (run(Cause(actor="urn:li:corpuser:ann"), **{"--datasetUrn": "urn:li:dataset:x"}), Origin.CLICK),
        (run(Cause(actor="urn:li:corpuser:ann", reason="DataHub: I say so")), Origin.MANUAL),
    ],
)
def test_a_run_says_where_it_came_from(made: Run, origin: Origin) -> None:
    """DataHub's pages, its schedule, a trigger, a click, a person; a reason alone makes no request."""
    assert origin_of(made) is origin
