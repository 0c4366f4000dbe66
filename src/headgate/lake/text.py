"""This file is where a large file is read once: its text, decompressed, and on the way the MD5 of its stored bytes.

A file that is untouched since the watched folder hashed it is not hashed again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from headgate.lake.headers import LOOK, Refused
from headgate.lake.sources import Stamp

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER: Final = 1 << 20


class _Hashed(io.RawIOBase):
    """The bytes of a file on their way, hashed."""

    def __init__(self, file: io.FileIO, known: str | None) -> None:
        super().__init__()
        self.known = known
        self.md5 = hashlib.md5(usedforsecurity=False)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        size = self._file.readinto(buffer)
        if self.known is None:
            self.md5.update(memoryview(buffer)[:size])
        return size

    def stamp(self) -> Stamp:
        found = os.fstat(self._file.fileno())
        return Stamp(found.st_ino, found.st_size, found.st_mtime_ns)

    def again(self) -> str:
        """The MD5 of all the file's bytes as they are now."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    header: bytes  #: the first record
    file: BinaryIO  #: stands behind the header
    _hashed: _Hashed
    _stamp: Stamp

    def identity(self) -> tuple[str, Stamp]:
        """MD5 of the stored bytes, and the file they were read from. Ask at the end of the text."""
        while self._hashed.read(_BUFFER):
            pass
        if self._hashed.known is None:
            return self._hashed.md5.hexdigest(), self._stamp
        now = self._hashed.stamp()
        if now == self._stamp:
            return self._hashed.known, self._stamp
        return self._hashed.again(), now  # it was written to while it was read: by its id the batch begins again


@contextmanager
def opened(path: Path, *, packed: bool, known: Callable[[Stamp], str | None] = lambda _: None) -> Generator[Text]:
    """A file's text. `known` answers the MD5 of the bytes of a file of that stamp, if there is no need to find it out.

    Raises:
        FileNotFoundError: it is gone.
        Refused: it is no gzip file, or a broken one; perhaps only at its end.
    """
    with io.FileIO(path) as raw:
        found = os.fstat(raw.fileno())
        stamp = Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
        hashed = _Hashed(raw, known(stamp))
        buffered = io.BufferedReader(hashed, _BUFFER)
        file: BinaryIO = io.BufferedReader(gzip.GzipFile(fileobj=buffered), _BUFFER) if packed else buffered
        try:
            yield Text(
                header=_header(file),
                file=file,
                _hashed=hashed,
                _stamp=stamp,
            )
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Refused(f"it is a broken gzip file: {error}") from error


def _header(file: BinaryIO) -> bytes:
    start = b""
    while len(start) < LOOK and (line := file.readline(LOOK)):
        start += line
        if start.count(b'"') % 2 == 0:
            break
    return start
