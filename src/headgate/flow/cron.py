"""This file is where a schedule's text becomes instants: AWS `cron(...)`, `rate(...)` and five-field cron.

It is our own small evaluator and not croniter (7 was tried): croniter has no `LW`, no AWS numbering of weekdays, wants
the year after a seconds field, and has one way through a change of the clocks. croniter is the independent
implementation in our property tests instead.

A month is looked up by its shape (28 of them, `cron_fields.Shape`), never walked minute by minute, so the next time is
found in microseconds and a date that never comes (30 February) is refused when it is read.

**When the clocks change.** A schedule whose hours are fixed (`0 2 * * *`) fires once for each of its wall times: one
that the change skips fires at the first instant after the gap (several skipped ones together: once), one that comes
twice fires the first time. A schedule whose hours repeat (`*`, a step such as `0/6`, or all 24) follows the clock on
the wall: skipped times are skipped, repeated times fire again, so that "every 15 minutes" stays every 15 minutes.
`rate()` counts elapsed time from its anchor and sees no clock at all.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from headgate.errors import Invalid
from headgate.flow.cron_fields import FIRST_YEAR, LAST_YEAR, Fields, aws_fields, plain_fields

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: AWS Glue refuses schedules that fire more often than this, in seconds.
AWS_FASTEST: Final = 300

_BRACKETS = re.compile(r"\s*(cron|rate)\s*\((.*)\)\s*", re.IGNORECASE | re.DOTALL)
_RATE = re.compile(r"\s*([0-9]{1,7})\s+(minute|hour|day)(s?)\s*", re.IGNORECASE | re.ASCII)
_SECONDS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
#: No zone has moved its clocks by more than a day, so a look this far ahead sees every change that matters.
_LOOK_AHEAD: Final = timedelta(hours=25)
_MONTH_LENGTHS: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A schedule by the clock on the wall, of either cron dialect."""

    text: str
    fields: Fields
    remarks: tuple[str, ...]  #: what AWS Glue would refuse in it, in words

    def next_after(self, moment: datetime, zone: ZoneInfo, *, anchor: datetime = EPOCH) -> datetime | None:
        """The first instant after `moment` (which has a zone) at which this fires in `zone`, in UTC.

        None when there is none up to the end of the year 2199. `anchor` is for `rate()`; a cron schedule has none.
        """
        del anchor
        at = max(moment.astimezone(UTC), EPOCH - timedelta(days=1))
        if at.year > LAST_YEAR + 1:
            return None
        return self._next_repeating(at, zone) if self.fields.every_hour else self._next_fixed(at, zone)

    def between(
        self, start: datetime, end: datetime, zone: ZoneInfo, *, anchor: datetime = EPOCH
    ) -> Iterator[datetime]:
        """The instants after `start` up to and with `end`, ascending, in UTC."""
        return _between(self, start, end, zone, anchor)

    def faster_than(self, seconds: float) -> bool:
        """Whether two of its wall times lie closer together than `seconds` (changes of the clocks set aside)."""
        fields = self.fields
        times = [hour * 60 + minute for hour in fields.hours for minute in fields.minutes]
        if any((later - earlier) * 60 < seconds for earlier, later in pairwise(times)):
            return True
        over_night = times[0] - times[-1]
        return any(
            ((later - earlier) * 1_440 + over_night) * 60 < seconds for earlier, later in pairwise(self._ordinals())
        )

    def comes(self) -> bool:
        """Whether any date of 1970-2199 matches at all."""
        return next(self._ordinals(), None) is not None

    def _ordinals(self) -> Iterator[int]:
        for year in self.fields.years:
            for month in self.fields.months:
                first = date(year, month, 1)
                yield from (first.toordinal() + day - 1 for day in self._days(first))

    def _days(self, first: date) -> tuple[int, ...]:
        return self.fields.days[first.weekday(), _month_length(first.year, first.month)]

    def _wall_from(self, wall: datetime) -> datetime | None:
        """The first wall time (without a zone) of this schedule at or after `wall`, whether or not it exists there."""
        if wall.second or wall.microsecond:
            wall = wall.replace(second=0, microsecond=0) + timedelta(minutes=1)
        fields = self.fields
        for year in fields.years[bisect_left(fields.years, wall.year) :]:
            same_year = year == wall.year
            for month in fields.months:
                if same_year and month < wall.month:
                    continue
                same_month = same_year and month == wall.month
                for day in self._days(date(year, month, 1)):
                    if same_month and day < wall.day:
                        continue
                    found = self._time_from(wall) if same_month and day == wall.day else (fields.hours[0], None)
                    if found is not None:
                        hour, minute = found
                        return datetime(year, month, day, hour, fields.minutes[0] if minute is None else minute)  # noqa: DTZ001 - wall time
        return None

    def _time_from(self, wall: datetime) -> tuple[int, int | None] | None:
        """The first (hour, minute) of a matching day at or after `wall`'s; minute None is the hour's first."""
        fields = self.fields
        for hour in fields.hours[bisect_left(fields.hours, wall.hour) :]:
            if hour > wall.hour:
                return hour, None
            index = bisect_left(fields.minutes, wall.minute)
            if index < len(fields.minutes):
                return hour, fields.minutes[index]
        return None

    def _next_fixed(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        # Wall times in order fire at instants in order, so the first that lies after `at` is the answer.
        wall = self._wall_from(_wall(at, zone))
        while wall is not None:
            instant = _first_instant(wall, zone) or _gap_end(wall, zone)
            if instant > at:
                return instant
            wall = self._wall_from(wall + timedelta(minutes=1))
        return None

    def _next_repeating(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        start = at + timedelta(microseconds=1)
        while True:
            offset = _offset(start, zone)
            wall = self._wall_from(_wall(start, zone))
            if wall is None:
                return None
            change = _change_within(start, start + _LOOK_AHEAD, zone)
            candidate = wall.replace(tzinfo=UTC) - offset
            if candidate < (change or start + _LOOK_AHEAD):
                return candidate
            # Past a change (or the look-ahead) the wall reads differently. A repeated hour may hold an earlier match
            # than `wall`, so go on from the change itself; further away `wall` is the next match either way.
            if change is None:
                instant = _first_instant(wall, zone)
                if instant is not None:
                    return instant
                start = _gap_end(wall, zone)
            else:
                start = change


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A schedule by elapsed time: every `seconds` from its anchor (when the trigger was created) on."""

    text: str
    seconds: int
    remarks: tuple[str, ...]  #: what AWS Glue would refuse in it, in words

    def next_after(self, moment: datetime, zone: ZoneInfo, *, anchor: datetime = EPOCH) -> datetime | None:
        """The first instant after `moment` a whole number of periods (at least one) after `anchor`, in UTC.

        `zone` makes no difference. None past the end of the year 2199.
        """
        del zone
        period = timedelta(seconds=self.seconds)
        passed = max((moment - anchor) // period, 0)
        try:
            found = (anchor + (passed + 1) * period).astimezone(UTC)
        except OverflowError:
            return None
        return found if found.year <= LAST_YEAR else None

    def between(
        self, start: datetime, end: datetime, zone: ZoneInfo, *, anchor: datetime = EPOCH
    ) -> Iterator[datetime]:
        """The instants after `start` up to and with `end`, ascending, in UTC."""
        return _between(self, start, end, zone, anchor)

    def faster_than(self, seconds: float) -> bool:
        """Whether it fires more often than every `seconds`."""
        return self.seconds < seconds


Schedule = Cron | Rate


@lru_cache(maxsize=16_384)
def parse(text: str) -> Schedule:
    """Read `cron(Min Hour DoM Month DoW Year)`, `rate(value unit)` or five-field cron.

    Raises:
        Invalid: naming the field, its column (from 1), its value and what was expected; or a date that never comes.
    """
    brackets = _BRACKETS.fullmatch(text)
    if brackets is None:
        fields = plain_fields(text, text, 0)
    elif brackets[1].lower() == "rate":
        return _rate(text, brackets[2])
    else:
        fields = aws_fields(text, brackets[2], brackets.start(2))
    schedule = Cron(text=text, fields=fields, remarks=fields.remarks)
    if not schedule.comes():
        raise Invalid(
            f"schedule {text!r} never comes: no such date from {FIRST_YEAR} to {LAST_YEAR};"
            " expected a day that its month has"
        )
    return schedule


def glue_refuses(schedule: Schedule) -> tuple[str, ...]:
    """Why AWS Glue would refuse this schedule, in words; empty when it would take it. Locally it runs all the same."""
    if schedule.faster_than(AWS_FASTEST):
        return (*schedule.remarks, "it fires more often than every 5 minutes")
    return schedule.remarks


def _rate(text: str, body: str) -> Rate:
    found = _RATE.fullmatch(body)
    if found is None or int(found[1]) == 0:
        raise Invalid(
            f"schedule {text!r}: rate {body.strip()!r} is wrong; expected a whole number from 1 to 9999999 and"
            " minute(s), hour(s) or day(s), such as rate(5 minutes)"
        )
    value, unit = int(found[1]), found[2].lower()
    remarks = ["Glue triggers take no rate(); write cron(...)"]
    right = unit if value == 1 else unit + "s"
    if (value == 1) == bool(found[3]):
        # The meaning is plain, so we take it; EventBridge itself would not.
        remarks.append(f"EventBridge wants rate({value} {right})")
    return Rate(text=text, seconds=value * _SECONDS[unit], remarks=tuple(remarks))


def _between(
    schedule: Schedule, start: datetime, end: datetime, zone: ZoneInfo, anchor: datetime
) -> Iterator[datetime]:
    tick = schedule.next_after(start, zone, anchor=anchor)
    while tick is not None and tick <= end:
        yield tick
        tick = schedule.next_after(tick, zone, anchor=anchor)


def _month_length(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_LENGTHS[month] + leap


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _first_instant(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant at which the clocks of `zone` first show `wall`; None when they never do (a gap)."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return instant if _wall(instant, zone) == wall else None


def _gap_end(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant after the gap that `wall` fell into."""
    # Read with the offset of after the change, a skipped time lies before it; with that of before, after it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return _change_within(before, after, zone) or after


def _change_within(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant between `start` (without) and `end` (with) at which the zone's offset changes, to the second."""
    offset = _offset(start, zone)
    if _offset(end, zone) == offset:
        return None
    same, other = 0, int((end - start).total_seconds()) + 1
    base = start.replace(microsecond=0)
    while other - same > 1:
        middle = (same + other) // 2
        if _offset(base + timedelta(seconds=middle), zone) == offset:
            same = middle
        else:
            other = middle
    return base + timedelta(seconds=other)
