"""This file is where a CSV file's header is read, by us: the CSV reader maps columns by position and ignores names."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from headgate.lake.columns import OURS

#: Bytes of decompressed text looked at; a longer header is no header.
LOOK = 1 << 18


class Refused(Exception):
    """The file can not be taken at all; the text says why. It becomes the file's one FILE reject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    names: tuple[str, ...]  #: as written, without surrounding blanks


def compressed(path: str) -> bool:
    return path.lower().endswith(".gz")


def header_length(content: bytes) -> int:
    """How many bytes the first record takes, its line end included (a quoted name may hold line ends)."""
    end = quotes = 0
    while (newline := content.find(b"\n", end)) >= 0:
        quotes += content.count(b'"', end, newline)
        end = newline + 1
        if quotes % 2 == 0:
            return end
    return len(content)


def read_header(path: Path, *, packed: bool) -> Header:
    """The names in the file's first record.

    Raises:
        Refused: it has none, or they can not name columns (empty, twice the same whatever the case, one of ours).
        FileNotFoundError: the file is gone.
    """
    for look in (1 << 13, LOOK):
        start = _start(path, look, packed=packed)
        length = header_length(start)
        if length < len(start) or len(start) < look:
            break
    else:
        raise Refused(f"it has no header: its first record does not end within {LOOK} bytes")
    return Header(names=names_in(start[:length]))


def require_whole(path: Path) -> None:
    """Decompress a file to the end, where its checksum is. Raises Refused if it is broken."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"it is a broken gzip file: {error}") from error


@lru_cache(maxsize=64)  # the files of a run mostly have the same header
def names_in(record: bytes) -> tuple[str, ...]:
    """The names in a header record. Raises Refused as `read_header` does."""
    try:
        names = _first(record.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused(f"its header is no UTF-8: {error.reason} at byte {error.start}") from error
    _check(names)
    return names


def _start(path: Path, look: int, *, packed: bool) -> bytes:
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(look)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"it is no gzip file, or a broken one: {error}") from error


def _first(text: str) -> tuple[str, ...]:
    try:
        first = next(csv.reader(io.StringIO(text, newline=""), strict=True), None)
    except csv.Error as error:
        raise Refused(f"it has no header: its first line is no CSV ({error})") from error
    if not first or not any(name.strip() for name in first):
        raise Refused(
            "it has no header: it is empty" if not text.strip() else "it has no header: its first line is empty"
        )
    return tuple(name.strip() for name in first)


def _check(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        if not name:
            raise Refused(f"column {position} of its header has no name")
        if name.casefold() in seen:
            raise Refused(f"its header names the column {name!r} twice")
        if name.casefold() in OURS:
            raise Refused(f"its header names the column {name!r}, which is one of Headgate's own")
        seen.add(name.casefold())
