"""This file is where Glue's API goes its whole way: real clients, a real server, real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from cli.world import Project, address, environment, serving, until

INGEST, VIEWS, TRIGGER = "csv-to-iceberg-ingestion", "create-views-dual-engine", "dual-engine-views-trigger"
#: The seed's two jobs by its names, as quick commands.
SEED: Final = f"""\
jobs:
  {INGEST}: {{engine: local, command: [sh, -c, "echo rows of it"], max_retries: 2}}
  {VIEWS}: {{engine: local, command: [sh, -c, "echo views"]}}
triggers:
  {TRIGGER}:
    {{type: CONDITIONAL, predicate: {{conditions: [{{job: {INGEST}, state: SUCCEEDED}}]}}, actions: [{VIEWS}]}}
inboxes: {{scripts: ./scripts}}
"""
SCRIPT: Final = """
import os, sys
from awsglue.utils import getResolvedOptions
options = getResolvedOptions(sys.argv, ["JOB_NAME", "raw_data_bucket"])
print("ingesting", options["raw_data_bucket"], "for", options["JOB_NAME"])
with open(os.path.join(os.getcwd(), "done"), "a") as file:
    file.write(options["JOB_NAME"] + "\\n")
"""
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Cli:
    """The aws command, pointed at a server by the environment alone."""

    def __init__(self, url: str) -> None:
        self._environ = environment({**ENVIRONMENT, "AWS_ENDPOINT_URL": url})

    def __call__(self, line: str) -> Any:
        """What a line of the seed answers, as JSON; it is typed as it stands there."""
        done = self.run(line)
        assert done.returncode == 0, (line, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        words = line.split()
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        return subprocess.run(
            command, env=self._environ, capture_output=True, text=True, timeout=90, check=False
        )  # fmt: skip


def test_the_seeds_commands_do_what_they_say(tmp_path: Path) -> None:
    """S4-23 … S4-31 and S4-38, in the order a new user would type them, with the real command line."""
    project = Project(tmp_path, SEED)
    with serving(project):
        url = address(project)
        aws = Cli(url)
        first = aws(f"aws glue start-job-run --job-name {INGEST} --region us-east-1")["JobRunId"]
        assert first.startswith("jr_")
        until(lambda: ended(url, VIEWS) == 1, "the trigger to fire")
        shown = aws(f"aws glue get-trigger --name {TRIGGER} --region us-east-1")["Trigger"]
        assert (shown["State"], shown["Type"]) == ("ACTIVATED", "CONDITIONAL")
        assert shown["Predicate"]["Conditions"] == [
            {"LogicalOperator": "EQUALS", "JobName": INGEST, "State": "SUCCEEDED"}
        ]

        aws(f"aws glue stop-trigger --name {TRIGGER} --region us-east-1")
        aws(f"aws glue start-job-run --job-name {INGEST} --region us-east-1")
        until(lambda: ended(url, INGEST) == 2, "both runs to succeed")
        assert ended(url, VIEWS) == 1
        aws(f"aws glue start-trigger --name {TRIGGER} --region us-east-1")
        aws(f"aws glue start-job-run --job-name {VIEWS} --region us-east-1")
        until(lambda: ended(url, VIEWS) == 2, "the views to be made by hand")
        views = aws(f"aws glue get-job-runs --job-name {VIEWS} --max-results 10 --region us-east-1")["JobRuns"]
        assert [one.get("TriggerName") for one in views] == [None, TRIGGER]
        newest = aws(f"aws glue get-job-runs --job-name {INGEST} --max-results 1 --region us-east-1")
        assert [one["JobRunState"] for one in newest["JobRuns"]] == ["SUCCEEDED"]
        assert newest["JobRuns"][0]["Id"] != first

        names = [one["Name"] for one in aws("aws glue get-triggers --region us-east-1")["Triggers"]]
        assert names == [TRIGGER]
        aws(f"aws glue delete-trigger --name {TRIGGER} --region us-east-1")
        gone = aws.run(f"aws glue start-trigger --name {TRIGGER} --region us-east-1")
        assert gone.returncode in (254, 255)
        assert "(EntityNotFoundException) when calling the StartTrigger operation" in gone.stderr
        unsigned = aws.run("aws glue list-jobs --no-sign-request --region us-east-1")
        assert json.loads(unsigned.stdout)["JobNames"] == [VIEWS, INGEST]


def ended(url: str, job: str) -> int:
    """How many runs of the job have SUCCEEDED; none of them ends otherwise."""
    found = httpx.get(f"{url}/headgate/api/v1/runs", params={"job": job}, timeout=30, trust_env=False).json()["items"]
    assert all(one["state"] in ("WAITING", "STARTING", "RUNNING", "SUCCEEDED") for one in found), found
    return sum(one["state"] == "SUCCEEDED" for one in found)


@pytest.mark.parametrize("mode", ["any", "triggered"])
def test_a_workflow_of_jobs_is_built_through_boto3_alone(tmp_path: Path, mode: str) -> None:
    """Glue scripts in a bucket, jobs, a conditional trigger; it fires for direct starts only where it is to."""
    project = Project(tmp_path, f"{SEED}conditional_fires_for: {mode}\n")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "job.py").write_text(SCRIPT, "utf-8")
    with serving(project):
        glue: Any = boto3.client("glue", endpoint_url=address(project), region_name="us-east-1",
                                 aws_access_key_id="any", aws_secret_access_key="any")  # fmt: skip
        for name in ("load", "report"):
            glue.create_job(
                Name=name, Role="arn:aws:iam::123456789012:role/glue",
                Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/job.py"},
                DefaultArguments={"--raw_data_bucket": "raw"}, ExecutionProperty={"MaxConcurrentRuns": 2},
            )  # fmt: skip
        glue.create_trigger(
            Name="then", Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": "report"}],
            Predicate={"Conditions": [{"LogicalOperator": "EQUALS", "JobName": "load", "State": "SUCCEEDED"}]},
        )  # fmt: skip
        glue.create_trigger(Name="go", Type="ON_DEMAND", Actions=[{"JobName": "load"}])
        run = glue.start_job_run(JobName="load")["JobRunId"]
        over(glue, "load", run)
        if mode == "triggered":
            assert glue.get_job_runs(JobName="report")["JobRuns"] == []
            glue.start_trigger(Name="go")

        def reports() -> list[Any]:
            return list(glue.get_job_runs(JobName="report")["JobRuns"])

        [report] = until(reports, "the conditional trigger to fire")
        shown = over(glue, "report", report["Id"])
        assert shown["TriggerName"] == "then"
        assert [one["JobName"] for one in shown["PredecessorRuns"]] == ["load"]
        assert (tmp_path / "done").read_text("utf-8").splitlines()[-1] == "report"
        log = (project.home / "logs" / run / "log").read_text("utf-8")
        assert "ingesting raw for load" in log
        with pytest.raises(ClientError) as caught:
            glue.get_job_run(JobName="load", RunId="jr_none")
        assert isinstance(caught.value, glue.exceptions.EntityNotFoundException)
        glue.close()


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
