"""This file is where the etags of an inbox's files are remembered between lives, so that none is hashed again.

One line of JSON for each file that was taken: [key, size, mtime_ns, etag], the last one counts. It is a convenience: a
line that is lost or broken only means one more hashing, so nothing here is synced and no error leaves this file.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from pathlib import Path
from typing import cast
from urllib.parse import quote

import structlog

from headgate.doors.inbox.files import Look

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Etags:
    """What `inbox-<bucket>.jsonl` in `home` says."""

    def __init__(self, home: Path, bucket: str) -> None:
        self._path = home / f"inbox-{quote(bucket, safe='')}.jsonl"
        self._remembered: dict[str, tuple[int, int, str]] = {}
        self._lines = 0
        self._failed = False

    def load(self) -> None:
        try:
            text = self._path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            self._fail(error)
            return
        for line in text.splitlines():
            self._lines += 1
            try:
                key, size, mtime_ns, etag = cast("list[object]", json.loads(line))
            except (ValueError, TypeError):
                continue
            if isinstance(key, str) and isinstance(size, int) and isinstance(mtime_ns, int) and isinstance(etag, str):
                self._remembered[key] = (size, mtime_ns, etag)

    def get(self, key: str, look: Look) -> str | None:
        """The etag of a file that has not changed since it was remembered."""
        size, mtime_ns, etag = self._remembered.get(key, (-1, -1, ""))
        return etag if (size, mtime_ns) == (look.size, look.mtime_ns) else None

    def forget(self, there: Container[str]) -> None:
        """Let go of the memory after the first look at everything, and of the lines of files that are not `there`."""
        kept = [(key, *values) for key, values in self._remembered.items() if key in there]
        self._remembered = {}
        if self._lines <= 2 * len(kept) + 100:
            return
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
            temporary.replace(self._path)
        except OSError as error:
            self._fail(error)

    def add(self, taken: Iterable[tuple[str, Look, str]]) -> None:
        lines = [json.dumps((key, look.size, look.mtime_ns, etag)) + "\n" for key, look, etag in taken]
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            _log.warning(
                "known etags can not be kept; files are hashed again after a restart",
                file=str(self._path),
                error=error.strerror,
            )
