"""This file is where the engine `recipe` is tested, with DataHub's own SDK: what it is given, and how it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recipes.documents import file_recipe

from headgate.engines.recipe import RecipeEngine
from headgate.errors import EngineRefused
from headgate.model import RunState
from headgate.ports import Ending, Order
from headgate.processes import read_log
from headgate.supervision import records

from .orders import Recorder, order

SECRET = "hunter2/&hunter3"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "SOURCE_PATH": f"/nowhere/{SECRET}",
    "UNUSED": "never-handed-over",
    "SOURCE_TOKEN": "given-by-name-alone",
    "HEADGATE_TOKEN": "t" * 20,
}


class Recipes:
    """An engine in a project, shared by the tests as its warm processes are, and a folder of the test's own in it."""

    def __init__(self, project: Path, told: Recorder, engine: RecipeEngine, folder: Path) -> None:
        self.home = project / ".headgate"
        self.told = told
        self.engine = engine
        self.folder = folder
        self.file = str(folder.relative_to(project) / "recipe.yml")

    def order(self, recipe: Mapping[str, Any], **more: Any) -> Order:
        (self.folder / "recipe.yml").write_text(json.dumps(recipe), "utf-8")
        return order({"recipe": self.file, **more})

    def run(self, asked: Order) -> tuple[Ending, str]:
        self.engine.start(asked)
        return self.told.wait_ended(asked.attempt_id), self.log(asked)

    def log(self, asked: Order) -> str:
        return read_log(self.home, asked.attempt_id, 0, 1 << 24)[0]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Recorder, RecipeEngine]]:
    project, told = tmp_path_factory.mktemp("project"), Recorder()
    engine = RecipeEngine(project / ".headgate", told, project, environ={**ENVIRON, "HOME": str(project)})
    yield project, told, engine
    engine.close()


@pytest.fixture
def recipes(shared: tuple[Path, Recorder, RecipeEngine], request: pytest.FixtureRequest) -> Recipes:
    project, told, engine = shared
    folder = project / f"{abs(hash(request.node.name)):x}"
    folder.mkdir()
    return Recipes(project, told, engine, folder)


def written(recipes: Recipes) -> list[str]:
    """The URNs in the file a recipe wrote."""
    found: list[dict[str, Any]] = json.loads((recipes.folder / "out.json").read_text("utf-8"))
    return [one["entityUrn"] for one in found]


def test_a_recipe_runs_and_its_report_is_the_result(recipes: Recipes) -> None:
    """What a recipe reads is written to its sink, and DataHub's structured report becomes the run's result."""
    asked = recipes.order(file_recipe(recipes.folder, many=3), log_limit=5 << 20)
    ending, log = recipes.run(asked)
    result: Any = ending.result

    assert (ending.state, ending.error) == (RunState.SUCCEEDED, None), log
    shim = records.read(str(recipes.home / "logs" / asked.attempt_id), records.SHIM)
    assert (shim or {})["log_limit"] == 5 << 20
    assert len(written(recipes)) == 3
    assert (result["records"], result["failures"], result["warnings"]) == (3, 0, 0)
    assert result["source"]["type"] == "file"
    assert result["source"]["report"]["events_produced"] == 3
    assert result["sink"]["report"]["total_records_written"] == 3
    assert result["run_id"].startswith("file-")
    assert "Pipeline finished successfully" in log


@pytest.mark.parametrize("env", [["SOURCE_TOKEN"], []])
def test_a_variable_given_by_name_is_masked_where_its_name_says_so(recipes: Recipes, env: list[str]) -> None:
    """What `env:` hands on is no secret of the recipe's, and its value is in no log all the same."""
    recipe = file_recipe(recipes.folder)
    recipe["source"]["config"]["path"] = f"/nowhere/{ENVIRON['SOURCE_TOKEN']}"
    ending, log = recipes.run(recipes.order(recipe, env=env))
    assert ending.state is RunState.FAILED
    assert (ENVIRON["SOURCE_TOKEN"] in log) == (not env), log


def test_a_run_with_failures_is_failed(recipes: Recipes) -> None:
    """A source that reports a failure fails the run, with the failure in its error and the report as its result."""
    recipe = file_recipe(recipes.folder)
    (recipes.folder / "in.json").write_text('[{"entityType": "dataset", "nonsense": 1}]', "utf-8")
    ending, log = recipes.run(recipes.order(recipe))
    result: Any = ending.result

    assert ending.state is RunState.FAILED, log
    assert ending.error is not None
    assert ending.error.startswith("1 failure reported; the first: ")
    assert (result["failures"], result["source"]["report"]["failures"][0] != {}) == (1, True)


@pytest.mark.parametrize(
    ("part", "config", "says"),
    [
        ("source", {"type": "no-such-source", "config": {}}, "no-such-source"),
        ("source", {"type": "file", "config": {"pathx": "in.json"}}, "path"),
        ("sink", {"type": "no-such-sink", "config": {}}, "no-such-sink"),
    ],
)
def test_a_recipe_that_can_never_run_fails_for_good(
    recipes: Recipes, part: str, config: dict[str, Any], says: str
) -> None:
    """A plugin that is not there, or a field nobody knows, is the error of the run, and is not tried again."""
    ending, _ = recipes.run(recipes.order({**file_recipe(recipes.folder), part: config}))

    assert (ending.state, ending.retryable) == (RunState.FAILED, False)
    assert says in (ending.error or "")


def test_a_variable_without_a_value_is_refused_by_name(recipes: Recipes) -> None:
    """A recipe whose `${NAME}` nobody has does not start, and the error names it."""
    recipe = file_recipe(recipes.folder)
    recipe["source"]["config"]["path"] = "${NOT_THERE}"
    with pytest.raises(EngineRefused, match="NOT_THERE"):
        recipes.engine.start(recipes.order(recipe))


def test_our_own_variables_are_no_recipes_business(recipes: Recipes) -> None:
    """A recipe that asks for a variable of ours is refused, whoever has it."""
    recipe = file_recipe(recipes.folder)
    recipe["source"]["config"]["path"] = "${HEADGATE_TOKEN}"
    with pytest.raises(EngineRefused, match="HEADGATE_TOKEN"):
        recipes.engine.start(recipes.order(recipe))


def test_values_are_put_in_and_are_nowhere_to_be_seen(recipes: Recipes) -> None:
    """A value gets to the source; log, result, error and the files of the home do not have it."""
    recipe = file_recipe(recipes.folder)
    recipe["source"]["config"] = {"path": "${SOURCE_PATH}x${EMPTY:-}", "read_mode": "${MODE:-AUTO}"}
    ending, log = recipes.run(recipes.order(recipe))
    files = [file for file in recipes.home.rglob("*") if file.is_file()]

    assert ending.state is RunState.FAILED
    assert "****" in (ending.error or "") + log
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]
    assert SECRET not in json.dumps([ending.error, dict(ending.result)])
    assert not [file for file in files if b"never-handed-over" in file.read_bytes()]


def test_a_run_may_bring_its_recipe(recipes: Recipes) -> None:
    """A job without a recipe runs the one its run brings, as JSON text."""
    asked = order({}, arguments={"--recipe_json": json.dumps(file_recipe(recipes.folder)), "--executor_id": "default"})
    ending, log = recipes.run(asked)

    assert ending.state is RunState.SUCCEEDED, log
    assert len(written(recipes)) == 1


def test_a_job_with_a_recipe_takes_no_other(recipes: Recipes) -> None:
    """An argument of a run cannot change what a declared job ingests."""
    asked = recipes.order(file_recipe(recipes.folder))
    asked = replace(asked, run=replace(asked.run, arguments={"--recipe_json": "{}"}))
    with pytest.raises(EngineRefused, match="takes no --recipe_json"):
        recipes.engine.start(asked)


def test_a_run_that_brings_nothing_is_refused(recipes: Recipes) -> None:
    """A job without a recipe whose run brings none does not start."""
    with pytest.raises(EngineRefused, match="brings none"):
        recipes.engine.start(order({}))


def test_a_connection_can_be_tried(recipes: Recipes) -> None:
    """The task TEST_CONNECTION answers with DataHub's connection report and ingests nothing."""
    arguments = {"--recipe_json": json.dumps(file_recipe(recipes.folder)), "--task": "TEST_CONNECTION"}
    ending, log = recipes.run(order({}, arguments=arguments))
    connection: Any = ending.result["connection"]

    assert ending.state is RunState.SUCCEEDED, log
    assert connection["basic_connectivity"]["capable"] is True
    assert not (recipes.folder / "out.json").exists()
