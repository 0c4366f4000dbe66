"""This file is where a log that grows without end is kept from filling the disk: its beginning is kept, and its end.

A job appends to its log by itself, and nobody stands in its way: it is neither stopped nor made to wait. What is too
much is taken out of the file behind it, so that the file's size goes on counting all that was written:

    beginning (as long as the limit) | our notice | a hole, where the rest was | the newest bytes

Readers see the beginning and, once it is there, the notice (`readable`): what they have seen never changes. When the
run is over the end is put behind the notice, under a line with how much is missing, and the file ends there. The record
`cut` in the run directory says how far this is, so that anyone can go on with it.

Imported by launchers and shims, so it imports little.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Final

from headgate.supervision import records

CUT: Final = "cut"  #: the record: where the notice ends (`to`), and, at the end, where the log does (`end`)
LIMIT: Final = "log_limit"  #: in the shim's record, bytes; absent or None where nothing is to be cut
DEFAULT: Final = 10 << 30
END: Final = 256 << 10  #: bytes of a log's end that are kept
#: Bytes above the limit up to which nothing is left out: the end and the notice have to fit beside the newest bytes.
SLACK: Final = 2 * END + (8 << 10)
_FASTEST: Final = 4 << 30  #: bytes a second that nothing writes faster than
_OFTEN: Final = 0.05  #: seconds between looks at a log that grows near or above its limit
_SELDOM: Final = 0.5  #: … that does not grow
_FAR: Final = 5.0  #: … that is far below its limit
_WITHOUT_HOLES: Final = 64 << 20  #: bytes above the limit at which a file without holes is cut short
_LARGEST: Final = 1 << 42  #: bytes a file may seem to have, all systems allowing for as much
_PUNCH: Final = 0x01 | 0x02  #: FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
_fallocate: Any = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)


def notice(limit: int) -> bytes:
    """What the log says where its beginning ends."""
    return (
        f"headgate: the log has reached its limit of {_sized(limit)}. The job goes on; of what it writes from here on"
        " only the end is kept. To keep more, set log_limit in headgate.yaml, for all jobs or for this one.\n"
    ).encode()


def left_out(count: int) -> bytes:
    """What the log says before its end."""
    return f"headgate: {count:,} bytes are left out here; this is the end of what was written:\n".encode()


def whole_lines(end: bytes) -> bytes:
    """The end of a log from the beginning of a line on, where there is one; else as it is."""
    return end.partition(b"\n")[2] or end


def readable(directory: str) -> int | None:
    """Return the offset of the first byte of a log that is not to be read (yet); None: all of it may be."""
    cut = records.read(directory, CUT)
    if cut is not None:
        return int(cut.get("end") or cut["to"])
    # in this order: when the run is over, what was to be cut has been
    if records.exists(directory, records.EXIT):
        return None
    limit = (records.read(directory, records.SHIM) or {}).get(LIMIT)
    return None if limit is None else int(limit)


class Limited:
    """The log of one run whose job writes it by itself. Not for two threads, nor two processes, at once."""

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        self._cut = records.read(directory, CUT)
        self._size = 0  #: as it was seen last
        self._quiet = _OFTEN
        self._hole = 0  #: where the hole ends
        self._end = b""  #: where there can be no holes: the last bytes of what was cut off

    def look(self) -> float:
        """Take out what is too much; answers after how many seconds to look again.

        Raises:
            OSError: the disk does not allow it, now.
        """
        try:
            size = os.stat(records.path(self._directory, records.LOG)).st_size  # noqa: PTH116 -- see `records.path`
        except FileNotFoundError:
            return _FAR
        self._quiet = _OFTEN if size != self._size else min(self._quiet * 2, _SELDOM)
        self._size = size
        room = self._limit + SLACK - size
        if self._cut is None and room >= 0:
            return min(max(room / _FASTEST, self._quiet), _FAR)
        self._shorten()
        return self._quiet

    def finish(self) -> None:
        """Put the end behind the notice, where something is left out. Nothing may be writing any more.

        Raises:
            OSError: the disk does not allow it; what is readable stays so.
        """
        self.look()
        if self._cut is None:
            return
        fd = self._open()
        try:
            if "end" not in self._cut:
                self._put_the_end(fd, self._cut)
            os.ftruncate(fd, int(self._cut["end"]))
        finally:
            os.close(fd)

    def _open(self) -> int:
        return os.open(records.path(self._directory, records.LOG), os.O_RDWR | os.O_CLOEXEC)

    def _shorten(self) -> None:
        fd = self._open()
        try:
            if self._cut is None:
                self._begin(fd)
            if self._cut is None or "end" in self._cut:
                return
            size, to = os.fstat(fd).st_size, int(self._cut["to"])
            begin, end = max(self._hole, to), size - END
            if end <= begin:
                return
            if size < _LARGEST and _punch(fd, begin, end - begin):
                self._hole = end
            elif size - to > _WITHOUT_HOLES:
                self._cut_short(fd, size, to)
        finally:
            os.close(fd)

    def _begin(self, fd: int) -> None:
        """Write the notice over what is not kept, in one step with the record for whoever reads."""
        size = os.fstat(fd).st_size
        if size <= self._limit + SLACK:  # somebody else has cut it, or the job itself
            return
        words = notice(self._limit)
        if os.pread(fd, 1, self._limit - 1) != b"\n":
            words = b"\n" + words
        # first of all: it may be that this makes the room for what follows
        _punch(fd, self._limit + len(words), size - END - self._limit - len(words))
        os.pwrite(fd, words, self._limit)
        cut: records.Record = {"to": self._limit + len(words), "left_out": 0}
        records.write(self._directory, CUT, cut, durable=False)
        self._cut = cut

    def _cut_short(self, fd: int, size: int, to: int) -> None:
        """Where a file cannot have holes: cut it off behind the notice. What is written meanwhile is not counted."""
        cut = {**(self._cut or {}), "left_out": int((self._cut or {}).get("left_out", 0)) + size - to}
        self._end = os.pread(fd, END, size - END)
        os.ftruncate(fd, to)
        self._hole = 0
        self._cut = cut
        records.write(self._directory, CUT, cut, durable=False)

    def _put_the_end(self, fd: int, cut: records.Record) -> None:
        size, to = os.fstat(fd).st_size, int(cut["to"])
        newest = max(size - END, to)
        end = whole_lines((self._end + os.pread(fd, END, newest))[-END:])
        count = int(cut.get("left_out", 0)) + max(size - to, 0) - len(end) + to - self._limit
        text = left_out(count) + end
        place = to
        while text:
            done = os.pwrite(fd, text, place)
            place, text = place + done, text[done:]
        cut = {**cut, "left_out": count, "end": place}
        records.write(self._directory, CUT, cut)
        self._cut = cut


def look_after(directory: str, *, over: bool) -> None:
    """Do for a run whose shim was killed what that did for its log: one look, or when it is over the last one.

    Raises:
        OSError: see `Limited`.
    """
    limit = (records.read(directory, records.SHIM) or {}).get(LIMIT)
    if limit is not None:
        log = Limited(directory, int(limit))
        if over:
            log.finish()
        else:
            log.look()


def _punch(fd: int, begin: int, length: int) -> bool:
    """Give a part of a file back to the disk, its offsets staying true; False where that cannot be done."""
    if _fallocate is None or length <= 0:
        return False
    return int(_fallocate(fd, _PUNCH, ctypes.c_int64(begin), ctypes.c_int64(length))) == 0


def _sized(count: int) -> str:
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power and count % (1 << power) == 0:
            return f"{count >> power} {unit}"
    return f"{count:,} bytes"
