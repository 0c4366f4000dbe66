"""This file is where the Step Functions engine is tried against moto: names, input, adoption, stop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from services.moto import configure

from headgate.engines.step_functions import StepFunctionsEngine, console_link, execution_arn, execution_name
from headgate.errors import EngineRefused
from headgate.model import Cause, RunId, RunState, StoredObject, attempt_id, new_run_id
from headgate.supervision.logs import read_log

from .orders import Recorder, order


@pytest.fixture
def states(on_moto: str) -> Any:
    return boto3.client("stepfunctions")


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(tmp_path: Path, told: Recorder) -> Iterator[StepFunctionsEngine]:
    engine = StepFunctionsEngine(tmp_path, told, quickest=0.05, patience=0.2)
    yield engine
    engine.close()


def test_a_start_is_an_execution_named_after_the_attempt(
    engine: StepFunctionsEngine, states: Any, state_machine: str, told: Recorder
) -> None:
    """The handle is the execution's ARN; its input holds who asked for what, and why."""
    urn = "urn:li:dataset:(urn:li:dataPlatform:athena,a.b,PROD)"
    asked = order(
        {"state_machine_arn": state_machine},
        arguments={"--datasetUrn": urn, "--jobUrn": "urn:li:dataJob:1", "--day": "2026-11-21"},
        cause=Cause(actor="urn:li:corpuser:ada", reason="for the report, überfällig"),
        manifest=[StoredObject(bucket="raw", key="a b.csv", size=3, etag="e1")],
    )
    handle = engine.start(asked)

    assert handle == execution_arn(state_machine, asked.attempt_id)
    assert told.wait_running(asked.attempt_id) == handle
    execution = states.describe_execution(executionArn=handle)
    assert execution["name"] == asked.attempt_id
    given = json.loads(execution["input"])
    assert given["datasetUrn"] == urn
    assert given["jobUrn"] == "urn:li:dataJob:1"
    assert (given["actor"], given["reason"]) == ("urn:li:corpuser:ada", "for the report, überfällig")
    assert given["runId"] == asked.run.id
    assert given["arguments"]["--day"] == "2026-11-21"
    assert given["objects"] == [{"bucket": "raw", "key": "a b.csv", "size": 3, "etag": "e1", "versionId": None}]


def test_a_second_start_finds_the_execution(
    engine: StepFunctionsEngine, states: Any, state_machine: str, tmp_path: Path
) -> None:
    """Another server that starts the same attempt gets the same execution, and there is one."""
    asked = order({"state_machine_arn": state_machine})
    first = engine.start(asked)
    other = StepFunctionsEngine(tmp_path / "elsewhere", Recorder(), quickest=0.05)
    try:
        assert other.start(asked) == first
    finally:
        other.close()
    names = [one["name"] for one in states.list_executions(stateMachineArn=state_machine)["executions"]]
    assert names.count(asked.attempt_id) == 1


def test_a_stop_aborts_it(engine: StepFunctionsEngine, states: Any, state_machine: str, told: Recorder) -> None:
    """A stopped execution is ABORTED there and STOPPED here, and the log says both."""
    asked = order({"state_machine_arn": state_machine})
    handle = engine.start(asked)
    engine.stop(asked, grace=1)

    assert told.wait_ended(asked.attempt_id).state is RunState.STOPPED
    assert states.describe_execution(executionArn=handle)["status"] == "ABORTED"


def test_the_log_tells_the_story(
    engine: StepFunctionsEngine, state_machine: str, told: Recorder, tmp_path: Path
) -> None:
    """A person who reads the run's log sees the execution, a link to it, its states and its end."""
    asked = order({"state_machine_arn": state_machine})
    handle = engine.start(asked)
    engine.stop(asked, grace=1)
    told.wait_ended(asked.attempt_id)
    text, _, complete = read_log(tmp_path / "logs", asked.attempt_id)

    assert complete
    for piece in (handle, console_link(handle), "a stop was asked for", "ABORTED", "ended STOPPED"):
        assert piece in text


def test_input_beyond_what_aws_takes_is_refused(engine: StepFunctionsEngine, state_machine: str) -> None:
    """More than 262,144 bytes of input (as UTF-8) are refused with what to do, before AWS is asked."""
    objects = [StoredObject(bucket="raw", key=f"{number:04}-" + "ü" * 200) for number in range(700)]
    with pytest.raises(EngineRefused, match="lower the trigger's max_objects"):
        engine.start(order({"state_machine_arn": state_machine}, manifest=objects))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "names no state_machine_arn"),
        ({"state_machine_arn": "ingest"}, "expected arn:aws:states"),
        ({"state_machine_arn": "arn:aws:states:us-east-1:123456789012:stateMachine:none"}, "StateMachineDoesNotExist"),
    ],
)
def test_what_cannot_start_is_refused(
    engine: StepFunctionsEngine, on_moto: str, target: dict[str, str], says: str
) -> None:
    """No state machine, no ARN, no such thing: refused for good, in words."""
    with pytest.raises(EngineRefused, match=says):
        engine.start(order(target))


def test_without_credentials_it_says_so(
    engine: StepFunctionsEngine, state_machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without AWS credentials a start is refused and names what to set."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(EngineRefused, match="no AWS credentials"):
        engine.start(order({"state_machine_arn": state_machine}))


def test_names_are_legal_and_different() -> None:
    """Every attempt of a run gets a name of at most 80 legal characters, and no two get the same."""
    run = new_run_id()
    names = [execution_name(attempt_id(run, number)) for number in range(11)]
    odd = [execution_name(attempt_id(RunId("jr_" + "é/:" * 40), number)) for number in range(3)]

    assert names[0] == run
    assert len(set(names + odd)) == 14
    assert all(len(name) <= 80 and name.replace("_", "").replace("-", "").isascii() for name in names + odd)
    assert not any(set(name) & set("é/:") for name in odd)


def test_a_version_is_no_part_of_an_executions_arn() -> None:
    """A state machine's alias leads to an execution ARN without it, in the same partition, region and account."""
    machine = "arn:aws-us-gov:states:us-gov-west-1:123456789012:stateMachine:ingest:live"
    assert execution_arn(machine, "jr_1") == "arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:ingest:jr_1"


@pytest.mark.parametrize(
    ("end", "state", "says"),
    [
        ('{"Type": "Pass", "Result": {"rows": 3}, "End": true}', RunState.SUCCEEDED, {"rows": 3}),
        ('{"Type": "Pass", "Result": "three", "End": true}', RunState.SUCCEEDED, {"output": "three"}),
        ('{"Type": "Fail", "Error": "Broken", "Cause": "no column"}', RunState.FAILED, "Broken: no column"),
    ],
)
def test_a_state_machine_that_really_runs(
    *, engine: StepFunctionsEngine, states: Any, told: Recorder, moto_url: str, end: str, state: RunState, says: object
) -> None:
    """Executed by moto, the machine's output is the run's result, its error and cause the run's error."""
    configure(moto_url, {"stepfunctions": {"execute_state_machine": True}})
    try:
        machine = states.create_state_machine(
            name=f"really-{hashlib.sha256(end.encode()).hexdigest()[:8]}",
            definition=f'{{"StartAt": "End", "States": {{"End": {end}}}}}',
            roleArn="arn:aws:iam::123456789012:role/states",
        )["stateMachineArn"]
        asked = order({"state_machine_arn": machine})
        engine.start(asked)
        ending = told.wait_ended(asked.attempt_id)
    finally:
        configure(moto_url, {"stepfunctions": {"execute_state_machine": False}})

    assert ending.state is state
    assert says in (ending.result, ending.error)
