"""This file is where a rejected record is found again in its file: its number, its first byte and its text."""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

#: The reader takes no longer record either; a quote that is never closed ends here for us.
LONGEST: Final = 2_000_000


def records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each record's first byte and its bytes with the line end, the header first. Blank lines are records, too.

    A record goes on over a line end while a quote is open; by the count of quotes, which is right for all fields that
    are quoted as they should be.
    """
    offset = 0
    for line in file:
        record = line if line.count(b'"') % 2 == 0 else line + _rest(file)
        yield offset, record
        offset += len(record)


def _rest(file: BinaryIO) -> bytes:
    """The lines up to the one that closes the quote."""
    lines: list[bytes] = []
    size = 0
    while size < LONGEST and (line := file.readline()):
        lines.append(line)
        size += len(line)
        if line.count(b'"') % 2:
            break
    return b"".join(lines)


def open_text(path: Path, *, packed: bool) -> BinaryIO:
    """The file's text as bytes, decompressed."""
    return io.BufferedReader(gzip.open(path), 1 << 20) if packed else path.open("rb", buffering=1 << 20)


def at_places(file: BinaryIO, places: Sequence[int], skipped: Collection[int]) -> dict[int, tuple[int, int, str]]:
    """Where the rows at `places` are: place -> record number (the header is 1), first byte, text.

    Args:
        file: the file's text.
        places: ascending; a row's place among the rows the reader took of the file, from 0.
        skipped: numbers of the records that the reader rejected.
    """
    wanted = iter(places)
    next_one = next(wanted, None)
    found: dict[int, tuple[int, int, str]] = {}
    row = -1
    for number, (offset, record) in enumerate(records(file), 1):
        if next_one is None:
            break
        if number == 1 or number in skipped or not record.strip(b"\r\n"):
            continue
        row += 1
        if row == next_one:
            found[row] = (number, offset, record.decode("utf-8", "replace").rstrip("\r\n"))
            next_one = next(wanted, None)
    return found


def count(text: bytes) -> int:
    """How many records a text of whole records holds, blank lines included."""
    return b'"'.join(text.split(b'"')[::2]).count(b"\n")


def number_of(content: bytes, offset: int) -> int:
    """The number of the record that starts at `offset` of a file's text."""
    return sum(1 for _ in records(io.BytesIO(content[:offset]))) + 1
