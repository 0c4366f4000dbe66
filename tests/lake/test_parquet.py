"""This file is where data files are looked into: how columns are written, and by what a file can be passed over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.types import DecimalType, DoubleType, LongType, StringType

from headgate.lake.arrow import Batch
from headgate.lake.columns import INGESTED_AT, SOURCE_FILE, SOURCE_ID, schema_of
from headgate.lake.parquet import DataFiles, arrow_schema
from headgate.lake.quick import CHUNK

from .world import World

ROWS = 30_000
SCHEMA = arrow_schema(
    schema_of(
        {
            "series": StringType(),
            "batch": StringType(),
            "name": StringType(),
            "line": LongType(),
            "scale": LongType(),
            "amount": DecimalType(38, 6),
            "weight": DoubleType(),
            "share": DoubleType(),
        }
    )
)


def rows(count: int = ROWS) -> Batch:
    places = pa.array([0] * count, pa.int32())
    columns: Sequence[Any] = [
        pa.array(["FRY9C"] * count),
        pa.array([f"b{n // 1000:06d}" for n in range(count)]),
        pa.array([f"n{n * 7919 % count}" for n in range(count)]),
        pa.array(range(count), pa.int64()),
        pa.array([n % 3 for n in range(count)], pa.int64()),
        pa.array(range(count), pa.int64()).cast(pa.decimal128(38, 6)),
        pa.array([n / 8 for n in range(count)]),
        pa.array([math.sin(n) if n % 5 else None for n in range(count)]),
        pa.DictionaryArray.from_arrays(places, pa.array(["f" * 64])),
        pa.DictionaryArray.from_arrays(places, pa.array(["s3://b/a.csv"])),
        pa.nulls(count, pa.timestamp("us")),
    ]
    return pa.RecordBatch.from_arrays(columns, names=SCHEMA.names)


def written(folder: Path, *batches: Batch) -> pq.ParquetFile:
    with DataFiles(folder, SCHEMA, writers=1) as files:
        for one in batches:
            files.put(one)
        files.close()
        files.keep()
        [path] = files.paths
    return pq.ParquetFile(path)


def columns(file: pq.ParquetFile) -> dict[str, Any]:
    group = file.metadata.row_group(0)
    return {one.path_in_schema: one for one in map(group.column, range(group.num_columns))}


def test_values_that_come_again_are_written_once(tmp_path: Path) -> None:
    """Told from the values; a dictionary of values that do not repeat would be written for nothing."""
    found = columns(written(tmp_path, rows()))

    with_one = {name for name, one in found.items() if one.has_dictionary_page}
    assert with_one == {"series", "batch", "scale", SOURCE_ID, SOURCE_FILE, INGESTED_AT}


def test_only_what_gets_smaller_is_compressed(tmp_path: Path) -> None:
    """Told from the first rows: fractions as they are measured stay as large as they are."""
    found = columns(written(tmp_path, rows()))

    assert {name for name, one in found.items() if one.compression == "UNCOMPRESSED"} == {"share"}
    assert {one.compression for one in found.values()} == {"UNCOMPRESSED", "ZSTD"}


def test_bounds_are_kept_where_they_let_a_file_be_passed_over(tmp_path: Path) -> None:
    """Numbers, keys and texts that stand together or in order; not texts in any order. A short file has all."""
    found = columns(written(tmp_path, rows()))
    short = columns(written(tmp_path, rows(100)))

    assert {name for name, one in found.items() if not one.is_stats_set} == {"name"}
    assert (found["series"].statistics.min, found["series"].statistics.max) == ("FRY9C", "FRY9C")
    assert all(one.is_stats_set for one in short.values())


def test_what_comes_as_dictionaries_is_read_back_as_plain_columns(tmp_path: Path) -> None:
    """Dictionaries of different rows that make one group are put together; a reader finds texts."""
    first, second = rows(3), rows(2)
    other = pa.DictionaryArray.from_arrays(pa.array([1, 0], pa.int32()), pa.array(["a", "b"]))
    file = written(tmp_path, first, second.set_column(8, SOURCE_ID, other))

    found = file.read()
    assert found.schema.types == SCHEMA.types
    assert found.column(SOURCE_ID).to_pylist() == ["f" * 64] * 3 + ["b", "a"]
    assert [one.metadata[b"PARQUET:field_id"] for one in found.schema] == [
        one.metadata[b"PARQUET:field_id"] for one in SCHEMA
    ]


def test_a_file_without_bounds_is_found_by_its_values(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Columns without bounds are searched; one with bounds lets PyIceberg pass over the file."""
    lines = "".join(f"x{n * 7919 % 40_000},{n},{'c' * 80}\n" for n in range(40_000))
    assert len(lines) < CHUNK
    world.ingest(world.file("a.csv", f"entity_name,line_no,comment\n{lines}"))

    assert "statistics missing" not in caplog.text
    table = world.table()
    assert table.scan("entity_name == 'x7919'").to_arrow().column("line_no").to_pylist() == [1]
    assert not list(table.scan("line_no == 40000").plan_files())
    assert list(table.scan("entity_name == 'no such'").plan_files())
