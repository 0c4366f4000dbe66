"""This file is where the Lambda engine is tried against moto: dispatched, answered, refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest

from headgate.engines.lambda_ import LambdaEngine, read_target
from headgate.errors import EngineRefused
from headgate.model import Cause, RunState
from headgate.supervision.logs import read_log

from .orders import Recorder, order


@pytest.fixture(scope="module")
def packed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", "def handler(event, context):\n    return event\n")
    return file.getvalue()


@pytest.fixture
def function(on_moto: str, packed: bytes) -> str:
    """The name of a function that answers what it is given."""
    iam: Any = boto3.client("iam")
    functions: Any = boto3.client("lambda")
    try:
        role = iam.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        return "echo"
    functions.create_function(
        FunctionName="echo", Runtime="python3.11", Role=role, Handler="main.handler", Code={"ZipFile": packed}
    )
    return "echo"


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(tmp_path: Path, told: Recorder) -> LambdaEngine:
    return LambdaEngine(tmp_path, told)


def test_an_event_ends_with_its_dispatch(engine: LambdaEngine, function: str, told: Recorder, tmp_path: Path) -> None:
    """Lambda's acceptance is the end (`dispatched`), and the handle is the request id its log will show."""
    asked = order({"function": function})
    handle = engine.start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert told.wait_running(asked.attempt_id) == handle
    assert handle != asked.attempt_id
    assert (ending.state, ending.detail) == (RunState.SUCCEEDED, "dispatched")
    text, _, complete = read_log(tmp_path / "logs", asked.attempt_id)
    assert complete
    assert handle in text


def test_an_answer_is_the_runs_result(engine: LambdaEngine, function: str, told: Recorder) -> None:
    """With RequestResponse the function's answer is the result; what it was given is the payload we promise."""
    asked = order(
        {"function_name": function, "invocation_type": "RequestResponse"},
        arguments={"--dataset_urn": "urn:li:dataset:1"},
        cause=Cause(actor="urn:li:corpuser:ada", reason="because"),
    )
    engine.start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.SUCCEEDED
    assert ending.result["runId"] == asked.run.id
    assert ending.result["attempt"] == 0
    assert (ending.result["datasetUrn"], ending.result["jobUrn"]) == ("urn:li:dataset:1", None)
    assert (ending.result["actor"], ending.result["reason"]) == ("urn:li:corpuser:ada", "because")


def test_started_again_it_is_not_invoked_again(
    engine: LambdaEngine, function: str, told: Recorder, tmp_path: Path
) -> None:
    """An attempt that was dispatched from this home is told dispatched again, under its first request id."""
    asked = order({"function": function})
    first = engine.start(asked)
    again = Recorder()

    assert LambdaEngine(tmp_path, again).start(asked) == first
    assert again.wait_ended(asked.attempt_id) == told.wait_ended(asked.attempt_id)


def test_a_stop_before_the_start_prevents_it(engine: LambdaEngine, function: str, told: Recorder) -> None:
    """Stopped before it started, an attempt ends STOPPED and a late start of it invokes nothing."""
    asked = order({"function": function})
    engine.stop(asked, grace=1)
    engine.start(asked)

    assert [one.state for one in told.endings[asked.attempt_id]] == [RunState.STOPPED, RunState.STOPPED]
    assert asked.attempt_id not in told.handles


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "names no function"),
        ({"function": "no spaces please"}, "neither a function's name nor its ARN"),
    ],
)
def test_what_cannot_start_is_refused(
    engine: LambdaEngine, on_moto: str, told: Recorder, target: dict[str, str], says: str
) -> None:
    """No function, no name, no such thing: refused for good, in words, and nothing is told."""
    asked = order(target)
    with pytest.raises(EngineRefused, match=says):
        engine.start(asked)
    assert not told.endings


@pytest.mark.parametrize(
    ("named", "region"),
    [
        ({"function": "fn"}, ""),
        ({"function": "fn", "region": "eu-west-1"}, "eu-west-1"),
        ({"function": "arn:aws:lambda:eu-north-1:123456789012:function:fn:live", "region": "eu-west-1"}, "eu-north-1"),
    ],
)
def test_the_region_of_an_arn_wins(named: dict[str, str], region: str) -> None:
    """A function's ARN says where it is, whatever the job says; a bare name leaves it to the job."""
    assert read_target(order(named).job).region == region


def test_a_payload_beyond_what_aws_takes_is_refused(engine: LambdaEngine, function: str) -> None:
    """More than 256 KB of an event are refused before AWS is asked."""
    with pytest.raises(EngineRefused, match="262,144 bytes"):
        engine.start(order({"function": function}, arguments={"--a": json.dumps("x" * 262_144)}))
