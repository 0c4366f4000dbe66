"""This file is where queries over the lake are shown to answer, to do nothing but read, and to fail in words."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.job import Lake
from headgate.lake import dual_engine_views, open_catalog, query, tables
from headgate.lake.read import rows

from .world import TABLE, World

ROWS = (
    "series_id,report_date,value,submitted_at,line_no,confidence\nA,2026-01-01,1.5,2026-01-01T10:00:00,1,nan\nB,,,,2,\n"
)


def test_rows_are_json(world: World) -> None:
    """Decimals are strings, dates ISO 8601, what JSON lacks a word, and every value its type."""
    world.ingest(world.file("a.csv", ROWS))

    found = query(
        world.lake,
        f"SELECT series_id, report_date, value, submitted_at, line_no, confidence, [1.5] AS l, {{'k': value}} AS s, "
        f"'x'::BLOB AS b, line_no AS line_no FROM {TABLE} ORDER BY line_no",
    )

    assert found[0] == {
        "series_id": "A",
        "report_date": "2026-01-01",
        "value": "1.500000",
        "submitted_at": "2026-01-01T10:00:00",
        "line_no": 1,
        "confidence": "nan",
        "l": ["1.5"],
        "s": {"k": "1.500000"},
        "b": "eA==",
        "line_no_2": 1,
    }
    assert found[1]["value"] is None
    json.dumps(found, allow_nan=False)


def test_columns_added_and_renamed_since_are_read_by_their_ids(world: World) -> None:
    """Old files lack the column, or have it under its old name."""
    world.ingest(world.file("a.csv", "series_id,line_no\nA,1\n"))
    with world.table().update_schema() as update:
        update.rename_column("line_no", "line")
    world.ingest(world.file("b.csv", "series_id,line,extra\nB,2,x\n"))

    found = query(world.lake, f"SELECT series_id, line, extra FROM {TABLE} ORDER BY 1")

    assert [tuple(row.values()) for row in found] == [("A", 1, None), ("B", 2, "x")]


def test_an_empty_table_has_its_columns_and_no_rows(world: World) -> None:
    """Made but never written to."""
    world.ingest(world.file("a.csv", "line_no\n"))

    assert query(world.lake, f"SELECT value FROM {TABLE}") == []


def test_a_table_with_deletes_of_another_engine_is_read_without_the_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then PyIceberg reads the table, not DuckDB."""
    from headgate.lake import read

    world.ingest(world.file("a.csv", "line_no\n1\n2\n"))

    class Task:
        delete_files = ("some",)

    class Scan:
        def plan_files(self) -> list[Task]:
            return [Task()]

        def to_arrow(self) -> pa.Table:  # pyright: ignore[reportUnknownParameterType] - pyarrow has no types
            return pa.table({"line_no": [2]})

    monkeypatch.setattr(Table, "scan", lambda _: Scan())  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] - stands in

    assert list(read.rows(world.lake, f"SELECT line_no FROM {TABLE}")) == [{"line_no": 2}]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM collections.collections_data_staging",
        "CREATE TABLE x (a INT)",
        "SELECT 1; SELECT 2",
        "COPY (SELECT 1) TO '{there}'",
        "ATTACH '{there}' AS x",
        "SET memory_limit='1GB'",
        "INSTALL httpfs",
        "",
        "SELEC 1",
        "SELECT nothing FROM collections.collections_data_staging",
        "SELECT * FROM read_csv('{there}')",
        "SELECT * FROM '{there}'",
        "SELECT * FROM read_text('{there}')",
        "SELECT * FROM glob('{folder}/*')",
    ],
)
def test_only_reading_the_lake_is_allowed(world: World, tmp_path: Path, sql: str) -> None:
    """One SELECT over the lake's names; no other statement, no other file."""
    world.ingest(world.file("a.csv", ROWS))
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")

    with pytest.raises((Invalid, NotFound)):
        query(world.lake, sql.format(there=secret, folder=tmp_path))

    assert len(world.rows()) == 2


def test_a_name_that_is_not_there_is_named(world: World) -> None:
    """And where to look is said."""
    with pytest.raises(NotFound, match=r"'a\.b'.*lake tables"):
        query(world.lake, "SELECT * FROM a.b")


def test_common_table_expressions_and_joins_of_views_work(world: World) -> None:
    """Names inside the query are not looked for in the lake."""
    world.ingest(world.file("a.csv", ROWS))
    dual_engine_views(world.context(None))

    found = query(
        world.lake,
        "WITH a AS (SELECT * FROM collections.a_report_view) "
        'SELECT count(*) AS n FROM a JOIN "collections"."collections_data_view" AS v USING (line_no)',
    )

    assert found == [{"n": 1}]


def test_many_rows_come_one_after_the_other(world: World) -> None:
    """All of them, in the order asked for."""
    world.ingest(world.file("a.csv", "line_no\n" + "".join(f"{n}\n" for n in range(2500))))

    found = rows(world.lake, f"SELECT line_no FROM {TABLE} ORDER BY line_no")

    assert [row["line_no"] for row in found] == list(range(2500))


def test_tables_lists_tables_and_views(world: World) -> None:
    """With rows, the snapshot and the place."""
    result = world.ingest(world.file("a.csv", ROWS + "A,x,,,,\n"))
    dual_engine_views(world.context(None))

    found = {str(row["name"]): row for row in tables(world.lake)}

    assert found[TABLE]["rows"] == 2
    assert found[TABLE]["snapshot_id"] == result["snapshot_id"]
    assert found[f"{TABLE}_rejects"]["rows"] == 1
    assert (found["collections.a_report_view"]["type"], found["collections.a_report_view"]["rows"]) == ("VIEW", 1)
    assert str(found[TABLE]["location"]).startswith("file://")


def test_a_lake_that_is_not_configured_or_damaged_says_so(tmp_path: Path) -> None:
    """No stack of a database driver."""
    with pytest.raises(Invalid, match="no lake is configured"):
        open_catalog(Lake())
    (tmp_path / "catalog.db").write_text("this is no database, but long enough to be taken for one" * 100)
    broken = Lake(uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/w")
    with pytest.raises(Unavailable, match="damaged"):
        open_catalog(broken)
