"""This file is where DataHub is away, refuses us and lacks what we rely on; where ingestion happens twice or never."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doctor_world import World, world
from fakes.gms import TOKEN, FakeGms
from services.moto import CREDENTIALS

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.datahub import GmsClient, authorization
from headgate.datahub.wire import Limits
from headgate.doctor import Finding, Rank
from headgate.doctor.datahub import diagnose
from headgate.doctor.places import Places
from headgate.model import RunState

QUICK = Limits(connect=1.0, silence=1.0, whole=2.0, write=2.0, pause=0.001, longest_pause=0.01)
KNOWN = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"
PROPERTY = "awsStepFunctionArn"

PROJECT = """\
jobs:
  first: {engine: local, command: ["true"]}
  glue-metadata: {engine: recipe, recipe: glue.yml}
triggers:
  glue-schedule: {type: SCHEDULED, schedule: "cron(0 0/6 * * ? *)", actions: [glue-metadata]}
"""
RULE = f'datasets:\n  - {{urn: "{KNOWN}", job: first}}\n'


class OnAws(Clients):
    """What AWS lists, as its documentation shows it; by default nobody is known there."""

    def __init__(self, lists: Mapping[str, Any] | None = None) -> None:
        super().__init__(environ=CREDENTIALS)
        self.lists = lists

    def call(self, place: Place, service: str, operation: str, *args: Any, doing: str, **more: Any) -> Any:
        del place, service, more
        if self.lists is None:
            return Fault(FaultKind.NO_CREDENTIALS, "NoCredentialsError", "no AWS credentials", doing)
        answer = self.lists.get(operation, {})
        return answer(args[0]) if callable(answer) else answer


@contextmanager
def made(folder: Path, gms: FakeGms | None, text: str = PROJECT, *, token: str = TOKEN) -> Generator[World]:
    folder.mkdir(exist_ok=True)
    (folder / "glue.yml").write_text("source: {type: glue, config: {}}\n", "utf-8")
    environ = {"DATAHUB_GMS_URL": gms.url, **({"DATAHUB_GMS_TOKEN": token} if token else {})} if gms else {}
    with world(folder, text, **environ) as one:
        yield one


def look(here: World, gms: FakeGms | None, aws: Clients | None = None, *crontabs: Path) -> list[Finding]:
    places = Places(crontabs=crontabs, environ={})
    if gms is None:
        return diagnose(here.records, here.settings, None, aws or OnAws(), places=places)
    said = here.settings.datahub
    client = GmsClient(said.gms_url, authorization=authorization(said), limits=QUICK)
    here.gate.datahub = client
    try:
        return diagnose(here.records, here.settings, client, aws or OnAws(), places=places)
    finally:
        client.close()


@pytest.fixture
def gms() -> Generator[FakeGms]:
    with FakeGms() as fake:
        fake.define_property(PROPERTY)
        yield fake


def request(gms: FakeGms, name: str, *, executor: str = "default", at: int = 1_767_225_600_000) -> None:
    urn = f"urn:li:dataHubExecutionRequest:{name}"
    source = {"type": "MANUAL", "ingestionSource": f"urn:li:dataHubIngestionSource:{name}"}
    asked = {"task": "RUN_INGEST", "executorId": executor, "requestedAt": at, "source": source, "args": {}}
    gms.aspects.put(urn, "dataHubExecutionRequestInput", asked)
    result = {"status": "SUCCESS", "startTimeMs": at, "durationMs": 5}
    gms.aspects.put(urn, "dataHubExecutionRequestResult", result)


def source(gms: FakeGms, kind: str, recipe: str = "{}") -> None:
    info = {
        "name": f"nightly {kind}", "type": kind, "schedule": {"interval": "0 3 * * *", "timezone": "UTC"},
        "config": {"recipe": recipe, "executorId": "default"},
    }  # fmt: skip
    gms.aspects.put(f"urn:li:dataHubIngestionSource:{kind}", "dataHubIngestionSourceInfo", info)


def lines(found: list[Finding]) -> str:
    return "\n".join(one.what for one in found)


def test_what_is_well_has_only_notes(tmp_path: Path, gms: FakeGms) -> None:
    """Who we are, which version answers, and where ingestion happens."""
    with made(tmp_path, gms) as here:
        found = look(here, gms)

    assert {one.rank for one in found} == {Rank.NOTE}
    assert "answers" in found[0].what
    assert "DataHub knows Headgate as urn:li:corpuser:" in lines(found)
    assert "Headgate's trigger glue-schedule ingests: glue-metadata" in lines(found)
    assert TOKEN not in repr(found)


def test_a_datahub_that_is_away_is_said_once(tmp_path: Path) -> None:
    """It could not be looked at; nothing else is claimed of it."""
    with FakeGms() as gone, made(tmp_path, gone) as here:
        gone.close()
        found = look(here, gone)
    unseen = [one for one in found if one.rank is Rank.UNSEEN]

    assert [one.what for one in unseen] == ["DataHub could not be looked at"]
    assert "cannot be reached" in unseen[0].evidence


def test_a_token_datahub_does_not_take(tmp_path: Path, gms: FakeGms) -> None:
    with made(tmp_path, gms, token="stale-token") as here:
        found = look(here, gms)[0]

    assert (found.rank, found.what) == (Rank.BROKEN, "DataHub does not take Headgate's own token")
    assert "stale-token" not in repr(found)


def test_no_token_at_all(tmp_path: Path, gms: FakeGms) -> None:
    with made(tmp_path, gms, token="") as here:
        assert look(here, gms)[0].what == "Headgate has no credential of its own for DataHub"


def test_a_missing_right_is_named(tmp_path: Path, gms: FakeGms) -> None:
    """MANAGE_INGESTION is needed to list, and MANAGE_SECRETS where DataHub provides secrets."""
    gms.add_user("weak", "urn:li:corpuser:weak")
    with made(tmp_path, gms, PROJECT + "secrets: {providers: [datahub]}\n", token="weak") as here:
        found = look(here, gms)
        bound = replace(here.settings.datahub, executor=Path("x"))
        here.settings = replace(here.settings, datahub=bound)
        strict = look(here, gms)

    assert found[0].what == "Headgate's token lacks MANAGE_SECRETS"
    assert "Headgate's token lacks MANAGE_INGESTION" in lines(found)
    assert "DataHub's ingestion sources could not be looked at" in lines(found)
    assert (strict[0].rank, strict[0].what) == (Rank.BROKEN, "Headgate's token lacks MANAGE_INGESTION")


def test_a_property_that_is_missing_or_does_not_fit(tmp_path: Path) -> None:
    """Missing: bootstrap makes it. Of another type: it cannot be changed."""
    with FakeGms() as bare, made(tmp_path / "a", bare) as here:
        found = look(here, bare)[0]
    assert found.mend == "headgate datahub bootstrap"
    with FakeGms() as odd, made(tmp_path / "b", odd) as here:
        odd.define_property(PROPERTY, cardinality="MULTIPLE")
        found = look(here, odd)[0]
    assert found.rank is Rank.BROKEN
    assert "cardinality" in found.evidence


def test_a_rule_for_a_dataset_that_is_not_there(tmp_path: Path, gms: FakeGms) -> None:
    """With its place; gone once the dataset is there."""
    with made(tmp_path, gms, PROJECT + RULE) as here:
        found = look(here, gms)[0]
        gms.add_dataset(KNOWN)
        after = look(here, gms)

    assert KNOWN in found.what
    assert "headgate.yaml:7" in found.evidence
    assert KNOWN not in lines(after)


def test_the_same_kind_on_two_schedules(tmp_path: Path, gms: FakeGms) -> None:
    """Ours and DataHub's both ingest Glue."""
    source(gms, "glue")
    with made(tmp_path, gms) as here:
        found = look(here, gms)

    assert found[0].what == "glue is ingested on two schedules"
    assert found[0].evidence.startswith(
        "Headgate's trigger glue-schedule and DataHub's ingestion source nightly glue ("
    )
    assert found[0].mend.startswith("headgate triggers disable glue-schedule")


@pytest.mark.parametrize(
    ("recipe", "what"),
    [
        (
            '{"source": {"type": "glue"}}',
            "glue is on two schedules: Headgate's trigger glue-schedule leaves it to DataHub",
        ),
        ('{"source": {"type": "glue", "config": {"aws_region": "${R}"}}}', "glue is ingested on two schedules"),
        ('{"source": {"type": "glue", "config": {"aws_region": "eu-west-1"}}}', ""),
    ],
)
def test_two_schedules_of_one_catalog_are_told_from_two_of_two(
    tmp_path: Path, gms: FakeGms, recipe: str, what: str
) -> None:
    """The same, which ours leaves to DataHub; what may be the same; and another region, which is nothing."""
    source(gms, "glue", recipe)
    with made(tmp_path, gms) as here:
        said = [one.what for one in look(here, gms) if "two schedules" in one.what]

    assert said == ([what] if what else [])


def test_what_others_run_is_told_and_unmanaged_ingestion_is_a_finding(tmp_path: Path, gms: FakeGms) -> None:
    """`datahub ingest` typed by somebody, or by a cron nobody sees."""
    request(gms, "snowflake")
    request(gms, "cli-1234", executor="__datahub_cli_")
    info = {"name": "[CLI] glue [nightly]", "type": "glue", "config": {"recipe": "{}", "executorId": "__datahub_cli_"}}
    gms.aspects.put("urn:li:dataHubIngestionSource:cli-1234", "dataHubIngestionSourceInfo", info)
    with made(tmp_path, gms) as here:
        found = look(here, gms)

    assert found[0].rank is Rank.POSSIBLE
    assert found[0].what.startswith("glue [nightly] is ingested by `datahub ingest` outside")
    assert "others ingested snowflake last at 2026-01-01 00:00:00 UTC: SUCCEEDED" in lines(found)


def test_nothing_automated_is_a_finding_until_the_schedule_is_enabled(tmp_path: Path) -> None:
    """S2-42: before, no automated ingestion; after, every six hours."""
    with made(tmp_path, None) as here:
        here.switch("glue-schedule", on=False)
        before = look(here, None)
        blind = look(here, None, None, tmp_path / "gone")
        here.switch("glue-schedule", on=True)
        after = look(here, None)

    assert "no automated ingestion" not in lines(blind), "what was not seen may well ingest"
    assert before[0].what.startswith("no automated ingestion was found")
    assert before[0].mend == "headgate triggers enable glue-schedule"
    assert {one.rank for one in after} == {Rank.NOTE}
    assert "cron(0 0/6 * * ? *) (UTC)" in lines(after)
    with made(tmp_path / "other", None, 'jobs: {first: {engine: local, command: ["true"]}}\n') as here:
        assert {one.rank for one in look(here, None)} == {Rank.NOTE}, "nobody here means to fill a catalog"


def test_a_schedule_whose_last_run_failed_is_a_finding(tmp_path: Path) -> None:
    """With its error and its last success; runs for some tables say nothing of it, and a success ends it."""
    with made(tmp_path, None) as here:
        here.ended(here.started("glue-metadata"))
        here.ended(here.started("glue-metadata"), RunState.FAILED, "there is no value for\nGMS_URL")
        here.ended(here.taken(here.gate.start("glue-metadata", arguments={"--tables": "a.b"}, actor="")))
        found = look(here, None)[0]
        here.ended(here.started("glue-metadata"))
        after = look(here, None)

    assert found.rank is Rank.LIKELY
    assert found.what.endswith("cron(0 0/6 * * ? *) (UTC), and its last run ended FAILED")
    assert "there is no value for GMS_URL" in found.evidence
    assert "last success: 20" in found.evidence
    assert found.mend.startswith("headgate runs show jr_")
    assert {one.rank for one in after} == {Rank.NOTE}


def test_a_datahub_that_verifies_nobody_is_not_told_to_take_another_token(tmp_path: Path) -> None:
    """As its quickstart is: no token is wrong there, and none is any good."""
    with FakeGms(auth=False) as open_to_all, made(tmp_path, open_to_all) as here:
        open_to_all.define_property(PROPERTY)
        found = look(here, open_to_all)[0]

    assert (found.rank, found.what[:24]) == (Rank.POSSIBLE, "DataHub verifies nobody:")
    assert found.mend.startswith("start DataHub's GMS and frontend with METADATA_SERVICE_AUTH_ENABLED=true")


def started(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """What EventBridge's rules start: a task, and a command that is handed over."""
    task = "arn:aws:ecs:eu-west-1:1:task-definition/pull-metadata:3"
    targets: dict[str, list[dict[str, Any]]] = {
        "task": [{"Arn": "arn:aws:ecs:eu-west-1:1:cluster/c", "EcsParameters": {"TaskDefinitionArn": task}}],
        "typed": [{"Arn": "arn:aws:x", "Input": '{"command": ["datahub", "ingest", "--token", "hush"]}'}],
    }
    return {"Targets": targets.get(asked["Rule"], [])}


def looked_at(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schedule of EventBridge Scheduler."""
    function = "datahub" if "GroupName" in asked else "bill"
    target = {"Arn": f"arn:aws:lambda:eu-west-1:1:function:{function}"}
    return {"ScheduleExpression": "rate(4 days)", "Target": target}


def test_schedules_on_aws_and_in_crontabs_are_found(tmp_path: Path) -> None:
    """By their names and by what they type; a password in a crontab's line is not shown."""
    crontab = tmp_path / "crontab"
    lines_of = ["# datahub ingest", "0 3 * * * PW=hush datahub ingest -c x.yml --token hush"]
    lines_of += ["@daily PW=hush headgate recipes run x.yml", 'RUN="datahub --debug ingest --token hush"']
    crontab.write_text("\n".join(lines_of), "utf-8")
    lists = {
        "get_triggers": {
            "Triggers": [
                {"Name": "t", "Type": "SCHEDULED", "State": "ACTIVATED", "Schedule": "cron(0 1 * * ? *)",
                 "Actions": [{"JobName": "datahub-sync"}]},
                {"Name": "other", "Type": "SCHEDULED", "Actions": [{"JobName": "billing"}]},
            ]
        },
        "list_rules": {
            "Rules": [
                {"Name": "nightly-metadata", "ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
                {"Name": "billing", "ScheduleExpression": "rate(1 day)"},
                {"Name": "task", "ScheduleExpression": "rate(2 days)"},
                {"Name": "typed", "ScheduleExpression": "rate(3 days)"},
            ]
        },
        "list_targets_by_rule": started,
        "list_schedules": {"Schedules": [{"Name": "other"}, {"Name": "hourly", "GroupName": "g", "State": "DISABLED"}]},
        "get_schedule": looked_at,
    }  # fmt: skip
    with made(tmp_path / "p", None, 'jobs:\n  a: {engine: local, command: ["true"]}\n') as here:
        found = look(here, None, OnAws(lists), crontab)
        lost = look(here, None, OnAws(lists), tmp_path / "gone")

    assert "AWS Glue's trigger t may ingest: datahub-sync" in lines(found)
    assert "EventBridge's rule nightly-metadata may ingest" in lines(found)
    assert "EventBridge's rule task may ingest: rate(2 days)" in lines(found)
    assert "EventBridge's rule typed may ingest: rate(3 days)" in lines(found)
    assert "EventBridge Scheduler's schedule hourly may ingest: rate(4 days)" in lines(found)
    assert "schedule other" not in lines(found)
    typed = {one.what: one.evidence for one in found if str(crontab) in one.what}
    assert typed == {
        f"{crontab}:2 ingests": "0 3 * * *, datahub ingest",
        f"{crontab}:3 ingests": "@daily, headgate recipes run",
        f"{crontab}:4 ingests": "datahub --debug ingest",
    }
    assert "billing" not in lines(found)
    assert "hush" not in repr(found)
    assert {one.rank for one in found} == {Rank.NOTE}
    assert Rank.UNSEEN in {one.rank for one in lost}


def test_an_aws_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away is not the same as not used."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    with made(tmp_path, None) as here:
        away = look(here, None, Clients())
        unused = look(here, None)

    assert {one.what for one in away if one.rank is Rank.UNSEEN} == {
        "AWS Glue's triggers could not be looked at",
        "EventBridge's rules could not be looked at",
        "EventBridge Scheduler's schedules could not be looked at",
    }
    assert {one.rank for one in unused} == {Rank.NOTE}
