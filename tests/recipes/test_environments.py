"""This file is where environments are built by uv from a folder of wheels, with no network, and used by the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.orders import Recorder, order

from headgate.engines.recipe import RecipeEngine
from headgate.errors import EngineRefused, EngineUnavailable, Invalid
from headgate.model import RunState
from headgate.processes import read_log
from headgate.recipes.environments import Environments, requirements_of

from .wheels import only, wheel

#: A DataHub of another version, as far as a run needs one: it has no masking, and knows fewer options.
PIPELINE = """
import json

class Report:
    def __init__(self, **values):
        self.__dict__.update(values, failures=[], warnings=[])
    def as_obj(self):
        return dict(self.__dict__)

class Part:
    def __init__(self, report):
        self.report = report
    def get_report(self):
        return self.report

class Pipeline:
    source_type, sink_type, cli_report = "old", "old", Report(cli_version="9.9.9")
    @classmethod
    def create(cls, config_dict, report_to="datahub"):
        made = cls()
        made.config = type("Config", (), {"run_id": "old-run"})
        made.text = config_dict["source"]["config"]["text"]
        made.source, made.sink = Part(Report(events_produced=1)), Part(Report(total_records_written=1))
        return made
    def run(self):
        print("this is", self.text, "by", __file__)
    def pretty_print_summary(self, warnings_as_failure=False):
        return 0
"""
LOGGING = """
import contextlib

@contextlib.contextmanager
def configure_logging(debug, log_file=None):
    yield
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which uv has a folder of wheels and nothing else."""
    folder = tmp_path_factory.mktemp("wheels")
    package = {
        "datahub/__init__.py": "",
        "datahub/ingestion/__init__.py": "",
        "datahub/ingestion/run/__init__.py": "",
        "datahub/ingestion/run/pipeline.py": PIPELINE,
        "datahub/utilities/__init__.py": "",
        "datahub/utilities/logging_manager.py": LOGGING,
    }
    wheel(folder, "acryl_datahub", "9.9.9", package)
    wheel(folder, "expression", "1.0", {"expression.py": ""})
    import yaml

    # what DataHub brings along in truth; here it is a copy of ours, so that nothing has to be got
    source = Path(yaml.__file__).parent
    wheel(folder, "pyyaml", "6.0", {f"yaml/{file.name}": file.read_text("utf-8") for file in source.glob("*.py")})
    cache = tmp_path_factory.mktemp("cache")
    return only(folder, cache)


@pytest.fixture
def said() -> list[str]:
    return []


NEEDED = ["acryl-datahub[old]==9.9.9", "pyyaml", "expression"]


def test_what_is_built_is_found_and_built_once(tmp_path: Path, offline: dict[str, str], said: list[str]) -> None:
    """An environment is whole when it is there, has what was asked for, and is not built a second time."""
    environments = Environments(tmp_path / "environments")
    before = environments.find(NEEDED)
    half = tmp_path / "environments" / f".{environments.place(NEEDED).name}.12345"
    half.mkdir(parents=True)  # who built it was killed
    built = environments.build(NEEDED, offline, say=said.append)
    again = environments.build(NEEDED, {}, say=said.append)  # without a uv on its path it could not build

    assert before is None
    assert built == again == environments.find(NEEDED)
    assert len(said) == 1
    assert len(list(Path(built).parents[1].glob("lib/python*/site-packages/expression.py"))) == 1
    assert not [one for one in (tmp_path / "environments").glob(".*") if one.is_dir()]


def test_what_cannot_be_had_is_refused_and_leaves_nothing(
    tmp_path: Path, offline: dict[str, str], said: list[str]
) -> None:
    """A version that does not exist is refused in uv's words; nothing half-built stays."""
    environments = Environments(tmp_path / "environments")
    with pytest.raises(EngineRefused, match=r"8\.8\.8"):
        environments.build(["acryl-datahub==8.8.8"], offline, say=said.append)

    assert environments.find(["acryl-datahub==8.8.8"]) is None
    assert not [one for one in (tmp_path / "environments").iterdir() if one.is_dir()]


def test_an_index_that_is_away_is_no_verdict(tmp_path: Path, offline: dict[str, str], said: list[str]) -> None:
    """Where packages cannot be got now, the same may work later."""
    away = {
        name: value for name, value in offline.items() if name not in {"UV_NO_INDEX", "UV_OFFLINE", "UV_FIND_LINKS"}
    }
    away |= {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "2"}
    with pytest.raises(EngineUnavailable, match="could not be installed"):
        Environments(tmp_path / "environments").build(["acryl-datahub==9.9.9"], away, say=said.append)


def test_what_nobody_used_for_long_is_removed(tmp_path: Path, said: list[str]) -> None:
    """Only what was neither found nor built for a month goes, and what a killed run left half-built."""
    folder = tmp_path / "environments"
    old, new, half, fresh = (folder / name for name in ("old", "new", ".half.1", ".fresh.2"))
    for place in (old, new, half, fresh):
        place.mkdir(parents=True)
        (place / "used").touch()
    long_ago = time.time() - 40 * 86400
    os.utime(old / "used", (long_ago, long_ago))
    os.utime(half, (long_ago, long_ago))
    removed = Environments(folder).clean(30 * 86400, say=said.append)

    assert sorted(removed) == [".half.1", "old"]
    assert sorted(one.name for one in folder.iterdir()) == [".fresh.2", "new"]


@pytest.fixture
def engine(tmp_path: Path, offline: dict[str, str]) -> Iterator[tuple[RecipeEngine, Recorder]]:
    told = Recorder()
    environ = {**offline, "WHO": "old-friend"}
    made = RecipeEngine(tmp_path / ".headgate", told, tmp_path, environ=environ)
    yield made, told
    made.close()


def test_a_recipe_runs_with_its_own_version(tmp_path: Path, engine: tuple[RecipeEngine, Recorder]) -> None:
    """The first run installs its DataHub and goes on in it; the next one needs neither uv nor wheels, and is warm."""
    recipe = '{"source": {"type": "old", "config": {"text": "${WHO}"}}}'
    (tmp_path / "r.yml").write_text(recipe, "utf-8")
    target = {"recipe": "r.yml", "version": "9.9.9", "plugins": ["pyyaml>=5", "expression==1.0"]}
    logs: list[str] = []
    for _ in range(2):
        asked = order(target)
        engine[0].start(asked)
        ending = engine[1].wait_ended(asked.attempt_id)
        logs.append(read_log(tmp_path / ".headgate", asked.attempt_id, 0, 1 << 20)[0])
        result: Any = ending.result

        assert ending.state is RunState.SUCCEEDED, logs[-1]
        assert result["cli"]["cli_version"] == "9.9.9"
    assert "installing acryl-datahub[old]==9.9.9" in logs[0]
    assert "installing" not in logs[1]
    assert all("this is **** by" in log and ".headgate/environments/" in log for log in logs)


@pytest.mark.parametrize(
    ("version", "more", "needed"),
    [
        ("", {}, []),
        ("1.2.3", {}, []),
        ("latest", {}, []),
        ("bundled", {}, []),
        ("1.2.4", {}, ["acryl-datahub[datahub-rest,glue]==1.2.4"]),
        ("", {"plugins": ["s3"]}, ["acryl-datahub[datahub-rest,glue,s3]==1.2.3"]),
        ("", {"plugins": ["my-source==2"]}, ["acryl-datahub[datahub-rest,glue]==1.2.3", "my-source==2"]),
        ("1.2.4", {"requirements": ["x"]}, ["acryl-datahub[datahub-rest,glue]==1.2.4", "x"]),
        ("https://host/a.whl", {}, ["acryl-datahub[datahub-rest,glue] @ https://host/a.whl"]),
    ],
)
def test_what_has_to_be_installed(version: str, more: dict[str, list[str]], needed: list[str]) -> None:
    """Nothing for the installed version; else DataHub with the plugins of the recipe, and what is asked for beside."""
    types = {"source": ["glue"], "sink": ["datahub-rest"], "transformers": ["my.own.Transformer"]}

    assert requirements_of(version, types=types, installed="1.2.3", **more) == needed


@pytest.mark.parametrize("version", ["1.2 --index-url=x", "../etc", "-r x", "ftp://host/a.whl", "file"])
def test_what_is_no_version_is_refused(version: str) -> None:
    """Nothing that uv could take for something else gets near it."""
    with pytest.raises(Invalid):
        requirements_of(version, types={}, installed="1.2.3")


def test_an_option_is_no_requirement() -> None:
    """A requirement cannot be an option of uv's."""
    with pytest.raises(Invalid, match="without options"):
        requirements_of("", types={}, installed="1.2.3", requirements=["--index-url=http://host"])
