"""This file is where our own sources meet a DataHub that Headgate is not installed beside, or that they do not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from datahub.ingestion.api.common import PipelineContext
from engines.orders import Recorder, order
from fakes.glue_catalog import FakeGlue
from services.moto import CREDENTIALS

from headgate.engines.recipe import RecipeEngine
from headgate.model import RunState
from headgate.processes import read_log
from headgate.recipes import entry, own
from headgate.recipes.environments import Environments, requirements_of

from .documents import file_recipe
from .sources import Odd
from .wheels import only, wheel

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own, of which there are many

VERSION = metadata.version("acryl-datahub")
TABLES = {
    "sales": [
        {"Name": "orders", "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "bigint"}]}},
        {
            "Name": "of_orders",
            "TableType": "VIRTUAL_VIEW",
            "ViewOriginalText": "SELECT id FROM orders",
            "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "bigint"}]},
        },
    ]
}


def needs_of(root: str) -> set[str]:
    """The installed packages that one needs, itself first; extras are asked for as in `name[extra]`."""
    found, todo = set[str](), [root]
    while todo:
        wanted, _, _ = todo.pop().partition(";")
        name, _, rest = wanted.strip().partition("[")
        name = re.split(r"[^\w.-]", name)[0]
        key = f"{re.sub(r'[-_.]+', '-', name).lower()}[{rest.partition(']')[0]}]"
        try:
            lines = metadata.distribution(name).requires or ()
        except metadata.PackageNotFoundError:  # of another system, or another Python
            continue
        if key not in found:
            found.add(key)
            todo += [line for line in lines if _asked(line, set(re.split(r"\W+", rest)))]
    return {key.partition("[")[0] for key in found}


def _asked(requirement: str, extras: set[str]) -> bool:
    """Whether it is needed always, or with these extras."""
    named = set(re.findall(r"extra == ['\"]([\w.-]+)", requirement.partition(";")[2]))
    return not named or bool(named & extras)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this DataHub and what it needs for Glue; nothing of Headgate, nor of what only Headgate needs."""
    folder = tmp_path_factory.mktemp("apart")
    for name in needs_of("acryl-datahub[glue]"):
        distribution = metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}
        for top in tops:
            if not (name == "acryl-datahub" and top.endswith(".dist-info")) and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    assert not (folder / "structlog").exists()
    assert not list(folder.glob("headgate*"))
    return folder


@pytest.fixture(scope="module")
def glue() -> Iterator[FakeGlue]:
    with FakeGlue({"sales": {}}, TABLES) as fake:
        yield fake


def test_our_source_works_in_an_environment_of_its_own(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, apart: Path, glue: FakeGlue
) -> None:
    """A recipe that pins its DataHub has `headgate-glue` all the same, views included, though nothing installed it."""
    wheels = tmp_path / "wheels"
    points = metadata.distribution("acryl-datahub").read_text("entry_points.txt") or ""
    wheel(wheels, "acryl_datahub", VERSION, {"apart.pth": f"{apart}\n"}, {"entry_points.txt": points})
    wheel(wheels, "expression", "1.0", {"expression.py": ""})
    environ = {**only(wheels, tmp_path_factory.mktemp("cache")), **CREDENTIALS, "AWS_ENDPOINT_URL": glue.url}
    target = {"recipe": "r.json", "plugins": ["expression==1.0"]}
    types = {"source": ["headgate-glue"], "sink": ["file"]}
    needed = requirements_of("", types=types, plugins=["expression==1.0"], installed=VERSION)
    Environments(tmp_path / ".headgate" / "environments").build(needed, environ, say=print)
    source = {"type": "headgate-glue", "config": {"aws_region": "us-east-1", "extract_transforms": False}}
    recipe = {"source": source, "sink": {"type": "file", "config": {"filename": str(tmp_path / "out.json")}}}
    (tmp_path / "r.json").write_text(json.dumps(recipe), "utf-8")
    told, asked = Recorder(), order(target)
    engine = RecipeEngine(tmp_path / ".headgate", told, tmp_path, environ=environ)
    engine.start(asked)
    ending = told.wait_ended(asked.attempt_id)
    engine.close()
    log = read_log(tmp_path / ".headgate", asked.attempt_id, 0, 1 << 20)[0]
    result: Any = ending.result

    assert ending.state is RunState.SUCCEEDED, log
    assert "does not go with" not in log
    assert (result["source"]["type"], result["cli"]["cli_version"]) == ("headgate-glue", VERSION)
    assert ".headgate/environments/" in result["cli"]["cli_entry_location"] or str(apart) in log + json.dumps(result)
    report = result["source"]["report"]
    assert (report["tables_scanned"], report["views_scanned"], report["warnings"]) == (2, 1, [])
    assert "num_job_script_location_missing" not in report  # which the other source counts
    assert '"aspectName": "upstreamLineage"' in (tmp_path / "out.json").read_text("utf-8")


class Misfit(Odd):
    """A source that was written against another DataHub."""

    @classmethod
    def create(cls, config_dict: dict[str, Any], ctx: PipelineContext) -> Misfit:  # noqa: ARG003 -- as it is called
        raise TypeError("create() got an unexpected keyword argument")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("headgate.no_such_module:Source", "No module named 'headgate.no_such_module'"),
        ("recipes.test_own:NoSuchSource", "NoSuchSource"),
        ("recipes.test_own:Misfit", "unexpected keyword argument"),
    ],
)
def test_datahubs_own_source_takes_over_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str, why: str
) -> None:
    """A source of ours that this DataHub cannot load, or make, is replaced by its stand-in; the log says why."""
    name = f"odd-{abs(hash(place))}"
    monkeypatch.setitem(own.OWN, name, own.Own(place, "file"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- a dict
    recipe = file_recipe(tmp_path)
    recipe["source"]["type"] = name
    pipeline = entry.fitting_pipeline(own.fitting(recipe, entry.say), recipe)
    pipeline.run()
    said = capsys.readouterr().out

    assert len(json.loads((tmp_path / "out.json").read_text("utf-8"))) == 1
    assert f"headgate: {name} does not go with acryl-datahub {VERSION} (" in said
    assert why in said
    assert said.count("its source file does the recipe") == 1


def test_what_is_wrong_with_a_recipe_is_no_misfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value in a recipe with our source is its error; DataHub's source is not tried with it."""
    recipe = file_recipe(tmp_path)
    recipe["source"] = {"type": "headgate-glue", "config": {"extract_transforms": "perhaps"}}
    with pytest.raises(Exception, match="extract_transforms"):
        entry.fitting_pipeline(own.fitting(recipe, print), recipe)
    assert own.fitting(file_recipe(tmp_path), print)["source"]["type"] == "file"
    assert own.fitting({"source": ["glue"]}, print) == {"source": ["glue"]}
