"""This file is where every fault of AWS meets every call that an engine makes: start, look and stop, of each engine.

Whatever goes wrong, a run is one execution (for Lambda: sent again, it is the same run), what is told of it is true
and told once, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from fakes.aws import FakeAws

from headgate.aws import Clients
from headgate.engines.glue import GlueEngine
from headgate.engines.lambda_ import LambdaEngine
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.errors import EngineRefused, EngineUnavailable
from headgate.model import RunState
from headgate.ports import Engine, Order
from headgate.supervision.logs import read_log

from .conftest import point_at
from .orders import Recorder, order, until

#: What goes wrong, and how often in a row: more often than boto3 tries a call by itself.
FAULTS: Final[Mapping[str, int]] = {
    "lost": 3, "throttle": 3, "error": 3, "html": 3, "expired": 2, "hang": 2, "cut": 3,
}  # fmt: skip
#: The operations behind an engine's start (all of them), its looks and its stop.
CALLS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "step_functions": {
        "start": ("StartExecution",), "look": ("DescribeExecution",), "stop": ("StopExecution",),
    },
    "glue": {
        "start": ("StartJobRun", "GetJobRuns"), "look": ("GetJobRun",), "stop": ("BatchStopJobRun",),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with pytest.MonkeyPatch.context() as patch, FakeAws() as fake:
        point_at(patch, fake.url)
        yield fake


@pytest.fixture(scope="module")
def clients(aws: FakeAws) -> Clients:
    """One set for all: to make a client costs a tenth of a second."""
    assert aws.url
    return Clients(read=0.15)


@dataclass(frozen=True, slots=True)
class Stage:
    """One engine before an AWS of which it alone sees what is made."""

    name: str
    fake: FakeAws
    engine: GlueEngine | StepFunctionsEngine
    told: Recorder
    home: Path
    another: Callable[[Path], Engine]  #: as another replica has it

    def order(self, fate: str) -> Order:
        return order({"job_name": fate} if self.name == "glue" else {"state_machine_arn": self.fake.machine(fate)})

    def begun(self, asked: Order) -> list[str]:
        """The ids of what AWS has of this attempt."""
        if self.name == "step_functions":
            return [arn for arn in self.fake.executions if arn.endswith(asked.attempt_id)]
        planted = [(name, one.body.get("Arguments", {})) for name, one in self.fake.runs.items()]
        return [name for name, arguments in planted if asked.attempt_id in arguments.values()]

    def insist(self, asked: Order, engine: Engine | None = None) -> str:
        """Start as the dispatcher does: again, as long as it cannot be now."""
        handles: list[str] = []
        engine = engine or self.engine

        def start() -> bool:
            try:
                handles.append(engine.start(asked))
            except EngineUnavailable:
                return False
            return True

        until(start, "the start")
        return handles[0]


def made(name: str, home: Path, told: Recorder, clients: Clients) -> GlueEngine | StepFunctionsEngine:
    if name == "glue":
        return GlueEngine(home, told, clients=clients, quickest=0.01, patience=0.2, doubt=0.02)
    return StepFunctionsEngine(home, told, clients=clients, quickest=0.01, patience=0.2)


@pytest.fixture(params=CALLS)
def stage(request: pytest.FixtureRequest, aws: FakeAws, clients: Clients, tmp_path: Path) -> Iterator[Stage]:
    name, told = str(request.param), Recorder()
    engine = made(name, tmp_path, told, clients)
    others: list[Engine] = []

    def another(home: Path) -> Engine:
        others.append(made(name, home, told, clients))
        return others[-1]

    yield Stage(name, aws, engine, told, tmp_path, another)
    aws.no_faults()
    for one in (engine, *others):
        one.close()


@pytest.mark.parametrize("kind", FAULTS)
def test_a_start_is_one_execution(stage: Stage, kind: str) -> None:
    """Put off until it can be, or found again where it was done unheard: one execution, under its id, to its end."""
    asked = stage.order("succeeds")
    for operation in CALLS[stage.name]["start"]:
        stage.fake.fault(operation, kind, FAULTS[kind])
    with pytest.raises(EngineUnavailable):
        stage.engine.start(asked)
    handle = stage.insist(asked)
    ending = stage.told.wait_ended(asked.attempt_id)

    assert stage.begun(asked) == [handle]
    assert ending.state is RunState.SUCCEEDED
    assert stage.told.handles.get(asked.attempt_id, [handle])[0] == handle


@pytest.mark.parametrize("kind", FAULTS)
def test_a_start_that_another_replica_goes_on_with_is_the_same(stage: Stage, kind: str, tmp_path: Path) -> None:
    """Whoever starts the attempt after a start went wrong, without a note of it, comes to one execution as well."""
    asked = stage.order("lasts")
    stage.fake.fault(CALLS[stage.name]["start"][0], kind, FAULTS[kind])
    with pytest.raises(EngineUnavailable):
        stage.engine.start(asked)
    stage.fake.no_faults()
    other = stage.another(tmp_path / "elsewhere")
    handle = stage.insist(asked, other)

    assert stage.insist(asked) == handle
    assert stage.begun(asked) == [handle]


@pytest.mark.parametrize("kind", [*FAULTS, "denied"])
def test_what_cannot_be_seen_runs_on(stage: Stage, kind: str) -> None:
    """While looks fail nothing is told and the log says why, once; then comes the true end."""
    asked = stage.order("fails")
    stage.fake.fault(CALLS[stage.name]["look"][0], kind, 2)
    stage.engine.start(asked)
    ending = stage.told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.FAILED
    assert "no such column" in str(ending.error)
    assert len(stage.told.endings[asked.attempt_id]) == 1
    assert len(stage.begun(asked)) == 1
    text = read_log(stage.home / "logs", asked.attempt_id)[0]
    assert text.count("cannot be looked at now") == 1
    assert stage.engine.problem is None


@pytest.mark.parametrize("kind", FAULTS)
def test_a_stop_is_asked_until_it_is_taken(stage: Stage, kind: str) -> None:
    """A stop that AWS did not take, or took unheard, is asked for again; STOPPED is told once, and is so."""
    asked = stage.order("lasts")
    handle = stage.engine.start(asked)
    stage.fake.fault(CALLS[stage.name]["stop"][0], kind, FAULTS[kind])
    stage.engine.stop(asked, grace=0)
    ending = stage.told.wait_ended(asked.attempt_id)
    work = (stage.fake.executions if stage.name == "step_functions" else stage.fake.runs)[handle]

    assert ending.state is RunState.STOPPED
    assert work.stopped is not None
    assert len(stage.told.endings[asked.attempt_id]) == 1


def test_a_start_that_is_not_allowed_is_refused(stage: Stage) -> None:
    """A missing permission is no weather: it is refused for good, with what to do, and nothing was begun."""
    asked = stage.order("lasts")
    stage.fake.fault(CALLS[stage.name]["start"][0], "denied")
    with pytest.raises(EngineRefused, match="give the credentials in use the permission"):
        stage.engine.start(asked)

    assert stage.begun(asked) == []


def test_a_stop_that_is_not_allowed_is_tried_again(stage: Stage) -> None:
    """Without the right to stop nobody is told that it stopped; with it, it is stopped."""
    asked = stage.order("lasts")
    stage.engine.start(asked)
    stage.fake.fault(CALLS[stage.name]["stop"][0], "denied", 2)
    stage.engine.stop(asked, grace=0)

    assert stage.told.wait_ended(asked.attempt_id).state is RunState.STOPPED


def test_a_start_that_comes_twice_is_one_execution(stage: Stage, tmp_path: Path) -> None:
    """Started again here and by another replica, with all answers heard, it is the execution of the first start."""
    asked = stage.order("lasts")
    handle = stage.engine.start(asked)

    assert stage.engine.start(asked) == handle
    assert stage.another(tmp_path / "elsewhere").start(asked) == handle
    assert stage.begun(asked) == [handle]


def test_what_stays_running_is_not_said_to_have_ended(stage: Stage) -> None:
    """What goes on RUNNING after its stop is looked at on and on; its stop was taken and is not asked for again."""
    asked = stage.order("stuck")
    handle = stage.engine.start(asked)
    look, stop = CALLS[stage.name]["look"][0], CALLS[stage.name]["stop"][0]
    stopped = stage.fake.count(stop)
    stage.engine.stop(asked, grace=0)
    until(lambda: stage.fake.count(stop) > stopped, "the stop")
    looked = stage.fake.count(look)
    until(lambda: stage.fake.count(look) > looked + 3, "more looks")

    assert stage.told.endings.get(asked.attempt_id) is None
    assert stage.fake.count(stop) == stopped + 1
    assert handle in stage.begun(asked)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("how", ["Event", "RequestResponse"])
def test_an_invocation_that_is_sent_again_is_the_same_run(
    *, aws: FakeAws, clients: Clients, tmp_path: Path, kind: str, how: str
) -> None:
    """An event that went unheard is sent again, with the run id and the attempt that tell it apart; a function whose
    answer was waited for and lost is not asked twice.
    """
    told = Recorder()
    engine = LambdaEngine(tmp_path, told, clients=clients, answer_within=2.0)
    asked = order({"function": "succeeds", "invocation_type": how})
    aws.fault("Invoke", kind, 2 if kind == "expired" else 1)
    before = len(aws.invocations)
    if how == "RequestResponse" and kind == "hang":
        aws.no_faults()  # a function may take a quarter of an hour: its answer is waited for
        engine.start(asked)
    elif how == "RequestResponse" and kind in ("lost", "cut"):
        engine.start(asked)
        ending = told.wait_ended(asked.attempt_id)
        assert (ending.state, ending.detail, ending.retryable) == (RunState.FAILED, "lost", True)
        engine.start(asked)
        assert len(aws.invocations) == before + 1
        return
    elif how == "Event" and kind == "cut":
        engine.start(asked)  # of an answer without a body nothing can be missing
    else:
        with pytest.raises(EngineUnavailable):
            engine.start(asked)
        assert told.endings == {}
        engine.start(asked)
    ending = told.wait_ended(asked.attempt_id)
    sent: list[dict[str, Any]] = [one["Payload"] for one in aws.invocations[before:]]

    assert ending.state is RunState.SUCCEEDED
    assert {(one["runId"], one["attempt"]) for one in sent} == {(asked.run.id, 0)}
    assert len(sent) == (2 if kind == "lost" else 1)
    assert len(told.endings[asked.attempt_id]) == 1
