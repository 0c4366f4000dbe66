"""This file is where a run's log is read, while it is written and after."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

from headgate.errors import NotFound
from headgate.supervision import limiting, records

#: What steers a terminal: colours and the like as a whole, else the control characters (a tab is fine).
_CONTROL: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def read_log(folder: Path, attempt_id: str, offset: int = 0, limit: int = 1 << 16) -> tuple[str, int, bool]:
    """Return the text from byte `offset` on (at most `limit` bytes), the offset to go on from, and whether that is all.

    A character is never split: one that is not wholly written yet is left for the next call. Bytes that are no UTF-8
    are shown as the replacement character. "All" means that the run is over and nothing is left to read.

    Raises:
        NotFound: there is no such attempt here.
    """
    directory = folder / attempt_id
    if not directory.is_dir():
        raise NotFound("log of attempt", attempt_id)
    # asked before reading: what is written between the two is read, or left for the next call
    over = records.exists(str(directory), records.EXIT)
    end = limiting.readable(str(directory))
    most = max(limit, 4) if end is None else min(max(limit, 4), max(end - max(offset, 0), 0))
    try:
        with (directory / records.LOG).open("rb") as file:
            file.seek(max(offset, 0))
            data = file.read(most)
            rest = (end is None or file.tell() < end) and bool(file.read(1))
    except FileNotFoundError:
        return "", max(offset, 0), over
    if rest or not over:
        data = data[: len(data) - _unfinished(data)]
    return data.decode("utf-8", "replace"), max(offset, 0) + len(data), over and not rest


def tail(folder: Path, attempt_id: str, most: int) -> str:
    """Return the end of a log, at most `most` bytes of it from a line's beginning on; "" where there is none here."""
    try:
        with (folder / attempt_id / records.LOG).open("rb") as file:
            end = _end(file, str(folder / attempt_id))
            begin = max(end - most, 0)
            file.seek(begin)
            data = file.read(end - begin)
    except OSError:
        return ""
    if begin:
        data = data.partition(b"\n")[2] or data
    return data.decode("utf-8", "replace")


def size(folder: Path, attempt_id: str) -> int:
    """Return how many bytes a log holds; 0 where there is none here."""
    try:
        with (folder / attempt_id / records.LOG).open("rb") as file:
            return _end(file, str(folder / attempt_id))
    except OSError:
        return 0


def last_line(directory: str, *, most: int = 500) -> str:
    """Return the last line of a log that says something, at most `most` characters of it, without colours."""
    try:
        with Path(records.path(directory, records.LOG)).open("rb") as file:
            end = _end(file, directory)
            begin = file.seek(max(end - 8192, 0))
            lines = file.read(end - begin).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    plain = (_CONTROL.sub("", line).strip() for line in reversed(lines))
    return next((line[:most] for line in plain if line), "")


def _end(file: BinaryIO, directory: str) -> int:
    """Where what may be read of a log ends."""
    size, end = file.seek(0, 2), limiting.readable(directory)
    return size if end is None else min(size, end)


def _unfinished(data: bytes) -> int:
    """Count the bytes at the end that begin a character without finishing it."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return back if length > back else 0
    return 0
