"""This file is where Glue's API goes its whole way: real clients, a real server, real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from cli.world import Project, address, environment, serving, until

from headgate.project import read_project

INGEST, VIEWS, TRIGGER = "csv-to-iceberg-ingestion", "create-views-dual-engine", "dual-engine-views-trigger"
#: The seed's two jobs by its names, as quick commands.
SEED: Final = f"""\
jobs:
  {INGEST}: {{engine: local, command: [sh, -c, "echo rows of it"], max_retries: 2}}
  {VIEWS}: {{engine: local, command: [sh, -c, "echo views"]}}
triggers:
  {TRIGGER}:
    {{type: CONDITIONAL, predicate: {{conditions: [{{job: {INGEST}, state: SUCCEEDED}}]}}, actions: [{VIEWS}]}}
"""
SCRIPTS: Final = ("glue_csv_to_iceberg.py", "glue_create_views_dual_engine.py")
#: What scripts of workflows do on AWS.
TOLD: Final = """
import sys
import boto3
from awsglue.utils import getResolvedOptions
options = getResolvedOptions(sys.argv, ["WORKFLOW_NAME", "WORKFLOW_RUN_ID"])
glue = boto3.client("glue")
here = {"Name": options["WORKFLOW_NAME"], "RunId": options["WORKFLOW_RUN_ID"]}
properties = glue.get_workflow_run_properties(**here)["RunProperties"]
print("events", properties["aws:eventIds"])
glue.put_workflow_run_properties(RunProperties={"seen": properties["day"]}, **here)
"""
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", ["any", "triggered"])
def test_a_workflow_of_jobs_is_built_through_boto3_alone(tmp_path: Path, mode: str) -> None:
    """The reference workflow: two scripts, a trigger, a CSV; a direct start fires it only where it is to."""
    project = Project(tmp_path, f"inboxes: {{raw-data: ./inbox, scripts: ./scripts}}\nconditional_fires_for: {mode}\n")
    (tmp_path / "scripts").mkdir()
    for script in SCRIPTS:
        (tmp_path / "scripts" / script).write_bytes(read_project()[f"jobs/{script}"])
    (tmp_path / "scripts" / "told.py").write_text(TOLD, "utf-8")
    with serving(project):
        glue: Any = boto3.client("glue", endpoint_url=address(project), region_name="us-east-1",
                                 aws_access_key_id="any", aws_secret_access_key="any")  # fmt: skip
        for name, script in zip((INGEST, VIEWS, "told", "told-again"), (*SCRIPTS, "told.py", "told.py"), strict=True):
            glue.create_job(
                Name=name, Role="arn:aws:iam::123456789012:role/glue", JobRunQueuingEnabled=True,
                Command={"Name": "glueetl", "ScriptLocation": f"s3://scripts/{script}"},
                DefaultArguments={"--database_name": "collections"},
            )  # fmt: skip
        glue.create_trigger(Name=TRIGGER, **after(INGEST, VIEWS))
        glue.create_trigger(Name="go", Type="ON_DEMAND", Actions=[{"JobName": INGEST}])

        project.drop("collections-data/1.csv", "series_id,value\nFRY9C,1.5\n")
        run = glue.start_job_run(JobName=INGEST)["JobRunId"]
        over(glue, INGEST, run)
        if mode == "triggered":
            assert glue.get_job_runs(JobName=VIEWS)["JobRuns"] == []
            glue.start_trigger(Name="go")

        def followed() -> list[Any]:
            return list(glue.get_job_runs(JobName=VIEWS)["JobRuns"])

        [views] = until(followed, "the conditional trigger to fire")
        shown = over(glue, VIEWS, views["Id"])
        assert shown["TriggerName"] == TRIGGER
        assert [one["JobName"] for one in shown["PredecessorRuns"]] == [INGEST]
        if mode == "triggered":
            _by_a_workflow(project, glue)
        else:
            found = project.json("lake", "query", "SELECT count(*) AS n FROM collections.fry9c_report_view")
            assert found == [{"n": 1}]
        glue.close()


def _by_a_workflow(project: Project, glue: Any) -> None:
    """A file starts it; its script reads the run's properties by boto3, with nothing said of where Glue is."""
    glue.create_workflow(Name="hub", DefaultRunProperties={"day": "monday"})
    glue.create_trigger(
        Name="arrived", Type="EVENT", WorkflowName="hub", StartOnCreation=True, Actions=[{"JobName": "told"}],
        Tags={"headgate:s3": "s3://raw-data/collections-data/", "headgate:suffix": ".csv"},
    )  # fmt: skip
    glue.create_trigger(Name="then", WorkflowName="hub", **after("told", "told-again"))
    project.drop("collections-data/2.csv", "series_id,value\nFRY9C,2.5\n")

    def completed() -> Any:
        return next((one for one in glue.get_workflow_runs(Name="hub")["Runs"] if one["Status"] == "COMPLETED"), None)

    shown = until(completed, "the workflow's run to be over")
    statistics = shown["Statistics"]
    assert (statistics["TotalActions"], statistics["SucceededActions"]) == (2, 2), shown
    assert shown["WorkflowRunProperties"]["seen"] == "monday"
    for job in ("told", "told-again"):
        [told] = glue.get_job_runs(JobName=job)["JobRuns"]
        log = (project.home / "logs" / told["Id"] / "log").read_text("utf-8")
        assert f"events {shown['WorkflowRunProperties']['aws:eventIds']}" in log


def after(watched: str, *started: str) -> dict[str, Any]:
    """What makes a conditional trigger."""
    return {
        "Type": "CONDITIONAL", "StartOnCreation": True, "Actions": [{"JobName": one} for one in started],
        "Predicate": {"Conditions": [{"LogicalOperator": "EQUALS", "JobName": watched, "State": "SUCCEEDED"}]},
    }  # fmt: skip


def over(glue: Any, job: str, run: str) -> Mapping[str, Any]:
    """The run, when it has SUCCEEDED."""

    def look() -> Any:
        found = glue.get_job_run(JobName=job, RunId=run, PredecessorsIncluded=True)["JobRun"]
        assert found["JobRunState"] in ("WAITING", "STARTING", "RUNNING", "SUCCEEDED"), found
        return found if found["JobRunState"] == "SUCCEEDED" else None

    return until(look, f"{job} to succeed")


def test_keys_are_made_on_the_command_line(tmp_path: Path) -> None:
    """With a token set, the aws command needs a key; a revoked one is none; the secret is nowhere in the home."""
    project = Project(tmp_path, SEED)
    env = {"HEADGATE_TOKEN": "hush-hush-token"}
    with serving(project, env=env):
        url = address(project)
        made = project.type("keys", "create", "--name", "ci", "--lasts", "1h", "-o", "json", env=env).json
        keys = {"AWS_ACCESS_KEY_ID": made["id"], "AWS_SECRET_ACCESS_KEY": made["secret"]}
        line = ["glue", "list-jobs", "--region", "eu-central-1", "--endpoint-url", url]
        aws = str(Path(sys.executable).parent / "aws")

        def typed(more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
            environ = environment({**ENVIRONMENT, **more})
            return subprocess.run([aws, *line], env=environ, capture_output=True, text=True, timeout=90, check=False)

        assert json.loads(typed(keys).stdout)["JobNames"] == [VIEWS, INGEST]
        assert "UnrecognizedClientException" in typed({}).stderr
        listed = project.type("keys", "list", env=env).out
        assert made["id"] in listed
        assert made["secret"] not in listed
        assert project.type("keys", "revoke", made["id"], "--reason", "left", env=env).code == 0
        until(lambda: "UnrecognizedClientException" in typed(keys).stderr, "the key to be of no use")
    kept = b"".join(file.read_bytes() for file in project.home.rglob("*") if file.is_file())
    assert made["secret"].encode() not in kept
