"""This file is where datasets are resolved by the whole gate: files, environment, ledger and DataHub together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.datahub_port import DataHubInMemory
from journeys.world import make_project, running

from headgate.app import App
from headgate.errors import Forbidden, Invalid, NotFound, Unavailable
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.model import JobName

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"
DATA_JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,f,PROD),j)"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
CONFIGURATION = """
jobs:
  first: {engine: local, run: journey_jobs.first}
datasets:
  - {prefix: c, job: first}
datahub: {allow: {arns: ["arn:aws:states:us-east-1:123456789012:stateMachine:*", "arn:aws:lambda:*:*:function:ok-*"]}}
"""


class World:
    """A running app with a mapping file that can be edited."""

    def __init__(self, app: App, mapping: Path) -> None:
        self.app = app
        self.gate = app.gate
        self.mapping = mapping

    def write(self, mapping: object) -> None:
        self.mapping.write_text(mapping if isinstance(mapping, str) else json.dumps(mapping), "utf-8")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    mapping = tmp_path / "mapping.json"
    mapping.write_text("{}", "utf-8")
    project = make_project(tmp_path / "project", CONFIGURATION)
    with running(
        project, DATAHUB_INGESTION_LAMBDA_MAPPING_FILE=str(mapping), AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="test"
    ) as app:
        yield World(app, mapping)


def kept(value: str = URN, kind: RuleKind = RuleKind.URN, **target: str) -> Rule:
    return Rule(
        kind=kind,
        value=value,
        job=JobName(target["job"]) if "job" in target else None,
        function=target.get("function"),
        state_machine_arn=target.get("state_machine_arn"),
        source=RuleSource.LEDGER,
    )


def test_an_edit_of_the_mapping_is_the_next_click(world: World) -> None:
    """No restart between the file's edit and the job that is started by it; a broken edit shows in /readyz only."""
    assert world.gate.datasets.resolve(URN).job == "first"
    world.write({URN: "mapped"})
    assert world.gate.datasets.resolve(URN).job == "lambda:mapped@us-east-1"
    assert world.app.readiness()["warnings"] == []
    world.write('{"x": ')
    assert world.gate.datasets.resolve(URN).job == "lambda:mapped@us-east-1"
    ready = world.app.readiness()
    assert ready["ready"] is True, "the last good rules do their work"
    assert "stay in force" in str(ready["warnings"])
    assert any("stay in force" in note for note in world.gate.datasets.explain(URN).notes)
    world.write({})
    assert world.gate.datasets.resolve(URN).job == "first"
    assert world.app.readiness()["warnings"] == []


def test_a_rule_of_the_ledger_counts_at_once_and_comes_last_among_equals(world: World) -> None:
    """It wins over a less precise rule of a file, and loses to one as precise."""
    made = world.gate.datasets.set_rule(kept(function="ok-ledger"), actor="ann", reason="try")
    assert world.gate.datasets.resolve(URN).job == "lambda:ok-ledger@us-east-1"
    world.write({URN: "mapped"})
    found = world.gate.datasets.explain(URN)
    assert found.job == "lambda:mapped@us-east-1"
    assert (made.rule, "it is as precise, but the environment's mapping file wins over the ledger") in found.losers
    world.write({})
    assert world.gate.datasets.delete_rule(made.id, actor="ann") == made
    assert world.gate.datasets.resolve(URN).job == "first"


def test_what_may_not_be_started_is_neither_kept_nor_started(world: World) -> None:
    """A rule that was kept before the allow-list was narrowed is refused at the click; `explain` says so."""
    with pytest.raises(Forbidden, match=r"datahub\.allow\.arns"):
        world.gate.datasets.set_rule(kept(function="other"), actor="ann")
    assert world.gate.datasets.kept_rules() == []
    world.gate.datasets.set_rule(kept(function="ok-f"), actor="ann")
    settings = world.gate.settings
    world.gate.definitions.settings = replace(settings, datahub=replace(settings.datahub, arns=["arn:aws:states:*"]))
    with pytest.raises(Forbidden, match=r"is not among those that may be started here"):
        world.gate.datasets.resolve(URN)
    with pytest.raises(Forbidden):
        world.gate.start_for(URN, arguments={}, actor="ann")
    found = world.gate.datasets.explain(URN)
    assert (found.job, found.refused) == (None, found.words)


@pytest.mark.parametrize(
    "rule", [kept(job="gone"), kept("nonsense", job="first"), kept("x", RuleKind.TAG, job="first"), kept()]
)
def test_a_wrong_rule_is_not_kept(world: World, rule: Rule) -> None:
    """Invalid, and nothing in the ledger or its audit."""
    with pytest.raises(Invalid):
        world.gate.datasets.set_rule(rule, actor="ann")
    assert world.gate.datasets.kept_rules() == []
    assert not [one for one in world.gate.ledger.audit().items if one.action == "rule.set"]


def test_the_property_of_the_datajob_starts_its_state_machine(world: World) -> None:
    """With a mapping beside it; the property removed, the mapping decides. Neither explaining nor resolving writes."""
    datahub = DataHubInMemory(datasets={URN: []}, jobs={DATA_JOB: [URN]}, properties={(DATA_JOB, PROPERTY): MACHINE})
    world.gate.datahub = datahub
    world.write({URN: "mapped"})
    job = "state-machine:earnings-ingest@us-east-1.123456789012"
    assert world.gate.datasets.resolve(URN, job_urn=DATA_JOB).job == job
    assert world.gate.datasets.explain(URN).job == job
    assert job not in world.gate.ledger.refresh().jobs
    datahub.properties.clear()
    assert world.gate.datasets.resolve(URN, job_urn=DATA_JOB).job == "lambda:mapped@us-east-1"
    datahub.away = "DataHub is away"
    with pytest.raises(Unavailable):
        world.gate.datasets.resolve(URN)


def test_starting_for_a_dataset_makes_the_implied_job_with_the_run(world: World) -> None:
    """The run is of that job, with the dataset as its reason; a second start uses the same job."""
    world.write({URN: "mapped"})
    runs = [world.gate.start_for(URN, arguments={"--x": "1"}, actor="ann") for _ in range(2)]

    assert {run.job for run in runs} == {"lambda:mapped@us-east-1"}
    assert {run.engine for run in runs} == {"lambda"}
    assert runs[0].cause.reason == f"dataset {URN}"
    assert world.gate.ledger.refresh().jobs[runs[0].job].target == {"function": "mapped", "region": "us-east-1"}
    assert world.gate.definitions.plan() == [], "an implied job is no drift"


def test_stale_rules_are_those_datahub_does_not_know(world: World) -> None:
    """Of every source, and only rules for one dataset; a DataHub that is away is no empty list."""
    world.write({URN: "mapped", URN.replace("c.d.t", "gone"): "mapped", "athena:x": "mapped"})
    kept_for = URN.replace("c.d.t", "misspelt")
    world.gate.datasets.set_rule(kept(kept_for, job="first"), actor="ann")
    world.gate.datahub = DataHubInMemory(datasets={URN: []})
    assert {one.value for one in world.gate.datasets.stale_rules()} == {URN.replace("c.d.t", "gone"), kept_for}
    world.gate.datahub = DataHubInMemory(away="DataHub is away")
    with pytest.raises(Unavailable, match="DataHub is away"):
        world.gate.datasets.stale_rules()
    world.gate.datahub = None
    with pytest.raises(Unavailable, match="no DataHub is configured"):
        world.gate.datasets.stale_rules()


def test_nothing_is_started_for_a_dataset_nobody_mapped(world: World) -> None:
    """NotFound, with what is near."""
    world.write({URN: "mapped"})
    with pytest.raises(NotFound, match="is it one of these you mean"):
        world.gate.start_for(URN.replace("athena,c.d.t", "athena,C.d.t"), arguments={}, actor="ann")
