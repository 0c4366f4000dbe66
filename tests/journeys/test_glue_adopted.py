"""This file is where Glue's jobs and triggers are adopted by the commands a person types, against a served door."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cli.world import Project
from services.moto import CREDENTIALS

from headgate.cli.ending import run

from .aws_world import served
from .world import make_project

INGEST, VIEWS = "csv-to-iceberg-ingestion", "create-views-dual-engine"
SCRIPT = {"Name": "pythonshell", "ScriptLocation": "s3://b/x.py", "PythonVersion": "3.9"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(make_project(tmp_path_factory.mktemp("far"), "jobs: {}\n")) as made:
        yield made.url


class Typed:
    """Commands in this process, but for what the first one costs the same as those in one of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, line: str, code: int = 0) -> str:
        """What a command that ends with this code says, on both of its outputs."""
        self._capsys.readouterr()
        ended = run(line.split())
        said = self._capsys.readouterr()
        assert ended == code, (line, said)
        return said.out + said.err


def test_what_is_on_glue_is_adopted(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """S4-17: import, an empty plan, an edit, its plan, apply, a hand's change, drift, apply, and again nothing."""
    glue: Any = boto3.client(
        "glue", endpoint_url=door, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )
    glue.create_job(Name=INGEST, Role="arn:aws:iam::1:role/r", Command=SCRIPT, Timeout=30, MaxRetries=1)
    glue.create_job(Name=VIEWS, Role="arn:aws:iam::1:role/r", Command=SCRIPT, DefaultArguments={"--password": "hush"})
    glue.create_trigger(
        Name="dual-engine-views-trigger", Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": VIEWS}],
        Description="Trigger to create dual-engine views after data ingestion completes",
        Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": INGEST, "State": "SUCCEEDED"}]},
    )  # fmt: skip
    project = Project(tmp_path / "project", None)
    environ = {**CREDENTIALS, "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": door}
    done = project.type("import", "glue", "--write", "headgate.yaml", env=environ)
    assert done.code == 0, done
    for name in [one for one in os.environ if one.startswith(("HEADGATE_", "AWS_", "DATAHUB_"))]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.folder)
    typed = Typed(capsys)

    checked = typed("validate")
    assert "2 jobs, 1 triggers" in checked
    assert "runs that StartJobRun starts" in checked
    planned = typed("plan")
    assert re.fullmatch(r"(\+ job \S+: create\n)+", planned), "the ledger has yet to learn of them; nothing on AWS"

    file = project.folder / "headgate.yaml"
    text = file.read_text("utf-8").replace("timeout: 30m", "timeout: 45m").replace("password: hush", "password: other")
    file.write_text(
        text
        + '  nightly: {type: SCHEDULED, on: glue, schedule: "cron(0 3 * * ? *)", actions: [csv-to-iceberg-ingestion]}\n'
    )
    shown = typed("plan")
    assert f"~ glue job {INGEST}: update\n    Timeout: 30 -> 45\n" in shown
    assert "    DefaultArguments.--password: **** -> **** (another one)\n" in shown
    assert "+ glue trigger nightly: create" in shown
    assert "say --yes" in typed("apply", 2)
    assert "+ glue trigger nightly: create" in typed("apply --yes")
    assert "Nothing to change" in typed("plan")
    assert glue.get_trigger(Name="nightly")["Trigger"]["State"] == "ACTIVATED"

    glue.stop_trigger(Name="nightly")
    glue.update_job(
        JobName=INGEST,
        JobUpdate={"Role": "arn:aws:iam::1:role/other", "Command": SCRIPT, "Timeout": 1, "LogUri": "s3://l/"},
    )
    glue.create_job(Name="stranger", Role="arn:aws:iam::1:role/r", Command=SCRIPT)
    shown = typed("plan")
    assert "    kept as on AWS: LogUri\n" in shown
    assert f"~ glue job {INGEST}: update  (drift: somebody changed it on AWS)\n" in shown
    assert "    Role: arn:aws:iam::1:role/other -> arn:aws:iam::1:role/r\n" in shown
    assert "~ glue trigger nightly: enable  (drift: somebody changed it on AWS)\n" in shown
    assert "left alone: job stranger" in shown
    done = json.loads(typed("apply --yes -o json"))
    assert [(one["on"], one["kind"], one["does"], one["drift"]) for one in done] == [
        ("glue", "job", "update", True), ("glue", "trigger", "enable", True)
    ]  # fmt: skip
    assert [(one["name"], one["does"]) for one in json.loads(typed("plan -o json"))] == [("stranger", "unmanaged")]
    assert glue.get_job(JobName=INGEST)["Job"]["LogUri"] == "s3://l/"
    assert glue.get_trigger(Name="nightly")["Trigger"]["State"] == "ACTIVATED"

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = typed("plan", 3)
    assert "Nothing to change in the ledger" in away
    assert "what differs on AWS Glue is not known" in away
    assert typed("apply --yes", 3).count("glue:GetJobs") == 1
    assert "Nothing to change: what" in typed("plan --offline")
    assert "is there already" in typed("import glue --write headgate.yaml", 1)
