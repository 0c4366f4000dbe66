"""This file is where runs become results in DataHub's words: each state, short enough, with what is worth most kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headgate.executor import results
from headgate.flow.external import STATES
from headgate.model import Cause, JobName, Json, Run, RunState, new_run_id

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN = Run(
    id=new_run_id(), seq=1, job=JobName("ingestion:glue"), engine="recipe", state=RunState.SUCCEEDED, detail="",
    attempt=0, cause=Cause(), arguments={"--request": "urn:li:dataHubExecutionRequest:1", "--task": "RUN_INGEST"},
    external_id=None, created_at=AT, started_at=AT + timedelta(seconds=1), ended_at=AT + timedelta(seconds=3.5),
    error=None, result={},
)  # fmt: skip
IMMUTABLE = {"SUCCESS", "CANCELLED", "ABORTED", "DUPLICATE"}


@pytest.mark.parametrize("state", RunState)
def test_every_state_has_datahubs_word(state: RunState) -> None:
    """Words that DataHub's page knows, final where the run is over."""
    word = results.status_of(replace(RUN, state=state))
    assert word in STATES
    assert (word == "RUNNING") == (state in (RunState.WAITING, RunState.STARTING, RunState.RUNNING, RunState.STOPPING))


def test_a_time_limit_is_a_failure_that_says_so() -> None:
    """DataHub's page has no word for TIMEOUT."""
    told = results.aspect_of(replace(RUN, state=RunState.TIMEOUT, timeout=90.0), "", mark="")
    assert told["status"] == "FAILURE"
    assert "past its time limit of 90 s" in str(told["report"])


def test_a_lost_process_is_aborted() -> None:
    """FAILED with `lost` here is ABORTED there; another FAILED is a FAILURE."""
    lost = replace(RUN, state=RunState.FAILED, detail="lost")
    assert results.status_of(lost) == "ABORTED"
    assert results.status_of(replace(lost, detail="exit 1")) == "FAILURE"


def test_times_are_the_runs() -> None:
    """Start in milliseconds since 1970, and how long it took; from its creation where it never started."""
    told = results.aspect_of(RUN, "", mark="")
    assert (told["startTimeMs"], told["durationMs"]) == (int(AT.timestamp() * 1000) + 1000, 2500)
    never = results.aspect_of(replace(RUN, started_at=None), "", mark="")
    assert never["startTimeMs"] == int(AT.timestamp() * 1000)


def test_only_what_is_not_final_is_signed() -> None:
    """The signature is how we know our own claim; an end needs none."""
    assert "[headgate x]" in str(results.aspect_of(replace(RUN, state=RunState.RUNNING), "", mark="[headgate x]"))
    assert "[headgate x]" not in str(results.aspect_of(RUN, "", mark="[headgate x]"))


def report(**source: Json) -> Mapping[str, Json]:
    return {"records": 1, "cli": {}, "source": {"type": "glue", "report": source}, "sink": {"type": "x", "report": {}}}


def test_the_structured_report_is_datahubs_own() -> None:
    """Its three parts as `--report-to` writes them, and nothing of ours."""
    told = results.aspect_of(replace(RUN, result=report(events_produced=3)), "", mark="")
    structured = told["structuredReport"]
    assert isinstance(structured, dict)
    assert (structured["type"], structured["contentType"]) == ("RUN_INGEST", "application/json")
    assert set(json.loads(structured["serializedValue"])) == {"cli", "source", "sink"}
    assert "structuredReport" not in results.aspect_of(RUN, "", mark="")


def test_a_test_of_a_connection_tells_the_connections_report() -> None:
    """Its type is the task's."""
    run = replace(RUN, arguments={**RUN.arguments, "--task": "TEST_CONNECTION"}, result={"connection": {"basic": 1}})
    structured = results.aspect_of(run, "", mark="")["structuredReport"]
    assert structured == {
        "type": "TEST_CONNECTION", "contentType": "application/json", "serializedValue": '{"basic": 1}',
    }  # fmt: skip


@pytest.mark.parametrize(
    "result",
    [
        report(failures=[{"message": "m" * 500, "context": ["c" * 500]}] * 5_000),
        report(warnings=["w" * 100] * 100_000, failures=[{"message": "the first"}]),
        report(deep={"a": {"b": ["x" * 10_000] * 1_000}}),
        report(huge="x" * 5_000_000),
    ],
)
def test_whatever_is_reported_fits(result: Mapping[str, Json]) -> None:
    """A report too long for what lies between us and DataHub's database is cut to samples, the log to its end."""
    log = "".join(f"line {number}\n" for number in range(200_000))
    told = results.aspect_of(replace(RUN, result=result, error="e" * 100_000), log, mark="")
    assert len(json.dumps(told, ensure_ascii=False)) < 1_300_000
    assert "line 199999" in str(told["report"])
    structured = told["structuredReport"]
    assert isinstance(structured, dict)
    json.loads(structured["serializedValue"])
    if "the first" in str(result):
        assert "the first" in structured["serializedValue"]


def test_only_requests_runs_are_told() -> None:
    """Other runs' ends are nobody's business here."""
    [message] = results.notes(RUN, lambda _: "the log")
    assert (message.channel, message.subject) == ("executions", RUN.arguments["--request"])
    assert list(results.notes(replace(RUN, arguments={}), lambda _: "")) == []
