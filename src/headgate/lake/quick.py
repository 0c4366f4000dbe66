"""This file is where text without any fault is read in half the time that the careful reader takes.

Arrow's CSV reader is quick and strict about values, but it stops at the first fault, says little about it, and is
lenient about quotes. So the quotes are checked first, and whatever it does not take as a whole goes to `scan`, which
takes the good records and tells why the others are bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum, auto
from typing import BinaryIO, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from pyiceberg.schema import Schema

from headgate.lake.arrow import Array, Batch, call
from headgate.lake.parquet import arrow_schema

#: Bytes of a chunk: some tens of milliseconds of work.
CHUNK: Final = 4 << 20
#: Records longer than this are left to the careful reader.
_LONGEST: Final = 2 * CHUNK
#: Bytes in which the end of the last whole record is looked for first.
_TAIL: Final = 64 << 10
#: Bytes that are looked at in one go: what comes of them stays in the processor's cache, and needs no new memory.
_PIECE: Final = 256 << 10
_QUOTE, _COMMA, _LF, _CR = b'",\n\r'
_Bytes: TypeAlias = NDArray[np.uint8]
_Places: TypeAlias = NDArray[np.intp]


def chunks(file: BinaryIO, *, size: int = CHUNK) -> Iterator[memoryview]:
    """The rest of a file in chunks of whole records, each ending with a line end (the last gets one).

    A line end inside quotes ends no record. Where quotes are not balanced the cuts are wrong, and `quotes` says so.
    """
    rest, odd = b"", 0
    mask = np.empty(size, np.bool_)
    while True:
        # memory of Arrow's is not cleared first, and is used again
        text = memoryview(pa.allocate_buffer(len(rest) + size + 1)).cast("B")
        text[: len(rest)] = rest
        block = text[len(rest) : -1]
        end = len(rest) + _fill(file, block)
        if end == len(rest):
            break
        new = _octets(text[len(rest) : end])
        odd ^= int(np.count_nonzero(np.equal(new, _QUOTE, out=mask[: len(new)]))) & 1
        cut = _cut(text[:end], odd)
        if not cut and end > _LONGEST:
            cut = end  # no record we know; to be found irregular
            odd = 0
        if cut:
            yield text[:cut]
        rest = bytes(text[cut:end])
    if rest:
        text[len(rest)] = _LF
        yield text[: len(rest) + (not rest.endswith(b"\n"))]


def _fill(file: BinaryIO, block: memoryview) -> int:
    """Read until the block is full or the file ends; returns how many bytes came. A file may hand over a few only."""
    end = 0
    while end < len(block) and (size := file.readinto(block[end:])):  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] - every binary file has it, the type does not say so
        end += int(size)  # pyright: ignore[reportUnknownArgumentType] - as above
    return end


def _cut(text: memoryview, odd: int) -> int:
    """Where the last whole record ends; `odd`: whether a quote is open at the end of the text."""
    for size in (_TAIL, len(text)):
        before = max(0, len(text) - size)
        tail = bytes(text[before:])
        end, open_ = len(tail), odd
        while (newline := tail.rfind(b"\n", 0, end)) >= 0:
            open_ ^= tail.count(b'"', newline, end) & 1
            if not open_:
                return before + newline + 1
            end = newline
        if not before:
            break
    return 0


class Quotes(Enum):
    """What the quotes of a text of whole records are like."""

    FULL = auto()  #: as they should be, and no line is blank: there are as many records as rows
    REGULAR = auto()  #: as they should be; some lines are blank
    IRREGULAR = auto()  #: some do not open a field, close it, or are doubled inside one


def quotes(text: bytes | memoryview) -> Quotes:
    """Look at every quote of the text: they open and close in turn, and a doubled one closes and opens again."""
    octets = _octets(text)
    if not len(octets):
        return Quotes.FULL
    at, returns, lines = _found(octets)
    if octets[-1] != _LF or len(at) & 1:
        return Quotes.IRREGULAR
    before, after = octets[at[::2] - 1], octets[at[1::2] + 1]  # before the first byte comes the last: a line end, too
    opens = (before == _COMMA) | (before == _LF) | (before == _QUOTE)
    closes = (after == _COMMA) | (after == _LF) | (after == _QUOTE) | (after == _CR)
    if not (opens.all() and closes.all()):
        return Quotes.IRREGULAR
    returns = _outside(returns, at)
    if (octets[returns + 1] != _LF).any():
        return Quotes.IRREGULAR
    blank = octets[0] == _LF or len(_outside(lines, at)) or (octets[returns - 1] == _LF).any()
    return Quotes.REGULAR if blank else Quotes.FULL


def _found(octets: _Bytes) -> tuple[_Places, _Places, _Places]:
    """Where quotes, carriage returns, and line ends behind line ends are."""
    found: tuple[list[_Places], list[_Places], list[_Places]] = ([], [], [])
    for start in range(0, len(octets), _PIECE):
        piece = octets[start : start + _PIECE]
        ends = octets[start : start + _PIECE + 1] == _LF
        for places, mask, first in zip(
            found, (piece == _QUOTE, piece == _CR, ends[1:] & ends[:-1]), (start, start, start + 1), strict=True
        ):
            places.append(np.flatnonzero(mask) + first)
    quotes, returns, lines = map(np.concatenate, found)
    return quotes, returns, lines


def _octets(text: bytes | memoryview) -> _Bytes:
    return np.frombuffer(text, np.uint8)


def _outside(places: _Places, quotes: _Places) -> _Places:
    """Those of the places that are not between an opening and a closing quote."""
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(places) else places


def faultless(text: bytes | memoryview, names: Sequence[str], schema: Schema) -> Batch | None:
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
