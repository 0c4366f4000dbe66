"""This file is where the lines of runs' logs become CloudWatch's log events, with times that never change.

A log has no times of its own. The lines of one that nobody followed are spread evenly between its run's start and its
last write. Once somebody has looked, lines that are new lie between that look and the last write: never before a time
that was given out already. So whoever follows by time (`aws logs tail --follow`) misses no line and sees none twice.
"""

from __future__ import annotations

import hashlib
import threading
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, overload

MOST_BYTES: Final = 16 << 20  #: of a log; what comes after is for `headgate runs logs`, which the last line says
_CUT: Final = (
    "headgate: the log goes on; only its beginning is shown here, `headgate runs logs {attempt}` has all of it"
)
_LATE: Final = 5_000  #: milliseconds by which a run may show up after it began
_REMEMBERED: Final = 2_000  #: streams
_MOST_KEPT: Final = 64 << 20  #: characters of all of them; those nobody looked at longest are read again when needed

#: A piece of a log from a byte on: the text, where to go on, and whether that is all there will be.
Read = Callable[[str, int], tuple[str, int, bool]]


@dataclass(frozen=True, slots=True, order=True)
class LogEvent:
    """One line."""

    at: int  #: milliseconds since the epoch
    stream: str
    number: int  #: of the line, from 0
    text: str = field(compare=False)

    @property
    def id(self) -> str:
        """56 digits, the same whenever the line is looked at."""
        digest = hashlib.sha256(f"{self.stream}\0{self.number}".encode()).digest()
        return str(int.from_bytes(digest[:20], "big")).rjust(56, "0")


@dataclass(frozen=True, slots=True)
class Span:
    """When a log was written, in milliseconds since the epoch."""

    begun: int
    last: int  #: its last write; or its run's end


@dataclass(frozen=True, slots=True)
class Look:
    """One call that looks at logs, in milliseconds since the epoch."""

    now: int  #: no line that it sees has a later time
    before: int  #: when somebody looked last; 0: nobody did


@dataclass(slots=True)
class _Seen:
    """What was given out of a log."""

    times: list[int] = field(default_factory=list[int])  #: of each line
    lines: list[str] = field(default_factory=list[str])
    offset: int = 0
    rest: str = ""  #: of a line that is not finished
    over: bool = False
    size: int = 0  #: characters of the lines
    looked: int = 0  #: when somebody looked at it last


class LogEvents(Sequence[LogEvent]):
    """Lines of one stream, as they were at a look. Each is made an event when it is asked for: there may be 100,000."""

    def __init__(self, stream: str, times: Sequence[int], lines: Sequence[str], numbers: range) -> None:
        self._stream = stream
        self._times = times  #: of all its lines, ascending; may grow meanwhile, as the lines may
        self._lines = lines
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> LogEvent: ...
    @overload
    def __getitem__(self, index: slice) -> LogEvents: ...
    def __getitem__(self, index: int | slice) -> LogEvent | LogEvents:
        if isinstance(index, slice):
            return LogEvents(self._stream, self._times, self._lines, self._numbers[index])
        number = self._numbers[index]
        return LogEvent(self._times[number], self._stream, number, self._lines[number])

    def between(self, first: int, last: int) -> LogEvents:
        """Those from `first` on and before `last`, in milliseconds since the epoch."""
        begin, end = self._numbers.start, self._numbers.stop
        begin = bisect_left(self._times, first, begin, end)
        return LogEvents(
            self._stream, self._times, self._lines, range(begin, bisect_left(self._times, last, begin, end))
        )


class LogLines:
    """The lines of many logs. Safe from any thread."""

    def __init__(self, read: Read, *, clock: Callable[[], float] = time.time) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._kept = 0  #: characters
        self._looked = 0

    def look(self) -> Look:
        """Somebody is about to look at some of them."""
        with self._lock:
            look = Look(int(self._clock() * 1000), self._looked)
            self._looked = look.now
            return look

    def of(self, attempt: str, stream: str, span: Span, look: Look) -> LogEvents:
        """Every whole line of an attempt's log so far; of one that is over the unfinished last one, too."""
        with self._lock:
            seen = self._seen.setdefault(attempt, _Seen())
            self._seen.move_to_end(attempt)
            if not seen.over:
                self._read_on(attempt, seen, span, look)
            seen.looked = max(seen.looked, look.now)
            while len(self._seen) > 1 and (len(self._seen) > _REMEMBERED or self._kept > _MOST_KEPT):
                _, gone = self._seen.popitem(last=False)
                self._kept -= gone.size
            return LogEvents(stream, seen.times, seen.lines, range(len(seen.lines)))

    def _read_on(self, attempt: str, seen: _Seen, span: Span, look: Look) -> None:
        new: list[str] = []
        while seen.offset < MOST_BYTES:
            text, following, over = self._read(attempt, seen.offset)
            *whole, seen.rest = (seen.rest + text).split("\n")
            new += whole
            seen.over = over
            if following == seen.offset or over:
                break
            seen.offset = following
        else:
            seen.over = True
            new += [*filter(None, [seen.rest]), _CUT.format(attempt=attempt)]
            seen.rest = ""
        if seen.over and seen.rest:
            new.append(seen.rest)
            seen.rest = ""
        if not new:
            return
        first = max(seen.times[-1] if seen.times else span.begun, seen.looked)
        if not seen.looked and look.before and span.last > look.before - _LATE:
            # a run that has only just shown up: who follows the group has been given times up to that look
            first = max(first, look.before)
        last = max(min(span.last, look.now), first)
        step = (last - first) / max(len(new), 1)
        seen.times += [round(first + step * (number + 1)) for number in range(len(new))]
        seen.lines += new
        added = sum(map(len, new))
        seen.size += added
        self._kept += added
