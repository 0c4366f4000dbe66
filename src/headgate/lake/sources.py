"""This file is where a run's source files are found and each is given its identity.

The identity of what was read, not of what was announced: a file that changed since its event is taken as it is now,
under the id of the bytes that are there, so that the event of those bytes adds nothing when it comes. A file that is
gone keeps the id of its event. Etags of folders are the MD5 of the bytes; the hash runs beside the reading.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from headgate.job import NotRetryable
from headgate.model import StoredObject

_MD5: Final = re.compile(r"[0-9a-fA-F]{32}")
_SUFFIXES: Final = (".csv", ".csv.gz")
_PARTITION: Final = re.compile(r"(?:^|/)ingest_ts=([^/]+)/")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when somebody writes to a file or puts another in its place."""

    inode: int
    size: int
    modified: int  #: nanoseconds


@dataclass(frozen=True, kw_only=True, eq=False)  # by identity, and without slots: `id` is asked for very often
class Source:
    """One object of the run and the file that holds its bytes."""

    object: StoredObject
    path: Path
    stamp: Stamp | None = None  #: of the file when its bytes were found to be the object's; None: not looked at yet

    @cached_property
    def id(self) -> str:
        return self.object.source_id

    @property
    def uri(self) -> str:
        """What `_source_file` holds."""
        return f"s3://{self.object.bucket}/{self.object.key}"


def stamp(path: Path) -> Stamp:
    """Raises FileNotFoundError."""
    found = path.stat()
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns)


def digest(path: Path) -> str:
    """MD5 of the file's bytes, as S3 has it for an object put in one part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def as_read(source: Source, etag: str, seen: Stamp) -> Source:
    """The source under the id of the bytes that were read, whose MD5 is `etag`.

    An announced version or etag that says nothing about the bytes (a multipart etag, a version) is believed when the
    size is right.
    """
    announced = source.object
    checkable = bool(_MD5.fullmatch(announced.etag))
    same = announced.etag.lower() == etag if checkable else bool(announced.version or announced.etag)
    if same and announced.size in {None, seen.size}:
        return replace(source, stamp=seen)
    return replace(source, object=replace(announced, etag=etag, size=seen.size, version=""), stamp=seen)


def untouched(source: Source, seen: Stamp) -> str | None:
    """The announced etag, where it is the MD5 of a watched folder's file that nobody wrote to since: else None.

    The folder's events have the file's time of change for a sequencer (see doors.inbox), and it was at rest when it
    was hashed, so that any later write has given it another.
    """
    about = source.object
    at_rest = about.sequencer == f"{seen.modified:016X}" and about.size == seen.size
    return about.etag.lower() if about.path and at_rest and _MD5.fullmatch(about.etag) else None


def checked(source: Source) -> Source:
    """The source as its file is now: read whole, unless it was read before and is untouched since.

    Raises:
        FileNotFoundError: it is gone.
    """
    while True:
        before = stamp(source.path)
        if before == source.stamp:
            return source
        etag = digest(source.path)
        if stamp(source.path) == before:
            return as_read(source, etag, before)


def announced(manifest: Sequence[StoredObject], inboxes: Mapping[str, str]) -> list[Source]:
    """The sources of a manifest, each once, in its order.

    Raises:
        NotRetryable: an object's bytes are not on this machine, or its key leads out of its bucket's folder.
    """
    found: dict[str, Source] = {}
    for one in manifest:
        path = Path(one.path) if one.path else _below(_inbox(one.bucket, inboxes), one.key)
        found.setdefault(one.source_id, Source(object=one, path=path))
    return list(found.values())


def new_files(source: str, inboxes: Mapping[str, str]) -> list[Source]:
    """Every CSV under `s3://bucket/prefix`, sorted by key, each with the etag of its bytes.

    Left out: files being written (.tmp, .part), hidden ones, empty ones.

    Raises:
        NotRetryable: the address is none, or no folder stands for the bucket.
    """
    split = urlsplit(source, allow_fragments=False)
    if split.scheme != "s3" or not split.netloc:
        raise NotRetryable(f"--source {source!r} is no address: expected s3://bucket/prefix/")
    bucket, prefix = split.netloc, source.removeprefix(f"s3://{split.netloc}").lstrip("/")
    return [_found(bucket, key, path) for key, path in sorted(_walk(_inbox(bucket, inboxes), prefix))]


def _found(bucket: str, key: str, path: Path) -> Source:
    return checked(Source(object=StoredObject(bucket=bucket, key=key, path=str(path)), path=path))


def _walk(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    start = root / prefix.rpartition("/")[0]
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in names:
            path = Path(folder) / name
            key = path.relative_to(root).as_posix()
            if key.startswith(prefix) and wanted(name) and path.is_file() and path.stat().st_size:
                yield key, path


def wanted(name: str) -> bool:
    """Whether a file of this name is a finished CSV."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def _below(root: Path, key: str) -> Path:
    path = root / key
    if not path.resolve().is_relative_to(root.resolve()):
        raise NotRetryable(f"the key {key!r} leads out of the folder {root}")
    return path


def _inbox(bucket: str, inboxes: Mapping[str, str]) -> Path:
    if bucket not in inboxes:
        known = ", ".join(sorted(inboxes)) or "none"
        raise NotRetryable(
            f"no folder stands for the bucket {bucket!r} (inboxes: {known}); add it under `inboxes:` in headgate.yaml"
        )
    return Path(inboxes[bucket])


def ingest_ts(sources: Sequence[Source]) -> str | None:
    """The newest `ingest_ts=` in the sources' keys: ISO 8601 where it is a time, else as written, None without one."""
    found = [match[1] for one in sources if (match := _PARTITION.search(one.object.key))]
    return max((_iso(text) for text in found), default=None)


def _iso(text: str) -> str:
    # file systems and tools write 10-00-00 or 100000 for the time, too
    times = re.sub(r"T(\d{2})-(\d{2})-(\d{2})", r"T\1:\2:\3", text)
    try:
        return datetime.fromisoformat(times).isoformat()
    except ValueError:
        return text
