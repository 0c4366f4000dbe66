"""This file is where functions that report their own end are tried: the token, the first word, and what is forged."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.aws import FakeAws

from headgate.engines.lambda_ import LambdaEngine
from headgate.errors import Conflict, EngineRefused, EngineUnavailable, LedgerUnavailable, NotFound
from headgate.model import RunState

from .orders import Recorder, order

TARGET = {"function": "succeeds", "callback": True}


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(tmp_path: Path, told: Recorder, fake_aws: FakeAws) -> LambdaEngine:
    return LambdaEngine(tmp_path, told)


def token_of(fake: FakeAws) -> str:
    return str(fake.invocations[-1]["Payload"]["callback"]["token"])


def test_the_function_says_how_it_ended(engine: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """The run is RUNNING until the token comes back; what comes with it is the result."""
    asked = order(TARGET)
    handle = engine.start(asked)
    assert told.wait_running(asked.attempt_id) == handle
    assert asked.attempt_id not in told.endings

    answered = engine.called_back(token_of(fake_aws), succeeded=True, error=None, result={"rows": 3})
    ending = told.wait_ended(asked.attempt_id)
    assert answered == asked.attempt_id
    assert (ending.state, ending.detail, ending.result) == (RunState.SUCCEEDED, "called back", {"rows": 3})


def test_a_failure_has_its_words(engine: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """A function that says it failed is believed, with or without a reason."""
    for error, said in (("no such column", "no such column"), (None, "says that it failed")):
        asked = order(TARGET)
        engine.start(asked)
        engine.called_back(token_of(fake_aws), succeeded=False, error=error, result={})
        ending = told.wait_ended(asked.attempt_id)
        assert ending.state is RunState.FAILED
        assert said in str(ending.error)


def test_only_the_first_word_counts(engine: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """A second call with the same token changes nothing (Lambda may run a function twice)."""
    asked = order(TARGET)
    engine.start(asked)
    engine.called_back(token_of(fake_aws), succeeded=True, error=None, result={})
    with pytest.raises(Conflict, match="ended already"):
        engine.called_back(token_of(fake_aws), succeeded=False, error="late", result={})
    assert [one.state for one in told.endings[asked.attempt_id]] == [RunState.SUCCEEDED]


def test_a_forged_token_is_nobodys(engine: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """Another run's id with this secret, a wrong secret, a path, nothing: not found, and nothing is told."""
    asked = order(TARGET)
    engine.start(asked)
    token = token_of(fake_aws)
    secret = token.rpartition(".")[2]
    for forged in (
        f"{order(TARGET).attempt_id}.{secret}",
        f"{asked.attempt_id}.x",
        f"../../etc.{secret}",
        "",
        "é.\ud800",
    ):
        with pytest.raises(NotFound):
            engine.called_back(forged, succeeded=True, error=None, result={})
    assert not told.endings


def test_the_next_server_hears_it(engine: LambdaEngine, fake_aws: FakeAws, tmp_path: Path) -> None:
    """After a restart over the same home the run is waited for on, and neither start nor adopt invokes it again."""
    asked = order(TARGET)
    handle = engine.start(asked)
    again = Recorder()
    second = LambdaEngine(tmp_path, again)
    assert second.start(asked) == handle
    second.adopt(asked)
    assert asked.attempt_id not in again.endings
    second.called_back(token_of(fake_aws), succeeded=True, error=None, result={})

    assert again.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    assert len(fake_aws.invocations) == 1


def test_a_stop_ends_the_waiting(engine: LambdaEngine, fake_aws: FakeAws, told: Recorder) -> None:
    """Stopped, it is waited for no more, and says that Lambda cannot stop it; its late word is not heard."""
    asked = order(TARGET)
    engine.start(asked)
    engine.stop(asked, grace=1)
    ending = told.wait_ended(asked.attempt_id)
    assert ending.state is RunState.STOPPED
    assert "Lambda cannot stop" in ending.detail
    with pytest.raises(Conflict):
        engine.called_back(token_of(fake_aws), succeeded=True, error=None, result={})


def test_where_the_token_is_not_known_the_run_is_lost(fake_aws: FakeAws, told: Recorder, tmp_path: Path) -> None:
    """Taken over on a machine that does not know the token, the run ends as lost: nobody will hear of it."""
    LambdaEngine(tmp_path, told).adopt(asked := order(TARGET, external_id="a-request-id"))
    assert told.wait_ended(asked.attempt_id).detail == "lost"


def test_the_token_is_kept_nowhere(engine: LambdaEngine, fake_aws: FakeAws, tmp_path: Path) -> None:
    """Neither the run's log nor its files hold the token."""
    engine.start(order(TARGET))
    secret = token_of(fake_aws).rpartition(".")[2].encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and secret in file.read_bytes()]


def test_an_answer_that_is_waited_for_cannot_be_called_back(engine: LambdaEngine) -> None:
    """RequestResponse and a callback exclude each other."""
    with pytest.raises(EngineRefused, match="nothing to call back"):
        engine.start(order({**TARGET, "invocation_type": "RequestResponse"}))


class Shared:
    """Plays the ledger: what one replica keeps, all know."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.away = False

    def keep(self, token: str) -> None:
        if self.away:
            raise LedgerUnavailable("the ledger is away")
        self.tokens.append(token)

    def given(self, attempt_id: str) -> bool:
        return any(one.startswith(f"{attempt_id}.") for one in self.tokens)


def test_a_replica_elsewhere_waits_on_for_the_call(tmp_path: Path, told: Recorder, fake_aws: FakeAws) -> None:
    """On another machine a run whose token all know is neither lost nor invoked again; it can be stopped."""
    shared = Shared()
    asked = order(TARGET)
    handle = LambdaEngine(tmp_path / "one", told, tokens=shared).start(asked)
    assert shared.tokens == [token_of(fake_aws)], "known to all before the function had it, and once"
    taken = order(TARGET, run_id=asked.run.id, external_id=handle)
    elsewhere = LambdaEngine(tmp_path / "two", told, tokens=shared)
    elsewhere.adopt(taken)
    assert asked.attempt_id not in told.endings
    assert len(fake_aws.invocations) == 1
    elsewhere.stop(taken, grace=1)
    assert told.wait_ended(asked.attempt_id).state is RunState.STOPPED


def test_a_token_that_cannot_be_kept_is_not_given(tmp_path: Path, told: Recorder, fake_aws: FakeAws) -> None:
    """With the ledger away nothing is invoked, and the run is offered again later."""
    shared = Shared()
    shared.away = True
    engine = LambdaEngine(tmp_path, told, tokens=shared)
    asked = order(TARGET)
    with pytest.raises(EngineUnavailable, match="could not be kept"):
        engine.start(asked)
    assert fake_aws.invocations == []
    shared.away = False
    engine.start(asked)
    assert len(fake_aws.invocations) == 1
