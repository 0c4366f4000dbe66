"""This file is where the schedule door is: which ticks of which triggers are due now, and when to look again.

It is one pure function. Whoever has a clock and the ledger calls it, records the events it gives, and sleeps until the
next wake-up. A tick's identity is its trigger and its instant, so any number of replicas may find the same tick: the
ledger takes it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from headgate.errors import Invalid
from headgate.flow.cron import EPOCH, Schedule, parse
from headgate.model import FIRST_START, TICK, Event, Missed, Trigger, TriggerName, TriggerType, new_event_id

#: At most so many missed ticks of one trigger are made up (`all`) or counted (`once`, `skip`).
MAX_MISSED: Final = 1_000

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Due(NamedTuple):
    """What is due, oldest first, and when something will be next (None: no enabled schedule has a next time)."""

    events: tuple[Event, ...]
    next_wakeup: datetime | None


def due(
    triggers: Iterable[Trigger],
    last_ticks: Mapping[TriggerName, datetime],
    now: datetime,
    tolerance: timedelta,
    *,
    anchors: Mapping[TriggerName, datetime] | None = None,
) -> Due:
    """Return the ticks that are due at `now`, as events, and the next instant at which one will be.

    What happens to ticks that were missed is each trigger's `missed`: `skip` fires a tick only within `tolerance` of
    its time, `once` fires the newest for all of them, `all` fires each (the newest MAX_MISSED). An event's payload
    says how many earlier ticks it stands for. A trigger that is disabled has no ticks, and one whose schedule or
    timezone can not be read is logged and holds up nobody.

    Args:
        triggers: of any type; only enabled SCHEDULED ones count.
        last_ticks: per trigger, the instant up to which nothing is owed: the newest of its last recorded tick, its
            making, and its last enabling (so ticks missed while disabled are never made up). A trigger that is not in
            it owes only what lies within `tolerance`.
        now: with a zone.
        tolerance: how late a tick may fire and still be on time.
        anchors: what `rate()` counts from, usually the trigger's making; 1970 by default.
    """
    events: list[Event] = []
    wakeups: list[datetime] = []
    for trigger in triggers:
        if trigger.type is not TriggerType.SCHEDULED or not trigger.enabled:
            continue
        try:
            schedule, zone = parse(trigger.schedule or ""), _zone(trigger.timezone)
        except Invalid as error:
            _log.error("a trigger's schedule can not be read; it does not fire", trigger=trigger.name, error=str(error))
            continue
        anchor = (anchors or {}).get(trigger.name, EPOCH)
        last = last_ticks.get(trigger.name, now - tolerance)
        following = schedule.next_after(last, zone, anchor=anchor)
        if following is not None and following <= now:
            events += _owed(trigger, _newest(schedule, zone, anchor, last, now), now, tolerance)
            following = schedule.next_after(now, zone, anchor=anchor)
        if following is not None:
            wakeups.append(following)
    events.sort(key=lambda event: event.at)
    return Due(tuple(events), min(wakeups, default=None))


def first_starts(
    triggers: Iterable[Trigger], waiting: Mapping[TriggerName, datetime], now: datetime
) -> tuple[Event, ...]:
    """Return the first starts that are owed: of enabled triggers with `at_first_start` that never had theirs.

    Args:
        triggers: of any type; only enabled SCHEDULED ones count.
        waiting: those that never had one, and since when each is active. The ledger, which takes each once for ever,
            has the last word.
        now: with a zone.
    """
    return tuple(
        Event(
            id=new_event_id(),
            door="schedule",
            kind=FIRST_START,
            # with the time of its activation: one that was skipped, since the trigger was just being disabled, is no
            # reason to skip the next one
            identity=_digest("first start", trigger.name, waiting[trigger.name]),
            at=now,
            payload={"trigger": trigger.name},
        )
        for trigger in triggers
        if trigger.type is TriggerType.SCHEDULED
        and trigger.enabled
        and trigger.at_first_start
        and trigger.name in waiting
    )


def tick_identity(trigger: TriggerName, tick: datetime) -> str:
    """The identity (64 hex digits) of one tick of one trigger, the same in every replica."""
    return _digest("schedule", trigger, tick)


def _digest(what: str, trigger: TriggerName, at: datetime) -> str:
    return hashlib.sha256("\0".join((what, trigger, at.astimezone(UTC).isoformat())).encode()).hexdigest()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(f"timezone {name!r} is not known; expected an IANA name such as Europe/Berlin") from error


def _newest(schedule: Schedule, zone: ZoneInfo, anchor: datetime, last: datetime, now: datetime) -> list[datetime]:
    """The newest ticks after `last` up to `now`, ascending, at most one more than MAX_MISSED."""
    # Years of a minutely schedule may lie between: look back in windows that double, and stop when they hold enough.
    window = timedelta(hours=1)
    while True:
        start = max(last, now - window)
        ticks = list(schedule.between(start, now, zone, anchor=anchor))
        if len(ticks) > MAX_MISSED or start == last:
            return ticks[-MAX_MISSED - 1 :]
        window *= 2


def _owed(trigger: Trigger, ticks: list[datetime], now: datetime, tolerance: timedelta) -> list[Event]:
    *missed, newest = ticks
    if trigger.missed is Missed.ALL:
        if len(ticks) > MAX_MISSED:
            _log.warning(
                "more ticks were missed than are made up; the older ones are left out",
                trigger=trigger.name,
                made_up=MAX_MISSED,
                since=ticks[1].isoformat(),
            )
        return [_event(trigger, tick, 0) for tick in ticks[-MAX_MISSED:]]
    if trigger.missed is Missed.SKIP and now - newest > tolerance:
        return []
    return [_event(trigger, newest, len(missed))]


def _event(trigger: Trigger, tick: datetime, missed: int) -> Event:
    return Event(
        id=new_event_id(),
        door="schedule",
        kind=TICK,
        identity=tick_identity(trigger.name, tick),
        at=tick,
        payload={"trigger": trigger.name, "tick": tick.isoformat(), "missed": missed},
    )
