"""This file is where tables that runs write are tested to join the catalog, and datasets of rules to be there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cli.world import DATASET as NAMED
from cli.world import DEADLINE, Project, address, serving, until

from headgate.embedded.tables import written
from headgate.flow.resolve import Rule, RuleKind
from headgate.model import JobName, RunState

from .world import DATASET, World

TABLE = "urn:li:dataset:(urn:li:dataPlatform:iceberg,sales.daily,PROD)"
PROJECT = """\
jobs:
  write: {engine: local, run: jobs.write}
  fail: {engine: local, run: jobs.fail}
datasets:
  - {urn: "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)", job: write}
"""
JOBS = """\
def write(context):
    context.result(table="sales.daily", rows=3, snapshot_id=77)


def fail(context):
    context.result(table="sales.never")
    raise ValueError("no luck")
"""
SEED = """curl -sS -X POST 'http://localhost:8080/api/graphql' \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer <DATAHUB_ACCESS_TOKEN>' \\
  -d '{
    "query": "mutation createStructuredProperty($input: CreateStructuredPropertyInput!)\
 { createStructuredProperty(input: $input) { urn } }",
    "variables": {
      "input": {
        "id": "awsStepFunctionArn",
        "qualifiedName": "awsStepFunctionArn",
        "displayName": "AWS Step Function ARN",
        "description": "Step Functions state machine ARN for this job",
        "immutable": false,
        "valueType": "urn:li:dataType:datahub.string",
        "cardinality": "SINGLE",
        "entityTypes": ["urn:li:entityType:datahub.dataJob"]
      }
    }
  }'
"""


def found(url: str, urn: str, aspect: str) -> dict[str, Any] | None:
    answer = httpx.get(f"{url}/openapi/v3/entity/dataset/{quote(urn, safe='')}/{aspect}", trust_env=False)
    assert answer.status_code in (200, 404), answer.text
    return answer.json()["value"] if answer.status_code == 200 else None


def test_a_served_project_knows_its_tables(tmp_path: Path) -> None:
    """A run that wrote a table makes it a dataset; one that failed does not; datasets of rules are there at once.

    The seed's curl is typed as it stands, but for the port.
    """
    project = Project(tmp_path / "project", PROJECT)
    (project.folder / "jobs.py").write_text(JOBS, "utf-8")
    with serving(project):
        url = address(project)
        assert found(url, NAMED, "status") == {"removed": False}
        assert found(url, TABLE, "status") is None
        assert project.type("run", "fail", "--wait").code == 1
        project.ok("run", "write", "--wait")
        properties = until(lambda: found(url, TABLE, "datasetProperties"), "the table joins the catalog")
        command = SEED.replace("http://localhost:8080", url)
        ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert properties is not None
    assert properties["customProperties"]["headgate.rows"] == "3"
    assert properties["qualifiedName"] == "sales.daily"
    assert json.loads(ran.stdout) == {
        "data": {"createStructuredProperty": {"urn": "urn:li:structuredProperty:awsStepFunctionArn"}}
    }


@pytest.mark.parametrize(
    ("state", "result", "messages"),
    [
        (RunState.SUCCEEDED, {"table": "sales.orders"}, 1),
        (RunState.FAILED, {"table": "sales.orders"}, 0),
        (RunState.SUCCEEDED, {}, 0),
        (RunState.SUCCEEDED, {"table": 7}, 0),
        (RunState.SUCCEEDED, {"table": "x" * 600}, 0),
        (RunState.SUCCEEDED, {"table": " a\n"}, 0),
    ],
)
def test_which_ends_tell_of_a_table(state: RunState, result: dict[str, Any], messages: int) -> None:
    """Only a success that names one; whatever a job says, nothing is raised inside the ledger's transaction."""
    assert len(written(a_run(state, result))) == messages


def test_told_twice_says_the_same(world: World) -> None:
    """A message that is delivered twice makes no second version, and keeps what others said of the table."""
    from headgate.reports.datahub import DataHubReporter

    world.put(DATASET, "datasetProperties", {"customProperties": {"mine": "yes"}})
    [message] = written(a_run(RunState.SUCCEEDED, {"table": "sales.orders", "rows": 1}))
    for _ in range(2):
        DataHubReporter(world.datahub).report("", message.payload)
    properties = world.catalog.aspect(DATASET, "datasetProperties")

    assert properties is not None
    assert properties.number == 2
    assert properties.value["customProperties"]["mine"] == "yes"
    assert properties.value["customProperties"]["headgate.rows"] == "1"


def test_a_rule_given_later_makes_its_dataset_known(world: World) -> None:
    """Rules are looked at again when somebody asks for a dataset nobody knows; one deleted softly stays so."""
    rules: list[Rule] = []
    hub = type(world.datahub)(world.ledger, rules=lambda: rules)
    before = hub.dataset(DATASET).exists
    rules.append(Rule(kind=RuleKind.URN, value=DATASET, job=JobName("load")))
    after = hub.dataset(DATASET).exists
    world.put(DATASET, "status", {"removed": True})

    assert (before, after) == (False, True)
    assert hub.start() == 0
    assert not hub.dataset(DATASET).exists


def a_run(state: RunState, result: dict[str, Any]) -> Any:
    """A run, as far as `written` looks at it."""
    from types import SimpleNamespace

    return SimpleNamespace(id="jr_1", job="load", state=state, result=result)
