"""This file is where every engine is held to what `ports.Engine` promises; a new engine is one more world in WORLDS."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.aws import FakeAws
from services.moto import CREDENTIALS

from headgate.engines.glue import GlueEngine
from headgate.engines.local import LocalEngine
from headgate.engines.recipe import RecipeEngine
from headgate.engines.step_functions import StepFunctionsEngine
from headgate.errors import EngineRefused
from headgate.job import Lake
from headgate.model import Json, RunState
from headgate.ports import Engine, Watcher

from .orders import Recorder, order, until


@dataclass(frozen=True, kw_only=True)
class World:
    """An engine and the targets to try it with."""

    engine: Callable[[Watcher], Engine]
    succeeds: Mapping[str, Json]
    fails: Mapping[str, Json]
    lasts: Mapping[str, Json]  #: runs until it is stopped, or until `let_go` was called
    refused: Mapping[str, Json]
    started: Callable[[], int]  #: how many runs of these targets have really begun
    let_go: Callable[[], None]
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    close: Callable[[], object] = lambda: None


def local(folder: Path) -> World:
    def script(rest: str) -> dict[str, Json]:
        return {"command": ["sh", "-c", f"echo x >> {folder}/begun; {rest}"]}

    def begun() -> int:
        return len((folder / "begun").read_text("utf-8").splitlines()) if (folder / "begun").exists() else 0

    return World(
        engine=lambda watcher: LocalEngine(folder / ".headgate", watcher, Lake(), folder),
        succeeds=script("exit 0"),
        fails=script("exit 9"),
        lasts=script(f"until [ -e {folder}/go ]; do sleep 0.01; done"),
        refused={"command": ["no-such-command-anywhere"]},
        started=begun,
        let_go=(folder / "go").touch,
    )


def recipe(folder: Path) -> World:
    def written(does: str) -> dict[str, Json]:
        config = {"does": does, "folder": str(folder)}
        document = {
            "source": {"type": "recipes.sources.Odd", "config": config},
            "sink": {"type": "file", "config": {"filename": str(folder / f"{does}.json")}},
        }
        (folder / f"{does}.yml").write_text(json.dumps(document), "utf-8")
        return {"recipe": str(folder / f"{does}.yml")}

    def begun() -> int:
        return len((folder / "begun").read_text("utf-8").splitlines()) if (folder / "begun").exists() else 0

    return World(
        engine=lambda watcher: RecipeEngine(folder / ".headgate", watcher, Path(__file__).parents[1]),
        succeeds=written("nothing"),
        fails=written("fail"),
        lasts=written("wait"),
        refused={"recipe": "no-such-recipe.yml"},
        started=begun,
        let_go=(folder / "go").touch,
    )


def step_functions(folder: Path) -> World:
    fake = FakeAws().__enter__()
    return World(
        engine=lambda watcher: StepFunctionsEngine(folder, watcher, quickest=0.02, patience=0.2),
        succeeds={"state_machine_arn": fake.machine("succeeds")},
        fails={"state_machine_arn": fake.machine("fails")},
        lasts={"state_machine_arn": fake.machine("lasts")},
        refused={"state_machine_arn": fake.machine("none")},
        started=lambda: len(fake.executions),
        let_go=fake.let_go,
        environ={**CREDENTIALS, "AWS_ENDPOINT_URL": fake.url},
        close=fake.__exit__,
    )


def glue(folder: Path) -> World:
    fake = FakeAws().__enter__()
    return World(
        engine=lambda watcher: GlueEngine(folder, watcher, quickest=0.02, patience=0.2),
        succeeds={"job_name": "succeeds"},
        fails={"job_name": "fails"},
        lasts={"job_name": "lasts"},
        refused={"job_name": "none"},
        started=lambda: len(fake.runs),
        let_go=fake.let_go,
        environ={**CREDENTIALS, "AWS_ENDPOINT_URL": fake.url},
        close=fake.__exit__,
    )


#: Lambda is not among them: nothing there lasts, and nothing can be stopped (test_lambda.py has what it promises).
WORLDS: dict[str, Callable[[Path], World]] = {
    "local": local,
    "recipe": recipe,
    "step_functions": step_functions,
    "glue": glue,
}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = WORLDS[request.param](tmp_path)
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    yield world
    world.close()


@pytest.fixture
def told() -> Recorder:
    return Recorder()


@pytest.fixture
def engine(world: World, told: Recorder) -> Iterator[Engine]:
    engine = world.engine(told)
    yield engine
    world.let_go()
    engine.close()


def test_a_run_is_told_running_and_then_its_end(world: World, engine: Engine, told: Recorder) -> None:
    """A run that succeeds is told RUNNING under the handle `start` returned, and then SUCCEEDED."""
    asked = order(world.succeeds)
    handle = engine.start(asked)

    assert told.wait_running(asked.attempt_id) == handle
    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED


def test_a_failure_is_told_with_its_reason(world: World, engine: Engine, told: Recorder) -> None:
    """A run that fails says FAILED and something to read."""
    asked = order(world.fails)
    engine.start(asked)
    ending = told.wait_ended(asked.attempt_id)

    assert ending.state is RunState.FAILED
    assert ending.error


def test_a_second_start_finds_the_first(world: World, engine: Engine, told: Recorder) -> None:
    """Started twice, also from several threads at once, an attempt runs once and has one handle."""
    asked = order(world.lasts)
    handles: list[str] = []
    threads = [threading.Thread(target=lambda: handles.append(engine.start(asked))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.wait_running(asked.attempt_id)
    again = engine.start(asked)
    until(world.started, "the run to begin")
    world.let_go()

    assert again == told.handles[asked.attempt_id][0]
    assert again in handles
    assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
    assert world.started() == 1


def test_a_start_after_the_end_tells_the_end_again(world: World, engine: Engine, told: Recorder) -> None:
    """Whoever missed the end and starts again is told the end, and nothing runs a second time."""
    asked = order(world.fails)
    engine.start(asked)
    first = told.wait_ended(asked.attempt_id)
    engine.start(asked)
    until(lambda: len(told.endings[asked.attempt_id]) == 2, "the end to be told again")

    assert told.endings[asked.attempt_id][1] == first
    assert world.started() == 1


def test_what_can_never_start_is_refused(world: World, engine: Engine) -> None:
    """A bad target raises EngineRefused, and nothing runs."""
    with pytest.raises(EngineRefused):
        engine.start(order(world.refused))

    assert world.started() == 0


def test_a_stop_ends_it_and_may_be_repeated(world: World, engine: Engine, told: Recorder) -> None:
    """A stopped run ends STOPPED, told once, however often the stop is asked for."""
    asked = order(world.lasts)
    engine.start(asked)
    until(world.started, "the run to begin")
    engine.stop(asked, grace=5)
    engine.stop(asked, grace=5)
    ending = told.wait_ended(asked.attempt_id)
    engine.stop(asked, grace=0)

    assert ending.state is RunState.STOPPED
    assert len(told.endings[asked.attempt_id]) == 1


def test_a_stop_before_the_start_prevents_it(world: World, engine: Engine, told: Recorder) -> None:
    """An attempt that is stopped before it started ends STOPPED and can not start later."""
    asked = order(world.succeeds)
    engine.stop(asked, grace=1)
    assert told.wait_ended(asked.attempt_id).state is RunState.STOPPED

    engine.start(asked)
    until(lambda: len(told.endings[asked.attempt_id]) == 2, "the end to be told to the late start")
    assert told.endings[asked.attempt_id][1].state is RunState.STOPPED
    assert world.started() == 0


def test_without_a_trace_it_is_lost(world: World, engine: Engine, told: Recorder) -> None:
    """Adopting what never started tells FAILED with `lost`, and a late start of it does nothing."""
    asked = order(world.succeeds)
    engine.adopt(asked)
    ending = told.wait_ended(asked.attempt_id)
    assert (ending.state, ending.detail) == (RunState.FAILED, "lost")

    engine.start(asked)
    until(lambda: len(told.endings[asked.attempt_id]) == 2, "the end to be told to the late start")
    assert world.started() == 0


def test_a_survivor_is_followed_by_the_next_engine(world: World, told: Recorder) -> None:
    """What runs when an engine closes goes on, and the engine that adopts it tells its true end."""
    asked = order(world.lasts)
    first = world.engine(Recorder())
    first.start(asked)
    until(world.started, "the run to begin")
    first.close()
    second = world.engine(told)
    try:
        second.adopt(asked)
        told.wait_running(asked.attempt_id)
        world.let_go()

        assert told.wait_ended(asked.attempt_id).state is RunState.SUCCEEDED
        assert world.started() == 1
    finally:
        second.close()


def test_what_ended_meanwhile_is_told_truly(world: World, told: Recorder) -> None:
    """A run that failed while nobody watched is told as it ended, by adopt."""
    asked = order(world.fails)
    watched = Recorder()
    first = world.engine(watched)
    first.start(asked)
    before = watched.wait_ended(asked.attempt_id)
    first.close()
    second = world.engine(told)
    try:
        second.adopt(asked)

        assert told.wait_ended(asked.attempt_id) == before
    finally:
        second.close()


def test_a_survivor_can_be_stopped_by_the_next_engine(world: World, told: Recorder) -> None:
    """A stop works on a run another engine started, also without adopting it first."""
    asked = order(world.lasts)
    first = world.engine(Recorder())
    first.start(asked)
    until(world.started, "the run to begin")
    first.close()
    second = world.engine(told)
    try:
        second.stop(asked, grace=5)

        assert told.wait_ended(asked.attempt_id).state is RunState.STOPPED
    finally:
        second.close()


def test_the_end_is_told_once(world: World, engine: Engine, told: Recorder) -> None:
    """Thirty runs at once are told thirty ends, each once."""
    asked = [order(world.succeeds) for _ in range(30)]
    for one in asked:
        engine.start(one)
    for one in asked:
        told.wait_ended(one.attempt_id)

    assert [len(told.endings[one.attempt_id]) for one in asked] == [1] * 30
    assert world.started() == 30
