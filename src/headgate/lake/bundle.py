"""This file is where many small CSV files become one for the reader, which takes longer to open than to read them.

The files' records are put one after the other into memory, each file's behind a marker record (a random word and the
file's number), so that every row is known to be of its file. A marker that does not come back means that a file's
quoting ran on into the next: those files are then read one by one.
"""

from __future__ import annotations

import bisect
import gzip
import io
import os
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headgate.lake.headers import Refused, header_length
from headgate.lake.sources import Stamp, md5

#: Files up to this many bytes (as stored) are bundled.
SMALL: Final = 1 << 20
#: Bytes of one bundle; files that unpack to more are not bundled.
FULL: Final = 4 << 20


@dataclass(slots=True, kw_only=True)
class Bundle:
    """Make it with the place of the field that carries the marker, `add` files, read `path`, `close`."""

    before: int  #: how many fields stand before the marker's; -1: one file only, and no marker
    after: int  #: and after it
    marker: str = field(default_factory=lambda: f"headgate-{uuid.uuid4().hex}:")
    starts: list[int] = field(default_factory=list[int])  #: where each file's records start
    ends: list[int] = field(default_factory=list[int])
    skips: list[int] = field(default_factory=list[int])  #: bytes of each file before its records
    text: bytearray = field(default_factory=bytearray)  #: the first file's header, then markers and records
    _memory: int = -1

    @property
    def marked(self) -> bool:
        return self.before >= 0

    @property
    def records(self) -> bytes:
        """All but the header."""
        return bytes(memoryview(self.text)[self.skips[0] :])

    @property
    def path(self) -> str:
        """Where the reader finds the text: a file that is in memory only."""
        if self._memory < 0:
            self._memory = os.memfd_create("headgate-bundle")
            view = memoryview(self.text)
            while view:
                view = view[os.write(self._memory, view) :]
        return f"/proc/self/fd/{self._memory}"

    def add(self, content: bytes) -> None:
        """Put a file's records in."""
        skip = header_length(content)
        newline = b"\r\n" if content[:skip].endswith(b"\r\n") else b"\n"
        if not self.starts:
            self.text += content[:skip] if content[:skip].endswith(b"\n") else content[:skip] + newline
        if self.marked:
            mark = f"{self.marker}{len(self.starts)}".encode()
            self.text += b"," * self.before + mark + b"," * self.after + newline
        self.starts.append(len(self.text))
        self.skips.append(skip)
        self.text += memoryview(content)[skip:]
        if len(content) > skip and not content.endswith(b"\n"):
            self.text += newline
        self.ends.append(len(self.text))

    def place(self, offset: int) -> tuple[int, int]:
        """Which file a byte of the bundle is of, and its offset there."""
        number = bisect.bisect_right(self.starts, offset) - 1
        return number, offset - self.starts[number] + self.skips[number]

    def content(self, number: int) -> bytes:
        """A file's records, as they were added."""
        return bytes(self.text[self.starts[number] : self.ends[number]])

    def close(self) -> None:
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


def possible() -> bool:
    return hasattr(os, "memfd_create")


def fits(content: bytes) -> bool:
    """Whether a file's records can stand among others': balanced quotes, usual line ends."""
    return content.count(b'"') % 2 == 0 and (b"\r" not in content or content.count(b"\r") == content.count(b"\r\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    text: bytes  #: decompressed
    etag: str  #: MD5 of the bytes as stored
    stamp: Stamp


def load(path: Path, *, packed: bool) -> Loaded | None:
    """A small file as a whole; None where it is too long to be held, or somebody writes to it.

    Raises:
        FileNotFoundError: it is gone.
        Refused: it is no gzip file, or a broken one.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        stored = file.read(FULL + 1)
    if len(stored) != before.st_size:
        return None
    text = _unpacked(stored) if packed else stored
    seen = Stamp(before.st_ino, before.st_size, before.st_mtime_ns)
    return Loaded(text=text, etag=md5(stored), stamp=seen) if len(text) <= FULL else None


def _unpacked(stored: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(stored)) as file:
            return file.read(FULL + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise Refused(f"it is no gzip file, or a broken one: {error}") from error


def splits(sizes: Sequence[int]) -> list[slice]:
    """Runs of neighbours that make bundles of about FULL bytes."""
    runs: list[slice] = []
    start = total = 0
    for place, size in enumerate(sizes):
        if place > start and total + size > FULL:
            runs.append(slice(start, place))
            start, total = place, 0
        total += size
    return [*runs, slice(start, len(sizes))] if sizes else runs
