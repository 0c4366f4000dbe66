"""This file is where Lambda misbehaves: it throttles, forgets to answer, takes its time, and its functions fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.aws import FakeAws

from headgate.aws import Clients
from headgate.engines.lambda_ import LambdaEngine
from headgate.engines.lambda_ import engine as lambda_engine
from headgate.errors import EngineInDoubt, EngineRefused, EngineUnavailable
from headgate.model import RunState
from headgate.settings.load import load
from headgate.supervision.logs import read_log

from .orders import DEADLINE, Recorder, order, until


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.mark.parametrize("ours", ["", "eu-south-1"])
@pytest.mark.parametrize("aws", ["", "eu-south-2"])
@pytest.mark.parametrize("default", ["", "eu-north-1"])
def test_the_region_of_a_bare_function(
    *,
    fake_aws: FakeAws,
    told: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: str,
    aws: str,
    default: str,
) -> None:
    """The seeds' variable, then AWS_REGION, then AWS_DEFAULT_REGION: seen in the signature's scope; none is refused."""
    names = ("DATAHUB_INGESTION_LAMBDA_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    environ = {name: value for name, value in zip(names, (ours, aws, default), strict=True) if value}
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    engine = LambdaEngine(tmp_path, told, clients=Clients(environ=environ), region=load(None, environ).lambda_region)
    expected = ours or aws or default
    if not expected:
        with pytest.raises(EngineRefused, match="no AWS region"):
            engine.start(order({"function": "lasts"}))
        return
    engine.start(order({"function": "lasts"}))
    assert [one.region for one in fake_aws.calls] == [expected]


@pytest.fixture
def functions(tmp_path: Path, told: Recorder) -> LambdaEngine:
    return LambdaEngine(tmp_path, told, answer_within=DEADLINE)


@pytest.fixture
def hasty(tmp_path: Path, told: Recorder) -> LambdaEngine:
    """An engine whose starts do not wait for a function that takes its time."""
    return LambdaEngine(tmp_path, told, answer_within=0.1)


@pytest.mark.parametrize("kind", ["throttle", "error", "lost"])
def test_an_invocation_that_cannot_be_now_is_put_off(functions: LambdaEngine, fake_aws: FakeAws, kind: str) -> None:
    """Throttled, broken or unheard, the event is sent again, with the same run id and attempt in it."""
    fake_aws.fault("Invoke", kind)
    asked = order({"function": "lasts"})
    with pytest.raises(EngineUnavailable):
        functions.start(asked)
    functions.start(asked)

    assert {(one["Payload"]["runId"], one["Payload"]["attempt"]) for one in fake_aws.invocations} == {(asked.run.id, 0)}


def test_a_function_that_is_not_there_is_refused(functions: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """An unknown function is refused for good."""
    for how in ("Event", "RequestResponse"):
        with pytest.raises(EngineRefused, match="ResourceNotFoundException"):
            functions.start(order({"function": "none", "invocation_type": how}))
    assert not told.endings


def test_a_functions_error_is_the_runs(
    functions: LambdaEngine, fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """What a function raised is the run's error, and the end of its log is in the run's log."""
    asked = order({"function": "fails", "invocation_type": "RequestResponse"})
    functions.start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.error) == (RunState.FAILED, "KeyError: no such column")
    assert "hello from the function" in read_log(tmp_path / "logs", asked.attempt_id)[0]


def test_a_slow_answer_is_waited_for(hasty: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """A function that takes its time runs under the attempt's id; started again it is the same, a stop waits for it."""
    asked = order({"function": "slow", "invocation_type": "RequestResponse"})
    handle = hasty.start(asked)
    assert (handle, told.wait_running(asked.attempt_id)) == (asked.attempt_id, asked.attempt_id)
    assert hasty.start(asked) == handle
    hasty.stop(asked, grace=0)
    hasty.adopt(asked)
    assert asked.attempt_id not in told.endings
    fake_aws.let_go()

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    assert len(told.endings[asked.attempt_id]) == 1
    assert len(fake_aws.invocations) == 1


def test_an_answer_nobody_heard_is_lost(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """Whoever takes up a run whose server died while it waited for an answer cannot know it: lost, and it says so."""
    asked = order({"function": "slow", "invocation_type": "RequestResponse"}, external_id="jr_1")
    LambdaEngine(tmp_path, told).adopt(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.detail) == (RunState.FAILED, "lost")


def test_a_version_goes_along(functions: LambdaEngine, fake_aws: FakeAws) -> None:
    """The job's qualifier is what is invoked."""
    functions.start(order({"function": "lasts", "qualifier": "live"}))
    assert fake_aws.invocations[0]["Qualifier"] == "live"


def test_an_answer_that_comes_too_late_for_this_server_is_there_for_the_next(
    fake_aws: FakeAws, told: Recorder, tmp_path: Path
) -> None:
    """What a function answers after the engine was closed is told by the next one, and not twice."""
    engine = LambdaEngine(tmp_path, told, answer_within=0.01)
    asked = order({"function": "slow", "invocation_type": "RequestResponse"})
    engine.start(asked)
    engine.close()
    fake_aws.let_go()
    until((tmp_path / "logs" / asked.attempt_id / "settled").exists, "the answer to be written down")
    assert asked.attempt_id not in told.endings
    LambdaEngine(tmp_path, told).adopt(asked)

    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_only_so_many_are_waited_for(
    hasty: LambdaEngine, fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch, told: Recorder
) -> None:
    """Beyond the threads there are for it, a function that is waited for has to wait; nothing is invoked."""
    monkeypatch.setattr(lambda_engine, "_MOST_WAITED_FOR", 1)
    first = order({"function": "slow", "invocation_type": "RequestResponse"})
    hasty.start(first)
    with pytest.raises(EngineUnavailable, match="being waited for"):
        hasty.start(order({"function": "slow", "invocation_type": "RequestResponse"}))
    fake_aws.let_go()
    told.wait_ended(first.attempt_id)

    assert len(fake_aws.invocations) == 1


def test_a_function_that_was_waited_for_is_not_asked_twice(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """A server that dies while it waits for a quick function left no id: the next one says lost, and asks nobody."""
    asked = order({"function": "slow", "invocation_type": "RequestResponse"})
    killed = LambdaEngine(tmp_path, Recorder(), answer_within=0.01)
    killed.start(asked)
    until(lambda: fake_aws.invocations, "the invocation")
    killed.close()
    LambdaEngine(tmp_path, told).start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert (ending.state, ending.detail, ending.retryable) == (RunState.FAILED, "lost", True)
    assert len(fake_aws.invocations) == 1


@pytest.mark.parametrize("how", ["Event", "RequestResponse"])
def test_a_proxys_page_is_no_answer(functions: LambdaEngine, fake_aws: FakeAws, told: Recorder, how: str) -> None:
    """A page with status 200 that something in between sends is not taken for Lambda's word."""
    fake_aws.fault("Invoke", "page")
    asked = order({"function": "lasts", "invocation_type": how})
    if how == "Event":
        with pytest.raises(EngineInDoubt):
            functions.start(asked)
        assert not told.endings
    else:
        functions.start(asked)
        assert told.wait_ended(asked.attempt_id).detail == "lost"


def test_a_stop_in_doubt_says_so(functions: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """Stopped after an invocation whose reply was lost, the run does not say that it never started."""
    fake_aws.fault("Invoke", "lost")
    asked = order({"function": "lasts"})
    with pytest.raises(EngineInDoubt):
        functions.start(asked)
    functions.stop(asked, grace=0)

    assert told.wait_ended(asked.attempt_id).detail == "it may have been invoked; Lambda cannot stop a function"
