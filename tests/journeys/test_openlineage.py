"""This file is where lineage goes its whole way: from an event to an execution, from our runs to a catalog."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attr
import boto3
import httpx
import pytest
from cli.world import Project, address, serving, until
from fakes.gms import TOKEN, FakeGms
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.base import JobFacet
from openlineage.client.transport.http import HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid
from services.moto import CREDENTIALS, REGION, moto

from headgate.app import App
from headgate.embedded.port import EmbeddedDataHub
from headgate.model import RunState as State
from headgate.project import write_project

from .world import ended, make_project, running, runs_of
from .world import until as eventually

DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.db.orders,PROD)"
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,nightly,prod),nightly.orders)"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"
TABLE = "urn:li:dataset:(urn:li:dataPlatform:iceberg,collections.collections_data_staging,PROD)"
FILES = "urn:li:dataset:(urn:li:dataPlatform:s3,raw-data/collections-data/day=1,PROD)"
INGEST = "urn:li:dataJob:(urn:li:dataFlow:(headgate,csv-to-iceberg-ingestion,prod),csv-to-iceberg-ingestion)"
VIEWS = "urn:li:dataJob:(urn:li:dataFlow:(headgate,create-views-dual-engine,prod),create-views-dual-engine)"

pytestmark = pytest.mark.slow


@attr.define
class AwsJobFacet(JobFacet):
    """What the seed's producers say of a job."""

    stepFunctionArn: str = attr.field(default="")  # noqa: N815 - the facet's own name


class Producer:
    """A pipeline that tells of itself with OpenLineage's own client."""

    def __init__(self, url: str) -> None:
        config = HttpConfig(url=url, endpoint="openapi/openlineage/api/v1/lineage")
        self._client = OpenLineageClient(transport=HttpTransport(config))

    def tell(self, arn: str | None) -> None:
        facets: dict[str, JobFacet] = {"aws": AwsJobFacet(stepFunctionArn=arn)} if arn else {}
        self._client.emit(
            RunEvent(
                eventType=RunState.COMPLETE,
                eventTime=datetime.now(UTC).isoformat(),
                run=Run(runId=str(generate_new_uuid())),
                job=Job(namespace="prod", name="nightly.orders", facets=facets),
                producer="https://github.com/apache/airflow/tree/providers-openlineage/2.0",
                outputs=[
                    OutputDataset(
                        namespace="awsathena://athena.us-east-1.amazonaws.com", name="AwsDataCatalog.db.orders"
                    )
                ],
            )
        )


@pytest.fixture(scope="module")
def states() -> Iterator[Any]:
    """Step Functions, with a state machine."""
    with moto() as url:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        client: Any = boto3.client("stepfunctions", endpoint_url=url, **keys)
        yield client


def test_an_events_arn_is_what_a_click_starts(tmp_path: Path, states: Any) -> None:
    """Without any mapping: the facet, the property on the DataJob, and the execution; defined once, never cleared."""
    arn = states.create_state_machine(
        name="orders",
        definition='{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/states",
    )["stateMachineArn"]
    project = Project(tmp_path, "jobs: {}\n")
    environ = {**CREDENTIALS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": str(states.meta.endpoint_url)}
    with serving(project, env=environ):
        url = address(project)
        producer = Producer(url)
        producer.tell(arn)
        held = until(lambda: _property(url), "the property to be on the DataJob")
        producer.tell(None)
        producer.tell(None)
        until(lambda: _version(url, JOB, "dataJobInfo"), "the later events to be told")
        answer = httpx.post(
            f"{url}/api/ingestion/run", json={"datasetUrn": DATASET, "reason": "lineage"}, timeout=60, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        started = [one["executionArn"] for one in states.list_executions(stateMachineArn=arn)["executions"]]
        assert held == _property(url) == arn
        assert started == [answer.json()["runId"]]
        assert _version(url, PROPERTY, "propertyDefinition") == "1"


def _property(url: str) -> str | None:
    """The DataJob's ARN, as DataHub's own API has it."""
    found = httpx.get(
        f"{url}/openapi/v3/entity/datajob/{quote(JOB, safe='')}/structuredProperties", timeout=10, trust_env=False
    )
    if found.status_code == 404:
        return None
    [one] = found.json()["value"]["properties"]
    assert one["propertyUrn"] == PROPERTY
    return str(one["values"][0]["string"])


def _version(url: str, urn: str, aspect: str) -> str:
    kind = urn.split(":")[2]
    found = httpx.get(
        f"{url}/openapi/v3/entity/{kind}/{quote(urn, safe='')}/{aspect}",
        params={"systemMetadata": "true"}, timeout=10, trust_env=False,
    )  # fmt: skip
    return str(found.raise_for_status().json()["systemMetadata"]["version"])


def told(app: App) -> None:
    """Wait until everything that was to be told is."""
    eventually(lambda: app.ledger.outbox()[0] == 0, "the outbox to be empty")


def columns(app: App, job: str) -> set[tuple[str, str]]:
    """(from, to) of the job's column lineage, as `dataset name.column`."""
    aspect: Any = app.datahub.aspect(job, "dataJobInputOutput")
    assert aspect is not None
    return {
        (_column(up), _column(down))
        for one in aspect["fineGrainedLineages"]
        for up in one["upstreams"]
        for down in one["downstreams"]
    }


def _column(urn: str) -> str:
    dataset, _, field = urn.removeprefix("urn:li:schemaField:(").removesuffix(")").rpartition(",")
    return f"{dataset.split(',')[1]}.{field}"


def test_the_reference_workflow_is_seen_from_the_csv_to_the_views(tmp_path: Path) -> None:
    """Both jobs, their runs, and every column's way from the file to the table to each view are in the catalog."""
    project = tmp_path / "project"
    write_project(project)
    inbox = project / "inbox" / "collections-data" / "day=1"
    inbox.mkdir(parents=True)
    (inbox / "a.csv").write_text("series_id,value\nFRY9C,1.5\n", "utf-8")
    with running(project, doors=True) as app:
        eventually(lambda: runs_of(app, "create-views-dual-engine"), "the views to be made")
        assert app.wait_idle(120)
        told(app)
        assert [one for one in app.datahub.producers(TABLE) if "headgate" in one] == [INGEST]
        assert columns(app, INGEST) == {
            (f"raw-data/collections-data/day=1.{name}", f"collections.collections_data_staging.{name}")
            for name in ("series_id", "value")
        }
        made = columns(app, VIEWS)
        for view in ("collections_data_view", "fry9c_report_view"):
            assert ("collections.collections_data_staging.value", f"collections.{view}.value") in made
        assert app.datahub.dataset(FILES).exists
        assert app.datahub.produces(VIEWS, TABLE.replace("collections_data_staging", "fry9c_report_view"))
        [run] = runs_of(app, "csv-to-iceberg-ingestion")
        instance = f"urn:li:dataProcessInstance:{_uuid(run.id)}"
        outputs: Any = app.datahub.aspect(instance, "dataProcessInstanceOutput")
        assert outputs["outputs"] == [TABLE]
        assert run.state is State.SUCCEEDED


def test_a_failure_is_told_with_its_message(tmp_path: Path) -> None:
    """The run is in the catalog as a failure, with what the job said."""
    configuration = "jobs:\n  hopeless: {engine: local, run: journey_jobs.hopeless, description: Never works.}\n"
    project = make_project(tmp_path / "project", configuration)
    with running(project) as app:
        run = ended(app, app.gate.start("hopeless", arguments={}, actor="urn:li:corpuser:ann"))
        told(app)
        instance = f"urn:li:dataProcessInstance:{_uuid(run.id)}"
        said: Any = app.datahub.aspect(instance, "dataProcessInstanceProperties")
        assert "the table does not exist" in said["customProperties"]["errorMessage"]
        info: Any = app.datahub.aspect(
            "urn:li:dataJob:(urn:li:dataFlow:(headgate,hopeless,prod),hopeless)", "dataJobInfo"
        )
        assert info["description"] == "Never works."
        assert isinstance(app.datahub, EmbeddedDataHub)
        events: Any = [
            json.loads(one.text) for one in app.datahub.catalog.series(instance, "dataProcessInstanceRunEvent")
        ]
        assert sorted(one["status"] for one in events) == ["COMPLETE", "STARTED"]
        assert [one["result"] for one in events if "result" in one] == [{"type": "FAILURE", "nativeResultType": "FAIL"}]


def test_a_datahub_that_is_away_costs_the_producer_nothing(tmp_path: Path) -> None:
    """Events are taken at once while DataHub fails; when it is back all of them are told, each entity's in order."""
    with FakeGms() as gms:
        gms.misbehave("/aspects", "500", times=10_000)
        project = Project(tmp_path, "jobs: {}\n")
        with serving(project, env={"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN}):
            url = address(project)
            slowest = max(_post(url, number) for number in range(20))
            assert slowest < 2.0, "the producer waited for DataHub"
            until(lambda: "lineage (openlineage)" in _ready(url), "/readyz to say that lineage waits")
            gms.requests.clear()
            gms.behave()
            until(lambda: _description(gms) == "number 19", "the last event to be told")
            assert _told(gms)[-20:] == [f"number {number}" for number in range(20)]


def _post(url: str, number: int) -> float:
    event = {
        "eventType": "COMPLETE",
        "eventTime": f"2026-01-01T00:00:{number:02}Z",
        "producer": "https://github.com/apache/airflow/tree/x",
        "run": {"runId": f"01234567-89ab-cdef-0123-{number:012}"},
        "job": {
            "namespace": "n",
            "name": "nightly.orders",
            "facets": {"documentation": {"description": f"number {number}"}},
        },
    }
    begun = time.monotonic()
    answer = httpx.post(
        f"{url}/openapi/openlineage/api/v1/lineage", json=event, headers={"authorization": f"Bearer {TOKEN}"},
        timeout=30, trust_env=False,
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return time.monotonic() - begun


def _ready(url: str) -> str:
    return httpx.get(f"{url}/readyz", timeout=10, trust_env=False).text


def _description(gms: FakeGms) -> str:
    return str((gms.aspects.get(JOB, "dataJobInfo") or {}).get("description"))


def _told(gms: FakeGms) -> list[str]:
    """The job's descriptions that DataHub took, in order."""
    sent = [one for one in gms.proposals if one["aspectName"] == "dataJobInfo"]
    return [str(json.loads(one["aspect"]["value"])["description"]) for one in sent]


def _uuid(run: str) -> str:
    digits = run[3:35]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
