"""This file is where requests go their whole way: from a click in DataHub to a process, and back to its page."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.execution_requests import RequestGms
from journeys.world import until

from headgate.embedded.port import EmbeddedDataHub
from headgate.executor import executor as working
from headgate.flow.origin import Origin, origin_of
from headgate.model import RunState
from headgate.ports import Proposal

from .world import REPORT, executing, file, reporting, runs, script, until_status


@pytest.mark.parametrize("events", [True, False], ids=["events-api", "lists"])
def test_a_request_is_run_and_told(tmp_path: Path, events: bool) -> None:
    """RUNNING while it runs, then SUCCESS with start, duration, report and log, by either way of hearing of it."""
    with RequestGms(events=events) as gms, executing(tmp_path, gms) as app:
        urn = gms.ask(reporting("echo héllo; sleep 0.1"))
        until_status(gms, urn, "SUCCESS")
        [run] = runs(app)
        told = gms.result(urn)
        assert gms.statuses(urn)[0] == "RUNNING"
        assert (run.job, run.state, run.cause.actor) == (
            "ingestion:glue", RunState.SUCCEEDED, "urn:li:corpuser:alice",
        )  # fmt: skip
        assert origin_of(run) is Origin.MANUAL_UI
        assert run.arguments["--request"] == urn
        assert "héllo" in told["report"]
        assert run.id in told["report"]
        assert run.started_at is not None
        assert told["startTimeMs"] == int(run.started_at.timestamp() * 1000)
        assert told["durationMs"] >= 100
        assert told["structuredReport"]["type"] == "RUN_INGEST"
        assert json.loads(told["structuredReport"]["serializedValue"]) == REPORT
        assert bool(gms.polled) == events


def test_the_embedded_catalog_is_enough(tmp_path: Path) -> None:
    """Without a DataHub, a request written into the embedded catalog is run, and its result is there."""
    urn = "urn:li:dataHubExecutionRequest:one"
    given = {
        "task": "RUN_INGEST", "executorId": "default", "requestedAt": int(time.time() * 1000),
        "source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:laptop"},
        "args": {"recipe": json.dumps(reporting()), "version": "bundled"},
    }  # fmt: skip
    with executing(tmp_path, None) as app:
        assert isinstance(app.datahub, EmbeddedDataHub)
        app.datahub.emit([Proposal(entity_type="dataHubExecutionRequest", entity_urn=urn,
                                   aspect_name="dataHubExecutionRequestInput", aspect=given)])  # fmt: skip
        until(lambda: _status(app.datahub, urn) == "SUCCESS", "the request to be carried out")
        assert [run.job for run in runs(app)] == ["ingestion:laptop"]


def _status(datahub: Any, urn: str) -> str:
    return str((datahub.aspect(urn, "dataHubExecutionRequestResult") or {}).get("status"))


def test_a_failure_says_why(tmp_path: Path) -> None:
    """FAILURE, with the error and the end of the log."""
    with RequestGms() as gms, executing(tmp_path, gms):
        urn = gms.ask(script("echo no such host >&2; exit 3"))
        until_status(gms, urn, "FAILURE")
        assert "no such host" in gms.result(urn)["report"]
        assert "exit 3" in gms.result(urn)["report"]


def test_each_executor_has_its_own(tmp_path: Path) -> None:
    """Requests go to the executor they name, and those of `datahub ingest` itself to nobody."""
    with RequestGms() as gms:
        with executing(tmp_path / "a", gms, file("a")) as a, executing(tmp_path / "b", gms, file("b")) as b:
            for_cli = gms.ask(reporting(), executor="__datahub_cli_", task="CLI Ingestion")
            for_a, for_b = gms.ask(reporting(), executor="a"), gms.ask(reporting(), executor="b")
            until_status(gms, for_a, "SUCCESS")
            until_status(gms, for_b, "SUCCESS")
            assert [run.arguments["--request"] for run in runs(a)] == [for_a]
            assert [run.arguments["--request"] for run in runs(b)] == [for_b]
        assert gms.status(for_cli) == ""


def test_two_executors_of_one_id_share_the_work(tmp_path: Path) -> None:
    """Each request is run by one of them, whoever wins it; the other does nothing."""
    with RequestGms() as gms, executing(tmp_path / "a", gms) as a, executing(tmp_path / "b", gms) as b:
        urns = [gms.ask(reporting(), source=f"s{number}") for number in range(8)]
        for urn in urns:
            until_status(gms, urn, "SUCCESS")
        ran = [run.arguments["--request"] for run in [*runs(a), *runs(b)]]
        assert sorted(ran) == sorted(urns)
        assert all(gms.statuses(urn).count("SUCCESS") == 1 for urn in urns)


def test_what_is_delivered_again_starts_nothing(tmp_path: Path) -> None:
    """A redelivered change, and one restated while an index is rebuilt, lead to no second run."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        urn = gms.ask(reporting())
        until_status(gms, urn, "SUCCESS")
        given = gms.aspects.get(urn, "dataHubExecutionRequestInput") or {}
        for change in ("UPSERT", "RESTATE"):
            gms.changing.tell(urn, "dataHubExecutionRequestInput", given, change)
        old = "urn:li:dataHubExecutionRequest:restated"
        gms.changing.tell(old, "dataHubExecutionRequestInput", given, "RESTATE")
        last = gms.ask(reporting())
        until_status(gms, last, "SUCCESS")
        assert [run.arguments["--request"] for run in runs(app)] == [last, urn]


def test_others_requests_stay_theirs(tmp_path: Path) -> None:
    """A request that somebody else has begun is neither run nor written to."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        theirs = "urn:li:dataHubExecutionRequest:theirs"
        gms.aspects.put(theirs, "dataHubExecutionRequestResult", {"status": "RUNNING", "startTimeMs": 1})
        given = {"task": "RUN_INGEST", "executorId": "default", "args": {"recipe": "{}"}, "requestedAt": 0}
        gms.aspects.put(theirs, "dataHubExecutionRequestInput", {**given, "source": {"type": "MANUAL"}})
        ours = gms.ask(reporting())
        until_status(gms, ours, "SUCCESS")
        assert gms.result(theirs) == {"status": "RUNNING", "startTimeMs": 1}
        assert len(runs(app)) == 1


def test_datahub_sees_the_log_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on is RUNNING with the end of its log, told again only when that has grown."""
    monkeypatch.setattr(working, "UPDATE_EVERY", 0.1)
    go = tmp_path / "go"
    with RequestGms() as gms, executing(tmp_path / "p", gms) as app:
        urn = gms.ask(reporting(f"echo halfway; while [ ! -e {go} ]; do sleep 0.02; done; echo over"))
        until(lambda: "halfway" in str(gms.result(urn).get("report")), "the log to be told")
        assert gms.status(urn) == "RUNNING"
        until(lambda: not app.ledger.outbox()[0], "all to be told")
        told = len(gms.statuses(urn))
        time.sleep(0.5)
        assert len(gms.statuses(urn)) == told
        go.touch()
        until_status(gms, urn, "SUCCESS")
        assert "over" in gms.result(urn)["report"]


def test_a_connection_is_tested(tmp_path: Path) -> None:
    """The task TEST_CONNECTION has a job of its own, and tells DataHub's connection report as its own kind."""
    report = {"basic_connectivity": {"capable": False, "failure_reason": "no such host"}}
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        recipe = script(f"echo '{json.dumps({'connection': report})}' > \"$HEADGATE_RESULT\"")
        urn = gms.ask(recipe, task="TEST_CONNECTION")
        until_status(gms, urn, "SUCCESS")
        told = gms.result(urn)["structuredReport"]
        assert (told["type"], json.loads(told["serializedValue"])) == ("TEST_CONNECTION", report)
        assert runs(app)[0].job == "ingestion:test-connection"
