"""This file is where it is tested what goes beyond the target: structured properties, and the released converter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import UnconvertibleEvent
from headgate.openlineage import (
    LIBRARY,
    STEP_FUNCTION_ARN,
    Connection,
    Options,
    PathSpec,
    PropertyRule,
    Tally,
    configured,
    convert,
    definition,
    rest_defaults,
)
from headgate.settings import InvalidSettings, load

from .events import AT, NOW, aspect, columns, dataset, dataset_event, job_event, made, proposals, run_event, urn

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:Orders"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"


@pytest.mark.parametrize(
    "extra", [{}, {"_producer": "https://example.com", "_schemaURL": "https://example.com/s.json"}]
)
def test_the_arn_becomes_a_property_of_the_job(extra: dict[str, str]) -> None:
    """With or without what the specification wants of every facet; a patch, so that other properties stay."""
    for event in (
        run_event(job={"aws": {"stepFunctionArn": ARN, **extra}}),
        job_event(job={"aws": {"stepFunctionArn": ARN}}),
    ):
        last = made(event)[-1]

        assert (last["entityType"], last["aspectName"], last["changeType"]) == (
            "dataJob",
            "structuredProperties",
            "PATCH",
        )
        assert last["aspect"] == {
            "arrayPrimaryKeys": {"properties": ["propertyUrn", "attribution\u241fsource"]},
            "patch": [
                {
                    "op": "add", "path": f"/properties/{PROPERTY}/",
                    "value": {"propertyUrn": PROPERTY, "values": [{"string": ARN}]},
                }
            ],
        }  # fmt: skip


def test_older_servers_get_it_whole() -> None:
    """Where a first patch of the aspect fails it can be written whole."""
    (written,) = proposals(
        made(run_event(job={"aws": {"stepFunctionArn": ARN}}), upsert_properties=True), "structuredProperties"
    )

    assert written["changeType"] == "UPSERT"
    assert written["aspect"] == {"properties": [{"propertyUrn": PROPERTY, "values": [{"string": ARN}]}]}


@pytest.mark.parametrize("value", ["", " ", 5, True, [ARN], {"a": 1}, "nonsense", f" {ARN}"])
def test_a_value_that_is_no_arn_leaves_the_rest_alone(value: object) -> None:
    """It is counted, and the event converts as if the facet were not there."""
    tally = Tally()
    found = convert(run_event(job={"aws": {"stepFunctionArn": value}}), LIBRARY, now=NOW, tally=tally)

    assert found == made(run_event())
    assert tally == {"properties": 1}


@pytest.mark.parametrize("facet", [{}, {"other": 1}, {"stepFunctionArn": None}, [], None, 3])
def test_without_a_value_nothing_is_written_or_counted(facet: object) -> None:
    """The property a job has is left as it is."""
    tally = Tally()

    assert convert(run_event(job={"aws": facet}), LIBRARY, now=NOW, tally=tally) == made(run_event())
    assert not tally


def test_other_facets_can_be_mapped() -> None:
    """The table has paths of any depth, texts and numbers; several properties are one change."""
    rules = (
        STEP_FUNCTION_ARN,
        PropertyRule(path=("ops", "sla", "minutes"), property="urn:li:structuredProperty:sla", kind="number"),
        PropertyRule(path=("ops", "team"), property="urn:li:structuredProperty:team"),
    )
    event = run_event(job={"ops": {"sla": {"minutes": 30}, "team": "x"}, "aws": {"stepFunctionArn": ARN}})
    patch = aspect(made(event, properties=rules), "structuredProperties")["patch"]

    assert [one["value"]["values"] for one in patch] == [[{"string": ARN}], [{"double": 30}], [{"string": "x"}]]
    assert proposals(made(event, properties=()), "structuredProperties") == []


def test_the_definition_is_made_once_by_whoever_starts() -> None:
    """It is no part of any event's proposals."""
    assert definition(STEP_FUNCTION_ARN) == {
        "entityType": "structuredProperty", "entityUrn": PROPERTY, "aspectName": "propertyDefinition",
        "changeType": "UPSERT",
        "aspect": {
            "qualifiedName": "awsStepFunctionArn", "displayName": "AWS Step Function ARN",
            "valueType": "urn:li:dataType:datahub.string", "cardinality": "SINGLE",
            "entityTypes": ["urn:li:entityType:datahub.dataJob"], "immutable": False,
        },
    }  # fmt: skip
    assert proposals(made(run_event(job={"aws": {"stepFunctionArn": ARN}})), "propertyDefinition") == []


RELEASED: Options = replace(LIBRARY, released=True)


def test_as_released_only_run_events_are_taken() -> None:
    """Other kinds fail, and so does a run event without a type."""
    for event in (job_event(), dataset_event("hive", "a"), run_event(eventType=None)):
        with pytest.raises(UnconvertibleEvent):
            made(event, RELEASED)


def test_as_released_the_integration_is_no_orchestrator() -> None:
    """The producer decides where the engine does not say it."""
    assert made(run_event(job={"jobType": {"integration": "DBT"}}), RELEASED)[0]["entityUrn"].startswith(
        "urn:li:dataFlow:(spark,"
    )


def test_as_released_many_aspects_are_not_there() -> None:
    """No tags, owners and memory of jobs, no operations, profiles, properties, domains."""
    facets: dict[str, Any] = {"tags": {"tags": [{"key": "a"}]}, "ownership": {"owners": [{"name": "o"}]}}
    job = facets | {
        "sourceCodeLocation": {"url": "u"}, "documentation": {"description": "d"}, "jobType": {"jobType": "x"},
    }  # fmt: skip
    output = dataset("hive", "a", outside={"outputStatistics": {"rowCount": 1}}, documentation={"description": "x"},
                     dataQualityMetrics={"rowCount": 1}, **facets)  # fmt: skip
    event = run_event(job=job, run={"errorMessage": {"message": "m"}}, outputs=[output])
    found = made(event, RELEASED, domains=["urn:li:domain:d"])

    assert {one["aspectName"] for one in found} == {
        "dataFlowInfo", "dataJobInfo", "status", "datasetKey", "dataJobInputOutput", "dataProcessInstanceInput",
        "dataProcessInstanceOutput", "dataProcessInstanceProperties", "dataProcessInstanceRunEvent",
        "dataProcessInstanceRelationships",
    }  # fmt: skip
    assert aspect(found, "dataFlowInfo")["description"] == aspect(found, "dataJobInfo")["description"] == "d"
    dag = run_event(run={"airflow": {"dag": {"description": "of the DAG"}}})
    assert "description" not in aspect(made(dag, RELEASED), "dataFlowInfo")
    assert aspect(found, "dataJobInfo")["customProperties"] == {}
    assert "customProperties" not in aspect(found, "dataProcessInstanceProperties")


def test_as_released_schemas_are_flat_and_know_five_types() -> None:
    """Exact words in lower case; everything else has no type."""
    fields = [
        {"name": str(n), "type": kind}
        for n, kind in enumerate(["string", "long", "int", "timestamp", "struct", "STRING", "bigint"])
    ]
    fields[4]["fields"] = [{"name": "x", "type": "int"}]  # pyright: ignore[reportArgumentType] - a field with children
    event = run_event(inputs=[dataset("hive", "a", schema={"fields": fields})])
    written = aspect(made(event, RELEASED), "schemaMetadata")["fields"]

    assert [one["fieldPath"] for one in written] == ["0", "1", "2", "3", "4", "5", "6"]
    assert [next(iter(one["type"]["type"])).rpartition(".")[2] for one in written] == [
        "StringType", "NumberType", "NumberType", "TimeType", "MapType", "NullType", "NullType",
    ]  # fmt: skip


def test_as_released_a_field_has_one_entry() -> None:
    """All its inputs in URN order, with the union of what was done to them; in a patch that union on every pair."""
    facet = columns(x=[("hive", "b", "o", "DIRECT:X"), ("hive", "a", "p", "INDIRECT:Y")])
    event = run_event(outputs=[dataset("hive", "out", columnLineage=facet)])
    (entry,) = aspect(made(event, RELEASED, use_patch=False), "dataJobInputOutput")["fineGrainedLineages"]
    fields = [f"urn:li:schemaField:({urn('hive', name)},{column})" for name, column in (("a", "p"), ("b", "o"))]

    assert (entry["upstreams"], entry["transformOperation"]) == (fields, "DIRECT:X,INDIRECT:Y")
    paths = [one["path"] for one in aspect(made(event, RELEASED), "dataJobInputOutput")[1:]]
    assert all("/DIRECT:X,INDIRECT:Y/" in path for path in paths)
    assert [path.rpartition("/NONE/")[2] for path in paths] == fields


def test_as_released_other_has_a_result() -> None:
    """One the server refuses; parity is parity."""
    assert aspect(made(run_event(eventType="OTHER"), RELEASED), "dataProcessInstanceRunEvent") == {
        "timestampMillis": AT, "result": {"type": "$UNKNOWN", "nativeResultType": "OTHER"},
    }  # fmt: skip


def settings(folder: Path, text: str, environ: dict[str, str] | None = None) -> Options:
    (folder / "headgate.yaml").write_text(text, "utf-8")
    return configured(load(folder, environ or {}).openlineage)


def test_without_settings_the_endpoint_has_its_defaults(tmp_path: Path) -> None:
    """PROD, instance prod, patches, datasets and schemas."""
    assert settings(tmp_path, "") == rest_defaults()
    assert settings(tmp_path, "openlineage: {released: true}") == rest_defaults(released=True)


def test_every_option_can_be_set(tmp_path: Path) -> None:
    """What stands under openlineage: is what the converter does."""
    text = """
openlineage:
  env: DEV
  common_dataset_env: QA
  platform_instance: inst
  use_patch: false
  pipeline_name: p
  orchestrator: o
  common_dataset_platform_instance: c
  file_partition_regexp: "day=.*"
  hive_platform_alias: iceberg
  materialize_dataset: false
  lower_case_dataset_urns: true
  logical_plan_limit: 5
  domains: ["urn:li:domain:a"]
  path_specs: {s3: [{paths: ["s3://b/{table}"], platform_instance: i, env: uat}]}
  connections: {"arn:aws:glue:us-east-1:1": {platform_instance: acct, env: TEST}}
  properties:
    aws.stepFunctionArn: {property: arn, kind: arn, title: T}
    ops.a.b: {property: "urn:li:structuredProperty:x"}
"""
    made = settings(tmp_path, text)

    assert made == replace(
        rest_defaults(env="DEV", common_dataset_env="QA", platform_instance="inst"),
        use_patch=False, pipeline_name="p", orchestrator="o", common_dataset_platform_instance="c",
        file_partition_regexp="day=.*", hive_platform_alias="iceberg", materialize_dataset=False,
        lower_case_dataset_urns=True, logical_plan_limit=5, domains=("urn:li:domain:a",),
        path_specs={"s3": [PathSpec(paths=("s3://b/{table}",), platform_instance="i", env="UAT")]},
        connections={"arn:aws:glue:us-east-1:1": Connection(platform_instance="acct", env="TEST")},
        properties=[
            PropertyRule(
                path=["aws", "stepFunctionArn"], property="urn:li:structuredProperty:arn", kind="arn", title="T"
            ),
            PropertyRule(path=["ops", "a", "b"], property="urn:li:structuredProperty:x"),
        ],
    )  # fmt: skip


def test_datahubs_variables_win(tmp_path: Path) -> None:
    """The names DataHub documents, over what the file says."""
    environ = {
        "DATAHUB_OPENLINEAGE_ENV": "STG", "DATAHUB_OPENLINEAGE_USE_PATCH": "false",
        "DATAHUB_OPENLINEAGE_ORCHESTRATOR": "o", "DATAHUB_OPENLINEAGE_FILE_PARTITION_REGEXP_PATTERN": "x=.*",
        "DATAHUB_OPENLINEAGE_DOMAINS": "urn:li:domain:a, urn:li:domain:b",
    }  # fmt: skip

    assert settings(tmp_path, "openlineage: {env: DEV, use_patch: true}", environ) == replace(
        rest_defaults(env="STG"), use_patch=False, orchestrator="o", file_partition_regexp="x=.*",
        domains=("urn:li:domain:a", "urn:li:domain:b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{file_partition_regexp: '('}", "a regular expression"),
        ("{path_specs: {s3: {paths: []}}}", "a list of"),
        ("{path_specs: {s3: [{path: x}]}}", "paths"),
        ("{connections: {x: {env: PRODUCTION}}}", "one of PROD"),
        ("{properties: {aws: {property: x}}}", "FACET.MEMBER"),
        ("{properties: {aws.x: {kind: arn}}}", "property"),
        ("{domains: [finance]}", "domain"),
        ("{use_pach: true}", "use_patch"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """Line and column, and what was expected."""
    with pytest.raises(InvalidSettings) as refused:
        settings(tmp_path, f"openlineage: {text}")

    assert "headgate.yaml:1:" in str(refused.value)
    assert said in str(refused.value)
