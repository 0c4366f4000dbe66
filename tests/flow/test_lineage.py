"""This file is where runs become OpenLineage events, by the specification's words, whatever a job says of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from headgate.flow import lineage
from headgate.model import Cause, Event, EventId, Job, JobName, Json, Predecessor, Run, RunId, RunState
from headgate.ports import Started

AT = datetime(2026, 11, 21, 6, 0, 0, 123_456, tzinfo=UTC)
RUN = Run(
    id=RunId("jr_" + "0123456789abcdef" * 4), seq=1, job=JobName("ingest"), engine="local", state=RunState.SUCCEEDED,
    detail="", attempt=0, cause=Cause(actor="urn:li:corpuser:a", reason="because"), arguments={"--password": "x"},
    external_id=None, created_at=AT, started_at=AT, ended_at=AT + timedelta(seconds=3), error=None, result={},
)  # fmt: skip
TELLING = lineage.Telling(version="1.2.3")
DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,DEV)"


def event(run: Run = RUN, kind: str = "COMPLETE", *, at: datetime = AT, **more: object) -> dict[str, object]:
    given: dict[str, object] = {"job": None, "event": None, "dataset": None, **more}
    return lineage.event_of(run, kind, at, TELLING, **given)  # type: ignore[arg-type]


def test_a_run_is_found_by_its_uuid_and_the_other_way_round() -> None:
    """The UUID is the first half of the run's id, and stays what it is."""
    assert lineage.uuid_of(RUN.id) == "01234567-89ab-cdef-0123-456789abcdef"
    assert lineage.uuid_of(RUN.id) == lineage.uuid_of(RUN.id)


def test_an_id_that_is_no_hex_has_a_uuid_too() -> None:
    """Whatever names a run, its UUID is always the same one."""
    assert lineage.uuid_of("strange") == lineage.uuid_of("strange") != lineage.uuid_of("other")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("SUCCEEDED", "COMPLETE"), ("FAILED", "FAIL"), ("TIMEOUT", "FAIL"), ("ERROR", "FAIL"), ("STOPPED", "ABORT"),
     ("EXPIRED", "ABORT")],
)  # fmt: skip
def test_every_end_has_a_kind(state: str, kind: str) -> None:
    """Each of our ends is one of OpenLineage's, in every channel."""
    messages = lineage.Noting(("a", "b")).ended(replace(RUN, state=RunState(state)))
    assert [(one.channel, one.payload["kind"]) for one in messages] == [("a", kind), ("b", kind)]


def test_only_the_first_attempt_is_a_start() -> None:
    """A later attempt of the same run says that it runs (again)."""
    noting = lineage.Noting(("a",))
    kinds = [noting.started(Started(RUN.id, n, "x", AT, None))[0].payload["kind"] for n in (0, 1)]
    assert kinds == ["START", "RUNNING"]


def test_without_a_receiver_nothing_is_noted() -> None:
    """No channel, no message."""
    assert not lineage.Noting().ended(RUN)


def test_the_event_names_the_run_and_no_argument() -> None:
    """Who asked and why is told; arguments are not, since they may hold what is not for everyone."""
    made = event(at=AT.astimezone(timezone(timedelta(hours=2))))
    assert made["eventTime"] == "2026-11-21T06:00:00.123Z"
    assert "password" not in str(made)
    assert made["run"]["facets"]["headgate"]["actor"] == "urn:li:corpuser:a"  # type: ignore[index]
    assert made["job"]["name"] == "ingest"  # type: ignore[index]


def test_a_failure_carries_its_message() -> None:
    """FAIL and ABORT have an errorMessage, even where the run left no words."""
    failed = event(replace(RUN, state=RunState.FAILED, error="disk full"), "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "disk full"  # type: ignore[index]
    silent = event(replace(RUN, state=RunState.STOPPED), "ABORT")
    assert silent["run"]["facets"]["errorMessage"]["message"] == "the run ended STOPPED"  # type: ignore[index]
    assert "errorMessage" not in event()["run"]["facets"]  # type: ignore[index,operator]


def test_the_parent_is_what_fired_it() -> None:
    """A run that a conditional trigger started names the run whose end fired it."""
    made = event(replace(RUN, predecessors=(Predecessor(job=JobName("up"), run=RunId("jr_" + "f" * 64)),)))
    parent = made["run"]["facets"]["parent"]  # type: ignore[index]
    assert (parent["job"]["name"], parent["run"]["runId"]) == ("up", lineage.uuid_of("jr_" + "f" * 64))


def test_the_nominal_time_is_the_tick_or_when_it_was_asked_for() -> None:
    """A scheduled run is nominally of its tick, however late it started."""
    tick = Event(id=EventId("ev_1"), door="schedule", kind="Tick", identity="t", at=AT - timedelta(hours=1))
    nominal = [event(event=one)["run"]["facets"]["nominalTime"]["nominalStartTime"] for one in (tick, None)]  # type: ignore[index]
    assert nominal == ["2026-11-21T05:00:00.123Z", "2026-11-21T06:00:00.123Z"]


def test_the_dataset_it_was_asked_for_is_an_output_once() -> None:
    """A click's dataset is written by the run, also when the job says so itself."""
    assert lineage.dataset_of(replace(RUN, arguments={"--datasetUrn": DATASET})) == DATASET
    assert lineage.dataset_of(replace(RUN, arguments={"--datasetUrn": "nonsense"})) is None
    assert lineage.dataset_of(RUN) is None
    assert lineage.environment_of(DATASET) == "DEV"
    said = {"outputs": [{"namespace": "athena", "name": "c.d.t", "facets": {"x": 1}}]}
    for result in ({}, {lineage.KEY: said}):
        outputs = event(replace(RUN, result=result), dataset=DATASET)["outputs"]
        assert [(one["namespace"], one["name"]) for one in outputs] == [("athena", "c.d.t")]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "said", [None, 3, "x", [], {"inputs": 3}, {"inputs": [3, {"name": "x"}, {"namespace": 1, "name": 2}]}]
)
def test_what_a_job_says_wrong_is_left_out(said: Json) -> None:
    """A job's result is its own: nothing in it may fail the telling."""
    assert event(replace(RUN, result={lineage.KEY: said}))["inputs"] == []


def test_the_jobs_words_are_its_documentation() -> None:
    """The description in headgate.yaml is the job's in DataHub."""
    made = event(job=Job(name=JobName("ingest"), engine="local", target={}, description="Reads files."))
    assert made["job"]["facets"]["documentation"]["description"] == "Reads files."  # type: ignore[index]
