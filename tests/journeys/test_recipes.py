"""This file is where a recipe goes the whole way: served, killed, taken up again; and beside plain `datahub ingest`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from cli.world import DEADLINE, Project, environment, noted, serving, until
from services.moto import CREDENTIALS, moto

TESTS = Path(__file__).parents[1]
CONFIGURATION = """\
jobs:
  odd: {engine: recipe, recipe: odd.yml}
  glue: {engine: recipe, recipe: glue.yml}
"""


def project_of(folder: Path) -> Project:
    project = Project(folder, CONFIGURATION)
    (folder / "recipes").symlink_to(TESTS / "recipes")  # a project's own modules can be named as sources
    return project


def serve(project: Project) -> subprocess.Popen[bytes]:
    """A server that may be killed."""
    before = noted(project)
    process = subprocess.Popen(
        [sys.executable, "-m", "headgate", "serve", "--port", "0"],
        cwd=project.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: noted(project) not in (None, before) or process.poll() is not None, "the server says where it is")
    assert process.poll() is None
    return process


def over(project: Project, run: str) -> Any:
    """The run once it is over, else nothing."""
    found = project.json("runs", "show", run)
    return found if found["ended_at"] else None


def test_a_killed_server_does_not_end_an_ingestion(tmp_path: Path) -> None:
    """kill -9 of the server in the middle: the next one takes the run up; log, end and report are true."""
    project = project_of(tmp_path)
    config = {"does": "wait", "folder": str(tmp_path)}
    recipe = {
        "source": {"type": "recipes.sources.Odd", "config": config},
        "sink": {"type": "file", "config": {"filename": str(tmp_path / "out.json")}},
    }
    (tmp_path / "odd.yml").write_text(json.dumps(recipe), "utf-8")
    first = serve(project)
    run = project.json("run", "odd")["id"]
    logs = project.home / "logs" / run
    until(lambda: (logs / "log").exists() and "up\n" in (logs / "log").read_text("utf-8"), "the recipe to be up")
    first.kill()
    first.wait(DEADLINE)
    with serving(project):
        state = project.json("runs", "show", run)["state"]
        (tmp_path / "go").touch()
        until((logs / "exit").exists, "the recipe to be over")
        ended = until(lambda: over(project, run), "the run to be over")
        log = (logs / "log").read_text("utf-8")

    assert state == "RUNNING"
    assert (ended["state"], ended["result"]["records"], ended["attempt"]) == ("SUCCEEDED", 2, 0)
    assert (tmp_path / "begun").read_text("utf-8") == "x\n"
    assert "Pipeline finished" in log


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A Glue catalog of a few tables: plain, partitioned, nested, with an odd name."""
    with moto() as url:
        glue: Any = boto3.client(
            "glue", endpoint_url=url, region_name="us-east-1", aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )  # fmt: skip
        glue.create_database(DatabaseInput={"Name": "sales"})
        tables: Mapping[str, list[tuple[str, str]]] = {
            "orders": [("id", "bigint"), ("amount", "decimal(38,6)")],
            "nested": [("item", "struct<name:string,tags:array<map<string,int>>>")],
            "odd-name_ä": [("x", "string")],
        }
        for name, columns in tables.items():
            glue.create_table(
                DatabaseName="sales",
                TableInput={
                    "Name": name,
                    "TableType": "EXTERNAL_TABLE",
                    "PartitionKeys": [{"Name": "day", "Type": "date"}] if name == "orders" else [],
                    "StorageDescriptor": {
                        "Columns": [{"Name": column, "Type": kind} for column, kind in columns],
                        "Location": f"s3://lake/{name}",
                    },
                },
            )
        glue.close()
        yield url


def told(file: Path) -> list[str]:
    """What a run wrote, in its order, less what is of this moment."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            volatile = {"lastObserved", "runId", "time", "timestampMillis", "lastRunId"}
            return {key: plain(one) for key, one in value.items() if key not in volatile}  # pyright: ignore[reportUnknownVariableType] -- JSON
        return [plain(one) for one in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType] -- JSON

    return [json.dumps(plain(one), sort_keys=True) for one in json.loads(file.read_text("utf-8"))]


def test_a_recipe_writes_what_datahub_ingest_writes(tmp_path: Path, catalog: str) -> None:
    """The stock source through our engine equals plain `datahub ingest`, record for record."""
    project = project_of(tmp_path)
    recipe = {
        "source": {"type": "glue", "config": {"aws_region": "${AWS_DEFAULT_REGION}", "extract_transforms": False}},
        "sink": {"type": "file", "config": {"filename": "${OUT_FILE:-ours.json}"}},
    }
    (tmp_path / "glue.yml").write_text(json.dumps(recipe), "utf-8")
    env = environment({**CREDENTIALS, "AWS_ENDPOINT_URL": catalog, "DATAHUB_TELEMETRY_ENABLED": "false"})
    ours = project.type("run", "glue", "--wait", env=env)
    began = time.monotonic()
    plain = subprocess.run(
        [Path(sys.executable).with_name("datahub"), "ingest", "run", "-c", "glue.yml", "--no-default-report"],
        cwd=tmp_path, env={**env, "OUT_FILE": "theirs.json"}, capture_output=True, text=True, timeout=DEADLINE,
        check=False,
    )  # fmt: skip

    assert ours.code == 0, ours
    assert plain.returncode == 0, (plain.stdout[-2000:], time.monotonic() - began)
    assert len(told(tmp_path / "ours.json")) > 20
    assert told(tmp_path / "ours.json") == told(tmp_path / "theirs.json")
