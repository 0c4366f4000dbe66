"""This file is where the lake's jobs say what they read and wrote, column by column."""

from __future__ import annotations

from headgate.lake import dual_engine_views, lineage

from .world import TABLE, World


def test_an_ingestion_says_its_folder_its_table_and_every_column(world: World) -> None:
    """Each column of the file goes into the table's column of its name; the others come from nowhere."""
    said = world.ingest(world.file("collections-data/day=1/a.csv", "VALUE,series_id\n1,FRY9C\n"))["openlineage"]
    assert isinstance(said, dict)
    [source], [table] = said["inputs"], said["outputs"]
    assert (source["namespace"], source["name"]) == ("s3://raw-data", "collections-data/day=1")
    assert (table["namespace"], table["name"]) == ("iceberg", TABLE)
    columns = table["facets"]["columnLineage"]["fields"]
    assert set(columns) == {"series_id", "value"}
    [value] = columns["value"]["inputFields"]
    assert (value["name"], value["field"]) == ("collections-data/day=1", "value")
    fields = {one["name"] for one in table["facets"]["schema"]["fields"]}
    assert {"_source_id", "comment", "value"} <= fields


def test_files_that_add_nothing_have_no_lineage(world: World) -> None:
    """Where nothing landed nothing was written."""
    again = world.file("a.csv", "series_id\nFRY9C\n")
    world.ingest(again)
    assert "openlineage" not in world.ingest(again)


def test_views_come_from_their_table_column_by_column(world: World) -> None:
    """Every view is an output, with each column from the table's of that name."""
    world.ingest(world.file("a.csv", "series_id,value\nFRY9C,1\n"))
    context = world.context(None)
    dual_engine_views(context)
    said = context.results["openlineage"]
    assert isinstance(said, dict)
    assert [one["name"] for one in said["inputs"]] == [TABLE]
    assert [one["name"] for one in said["outputs"]] == context.results["views"]
    fields = said["outputs"][1]["facets"]["columnLineage"]["fields"]
    assert fields["value"]["inputFields"][0]["name"] == TABLE


def test_many_folders_become_their_parents() -> None:
    """A thousand partitions are told as what they are parts of."""
    many = [("b", f"data/day={n}/part.csv") for n in range(1000)]
    assert lineage.folders_of(many) == [("b", "data")]
    assert lineage.folders_of(many[:3]) == [("b", "data/day=0"), ("b", "data/day=1"), ("b", "data/day=2")]


def test_folders_without_a_parent_end() -> None:
    """Files in the roots of many buckets stay what they are."""
    roots = [(f"b{n}", "a.csv") for n in range(50)]
    assert lineage.folders_of(roots) == [(f"b{n}", "") for n in range(50)]
