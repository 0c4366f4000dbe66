"""This file is where cron is held against croniter and against a scan of every minute, on schedules nobody chose."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.flow.cron import parse

ZULU = ZoneInfo("UTC")
NAMES = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7} | {
    name.upper(): index for index, name in enumerate(calendar.month_abbr) if name
}
#: Zones with a change of the clocks in these nights (UTC noon before it): forward, back, by half an hour, at midnight.
NIGHTS = [
    ("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 0, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 5, 12, tzinfo=UTC)),
    ("Africa/Cairo", datetime(2026, 4, 23, 12, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 1, 1, 12, tzinfo=UTC)),
]


def _moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Any second from the start of one year to the start of another."""
    begin, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC)
    return st.integers(0, int((end - begin).total_seconds())).map(lambda passed: begin + timedelta(seconds=passed))


# --- schedules ---------------------------------------------------------------------------------------------------


def _number(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(str)


def _item(low: int, high: int) -> st.SearchStrategy[str]:
    # Not a-a: croniter 7 takes 0-0 for the whole range.
    span = st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(
        lambda pair: f"{min(pair)}-{max(pair)}"
    )
    step = st.integers(1, high - low + 2)
    return st.one_of(_number(low, high), span, st.builds("{}/{}".format, span, step), st.builds("*/{}".format, step))


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), st.lists(_item(low, high), min_size=1, max_size=3).map(",".join))


def _dates(low: int, high: int) -> st.SearchStrategy[str]:
    """A day field without `*/n`, which croniter and crontab(5) take differently when both day fields are given."""
    return st.one_of(st.just("*"), st.lists(_number(low, high), min_size=1, max_size=3).map(",".join))


MONTH_DAYS = st.one_of(
    st.just("L"), st.just("LW"), _number(1, 31).map(lambda day: day + "W"), _item(1, 31), st.just("*")
)
WEEK_DAYS = st.one_of(
    st.just("L"),
    _number(1, 7).map(lambda day: day + "L"),
    st.sampled_from(["MON", "fri", "SUNL", "WED#3"]),
    st.builds("{}#{}".format, st.integers(1, 7), st.integers(1, 5)),
    _item(1, 7),
)
YEARS = st.sampled_from(["*", "2026", "2024-2028", "2020/2", "2027,2028"])


@st.composite
def _aws(draw: st.DrawFn) -> str:
    by_date = draw(st.booleans())
    days = ",".join(draw(st.lists(MONTH_DAYS, min_size=1, max_size=2))) if by_date else "?"
    weekdays = "?" if by_date else ",".join(draw(st.lists(WEEK_DAYS, min_size=1, max_size=2)))
    return f"cron({draw(_field(0, 59))} {draw(_field(0, 23))} {days} {draw(_field(1, 12))} {weekdays} {draw(YEARS)})"


# --- the scan: one predicate per field form, asked of every minute ------------------------------------------------


def _says(item: str, value: int, low: int, high: int) -> bool:
    span, _, step = item.partition("/")
    if span == "*":
        first, last = low, high
    elif "-" in span:
        first, last = (int(end) for end in span.split("-"))
    else:
        first = NAMES.get(span.upper()) or int(span)
        last = high if step else first
    return first <= value <= last and (value - first) % int(step or 1) == 0


def _any(field: str, value: int, low: int, high: int) -> bool:
    return any(_says(item, value, low, high) for item in field.split(","))


def _last_day(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _nearest(wanted: date, day: date) -> bool:
    """Whether `day` is the working day of its month nearest to `wanted`."""
    month = [day.replace(day=number + 1) for number in range(_last_day(day).day)]
    working = [each for each in month if each.weekday() < 5]
    return day == min(working, key=lambda each: abs((each - wanted).days))


def _date_says(item: str, day: date) -> bool:
    if item == "L":
        return day == _last_day(day)
    if item == "LW":
        return _nearest(_last_day(day), day)
    if item.endswith("W"):
        return int(item[:-1]) <= _last_day(day).day and _nearest(day.replace(day=int(item[:-1])), day)
    return _says(item, day.day, 1, 31)


def _weekday_says(item: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1
    if item == "L":
        return number == 7
    if "#" in item:
        name, count = item.split("#")
        return number == (NAMES.get(name.upper()) or int(name)) and (day.day + 6) // 7 == int(count)
    if item.endswith("L"):
        last_week = (day + timedelta(days=7)).month != day.month
        return last_week and number == (NAMES.get(item[:-1].upper()) or int(item[:-1]))
    return _says(item, number, 1, 7)


def _day_says(fields: list[str], day: date) -> bool:
    if not (_any(fields[3], day.month, 1, 12) and _any(fields[5], day.year, 1970, 2199)):
        return False
    if fields[2] == "?":
        return any(_weekday_says(item, day) for item in fields[4].split(","))
    return any(_date_says(item, day) for item in fields[2].split(","))


def _wall_says(fields: list[str], wall: datetime) -> bool:
    return _any(fields[0], wall.minute, 0, 59) and _any(fields[1], wall.hour, 0, 23) and _day_says(fields, wall.date())


def _scan(schedule: str, start: datetime, minutes: int, zone: ZoneInfo) -> list[datetime]:
    """Every firing in the minutes after `start`, by looking at each, with the clock-change rules as they are worded."""
    fields = schedule.removeprefix("cron(").removesuffix(")").split()
    repeating = "*" in fields[1] or "/" in fields[1] or all(_any(fields[1], hour, 0, 23) for hour in range(24))
    shown = {(start - timedelta(minutes=back)).astimezone(zone).replace(tzinfo=None) for back in range(180)}
    before = start.astimezone(zone).replace(tzinfo=None)
    found: list[datetime] = []
    for minute in range(1, minutes + 1):
        instant = start + timedelta(minutes=minute)
        wall = instant.astimezone(zone).replace(tzinfo=None)
        skipped = [before + timedelta(minutes=gone) for gone in range(1, int((wall - before).total_seconds() // 60))]
        fires = _wall_says(fields, wall) and (repeating or wall not in shown)
        if fires or (not repeating and any(_wall_says(fields, gone) for gone in skipped)):
            found.append(instant)
        shown.add(wall)
        before = wall
    return found


def _comes(schedule: str) -> bool:
    """Whether the schedule is one that ever fires; any other refusal is a failure of the test."""
    try:
        parse(schedule)
    except Invalid as refused:
        if "never comes" not in str(refused):
            raise
        return False
    return True


# --- properties --------------------------------------------------------------------------------------------------


@st.composite
def _plain(draw: st.DrawFn) -> str:
    fields = (_field(0, 59), _field(0, 23), _dates(1, 31), _field(1, 12), _dates(0, 7))
    return " ".join(draw(field) for field in fields)


@settings(deadline=None, max_examples=200)
@given(schedule=_plain(), start=_moments(2020, 2035))
@example(schedule="0 0 29 2 *", start=datetime(2020, 3, 1, tzinfo=UTC))
@example(schedule="0 0 31 2 7", start=datetime(2020, 3, 1, tzinfo=UTC))
def test_plain_cron_is_croniters(schedule: str, start: datetime) -> None:
    """On the language both know, the next five times are those of an independent implementation."""
    assume(_comes(schedule))
    ours = list(islice(parse(schedule).between(start, start + timedelta(days=40 * 365), ZULU), 5))
    other = croniter(schedule, start, max_years_between_matches=20)
    theirs = list(islice(other.all_next(datetime), 5))

    assert ours == theirs


@settings(deadline=None, max_examples=100)
@given(schedule=_aws(), start=_moments(2024, 2029))
def test_aws_cron_is_a_scan_of_every_day(schedule: str, start: datetime) -> None:
    """Over two months, the days that fire are those a calendar picks (L, W, #, names, years and all)."""
    assume(_comes(schedule))
    begin = start.replace(second=0)
    end = begin + timedelta(days=62)
    fields = schedule.removeprefix("cron(").removesuffix(")").split()
    days = [begin.date() + timedelta(days=ahead) for ahead in range(63)]
    times = [
        (hour, minute)
        for hour in range(24)
        for minute in range(60)
        if _any(fields[1], hour, 0, 23) and _any(fields[0], minute, 0, 59)
    ]
    scanned = [
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
        for day in days
        if _day_says(fields, day)
        for hour, minute in times
    ]

    expected = [tick for tick in scanned if begin < tick <= end]
    assert list(islice(parse(schedule).between(begin, end, ZULU), 300)) == expected[:300]


@settings(deadline=None, max_examples=60)
@given(
    minute=_field(0, 59),
    hour=st.one_of(_field(0, 23), st.lists(_number(0, 4), min_size=1, max_size=3).map(",".join), st.just("0-23")),
    night=st.sampled_from(NIGHTS),
)
def test_the_night_the_clocks_change_is_a_scan_of_every_minute(
    minute: str, hour: str, night: tuple[str, datetime]
) -> None:
    """In every zone, the firings of the night are those the wording of the rules picks minute by minute."""
    zone, start = ZoneInfo(night[0]), night[1]
    schedule = f"cron({minute} {hour} * * ? *)"

    ours = list(parse(schedule).between(start, start + timedelta(hours=36), zone))

    assert ours == _scan(schedule, start, 36 * 60, zone)


@settings(deadline=None)
@given(schedule=_aws(), start=_moments(1960, 2210), later=st.integers(0, 10**9))
def test_no_tick_is_jumped_over(schedule: str, start: datetime, later: int) -> None:
    """Asked from anywhere before a tick, the answer is that tick or an earlier one."""
    assume(_comes(schedule))
    zone = ZoneInfo("America/New_York")
    first = parse(schedule).next_after(start, zone)
    second = parse(schedule).next_after(start + timedelta(seconds=later), zone)

    if first is not None and second is not None:
        assert first <= second
    if first is None:
        assert second is None


@settings(deadline=None)
@given(st.text(alphabet="0123456789 */,-?LW#()cronratehymdiusMONJAN\u0663", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever is written, it is a schedule or an error for people, at once."""
    for schedule in (text, f"cron({text})", f"rate({text})"):
        refused = ""
        try:
            parse(schedule).next_after(datetime(2026, 1, 1, tzinfo=UTC), ZULU)
        except Invalid as error:
            refused = str(error)

        assert not refused or repr(schedule) in refused
