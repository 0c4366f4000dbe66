"""This file is where it is tested what is said of flows, jobs and runs (sections 5, 6, 7 and 11)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.errors import MalformedEvent
from headgate.openlineage import LIBRARY, Tally, convert
from headgate.openlineage.java import double_text, text_of, utc_text

from .events import AT, NOW, aspect, made, proposals, run_event

KEYS = {"tags": ["attribution\u241fsource", "tag"]}


def flow(**facets: object) -> Any:
    return aspect(made(run_event(run=facets)), "dataFlowInfo")["customProperties"]


def job(**facets: object) -> Any:
    return aspect(made(run_event(run=facets)), "dataJobInfo")["customProperties"]


def test_facets_become_properties_in_the_events_order() -> None:
    """The job's type first, then the engine, then what Spark and Airflow say as it stands; later ones overwrite."""
    run = {
        "spark_version": {"spark-version": "3.4", "openlineage-spark-version": "1", "else": "no"},
        "spark_properties": {"_producer": "p", "properties": {"a": {"b": 1}, "jobId": 5, "empty": {}}},
        "spark_jobDetails": {"jobId": 7, "jobDescription": None, "jobGroup": "g", "other": 1},
        "processing_engine": {"name": "spark", "version": 3, "openlineageAdapterVersion": "1.30.0"},
        "gcp_dataproc_spark": {"x": "dropped"},
    }
    event = run_event(run=run, job={"jobType": {"processingType": "BATCH", "integration": "SPARK", "jobType": "JOB"}})
    common = {
        "processingEngine": "spark", "processingEngineVersion": "3", "openlineageAdapterVersion": "1.30.0",
        "spark-version": "3.4", "openlineage-spark-version": "1", "b": "1", "jobId": "7", "jobGroup": "g",
    }  # fmt: skip

    assert aspect(made(event), "dataFlowInfo")["customProperties"] == common
    own = {"processingType": "BATCH", "integration": "SPARK", "jobType": "JOB"}
    assert aspect(made(event), "dataJobInfo")["customProperties"] == own | common


def test_the_later_facet_overwrites() -> None:
    """Of two facets with one key the one that stands later in the event counts."""
    details, properties = {"jobId": 1}, {"properties": {"jobId": 2}}

    assert flow(spark_jobDetails=details, spark_properties=properties) == {"jobId": "2"}
    assert flow(spark_properties=properties, spark_jobDetails=details) == {"jobId": "1"}


def test_airflow_tells_the_flow_of_its_dag_and_the_job_of_its_task() -> None:
    """Nested objects are entered and lose their names; what is null is left out, which would fail Java."""
    airflow = {
        "_producer": "p",
        "dag": {"dag_id": "d", "timetable": {"delta": 86400.0, "nothing": {}}, "start": None, "on": True},
        "task": {"task_id": "t", "inlets": ["a", 1, None, {"k": "v", "l": [1.5]}], "retries": 2},
        "dagRun": {"run_id": "not taken"},
    }
    unknown = {"unknownItems": [{"name": "x", "properties": {"task_id": "t2"}}, None, "no"]}

    assert flow(airflow=airflow, unknownSourceAttribute=unknown) == {"dag_id": "d", "delta": "86400.0", "on": "true"}
    assert job(airflow=airflow, unknownSourceAttribute=unknown) == {
        "task_id": "t2", "inlets": "[a, 1, null, {k=v, l=[1.5]}]", "retries": "2", "name": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (86400.0, "86400.0"), (12345678.0, "1.2345678E7"), (1e7, "1.0E7"), (9999999.0, "9999999.0"), (0.001, "0.001"),
        (0.00099, "9.9E-4"), (1e-5, "1.0E-5"), (0.0, "0.0"), (-0.0, "-0.0"), (-1.5e-10, "-1.5E-10"), (1e22, "1.0E22"),
        (123456789012345680.0, "1.2345678901234568E17"), (1.7976931348623157e308, "1.7976931348623157E308"),
        (5e-324, "5.0E-324"), (100.0, "100.0"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"),
        (float("nan"), "NaN"), (0.1, "0.1"), (3.14e-3, "0.00314"), (12345678.9, "1.23456789E7"),
    ],
)  # fmt: skip
def test_doubles_are_printed_as_java_does(value: float, text: str) -> None:
    """Scientific from ten million up and below a thousandth, always with a fraction."""
    assert double_text(value) == text


def test_values_are_printed_as_java_does() -> None:
    """toString of what Jackson makes of JSON."""
    assert (
        text_of([True, False, None, 10**30, {"a": [], "b": {}}])
        == "[true, false, null, " + "1" + "0" * 30 + ", {a=[], b={}}]"
    )


def test_a_logical_plan_is_one_text() -> None:
    """The facet as JSON, without nulls, with org.json's escapes; only the flow has it."""
    plan = {
        "_producer": "p",
        "_schemaURL": "s",
        "plan": [{"a": None, "b": "</x>/\u2028\u00e9\u0085", "c": [None, {"d": None}]}],
    }
    said = flow(**{"spark.logicalPlan": plan})["spark.logicalPlan"]

    assert said == '{"plan":[{"b":"<\\/x>/\\u2028é\\u0085","c":[null,{}]}]}'
    assert json.loads(said)["plan"][0]["b"] == "</x>/\u2028\u00e9\u0085"
    assert job(**{"spark.logicalPlan": plan}) == {}
    long = run_event(run={"spark.logicalPlan": plan})
    assert aspect(made(long, logical_plan_limit=20), "dataFlowInfo")["customProperties"] == {}


def test_the_flow_is_described_by_its_dag_and_the_job_by_its_documentation() -> None:
    """A blank description is none; the documentation facet is the job's alone."""
    event = run_event(run={"airflow": {"dag": {"description": " x "}}}, job={"documentation": {"description": "y"}})

    assert aspect(made(event), "dataFlowInfo")["description"] == "x"
    assert aspect(made(event), "dataJobInfo")["description"] == "y"
    assert "description" not in aspect(made(run_event(run={"airflow": {"dag": {"description": " "}}})), "dataFlowInfo")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("['b', 'A']", ["A", "b"]), ("[]", []), ('["x"]', ["x"]), ("nonsense", None), ("{'a': 1}", None), (["a"], None),
     (None, None), ("[1]", None), ("['it's']", None)],
)  # fmt: skip
def test_a_dags_tags_are_a_list_in_a_text(tags: object, expected: list[str] | None) -> None:
    """Python's list as text; an empty one clears the flow's tags, what cannot be read says nothing."""
    event = run_event(run={"airflow": {"dag": {"tags": tags}}})
    written = proposals(made(event, use_patch=False), "globalTags", "dataFlow")

    if expected is None:
        assert written == []
    else:
        assert [one["aspect"] for one in written] == [{"tags": [{"tag": f"urn:li:tag:{tag}"} for tag in expected]}]


def test_an_empty_list_of_tags_is_written_whole() -> None:
    """With patches too it clears the flow's tags, unless they are to be kept."""
    event = run_event(run={"airflow": {"dag": {"tags": "[]"}}})
    (written,) = proposals(made(event), "globalTags")

    assert (written["changeType"], written["aspect"]) == ("UPSERT", {"tags": []})
    assert proposals(made(event, keep_flow_tags=True), "globalTags") == []


def test_a_jobs_tags_are_sorted_and_patched() -> None:
    """key, or key:value; blanks are trimmed and blank keys skipped; the path has an empty part for the source."""
    tags = [{"key": "b", "value": " "}, {"key": " A ", "value": " x/y "}, {"key": " "}, {}, None]
    (written,) = proposals(made(run_event(job={"tags": {"tags": tags}})), "globalTags")

    assert (written["entityType"], written["changeType"]) == ("dataJob", "PATCH")
    assert written["aspect"] == {
        "arrayPrimaryKeys": KEYS,
        "patch": [
            {"op": "add", "path": "/tags//urn:li:tag:A:x~1y", "value": {"tag": "urn:li:tag:A:x/y"}},
            {"op": "add", "path": "/tags//urn:li:tag:b", "value": {"tag": "urn:li:tag:b"}},
        ],
    }
    assert proposals(made(run_event(job={"tags": {"tags": []}})), "globalTags") == []


def test_owners_are_users_of_a_known_type() -> None:
    """An unknown type is a technical owner; a tilde counts only before a blank, which goes with it."""
    owners = [{"name": " a~ b ", "type": "dataowner"}, {"name": "t~x", "type": "MAINTAINER"}, {"name": ""}, None]
    event = run_event(job={"ownership": {"owners": owners}})
    patched, whole = aspect(made(event), "ownership"), aspect(made(event, use_patch=False), "ownership")

    assert [one["path"] for one in patched["patch"]] == [
        "/owners/urn:li:corpuser:a~0b/DATAOWNER//",
        "/owners/urn:li:corpuser:t~x/TECHNICAL_OWNER//",
    ]
    assert patched["arrayPrimaryKeys"] == {"owners": ["owner", "type", "typeUrn", "attribution\u241fsource"]}
    assert whole == {
        "owners": [
            {"owner": "urn:li:corpuser:a~ b", "type": "DATAOWNER", "source": {"type": "SERVICE"}},
            {"owner": "urn:li:corpuser:t~x", "type": "TECHNICAL_OWNER", "source": {"type": "SERVICE"}},
        ],
        "lastModified": {"time": NOW, "actor": "urn:li:corpuser:datahub"},
    }
    assert proposals(made(run_event(job={"ownership": {"owners": [{"name": " "}]}})), "ownership") == []


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ({"url": "u", "repoUrl": "r", "branch": "m", "tag": "t"}, ("u", "Source code location (branch m)")),
        ({"repoUrl": "r", "tag": "t"}, ("r", "Source code location (tag t)")),
        ({"url": "u"}, ("u", "Source code location")),
        ({"branch": "m"}, None),
    ],
)
def test_where_the_code_is_is_remembered(location: dict[str, str], expected: tuple[str, str] | None) -> None:
    """A URL, or else the repository's, with its branch or else its tag."""
    written = proposals(made(run_event(job={"sourceCodeLocation": location})), "institutionalMemory")
    stamp = {"actor": "urn:li:corpuser:datahub", "time": AT}
    elements = [{"url": expected[0], "description": expected[1], "createStamp": stamp}] if expected else None

    assert [one["aspect"] for one in written] == ([{"elements": elements}] if expected else [])


def test_domains_are_given_to_flow_and_job() -> None:
    """Only URNs of domains, sorted without regard to case; what is none is counted."""
    tally = Tally()
    domains = ["urn:li:domain:b", "finance", "urn:li:domain:A", "urn:li:domain:"]
    from dataclasses import replace

    found = convert(run_event(), replace(LIBRARY, domains=domains), now=NOW, tally=tally)
    written = proposals(found, "domains")

    assert [one["entityType"] for one in written] == ["dataFlow", "dataJob"]
    assert written[0]["aspect"] == {"domains": ["urn:li:domain:A", "urn:li:domain:b"]}
    assert tally["domains"] == 2
    assert proposals(made(run_event(), domains=["x"]), "domains") == []


def test_the_order_is_javas() -> None:
    """Flow, job, tags and owners, domains, datasets, lineage, run: as in section 2."""
    event = run_event(
        run={"airflow": {"dag": {"tags": "['a']"}}},
        job={
            "tags": {"tags": [{"key": "k"}]}, "ownership": {"owners": [{"name": "o"}]},
            "sourceCodeLocation": {"url": "u"}, "aws": {"stepFunctionArn": "arn:x"},
        },
        inputs=[{"namespace": "hive", "name": "b"}],
    )  # fmt: skip
    found = made(event, domains=["urn:li:domain:d"], platform_instance="i")

    assert [(one["entityType"], one["aspectName"]) for one in found] == [
        ("dataFlow", "dataFlowInfo"), ("dataFlow", "status"), ("dataFlow", "dataPlatformInstance"),
        ("dataJob", "dataPlatformInstance"), ("dataJob", "dataJobInfo"), ("dataJob", "status"),
        ("dataFlow", "globalTags"), ("dataJob", "globalTags"), ("dataJob", "ownership"),
        ("dataJob", "institutionalMemory"), ("dataFlow", "domains"), ("dataJob", "domains"), ("dataset", "datasetKey"),
        ("dataset", "status"), ("dataJob", "dataJobInputOutput"), ("dataProcessInstance", "dataProcessInstanceInput"),
        ("dataProcessInstance", "dataProcessInstanceOutput"),
        ("dataProcessInstance", "dataProcessInstanceProperties"),
        ("dataProcessInstance", "dataProcessInstanceRunEvent"),
        ("dataProcessInstance", "dataProcessInstanceRelationships"), ("dataJob", "structuredProperties"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("START", {"status": "STARTED"}), ("RUNNING", {"status": "STARTED"}),
        ("COMPLETE", {"status": "COMPLETE", "result": {"type": "SUCCESS", "nativeResultType": "COMPLETE"}}),
        ("FAIL", {"status": "COMPLETE", "result": {"type": "FAILURE", "nativeResultType": "FAIL"}}),
        ("ABORT", {"status": "COMPLETE", "result": {"type": "FAILURE", "nativeResultType": "ABORT"}}),
        ("OTHER", None), (None, None),
    ],
)  # fmt: skip
def test_a_run_has_the_state_its_event_says(kind: str | None, state: dict[str, Any] | None) -> None:
    """OTHER, or no type, says nothing of the state and everything else as usual."""
    found = made(run_event(eventType=kind))
    written = [one["aspect"] for one in proposals(found, "dataProcessInstanceRunEvent")]

    assert written == ([{"timestampMillis": AT, **state}] if state else [])
    assert aspect(found, "dataProcessInstanceInput") == {"inputs": []}
    assert aspect(found, "dataProcessInstanceOutput") == {"outputs": []}
    assert proposals(found, "dataJobInputOutput") == []


def properties(**facets: object) -> Any:
    return aspect(made(run_event(run=facets)), "dataProcessInstanceProperties").get("customProperties")


def test_a_runs_properties_say_how_it_failed() -> None:
    """Messages, queries and extraction errors, each where it is said."""
    errors = [{"errorMessage": "a"}, {"errorMessage": None}, {}, {"errorMessage": "b"}]

    assert properties() is None
    assert properties(
        errorMessage={"message": "m", "programmingLanguage": "JAVA"},
        externalQuery={"externalQueryId": "q", "source": "s"},
        extractionError={"totalTasks": 3, "failedTasks": "2", "errors": errors},
    ) == {
        "errorMessage": "m", "programmingLanguage": "JAVA", "externalQueryId": "q", "externalQuerySource": "s",
        "extractionErrorTotalTasks": "3", "extractionErrorFailedTasks": "2", "extractionErrorMessages": "a; b",
    }  # fmt: skip


def test_long_texts_are_cut_at_4096_characters() -> None:
    """Java's characters, of which an emoji takes two; none is cut in half."""
    cut = "...[truncated]"

    assert properties(errorMessage={"stackTrace": "x" * 4096})["stackTrace"] == "x" * 4096
    assert properties(errorMessage={"stackTrace": "x" * 4097})["stackTrace"] == "x" * 4096 + cut
    assert properties(errorMessage={"stackTrace": "é" * 5000})["stackTrace"] == "é" * 4096 + cut
    assert (
        properties(errorMessage={"stackTrace": "x" + "\U0001f600" * 3000})["stackTrace"]
        == "x" + "\U0001f600" * 2047 + cut
    )
    messages = {"errors": [{"errorMessage": "y" * 3000}, {"errorMessage": "z" * 3000}]}
    assert properties(extractionError=messages)["extractionErrorMessages"] == "y" * 3000 + "; " + "z" * 1094 + cut


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("2025-01-02T00:00:00Z", "2025-01-02T00:00Z"), ("2025-01-02T00:00:05+00:00", "2025-01-02T00:00:05Z"),
        ("2024-11-26T13:05:23.281750Z", "2024-11-26T13:05:23.281750Z"),
        ("2025-01-03T00:00:00.5+01:00", "2025-01-02T23:00:00.500Z"),
        ("2025-01-03T00:00:00.000000001Z", "2025-01-03T00:00:00.000000001Z"),
    ],
)  # fmt: skip
def test_nominal_times_are_printed_as_java_does(said: str, printed: str) -> None:
    """UTC, seconds only where there are any, a fraction in groups of three digits."""
    assert utc_text(said, "x") == printed
    assert properties(nominalTime={"nominalStartTime": said}) == {"nominalStartTime": printed}


def test_a_facet_of_another_form_is_malformed() -> None:
    """The facet and the member are named."""
    with pytest.raises(MalformedEvent, match=r"the facet errorMessage: .*message"):
        properties(errorMessage={"message": []})
    with pytest.raises(MalformedEvent, match=r"nominalTime\.nominalStartTime"):
        properties(nominalTime={"nominalStartTime": "soon"})
