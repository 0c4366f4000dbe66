"""This file is where recipes are checked and run from the command line, with a server and without one."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from recipes.documents import file_recipe, proposal

from .world import DEADLINE, Project, address


def test_a_recipe_is_run_as_it_is(project: Project) -> None:
    """With no server a file runs in this process, as a run of the job of its name; its report is the run's result."""
    (project.folder / "tables.yml").write_text(json.dumps(file_recipe(project.folder, many=2)), "utf-8")
    run = project.json("recipes", "run", "tables.yml", "--reason", "try")

    assert (run["job"], run["engine"], run["state"], run["result"]["records"]) == (
        "ingestion:tables", "recipe", "SUCCEEDED", 2,
    )  # fmt: skip
    assert run["cause"]["reason"] == "try"
    shown = project.type("runs", "show", run["id"]).out
    assert "records: 2" in shown
    assert "(whole with -o json)" in shown, "a report is pages long"
    assert len(json.loads((project.folder / "out.json").read_text("utf-8"))) == 2


def test_without_a_sink_the_embedded_catalog_takes_it(served: Project) -> None:
    """A server runs it, too; what has no sink lands in the catalog that the server has when there is no DataHub."""
    recipe = file_recipe(served.folder, many=2)
    del recipe["sink"]
    (served.folder / "bare.yml").write_text(json.dumps(recipe), "utf-8")
    run = served.json("recipes", "run", "bare.yml", "--wait")
    with urllib.request.urlopen(f"{address(served)}/openapi/v3/entity/dataset?count=10", timeout=DEADLINE) as answer:
        urns = [one["urn"] for one in json.load(answer)["entities"]]

    assert (run["state"], run["result"]["sink"]["type"]) == ("SUCCEEDED", "datahub-rest")
    assert {proposal(f"db.t{number}")["entityUrn"] for number in range(2)} <= set(urns)


def test_what_is_wrong_is_told_with_its_place(project: Project) -> None:
    """Plain secret, missing value, unknown plugin, nobody at the sink: each is found, by line and column."""
    (project.folder / "bad.yml").write_text(
        "source:\n"
        "  type: filee\n"
        "  config: {password: hunter2-hunter2, path: '${NOWHERE}'}\n"
        "sink: {type: datahub-rest, config: {server: 'http://127.0.0.1:9'}}\n",
        "utf-8",
    )
    done = project.type("recipes", "check", "bad.yml", "-o", "json")
    found: Any = done.json
    said = {one["at"]: one for one in found}

    assert done.code == 1
    assert "hunter2" not in done.out + done.err
    assert (said["source.config.password"]["line"], said["source.config.password"]["severity"]) == (3, "error")
    assert "did you mean 'file'" in said["source.type"]["message"]
    assert ("NOWHERE" in said["source.config.path"]["message"], said["source.config.path"]["line"]) == (True, 3)
    assert said["sink.config.server"]["message"].startswith("refused: 127.0.0.1 is there")
    assert {one["file"] for one in found} == {"bad.yml"}


def test_nothing_to_say_is_an_empty_list(project: Project) -> None:
    """A recipe that is fine is told so; with --offline a sink that is away is no finding."""
    config = "{server: 'http://127.0.0.1:9'}"
    (project.folder / "r.yml").write_text(
        f"source: {{type: file, config: {{path: x}}}}\nsink: {{type: datahub-rest, config: {config}}}\n", "utf-8"
    )

    assert project.json("recipes", "check", "r.yml", "--offline") == []


def test_no_recipe_is_a_usage_error(project: Project) -> None:
    """A file that is not there, or is none, is said so with exit code 2."""
    (project.folder / "none.yml").write_text("just words", "utf-8")

    assert "cannot be read" in project.fails(2, "recipes", "check", "gone.yml")
    assert "expected a recipe" in project.fails(2, "recipes", "run", "none.yml")
