"""This file is where AWS jobs go the whole way: asked at the gate, dispatched, followed, ended, through restarts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from fakes.aws import FakeAws
from journeys.world import make_project, running

from headgate.app import App, parts
from headgate.engines.glue import GlueEngine
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.flow import dispatch
from headgate.http import build
from headgate.model import Run, RunState

from .orders import until

CONFIGURATION = """
jobs:
  ingest: {engine: step_functions, state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:succeeds"}
  fails: {engine: step_functions, state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:fails",
          max_retries: 1, retry: {base: 10ms}}
  lasts: {engine: step_functions, state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:lasts"}
  short: {engine: glue, job_name: lasts, timeout: 1s}
  nowhere: {engine: glue, job_name: none}
  calls: {engine: lambda, function: succeeds, callback: true}
  many: {engine: step_functions, state_machine_arn: "arn:aws:states:us-east-1:123456789012:stateMachine:lasts",
         max_concurrent_runs: 30}
  more: {engine: glue, job_name: lasts, max_concurrent_runs: 30}
  told: {engine: lambda, function: succeeds, region: eu-west-1}
"""


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS is looked at, and asked again, without the pauses that an account's limits ask for."""
    monkeypatch.setattr(parts, "StepFunctionsEngine", partial(StepFunctionsEngine, quickest=0.02))
    monkeypatch.setattr(parts, "GlueEngine", partial(GlueEngine, quickest=0.02, doubt=0.1))
    monkeypatch.setattr(dispatch, "FIRST_PAUSE", 0.05)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", CONFIGURATION)


def ask(app: App, job: str) -> Run:
    return app.gate.start(job, arguments={}, actor="urn:li:corpuser:ada", reason="a test")


def at(app: App, run: Run, holds: Callable[[Run], object], what: str) -> Run:
    until(lambda: holds(app.ledger.run(run.id)), what)
    return app.ledger.run(run.id)


def ended(app: App, run: Run) -> Run:
    return at(app, run, lambda one: one.ended_at, "the end")


def test_each_engine_ends_its_runs(fake_aws: FakeAws, project: Path) -> None:
    """A success with its result, a failure with its error after its retry, and what Lambda was told."""
    with running(project) as app:
        asked = {job: ask(app, job) for job in ("ingest", "fails", "told", "nowhere")}
        done = {job: ended(app, run) for job, run in asked.items()}

    assert done["ingest"].state is RunState.SUCCEEDED
    assert done["ingest"].result == {"rows": 3}
    assert done["fails"].state is RunState.FAILED
    assert (done["fails"].attempt, done["fails"].error) == (1, "Ingest.Broken: KeyError: no such column")
    assert (done["told"].state, done["told"].detail) == (RunState.SUCCEEDED, "dispatched")
    assert (done["nowhere"].state, done["nowhere"].detail) == (RunState.FAILED, "refused")
    names = sorted(arn.rpartition(":")[2] for arn in fake_aws.executions)
    first = asked["fails"].id
    assert names == sorted([asked["ingest"].id, first, f"{first}_attempt_1"])


def test_any_id_finds_the_run_and_its_log(fake_aws: FakeAws, project: Path) -> None:
    """The execution's ARN is an id of the run, whose log tells what happened there."""
    with running(project) as app:
        run = ended(app, ask(app, "ingest"))
        assert run.external_id is not None
        assert app.gate.log(run.external_id).text.count(run.external_id) >= 1
        assert app.ledger.run(run.external_id).id == run.id


def test_a_throttled_start_waits_and_says_why(fake_aws: FakeAws, project: Path) -> None:
    """While AWS throttles, the run is WAITING and names the reason; then it runs, once."""
    fake_aws.fault("StartExecution", "throttle", 3)
    with running(project) as app:
        run = ask(app, "ingest")
        waiting = at(app, run, lambda one: "Rate exceeded" in one.detail, "the reason")
        assert waiting.state is RunState.WAITING
        assert ended(app, run).state is RunState.SUCCEEDED
    assert len(fake_aws.executions) == 1


def test_what_runs_while_nobody_serves_is_taken_up_again(fake_aws: FakeAws, project: Path) -> None:
    """An execution outlives the server; the next one follows it to its true end."""
    with running(project) as app:
        run = ask(app, "lasts")
        at(app, run, lambda one: one.state is RunState.RUNNING, "the run to be RUNNING")
    fake_aws.let_go()
    with running(project) as app:
        assert ended(app, run).state is RunState.SUCCEEDED
    assert len(fake_aws.executions) == 1


def test_a_runs_limit_ends_it_there(fake_aws: FakeAws, project: Path) -> None:
    """A Glue run beyond its job's limit is stopped on AWS, and is a TIMEOUT here."""
    with running(project) as app:
        run = ended(app, ask(app, "short"))

    assert run.state is RunState.TIMEOUT
    assert fake_aws.count("BatchStopJobRun") == 1


def test_a_stop_reaches_aws(fake_aws: FakeAws, project: Path) -> None:
    """A run that is stopped is STOPPED once its execution is ABORTED."""
    with running(project) as app:
        run = ask(app, "lasts")
        at(app, run, lambda one: one.state is RunState.RUNNING, "the run to be RUNNING")
        app.gate.stop(run.id, actor="urn:li:corpuser:ada")
        assert ended(app, run).state is RunState.STOPPED
    assert [one.stopped is not None for one in fake_aws.executions.values()] == [True]


def test_a_function_calls_back_through_the_port(fake_aws: FakeAws, project: Path) -> None:
    """With the token of its payload a function ends its run, over HTTP, with its result."""
    with running(project) as app:
        run = ask(app, "calls")
        at(app, run, lambda one: one.state is RunState.RUNNING, "the run to be RUNNING")
        token = fake_aws.invocations[0]["Payload"]["callback"]["token"]
        port = build(app.gate, readiness=app.readiness, host="127.0.0.1", port=8090)

        async def call() -> int:
            transport = httpx.ASGITransport(app=port)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
                body = {"token": token, "state": "SUCCEEDED", "result": {"rows": 3}}
                return (await client.post("/headgate/api/v1/callbacks", json=body)).status_code

        assert asyncio.run(call()) == 200
        done = ended(app, run)
    assert (done.state, done.detail, done.result) == (RunState.SUCCEEDED, "called back", {"rows": 3})


def test_runs_that_cannot_be_seen_are_in_the_readiness(fake_aws: FakeAws, project: Path) -> None:
    """While AWS does not let us look, /readyz warns, without a name of AWS; afterwards it does not."""
    with running(project) as app:
        fake_aws.fault("DescribeExecution", "denied", 1000)
        run = ask(app, "ingest")
        until(lambda: app.readiness()["warnings"], "the warning")
        said = str(app.readiness()["warnings"])
        assert "step_functions" in said
        assert "arn:" not in said
        fake_aws.no_faults()
        ended(app, run)
        assert app.readiness()["warnings"] == []


_SERVER = """
import sys
from pathlib import Path
from headgate.app import App
from headgate.settings.load import load

app = App.build(load(Path(sys.argv[1]), {}), worker=True, doors=False)
app.start()
for number in range(20):
    app.gate.start(sys.argv[2], arguments={}, actor="urn:li:corpuser:ada")
print("asked", flush=True)
sys.stdin.read()
"""


@pytest.mark.chaos
@pytest.mark.parametrize(("job", "after"), [("many", 1), ("many", 8), ("many", 20), ("more", 1), ("more", 8)])
def test_a_killed_server_started_nothing_twice(fake_aws: FakeAws, project: Path, job: str, after: int) -> None:
    """Killed with -9 among twenty starts, some of them unheard: the next server brings every run to one true end."""
    fake_aws.fault("StartExecution" if job == "many" else "StartJobRun", "lost", 1)
    begun = fake_aws.executions if job == "many" else fake_aws.runs
    command = [sys.executable, "-c", _SERVER, str(project), job]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        until(lambda: len(begun) >= after or server.poll() is not None, "the first starts")
        assert server.poll() is None
        server.kill()
    fake_aws.let_go()
    with running(project) as app:
        until(lambda: not app.ledger.counts(), "every run to end")
        runs = app.ledger.runs(limit=100).items

    assert runs
    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert len(begun) == len(runs)
