"""This file is where rules are kept and explained from the command line, with a server and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from services.moto import ACCOUNT, CREDENTIALS, REGION, moto

from .world import DATASET, Project

OTHER = DATASET.replace("c.d.t", "x.y.z")
MAPPING = "DATAHUB_INGESTION_LAMBDA_MAPPING"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orders"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:polygon-lambda"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/states"


@pytest.fixture(params=["alone", "served"])
def either(request: pytest.FixtureRequest) -> Project:
    """A project that no server serves, and one that a server does."""
    found: Project = request.getfixturevalue("project" if request.param == "alone" else "served")
    return found


def test_a_rule_is_kept_explained_and_deleted(either: Project) -> None:
    """What is set is listed with its id and decides, until it is deleted by what it covers."""
    assert "no mapping" in either.type("explain", OTHER).out
    kept = either.json("rules", "set", "--urn", OTHER, "--job", "second", "--reason", "try")
    listed = either.json("rules", "list")
    assert kept in listed
    assert [one["kind"] for one in listed] == ["urn", "urn", "prefix"]
    found = either.json("explain", OTHER)
    assert (found["job"], found["rule"]["place"]) == ("second", f"ledger:{kept['id']}")
    assert kept["id"] in either.ok("rules", "list")
    assert either.ok("rules", "delete", OTHER).startswith(f"deleted {kept['id']}")
    assert "no rule in the ledger" in either.fails(1, "rules", "delete", OTHER)
    assert either.type("explain", OTHER).code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which datasets it is for"),
        (("--default", "--prefix", "c", "--job", "first"), "say which datasets it is for"),
        (("--default",), "say what it starts"),
        (("--default", "--job", "first", "--lambda", "f"), "say what it starts"),
        (("--default", "--job", "frist"), "no job 'frist'"),
        (("--tag", "x", "--job", "first"), "expected a tag's URN"),
        (("--default", "--lambda", "a b"), "expected the name or the ARN"),
    ],
)
def test_a_wrong_rule_exits_2(either: Project, words: tuple[str, ...], said: str) -> None:
    """With what was expected, and nothing is kept."""
    assert said in either.fails(2, "rules", "set", *words)
    assert all(one["id"] is None for one in either.json("rules", "list"))


def test_explain_tells_the_environments_rule_and_what_was_not_looked_at(project: Project) -> None:
    """An inline mapping names its variable and line; a dataset that is in no catalog is noted."""
    done = project.type("explain", DATASET, "-o", "json", env={MAPPING: json.dumps({DATASET: "mapped"})})

    assert done.code == 0
    assert done.json["rule"]["place"] == f"{MAPPING}:1"
    assert done.json["job"].startswith("lambda:mapped")
    assert done.json["implicit"] is True
    assert [one["place"] for one in done.json["losers"]] == ["headgate.yaml:12", "headgate.yaml:13"]
    unknown = project.type("explain", OTHER, "-o", "json", env={MAPPING: '{"athena:x.y": "mapped"}'})
    assert any("does not know" in note for note in unknown.json["notes"]), unknown
    table = project.type("explain", DATASET, env={MAPPING: json.dumps({DATASET: "mapped"})})
    assert "the environment wins over headgate.yaml" in " ".join(table.out.split())


def test_a_wrong_mapping_stops_every_command_at_the_start(project: Project) -> None:
    """Exit 2, with the variable and the column."""
    assert f"{MAPPING}:1:7: this is not YAML" in project.fails(2, "explain", DATASET, env={MAPPING: '{"db" "f"}'})


def test_the_near_miss_is_suggested(project: Project) -> None:
    """A URN of another environment."""
    near = DATASET.replace("PROD", "DEV").replace("c.d", "k.d")
    assert f"there is one for {DATASET}" in project.type("explain", near).out


CHECKED = f"""
jobs:
  declared: {{engine: step_functions, state_machine_arn: "{MACHINE}"}}
  at-home: {{engine: local, command: ["true"]}}
datasets:
  - {{urn: "{DATASET}", job: declared}}
  - {{prefix: "athena:x", job: at-home}}
  - {{prefix: "athena:y", lambda: "{FUNCTION}"}}
"""


def test_what_rules_start_is_looked_for_on_aws(tmp_path: Path) -> None:
    """What is there and what is not, at which line; exit 1 by what is missing, and nothing was started."""
    project = Project(tmp_path, CHECKED)
    with moto() as url:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        states: Any = boto3.client("stepfunctions", endpoint_url=url, **keys)
        states.create_state_machine(
            name="orders", definition='{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}', roleArn=ROLE
        )
        done = project.type("rules", "check", "-o", "json", env={**CREDENTIALS, "AWS_ENDPOINT_URL": url})
        executions = states.list_executions(stateMachineArn=MACHINE)["executions"]

    assert done.code == 1, done
    assert [(one["starts"], one["on_aws"]) for one in done.json] == [
        ("job declared", "there"),
        ("job at-home", None),
        (f"Lambda {FUNCTION}", "missing"),
    ]
    assert "prefix athena:y (headgate.yaml:8): Function not found" in done.err
    assert executions == []


def test_without_an_answer_of_aws_nobody_knows(tmp_path: Path) -> None:
    """Exit 3, which is not the same as missing; without anything on AWS nobody is asked."""
    project = Project(tmp_path, CHECKED)
    nobody = {**CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = project.type("rules", "check", env=nobody)

    assert done.code == 3, done
    assert "looking for" in done.err
    assert done.out.splitlines()[1].split()[-2:] == ["unknown", "headgate.yaml:6"]
    at_home = Project(tmp_path / "home", CHECKED.partition("  - {urn")[0] + '  - {prefix: "athena:x", job: at-home}\n')
    assert at_home.type("rules", "check", env=nobody).code == 0
