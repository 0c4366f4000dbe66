"""This file is where it is tested which events are taken, as which kind, and which are refused (sections 1 to 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage import LIBRARY, convert, rest_defaults

from .events import AT, NOW, RUN, aspect, dataset, dataset_event, job_event, made, proposals, run_event, urns

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"


def kinds(found: list[dict[str, Any]]) -> set[str]:
    return {one["entityType"] for one in found}


def test_the_schema_url_says_the_kind() -> None:
    """A schemaURL that ends in a kind decides, whatever members there are."""
    both = run_event() | {"dataset": dataset("hive", "a.b"), "schemaURL": f"{SPEC}DatasetEvent"}

    assert kinds(made(both)) == {"dataset"}
    assert "dataProcessInstance" not in kinds(made(both | {"schemaURL": f"{SPEC}JobEvent"}))
    assert "dataProcessInstance" in kinds(made(both | {"schemaURL": f"{SPEC}RunEvent"}))


@pytest.mark.parametrize("url", [None, "https://example.com/x", 7, {"a": 1}])
def test_without_it_the_members_say_the_kind(url: object) -> None:
    """A run that is not null makes a run event, else a dataset a dataset event, else a job a job event."""
    both = run_event() | {"dataset": dataset("hive", "a.b"), "schemaURL": url}

    assert "dataProcessInstance" in kinds(made(both))
    assert kinds(made(both | {"run": None})) == {"dataset"}
    assert kinds(made(job_event() | {"schemaURL": url})) == {"dataFlow", "dataJob"}
    with pytest.raises(UnconvertibleEvent):
        made({"eventTime": "2025-06-01T00:00:00Z", "schemaURL": url})


def test_a_member_of_another_kind_is_not_looked_at() -> None:
    """A job event may carry a `run` that is none: its kind does not know the member."""
    assert made(job_event() | {"run": "x", "schemaURL": f"{SPEC}JobEvent"})


@pytest.mark.parametrize(
    "run_id", ["run_id", "", RUN[:-1], RUN + "0", "{" + RUN + "}", "0195600a000070008000000000000008"]
)
def test_a_run_id_that_is_no_uuid_is_malformed(run_id: str) -> None:
    """The id must be a UUID with its dashes."""
    with pytest.raises(MalformedEvent, match=r"run\.runId"):
        made(run_event() | {"run": {"runId": run_id}})


def test_a_run_id_is_written_in_lower_case() -> None:
    """The same run has one URN however its id is spelled."""
    found = made(run_event() | {"run": {"runId": RUN.upper()}})

    assert aspect(found, "dataProcessInstanceProperties")["name"] == RUN
    assert proposals(found, "dataProcessInstanceInput")[0]["entityUrn"] == f"urn:li:dataProcessInstance:{RUN}"


@pytest.mark.parametrize(
    ("said", "milliseconds"),
    [
        ("2025-06-01T00:00:00Z", AT),
        ("2025-06-01T02:00:00+02:00", AT),
        ("2025-05-31T19:00:00-05:00", AT),
        ("2025-06-01T00:00Z", AT),
        ("2025-06-01T00:00:00.999999999Z", AT + 999),
        ("2025-06-01T00:00:00.1Z", AT + 100),
        ("2025-06-01T02:00:00+0200", AT),
        ("2025-06-01T02:00:00+02:00[Europe/Berlin]", AT),
        ("1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_the_time_is_milliseconds_cut_down(said: str, milliseconds: int) -> None:
    """Any offset counts; what is finer than a millisecond is cut off, before 1970 too."""
    assert aspect(made(run_event(eventTime=said)), "dataJobInfo")["created"] == {"time": milliseconds}


@pytest.mark.parametrize(
    "said",
    ["2025-06-01T00:00:00", "2025-06-01", "today", "", "2025-02-30T00:00:00Z", "2025-06-01T24:00:00Z", "1748736000000",
     "2025-06-01T00:00:00.1234567890Z", "2025-06-01T00:00:00+19:00", "２０25-06-01T00:00:00Z", "0000-06-01T00:00:00Z",
     "0001-01-01T00:00:00+05:00"],
)  # fmt: skip
def test_a_time_that_is_none_is_malformed(said: str) -> None:
    """No offset, no such day, no time at all: refused, with what was expected."""
    with pytest.raises(MalformedEvent, match="eventTime: expected a time with an offset"):
        made(run_event(eventTime=said))


@pytest.mark.parametrize("word", ["complete", "Complete", "COMPLETE"])
def test_words_count_without_regard_to_case(word: str) -> None:
    """eventType is written in upper case however it came."""
    assert aspect(made(run_event(eventType=word)), "dataProcessInstanceRunEvent")["result"] == {
        "type": "SUCCESS",
        "nativeResultType": "COMPLETE",
    }


@pytest.mark.parametrize("change", [{"eventType": "DONE"}, {"eventType": 3}, {"run": "x"}, {"inputs": {}}, {"inputs": [3]},  # noqa: E501 - a table
                                    {"producer": "not a uri"}, {"eventTime": 5}, {"job": []}])  # fmt: skip
def test_what_is_not_as_specified_is_malformed(change: dict[str, Any]) -> None:
    """A word nobody knows and a member of another type are the sender's mistake."""
    with pytest.raises(MalformedEvent):
        made(run_event() | change)


@pytest.mark.parametrize("missing", ["eventTime", "run", "job"])
def test_what_lacks_a_part_can_not_be_converted(missing: str) -> None:
    """An event without its time, run or job is JSON of the right form that says too little."""
    event = run_event(schemaURL=f"{SPEC}RunEvent")
    del event[missing]

    with pytest.raises(UnconvertibleEvent):
        made(event)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"nonsense", b"[]", b"3", b"null", b'{"a": NaN}', b"\xff\xfe{\x00}\x00", b'{"producer": "\xff"}',
     b'{"producer": "\\ud800"}', b"[" * 100_000, b'{"run":' * 50_000],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_what_is_no_json_object_is_malformed(data: bytes) -> None:
    """Truncated text, other encodings, half characters and endless nesting are refused in words."""
    with pytest.raises(MalformedEvent):
        convert(data, LIBRARY, now=NOW)


def test_a_mark_before_the_text_does_no_harm() -> None:
    """An editor's byte order mark is skipped."""
    assert convert(b"\xef\xbb\xbf" + json.dumps(run_event()).encode(), LIBRARY, now=NOW) == made(run_event())


def test_unknown_members_are_left_alone() -> None:
    """What the specification does not know anywhere changes nothing."""
    event = run_event(inputs=[dataset("hive", "a.b", future={"x": [1, {"y": None}]}) | {"inputFacets": {"z": 1}}])
    event |= {"later": {"deep": [1]}}
    event["run"]["more"] = event["job"]["more"] = {"x": 1}

    assert urns(made(event)) == ["urn:li:dataset:(urn:li:dataPlatform:hive,a.b,PROD)"]


@pytest.mark.parametrize(
    ("run", "job", "producer", "options", "expected"),
    [
        ({"processing_engine": {"name": "SPARK"}}, {"jobType": {"integration": "DBT"}}, "x:y", {}, "spark"),
        ({}, {"jobType": {"integration": "DBT"}}, "x:y", {}, "dbt"),
        ({"processing_engine": {"name": "SPARK"}}, {}, "x:y", {"orchestrator": "Mine"}, "Mine"),
        ({}, {}, "https://github.com/OpenLineage/OpenLineage/tree/1/integration/Flink", {}, "Flink"),
        ({}, {}, "https://github.com/apache/airflow/tree/x", {}, "airflow"),
        ({}, {}, "https://github.com/trinodb/trino/a", {}, "trino"),
        ({}, {}, "https://example.com/a/Debezium/", {"orchestrator_from_producer": True}, "debezium"),
        ({"processing_engine": {"version": "3"}}, {}, "https://github.com/trinodb/trino/a", {}, "trino"),
    ],
)
def test_the_orchestrator_is_the_first_that_is_said(
    run: Any, job: Any, producer: str, options: dict[str, Any], expected: str
) -> None:
    """Configuration, engine, integration, producer, in this order."""
    found = made(run_event(run=run, job=job, producer=producer), **options)

    assert aspect(found, "dataJobInfo")["type"] == {"string": expected}
    assert found[0]["entityUrn"] == f"urn:li:dataFlow:({expected},flow,ns)"


@pytest.mark.parametrize(
    "producer",
    ["https://example.com/x", "https://github.com/OpenLineage/OpenLineage/spark", None,
     "https://github.com/OpenLineage/OpenLineage/tree/x/"],
)  # fmt: skip
def test_without_an_orchestrator_nothing_can_be_made(producer: str | None) -> None:
    """A producer nobody knows is said, with what would help."""
    with pytest.raises(UnconvertibleEvent, match="Unable to determine orchestrator"):
        made(run_event(producer=producer))


@pytest.mark.parametrize(
    ("name", "flow", "shown"),
    [("a.b.c", "a", "b.c"), ("a", "a", "a"), ("a.", "a", ""), (".a", "", "a"), ("...", "...", "..."), (7, "7", "7")],
)
def test_a_jobs_name_is_cut_at_its_first_dot(name: object, flow: str, shown: str) -> None:
    """The flow is what stands before the dot, the job is shown as the rest; its URN has the whole name."""
    found = made(run_event(name=name))

    assert aspect(found, "dataFlowInfo")["name"] == flow
    assert aspect(found, "dataJobInfo")["name"] == shown
    assert (
        proposals(found, "dataJobInfo")[0]["entityUrn"] == f"urn:li:dataJob:(urn:li:dataFlow:(spark,{flow},ns),{name})"
    )


def test_options_name_flow_and_cluster() -> None:
    """A pipeline's name and a platform instance stand in the URNs, and the instance is written for both."""
    found = made(run_event(), pipeline_name="pipe", platform_instance="inst")
    flow = "urn:li:dataFlow:(spark,pipe,inst)"
    instance = {
        "platform": "urn:li:dataPlatform:spark",
        "instance": "urn:li:dataPlatformInstance:(urn:li:dataPlatform:spark,inst)",
    }

    assert [(one["entityUrn"], one["aspectName"]) for one in found[:6]] == [
        (flow, "dataFlowInfo"),
        (flow, "status"),
        (flow, "dataPlatformInstance"),
        (f"urn:li:dataJob:({flow},flow.task)", "dataPlatformInstance"),
        (f"urn:li:dataJob:({flow},flow.task)", "dataJobInfo"),
        (f"urn:li:dataJob:({flow},flow.task)", "status"),
    ]
    assert [one["aspect"] for one in proposals(found, "dataPlatformInstance")] == [instance, instance]


@pytest.mark.parametrize(
    ("sql", "outputs", "suffix"),
    [
        ("-- x\nmerge into `db`.`t x` USING s", [], "db_t"),
        (None, [dataset("s3://b", "/p.q"), dataset("hive", "Db.T")], "db_t"),
        (None, [dataset("s3://b", "p", symlinks={"identifiers": [{"namespace": "x", "name": "table/a/b", "type": "TABLE"}]})], "a_b"),  # noqa: E501 - a table
        (None, [dataset("s3://b", "/x/warehouse/a.db/b")], "a_b"),
        (None, [], ""),
    ],
)  # fmt: skip
def test_merge_jobs_are_named_after_their_targets(sql: str | None, outputs: list[Any], suffix: str) -> None:
    """With the option on: by the SQL, a table's name, a symlink, a warehouse path, in this order."""
    name = "app.execute_merge_into_command_edge"
    event = run_event(name=name, job={"sql": {"query": sql}} if sql else {}, outputs=outputs)
    found = made(event, enhanced_merge_into_extraction=True)
    whole = f"{name}.{suffix}" if suffix else name

    assert aspect(found, "dataJobInfo")["name"] == whole.partition(".")[2]
    assert proposals(found, "dataJobInfo")[0]["entityUrn"].endswith(f",{whole})")
    assert aspect(made(event), "dataJobInfo")["name"] == "execute_merge_into_command_edge"
    del event["run"]
    expected = whole if sql else name  # of a job event only the SQL counts
    assert proposals(made(event, enhanced_merge_into_extraction=True), "dataJobInfo")[0]["entityUrn"].endswith(
        f",{expected})"
    )


def test_parents_are_left_out() -> None:
    """The parent facet has no output, and nothing in it can fail the event."""
    parent = {"job": {"namespace": "a", "name": "b"}, "run": {"runId": "no uuid"}, "_producer": "who knows"}

    assert made(run_event(run={"parent": parent})) == made(run_event())


def test_job_events_have_no_run() -> None:
    """A job event is a run event less what is of the run: no custom properties of the flow, no instance."""
    event = job_event(
        job={"jobType": {"processingType": "BATCH", "integration": "FLINK"}}, outputs=[dataset("hive", "a")]
    )
    found = made(event)

    assert aspect(found, "dataFlowInfo") == {"name": "flow"}
    assert aspect(found, "dataJobInfo")["customProperties"] == {"processingType": "BATCH", "integration": "FLINK"}
    assert kinds(found) == {"dataFlow", "dataJob", "dataset"}
    assert proposals(found, "dataJobInputOutput")


def test_a_producer_is_a_uri_in_every_kind_of_event() -> None:
    """Even where nobody asks who it was."""
    for event in (run_event(), job_event(), dataset_event("hive", "a")):
        assert made(event | {"producer": "https://github.com/apache/airflow/x"})
        with pytest.raises(MalformedEvent, match="producer: expected a URI, found 'no uri'"):
            made(event | {"producer": "no uri"})


def test_a_dataset_event_needs_a_dataset_with_a_urn() -> None:
    """What would be left out of a run event is all there is here, so it is refused."""
    assert urns(made(dataset_event("hive", "a.b"))) == ["urn:li:dataset:(urn:li:dataPlatform:hive,a.b,PROD)"]
    with pytest.raises(UnconvertibleEvent, match="my_db://"):
        made(dataset_event("my_db://x", "a"))


def test_the_endpoint_has_other_defaults() -> None:
    """env gives the fabric, and in lower case the instance; a bad word is PROD; a patch unless as released."""
    assert (rest_defaults().fabric, rest_defaults().platform_instance) == ("PROD", "prod")
    assert (rest_defaults(env="Dev").fabric, rest_defaults(env="Dev").platform_instance) == ("DEV", "dev")
    assert (rest_defaults(env="x").fabric, rest_defaults(env="x").platform_instance) == ("PROD", "x")
    assert (rest_defaults(env=None).fabric, rest_defaults(env=None).platform_instance) == ("PROD", None)
    assert rest_defaults(common_dataset_env="qa", platform_instance="i").fabric == "QA"
    assert (rest_defaults().use_patch, rest_defaults(released=True).use_patch) == (True, False)
    assert (rest_defaults().materialize_dataset, rest_defaults().include_schema_metadata) == (True, True)
