"""This file is where the fake DataHub is held against the real SDK, and our wire form against the SDK's own records."""

from __future__ import annotations

import json

import pytest
from fakes.gms import TOKEN, FakeGms
from worlds import DATASET, PROPERTY, assigned, dataset, job, run

from headgate.datahub import GmsClient
from headgate.datahub.proposals import wire_form


@pytest.fixture(autouse=True)
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK tells nobody that it was used."""
    monkeypatch.setenv("DATAHUB_TELEMETRY_ENABLED", "false")
    for name in ("DATAHUB_GMS_URL", "DATAHUB_GMS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_what_the_sdk_writes_the_client_reads(gms: FakeGms, hub: GmsClient) -> None:
    """Single, in a batch, as patches with keys of one and of two parts."""
    from datahub.emitter.mcp import MetadataChangeProposalWrapper as Wrapper
    from datahub.emitter.rest_emitter import DatahubRestEmitter
    from datahub.metadata import schema_classes as aspects
    from datahub.specific.dataset import DatasetPatchBuilder

    gms.define_property("awsStepFunctionArn")
    emitter = DatahubRestEmitter(gms.url, token=TOKEN, retry_max_times=1)
    emitter.test_connection()
    first, second, third = (aspects.TagAssociationClass(tag=f"urn:li:tag:{name}") for name in ("a", "b", "c"))
    emitter.emit(Wrapper(entityUrn=DATASET, aspect=aspects.GlobalTagsClass(tags=[first])))
    outputs = aspects.DataJobInputOutputClass(inputDatasets=[], outputDatasets=[DATASET])
    emitter.emit_mcps([
        Wrapper(entityUrn=DATASET, aspect=aspects.StatusClass(removed=False)),
        Wrapper(entityUrn=job("a"), aspect=outputs),
    ])  # fmt: skip
    patch = DatasetPatchBuilder(DATASET)
    patch.add_tag(second)
    patch.add_tag(third)
    patch.remove_tag("urn:li:tag:a")
    for one in patch.build():
        emitter.emit(one)
    emitter.close()

    facts = hub.dataset(DATASET)
    assert facts.exists
    assert sorted(facts.tags) == ["urn:li:tag:b", "urn:li:tag:c"]
    assert list(hub.producers(DATASET)) == [job("a")]


def test_the_sdk_reads_graphql_from_the_fake(gms: FakeGms) -> None:
    """Answers and errors have the shape it expects."""
    from datahub.configuration.common import GraphError
    from datahub.ingestion.graph.client import DatahubClientConfig, DataHubGraph

    graph = DataHubGraph(DatahubClientConfig(server=gms.url, token=TOKEN))
    assert graph.execute_graphql("query me { me { corpUser { urn } } }") == {
        "me": {"corpUser": {"urn": "urn:li:corpuser:headgate"}}
    }
    with pytest.raises(GraphError):
        graph.execute_graphql("query wrong { nothing }")
    graph.close()


def test_what_the_client_writes_the_sdk_understands() -> None:
    """Every proposal of the suite is a valid record of the SDK's, its aspect of the class of that name."""
    from datahub.emitter.mcp import MetadataChangeProposalWrapper as Wrapper
    from datahub.metadata.schema_classes import MetadataChangeProposalClass

    given = [
        *dataset(DATASET, "urn:li:tag:a"),
        *run("r", parent=job("a"), of=DATASET, at=1000),
        assigned(job("a"), awsStepFunctionArn="arn"),
    ]
    for one in given:
        record = MetadataChangeProposalClass.from_obj(wire_form(one))
        assert record.validate()
        wrapper = Wrapper.try_from_mcpc(record)
        assert wrapper is not None
        assert wrapper.aspect is not None
        assert wrapper.aspect.validate()
        assert wrapper.entityUrn == one.entity_urn
        assert wrapper.aspectName == one.aspect_name
    assert json.loads(str(wire_form(given[-1])["aspect"]["value"]))["properties"][0]["propertyUrn"] == PROPERTY  # type: ignore[index] # it is a dict
