"""This file is where it is tested what is written of datasets, and of the lineage between them (sections 8 and 10)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.errors import MalformedEvent

from .events import AT, NOW, aspect, columns, dataset, dataset_event, job_event, made, proposals, run_event, urn

DATAHUB = "urn:li:corpuser:datahub"


def test_without_materializing_only_edges_are_written() -> None:
    """No dataset is touched, the lineage is all there."""
    event = run_event(inputs=[dataset("hive", "a", schema={"fields": []})])

    assert [one for one in made(event, materialize_dataset=False) if one["entityType"] == "dataset"] == []
    assert len(aspect(made(event, materialize_dataset=False), "dataJobInputOutput")) == 1
    assert made(dataset_event("hive", "a"), materialize_dataset=False) == []
    assert proposals(made(event, include_schema_metadata=False), "schemaMetadata") == []


@pytest.mark.parametrize(
    ("change", "operation"),
    [("CREATE", "CREATE"), ("drop", "DROP"), ("TRUNCATE", "DELETE"), ("ALTER", "ALTER"), ("RENAME", "ALTER"),
     ("Overwrite", "UPDATE")],
)  # fmt: skip
def test_an_outputs_life_is_an_operation(change: str, operation: str) -> None:
    """DataHub's word, and the original one beside it; inputs have none."""
    changed = dataset("hive", "a", lifecycleStateChange={"lifecycleStateChange": change})

    assert aspect(made(run_event(outputs=[changed], eventType="START")), "operation") == {
        "timestampMillis": AT, "lastUpdatedTimestamp": AT, "actor": DATAHUB, "operationType": operation,
        "customProperties": {"lifecycleStateChange": change.upper()},
    }  # fmt: skip
    assert proposals(made(run_event(inputs=[changed])), "operation") == []


def test_statistics_alone_are_an_update() -> None:
    """Rows are counted, bytes and files are properties; without any of them there are none."""
    counts = {"outputStatistics": {"rowCount": 3, "size": 5.9, "fileCount": "2"}}
    written = aspect(made(run_event(outputs=[dataset("hive", "a", outside=counts)])), "operation")
    empty = aspect(made(run_event(outputs=[dataset("hive", "a", outside={"outputStatistics": {}})])), "operation")

    assert (written["operationType"], written["numAffectedRows"]) == ("UPDATE", 3)
    assert written["customProperties"] == {"sizeInBytes": "5", "fileCount": "2"}
    assert set(empty) == {"timestampMillis", "lastUpdatedTimestamp", "actor", "operationType"}


@pytest.mark.parametrize("facet", [{"lifecycleStateChange": "EXPLODE"}, {"lifecycleStateChange": 3}])
def test_a_change_nobody_knows_is_malformed(facet: dict[str, object]) -> None:
    """As with every other word of the specification."""
    with pytest.raises(MalformedEvent):
        made(run_event(outputs=[dataset("hive", "a", lifecycleStateChange=facet)]))


def test_a_change_nobody_knows_is_malformed_wherever_it_stands() -> None:
    """Of an input, too, and where datasets are not written: the event is read before anybody asks for it."""
    changed = [dataset("hive", "a", lifecycleStateChange={"lifecycleStateChange": "EXPLODE"})]
    for side, event in (("inputs", run_event(inputs=changed)), ("outputs", run_event(outputs=changed))):
        with pytest.raises(MalformedEvent, match=rf"expected one of ALTER.*EXPLODE.*\$\.{side}"):
            made(event, materialize_dataset=False)


@pytest.mark.parametrize("count", ["many", 2**63, float("1e300"), True, [1]])
def test_a_count_that_is_none_is_malformed(count: object) -> None:
    """A number beyond 64 bits, a word, a list."""
    with pytest.raises(MalformedEvent):
        made(run_event(outputs=[dataset("hive", "a", outside={"outputStatistics": {"rowCount": count}})]))


def test_quality_metrics_are_a_profile() -> None:
    """Rows, bytes, and of each column what is known; nothing where nothing is."""
    metrics = {
        "rowCount": 10,
        "bytes": 5,
        "columnMetrics": {"a": {"nullCount": 1, "min": 1, "max": 1e8, "sum": 3}, "b": {}},
    }

    assert aspect(made(dataset_event("hive", "a", dataQualityMetrics=metrics)), "datasetProfile") == {
        "timestampMillis": AT, "rowCount": 10, "sizeInBytes": 5,
        "fieldProfiles": [{"fieldPath": "a", "nullCount": 1, "min": "1.0", "max": "1.0E8"}, {"fieldPath": "b"}],
    }  # fmt: skip
    assert proposals(made(dataset_event("hive", "a", dataQualityMetrics={"columnMetrics": {}})), "datasetProfile") == []


def test_a_datasets_properties_are_always_a_patch() -> None:
    """Description, storage, type and version; tags in the event's order, a field's tag on the dataset."""
    facets: dict[str, Any] = {
        "documentation": {"description": "d"}, "storage": {"storageLayer": "iceberg", "fileFormat": None},
        "datasetType": {"datasetType": "VIEW", "subType": "X"}, "version": {"datasetVersion": 3},
        "tags": {"tags": [{"key": "b", "field": "f"}, {"key": "a"}]}, "ownership": {"owners": [{"name": "o"}]},
    }  # fmt: skip
    found = made(dataset_event("hive", "a", **facets), use_patch=False)
    (written,) = proposals(found, "datasetProperties")

    assert [one["aspectName"] for one in found] == [
        "datasetKey",
        "status",
        "globalTags",
        "ownership",
        "datasetProperties",
    ]
    assert written["changeType"] == "PATCH"
    assert {one["path"].rpartition("/")[2]: one["value"] for one in written["aspect"]} == {
        "description": "d", "storageLayer": "iceberg", "datasetType": "VIEW", "datasetSubType": "X",
        "datasetVersion": "3",
    }  # fmt: skip
    assert aspect(found, "globalTags") == {"tags": [{"tag": "urn:li:tag:b"}, {"tag": "urn:li:tag:a"}]}


def test_edges_have_stamps_of_their_own_in_each_form() -> None:
    """A patch has the wall clock and an unknown actor, the whole aspect the event's time and DataHub."""
    event = job_event(inputs=[dataset("s3://b", "k/x")], outputs=[dataset("hive", "a")])
    stamp = {"time": NOW, "actor": "urn:li:corpuser:UNKNOWN"}
    source, target = urn("s3", "b/k/x"), urn("hive", "a")

    assert aspect(made(event), "dataJobInputOutput") == [
        {
            "op": "add", "path": f"/inputDatasetEdges/{source.replace('/', '~1')}",
            "value": {"destinationUrn": source, "lastModified": stamp, "created": stamp},
        },
        {
            "op": "add", "path": f"/outputDatasetEdges/{target}",
            "value": {"destinationUrn": target, "lastModified": stamp, "created": stamp},
        },
    ]  # fmt: skip
    edge = {"lastModified": {"time": AT, "actor": DATAHUB}}
    assert aspect(made(event, use_patch=False), "dataJobInputOutput") == {
        "inputDatasets": [], "outputDatasets": [], "inputDatajobs": [],
        "inputDatasetEdges": [{"destinationUrn": source, **edge}],
        "outputDatasetEdges": [{"destinationUrn": target, **edge}], "fineGrainedLineages": [],
    }  # fmt: skip
    whole = aspect(made(run_event(), use_patch=False), "dataJobInputOutput")
    assert whole["inputDatasetEdges"] == whole["outputDatasetEdges"] == []


def field(platform: str, name: str, column: str) -> str:
    return f"urn:li:schemaField:({urn(platform, name)},{column})"


def lineage(facet: dict[str, object], query: object = None, **options: Any) -> list[tuple[str, str, str]]:
    """(operation, output field, input field) of each pair, in their order, as patches write them."""
    job = {"sql": {"query": query}} if query is not None else {}
    event = run_event(outputs=[dataset("hive", "out", columnLineage=facet)], job=job)
    found = [one["path"] for one in aspect(made(event, **options), "dataJobInputOutput")][1:]
    assert all(path.startswith("/fineGrainedLineages/") for path in found)
    pairs: list[tuple[str, str, str]] = []
    for path in found:
        head, _, upstream = path.rpartition("/NONE/")
        operation, _, downstream = head.removeprefix("/fineGrainedLineages/").rpartition("/")
        pairs.append((operation, downstream, upstream))
    return pairs


def test_each_pair_of_columns_is_an_entry_with_its_own_operation() -> None:
    """In the event's order; words once, sorted without regard to case; a missing part is null."""
    facet = columns(
        y=[("hive", "b", "q", "INDIRECT:filter", "DIRECT:X", "DIRECT:X"), ("hive", "a", "p", "DIRECT:")],
        x=[("hive", "a", "o")],
    )

    assert lineage(facet) == [
        ("DIRECT:X,INDIRECT:filter", field("hive", "out", "y"), field("hive", "b", "q")),
        ("DIRECT:null", field("hive", "out", "y"), field("hive", "a", "p")),
        ("TRANSFORM", field("hive", "out", "x"), field("hive", "a", "o")),
    ]


def test_sql_stands_in_the_operation_as_it_is() -> None:
    """After the words, or alone; not escaped unless it is asked for."""
    facet = columns(x=[("hive", "a", "o", "DIRECT:X")], y=[("hive", "a", "o")])

    assert [one[0] for one in lineage(facet, "a/b ~ c")] == ["-- DIRECT:X\na/b ~ c", "a/b ~ c"]
    assert [one[0] for one in lineage(facet, " ")] == ["DIRECT:X", "TRANSFORM"]
    assert [one[0] for one in lineage(facet, "a/b ~ c", escape_operations=True)] == [
        "-- DIRECT:X\na~1b ~0 c",
        "a~1b ~0 c",
    ]


def test_the_lineage_of_several_outputs_stands_in_their_order() -> None:
    """Datasets come by their URNs in the lineage as everywhere, each with its columns in the event's order."""
    outputs = [
        dataset("hive", name, columnLineage=columns(y=[("hive", "s", "q")], x=[("hive", "s", "p")])) for name in "ba"
    ]
    source = dataset("hive", "s", columnLineage=columns(z=[("hive", "r", "o")]))
    found = aspect(made(run_event(inputs=[source], outputs=outputs)), "dataJobInputOutput")[3:]
    whole = aspect(made(run_event(inputs=[source], outputs=outputs), use_patch=False), "dataJobInputOutput")
    expected = [field("hive", *one) for one in (("s", "z"), ("a", "y"), ("a", "x"), ("b", "y"), ("b", "x"))]

    assert [one["path"].split("/")[3] for one in found] == expected
    assert [one["downstreams"] for one in whole["fineGrainedLineages"]] == [[one] for one in expected]


def test_indirect_columns_may_be_left_out() -> None:
    """A column that only filters is dropped, and its words join those of every pair that is left of the field."""
    facet = columns(
        x=[("hive", "a", "o", "DIRECT:X"), ("hive", "a", "f", "INDIRECT:FILTER"), ("hive", "a", "n")],
        w=[("hive", "a", "f", "Indirect:JOIN")],
        y=[("hive", "a", "p", "DIRECT:Y")],
    )

    assert [(one[0], one[2]) for one in lineage(facet, include_indirect_column_lineage=False)] == [
        ("DIRECT:X,INDIRECT:FILTER", field("hive", "a", "o")),
        ("INDIRECT:FILTER", field("hive", "a", "n")),
        ("DIRECT:Y", field("hive", "a", "p")),
    ]
    assert lineage(facet, capture_column_level_lineage=False) == []


def test_inputs_of_columns_without_a_urn_are_dropped() -> None:
    """Like datasets whose URI is none; the facet's own dataset member counts for nothing."""
    facet = columns(x=[("my_db://h", "a", "o"), ("hive", "a", None), ("hive", "a", "p")], y=[])
    facet["dataset"] = [{"namespace": "hive", "name": "z", "field": "q"}]

    assert [one[2] for one in lineage(facet)] == [field("hive", "a", "p")]


def test_lineage_is_whole_without_patches() -> None:
    """One entry a pair, without the word TRANSFORM where nothing is known."""
    facet = columns(x=[("hive", "a", "o", "DIRECT:X"), ("hive", "a", "p")])
    event = run_event(outputs=[dataset("hive", "out", columnLineage=facet)])
    first, second = aspect(made(event, use_patch=False), "dataJobInputOutput")["fineGrainedLineages"]

    assert first == {
        "upstreamType": "FIELD_SET", "upstreams": [field("hive", "a", "o")], "downstreamType": "FIELD_SET",
        "downstreams": [field("hive", "out", "x")], "confidenceScore": 0.5, "transformOperation": "DIRECT:X",
    }  # fmt: skip
    assert "transformOperation" not in second


def test_legacy_lineage_is_taken_away_on_demand() -> None:
    """Upstreams and fields by patch, or the empty aspect; only of outputs with column lineage."""
    facet = columns(x=[("s3://b", "k", "o", "DIRECT:X")])
    sources = [dataset("hive", "in", columnLineage=columns(y=[("s3://b", "k", "o")]))]
    event = run_event(inputs=sources, outputs=[dataset("hive", "out", columnLineage=facet), dataset("hive", "plain")])
    (written,) = proposals(made(event, remove_legacy_lineage=True), "upstreamLineage")

    assert written["changeType"] == "PATCH"
    assert [one["op"] for one in written["aspect"]] == ["remove", "remove"]
    assert written["aspect"][0]["path"] == f"/upstreams/{urn('s3', 'b~1k')}"
    (whole,) = proposals(made(event, remove_legacy_lineage=True, use_patch=False), "upstreamLineage")
    assert (whole["changeType"], whole["aspect"]) == ("UPSERT", {"upstreams": [], "fineGrainedLineages": []})


@pytest.mark.parametrize(
    ("name", "same", "kept"),
    [("a.map_text_file", True, 0), ("a.map_partitions_parallel_collection", True, 0), ("a.sort_text_file", True, 1),
     ("a.filter_hadoopfile", False, 1)],
)  # fmt: skip
def test_sparks_agent_ignores_what_was_only_read(name: str, same: bool, kept: int) -> None:
    """An RDD job whose outputs are its inputs has written nothing."""
    sides = [dataset("s3://b", "k")], [dataset("s3://b", "k" if same else "l")]
    event = run_event(name=name, inputs=sides[0], outputs=sides[1], job={"jobType": {"jobType": "RDD_JOB"}})

    assert len(aspect(made(event, is_spark=True), "dataProcessInstanceOutput")["outputs"]) == kept
    event["inputs"] = sides[0] * 2
    assert len(aspect(made(event, is_spark=True), "dataProcessInstanceOutput")["outputs"]) == 1
    assert len(aspect(made(event), "dataProcessInstanceOutput")["outputs"]) == 1


def test_what_is_written_is_json() -> None:
    """Nothing but what JSON has is in the proposals."""
    found = made(run_event(outputs=[dataset("hive", "out", columnLineage=columns(x=[("hive", "a", "o")]))]))

    assert json.loads(json.dumps(found)) == found
