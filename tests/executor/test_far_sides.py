"""This file is where DataHub is away, slow or beaten to it, and where we are killed: requests keep their true ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.execution_requests import RequestGms
from fakes.gms import TOKEN
from journeys.world import until

from headgate.app import App
from headgate.errors import Invalid, Unavailable
from headgate.executor import executor as working
from headgate.executor import taking
from headgate.ledger import executions
from headgate.ledger.executions import Kept, Stage
from headgate.model import RunState
from headgate.ports import Proposal
from headgate.runtime import deliver
from headgate.supervision import records, tree

from .world import built, executing, file, reporting, runs, script, the_run, until_status


def test_an_end_that_datahub_missed_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result waits in the outbox while DataHub fails, and arrives when it is back."""
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 0.1)
    go = tmp_path / "go"
    with RequestGms() as gms, executing(tmp_path / "p", gms) as app:
        urn = gms.ask(script(f"while [ ! -e {go} ]; do sleep 0.02; done"))
        until_status(gms, urn, "RUNNING")
        gms.misbehave("/aspects", "503", times=1000, seconds=0.1)
        gms.misbehave("/openapi/v3/entity", "500", times=1000)
        go.touch()
        until(lambda: the_run(app).ended_at, "the run to end")
        until(lambda: app.ledger.outbox()[2], "the first try to fail")
        assert gms.status(urn) == "RUNNING"
        gms.behave()
        until_status(gms, urn, "SUCCESS")


def test_a_claim_whose_answer_is_lost_is_ours_all_the_same(tmp_path: Path) -> None:
    """The write arrived, the answer did not: asked again, DataHub refuses, and we see our own signature there."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        gms.misbehave("action=ingestProposal", "lost")
        urn = gms.ask(reporting())
        until_status(gms, urn, "SUCCESS")
        assert len(runs(app)) == 1
        assert gms.statuses(urn).count("SUCCESS") == 1


def test_datahub_being_away_delays_a_request(tmp_path: Path) -> None:
    """What was heard of is in the ledger; /readyz says that it waits, and it runs when DataHub can be told."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        gms.misbehave("action=ingestProposal", "503", times=1000, seconds=0.05)
        urn = gms.ask(reporting())
        until(lambda: "wait" in str(app.readiness()["problems"]), "the problem to be shown")
        assert runs(app) == []
        gms.behave()
        until_status(gms, urn, "SUCCESS")
        until(lambda: not app.readiness()["problems"], "all to be well")


def test_a_claim_that_is_refused_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While DataHub is restarted what stands before it may say 404, and nobody has the request: it is not given up."""
    monkeypatch.setattr(taking, "FIRST_REST", 0.2)
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        gms.misbehave("action=ingestProposal", "404", times=2)
        urn = gms.ask(reporting())
        until_status(gms, urn, "SUCCESS")
        assert len(runs(app)) == 1


def test_what_runs_on_without_us_is_taken_up_again(tmp_path: Path) -> None:
    """The executor ends in the middle of a run; the next one adopts it, with its log and its true end."""
    go = tmp_path / "go"
    with RequestGms() as gms:
        with executing(tmp_path / "p", gms) as first:
            urn = gms.ask(reporting(f"echo begun; while [ ! -e {go} ]; do sleep 0.02; done; echo over"))
            until(lambda: the_run(first).state is RunState.RUNNING, "the run")
            until_status(gms, urn, "RUNNING")
        go.touch()
        with executing(tmp_path / "p", gms) as second:
            until_status(gms, urn, "SUCCESS")
            assert len(runs(second)) == 1
            assert "begun" in gms.result(urn)["report"]
            assert "over" in gms.result(urn)["report"]


def test_a_run_whose_processes_were_lost_is_aborted(tmp_path: Path) -> None:
    """All of its processes are killed while nobody watches: FAILED (lost) here, ABORTED there, soon after the start."""
    with RequestGms() as gms:
        with executing(tmp_path / "p", gms) as first:
            urn = gms.ask(script("sleep 600"))
            until(lambda: the_run(first).state is RunState.RUNNING, "the run")
            until_status(gms, urn, "RUNNING")
            inside: Any = first
            launchers = inside._engines["recipe"]._processes._supervisor._launchers.pids()
            run = the_run(first).id
            left = str(tmp_path / "p" / ".headgate" / "logs" / run)
            until(lambda: records.read(left, records.JOB), "the job to be there")
            shim = records.read(left, records.SHIM) or {}
        kill_all(run, launchers, [int(shim["pid"])])
        with executing(tmp_path / "p", gms) as second:
            until_status(gms, urn, "ABORTED")
            [ended] = runs(second)
            assert (ended.state, ended.detail) == (RunState.FAILED, "lost")
            assert "lost" in gms.result(urn)["report"]


def kill_all(run: str, launchers: Sequence[int], shims: Sequence[int]) -> None:
    """kill -9 of all processes of a run, so that nobody tells how it ended."""
    for pid in [*launchers, *shims, *tree.marked(run)]:  # first who would tell how the others ended
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_crash_between_claim_and_run_is_made_good(tmp_path: Path) -> None:
    """DataHub has our claim and the ledger no run: the next start makes the run."""
    with RequestGms(events=False) as gms:
        with executing(tmp_path, gms) as app:
            ledger = app.ledger
            mark = ledger.write(executions.identity).result(10)
        urn = gms.ask(reporting())
        gms.aspects.put(urn, "dataHubExecutionRequestResult", {
            "status": "RUNNING", "startTimeMs": 1, "report": f"[headgate {mark}] has taken it",
        })  # fmt: skip
        with built(tmp_path, {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN}) as app:
            from headgate.executor.requests import read_input

            given = read_input(urn, gms.aspects.get(urn, "dataHubExecutionRequestInput") or {})
            assert isinstance(given, executions.Request)
            app.ledger.write(lambda batch: executions.accept(batch, [given])).result(10)
            app.carry_out(file())
            until_status(gms, urn, "SUCCESS")
            assert len(runs(app)) == 1


def test_a_request_of_ours_that_no_ledger_knows_is_ended(tmp_path: Path) -> None:
    """Signed by us, RUNNING there, and unknown here: nothing of it runs, and DataHub is told ABORTED."""
    with RequestGms(events=False) as gms, executing(tmp_path, gms) as app:
        mark = app.ledger.write(executions.identity).result(10)
        urn = gms.ask(reporting(), at=1.0)
        gms.aspects.put(urn, "dataHubExecutionRequestResult", {
            "status": "RUNNING", "startTimeMs": 1, "report": f"[headgate {mark}] has taken it",
        })  # fmt: skip
        until_status(gms, urn, "ABORTED")
        assert runs(app) == []


def test_an_end_that_was_never_told_is_told_again(tmp_path: Path) -> None:
    """DataHub still says RUNNING of a run that is over here: the next round tells it."""
    with RequestGms(events=False) as gms, executing(tmp_path, gms):
        urn = gms.ask(script("exit 4"))
        until_status(gms, urn, "FAILURE")
        before = gms.result(urn)
        gms.aspects.put(urn, "dataHubExecutionRequestResult", {"status": "RUNNING", "startTimeMs": 1})
        until_status(gms, urn, "FAILURE")
        assert gms.result(urn)["report"] == before["report"]


def test_a_stream_that_fails_is_replaced_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the Events API fails requests are found in the lists, each once; after it they are told again."""
    monkeypatch.setattr(working, "AGAIN", 0.2)
    with RequestGms() as gms:
        gms.misbehave("/openapi/v1/events/poll", "500", times=1000)
        with executing(tmp_path, gms) as app:
            first = gms.ask(reporting())
            until_status(gms, first, "SUCCESS")
            until(lambda: "Events API" in str(app.readiness()["problems"]), "the problem to be shown")
            gms.behave()
            until(lambda: not app.readiness()["problems"], "the stream to be followed")
            second = gms.ask(reporting())
            until_status(gms, second, "SUCCESS")
            assert [run.arguments["--request"] for run in runs(app)] == [second, first]


def test_a_stream_that_says_it_is_not_there_may_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One 404 of what stands before DataHub while it is restarted is not the end of the Events API for us."""
    monkeypatch.setattr(working, "NOT_THERE_AGAIN", 0.2)
    with RequestGms() as gms:
        gms.misbehave("/openapi/v1/events/poll", "404", times=2)
        with gms.impatient(), executing(tmp_path, gms) as app:
            until(lambda: app.readiness()["warnings"], "it to be said that there is none")
            until(lambda: not app.readiness()["warnings"], "it to be found")
            assert app.executor is not None
            assert app.executor.following == "the Events API"
            until_status(gms, gms.ask(reporting()), "SUCCESS")


def test_what_could_not_be_told_is_told_as_soon_as_datahub_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox rests for minutes after many failures; that a stream is heard again ends the rest."""
    monkeypatch.setattr(deliver, "FIRST_PAUSE", 900.0)
    monkeypatch.setattr(working, "AGAIN", 0.2)
    go = tmp_path / "go"
    with RequestGms() as gms, executing(tmp_path / "p", gms) as app:
        urn = gms.ask(script(f"while [ ! -e {go} ]; do sleep 0.02; done"))
        until_status(gms, urn, "RUNNING")
        for path in ("/aspects", "/openapi/v3/entity"):
            gms.misbehave(path, "400", times=1000)
        gms.misbehave("/openapi/v1/events/poll", "500", times=1000)
        gms.ask(script("true"), executor="other")  # ends the question that DataHub is still answering
        go.touch()
        until(lambda: app.ledger.outbox()[2], "the first try to fail")
        until(lambda: app.readiness()["problems"], "the stream to fail")
        gms.behave()
        until_status(gms, urn, "SUCCESS")


def test_our_place_in_the_events_is_kept(tmp_path: Path) -> None:
    """After a restart reading goes on where it was; a place that DataHub has forgotten is given up."""
    with RequestGms() as gms:
        with executing(tmp_path, gms):
            until_status(gms, gms.ask(reporting()), "SUCCESS")
            until(lambda: "offsetId" in gms.polled[-1], "the first place")
        gms.polled.clear()
        with executing(tmp_path, gms):
            until(lambda: gms.polled, "the first question")
            assert gms.polled[0]["offsetId"][0].startswith("a-")
        gms.generation = "b"
        gms.polled.clear()
        with executing(tmp_path, gms) as app:
            until_status(gms, gms.ask(reporting()), "SUCCESS")
            until(lambda: any("lookbackWindowDays" in one for one in gms.polled), "it to begin anew")
            assert len(runs(app)) == 2


def test_too_old_and_unknown_requests_end_with_a_reason(tmp_path: Path) -> None:
    """What is not run is told so, and why: too old, of an unknown task, without a recipe."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        old = gms.ask(reporting(), at=1_000_000.0)
        odd = gms.ask(reporting(), task="DO_SOMETHING")
        empty = gms.ask(recipe="not a recipe")
        until_status(gms, old, "ABORTED")
        until_status(gms, odd, "FAILURE")
        until_status(gms, empty, "FAILURE")
        assert "hours ago" in gms.result(old)["report"]
        assert "DO_SOMETHING" in gms.result(odd)["report"]
        assert "recipe is no JSON object" in gms.result(empty)["report"]
        assert runs(app) == []
        until(lambda: Stage.NEW not in _stages(app, old, odd, empty), "all to be settled")


def _stages(app: App, *urns: str) -> set[Stage]:
    kept = app.ledger.read(lambda connection: executions.find(connection, urns))
    return {one.stage for one in kept.values()}


def test_places_are_limited_and_one_source_runs_once(tmp_path: Path) -> None:
    """No more runs at a time than there are places, no two of one source; who waits is Pending in DataHub."""
    go = tmp_path / "go"
    waits = script(f"while [ ! -e {go} ]; do sleep 0.02; done")
    with RequestGms() as gms, executing(tmp_path / "p", gms, file(most=2)) as app:
        first = gms.ask(waits, source="one")
        until_status(gms, first, "RUNNING")
        again, second = gms.ask(waits, source="one"), gms.ask(waits, source="two")
        until_status(gms, second, "RUNNING")
        third = gms.ask(waits, source="three")
        until(lambda: len(_kept(app, third)) == 1, "the third to be heard of")
        assert [gms.status(urn) for urn in (again, third)] == ["", ""]
        until(lambda: len(runs(app)) == 2, "the two runs")  # DataHub hears RUNNING before there is one
        assert [gms.status(urn) for urn in (again, third)] == ["", ""]
        go.touch()
        for urn in (first, again, second, third):
            until_status(gms, urn, "SUCCESS")


def _kept(app: App, urn: str) -> Mapping[str, Kept]:
    return app.ledger.read(lambda connection: executions.find(connection, [urn]))


def test_a_guarded_end_stays(tmp_path: Path) -> None:
    """An end that somebody else wrote meanwhile is not written over, and our run keeps its own."""
    go = tmp_path / "go"
    with RequestGms() as gms, executing(tmp_path / "p", gms) as app:
        urn = gms.ask(script(f"while [ ! -e {go} ]; do sleep 0.02; done"))
        until_status(gms, urn, "RUNNING")
        gms.aspects.put(urn, "dataHubExecutionRequestResult", {"status": "CANCELLED", "startTimeMs": 0})
        go.touch()
        until(lambda: the_run(app).state is RunState.SUCCEEDED, "the run to end")
        until(lambda: not app.ledger.outbox()[0], "all to be told")
        assert gms.result(urn) == {"status": "CANCELLED", "startTimeMs": 0}


def test_one_bad_request_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DataHub neither takes our claim nor lets us see whose it is: that one is put off, the others are run."""
    monkeypatch.setattr(taking, "FIRST_REST", 0.3)
    with RequestGms(events=False) as gms, executing(tmp_path, gms) as app:
        real, refused, taken = app.datahub.emit, list[str](), list[str]()

        def emit(proposals: Sequence[Proposal]) -> None:
            urn = proposals[0].entity_urn
            if urn == bad and len(refused) < 2:
                refused.append(urn)
                raise Invalid("a validator of this DataHub's refuses it")
            taken.extend(one for one in [urn] if one == bad)
            real(proposals)

        def aspect(urn: str, name: str) -> Mapping[str, Any] | None:
            if urn == bad and name.endswith("Result") and not taken:
                raise Invalid("and will not say why")
            return look(urn, name)

        look, bad = app.datahub.aspect, "urn:li:dataHubExecutionRequest:bad"
        monkeypatch.setattr(app.datahub, "emit", emit)
        monkeypatch.setattr(app.datahub, "aspect", aspect)
        given = {"task": "RUN_INGEST", "executorId": "default", "requestedAt": int(time.time() * 1000)}
        args = {"recipe": json.dumps(reporting())}
        gms.aspects.put(bad, "dataHubExecutionRequestInput", {**given, "args": args, "source": {"type": "MANUAL"}})
        good = gms.ask(reporting())
        until_status(gms, good, "SUCCESS")
        until_status(gms, bad, "SUCCESS")
        assert len(refused) == 2
        assert app.ledger.read(lambda connection: executions.find(connection, [bad]))[bad].tries == 2


@pytest.mark.parametrize("trouble", [Unavailable("500"), RuntimeError("a bug")], ids=["far-side", "bug"])
def test_one_that_always_fails_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    """DataHub fails at one request for ever, or a bug of ours does: those that came later are run all the same."""
    monkeypatch.setattr(taking, "FIRST_PAUSE", 0.1)
    with RequestGms(events=False) as gms, executing(tmp_path, gms) as app:
        real, bad = app.datahub.emit, list[str]()

        def emit(proposals: Sequence[Proposal]) -> None:
            if proposals[0].entity_urn in bad:
                raise trouble
            real(proposals)

        monkeypatch.setattr(app.datahub, "emit", emit)
        bad.append(gms.ask(reporting(), source="bad", at=time.time() - 60))
        until(lambda: _kept(app, bad[0]), "the bad one to be heard of")
        good = [gms.ask(reporting(), source=f"good{number}") for number in range(2)]
        for urn in good:
            until_status(gms, urn, "SUCCESS")
        assert gms.status(bad[0]) == ""
        assert len(runs(app)) == 2
