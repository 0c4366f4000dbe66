"""This file is where schedules are read, refused and followed, by examples a person can check with a calendar."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from headgate.errors import Invalid
from headgate.flow.cron import Cron, Rate, glue_refuses, parse

ZULU = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
FAR = datetime(2200, 12, 31, tzinfo=UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ticks(schedule: str, start: str, count: int, zone: ZoneInfo = ZULU) -> list[str]:
    found = islice(parse(schedule).between(_utc(start), FAR, zone), count)
    return [tick.strftime("%Y-%m-%dT%H:%M") for tick in found]


@pytest.mark.parametrize(
    ("schedule", "start", "expected"),
    [
        ("cron(0 0/6 * * ? *)", "2026-02-16T10:00", ["2026-02-16T12:00", "2026-02-16T18:00", "2026-02-17T00:00"]),
        ("cron(15 12 * * ? *)", "2026-02-16T12:15", ["2026-02-17T12:15", "2026-02-18T12:15"]),
        ("cron(1/10 0 * * ? *)", "2026-02-16T00:00", ["2026-02-16T00:01", "2026-02-16T00:11", "2026-02-16T00:21"]),
        ("cron(0 9 ? * MON-FRI *)", "2026-02-13T09:00", ["2026-02-16T09:00", "2026-02-17T09:00"]),
        ("cron(0 9 ? * 2-6 *)", "2026-02-13T09:00", ["2026-02-16T09:00", "2026-02-17T09:00"]),
        ("cron(0 9 ? * FRI-MON *)", "2026-02-13T09:00", ["2026-02-14T09:00", "2026-02-15T09:00", "2026-02-16T09:00"]),
        ("cron(0 0 ? * 1 *)", "2026-02-13T09:00", ["2026-02-15T00:00"]),
        ("cron(0 0 ? * L *)", "2026-02-13T09:00", ["2026-02-14T00:00"]),
        ("cron(0 8 1 * ? *)", "2026-01-15T00:00", ["2026-02-01T08:00", "2026-03-01T08:00"]),
        ("cron(0 8 L * ? *)", "2027-12-31T08:00", ["2028-01-31T08:00", "2028-02-29T08:00"]),
        ("cron(0 8 LW * ? *)", "2026-01-01T00:00", ["2026-01-30T08:00", "2026-02-27T08:00", "2026-03-31T08:00"]),
        ("cron(0 8 1W * ? *)", "2026-07-31T00:00", ["2026-08-03T08:00", "2026-09-01T08:00"]),
        ("cron(0 8 3W * ? *)", "2026-01-04T00:00", ["2026-02-03T08:00", "2026-03-03T08:00", "2026-04-03T08:00"]),
        ("cron(0 8 31W * ? *)", "2026-01-01T00:00", ["2026-01-30T08:00", "2026-03-31T08:00", "2026-05-29T08:00"]),
        ("cron(0 0 ? * 5L *)", "2026-02-01T00:00", ["2026-02-26T00:00", "2026-03-26T00:00"]),
        ("cron(0 0 ? * 5L *)", "2026-04-01T00:00", ["2026-04-30T00:00", "2026-05-28T00:00"]),
        ("cron(0 0 ? * THUL *)", "2026-02-01T00:00", ["2026-02-26T00:00", "2026-03-26T00:00"]),
        ("cron(0 0 ? * 2#1 *)", "2026-02-01T00:00", ["2026-02-02T00:00", "2026-03-02T00:00"]),
        ("cron(0 0 ? * MON#5 *)", "2026-02-01T00:00", ["2026-03-30T00:00", "2026-06-29T00:00"]),
        ("cron(0 0 1,L JAN,jul ? 2030-2031)", "2026-01-01T00:00", ["2030-01-01T00:00", "2030-01-31T00:00"]),
        ("cron(0 0 1 1 ? 2198/1)", "2026-01-01T00:00", ["2198-01-01T00:00", "2199-01-01T00:00"]),
        ("cron(0 0 1 1 ? 1999)", "2026-01-01T00:00", []),
        ("cron(0 0 29 2 ? *)", "2096-02-29T00:00", ["2104-02-29T00:00"]),
        ("cron(0 0 ? 2 2#5 *)", "2026-01-01T00:00", ["2044-02-29T00:00"]),
        ("0 0 * * 0", "2026-02-13T09:00", ["2026-02-15T00:00"]),
        ("0 0 * * 7", "2026-02-13T09:00", ["2026-02-15T00:00"]),
        ("0 0 * * fri-sun", "2026-02-16T09:00", ["2026-02-20T00:00", "2026-02-21T00:00", "2026-02-22T00:00"]),
        ("0 0 13 * 5", "2026-02-13T09:00", ["2026-02-20T00:00", "2026-02-27T00:00", "2026-03-06T00:00"]),
        ("0 0 13 * *", "2026-02-13T09:00", ["2026-03-13T00:00"]),
        ("*/20 3 * * *", "2026-02-13T09:00", ["2026-02-14T03:00", "2026-02-14T03:20", "2026-02-14T03:40"]),
    ],
)
def test_a_schedule_fires_when_its_text_says(schedule: str, start: str, expected: list[str]) -> None:
    """Every field form of both dialects means what AWS's table and crontab(5) say."""
    assert _ticks(schedule, start, max(len(expected), 1)) == expected


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("cron(0 25 * * ? *)", ["column 8", "hours", "'25'", "0-23"]),
        ("cron(60 * * * ? *)", ["column 6", "minutes", "'60'", "0-59"]),
        ("cron(0 0 0 * ? *)", ["column 10", "day of month", "'0'", "1-31"]),
        ("cron(0 0 * FOO ? *)", ["column 12", "month", "'FOO'", "1-12 or JAN-DEC"]),
        ("cron(0 0 ? * 8 *)", ["column 14", "day of week", "'8'", "1-7 or SUN-SAT"]),
        ("cron(0 0 * * ? 1969)", ["column 16", "year", "'1969'", "1970-2199"]),
        ("cron(* * * * * *)", ["column 14", "'?'", "day of month"]),
        ("cron(0 0 ? * ? *)", ["'?'", "exactly one"]),
        ("cron(0 0 * * ?)", ["6 fields", "got 5"]),
        ("* * * * * *", ["5 fields", "got 6"]),
        ("banana", ["5 fields", "got 1"]),
        ("", ["5 fields", "got 0"]),
        ("0 0 L * *", ["column 5", "'L'", "cron("]),
        ("0 0 ? * 1", ["column 5", "'?'", "cron("]),
        ("0 0 * * 5L", ["column 9", "'5L'", "cron("]),
        ("cron(0 0 3-5W * ? *)", ["column 10", "'3-5W'", "3W"]),
        ("cron(0 0 L-3 * ? *)", ["column 10", "'L-3'"]),
        ("cron(0 0 ? * 2#6 *)", ["column 14", "'2#6'", "2#1"]),
        ("cron(5-3 0 * * ? *)", ["column 6", "'5-3'", "upwards"]),
        ("cron(0/0 0 * * ? *)", ["column 6", "'0/0'", "from 1"]),
        ("cron(1,,2 0 * * ? *)", ["column 6", "''", "0-59"]),
        ("cron(-5 0 * * ? *)", ["column 6", "minutes", "0-59"]),
        ("cron(\u0663 0 * * ? *)", ["column 6", "minutes", "0-59"]),
        ("cron(0 0 30 2 ? *)", ["never comes"]),
        ("0 0 31 4,6,9,11 *", ["never comes"]),
        ("cron(0 0 29 2 ? 2001)", ["never comes"]),
        ("rate(0 minutes)", ["'0 minutes'", "rate(5 minutes)"]),
        ("rate(5 weeks)", ["'5 weeks'", "day(s)"]),
        ("rate(-1 day)", ["'-1 day'"]),
    ],
)
def test_a_wrong_schedule_is_refused_by_field_and_value(schedule: str, told: list[str]) -> None:
    """The error names the field, its column, its value and what was expected."""
    with pytest.raises(Invalid) as refused:
        parse(schedule)

    for words in told:
        assert words in str(refused.value)


def test_a_skipped_wall_time_fires_once_after_the_gap() -> None:
    """On the night the clocks go forward, the 02:30 job runs at 03:00 (01:00 UTC), and next at 02:30 again."""
    assert _ticks("cron(30 2 * * ? *)", "2026-03-28T12:00", 2, BERLIN) == ["2026-03-29T01:00", "2026-03-30T00:30"]


def test_several_skipped_wall_times_are_one_firing() -> None:
    """02:00, 02:20 and 02:40 do not exist that night: together they fire once."""
    ticks = _ticks("cron(0,20,40 2 * * ? *)", "2026-03-28T12:00", 2, BERLIN)

    assert ticks == ["2026-03-29T01:00", "2026-03-30T00:00"]


def test_a_repeated_wall_time_fires_the_first_time_only() -> None:
    """On the night the clocks go back, 02:30 comes twice and the job runs once."""
    assert _ticks("30 2 * * *", "2026-10-24T12:00", 2, BERLIN) == ["2026-10-25T00:30", "2026-10-26T01:30"]


def test_hourly_schedules_fire_through_both_changes() -> None:
    """Every hour stays every hour, whatever the clocks on the wall do."""
    forward = list(parse("0 * * * *").between(_utc("2026-03-28T22:00"), _utc("2026-03-29T04:00"), BERLIN))
    back = list(parse("cron(0 * * * ? *)").between(_utc("2026-10-24T22:00"), _utc("2026-10-25T04:00"), BERLIN))

    assert [tick.hour for tick in forward] == [23, 0, 1, 2, 3, 4]
    assert [tick.hour for tick in back] == [23, 0, 1, 2, 3, 4]


def test_stepped_hours_follow_the_wall() -> None:
    """`2/6` has no 02:00 on the night it does not exist, and two of them on the night it comes twice."""
    assert _ticks("cron(0 2/6 * * ? *)", "2026-03-28T20:00", 1, BERLIN) == ["2026-03-29T06:00"]
    assert _ticks("cron(0 2/6 * * ? *)", "2026-10-24T20:00", 2, BERLIN) == ["2026-10-25T00:00", "2026-10-25T01:00"]


def test_a_day_that_a_zone_left_out_fires_at_its_end() -> None:
    """Apia had no 30 December 2011: the noon job of that day runs at the first moment after it."""
    ticks = _ticks("0 12 * * *", "2011-12-29T23:00", 2, ZoneInfo("Pacific/Apia"))

    assert ticks == ["2011-12-30T10:00", "2011-12-30T22:00"]


def test_offsets_of_seconds_do_not_move_a_tick() -> None:
    """Monrovia's clocks were 44 minutes and 30 seconds behind UTC until 1972; noon there is noon there."""
    noon = parse("0 12 * * *").next_after(_utc("1971-06-01T00:00"), ZoneInfo("Africa/Monrovia"))

    assert noon == datetime(1971, 6, 1, 12, 44, 30, tzinfo=UTC)


def test_a_rate_counts_from_its_anchor() -> None:
    """The first firing is one period after the trigger was made; the clocks on the wall do not matter."""
    anchor = _utc("2026-03-29T00:10")
    ticks = list(parse("rate(1 hour)").between(anchor, _utc("2026-03-29T03:10"), BERLIN, anchor=anchor))

    assert [tick.strftime("%H:%M") for tick in ticks] == ["01:10", "02:10", "03:10"]
    assert parse("rate(1 hour)").next_after(_utc("2020-01-01T00:00"), ZULU, anchor=anchor) == ticks[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("RATE( 2 Days )", 172_800)]
)
def test_rates_are_read(text: str, seconds: int) -> None:
    """A rate is a number and a unit, in either case."""
    schedule = parse(text)

    assert isinstance(schedule, Rate)
    assert schedule.seconds == seconds


@pytest.mark.parametrize(("text", "right"), [("rate(1 hours)", "rate(1 hour)"), ("rate(5 minute)", "rate(5 minutes)")])
def test_a_wrong_plural_is_taken_and_said(text: str, right: str) -> None:
    """We know what is meant; EventBridge would refuse it, and that is said."""
    assert any(right in remark for remark in glue_refuses(parse(text)))


@pytest.mark.parametrize(
    ("text", "seconds", "faster"),
    [
        ("cron(0/5 * * * ? *)", 300, False),
        ("cron(0/4 * * * ? *)", 300, True),
        ("cron(0,58 0 * * ? *)", 300, False),
        ("cron(0,58 0,23 * * ? *)", 300, True),  # 23:58 and 00:00
        ("cron(0,58 0,23 1/2 * ? *)", 300, True),  # the 31st and the 1st touch
        ("cron(0,58 0,23 1 * ? *)", 300, False),
        ("cron(0 0 * * ? *)", 86_400, False),
        ("cron(0 0 * * ? *)", 86_401, True),
        ("cron(0 0 1 1 ? *)", 365 * 86_400 + 1, True),
        ("cron(0 0 1 1 ? 2030)", 1e12, False),
        ("rate(4 minutes)", 300, True),
        ("rate(5 minutes)", 300, False),
    ],
)
def test_the_shortest_gap_is_known(text: str, seconds: float, *, faster: bool) -> None:
    """AWS's five-minute rule is judged by the two closest ticks, over midnight too."""
    assert parse(text).faster_than(seconds) is faster


def test_what_glue_would_refuse_is_said_and_nothing_else() -> None:
    """A schedule Glue takes has no remark; others say each reason."""
    assert glue_refuses(parse("cron(0 0/6 * * ? *)")) == ()
    assert any("5 minutes" in remark for remark in glue_refuses(parse("cron(* * * * ? *)")))
    assert any("five-field" in remark for remark in glue_refuses(parse("0 0 * * *")))
    assert any("#" in remark for remark in glue_refuses(parse("cron(0 0 ? * 2#1 *)")))
    assert any("rate" in remark for remark in glue_refuses(parse("rate(5 minutes)")))


def test_the_end_of_time_is_none() -> None:
    """After the last year there is no next time, however far one asks."""
    for text in ("* * * * *", "cron(0 0 1 1 ? *)", "rate(1 day)"):
        for year in (2200, 2300, 9999):
            assert parse(text).next_after(datetime(year, 12, 31, 23, 59, 59, 5, tzinfo=UTC), BERLIN) is None


def test_the_same_text_is_read_once() -> None:
    """Ten thousand triggers with one schedule share one reading of it."""
    assert parse("cron(0 3 * * ? *)") is parse("cron(0 3 * * ? *)")


def test_rare_dates_are_found_fast() -> None:
    """The next time of a schedule that comes every few decades takes less than 5 ms."""
    rare = [
        parse(text)
        for text in ("cron(0 0 ? 2 2#5 *)", "cron(0 0 1 1 ? 2199)", "cron(0 0 29 2 ? 2196)", "cron(59 23 31 12 ? 1970)")
    ]
    assert all(isinstance(schedule, Cron) for schedule in rare)
    best = []
    for _ in range(5):
        started = time.perf_counter()
        for schedule in rare:
            schedule.next_after(_utc("2044-03-01T00:00"), BERLIN)
        best.append((time.perf_counter() - started) / len(rare))

    assert min(best) < 0.005


def test_next_is_always_later() -> None:
    """Asking again from a tick never gives the same tick, on any minute of a night when the clocks change."""
    for text in ("* * * * *", "30 1,2,3 * * *", "*/7 1-3 * * *", "rate(1 minute)"):
        at = _utc("2026-10-24T22:00")
        while at < _utc("2026-10-25T03:00"):
            found = parse(text).next_after(at, BERLIN)
            assert found is not None
            assert found > at
            at += timedelta(minutes=1)
