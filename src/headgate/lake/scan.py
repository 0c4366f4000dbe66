"""This file is where DuckDB reads CSV files: one pass over files with the same header, in order, with its rejects.

Rows come in the order of the files and of their records (that costs nothing, measured), so a row that is rejected here
is known by its place among the rows the reader took, and `locate` can find it in the file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema

from headgate.lake.arrow import Array, Batch, call
from headgate.lake.bundle import Bundle
from headgate.lake.columns import OURS, cast, duckdb_type, literal, quoted
from headgate.lake.headers import compressed
from headgate.lake.sources import Source

#: Rows of one Arrow batch.
BATCH: Final = 60_000
#: Bytes of a bundle that one thread reads at a time, so that several read it.
_SHARE: Final = 4 << 20
#: Bytes of a rejected record that are kept.
RAW: Final = 65_536
#: Gives the one connection of an attempt.
Duck: TypeAlias = Callable[[], duckdb.DuckDBPyConnection]
_PATTERN: Final = frozenset("*?[]{}")
_FILE: Final = "__headgate_file"
_SUSPECT: Final = "__headgate_suspect"


def threads() -> int:
    """How many threads read. More than four need more memory than they are worth."""
    return max(1, min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A row that the reader took and our casts did not."""

    place: int  #: among the rows the reader took of this file, from 0
    column: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A record that the reader rejected."""

    file: int  #: place in `Part.sources`
    record: int  #: 1 is the header (of the bundle, for a bundle)
    offset: int  #: of its first byte, from 0
    column: str | None
    reason: str
    message: str
    raw: str


@dataclass(slots=True, kw_only=True)
class Part:
    """Files with the same header, read in one pass, and what the pass found out."""

    names: Sequence[str]  #: the table's columns that the header's fields are, in the header's order
    sources: Sequence[Source]
    limit: int  #: rejects that a file may have
    bundle: Bundle | None = None  #: the files' records, where they are in memory
    hashed: bool = False  #: the files' bytes are hashed as they are read
    upto: int | None = None  #: bytes of the file that are read with this part; None: all there are
    misfits: dict[int, list[Misfit]] = field(default_factory=dict[int, list[Misfit]])  #: by place in `sources`
    taken: Counter[int] = field(default_factory=Counter[int])  #: rows the reader took, by place in `sources`
    errors: list[Error] = field(default_factory=list[Error])  #: complete when the pass is over
    markers: int = 0  #: found in the bundle
    quick: tuple[Batch, Array] | None = None  #: all rows and their places, where the files had no fault
    shift: tuple[int, int] = (0, 0)  #: bytes and records of the file before a part of it that is read alone

    def rejects(self) -> Counter[int]:
        """Rejected records by place in `sources`; counting ends a little above the limit."""
        counted = Counter(one.file for one in self.errors)
        counted.update({place: len(found) for place, found in self.misfits.items()})
        return counted


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB that keeps to a fixed amount of memory, writes nothing to disk and has its clock in UTC."""
    connection = duckdb.connect(config={"threads": threads(), "memory_limit": "256MB", "temp_directory": ""})
    return connection.execute("SET TimeZone = 'UTC'")


@contextmanager
def on_demand() -> Generator[Duck]:
    """A DuckDB that is made when it is first called for: files without a fault need none."""
    with ExitStack() as opened:
        yield cache(lambda: opened.enter_context(connect()))


@contextmanager
def readable(sources: Sequence[Source]) -> Generator[list[str]]:
    """The sources' paths as the reader takes them for one file each: it would expand `part[1]*.csv`.

    Raises:
        FileNotFoundError: one of those is gone.
    """
    with ExitStack() as opened:
        paths: list[str] = []
        for one in sources:
            path = str(one.path)
            if not _PATTERN.isdisjoint(path):
                path = f"/dev/fd/{opened.enter_context(one.path.open('rb')).fileno()}"
            paths.append(path)
        yield paths


def reader(
    paths: Sequence[str], types: Mapping[str, str], *, packed: bool, rejects: int | None = None, buffer: int = 8 << 20
) -> str:
    """SQL of a read over files whose header's fields are `types`, in that order.

    Args:
        paths: of files that are all compressed, or none.
        types: name -> DuckDB type.
        packed: whether they are gzip.
        rejects: bad records noted a file, 0 for all; None: they are passed over.
        buffer: bytes that one thread reads at a time.
    """
    columns = ", ".join(f"{literal(name)}: {literal(of)}" for name, of in types.items())
    keep = (
        "ignore_errors=true"
        if rejects is None
        else f"store_rejects=true, rejects_limit={rejects}, rejects_line_size_limit={RAW}"
    )
    files = ", ".join(literal(one) for one in paths)
    return (
        f"read_csv([{files}], header=true, auto_detect=false, delim=',', quote='\"', escape='\"', strict_mode=true, "
        f"compression='{'gzip' if packed else 'none'}', buffer_size={buffer}, columns={{{columns}}}, {keep})"
    )


def batches(connection: duckdb.DuckDBPyConnection, part: Part, schema: Schema) -> Iterator[tuple[Batch, Array]]:
    """The good rows of a part as batches of the table's own columns, each with its rows' places in `part.sources`.

    `part` is filled on the way; its `errors` are complete only after the last batch.
    """
    with ExitStack() as opened:
        paths = [part.bundle.path] if part.bundle else opened.enter_context(readable(part.sources))
        yield from _pass(connection, part, schema, paths)


def located(bundle: Bundle, names: Sequence[str], batch: Batch) -> tuple[Batch, Array, int]:
    """A bundle's rows without its markers, each row's file, and how many markers there were."""
    if not bundle.marked:
        return batch, beginning(batch.num_rows), 0
    column = batch.column(names[bundle.before])
    marks = call("starts_with", column, options=pc.MatchSubstringOptions(bundle.marker))
    marks = call("coalesce", marks, pa.scalar(value=False))
    texts = call("utf8_slice_codeunits", column.filter(marks), options=pc.SliceOptions(len(bundle.marker)))
    numbers = call("replace_with_mask", pa.nulls(len(column), pa.int64()), marks, texts.cast(pa.int64()))
    rows = call("invert", marks)
    return batch.filter(rows), call("fill_null_forward", numbers).filter(rows), marks.true_count


def beginning(rows: int) -> Array:
    """The places of rows that are all of the first file."""
    return pa.repeat(pa.scalar(0, pa.int64()), rows)


def _pass(
    connection: duckdb.DuckDBPyConnection, part: Part, schema: Schema, paths: Sequence[str]
) -> Iterator[tuple[Batch, Array]]:
    connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    aside = connection.cursor()
    current = pa.scalar(0, pa.int64())
    for raw in connection.sql(_query(part, schema, paths)).to_arrow_reader(BATCH):
        batch, files = raw, raw.column(_FILE).cast(pa.int64())
        if part.bundle is not None and part.bundle.marked:
            marks, files = call("is_valid", files), call("coalesce", call("fill_null_forward", files), current)
            current = files[len(files) - 1]
            part.markers += marks.true_count
            if marks.true_count:
                rows = call("invert", marks)
                batch, files = batch.filter(rows), files.filter(rows)
        suspects = batch.column(_SUSPECT)
        good = batch.select([name for name in batch.schema.names if name not in {_FILE, _SUSPECT}])
        bad = _misfits(aside, part, files, suspects, schema) if suspects.null_count != len(suspects) else None
        for entry in call("value_counts", files).to_pylist():
            part.taken[entry["values"]] += entry["counts"]
        if bad is not None:
            good, files = good.filter(bad), files.filter(bad)
        yield good, files
    part.errors = _errors(connection, part, paths)


def _query(part: Part, schema: Schema, paths: Sequence[str]) -> str:
    """Texts and values in the inner query (so that a cast is made once), suspects in the outer."""
    casts = {name: cast(schema.find_type(name)) for name in part.names}
    texts = {name: quoted(f"text of {name}") for name in part.names}
    inner = [f"{casts[name].value_of(quoted(name))} AS {quoted(name)}" for name in part.names]
    inner += [f"{quoted(name)} AS {texts[name]}" for name in part.names if casts[name].bad]
    outer = [
        quoted(one.name) if one.name in casts else f"CAST(NULL AS {duckdb_type(one.field_type)}) AS {quoted(one.name)}"
        for one in schema.fields
        if one.name not in OURS
    ]
    judged = [name for name in part.names if casts[name].bad]
    tests = [f"({texts[n]} IS NOT NULL AND {casts[n].suspect_of(texts[n], quoted(n))})" for n in judged]
    suspect = (
        f"CASE WHEN {' OR '.join(tests)} THEN [{', '.join(texts[n] for n in judged)}] END"
        if tests
        else "CAST(NULL AS VARCHAR[])"
    )
    declared = {name: casts[name].declared for name in part.names}
    if part.bundle is None:
        packed = compressed(str(part.sources[0].path))
        source = reader(paths, declared, packed=packed, rejects=part.limit + 1)
        place = "file_index"
    else:
        source = reader(paths, declared, packed=False, rejects=0, buffer=_SHARE)
        place = "CAST(0 AS BIGINT)"
        if part.bundle.marked:
            place = _marker(quoted(part.names[part.bundle.before]), part.bundle.marker)
    inner.append(f"{place} AS {_FILE}")
    texts_and_values = f"SELECT {', '.join(inner)} FROM {source}"  # noqa: S608 - quoted above
    return f"SELECT {', '.join(outer)}, {_FILE}, {suspect} AS {_SUSPECT} FROM ({texts_and_values})"  # noqa: S608


def _marker(column: str, marker: str) -> str:
    number = f"CAST(substr({column}, {len(marker) + 1}) AS BIGINT)"
    return f"CASE WHEN starts_with({column}, {literal(marker)}) THEN {number} END"


def _misfits(
    aside: duckdb.DuckDBPyConnection, part: Part, files: Array, suspects: Array, schema: Schema
) -> Array | None:
    """Judge the suspects of a batch exactly and note those that are bad; returns which rows are good, None for all."""
    judged = [name for name in part.names if cast(schema.find_type(name)).bad]
    rows = call("indices_nonzero", call("is_valid", suspects))
    texts = call("list_flatten", suspects)
    wide = pa.table(
        {f"c{n}": texts.take(pa.array(range(n, len(texts), len(judged)), pa.int64())) for n in range(len(judged))}
    )
    tests = [
        f"WHEN c{n} IS NOT NULL AND {cast(schema.find_type(name)).bad_of(f'c{n}')} THEN {n}"
        for n, name in enumerate(judged)
    ]
    aside.register("suspects", wide)
    judge = f"SELECT CASE {' '.join(tests)} END AS bad FROM suspects"  # noqa: S608 - SQL of our own
    verdict = aside.sql(judge).to_arrow_table().column(0)
    aside.unregister("suspects")
    guilty = call("indices_nonzero", call("is_valid", verdict)).to_pylist()
    if not guilty:
        return None
    firsts: dict[int, int] = {}
    bad = [int(rows[one].as_py()) for one in guilty]
    for row, one in zip(bad, guilty, strict=True):
        owner = int(files[row].as_py())
        if owner not in firsts:
            firsts[owner] = files.index(owner).as_py()
        noted = part.misfits.setdefault(owner, [])
        if len(noted) <= part.limit:
            number = verdict[one].as_py()
            place = part.taken[owner] + row - firsts[owner]
            noted.append(Misfit(place=place, column=judged[number], text=wide.column(number)[one].as_py()))
    mask = [True] * len(files)
    for row in bad:
        mask[row] = False
    return pa.array(mask)


def _errors(connection: duckdb.DuckDBPyConnection, part: Part, paths: Sequence[str]) -> list[Error]:
    """The reader's rejects, one a record: its first error by column."""
    found = connection.execute(
        "SELECT s.file_path, e.line, min(e.line_byte_position), arg_min(e.column_name, e.column_idx), "
        "arg_min(e.error_type::VARCHAR, e.column_idx), arg_min(e.error_message, e.column_idx), any_value(e.csv_line) "
        "FROM reject_errors e JOIN reject_scans s USING (scan_id, file_id) GROUP BY s.file_path, e.line ORDER BY 1, 2"
    ).fetchall()
    places = {path: place for place, path in enumerate(paths)}
    errors: list[Error] = []
    for path, record, start, column, reason, message, raw in found:
        place, offset = places.get(path, 0), start - 1
        if part.bundle is not None:
            place, offset = part.bundle.place(offset)
        errors.append(
            Error(
                file=place,
                record=record,
                offset=offset,
                column=column,
                reason=reason,
                message=message or "",
                raw=raw or "",
            )
        )
    return errors
