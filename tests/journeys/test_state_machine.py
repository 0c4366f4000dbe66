"""This file is where the example project's state machines run jobs here: executed by moto, against a served port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from cfnlint.api import lint_all
from services.moto import REGION, configure, moto

from headgate.project import read_project

from .aws_world import served
from .world import ended, make_project, runs_of, until

MACHINES: Final = "state-machines/metadata-sync.asl.json", "state-machines/metadata-sync-http.asl.json"
JOBS: Final = """\
jobs:
  glue-metadata: {engine: local, command: [sh, -c, "echo synced"]}
  breaks: {engine: local, command: [sh, -c, "exit 3"]}
"""


def definition(name: str) -> str:
    return read_project()[name].decode("utf-8")


@pytest.mark.parametrize("name", MACHINES)
def test_the_definition_is_valid(name: str) -> None:
    """CloudFormation's linter, which knows the states language, finds no fault in it, and finds one that is made."""
    whole: dict[str, Any] = json.loads(definition(name))
    broken = {**whole, "States": {**whole["States"], "Wait": {"Type": "Wait"}}}

    assert faults(whole) == []
    assert faults(broken) != []


def faults(machine: Mapping[str, Any]) -> list[str]:
    properties: dict[str, Any] = {"RoleArn": "arn:aws:iam::123456789012:role/states", "Definition": machine}
    if "${HeadgateUrl}" in json.dumps(machine):
        properties["DefinitionSubstitutions"] = {
            "HeadgateUrl": "https://headgate.example.com",
            "ConnectionArn": "arn:aws:events:us-east-1:123456789012:connection/headgate/1",
        }
    template = {"Resources": {"Sync": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    return [f"{one.rule.id}: {one.message}" for one in lint_all(json.dumps(template)) if one.rule.id.startswith("E")]


def test_a_state_machine_runs_a_job_here_and_ends_as_it_does(tmp_path: Path) -> None:
    """An execution without input runs glue-metadata; one of a job that breaks fails with the run's state and id."""
    with (
        served(make_project(tmp_path, JOBS)) as headgate,
        moto(tasks_at=int(urlsplit(headgate.url).port or 0)) as url,
    ):
        configure(url, {"stepfunctions": {"execute_state_machine": True}})
        states = boto3.client(
            "stepfunctions", endpoint_url=url, region_name=REGION,
            aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip
        machine = states.create_state_machine(
            name="metadata-sync", definition=definition(MACHINES[0]), roleArn="arn:aws:iam::123456789012:role/states"
        )["stateMachineArn"]

        def execution(given: Mapping[str, str | int]) -> dict[str, Any]:
            name = f"sync-{len(given)}"  # moto calls one without a name None
            arn = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(given))["executionArn"]
            found: dict[str, Any] = {}

            def over() -> bool:
                found.update(states.describe_execution(executionArn=arn))
                return found["status"] != "RUNNING"

            until(over, f"the end of {given}")
            return found

        done, failed = execution({"poll_seconds": 1}), execution({"job": "breaks", "poll_seconds": 1})

        [synced], [broken] = runs_of(headgate.app, "glue-metadata"), runs_of(headgate.app, "breaks")
        assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"state": "SUCCEEDED", "id": synced.id})
        assert synced.arguments == {"--started_by": "Step Functions"}
        assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "FAILED", broken.id)


def test_what_the_machine_for_aws_posts_is_taken(tmp_path: Path) -> None:
    """Its two requests, made as its definition says, start a run and tell its state by the names it selects."""
    found: dict[str, Any] = json.loads(definition(MACHINES[1]))["States"]
    start, look = found["Start"]["Parameters"], found["Look"]["Parameters"]
    given = {"$.job": "glue-metadata", "$.reason": "Step Functions"}
    with served(make_project(tmp_path, JOBS)) as headgate:
        body = {name.removesuffix(".$"): given[value] for name, value in start["RequestBody"].items()}
        asked = httpx.request(start["Method"], start["ApiEndpoint"].replace("${HeadgateUrl}", headgate.url), json=body)
        run = ended(headgate.app, asked.raise_for_status().json()["id"])

        path = look["ApiEndpoint.$"].split("'")[1].replace("${HeadgateUrl}", headgate.url).format(run.id)
        seen = httpx.request(look["Method"], path).raise_for_status().json()

    assert (seen["state"], seen["id"], run.cause.reason) == ("SUCCEEDED", run.id, "Step Functions")
