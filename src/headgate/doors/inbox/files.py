"""This file is where one looks at the files of an inbox: which can be objects, what they are now, and their etag."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog

MAX_KEY_BYTES: Final = 1_024
_UNFINISHED: Final = (".tmp", ".part")
_CHUNK: Final = 1 << 20

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Look(NamedTuple):
    """What one look at a file saw; equal looks mean an unchanged file."""

    size: int  #: bytes
    mtime_ns: int
    inode: int

    @staticmethod
    def of(found: os.stat_result) -> Look:
        return Look(found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def sequencer(self) -> str:
        """The mtime as S3 writes what tells versions of a key apart: later is larger."""
        return f"{max(self.mtime_ns, 0):016X}"


class Files:
    """The files below `root` (an absolute path without links) that can be objects; what is left out is logged once.

    Left out are hidden names, `*.tmp` and `*.part`, what is no regular file, symbolic links that leave the folder,
    and names that can be no key. Symbolic links to folders are not followed.
    """

    def __init__(self, root: Path, bucket: str) -> None:
        self.root = root
        self._bucket = bucket
        self._complained: set[tuple[str, str]] = set()

    def look(self, key: str) -> Iterator[tuple[str, Look]]:
        """Look at one path: the file itself, or every file below it when it is a folder; nothing when it is gone."""
        if any(part.startswith(".") for part in key.split("/")):
            return
        path = self.root / key
        try:
            if path.parent.resolve() != path.parent:
                return  # notifications come through linked folders too; what lies behind them is not ours
            found = path.lstat()
        except (OSError, RuntimeError):
            return
        if stat.S_ISDIR(found.st_mode):
            yield from self.walk(key)
        elif (look := self._file(key, found)) is not None:
            yield key, look

    def walk(self, below: str = "") -> Iterator[tuple[str, Look]]:
        """Every file below a folder, in no order."""
        folders = [below]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        if entry.name.startswith("."):
                            continue
                        key = f"{folder}/{entry.name}" if folder else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(key)
                        elif (look := self._entry(key, entry)) is not None:
                            yield key, look
            except FileNotFoundError:
                continue  # it went while we looked
            except OSError as error:
                self._complain(folder or ".", f"it can not be read: {error.strerror}")

    def is_folder(self, key: str) -> bool:
        path = self.root / key
        return path.is_dir() and not path.is_symlink()

    def etag(self, key: str, look: Look, stopped: Callable[[], bool]) -> str | None:
        """The md5 (32 hex digits) of a file's bytes; None when it is not what `look` saw from beginning to end.

        Raises:
            OSError: it can not be read.
        """
        path = self.root / key
        # A link was checked to stay inside; what it names must not be a link again by now.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path.resolve(strict=True), flags), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            if Look.of(os.fstat(file.fileno())) != look:
                return None
            digest = hashlib.md5(usedforsecurity=False)
            buffer = memoryview(bytearray(min(_CHUNK, look.size + 1)))
            while count := file.readinto(buffer):
                if stopped():
                    return None
                digest.update(buffer[:count])
            return digest.hexdigest() if Look.of(os.fstat(file.fileno())) == look else None

    def leave_out(self, key: str, error: OSError) -> None:
        """Say that a file can not be read."""
        self._complain(key, f"it can not be read: {error.strerror}")

    def _entry(self, key: str, entry: os.DirEntry[str]) -> Look | None:
        try:
            return self._file(key, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return None

    def _file(self, key: str, found: os.stat_result) -> Look | None:
        if key.lower().endswith(_UNFINISHED):
            return None
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            self._complain(key, "its name is not UTF-8, and a key has to be; rename it")
            return None
        if length > MAX_KEY_BYTES:
            self._complain(key, f"its path is {length} bytes long, and a key has at most {MAX_KEY_BYTES}")
            return None
        if stat.S_ISLNK(found.st_mode):
            target = self._inside(key)
            if target is None:
                return None
            found = target
        return Look.of(found) if stat.S_ISREG(found.st_mode) else None

    def _inside(self, key: str) -> os.stat_result | None:
        """What a symbolic link points at, if it stays inside: a link must not publish the rest of the disk."""
        try:
            target = (self.root / key).resolve(strict=True)
            if target.is_relative_to(self.root):
                return target.stat()
        except (OSError, RuntimeError):
            return None  # it points at nothing, or at itself
        self._complain(key, "it is a symbolic link that leaves the folder")
        return None

    def _complain(self, key: str, reason: str) -> None:
        if (key, reason) not in self._complained:
            self._complained.add((key, reason))
            name = key.encode("utf-8", "backslashreplace").decode()
            _log.warning("a file of the inbox is left out", bucket=self._bucket, file=name, reason=reason)
