"""This file is where AWS misbehaves in ways that want a story; test_fault_matrix has every fault at every call.

Whatever it does, a run is one execution, its state is true, and nothing is lost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.aws import FakeAws

from headgate.aws import Clients
from headgate.engines.glue import GlueEngine
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.errors import EngineInDoubt, EngineRefused, EngineUnavailable
from headgate.model import Json, RunState
from headgate.ports import Engine, Order

from .orders import Recorder, order, until

ROLE = "arn:aws:iam::210987654321:role/ingest"


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def states(tmp_path: Path, told: Recorder) -> Iterator[StepFunctionsEngine]:
    engine = StepFunctionsEngine(tmp_path, told, quickest=0.02, patience=0.3)
    yield engine
    engine.close()


def machine(fake: FakeAws, fate: str, **more: Json) -> dict[str, Json]:
    return {"state_machine_arn": fake.machine(fate), **more}


def insist(engine: Engine, asked: Order) -> str:
    """Start as the dispatcher does: until it is."""
    handles: list[str] = []

    def start() -> bool:
        try:
            handles.append(engine.start(asked))
        except EngineUnavailable:
            return False
        return True

    until(start, "the start")
    return handles[0]


def test_a_lost_reply_starts_nothing_twice(states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """boto3's own retry comes back to the same execution, as ours does."""
    fake_aws.fault("StartExecution", "lost", 1)
    asked = order(machine(fake_aws, "succeeds"))
    handle = insist(states, asked)

    assert list(fake_aws.executions) == [handle]
    assert told.wait_ended(asked.attempt_id).result == {"rows": 3}


def test_what_is_not_shown_yet_is_not_lost(states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """An execution that AWS shows only after a while (it is eventually consistent) is waited for."""
    fake_aws.lag = 0.15
    asked = order(machine(fake_aws, "succeeds"))
    states.start(asked)

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_what_was_there_and_is_not_any_more_is_lost(
    states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder
) -> None:
    """An execution that has gone for good ends its run, as lost, after some patience."""
    asked = order(machine(fake_aws, "lasts"))
    states.start(asked)
    fake_aws.executions.clear()
    ending = told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.detail) == (RunState.FAILED, "lost")


def test_a_stop_while_it_starts_stops_it(states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """A stop when the start's reply was lost finds the execution and ends it; a late start changes nothing."""
    asked = order(machine(fake_aws, "lasts"))
    fake_aws.fault("StartExecution", "lost")
    with pytest.raises(EngineInDoubt):
        states.start(asked)
    states.stop(asked, grace=0)
    ending = told.wait_ended(asked.attempt_id)
    states.start(asked)
    until(lambda: len(told.endings[asked.attempt_id]) == 2, "the end to be told to the late start")

    assert ending.state is RunState.STOPPED
    assert len(fake_aws.executions) == 1


def test_a_name_that_somebody_else_took_is_refused(
    states: StepFunctionsEngine, fake_aws: FakeAws, tmp_path: Path
) -> None:
    """An execution of our name with another's input is not taken for ours."""
    asked = order(machine(fake_aws, "lasts"))
    handle = states.start(asked)
    fake_aws.executions[handle].body = {**fake_aws.executions[handle].body, "input": '{"attemptId": "other"}'}
    other = StepFunctionsEngine(tmp_path / "elsewhere", Recorder())
    with pytest.raises(EngineRefused, match="the input of another run"):
        other.start(asked)


def test_a_name_that_is_taken_and_not_shown_yet_is_waited_for(
    states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """ExecutionAlreadyExists, while DescribeExecution lags behind, is no refusal; nor is it that we may not look."""
    fake_aws.lag = 0.1
    asked = order(machine(fake_aws, "succeeds"))
    other = StepFunctionsEngine(tmp_path / "elsewhere", Recorder(), quickest=3600)
    handle = other.start(asked)
    other.close()
    fake_aws.executions[handle].body = {**fake_aws.executions[handle].body, "traceHeader": "other"}
    fake_aws.fault("DescribeExecution", "denied", 2)

    assert insist(states, asked) == handle
    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    "detail",
    [
        {"status": "SUCCEEDED", "startDate": 1e300, "stopDate": True, "output": 7, "outputDetails": ["x"]},
        {"status": ["SUCCEEDED"]},
        {"status": "FAILED", "stopDate": "yesterday", "error": {"a": 1}, "cause": None, "outputDetails": None},
    ],
)
def test_an_event_that_is_none_hurts_nobody(states: StepFunctionsEngine, detail: dict[str, Any]) -> None:
    """Whatever a message calls a status change, nothing is raised into the door that brought it."""
    assert not states.noticed("arn:aws:states:us-east-1:123456789012:execution:a:b", detail)


def test_an_event_ends_the_run_without_a_look(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """EventBridge's status change is the end itself, told once however often it comes; unknown ones are not ours."""
    engine = StepFunctionsEngine(tmp_path, told, quickest=3600)
    try:
        asked = order(machine(fake_aws, "lasts"))
        handle = engine.start(asked)
        event: dict[str, Any] = {
            "executionArn": handle,
            "status": "SUCCEEDED",
            "startDate": 1_795_000_000_000,
            "stopDate": 1_795_000_060_000,
            "output": '"done"',
            "outputDetails": {"included": True},
        }
        assert engine.noticed(handle, event)
        ending = told.wait_ended(asked.attempt_id)
        assert not engine.noticed(handle, event)
    finally:
        engine.close()

    assert (ending.state, ending.result) == (RunState.SUCCEEDED, {"output": "done"})
    assert ending.at.timestamp() == 1_795_000_060
    assert len(told.endings[asked.attempt_id]) == 1
    assert fake_aws.count("DescribeExecution") == 0


def test_an_event_without_its_output_is_looked_up(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """An event whose output was too large to be included leads to a look, which has it."""
    engine = StepFunctionsEngine(tmp_path, told, quickest=3600)
    try:
        asked = order(machine(fake_aws, "succeeds"))
        handle = engine.start(asked)
        assert engine.noticed(handle, {"status": "SUCCEEDED", "outputDetails": {"included": False}})
        assert told.wait_ended(asked.attempt_id).result == {"rows": 3}
    finally:
        engine.close()


def test_renewed_credentials_are_found(
    states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials that run out while a run is followed delay its end until there are new ones, and no longer."""
    asked = order(machine(fake_aws, "lasts"))
    states.start(asked)
    fake_aws.good_keys = {"renewed"}
    fake_aws.let_go()
    until(lambda: states.problem, "the trouble to be seen")
    assert "ExpiredTokenException" in str(states.problem)
    assert asked.attempt_id not in told.endings
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_a_role_is_assumed_in_the_runs_name(states: StepFunctionsEngine, fake_aws: FakeAws, tmp_path: Path) -> None:
    """The start is made as the job's role, in a session called after the run (its 64 digits), with the external id."""
    asked = order(machine(fake_aws, "lasts", role_arn=ROLE, external_id="ours"))
    states.start(asked)
    assumed = next(one for one in fake_aws.calls if one.operation == "AssumeRole")
    started = next(one for one in fake_aws.calls if one.operation == "StartExecution")

    assert (assumed.body["RoleArn"], assumed.body["ExternalId"]) == (ROLE, "ours")
    assert assumed.body["RoleSessionName"] == asked.run.id.removeprefix("jr_")
    assert started.key.startswith("ASIA")
    assert started.token == f"token-{started.key}"
    secret = started.token.encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_bytes()]


def test_a_roles_session_that_ran_out_is_opened_again(
    states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder
) -> None:
    """Assumed credentials that AWS calls expired are got anew, and the run goes on without a word."""
    asked = order(machine(fake_aws, "lasts", role_arn=ROLE))
    states.start(asked)
    fake_aws.good_keys = set()
    fake_aws.let_go()

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_a_role_that_may_not_be_assumed_is_refused(states: StepFunctionsEngine, fake_aws: FakeAws) -> None:
    """A role that STS does not give is refused for good, and named."""
    fake_aws.fault("AssumeRole", "denied", 3)
    with pytest.raises(EngineRefused, match=f"assuming the role {ROLE}"):
        states.start(order(machine(fake_aws, "lasts", role_arn=ROLE)))


@pytest.mark.parametrize("name", ["step_functions", "glue"])
def test_through_bad_weather_every_run_is_one(
    fake_aws: FakeAws, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random faults on every call, and servers that die between start and note: one execution each, true ends."""
    chance = random.Random(7)
    told = Recorder()
    kinds = ["lost", "throttle", "error", "html", "expired"]
    operations = ["StartExecution", "DescribeExecution", "StartJobRun", "GetJobRun", "GetJobRuns"]
    clients = Clients()

    def engine(number: int) -> Engine:
        home = tmp_path / str(number)
        if name == "glue":
            return GlueEngine(home, told, clients=clients, quickest=0.02, doubt=0.05)
        return StepFunctionsEngine(home, told, clients=clients, quickest=0.02)

    asked: dict[str, tuple[Order, RunState]] = {}
    engines = [engine(number) for number in range(2)]
    for number in range(12):
        fate, state = chance.choice([("succeeds", RunState.SUCCEEDED), ("fails", RunState.FAILED)])
        one = order(machine(fake_aws, fate) if name == "step_functions" else {"job_name": fate})
        asked[one.attempt_id] = (one, state)
        for operation in operations:
            if chance.random() < 0.4:
                fake_aws.fault(operation, chance.choice(kinds))
        if number % 4 == 0:
            insist(engines[1], one)  # a replica that dies before it can note what it started
        insist(engines[0], one)
    try:
        for attempt, (_, state) in asked.items():
            assert told.wait_ended(attempt).state is state
    finally:
        for one_engine in engines:
            one_engine.close()
    assert len(fake_aws.executions if name == "step_functions" else fake_aws.runs) == 12


def test_an_express_execution_ends_with_its_dispatch(
    states: StepFunctionsEngine, fake_aws: FakeAws, told: Recorder
) -> None:
    """Nothing can be asked about an EXPRESS execution, so its run ends `dispatched`; started again it is the same."""
    asked = order(machine(fake_aws, "express"))
    handle = states.start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.detail) == (RunState.SUCCEEDED, "dispatched")
    assert states.start(asked) == handle
    assert len(fake_aws.executions) == 1
    assert fake_aws.count("DescribeExecution") == 0
