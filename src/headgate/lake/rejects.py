"""This file is where rejects are collected, one row a record, each with its place in the file."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, Final

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, IcebergType, IntegerType, LongType

from headgate.lake.columns import REJECTS, duckdb_type
from headgate.lake.headers import compressed
from headgate.lake.locate import at_places, number_of, open_text
from headgate.lake.parquet import DataFiles, arrow_schema
from headgate.lake.scan import RAW, Error, Misfit, Part
from headgate.lake.sources import Source

#: Characters of a message that are kept; the reader's quote the value.
_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A file refused whole. `reason` is FILE, or MISSING for one that is gone."""

    source: Source
    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class Rejects:
    """The rejects of one attempt, on their way into data files of the rejects table."""

    files: DataFiles
    run_id: str
    ids: set[str] = field(default_factory=set[str])
    count: int = 0
    _at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))

    def refuse(self, refusal: Refusal) -> None:
        row = {"column_name": None, "record_number": None, "byte_offset": None, "raw": None}
        self._put(refusal.source, [{**row, "reason": refusal.reason, "message": refusal.message}])

    def add(self, part: Part, schema: Schema) -> None:
        """Take over what a pass found. Call it while the part's bundle is open, after the last batch."""
        errors: dict[int, list[Error]] = {}
        for one in part.errors:
            errors.setdefault(one.file, []).append(one)
        for place in sorted({*errors, *part.misfits}):
            mine = errors.get(place, [])
            with _text(part, place) as text:
                numbers = _numbers(part, mine, text)
                rows = [_error_row(one, number) for one, number in zip(mine, numbers, strict=True)]
                rows += _misfit_rows(part.misfits.get(place, []), text, set(numbers), schema)
            for row in rows:
                _shift(row, part.shift)
            self._put(part.sources[place], rows)

    def _put(self, source: Source, rows: Sequence[Mapping[str, object]]) -> None:
        ours = {"source_id": source.id, "source_file": source.uri, "run_id": self.run_id, "rejected_at": self._at}
        self.files.put(pa.RecordBatch.from_pylist([{**row, **ours} for row in rows], schema=arrow_schema(REJECTS)))
        self.ids.add(source.id)
        self.count += len(rows)


def _shift(row: dict[str, object], by: tuple[int, int]) -> None:
    """A place in a part of a file as the place in the file."""
    for name, distance in zip(("byte_offset", "record_number"), by, strict=True):
        if isinstance(here := row[name], int):
            row[name] = here + distance


def too_many(part: Part, counted: Counter[str]) -> list[Refusal]:
    """The files of a part that have, by now, more rejected records than they may; `counted` is by source id."""
    firsts = {one.file: _first_line(one) for one in reversed(part.errors)}
    for place, found in part.misfits.items():
        firsts.setdefault(place, f"{found[0].text!r} does not fit the column {found[0].column}")
    return [
        Refusal(
            source=part.sources[place],
            reason="FILE",
            message=f"more than {part.limit} of its records would be rejected (--max_rejects); one: {firsts[place]}",
        )
        for place in part.rejects()
        if counted[part.sources[place].id] > part.limit
    ]


def _first_line(error: Error) -> str:
    return (error.message.splitlines()[0] if error.message else error.reason)[:_MESSAGE]


def _text(part: Part, place: int) -> BinaryIO:
    """A file's text; for a bundled one with a blind header of the same length."""
    if part.bundle is None:
        path = part.sources[place].path
        return open_text(path, packed=compressed(str(path)))
    skip = part.bundle.skips[place]
    header = b"h" * (skip - 1) + b"\n" if skip else b""
    return io.BytesIO(header + part.bundle.content(place))


def _numbers(part: Part, errors: Sequence[Error], text: BinaryIO) -> list[int]:
    """Record numbers in the file of the reader's errors; in a bundle the reader counts across files."""
    if part.bundle is None or not errors:
        return [one.record for one in errors]
    content = text.read()
    text.seek(0, os.SEEK_SET)
    return [number_of(content, one.offset) for one in errors]


def _error_row(error: Error, number: int) -> dict[str, object]:
    return {
        "record_number": number,
        "byte_offset": error.offset,
        "column_name": error.column,
        "reason": error.reason,
        "message": _first_line(error),
        "raw": error.raw[:RAW],
    }


def _misfit_rows(
    misfits: Sequence[Misfit], text: BinaryIO, skipped: set[int], schema: Schema
) -> list[dict[str, object]]:
    places = at_places(text, [one.place for one in misfits], skipped) if misfits else {}
    rows: list[dict[str, object]] = []
    for one in misfits:
        number, offset, raw = places.get(one.place, (None, None, one.text))
        if one.text.replace('"', '""') not in raw:
            # quoting so broken that reader and finder disagree about where records end: say what is certain
            number, offset, raw = None, None, one.text
        reason, message = _why(one, schema.find_type(one.column))
        rows.append(
            {
                "record_number": number,
                "byte_offset": offset,
                "column_name": one.column,
                "reason": reason,
                "message": message[:_MESSAGE],
                "raw": raw[:RAW],
            }
        )
    return rows


def _why(misfit: Misfit, of: IcebergType) -> tuple[str, str]:
    scale = of.scale if isinstance(of, DecimalType) else 0 if isinstance(of, LongType | IntegerType) else None
    if scale is not None and _digits(misfit.text) > scale:
        may = f"{scale} fraction digits" if scale else "no fraction"
        return "FRACTION DIGITS", f"{misfit.text!r} has more than the column {misfit.column} holds: {may}"
    return "CAST", f"{misfit.text!r} is no {duckdb_type(of)} for the column {misfit.column}"


def _digits(text: str) -> int:
    try:
        exponent = Decimal(text.strip()).as_tuple().exponent
    except InvalidOperation:
        return -1
    return -exponent if isinstance(exponent, int) else -1
