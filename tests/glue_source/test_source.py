"""This file is where the source runs as part of DataHub's pipeline: its sinks, transformers, report and state."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from datahub.ingestion.graph.client import DataHubGraph
from datahub.ingestion.run.pipeline import Pipeline
from datahub.metadata.schema_classes import (
    OtherSchemaClass,
    SchemaFieldClass,
    SchemaFieldDataTypeClass,
    SchemaMetadataClass,
    StringTypeClass,
)
from fakes.glue_catalog import ACCOUNT, FakeGlue
from fakes.gms import TOKEN, FakeGms
from services.moto import CREDENTIALS, REGION

from headgate.glue_source import source as module
from headgate.glue_source.report import GlueReport
from headgate.glue_source.source import HeadgateGlueSource

from .world import CATALOG, OURS, STOCK, Said, columns, ingest, presto, said, table, told, view

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own


@contextmanager
def glue(
    databases: Mapping[str, Mapping[str, Any]],
    tables: Mapping[str, list[dict[str, Any]]],
    failing: Callable[[str, Mapping[str, Any], int], str | None] | None = None,
) -> Generator[FakeGlue]:
    with FakeGlue(databases, tables, failing=failing) as fake, pytest.MonkeyPatch.context() as environ:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_GLUE": fake.url}.items():
            environ.setenv(name, value)
        yield fake


@contextmanager
def usual() -> Generator[FakeGlue]:
    """The catalog of test_equal, from a Glue that says when tables were changed, and pages."""
    with glue(
        {name: what for name, (what, _) in CATALOG.items()}, {name: tables for name, (_, tables) in CATALOG.items()}
    ) as fake:
        yield fake


def both(tmp_path: Path, **options: Any) -> tuple[Said, Pipeline]:
    """What ours says, which is what theirs says, and our pipeline."""
    theirs, stock = ingest(STOCK, tmp_path / "theirs.json", **options)
    ours, own = ingest(OURS, tmp_path / "ours.json", **options)

    assert sorted(theirs - ours) == []
    assert sorted(ours - theirs) == []
    assert [title for title, _ in told(own)["failures"]] == [title for title, _ in told(stock)["failures"]]
    return ours, own


def aspects(seen: Said, name: str) -> dict[str, Any]:
    return {urn: json.loads(text) for urn, aspect, _, text, _ in seen if aspect == name}


def test_datahub_hears_the_same_of_both() -> None:
    """Over REST, too: every proposal, with its metadata about the run."""
    heard: list[Said] = []
    for kind in (STOCK, OURS):
        with usual(), FakeGms() as gms:
            seen, _ = over_rest(kind, gms)
        senseless = [
            one for one in seen if any(f".{name}," in one[0] for name in ("without columns", "untyped column"))
        ]
        for one in senseless:  # theirs tells of its creation all the same
            del seen[one]
        heard.append(seen)

    assert sorted(heard[0] - heard[1]) == []
    assert sorted(heard[1] - heard[0]) == []
    assert sum(heard[1].values()) > 300


LINKED = {
    "own": [
        table("link", None, TargetTable={"CatalogId": ACCOUNT, "DatabaseName": "owner", "Name": "real"}),
        table("nowhere", None, TargetTable={"CatalogId": ACCOUNT, "DatabaseName": "owner", "Name": "gone"}),
        table("itself", None, TargetTable={"CatalogId": ACCOUNT, "DatabaseName": "own", "Name": "itself"}),
        table("halfway", None, TargetTable={"CatalogId": ACCOUNT, "Name": "real"}),
        table(
            "with columns",
            {"Columns": columns("int")},
            TargetTable={"CatalogId": "9", "DatabaseName": "o", "Name": "t"},
        ),
    ],
    "owner": [table("real", {"Columns": columns("int", "struct<a:date>"), "Location": "s3://b/real"})],
    "shared": [
        table("t", {"Columns": columns("string")}, DatabaseName="theirs", CatalogId="999999999999"),
        table("to nobody", {"Columns": columns("string")}, TargetTable={}),
    ],
}
LINKS = {"own": {}, "owner": {}, "shared": {"TargetDatabase": {"CatalogId": "999999999999", "DatabaseName": "theirs"}}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"emit_storage_lineage": True},
        {"ignore_resource_links": True},
        {"resolve_resource_link_schema": False, "platform_instance": "eu"},
    ],
    ids=str,
)
def test_resource_links_are_followed(tmp_path: Path, options: dict[str, Any]) -> None:
    """A link has the columns of what it points to and is a copy of it; one that leads nowhere is said to."""
    with glue(LINKS, LINKED):
        ours, pipeline = both(tmp_path, **options)

    linked = aspects(ours, "upstreamLineage")
    if not options:
        assert len(linked) == 4
        assert {title for title, _ in told(pipeline)["warnings"]} != set()
        assert len(aspects(ours, "schemaMetadata")) == 5


def over_rest(kind: str, gms: FakeGms, **options: Any) -> tuple[Said, Pipeline]:
    recipe = {
        "source": {"type": kind, "config": {"aws_region": REGION, "extract_transforms": False, **options}},
        "sink": {"type": "datahub-rest", "config": {"server": gms.url, "token": TOKEN, "max_threads": 2}},
        "run_id": "the-run",
    }
    pipeline = Pipeline.create(recipe, report_to=None)
    pipeline.run()
    assert list(pipeline.sink.get_report().failures) == []
    heard = said({**one, "aspect": {"json": json.loads(one["aspect"]["value"])}} for one in gms.proposals)
    return heard, pipeline


@pytest.mark.parametrize("works", [True, False], ids=["knows", "fails"])
def test_what_datahub_knows_already_is_asked_there(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    """The columns of a link's table, and those of a table's storage; a DataHub that fails at it is a warning."""

    def known(_: DataHubGraph, urn: str) -> SchemaMetadataClass | None:
        if not works:
            raise ConnectionError("away")  # of requests, too, they are OSErrors
        field = SchemaFieldClass("c0", SchemaFieldDataTypeClass(StringTypeClass()), "text", description="of DataHub")
        name = "urn:li:dataPlatform:glue"
        found = SchemaMetadataClass("theirs", name, 3, "hash", OtherSchemaClass(""), [field])
        return found if "owner.real" in urn or "b/real" in urn else None

    monkeypatch.setattr(DataHubGraph, "get_schema_metadata", known)
    heard: list[Said] = []
    warned: list[set[str | None]] = []
    for kind in (STOCK, OURS):
        with glue(LINKS, LINKED), FakeGms() as gms:
            said_there, pipeline = over_rest(kind, gms, emit_storage_lineage=works)
            heard.append(said_there)
            warned.append({one.title for one in pipeline.source.get_report().warnings})

    assert sorted(heard[0] - heard[1]) == []
    assert sorted(heard[1] - heard[0]) == []
    assert warned[0] == warned[1]
    link = next(one for urn, one in aspects(heard[1], "schemaMetadata").items() if "own.link" in urn)
    assert link["schemaName"] == "own.link"
    assert link["fields"][0].get("description") == ("of DataHub" if works else None)


def test_a_schema_that_is_too_large_is_cut_as_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fields left out, and a warning that says how many. (DataHub's limit of 16 MB is lowered for both.)"""
    from datahub.ingestion.workunit_processors import ensure_aspect_size

    monkeypatch.setattr(ensure_aspect_size, "INGEST_MAX_PAYLOAD_BYTES", 20_000)
    monkeypatch.setattr(module, "LIMIT", int(20_000 * 0.985))
    wide = [f"struct<{','.join(f'member{number}:int' for number in range(9))}>"] * 12
    large = [
        table("small", {"Columns": columns("int", "string")}),
        table("wide", {"Columns": columns(*wide), "Location": "s3://b/wide"}),
        view("long", presto(f"SELECT '{'ä' * 9000}' c0"), "string"),
    ]
    with glue({"d": {}}, {"d": large}):
        ours, pipeline = both(tmp_path, emit_storage_lineage=True, include_view_lineage=False)

    schemas = aspects(ours, "schemaMetadata")
    assert max(len(one["fields"]) for one in schemas.values()) < 12 * 10
    assert "removed" in str(aspects(ours, "viewProperties")) or "truncated" in str(aspects(ours, "viewProperties"))
    assert any("truncated" in (one.title or "") for one in pipeline.source.get_report().warnings)


def test_a_table_that_makes_no_sense_is_one_failure(tmp_path: Path) -> None:
    """The others go on, and nothing is said of that one."""
    tables = [
        table("before", {"Columns": columns("int")}),
        table("no type", {"Columns": [{"Name": "a"}]}),
        table("no list", {"Columns": 7}),
        table("no time", {"Columns": []}, CreateTime="when?"),
        table("after", {"Columns": columns("int")}),
    ]
    with glue({"d": {}}, {"d": tables}):
        ours, pipeline = ingest(OURS, tmp_path / "ours.json")

    assert {urn.split(",")[1] for urn, *_ in ours if "dataset" in urn} == {"d.before", "d.after"}
    assert [(title, len(contexts)) for title, contexts in told(pipeline)["failures"]] == [
        ("Failed to extract workunit for table", 3)
    ]


def state(tmp_path: Path) -> dict[str, Any]:
    provider = {"type": "file", "config": {"filename": str(tmp_path / "state.json")}}
    return {"stateful_ingestion": {"enabled": True, "fail_safe_threshold": 100.0, "state_provider": provider}}


def test_what_is_gone_is_removed_and_what_was_not_seen_is_not(tmp_path: Path) -> None:
    """The state is theirs: what either source saw and ours does not see is removed; not so when a listing failed."""
    seen = {"d": [table(name, {"Columns": []}) for name in ("stays", "goes")], "e": [table("far", {"Columns": []})]}
    less = {**seen, "d": seen["d"][:1]}
    more = {"more": {"pipeline_name": "glue"}, **state(tmp_path)}
    with glue({"d": {}, "e": {}}, seen):
        ingest(STOCK, tmp_path / "first.json", **more)
    with glue({"d": {}, "e": {}}, less, lambda _, asked, __: "denied" if asked.get("DatabaseName") == "e" else None):
        torn, failed = ingest(OURS, tmp_path / "second.json", **more)
    with glue({"d": {}, "e": {}}, less):
        whole, good = ingest(OURS, tmp_path / "third.json", **more)

    def removed(of: Said) -> list[str]:
        return [urn for urn, name, _, text, _ in of if name == "status" and "true" in text]

    assert [title for title, _ in told(failed)["failures"]] == ["Failed to get tables from database"]
    assert removed(torn) == []
    assert removed(whole) == ["urn:li:dataset:(urn:li:dataPlatform:glue,d.goes,PROD)"]
    assert told(good)["failures"] == []


def test_a_database_that_cannot_be_listed_is_a_warning(tmp_path: Path) -> None:
    """As it is there, where nothing is removed for it."""
    with glue(
        {"d": {}, "e": {}},
        {"d": [table("t", {"Columns": []})]},
        lambda _, asked, __: "denied" if asked.get("DatabaseName") == "e" else None,
    ):
        kept = {"stateful_ingestion": {**state(tmp_path)["stateful_ingestion"], "remove_stale_metadata": False}}
        ours, pipeline = both(tmp_path, more={"pipeline_name": "glue"}, **kept)

    assert [(title, len(which)) for title, which in told(pipeline)["warnings"]] == [
        ("Failed to get tables from database", 1)
    ]
    assert len(aspects(ours, "datasetProperties")) == 1


def test_databases_that_cannot_be_listed_are_one_failure_in_plain_words(tmp_path: Path) -> None:
    """Theirs fails as well, by an exception that it did not expect."""
    with glue({"own": {}}, {}, lambda operation, _, __: "denied" if operation == "GetDatabases" else None):
        stock, own = (ingest(kind, tmp_path / "out.json")[1] for kind in (STOCK, OURS))

    assert [len(one.source.get_report().failures) for one in (stock, own)] == [1, 1]
    message, (context,) = told(own)["failures"][0]
    assert message == "The databases of Glue's catalog could not be listed"
    assert context.startswith("listing the databases: AccessDeniedException: not authorized to perform")
    assert told(own)["warnings"] == []


def test_no_database_no_metadata(tmp_path: Path) -> None:
    """An empty catalog is worth a warning; one that cannot be asked fails the run."""
    with glue({}, {}):
        _, empty = ingest(OURS, tmp_path / "empty.json")
    with glue({}, {}, lambda _, __, ___: "denied"):
        _, denied = ingest(OURS, tmp_path / "denied.json")

    warnings = empty.source.get_report().warnings
    assert [one.title for one in warnings] == ["No metadata was produced by the source"]
    assert "AccessDenied" in str(told(denied)["failures"])


def test_transformers_see_datahubs_classes(tmp_path: Path) -> None:
    """What they change is what is written, by both sources alike."""
    transformers = [
        {"type": "simple_add_dataset_ownership", "config": {"owner_urns": ["urn:li:corpuser:ann"]}},
        {
            "type": "simple_add_dataset_properties",
            "config": {"properties": {"added": "here"}, "semantics": "OVERWRITE"},
        },
    ]
    with glue({"d": {}}, {"d": [table(f"t{number}", {"Columns": columns("int")}) for number in range(3)]}):
        ours, _ = both(tmp_path, more={"transformers": transformers})

    assert all(one["customProperties"]["added"] == "here" for one in aspects(ours, "datasetProperties").values())


UNSEEN = ("größen ü.without columns", "größen ü.untyped column")


def test_the_report_counts_as_theirs(tmp_path: Path) -> None:
    """Aspects by kind of dataset, tables, views, what was left out; again and again, with the same figures."""
    with usual():
        options = {"table_pattern": {"deny": ["plain.t1", *UNSEEN]}}
        _, theirs = ingest(STOCK, tmp_path / "theirs.json", **options)
        _, ours = ingest(OURS, tmp_path / "ours.json", **options)
    reports = [one.source.get_report() for one in (theirs, ours)]
    for one in reports:
        one.as_obj()
        one.compute_stats()

    first, second = reports
    assert isinstance(second, GlueReport)
    assert {name: dict(found) for name, found in second.aspects.items()} == {
        name: dict(found) for name, found in first.aspects.items()
    }
    for name in ("tables_scanned", "views_scanned", "events_produced"):
        difference = getattr(first, name) - getattr(second, name)
        # theirs is one event for the four or five aspects of a snapshot
        assert difference == 0 if name != "events_produced" else difference < 0, name
    assert [one.as_obj()["filtered"] for one in reports] == [[*UNSEEN, "plain.t1"]] * 2
    json.dumps(second.as_obj())


def test_a_preview_reads_no_further(tmp_path: Path) -> None:
    """And leaves no thread behind, and Python's collector as it was."""
    many = [table(f"t{number}", {"Columns": columns("int")}) for number in range(1000)]
    before = gc.get_threshold()
    with glue({"d": {}}, {"d": many}) as fake:
        recipe = {
            "source": {"type": OURS, "config": {"aws_region": REGION, "extract_transforms": False}},
            "sink": {"type": "file", "config": {"filename": str(tmp_path / "few.json")}},
        }
        pipeline = Pipeline.create(recipe, preview_mode=True, preview_workunits=30, report_to=None)
        pipeline.run()
        assert isinstance(pipeline.source, HeadgateGlueSource)

        assert len(fake.calls) <= 4
        assert not [one for one in threading.enumerate() if one.name.startswith("glue")]
    del pipeline
    gc.collect()
    assert gc.get_threshold() == before
