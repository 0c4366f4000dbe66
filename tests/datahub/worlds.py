"""This file is where the implementations of the port `DataHub` are listed for the suite that all of them pass."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes.gms import TOKEN, FakeGms
from services.tables import ledger_in

from headgate.datahub import GmsClient
from headgate.datahub.wire import Limits
from headgate.embedded.port import EmbeddedDataHub
from headgate.ledger.store import Ledger
from headgate.model import Json
from headgate.ports import DataHub, Proposal

QUICK = Limits(connect=2.0, silence=2.0, whole=8.0, write=8.0, pause=0.001, longest_pause=0.01)

DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
OTHER = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.orders,PROD)"
FLOW = "urn:li:dataFlow:(airflow,daily,prod)"
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"


def job(name: str) -> str:
    return f"urn:li:dataJob:({FLOW},{name})"


def proposal(urn: str, name: str, value: Mapping[str, Json], **others: object) -> Proposal:
    return Proposal(entity_type=urn.split(":")[2], entity_urn=urn, aspect_name=name, aspect=value, **others)  # type: ignore[arg-type] # by keyword


def dataset(urn: str, *tags: str, removed: bool = False) -> list[Proposal]:
    made = [
        proposal(urn, "datasetProperties", {"name": urn.split(",")[1]}),
        proposal(urn, "status", {"removed": removed}),
    ]
    if tags:
        made.append(proposal(urn, "globalTags", {"tags": [{"tag": one} for one in tags]}))
    return made


def run(name: str, *, parent: str, of: str, at: int) -> list[Proposal]:
    """A run of `parent` that produced the dataset `of`, made at `at` (milliseconds)."""
    urn = f"urn:li:dataProcessInstance:{name}"
    created = {"time": at, "actor": "urn:li:corpuser:airflow"}
    return [
        proposal(urn, "dataProcessInstanceProperties", {"name": name, "created": created}),
        proposal(urn, "dataProcessInstanceRelationships", {"parentTemplate": parent, "upstreamInstances": []}),
        proposal(urn, "dataProcessInstanceOutput", {"outputs": [of]}),
    ]


def defined(urn: str = PROPERTY, **others: Json) -> Proposal:
    """A structured property for one text on DataJobs, unless `others` say otherwise."""
    value: dict[str, Json] = {
        "qualifiedName": urn.rpartition(":")[2],
        "valueType": "urn:li:dataType:datahub.string",
        "cardinality": "SINGLE",
        "entityTypes": ["urn:li:entityType:datahub.dataJob"],
        **others,
    }
    return proposal(urn, "propertyDefinition", value)


def assigned(entity: str, **values: str) -> Proposal:
    """The whole list of an entity's structured properties, by their ids."""
    entries = [
        {"propertyUrn": f"urn:li:structuredProperty:{name}", "values": [{"string": text}]}
        for name, text in values.items()
    ]
    return proposal(entity, "structuredProperties", {"properties": entries})


@contextmanager
def client() -> Generator[DataHub]:
    """The client, in front of a DataHub that is only a fake."""
    with FakeGms() as gms:
        made = GmsClient(gms.url, authorization=f"Bearer {TOKEN}", limits=QUICK)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def embedded() -> Generator[DataHub]:
    """The embedded catalog, on a ledger of its own."""
    with TemporaryDirectory() as folder:
        ledger = Ledger(ledger_in(Path(folder)))
        ledger.open()
        try:
            yield EmbeddedDataHub(ledger)
        finally:
            ledger.close()


#: Each opens an empty DataHub and closes it.
WORLDS: Mapping[str, Callable[[], AbstractContextManager[DataHub]]] = {"client": client, "embedded": embedded}
