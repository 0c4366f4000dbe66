"""This file is where the text of one schedule becomes sets of minutes, hours, days, months and years.

Two dialects: AWS's six fields inside `cron(...)` (Sunday is 1, `?` L W # and a year) and the plain five fields of
crontab(5) (Sunday is 0 or 7, day of month or day of week). Nothing here knows the time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NoReturn

from headgate.errors import Invalid

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2199

#: A month is told by the weekday of its first day (0 is Monday) and its length; days of the month follow from these.
Shape = tuple[int, int]
DayRule = Callable[[int, int], set[int]]

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTH_NUMBERS: Final = {name: index + 1 for index, name in enumerate(_MONTHS)}
_FIVE = ("minutes", "hours", "day of month", "month", "day of week")
_NO_NAMES: Final[Mapping[str, int]] = MappingProxyType({})
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What one schedule's text says, in wall time.

    `minutes` and `hours` are ascending. `days` holds the days of the month for each of the 28 shapes of a month, so
    that L, W and # cost nothing when the next time is looked for. `every_hour` is whether the hours were written as a
    repetition (`*`, a step, or all 24), which decides what a change of the clocks does. `remarks` say what AWS Glue
    would refuse in it.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: tuple[int, ...]
    years: tuple[int, ...]
    days: Mapping[Shape, tuple[int, ...]]
    every_hour: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One field of one schedule: what it may hold, and where it stands for whoever has to mend it."""

    schedule: str
    name: str
    text: str
    column: int  # from 1
    low: int
    high: int
    names: Mapping[str, int]
    wraps: bool = False  # a week is a circle: FRI-MON is four days

    @property
    def expected(self) -> str:
        names = list(self.names)
        return f"{self.low}-{self.high}" + (f" or {names[0]}-{names[-1]}" if names else "")

    def wrong(self, value: str, expected: str) -> NoReturn:
        raise Invalid(
            f"schedule {self.schedule!r}, column {self.column}: {self.name} {value!r} is wrong; expected {expected}"
        )

    def number(self, value: str) -> int:
        found = self.names.get(value.upper())
        if found is None:
            found = int(value) if _NUMBER.fullmatch(value) else -1
        if not self.low <= found <= self.high:
            self.wrong(value, self.expected)
        return found

    def step(self, value: str, item: str) -> int:
        if not _NUMBER.fullmatch(value) or int(value) == 0:
            self.wrong(item, "a whole number from 1 after the '/'")
        return int(value)


def _values(place: _Place, item: str) -> set[int]:
    """The values of one comma-separated item: `*`, `a`, `a-b`, and any of them with `/step`."""
    span, slash, step_text = item.partition("/")
    step = place.step(step_text, item) if slash else 1
    low_text, dash, high_text = span.partition("-")
    if span == "*":
        low, high = place.low, place.high
    elif dash:
        low, high = place.number(low_text), place.number(high_text)
        if low > high and not place.wraps:
            place.wrong(item, f"a range that goes upwards, such as {high}-{low}")
    else:
        low = place.number(span)
        high = place.high if slash else low  # a/b: from a, every b
    if high < low:
        return {(value - place.low) % 7 + place.low for value in range(low, high + 8, step)}
    return set(range(low, high + 1, step))


def _set(place: _Place) -> tuple[int, ...]:
    found: set[int] = set()
    for item in place.text.split(","):
        found |= _values(place, item)
    return tuple(sorted(found))


def _nearest_weekday(first: int, length: int, day: int) -> set[int]:
    """The Monday-to-Friday nearest to a day, never in another month (so 1W on a Saturday is Monday the 3rd)."""
    if day > length:
        return set()
    weekday = (first + day - 1) % 7
    if weekday == 5:
        return {day - 1} if day > 1 else {day + 2}
    if weekday == 6:
        return {day + 1} if day < length else {day - 2}
    return {day}


def _month_day_rule(place: _Place, item: str) -> DayRule:
    upper = item.upper()
    if upper == "L":
        return lambda _first, length: {length}
    if upper in {"LW", "WL"}:
        return lambda first, length: _nearest_weekday(first, length, length)
    if upper.endswith("W"):
        if not _NUMBER.fullmatch(item[:-1]):
            place.wrong(item, "a day before the 'W', such as 3W, or LW")
        day = place.number(item[:-1])
        return lambda first, length: _nearest_weekday(first, length, day)
    if "W" in upper or "L" in upper:
        place.wrong(item, "1-31, L, LW or a day and W such as 3W (L and W take no range or step)")
    days = _values(place, item)
    return lambda _first, length: {day for day in days if day <= length}


def _weekday_dates(first: int, length: int, weekday: int) -> list[int]:
    """The dates of a weekday (0 is Sunday) in a month."""
    return list(range(1 + (weekday - 1 - first) % 7, length + 1, 7))


def _weekday_rule(place: _Place, item: str) -> DayRule:
    """One item of the AWS day of the week: 1 is Sunday; `L` alone is Saturday, `5L` the month's last Thursday."""
    upper = item.upper()
    if "#" in item:
        name, _, count_text = item.partition("#")
        if count_text not in {"1", "2", "3", "4", "5"}:
            place.wrong(item, "a weekday, '#' and 1-5, such as 2#1 for the first Monday")
        weekday, count = place.number(name) - 1, int(count_text)
        return lambda first, length: set(_weekday_dates(first, length, weekday)[count - 1 : count])
    if upper == "L":
        return lambda first, length: set(_weekday_dates(first, length, 6))
    if upper.endswith("L"):
        last = place.number(item[:-1]) - 1
        return lambda first, length: {_weekday_dates(first, length, last)[-1]}
    weekdays = [value - 1 for value in _values(place, item)]
    return lambda first, length: {day for weekday in weekdays for day in _weekday_dates(first, length, weekday)}


def _days(rule: DayRule) -> Mapping[Shape, tuple[int, ...]]:
    shapes = [(first, length) for first in range(7) for length in range(28, 32)]
    return MappingProxyType({shape: tuple(sorted(rule(*shape))) for shape in shapes})


def _either(rules: list[DayRule]) -> DayRule:
    return lambda first, length: set[int]().union(*(rule(first, length) for rule in rules))


def _both(one: DayRule, other: DayRule) -> DayRule:
    return lambda first, length: one(first, length) & other(first, length)


class _Words:
    """The words of one schedule's text, each made into the field it stands for."""

    def __init__(self, schedule: str, body: str, offset: int, names: tuple[str, ...], form: str) -> None:
        self.schedule = schedule
        self.words = [(match.group(), offset + match.start() + 1) for match in _WORD.finditer(body)]
        self.names = names
        if len(self.words) != len(names):
            raise Invalid(
                f"schedule {schedule!r}: {form} has {len(names)} fields ({', '.join(names)}) with spaces between them;"
                f" expected {len(names)}, got {len(self.words)}"
            )

    def place(self, index: int, low: int, high: int, names: Mapping[str, int] = _NO_NAMES) -> _Place:
        text, column = self.words[index]
        return _Place(
            schedule=self.schedule,
            name=self.names[index],
            text=text,
            column=column,
            low=low,
            high=high,
            names=names,
            wraps=index == 4,
        )


def aws_fields(schedule: str, body: str, offset: int) -> Fields:
    """Read the six fields between the brackets of `cron(...)`; `offset` is how far into `schedule` they begin.

    Raises:
        Invalid: naming the field, its column, its value and what was expected.
    """
    words = _Words(schedule, body, offset, (*_FIVE, "year"), "cron(...)")
    hours = words.place(1, 0, 23)
    days = words.place(2, 1, 31)
    weekdays = words.place(4, 1, 7, {name: index + 1 for index, name in enumerate(_WEEKDAYS)})
    if (days.text == "?") == (weekdays.text == "?"):
        weekdays.wrong(weekdays.text, f"exactly one '?' in day of month ({days.text!r}) and day of week")
    place, rule = (weekdays, _weekday_rule) if days.text == "?" else (days, _month_day_rule)
    found = _set(hours)
    return Fields(
        minutes=_set(words.place(0, 0, 59)),
        hours=found,
        months=_set(words.place(3, 1, 12, _MONTH_NUMBERS)),
        years=_set(words.place(5, FIRST_YEAR, LAST_YEAR)),
        days=_days(_either([rule(place, item) for item in place.text.split(",")])),
        every_hour=_repeats(hours, found),
        remarks=("'#' in the day of week is EventBridge's; Glue does not list it",) if "#" in weekdays.text else (),
    )


def plain_fields(schedule: str, body: str, offset: int) -> Fields:
    """Read five-field cron as crontab(5) has it.

    A day matches when both day fields do, unless neither begins with `*`: then either is enough.

    Raises:
        Invalid: naming the field, its column, its value and what was expected.
    """
    words = _Words(schedule, body, offset, _FIVE, "cron without AWS's brackets")
    hours = words.place(1, 0, 23)
    days = words.place(2, 1, 31)
    weekdays = words.place(4, 0, 7, {name: index for index, name in enumerate(_WEEKDAYS)})
    for place in (days, weekdays):
        _refuse_aws_marks(place)
    on = {value % 7 for value in _set(weekdays)}
    dates = set(_set(days))

    def by_date(_first: int, length: int) -> set[int]:
        return {day for day in dates if day <= length}

    def by_weekday(first: int, length: int) -> set[int]:
        return {day for weekday in on for day in _weekday_dates(first, length, weekday)}

    starred = days.text.startswith("*") or weekdays.text.startswith("*")
    found = _set(hours)
    return Fields(
        minutes=_set(words.place(0, 0, 59)),
        hours=found,
        months=_set(words.place(3, 1, 12, _MONTH_NUMBERS)),
        years=tuple(range(FIRST_YEAR, LAST_YEAR + 1)),
        days=_days(_both(by_date, by_weekday) if starred else _either([by_date, by_weekday])),
        every_hour=_repeats(hours, found),
        remarks=("AWS takes no five-field cron; write cron(Min Hour DoM Month DoW Year)",),
    )


def _repeats(hours: _Place, found: tuple[int, ...]) -> bool:
    return "*" in hours.text or "/" in hours.text or len(found) == 24


def _refuse_aws_marks(place: _Place) -> None:
    """Say where L, W, # and ? belong; weekday names hold an L or W of their own (WED, JUL) and are let through."""
    for item in place.text.split(","):
        bare = re.sub(r"[A-Za-z]{3}", "", item)
        if re.search(r"[?LlWw#]", bare):
            place.wrong(item, f"{place.expected}; '?', L, W and # belong to cron(Min Hour DoM Month DoW Year)")
