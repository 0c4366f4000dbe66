"""This file is where the schedule door is asked what is due: on time, after a rest, while disabled, and by replicas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headgate.doors.schedule import MAX_MISSED, due, tick_identity
from headgate.model import Action, Event, JobName, Missed, Trigger, TriggerName, TriggerType

NIGHTLY = TriggerName("nightly")
TOLERANCE = timedelta(seconds=60)


def _trigger(
    schedule: str = "cron(0 2 * * ? *)",
    *,
    missed: Missed = Missed.ONCE,
    enabled: bool = True,
    name: TriggerName = NIGHTLY,
    timezone: str = "UTC",
) -> Trigger:
    return Trigger(
        name=name,
        type=TriggerType.SCHEDULED,
        actions=(Action(job=JobName("a")),),
        enabled=enabled,
        schedule=schedule,
        timezone=timezone,
        missed=missed,
    )


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _payload(event: Event) -> Mapping[str, object]:
    return event.payload


def test_a_tick_fires_at_its_time() -> None:
    """Before it there is nothing but a wake-up, at it there is one event, after it nothing until tomorrow."""
    trigger, last = _trigger(), {NIGHTLY: _utc("2026-02-15T02:00")}
    tick = _utc("2026-02-16T02:00")

    assert due([trigger], last, tick - timedelta(seconds=1), TOLERANCE) == ((), tick)
    (event,), wakeup = due([trigger], last, tick, TOLERANCE)
    assert (event.door, event.kind, event.at) == ("schedule", "Tick", tick)
    assert _payload(event) == {"trigger": "nightly", "tick": "2026-02-16T02:00:00+00:00", "missed": 0}
    assert wakeup == _utc("2026-02-17T02:00")
    assert due([trigger], {NIGHTLY: tick}, tick, TOLERANCE) == ((), wakeup)


@pytest.mark.parametrize(
    ("missed", "now", "ticks"),
    [
        (Missed.SKIP, "2026-02-16T09:00", []),
        (Missed.SKIP, "2026-02-16T02:01", [("2026-02-16T02:00", 3)]),
        (Missed.SKIP, "2026-02-16T02:01:01", []),
        (Missed.ONCE, "2026-02-16T09:00", [("2026-02-16T02:00", 3)]),
        (
            Missed.ALL,
            "2026-02-16T09:00",
            [("2026-02-13T02:00", 0), ("2026-02-14T02:00", 0), ("2026-02-15T02:00", 0), ("2026-02-16T02:00", 0)],
        ),
    ],
)
def test_missed_ticks_follow_the_policy(missed: Missed, now: str, ticks: list[tuple[str, int]]) -> None:
    """After four nights off: none, the newest for all, or each; and each says how many it stands for."""
    events, wakeup = due([_trigger(missed=missed)], {NIGHTLY: _utc("2026-02-12T02:00")}, _utc(now), TOLERANCE)

    assert [(event.at, _payload(event)["missed"]) for event in events] == [(_utc(at), count) for at, count in ticks]
    assert wakeup == _utc("2026-02-17T02:00")


def test_a_long_rest_is_made_up_to_a_limit_and_said() -> None:
    """A minutely trigger that slept for two years fires its newest thousand ticks, in order, and logs the rest."""
    now = _utc("2026-02-16T10:00:30")
    with capture_logs() as logged:
        events, _ = due([_trigger("* * * * *", missed=Missed.ALL)], {NIGHTLY: _utc("2024-02-16T10:00")}, now, TOLERANCE)

    assert len(events) == MAX_MISSED
    assert events[-1].at == _utc("2026-02-16T10:00")
    assert [event.at for event in events] == sorted(event.at for event in events)
    (line,) = logged
    assert (line["log_level"], line["trigger"]) == ("warning", "nightly")


def test_a_long_rest_counts_no_further_than_it_must() -> None:
    """With `once`, the same rest is one event that stands for (at least) a thousand."""
    now = _utc("2026-02-16T10:00:30")
    (event,), _ = due([_trigger("* * * * *")], {NIGHTLY: _utc("2024-02-16T10:00")}, now, TOLERANCE)

    assert (event.at, _payload(event)["missed"]) == (_utc("2026-02-16T10:00"), MAX_MISSED)


@pytest.mark.parametrize("missed", list(Missed))
def test_a_disabled_trigger_has_no_ticks(missed: Missed) -> None:
    """Nothing fires while it is disabled, and nothing wakes the door for it."""
    last = {NIGHTLY: _utc("2026-02-12T02:00")}

    assert due([_trigger(missed=missed, enabled=False)], last, _utc("2026-02-16T09:00"), TOLERANCE) == ((), None)


@pytest.mark.parametrize("missed", list(Missed))
def test_ticks_missed_while_disabled_are_not_made_up(missed: Missed) -> None:
    """Enabled again at noon, it owes nothing of the nights before: what counts is the enabling."""
    enabled_at = {NIGHTLY: _utc("2026-02-16T12:00")}

    events, wakeup = due([_trigger(missed=missed)], enabled_at, _utc("2026-02-16T12:00:01"), TOLERANCE)
    assert events == ()
    assert wakeup == _utc("2026-02-17T02:00")


@pytest.mark.parametrize("missed", list(Missed))
def test_a_trigger_never_seen_owes_only_the_present(missed: Missed) -> None:
    """Without any record of it, only a tick within the tolerance is due."""
    trigger = _trigger(missed=missed)

    assert due([trigger], {}, _utc("2026-02-16T09:00"), TOLERANCE).events == ()
    assert len(due([trigger], {}, _utc("2026-02-16T02:00:30"), TOLERANCE).events) == 1


def test_replicas_find_the_same_identity() -> None:
    """Two replicas that look at different moments give one tick one identity, whichever zone their clock is in."""
    last = {NIGHTLY: _utc("2026-02-15T02:00")}
    one = due([_trigger()], last, _utc("2026-02-16T02:00"), TOLERANCE).events
    other = due([_trigger()], last, _utc("2026-02-16T02:00:07"), TOLERANCE).events

    assert one[0].identity == other[0].identity
    assert one[0].identity != tick_identity(TriggerName("other"), one[0].at)
    elsewhere = one[0].at.astimezone(ZoneInfo("Asia/Kathmandu"))
    assert tick_identity(NIGHTLY, elsewhere) == one[0].identity


def test_the_zone_is_the_triggers() -> None:
    """02:00 in Berlin is 01:00 UTC in winter."""
    (event,), _ = due(
        [_trigger(timezone="Europe/Berlin")], {NIGHTLY: _utc("2026-02-15T02:00")}, _utc("2026-02-16T01:00"), TOLERANCE
    )

    assert event.at == _utc("2026-02-16T01:00")


def test_a_rate_counts_from_the_making_of_its_trigger() -> None:
    """Made at 10:07, every hour means 11:07."""
    made = _utc("2026-02-16T10:07")

    assert due([_trigger("rate(1 hour)")], {NIGHTLY: made}, made, TOLERANCE, anchors={NIGHTLY: made}) == (
        (),
        _utc("2026-02-16T11:07"),
    )


@pytest.mark.parametrize("broken", [_trigger("banana"), _trigger(timezone="Mars/Olympus"), _trigger(timezone="../x")])
def test_a_broken_trigger_holds_up_nobody(broken: Trigger) -> None:
    """It is logged by name, and the others fire."""
    good = _trigger(name=TriggerName("good"))
    now = _utc("2026-02-16T02:00")
    with capture_logs() as logged:
        events, _ = due([broken, good], {good.name: now - timedelta(days=1)}, now, TOLERANCE)

    assert [_payload(event)["trigger"] for event in events] == ["good"]
    assert [(line["log_level"], line["trigger"]) for line in logged] == [("error", "nightly")]


def test_other_types_are_none_of_this_doors_business() -> None:
    """An EVENT trigger has no ticks."""
    other = Trigger(name=NIGHTLY, type=TriggerType.EVENT, actions=())

    assert due([other], {}, _utc("2026-02-16T02:00"), TOLERANCE) == ((), None)


def test_the_earliest_of_all_wakes_the_door_and_a_clock_set_back_is_harmless() -> None:
    """The next wake-up is the nearest tick of any trigger; a last tick in the future just waits."""
    hourly = _trigger("0 * * * *", name=TriggerName("hourly"))
    ahead = {NIGHTLY: _utc("2026-02-20T02:00"), hourly.name: _utc("2026-02-16T02:00")}

    assert due([_trigger(), hourly], ahead, _utc("2026-02-16T02:10"), TOLERANCE) == ((), _utc("2026-02-16T03:00"))


@settings(deadline=None)
@given(
    st.sampled_from(["*/7 * * * *", "cron(0 0/2 * * ? *)", "30 1-4 * * *", "rate(11 minutes)"]),
    st.lists(st.integers(1, 7_200), min_size=1, max_size=40),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
def test_every_tick_is_due_exactly_once_however_one_sleeps(schedule: str, sleeps: list[int], timezone: str) -> None:
    """With `all`, the ticks of a night are given once each and in order, whenever the door happens to look."""
    trigger = _trigger(schedule, missed=Missed.ALL, timezone=timezone)
    start = _utc("2026-10-24T20:00")
    now = start
    given_ticks: list[datetime] = []
    last = {NIGHTLY: start}
    for sleep in sleeps:
        now += timedelta(seconds=sleep)
        events, wakeup = due([trigger], last, now, TOLERANCE)
        assert wakeup is None or wakeup > now
        given_ticks += [event.at for event in events]
        if events:
            last = {NIGHTLY: events[-1].at}

    whole = [event.at for event in due([trigger], {NIGHTLY: start}, now, TOLERANCE).events]
    assert given_ticks == whole
