"""This file is where DataHub's own command, SDK and ingestion are pointed at a served Headgate, and must not notice.

Everything here goes over a real port of a real server: no part of the client is ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli.warm import Command
from cli.world import DATASET as NAMED
from cli.world import DEADLINE, Project, address, environment, serving

from .world import DATASET, JOB

pytest.importorskip("datahub")
pytestmark = pytest.mark.slow

RECIPE = """\
source: {{type: file, config: {{path: {file}}}}}
sink: {{type: datahub-rest, config: {{server: "{url}"}}}}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served project; answers its URL."""
    project = Project(tmp_path_factory.mktemp("served") / "project")
    with serving(project):
        yield address(project)


@pytest.fixture
def cli(server: str, tmp_path: Path) -> Callable[..., str]:
    """The real `datahub` command, told of the server as its users do."""

    def run(*words: str) -> str:
        env = environment({"DATAHUB_GMS_URL": server, "DATAHUB_TELEMETRY_ENABLED": "false", "HOME": str(tmp_path)})
        said, errors = tmp_path / "said", tmp_path / "errors"
        with Path(os.devnull).open("rb") as nothing, said.open("wb") as out, errors.open("wb") as err:
            command = Command(words, program="datahub", cwd=tmp_path, env=env, stdin=nothing, stdout=out, stderr=err)
            code = command.wait(DEADLINE)
        assert code == 0, (words, said.read_text("utf-8"), errors.read_text("utf-8"))
        return said.read_text("utf-8")

    return run


def test_the_command_puts_gets_and_deletes(cli: Callable[..., str], tmp_path: Path) -> None:
    """put, get, exists, soft and hard delete: as the command's users see them."""
    urn = DATASET.replace("orders", "cli")
    file = tmp_path / "aspect.json"
    file.write_text(json.dumps({"name": "Orders", "customProperties": {"a": "b"}}), "utf-8")
    seen: list[Any] = [json.loads(cli("exists", "--urn", urn))]
    cli("put", "aspect", "--urn", urn, "--aspect", "datasetProperties", "-d", str(file), "--run-id", "mine")
    seen.append(json.loads(cli("exists", "--urn", urn)))
    got = json.loads(cli("get", "urn", "--urn", urn, "--aspect", "datasetProperties"))
    cli("delete", "by-filter", "--urn", urn, "--soft", "--force")
    status = json.loads(cli("get", "urn", "--urn", urn, "--aspect", "status"))
    cli("delete", "by-filter", "--urn", urn, "--hard", "--force")
    seen.append(json.loads(cli("exists", "--urn", urn)))

    assert seen == [False, True, False]
    assert got["datasetProperties"]["customProperties"] == {"a": "b"}
    assert status["status"] == {"removed": True}


def test_the_emitter_and_the_graph(server: str) -> None:
    """DatahubRestEmitter writes, one and many; DataHubGraph reads, searches, and asks GraphQL."""
    from datahub.emitter.mcp import MetadataChangeProposalWrapper
    from datahub.emitter.rest_emitter import DatahubRestEmitter
    from datahub.ingestion.graph.client import DataHubGraph
    from datahub.ingestion.graph.config import DatahubClientConfig
    from datahub.metadata import schema_classes as models

    emitter = DatahubRestEmitter(server)
    emitter.test_connection()
    emitter.emit(MetadataChangeProposalWrapper(entityUrn=DATASET, aspect=models.StatusClass(removed=False)))
    tags = models.GlobalTagsClass(tags=[models.TagAssociationClass(tag="urn:li:tag:layer.raw")])
    emitter.emit_mcps(
        [
            MetadataChangeProposalWrapper(entityUrn=DATASET, aspect=tags),
            MetadataChangeProposalWrapper(
                entityUrn=JOB, aspect=models.DataJobInputOutputClass(inputDatasets=[], outputDatasets=[DATASET])
            ),
        ]
    )
    emitter.close()
    graph = DataHubGraph(DatahubClientConfig(server=server))
    read = graph.get_aspect(DATASET, models.GlobalTagsClass)
    many = graph.get_entity_semityped(DATASET)

    assert read is not None
    assert [one.tag for one in read.tags] == ["urn:li:tag:layer.raw"]
    assert graph.get_aspect(DATASET, models.OwnershipClass) is None
    assert graph.exists(DATASET)
    assert not graph.exists(DATASET.replace("orders", "never"))
    assert set(many) >= {"datasetKey", "globalTags", "status"}
    assert DATASET in list(graph.get_urns_by_filter(entity_types=["dataset"], platform="iceberg", env="PROD"))
    found = graph.execute_graphql("query d($u: String!) { dataset(urn: $u) { exists } }", variables={"u": DATASET})
    assert found == {"dataset": {"exists": True}}
    assert graph.list_all_entity_urns("dataJob", 0, 10) == [JOB]
    assert graph.get_aspect_counts("globalTags", "urn:li:dataset:%") == 1
    graph.close()


def test_the_emitter_over_openapi_and_its_patches(server: str) -> None:
    """openapi_ingestion, and the SDK's own patch builders through both doors."""
    from datahub.emitter.rest_emitter import DatahubRestEmitter
    from datahub.ingestion.graph.client import DataHubGraph
    from datahub.ingestion.graph.config import DatahubClientConfig
    from datahub.metadata import schema_classes as models
    from datahub.specific.datajob import DataJobPatchBuilder
    from datahub.specific.dataset import DatasetPatchBuilder

    urn, job = DATASET.replace("orders", "patched"), JOB.replace("load", "patched")
    for openapi in (False, True):
        name = "openapi" if openapi else "restli"
        emitter = DatahubRestEmitter(server, openapi_ingestion=openapi)
        for mcp in (
            *DatasetPatchBuilder(urn).add_custom_property(name, "yes")
            .add_tag(models.TagAssociationClass(tag=f"urn:li:tag:{name}")).build(),
            *DataJobPatchBuilder(job).add_output_dataset(urn).add_input_dataset(DATASET).build(),
        ):  # fmt: skip
            emitter.emit(mcp)
        emitter.close()
    graph = DataHubGraph(DatahubClientConfig(server=server))
    properties = graph.get_aspect(urn, models.DatasetPropertiesClass)
    tags = graph.get_aspect(urn, models.GlobalTagsClass)
    lineage = graph.get_aspect(job, models.DataJobInputOutputClass)
    graph.close()

    assert properties is not None
    assert properties.customProperties == {"restli": "yes", "openapi": "yes"}
    assert tags is not None
    assert [one.tag for one in tags.tags] == ["urn:li:tag:restli", "urn:li:tag:openapi"]
    assert lineage is not None
    assert [one.destinationUrn for one in lineage.outputDatasetEdges or []] == [urn]


def test_timeseries_and_claims_through_the_sdk(server: str) -> None:
    """A point of a series is read again, and of two who claim a request one loses."""
    from datahub.configuration.common import OperationalError
    from datahub.emitter.mcp import MetadataChangeProposalWrapper
    from datahub.emitter.rest_emitter import DatahubRestEmitter
    from datahub.ingestion.graph.client import DataHubGraph
    from datahub.ingestion.graph.config import DatahubClientConfig
    from datahub.metadata import schema_classes as models

    emitter = DatahubRestEmitter(server, retry_max_times=1)
    run, request = "urn:li:dataProcessInstance:sdk", "urn:li:dataHubExecutionRequest:sdk"
    event = models.DataProcessInstanceRunEventClass(timestampMillis=7, status=models.DataProcessRunStatusClass.STARTED)
    emitter.emit(MetadataChangeProposalWrapper(entityUrn=run, aspect=event))
    claim = MetadataChangeProposalWrapper(
        entityUrn=request,
        aspect=models.ExecutionRequestResultClass(status="RUNNING"),
        headers={"If-Version-Match": "-1"},
    )
    emitter.emit(claim)
    with pytest.raises(OperationalError) as lost:
        emitter.emit(claim)
    emitter.close()
    graph = DataHubGraph(DatahubClientConfig(server=server))
    point = graph.get_latest_timeseries_value(run, models.DataProcessInstanceRunEventClass, {})
    graph.close()

    assert point is not None
    assert point.timestampMillis == 7
    assert "Expected version -1, actual version 1" in str(lost.value.info)


def test_a_real_ingestion(server: str, cli: Callable[..., str], tmp_path: Path) -> None:
    """`datahub ingest` with a file source and the datahub-rest sink: everything arrives, the exit code is 0."""
    urns = [DATASET.replace("orders", f"ingested{number}") for number in range(25)]
    file = tmp_path / "metadata.json"
    file.write_text(
        json.dumps(
            [
                {
                    "entityType": "dataset", "entityUrn": urn, "changeType": "UPSERT", "aspectName": name,
                    "aspect": {"json": value},
                }
                for urn in urns
                for name, value in (("status", {"removed": False}), ("datasetProperties", {"name": "x"}))
            ]
        ),
        "utf-8",
    )  # fmt: skip
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(RECIPE.format(file=file, url=server), "utf-8")
    done = cli("ingest", "run", "-c", str(recipe))

    assert "Pipeline finished" in done + (tmp_path / "errors").read_text("utf-8")
    for urn in (urns[0], urns[-1]):
        assert json.loads(cli("exists", "--urn", urn)) is True
    listed = httpx.get(f"{server}/headgate/api/v1/runs", params={"origin": "external"}, timeout=30, trust_env=False)
    run = next(one for one in listed.json()["items"] if one["id"].startswith("urn:li:dataHubExecutionRequest:file-"))
    assert (run["origin"], run["engine"], run["state"]) == ("external", "datahub", "SUCCEEDED")
    assert run["executor"] == "__datahub_cli_"
    assert run["created_at"] <= run["ended_at"]
    assert httpx.get(f"{server}/headgate/api/v1/runs", timeout=30, trust_env=False).json()["items"] == []
    # by this the doctor knows that the request explains the datasets
    wrote = httpx.get(f"{server}/headgate/api/v1/last-writes", params={"limit": 500}, timeout=30, trust_env=False)
    of_it = [one for one in wrote.json()["items"] if one["dataset"] in urns]
    assert len(of_it) == len(urns)
    assert {f"urn:li:dataHubExecutionRequest:{one['run']}" for one in of_it} == {run["id"]}
    assert all(one["client"].startswith("acryl-datahub ") for one in of_it)


def test_datasets_of_rules_are_known_from_the_start(cli: Callable[..., str]) -> None:
    """Each URN that `datasets:` names is there before anybody wrote it."""
    assert json.loads(cli("exists", "--urn", NAMED)) is True
