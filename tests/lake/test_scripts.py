"""This file is where the two Glue-style scripts are shown to run the jobs with Glue's arguments."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from headgate.job import write_manifest
from headgate.lake import views

from .world import World

JOBS = Path(__file__).parents[2] / "jobs"


def resolved(argv: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What Glue's own function does with `--name value`."""
    return {name: argv[list(argv).index(f"--{name}") + 1] for name in names}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], types.ModuleType]:
    """Loads a script, with a stand-in for the library that Glue (or the local engine) gives it."""
    utils = types.ModuleType("awsglue.utils")
    utils.getResolvedOptions = resolved  # pyright: ignore[reportAttributeAccessIssue] - a made module
    monkeypatch.setitem(sys.modules, "awsglue", types.ModuleType("awsglue"))
    monkeypatch.setitem(sys.modules, "awsglue.utils", utils)

    def load(name: str) -> types.ModuleType:
        spec = importlib.util.spec_from_file_location(name, JOBS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def environment(world: World, monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    (base / "arguments.json").write_text("{}")
    for name, value in {
        "RUN_ID": "jr_script",
        "JOB": "job",
        "ARGUMENTS": str(base / "arguments.json"),
        "RESULT": str(base / "result.json"),
        "LAKE": world.lake.to_json(),
    }.items():
        monkeypatch.setenv(f"HEADGATE_{name}", value)


def test_the_scripts_ingest_and_make_the_views(
    world: World, script: Callable[[str], types.ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a bucket and a prefix everything new is taken; with a manifest, what it names."""
    environment(world, monkeypatch, tmp_path)
    world.file("in/a.csv", "series_id\nA\n")
    other = world.file("elsewhere/b.csv", "series_id\nB\n")
    ingest, make = script("glue_csv_to_iceberg"), script("glue_create_views_dual_engine")
    where = ["--database_name", "collections", "--table_name", "collections_data_staging"]

    ingest.main(["x", "--JOB_NAME", "j", "--raw_data_bucket", "raw-data", "--raw_data_prefix", "in/", *where])
    first = json.loads((tmp_path / "result.json").read_text())
    write_manifest(tmp_path / "manifest", [other])
    monkeypatch.setenv("HEADGATE_MANIFEST", str(tmp_path / "manifest"))
    ingest.main(["x", "--JOB_NAME", "j"])
    make.main(["x", "--JOB_NAME", "j", *where, "--series", "A"])

    assert (first["rows"], first["files"]) == (1, 1)
    assert {row["series_id"] for row in world.rows()} == {"A", "B"}
    assert views.names(world.catalog) == ["collections.a_report_view", "collections.collections_data_view"]


@pytest.mark.parametrize("name", ["headgate.lake", "headgate.lake.sample"])
def test_importing_the_package_loads_no_library(name: str) -> None:
    """The server may name the jobs, and the demo write its sample, without duckdb, pyarrow or pyiceberg."""
    heavy = "{'duckdb', 'pyarrow', 'pyiceberg', 'sqlglot', 'pandas'}"
    code = f"import sys, {name}; sys.exit(bool({heavy} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_public_name_is_there() -> None:
    """The list of names and where they live agree."""
    from headgate import lake

    assert all(callable(getattr(lake, name)) for name in lake.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = lake.nothing  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType] - that is the point
