"""This file is where scripts of jobs made through Glue's API get what they need to find this Glue by boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from headgate.app.parts import beside_glue_scripts
from headgate.engines.local import LocalEngine, read_log
from headgate.job import Lake
from headgate.model import Json, Origin
from headgate.runtime.home import forget_server, note_server
from headgate.settings import Settings, load

from .orders import Recorder, order

URL = "http://localhost:18090"
TOLD = """
import json, os
print(json.dumps({name: value for name, value in os.environ.items() if name.startswith("AWS_")}, sort_keys=True))
"""
#: No credentials of this machine's are to be found.
NOWHERE = {"HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}
#: How Glue's own editor begins every script.
BEGINS = """
import sys
from awsglue.transforms import *
from awsglue.utils import getResolvedOptions
from awsglue.dynamicframe import DynamicFrame
assert DynamicFrame.fromDF([1], None, "n").toDF() == [1]
for one in ("from awsglue.transforms import ApplyMapping", "import numpyx", "from pyspark.context import SparkContext"):
    try:
        exec(one)
    except ImportError as error:
        print(error)
"""
HERE = {"AWS_ENDPOINT_URL_GLUE": URL, "AWS_ENDPOINT_URL_LOGS": URL}
ANYBODY = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[LocalEngine, Recorder]]:
    """Of a server that holds variables of AWS itself, and gives scripts what the last argument says."""
    told = Recorder()
    environ = {**NOWHERE, "PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL_GLUE": "http://else", "AWS_PROFILE": "ours"}
    made = LocalEngine(tmp_path / ".headgate", told, Lake(), tmp_path, environ=environ, beside=lambda _: HERE)
    (tmp_path / "told.py").write_text(TOLD, "utf-8")
    yield made, told
    made.close()


def said(engine: tuple[LocalEngine, Recorder], folder: Path, target: Mapping[str, Json], origin: Origin) -> str:
    """What the job prints."""
    made, told = engine
    asked = order(target)
    asked = replace(asked, job=replace(asked.job, origin=origin))
    made.start(asked)
    told.wait_ended(asked.attempt_id)
    return read_log(folder / ".headgate", asked.attempt_id, 0, 1 << 20)[0]


def test_scripts_of_glues_jobs_alone_are_told(engine: tuple[LocalEngine, Recorder], tmp_path: Path) -> None:
    """Not those of headgate.yaml, which may mean AWS, nor commands; and what a job names in `env` is stronger."""
    script: dict[str, Json] = {"script": "told.py"}
    assert json.loads(said(engine, tmp_path, script, Origin.API)) == HERE
    assert json.loads(said(engine, tmp_path, script, Origin.DECLARED)) == {}
    assert "AWS_" not in said(engine, tmp_path, {"command": ["env"]}, Origin.API)
    named = {**script, "env": ["AWS_ENDPOINT_URL_GLUE"]}
    assert json.loads(said(engine, tmp_path, named, Origin.API)) == {**HERE, "AWS_ENDPOINT_URL_GLUE": "http://else"}


def served(folder: Path, **environ: str) -> Settings:
    """Of a server that has noted where it listens."""
    (folder / "headgate.yaml").touch()
    found = load(folder, environ)
    found.home.mkdir(exist_ok=True)
    note_server(found.home, URL)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return served(tmp_path)


@pytest.mark.skipif(find_spec("pyspark") is not None, reason="pyspark is installed")
def test_a_script_of_glues_editor_begins_and_is_told_what_there_is_not(
    engine: tuple[LocalEngine, Recorder], tmp_path: Path
) -> None:
    """Its imports are there; a transform needs Glue, and Spark has to be installed, which is said."""
    (tmp_path / "begins.py").write_text(BEGINS, "utf-8")
    lines = said(engine, tmp_path, {"script": "begins.py"}, Origin.API).splitlines()

    assert [line.partition(";")[0] for line in lines] == [
        "the transform ApplyMapping needs AWS Glue",
        "No module named 'numpyx'",
        "No module named 'pyspark': this is a Spark script, and Spark is not installed here",
    ]


def test_where_callers_need_no_key_any_will_do(settings: Settings) -> None:
    """Which is nobody's secret; the region is the script's own, where it has one."""
    assert beside_glue_scripts(settings, NOWHERE) == {**HERE, **ANYBODY}
    assert beside_glue_scripts(settings, {**NOWHERE, "AWS_REGION": "eu-west-1"})["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_where_callers_need_a_key_none_is_given(tmp_path: Path) -> None:
    """A server with a token, or before a DataHub, says where it is and no more."""
    for found in (served(tmp_path, HEADGATE_TOKEN="t"), served(tmp_path, DATAHUB_GMS_URL="http://localhost:8080")):
        assert beside_glue_scripts(found, NOWHERE) == {**HERE, "AWS_DEFAULT_REGION": "us-east-1"}


def test_a_scripts_own_credentials_and_address_stay(settings: Settings, tmp_path: Path) -> None:
    """Keys in its environment or in the files of its home are not hidden by ours, nor an address for everything."""
    assert beside_glue_scripts(settings, {**NOWHERE, "AWS_ACCESS_KEY_ID": "own"}) == HERE
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch()
    assert beside_glue_scripts(settings, {"HOME": str(tmp_path)}) == HERE
    assert beside_glue_scripts(settings, {**NOWHERE, "AWS_ENDPOINT_URL": "http://s3"}) == ANYBODY


def test_without_a_server_nothing_is_given(tmp_path: Path) -> None:
    """A run of `headgate run` with none running has no Glue to call."""
    found = served(tmp_path)
    forget_server(found.home)
    assert beside_glue_scripts(found, NOWHERE) == {}
