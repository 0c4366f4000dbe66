"""This file is where the views are shown to be right in every dialect, made once, and never failed in silence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import sqlglot
from sqlalchemy import text
from sqlglot import exp

from headgate.errors import Conflict, Invalid, NotFound, Unavailable
from headgate.job import Context, NotRetryable
from headgate.lake import dual_engine_views, query, views
from headgate.lake.catalog import folder
from headgate.lake.reports import view_name

from .world import TABLE, World

ROWS = "series_id,value,line_no\nFRY9C,1.5,1\nFRY9C,2.5,2\nFFIEC031,4,3\n,9,4\nO'Hare 1,5,5\n"


def make(world: World, **arguments: str) -> dict[str, object]:
    context: Context = world.context(None, **arguments)
    dual_engine_views(context)
    return dict(context.results)


def test_there_is_one_view_of_all_and_one_of_each_series(world: World) -> None:
    """The unified view has every row and column, a series' view its rows."""
    world.ingest(world.file("a.csv", ROWS))

    result = make(world)

    assert result["views"] == [
        "collections.collections_data_view",
        "collections.ffiec031_report_view",
        "collections.fry9c_report_view",
        "collections.o_hare_1_report_view",
    ]
    assert (result["created"], result["unchanged"], result["tables"]) == (4, 0, 1)
    total = query(world.lake, "SELECT count(*) AS n, sum(value) AS v FROM collections.collections_data_view")
    assert total == [{"n": 5, "v": "22.000000"}]
    assert query(world.lake, "SELECT sum(value) AS v FROM collections.fry9c_report_view") == [{"v": "4.000000"}]
    assert len(query(world.lake, "SELECT * FROM collections.o_hare_1_report_view")[0]) == 23


def test_every_view_speaks_three_dialects_that_mean_the_same(world: World) -> None:
    """Spark quotes with backticks, Athena and DuckDB with double quotes; parsed back they are one query."""
    world.ingest(world.file("a.csv", ROWS))
    make(world)

    for name in views.names(world.catalog):
        sql = views.load(world.catalog, name).sql
        assert set(sql) == {"spark", "athena", "duckdb"}
        assert "`series_id`" in sql["spark"]
        parsed = [sqlglot.parse_one(sql[one], read=one).sql(dialect="duckdb", identify=True) for one in sql]
        assert len(set(parsed)) == 1
        assert isinstance(sqlglot.parse_one(sql["athena"], read="athena"), exp.Select)


def test_a_second_run_changes_nothing(world: World) -> None:
    """No new version, no new file; another column makes a new version that keeps the old."""
    world.ingest(world.file("a.csv", ROWS))
    make(world)
    files = sorted(folder(world.lake.warehouse).rglob("*_view/metadata/*"))

    again = make(world)
    unchanged = sorted(folder(world.lake.warehouse).rglob("*_view/metadata/*"))
    world.ingest(world.file("b.csv", "series_id,extra\nFRY9C,1\n"))
    third = make(world)

    assert (again["created"], again["unchanged"], unchanged) == (0, 4, files)
    assert third["replaced"] == 4
    view = views.load(world.catalog, "collections.fry9c_report_view")
    assert view.version == 2
    assert len(query(world.lake, "SELECT extra FROM collections.fry9c_report_view")) == 3


def test_the_row_and_the_file_are_as_icebergs_jdbc_catalog_has_them(world: World) -> None:
    """iceberg_type VIEW, the metadata where the row says, no default-catalog, PyIceberg's tables untouched by it."""
    world.ingest(world.file("a.csv", ROWS))
    make(world, series="FRY9C")

    with world.catalog.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT table_name, metadata_location FROM iceberg_tables WHERE iceberg_type = 'VIEW'")
        ).fetchall()
    metadata = json.loads(folder(dict(tuple(row) for row in rows)["fry9c_report_view"]).read_text())

    assert metadata["format-version"] == 1
    assert metadata["current-version-id"] == metadata["version-log"][-1]["version-id"] == 1
    version = metadata["versions"][0]
    assert version["default-namespace"] == ["collections"]
    assert "default-catalog" not in version
    assert {one["type"] for one in version["representations"]} == {"sql"}
    assert metadata["location"].endswith("/collections/fry9c_report_view")
    assert ("collections", "fry9c_report_view") not in world.catalog.list_tables("collections")


def test_metadata_that_spark_packed_is_read(world: World) -> None:
    """Spark writes .gz.metadata.json by default; the bytes tell, not the name."""
    world.ingest(world.file("a.csv", ROWS))
    make(world)
    [where] = folder(world.lake.warehouse).rglob("fry9c_report_view/metadata/*")
    where.write_bytes(gzip.compress(where.read_bytes()))

    assert views.load(world.catalog, "collections.fry9c_report_view").version == 1


def test_somebody_quicker_is_not_overwritten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog is swapped only from what was read; then it is read again."""
    world.ingest(world.file("a.csv", ROWS))
    schema = world.table().schema()
    views.put(world.catalog, "collections.v", {"spark": "SELECT 1"}, schema)
    original = views._write  # pyright: ignore[reportPrivateUsage] - the moment in between
    armed = [True]

    def write(*arguments: object) -> str:
        if armed[0]:
            armed[0] = False
            views.put(world.catalog, "collections.v", {"spark": "SELECT 2"}, schema)
        return original(*arguments)  # pyright: ignore[reportArgumentType] - passed through

    monkeypatch.setattr(views, "_write", write)

    outcome = views.put(world.catalog, "collections.v", {"spark": "SELECT 3"}, schema)

    found = views.load(world.catalog, "collections.v")
    assert (outcome, found.version, found.sql) == ("replaced", 3, {"spark": "SELECT 3"})


def test_a_view_that_reads_back_differently_fails_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference job succeeded with its views missing; this one does not."""
    world.ingest(world.file("a.csv", ROWS))
    monkeypatch.setattr(views, "_swap", lambda *_: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - says it did

    with pytest.raises((NotFound, Unavailable)):
        make(world)


@pytest.mark.parametrize(
    ("series", "why"),
    [
        ("FRY9C,fry9c", "'FRY9C' and 'fry9c'"),
        ("A B,A-B", "'A B' and 'A-B'"),
        ("修正", "no letter"),
        ("!!", "no letter"),
    ],
)
def test_series_that_can_not_be_told_apart_fail_for_good(world: World, series: str, why: str) -> None:
    """The message names both; no view is made."""
    world.ingest(world.file("a.csv", ROWS))

    with pytest.raises(NotRetryable, match=why):
        make(world, series=series)

    assert views.names(world.catalog) == []


def test_without_the_table_the_job_fails_for_good(world: World) -> None:
    """It says what to do first."""
    with pytest.raises(NotRetryable, match="ingest something first"):
        make(world)


def test_a_table_is_never_taken_for_a_view(world: World) -> None:
    """Nor overwritten by one of the same name."""
    world.ingest(world.file("a.csv", ROWS))

    with pytest.raises(Conflict, match="is a table"):
        views.put(world.catalog, TABLE, {"spark": "SELECT 1"}, world.table().schema())


def test_view_names_are_identifiers() -> None:
    """Lower case; what is neither letter nor digit is one underscore; a digit in front gets a letter."""
    assert view_name("FRY9C") == "fry9c_report_view"
    assert view_name(" FR Y-9C/é ") == "fr_y_9c_report_view"
    assert view_name("9C") == "s_9c_report_view"
    with pytest.raises(Invalid):
        view_name("--")


def test_other_tables_have_a_view_named_after_them(world: World, tmp_path: Path) -> None:
    """Without a column series_id there is the one view only."""
    world.ingest(world.file("a.csv", "id\n1\n"), table="other.things")

    assert make(world, table="other.things")["views"] == ["other.things_view"]
