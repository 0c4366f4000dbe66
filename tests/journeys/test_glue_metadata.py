"""This file is where the example project's Glue catalog comes into DataHub: at first, by schedule, after the lake.

The seed's recipe as it is, DataHub's own source, in processes of ours; Glue, STS and DataHub's metadata service are
played, and remember what they are asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli.world import Project
from fakes.aws import FakeAws
from fakes.glue_catalog import FakeGlue
from fakes.gms import FakeGms
from services.moto import CREDENTIALS

from headgate.app import App
from headgate.doors.catalog.reading import Change, event_of
from headgate.model import TABLE_CHANGES, JobName, Run, RunState
from headgate.project import write_project
from headgate.recipes.targeted import NOTE

from .world import ended, running, runs_of, until

ROLE = "arn:aws:iam::123456789012:role/reads-glue"
TABLES = ("collections_data_staging", "collections_data_staging_rejects", "collections_data_view", "other")


#: Beside those of the project.
CHANGED = """\
  tables-changed:
    type: EVENT
    catalog: {glue: {region: us-east-1}}
    settle: 500ms
    actions: [glue-metadata]
"""


def table(name: str) -> dict[str, Any]:
    columns = [{"Name": "id", "Type": "bigint"}, {"Name": "amount", "Type": "decimal(38,6)"}]
    return {"Name": name, "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": columns, "Location": f"s3://lake/{name}"}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hub:
    """The example project, served by an App, and everyone around it."""

    app: App
    glue: FakeGlue
    aws: FakeAws
    gms: FakeGms
    first: Run  #: what was started by itself
    environ: Mapping[str, str]

    def datasets(self, since: int = 0) -> set[str]:
        """Names of the tables that DataHub was told of since it had been asked so many times."""
        told: set[str] = set()
        for one in self.gms.requests[since:]:
            body: Any = one.body if one.path.startswith("/aspects") else {}
            for proposal in body.get("proposals") or [body.get("proposal") or {}]:
                urn = str(proposal.get("entityUrn") or "")
                if urn.startswith("urn:li:dataset:"):
                    told.add(urn.split(",")[1])
        return told


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A fresh project with GLUE_METADATA=true, whose server has just been started for the first time."""
    project = tmp_path_factory.mktemp("hub")
    write_project(project)
    file = project / "headgate.yaml"
    file.write_text(file.read_text("utf-8").replace("\ntriggers:\n", f"\ntriggers:\n{CHANGED}"), "utf-8")
    catalog = {"collections": [table(name) for name in TABLES], "hr": [table("people")]}
    with FakeGlue({name: {} for name in catalog}, catalog) as glue, FakeAws() as aws, FakeGms(auth=False) as gms:
        environ = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_GLUE": glue.url,
            "AWS_ENDPOINT_URL_STS": aws.url,
            # as in a pod; elsewhere DataHub's source asks the network whether it is on EC2
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/of-the-pod",
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null",
            "AWS_ROLE": ROLE,
            "GLUE_EXTRACT_TRANSFORMS": "false",
            "GMS_URL": f"{gms.url}/",  # as people write it
            "GLUE_METADATA": "true",
        }
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environ.items():
                patched.setenv(name, value)
            with running(project, doors=False, **environ) as app:
                until(lambda: runs_of(app, "glue-metadata"), "the first run, which nobody asks for")
                (first,) = runs_of(app, "glue-metadata")
                yield Hub(app, glue, aws, gms, ended(app, first), environ)


def log_of(app: App, run: Run) -> str:
    return app.gate.log(run.id, limit=1 << 22).text


def test_a_fresh_project_ingests_without_a_manual_step(hub: Hub) -> None:
    """GLUE_METADATA=true and a start: the schedule is there, its first run has succeeded, and a decision says why."""
    run = hub.first
    decisions = hub.app.ledger.decisions(trigger="glue-metadata-schedule").items
    catalog = hub.app.ledger.catalog

    assert run.state is RunState.SUCCEEDED, log_of(hub.app, run)
    assert [(one.decision.outcome, one.decision.run) for one in decisions] == [("fired", run.id)]
    assert "active for the first time" in decisions[0].decision.reason
    assert [(one.name, one.schedule, one.enabled) for one in catalog.scheduled] == [
        ("glue-metadata-schedule", "cron(0 0/6 * * ? *)", True)
    ]


def test_datahub_is_told_of_every_table(hub: Hub) -> None:
    """The seed's recipe writes to GMS_URL, with or without a slash at its end: proposals of every table arrive."""
    paths = {one.path for one in hub.gms.requests}

    assert hub.datasets() >= {*(f"collections.{name}" for name in TABLES), "hr.people"}
    assert not [path for path in paths if path.startswith("//")]


def test_the_role_is_assumed_in_the_runs_name(hub: Hub) -> None:
    """AWS_ROLE is what is assumed, in a session that CloudTrail shows with the run's id; Glue is asked as that."""
    (assumed,) = [one for one in hub.aws.calls if one.operation == "AssumeRole"][:1]

    assert assumed.body["RoleArn"] == ROLE
    assert assumed.body["RoleSessionName"] == hub.first.id.removeprefix("jr_")


def test_transforms_that_are_off_are_not_asked_for(hub: Hub) -> None:
    """GLUE_EXTRACT_TRANSFORMS="false", a text, is false: no job and no script is looked at."""
    operations = {operation for operation, _ in hub.glue.calls}

    assert "GetTables" in operations
    assert not operations & {"GetJobs", "GetJob", "GetDataflowGraph"}


def test_transforms_that_are_on_are_asked_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recipe with GLUE_EXTRACT_TRANSFORMS="true" looks at the jobs, so their absence above means something."""
    asked = len(hub.glue.calls)
    monkeypatch.setenv("GLUE_EXTRACT_TRANSFORMS", "true")
    ended(hub.app, hub.app.gate.start("glue-metadata", arguments={}, actor="urn:li:corpuser:ann"))

    assert "GetJobs" in {operation for operation, _ in hub.glue.calls[asked:]}


def test_what_a_lake_job_has_written_is_refreshed(hub: Hub) -> None:
    """A success of the ingestion, and of the views after it, brings just the tables it has written into DataHub."""
    folder = hub.app.settings.inboxes["raw-data"] / "collections-data"
    (folder / "a.csv").write_text("series_id,value\nFRY9C,1.5\nFRY9C,none\n", "utf-8")
    asked, told = len(hub.glue.calls), len(hub.gms.requests)
    before = len(runs_of(hub.app, "glue-metadata"))
    hub.app.gate.start("csv-to-iceberg-ingestion", arguments={}, actor="urn:li:corpuser:ann")
    until(lambda: len(runs_of(hub.app, "glue-metadata")) == before + 2, "a refresh after each of the lake's jobs")
    targeted = [ended(hub.app, run) for run in runs_of(hub.app, "glue-metadata")[before:]]
    of_ingestion, of_views = [json.loads(run.arguments["--tables"]) for run in targeted]
    log = log_of(hub.app, targeted[0])

    assert [run.state for run in targeted] == [RunState.SUCCEEDED] * 2, log
    assert of_ingestion == ["collections.collections_data_staging", "collections.collections_data_staging_rejects"]
    assert of_views == ["collections.collections_data_view", "collections.fry9c_report_view"]
    # the last of them is no table of Glue's yet, and `other` was not written
    assert hub.datasets(told) == {f"collections.{name}" for name in TABLES[:3]}
    assert {str(about["DatabaseName"]) for what, about in hub.glue.calls[asked:] if what == "GetTables"} == {
        "collections"
    }
    assert f"only {', '.join(of_ingestion)}; {NOTE}" in log
    assert (targeted[0].result["tables"], targeted[0].result["note"]) == (of_ingestion, NOTE)
    assert [(one.job, one.run) for one in targeted[0].predecessors] == [
        (JobName("csv-to-iceberg-ingestion"), runs_of(hub.app, "csv-to-iceberg-ingestion")[0].id)
    ]


def test_nothing_written_refreshes_nothing(hub: Hub) -> None:
    """The same file again adds nothing, so there is nothing to bring into DataHub; the decision says so."""
    before = len(runs_of(hub.app, "glue-metadata"))
    run = hub.app.gate.start("csv-to-iceberg-ingestion", arguments={}, actor="urn:li:corpuser:ann")
    ended(hub.app, run)
    decisions = hub.app.ledger.decisions(trigger="glue-metadata-of-written-tables", outcome="skipped").items

    assert f"{run.id[:11]}… has nothing under 'written'" in decisions[0].decision.reason
    assert len(runs_of(hub.app, "glue-metadata")) == before


def test_changed_tables_are_ingested_alone(hub: Hub) -> None:
    """Events of a watched catalog make one run, whose recipe is narrowed to the tables of its manifest."""
    before, told = len(runs_of(hub.app, "glue-metadata")), len(hub.gms.requests)
    watch = hub.app.ledger.catalog.watched[0].catalog
    assert watch is not None
    changes = [Change(TABLE_CHANGES["updated"], name, "2") for name in ("hr.people", "collections.other")]
    hub.app.gate.accept([event_of(watch, one, datetime.now(UTC)) for one in changes])
    (run,) = runs_of(hub.app, "glue-metadata")[before:]
    run = ended(hub.app, run)

    assert (run.state, run.objects) == (RunState.SUCCEEDED, 2), log_of(hub.app, run)
    assert run.result["tables"] == ["hr.people", "collections.other"]
    assert hub.datasets(told) == {"hr.people", "collections.other"}


def removed(hub: Hub, since: int) -> set[str]:
    """Names of the tables that DataHub was told are gone, since it had been asked so many times."""
    found: set[str] = set()
    for one in hub.gms.requests[since:]:
        body: Any = one.body if one.path.startswith("/aspects") else {}
        for proposal in body.get("proposals") or [body.get("proposal") or {}]:
            status = proposal.get("aspectName") == "status" and json.loads(proposal["aspect"]["value"])
            if status and status["removed"]:
                found.add(str(proposal["entityUrn"]).split(",")[1])
    return found


def test_a_targeted_run_takes_nothing_for_deleted(hub: Hub, tmp_path: Path) -> None:
    """Whatever its recipe says of stateful ingestion: tables not asked for stay, and whole runs go on removing."""
    state = {"type": "file", "config": {"filename": str(tmp_path / "state.json")}}
    config = {
        "aws_region": "us-east-1", "extract_transforms": False, "database_pattern": {"allow": ["collections"]},
        "stateful_ingestion": {"enabled": True, "remove_stale_metadata": True, "state_provider": state},
    }  # fmt: skip
    recipe = json.dumps({
        "pipeline_name": "stateful", "source": {"type": "glue", "config": config},
        "sink": {"type": "datahub-rest", "config": {"server": hub.gms.url}},
    })  # fmt: skip

    def ingest(**more: str) -> set[str]:
        told = len(hub.gms.requests)
        given = {"--recipe_json": recipe, **{f"--{name}": value for name, value in more.items()}}
        run = ended(hub.app, hub.app.gate.start("ingestion:stateful", arguments=given, actor="urn:li:corpuser:ann"))
        assert run.state is RunState.SUCCEEDED, log_of(hub.app, run)
        return removed(hub, told)

    whole = ingest()
    targeted = ingest(tables="collections.collections_data_staging,collections.collections_data_view")
    del hub.glue.tables["collections"][-1]  # pyright: ignore[reportIndexIssue] - it is the test's own list
    hub.glue.forget_pages()
    again = ingest()

    assert (whole, targeted, again) == (set(), set(), {"collections.other"})


def test_the_shipped_recipe_is_fine(hub: Hub) -> None:
    """`headgate recipes check` finds nothing wrong with it: its fields, its variables, and everybody it names."""
    done = Project(hub.app.settings.project, None).type(
        "recipes", "check", "datasource-ingestion-recipes/glue-example.yml", "-o", "json", env=hub.environ
    )

    assert done.code == 0, done
    assert {one["severity"] for one in done.json} <= {"ok", "note"}, done
