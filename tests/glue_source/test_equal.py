"""This file is where one catalog is read three ways: by `datahub ingest`, in our engine, and by our own source.

What our engine's run of DataHub's source writes is `datahub ingest`'s, record for record; what our source makes is that
source's, aspect by aspect. A thousand tables: `benchmarks/equality.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines.orders import Recorder, order

from headgate.engines.recipe import RecipeEngine
from headgate.model import RunState
from headgate.processes import read_log

from .world import OURS, STOCK, Said, differing, fill, ingest, lake, recipe_of, stripped, told

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own, of which there are many

#: A table that neither source can make sense of. Theirs tells of its creation all the same.
SENSELESS = ("without columns", "untyped column")


AS_IT_IS: dict[str, Any] = {"database_pattern": {"deny": ["alone", "database_.*"]}}
ONE: dict[str, Any] = {"database_pattern": {"allow": ["alone"]}}
HUNDRED: dict[str, Any] = {"database_pattern": {"allow": ["database_.*"]}}


@pytest.fixture(scope="module", autouse=True)
def catalog(aws: str) -> str:
    fill(aws)
    fill(aws, {"alone": ({}, [next(lake(1))[1]]), **hundred()})
    return aws


def hundred() -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for database, one in lake(100):
        tables.setdefault(database, []).append(one)
    return {name: ({}, found) for name, found in tables.items()}


def sensible(seen: Said) -> Said:
    return Said({key: times for key, times in seen.items() if not any(f".{name}," in key[0] for name in SENSELESS)})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(AS_IT_IS, id="as it is"),
        pytest.param(ONE, id="one table"),
        pytest.param(HUNDRED, id="a hundred tables"),
        pytest.param(
            {
                "database_pattern": {"deny": ["database_.*"]},
                "platform_instance": "lake (eu)",
                "env": "DEV",
                "extract_delta_schema_from_parameters": True,
                "emit_s3_lineage": True,
                "domain": {"sales": {"allow": ["views.*"]}, "urn:li:domain:rest": {"allow": [".*"]}},
                "extract_owners": False,
                "table_pattern": {"deny": [".*partitioned"]},
            },
            id="with much",
        ),
        pytest.param(
            {
                "emit_storage_lineage": True,
                "glue_s3_lineage_direction": "downstream",
                "include_view_lineage": False,
                "platform": "athena",
                "database_pattern": {"deny": ["views", "database_.*"]},
                "catalog_id": "123456789012",
            },
            id="the other way round",
        ),
    ],
)
def test_every_aspect_is_theirs(tmp_path: Path, options: dict[str, Any]) -> None:
    """Nothing is missing, nothing is more, nothing is different."""
    theirs, stock = ingest(STOCK, tmp_path / "theirs.json", **options)
    ours, own = ingest(OURS, tmp_path / "ours.json", **options)

    assert sorted(sensible(theirs) - ours) == []
    assert sorted(ours - sensible(theirs)) == []
    assert told(own) == told(stock)


class Ours:
    """Our engine, as a server has it, before the AWS that the tests play."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Recorder()
        self.engine = RecipeEngine(folder / ".headgate", self.told, folder, environ=dict(os.environ))

    def run(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """Run a recipe; answers its result."""
        (self.folder / "recipe.json").write_text(json.dumps(recipe), "utf-8")
        asked = order({"recipe": "recipe.json"})
        self.engine.start(asked)
        ending = self.told.wait_ended(asked.attempt_id)
        log = read_log(self.folder / ".headgate", asked.attempt_id, 0, 1 << 20)[0]
        assert ending.state in (RunState.SUCCEEDED, RunState.FAILED), log
        assert "does not go with" not in log
        return dict(ending.result)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, catalog: str) -> Iterator[Ours]:
    made = Ours(tmp_path_factory.mktemp("ours"))
    yield made
    made.engine.close()


def plain(out: Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    """What `datahub ingest` writes, as one types it."""
    file = out.with_suffix(".recipe.json")
    file.write_text(json.dumps(recipe_of(STOCK, out, options)), "utf-8")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "DATAHUB_TELEMETRY_ENABLED": "false"}  # it asks for newer versions
    command = [str(Path(sys.executable).with_name("datahub")), "ingest", "-c", str(file), "--no-default-report"]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, timeout=100, check=False)
    assert out.exists(), done.stderr[-3000:]
    return read(out)


def test_our_engine_writes_what_datahub_ingest_writes(tmp_path: Path, ours: Ours) -> None:
    """A hundred tables, nested, partitioned, Iceberg ones and views: each record is there, and the same."""
    theirs = stripped(plain(tmp_path / "plain.json", HUNDRED))
    result = ours.run(recipe_of(STOCK, tmp_path / "ours.json", HUNDRED))

    assert differing(stripped(read(tmp_path / "ours.json")), theirs) == []
    assert result["records"] == len(theirs) > 100


@pytest.mark.parametrize("options", [pytest.param(ONE, id="one table"), pytest.param(AS_IT_IS, id="odd ones")])
def test_our_engine_writes_what_datahubs_pipeline_writes(tmp_path: Path, ours: Ours, options: dict[str, Any]) -> None:
    """One table; and odd names and types, some of which fail: each record is there, and the same."""
    _, stock = ingest(STOCK, tmp_path / "theirs.json", **options)
    result = ours.run(recipe_of(STOCK, tmp_path / "ours.json", options))

    assert differing(stripped(read(tmp_path / "ours.json")), stripped(read(tmp_path / "theirs.json"))) == []
    assert result["records"] == stock.sink.get_report().total_records_written > 1
    assert result["failures"] == len(told(stock)["failures"])


def read(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text("utf-8"))
