"""This file is where GraphQL is asked: what DataHub's documents get, errors in DataHub's shape, and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from headgate.embedded import graph
from headgate.embedded.nodes import TYPES, Asked

from .world import ACTOR, DATASET, FLOW, JOB, World

DOCUMENTS = Path(__file__).parents[2] / "src" / "headgate" / "datahub" / "documents"
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"
SEED = {
    "id": "awsStepFunctionArn",
    "qualifiedName": "awsStepFunctionArn",
    "displayName": "AWS Step Function ARN",
    "description": "Step Functions state machine ARN for this job",
    "immutable": False,
    "valueType": "urn:li:dataType:datahub.string",
    "cardinality": "SINGLE",
    "entityTypes": ["urn:li:entityType:datahub.dataJob"],
}
CREATE = (
    "mutation createStructuredProperty($input: CreateStructuredPropertyInput!)"
    " { createStructuredProperty(input: $input) { urn definition { qualifiedName valueType { urn } } } }"
)
UPSERT = (
    "mutation u($i: UpsertStructuredPropertiesInput!) { upsertStructuredProperties(input: $i)"
    " { properties { structuredProperty { urn } values { ... on StringValue { stringValue } } } } }"
)


def errors(world: World, query: str, **variables: Any) -> Any:
    answer = world.call("POST", "/api/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()["errors"]


def test_me_is_whoever_sits_here(world: World) -> None:
    """With every privilege, whatever bearer is shown."""
    query = "query me { me { corpUser { urn username } platformPrivileges { manageIngestion manageSecrets } } }"
    answer = world.call(
        "POST", "/api/graphql", json={"query": query}, headers={"authorization": "Bearer <DATAHUB_ACCESS_TOKEN>"}
    ).json()

    assert answer["data"]["me"]["corpUser"] == {"urn": ACTOR, "username": "local"}
    assert answer["data"]["me"]["platformPrivileges"] == {"manageIngestion": True, "manageSecrets": True}


def test_a_dataset_as_it_is_looked_up(world: World) -> None:
    """Existence, names, platform, tags, properties, path and schema, in one query."""
    world.put(DATASET, "globalTags", {"tags": [{"tag": "urn:li:tag:layer.raw"}]})
    world.put(DATASET, "datasetProperties", {"name": "Orders", "customProperties": {"a": "b"}})
    world.put(DATASET, "browsePathsV2", {"path": [{"id": "sales"}]})
    world.put(DATASET, "subTypes", {"typeNames": ["Table"]})
    found = world.ask(
        """query t($u: String!) { dataset(urn: $u) { urn exists name origin platform { urn name } status { removed }
        tags { tags { tag { urn name } } } browsePathV2 { path { name entity { urn } } } container { urn }
        subTypes { typeNames } dataPlatformInstance { urn instanceId }
        properties { name qualifiedName customProperties { key value } } privileges { canEditTags } } }""",
        u=DATASET,
    )["dataset"]

    assert found["exists"] is True
    assert (found["name"], found["origin"], found["platform"]["name"]) == ("sales.orders", "PROD", "iceberg")
    assert found["tags"]["tags"] == [{"tag": {"urn": "urn:li:tag:layer.raw", "name": "layer.raw"}}]
    assert found["properties"]["customProperties"] == [{"key": "a", "value": "b"}]
    assert found["browsePathV2"]["path"] == [{"name": "sales", "entity": None}]
    assert found["subTypes"] == {"typeNames": ["Table"]}
    assert found["container"] is None


def test_a_dataset_that_is_not_there_is_a_stub(world: World) -> None:
    """As in DataHub: not null, and `exists` is false."""
    found = world.ask("query d($u: String!) { dataset(urn: $u) { urn exists } entityExists(urn: $u) }", u=DATASET)

    assert found == {"dataset": {"urn": DATASET, "exists": False}, "entityExists": False}


def test_the_newest_run_and_its_job(world: World) -> None:
    """The query behind a click: the run that produced the dataset, its state, and what it is a run of."""
    for number in (1, 2):
        run = f"urn:li:dataProcessInstance:r{number}"
        created = {"time": number * 1000, "actor": ACTOR}
        world.put(run, "dataProcessInstanceProperties", {"name": f"run {number}", "created": created})
        world.put(run, "dataProcessInstanceOutput", {"outputs": [DATASET]})
        relations = {"parentTemplate": JOB, "upstreamInstances": []}
        world.put(run, "dataProcessInstanceRelationships", relations)
        event = {"timestampMillis": 5, "status": "COMPLETE", "result": {"type": "SUCCESS", "nativeResultType": "x"}}
        world.put(run, "dataProcessInstanceRunEvent", event)
    found = world.ask(
        """query r($u: String!) { dataset(urn: $u) { runs(start: 0, count: 1, direction: OUTGOING) { total runs {
        urn name created { time actor } externalUrl
        state(limit: 1) { status timestampMillis durationMillis result { resultType nativeResultType } }
        parentTemplate { urn type }
        edge: relationships(input: {types: ["InstanceOf"], direction: OUTGOING, start: 0, count: 1})
        { relationships { entity { urn type } } } } } } }""",
        u=DATASET,
    )["dataset"]["runs"]

    assert found["total"] == 2
    [run] = found["runs"]
    assert run["name"] == "run 2"
    assert run["state"][0]["result"]["resultType"] == "SUCCESS"
    assert run["parentTemplate"] == {"urn": JOB, "type": "DATA_JOB"}
    assert run["edge"]["relationships"] == [{"entity": {"urn": JOB, "type": "DATA_JOB"}}]
    assert world.ask("query j($u: String!) { dataJob(urn: $u) { runs { total } } }", u=JOB) == {
        "dataJob": {"runs": {"total": 2}}
    }


def test_lineage_names_producers(world: World) -> None:
    """Without a run: the jobs whose outputs hold the dataset."""
    world.put(JOB, "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": [DATASET]})
    query = """query p($u: String!) { dataset(urn: $u) { relationships(input: {types: ["Produces"],
        direction: INCOMING, start: 0, count: 20}) { total relationships { entity { urn type } } } } }"""

    assert world.ask(query, u=DATASET)["dataset"]["relationships"] == {
        "total": 1, "relationships": [{"entity": {"urn": JOB, "type": "DATA_JOB"}}],
    }  # fmt: skip


def test_the_seeds_property_is_defined_assigned_and_read(world: World) -> None:
    """The seed's mutation as it is, a value on a DataJob, and the query that finds it."""
    made = world.ask(CREATE, input=SEED)["createStructuredProperty"]
    world.put(JOB, "status", {"removed": False})
    params = [{"structuredPropertyUrn": PROPERTY, "values": [{"stringValue": ARN}]}]
    world.ask(UPSERT, i={"assetUrn": JOB, "structuredPropertyInputParams": params})
    found = world.ask(
        """query j($u: String!) { dataJob(urn: $u) { urn exists jobId structuredProperties { properties {
        structuredProperty { urn definition { qualifiedName } }
        values { ... on StringValue { stringValue } ... on NumberValue { numberValue } } } } } }""",
        u=JOB,
    )["dataJob"]

    assert made["urn"] == PROPERTY
    assert made["definition"]["valueType"]["urn"] == "urn:li:dataType:datahub.string"
    [entry] = found["structuredProperties"]["properties"]
    assert entry["values"] == [{"stringValue": ARN}]
    assert entry["structuredProperty"]["definition"]["qualifiedName"] == "awsStepFunctionArn"
    assert world.datahub.property_of(JOB, PROPERTY) == ARN


def test_a_property_is_defined_once(world: World) -> None:
    """The second definition is refused, in DataHub's shape."""
    world.ask(CREATE, input=SEED)
    [error] = errors(world, CREATE, input=SEED)

    assert "already exists" in error["message"]
    assert error["extensions"]["classification"] == "DataFetchingException"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([{"stringValue": "a"}, {"stringValue": "b"}], "takes one value"),
        ([{"numberValue": 1.0}], "expected a text"),
        ([{"stringValue": "a", "numberValue": 1.0}], "exactly one"),
        ([{"stringValue": "x" * 40_000}], "longer than"),
    ],
)
def test_values_that_do_not_fit_are_refused(world: World, values: list[Any], says: str) -> None:
    """By cardinality, type and length, and nothing is written."""
    world.ask(CREATE, input=SEED)
    world.put(JOB, "status", {"removed": False})
    params = [{"structuredPropertyUrn": PROPERTY, "values": values}]
    [error] = errors(world, UPSERT, i={"assetUrn": JOB, "structuredPropertyInputParams": params})

    assert says in error["message"]
    assert error["extensions"]["type"] == "BAD_REQUEST"
    assert world.catalog.aspect(JOB, "structuredProperties") is None


def test_a_property_nobody_defined_is_dropped(world: World) -> None:
    """Beside one that is defined it is left out; alone, the write is refused."""
    world.ask(CREATE, input=SEED)
    unknown = {"propertyUrn": "urn:li:structuredProperty:other", "values": [{"string": "x"}]}
    known = {"propertyUrn": PROPERTY, "values": [{"string": ARN}]}
    world.put(JOB, "structuredProperties", {"properties": [unknown, known]})

    assert world.catalog.value(JOB, "structuredProperties")["properties"] == [known]
    with pytest.raises(Exception, match="define it first"):
        world.put(FLOW, "structuredProperties", {"properties": [unknown]})


def test_privileges_are_ones_own(world: World) -> None:
    """Everything for oneself; of others nothing is told."""
    query = """query g($a: String!, $u: String!) { getGrantedPrivileges(input: {actorUrn: $a,
        resourceSpec: {resourceType: DATASET, resourceUrn: $u}}) { privileges } }"""
    found = world.ask(query, a=ACTOR, u=DATASET)["getGrantedPrivileges"]["privileges"]
    [error] = errors(world, query, a="urn:li:corpuser:other", u=DATASET)

    assert {"EXECUTE_ENTITY", "EDIT_ENTITY"} <= set(found)
    assert error["extensions"] == {"code": 403, "type": "UNAUTHORIZED", "classification": "DataFetchingException"}


@pytest.mark.parametrize(
    "query", ["{ nothing }", "{", "query a { me { corpUser { urn } } } query b { me { corpUser { urn } } }", ""]
)
def test_queries_that_are_none(world: World, query: str) -> None:
    """Told in `errors`, never a 500."""
    assert errors(world, query)[0]["message"]


def test_a_urn_that_is_none_is_a_bad_request(world: World) -> None:
    """As DataHub says it."""
    assert errors(world, '{ dataset(urn: "nonsense") { urn } }')[0]["extensions"]["type"] == "BAD_REQUEST"


def test_bounds_on_what_is_asked(world: World) -> None:
    """Too deep, too wide by fragments within fragments, too many tokens: refused before anything is read."""
    edge = "relationships(input: {types: [], direction: OUTGOING}) { relationships { entity { urn %s } } }"
    deep = f'{{ dataset(urn: "{DATASET}") {{ urn {"X"} }} }}'
    for _ in range(12):
        deep = deep.replace("X", edge % "X")
    deep = deep.replace("X", "")
    wide = "fragment f0 on Dataset { urn name exists }" + "".join(
        f" fragment f{n} on Dataset {{ ...f{n - 1} "
        + " ".join(f"a{i}: properties {{ name }}" for i in range(3))
        + f" ...f{n - 1} ...f{n - 1} ...f{n - 1} }}"
        for n in range(1, 12)
    )
    many = "{ " + " ".join(f"a{n}: me {{ corpUser {{ urn }} }}" for n in range(2_000)) + " }"

    assert "deep" in errors(world, deep)[0]["message"]
    assert "fields" in errors(world, f'{{ dataset(urn: "{DATASET}") {{ ...f11 }} }} {wide}')[0]["message"]
    assert "token" in errors(world, many)[0]["message"].lower()
    assert "nested too deeply" in errors(world, "{a" * 100_000)[0]["message"] or errors(world, "{a" * 100_000)


def test_an_answer_that_grows_too_large_is_cut_off(world: World) -> None:
    """Lists within lists multiply; past the bound the query fails instead of filling the memory."""
    outputs = [DATASET.replace("orders", f"t{number}") for number in range(10)]
    world.put(JOB, "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": outputs})
    edge = (
        'relationships(input: {types: ["Produces"], direction: OUTGOING, count: 10}) { total relationships { type } }'
    )
    query = f'{{ dataJob(urn: "{JOB}") {{ a: {edge} b: {edge} }} }}'
    enough = graph.run(Asked(world.catalog, lambda: ACTOR, ACTOR), query, None, None)
    short = graph.run(Asked(world.catalog, lambda: ACTOR, ACTOR, left=30), query, None, None)

    assert "errors" not in enough
    assert "ask for less" in short["errors"][0]["message"]
    assert short["errors"][0]["extensions"]["type"] == "BAD_REQUEST"


def test_searching_and_scrolling(world: World) -> None:
    """By type, across types, page by page; a filter that is not known is refused, not ignored."""
    for number in range(5):
        world.put(DATASET.replace("orders", f"t{number}"), "status", {"removed": False})
    world.put(FLOW, "status", {"removed": False})
    result = "total searchResults { entity { urn type } }"
    search = f"query s($i: SearchAcrossEntitiesInput!) {{ searchAcrossEntities(input: $i) {{ {result} }} }}"
    scroll = (
        f"query s($i: ScrollAcrossEntitiesInput!) {{ scrollAcrossEntities(input: $i) {{ nextScrollId {result} }} }}"
    )
    first = world.ask(scroll, i={"types": ["DATASET"], "query": "*", "count": 3})["scrollAcrossEntities"]
    second = world.ask(scroll, i={"types": ["DATASET"], "query": "*", "count": 3, "scrollId": first["nextScrollId"]})[
        "scrollAcrossEntities"
    ]
    wrong = {"query": "*", "orFilters": [{"and": [{"field": "lastModifiedAt", "values": ["1"]}]}]}

    assert world.ask(search, i={"query": "*"})["searchAcrossEntities"]["total"] == 6
    assert world.ask(search, i={"query": "t3", "types": ["DATASET"]})["searchAcrossEntities"]["total"] == 1
    assert (len(first["searchResults"]), len(second["searchResults"]), second["nextScrollId"]) == (3, 2, None)
    assert "does not search by" in errors(world, search, i=wrong)[0]["message"]


def test_ingestion_sources_are_listed(world: World) -> None:
    """As they were written, with the default executor where none is named."""
    info = {"name": "glue nightly", "type": "glue", "config": {"recipe": "{}"}, "schedule": {"interval": "0 3 * * *",
            "timezone": "UTC"}}  # fmt: skip
    world.put("urn:li:dataHubIngestionSource:g", "dataHubIngestionSourceInfo", info)
    found = world.ask(
        """{ listIngestionSources(input: {start: 0, count: 10}) { total ingestionSources { urn name type
        schedule { interval timezone } config { recipe executorId version } } } }"""
    )["listIngestionSources"]

    assert found["total"] == 1
    assert found["ingestionSources"][0]["config"] == {"recipe": "{}", "executorId": "default", "version": None}


def test_execution_requests_are_listed(world: World) -> None:
    """The newest first, with what was asked, by whom, and how it ended; by executor and by state."""
    for name, at, executor in (("a", 1_000, "default"), ("b", 2_000, "remote")):
        request = {"task": "RUN_INGEST", "args": {"recipe": "{}"}, "executorId": executor, "requestedAt": at,
                   "source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:g"},
                   "actorUrn": "urn:li:corpuser:ann"}  # fmt: skip
        world.put(f"urn:li:dataHubExecutionRequest:{name}", "dataHubExecutionRequestInput", request)
    world.put("urn:li:dataHubIngestionSource:g", "dataHubIngestionSourceInfo",
              {"name": "nightly", "type": "glue", "config": {"recipe": "{}"}})  # fmt: skip
    world.put("urn:li:dataHubExecutionRequest:a", "dataHubExecutionRequestResult",
              {"status": "SUCCESS", "startTimeMs": 1_500, "durationMs": 70})  # fmt: skip
    query = """query l($i: ListExecutionRequestsInput!) { listExecutionRequests(input: $i) { start count total
        executionRequests { id type source { name } result { status durationMs }
        input { task requestedAt executorId actor { urn } arguments { key value } source { ingestionSource } } } } }"""

    def listed(**given: Any) -> list[dict[str, Any]]:
        return world.ask(query, i=given)["listExecutionRequests"]["executionRequests"]

    both = listed()
    remote = {"field": "executorId", "values": ["remote"]}
    ended = {"field": "executionResultStatus", "values": ["SUCCESS"]}

    assert [one["id"] for one in both] == ["b", "a"]
    assert both[1]["result"] == {"status": "SUCCESS", "durationMs": 70}
    assert both[1]["source"] == {"name": "nightly"}
    assert both[1]["input"]["arguments"] == [{"key": "recipe", "value": "{}"}]
    assert both[1]["input"]["actor"] == {"urn": "urn:li:corpuser:ann"}
    assert [one["id"] for one in listed(filters=[remote])] == ["b"]
    assert [one["id"] for one in listed(filters=[ended])] == ["a"]
    assert [one["id"] for one in listed(filters=[{**ended, "negated": True}])] == ["b"]
    assert [one["id"] for one in listed(start=1, count=1)] == ["a"]
    assert [one["id"] for one in listed(sort={"field": "requestTimeMs", "sortOrder": "ASCENDING"})] == ["a", "b"]
    assert (
        "by requestTimeMs" in errors(world, query, i={"sort": {"field": "x", "sortOrder": "ASCENDING"}})[0]["message"]
    )
    assert "ingestionSource" in errors(world, query, i={"filters": [{"field": "x", "values": []}]})[0]["message"]


def test_one_execution_request_is_read(world: World) -> None:
    """By its URN; None where there is none; another kind is refused."""
    asked = {"task": "RUN_INGEST", "args": {}, "executorId": "default", "requestedAt": 5, "source": {"type": "CLI"}}
    world.put("urn:li:dataHubExecutionRequest:a", "dataHubExecutionRequestInput", asked)
    query = "query r($u: String!) { executionRequest(urn: $u) { id result { status } source { urn } } }"

    found = world.ask(query, u="urn:li:dataHubExecutionRequest:a")["executionRequest"]

    assert found == {"id": "a", "result": None, "source": None}
    assert world.ask(query, u="urn:li:dataHubExecutionRequest:z")["executionRequest"] is None
    assert "expected one" in errors(world, query, u="urn:li:tag:a")[0]["message"]


def test_the_schema_is_whole() -> None:
    """It builds, and every kind of entity that is shown has its type in it."""
    types = graph.schema().type_map

    assert {name for _, name in TYPES.values()} <= set(types)
    assert {name for name, _ in TYPES.values()} <= set(types["EntityType"].values)  # type: ignore[attr-defined] # an enum


@pytest.mark.parametrize("file", sorted(DOCUMENTS.glob("*.graphql")), ids=lambda file: file.stem)
def test_headgates_own_documents_fit(file: Path) -> None:
    """What our client asks DataHub can be asked here, so that the one can stand in for the other."""
    assert validate(graph.schema(), parse(file.read_text("utf-8"))) == []


@pytest.mark.parametrize("given", [{"query": "a\0b"}, {"query": "*", "orFilters": [{"and": [
    {"field": "urn", "values": ["\0"]}]}]}])  # fmt: skip
def test_texts_no_database_takes(world: World, given: dict[str, Any]) -> None:
    """A NUL is refused here, not by the database."""
    query = "query s($i: SearchAcrossEntitiesInput!) { searchAcrossEntities(input: $i) { total } }"

    assert "NUL" in errors(world, query, i=given)[0]["message"]
