"""This file is where text without any fault is read in half the time that the careful reader takes.

Arrow's CSV reader is quick and strict about values, but it stops at the first fault, says little about it, and is
lenient about quotes. So the quotes are checked first, by a regular expression in linear time, and whatever it does not
take as a whole goes to `scan`, which takes the good records and tells why the others are bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum, auto
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyiceberg.schema import Schema

from headgate.lake.arrow import Array, Batch, call
from headgate.lake.parquet import arrow_schema

#: Bytes of a chunk: some tens of milliseconds of work.
CHUNK: Final = 4 << 20
#: Records longer than this are left to the careful reader.
_LONGEST: Final = 2 * CHUNK
_FIELD: Final = r'(?:[^",\r\n]*|"[^"]*(?:""[^"]*)*")'
#: Records of two fields or more, none of them blank; and any records.
_FULL: Final = rf"\A(?:{_FIELD}(?:,{_FIELD})+\r?\n)*\z"
_ANY: Final = rf"\A(?:{_FIELD}(?:,|\r?\n))*\z"


def chunks(file: BinaryIO, *, size: int = CHUNK) -> Iterator[bytes]:
    """The rest of a file in chunks of whole records, each ending with a line end (the last gets one).

    A line end inside quotes ends no record. Where quotes are not balanced the cuts are wrong, and `quotes` says so.
    """
    rest, odd = b"", 0
    while block := file.read(size):
        odd ^= block.count(b'"') & 1
        text = rest + block
        cut = _cut(text, odd)
        if not cut and len(text) > _LONGEST:
            cut = len(text)  # no record we know; to be found irregular
            odd = 0
        if cut:
            yield text[:cut]
        rest = text[cut:]
    if rest:
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _cut(text: bytes, odd: int) -> int:
    """Where the last whole record ends; `odd`: whether a quote is open at the end of the text."""
    end = len(text)
    while (newline := text.rfind(b"\n", 0, end)) >= 0:
        odd ^= text.count(b'"', newline, end) & 1
        if not odd:
            return newline + 1
        end = newline
    return 0


class Quotes(Enum):
    """What the quotes of a text of whole records are like."""

    FULL = auto()  #: as they should be, and no line is blank: there are as many records as rows
    REGULAR = auto()  #: as they should be; some lines may be blank
    IRREGULAR = auto()  #: some do not open a field, close it, or are doubled inside one


def quotes(text: bytes) -> Quotes:
    """Look at all of the text, once, or twice if there are blank lines."""
    whole = pa.array([text], pa.binary())
    for pattern, found in ((_FULL, Quotes.FULL), (_ANY, Quotes.REGULAR)):
        if call("match_substring_regex", whole, options=pc.MatchSubstringOptions(pattern))[0].as_py():
            return found
    return Quotes.IRREGULAR


def faultless(text: bytes, names: Sequence[str], schema: Schema) -> Batch | None:
    """The records of a regular text as a batch of these columns; None when any is not as it should be.

    Args:
        text: records without the header.
        names: the table's columns that the fields are.
        schema: the table's.
    """
    types = {one.name: one.type for one in arrow_schema(schema) if one.name in names}
    try:
        table = csv.read_csv(
            pa.py_buffer(text),
            read_options=csv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    if any(_overflows(table.column(name), of) for name, of in types.items() if pa.types.is_decimal(of)):
        return None
    return table.combine_chunks().to_batches()[0] if table.num_rows else None


def _overflows(column: Array, of: Array) -> bool:
    """Arrow does not look at the precision of the decimals it reads."""
    ends = call("min_max", column).as_py()
    bound = Decimal(10) ** (of.precision - of.scale)
    return any(one is not None and abs(one) >= bound for one in ends.values())
