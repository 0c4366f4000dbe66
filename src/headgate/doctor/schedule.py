"""This file is where it is found out why a SCHEDULED trigger did not fire: its text, its zone, its ticks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headgate.doctor.case import Case
from headgate.doctor.finding import Finding, Rank
from headgate.doctor.records import moment, told
from headgate.errors import Invalid
from headgate.flow.cron import Schedule, parse

#: How late a tick may be before it counts as missed here.
_LATE = timedelta(minutes=2)


def examine(case: Case) -> Iterator[Finding]:
    """Whether the schedule can be read, when it is due, and whether due times passed."""
    where = f"set schedule: of triggers.{case.name} in headgate.yaml, then: headgate apply"
    try:
        schedule = parse(case.trigger["schedule"] or "")
    except Invalid as error:
        yield Finding(Rank.BROKEN, "its schedule cannot be read, so it never fires", str(error), where)
        return
    zone = _zone(case.trigger["timezone"])
    if zone is None:
        yield Finding(
            Rank.BROKEN,
            f"its timezone {case.trigger['timezone']!r} is not known, so it never fires",
            "expected an IANA name such as Europe/Berlin",
            f"set timezone: of triggers.{case.name} in headgate.yaml, then: headgate apply",
        )
        return
    coming = moment(case.trigger["next_tick"]) if case.trigger["enabled"] else schedule.next_after(case.now, zone)
    if coming is None:
        yield Finding(Rank.BROKEN, "its schedule has no next time", f"{case.trigger['schedule']!r} is over", where)
        return
    yield from _left(case)
    yield from _missed(case, schedule, zone)
    yield from _other_zone(case, schedule, zone)
    local = coming.astimezone(zone)
    last = moment(case.events[0]["at"]) if case.events else None
    ticked = f"it ticked last at {told(last)}" if last else "it has not ticked yet"
    yield Finding(
        Rank.NOTE if last or not case.trigger["enabled"] else Rank.LIKELY,
        f"it is due next at {told(coming)} ({local:%Y-%m-%d %H:%M} in {case.trigger['timezone']})",
        f"schedule {case.trigger['schedule']!r}; {ticked}",
        "; ".join(f"headgate run {one['job']}" for one in case.trigger["actions"]),
    )


def _left(case: Case) -> Iterator[Finding]:
    """Whether DataHub does what it would do, which is why it was skipped the last time."""
    last = case.decisions[0] if case.decisions else None
    if last is not None and last["outcome"] == "skipped" and str(last["reason"]).startswith("doubled:"):
        yield Finding(
            Rank.LIKELY,
            "DataHub ingests the same by a schedule of its own, so it was left to DataHub",
            f"decided at {told(moment(last['at']))}: {last['reason']}",
            f"take the schedule off in DataHub, or set unless_datahub_schedules: false at triggers.{case.name} in"
            " headgate.yaml, then: headgate apply",
        )


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _missed(case: Case, schedule: Schedule, zone: ZoneInfo) -> Iterator[Finding]:
    """Ticks nobody was there for, and what the trigger's policy does with them."""
    policy = case.trigger["missed"]
    start = "; ".join(f"headgate run {one['job']}" for one in case.trigger["actions"])
    last = moment(case.trigger["last_tick"])
    if last is not None and case.trigger["enabled"]:
        # a few are enough to tell; a minutely schedule may have missed a year of them
        ticks = schedule.between(max(last, case.now - timedelta(days=31)), case.now - _LATE, zone, anchor=last)
        first = next(ticks, None)
        if first is not None:
            count = 1 + sum(1 for _, _ in zip(range(999), ticks, strict=False))
            dropped = "they are dropped (missed: skip)" if policy == "skip" else f"they are made up (missed: {policy})"
            yield Finding(
                Rank.LIKELY,
                f"{count} of its times passed with nobody to fire them, the first at {told(first)}",
                f"its newest tick on record is {told(last)}; when a server is there, {dropped}",
                f"set missed: once at triggers.{case.name}, then: headgate apply; for now: {start}"
                if policy == "skip" and case.served
                else ("headgate serve" if not case.served else start),
            )
    stood = case.events[0]["payload"].get("missed") if case.events else 0
    if stood:
        yield Finding(
            Rank.POSSIBLE,
            f"its newest tick stood for {stood} missed ones, too, as one run",
            f"tick of {told(moment(case.events[0]['at']))}; missed: {policy} fires the newest for all of them",
            f"set missed: all at triggers.{case.name} in headgate.yaml to make up each, then: headgate apply",
        )


def _other_zone(case: Case, schedule: Schedule, zone: ZoneInfo) -> Iterator[Finding]:
    """Whether it would have fired within the last day, had it been written in the zone people here read clocks in."""
    for name in dict.fromkeys((case.zone_here, "UTC")):
        other = _zone(name)
        if other is None or name == case.trigger["timezone"]:
            continue
        since = max(case.now - timedelta(days=1), _born(case))
        there = next(schedule.between(since, case.now, other), None)
        if there is None or next(schedule.between(since, case.now, zone), None) is not None:
            continue
        yield Finding(
            Rank.LIKELY,
            f"its times are in {case.trigger['timezone']}; in {name} it would have fired at {told(there)}",
            f"schedule {case.trigger['schedule']!r}, next due at {told(schedule.next_after(case.now, zone))}",
            f"set timezone: {name} at triggers.{case.name} in headgate.yaml, then: headgate apply",
        )
        return


def _born(case: Case) -> datetime:
    """Since when it could have fired: a trigger that never ticked has the time of its making there."""
    return moment(case.trigger["last_tick"]) or case.now - timedelta(days=1)
