"""This file is where given groups of CloudWatch Logs are searched for `datahub ingest`: who runs it there, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import told, word

PATTERN: Final = '"datahub ingest"'
DAYS: Final = 14  #: that are looked back
_PAGES: Final = 20  #: of one group
_PORTION: Final = 500  #: events of a page


def examine(groups: Sequence[str], clients: Clients, now: datetime) -> Iterator[Finding]:
    """One finding a group. A group is a name, or an ARN, whose region is then asked."""
    for group in dict.fromkeys(groups):
        yield _group(group, clients, now)


def _group(group: str, clients: Clients, now: datetime) -> Finding:
    name, region = _named(group)
    since = now - timedelta(days=DAYS)
    where = f" --region {region}" if region else ""
    show = (
        f"aws logs filter-log-events{where} --log-group-name {word(name)} --filter-pattern {word(PATTERN)}"
        f" --start-time {_ms(since)}"
    )
    asked: dict[str, Any] = {
        "logGroupName": name, "filterPattern": PATTERN, "startTime": _ms(since), "endTime": _ms(now), "limit": _PORTION,
    }  # fmt: skip
    count, newest, whole = 0, dict[str, Any](), False
    for _ in range(_PAGES):
        answer = clients.call(
            Place(region=region),
            "logs",
            "filter_log_events",
            asked,
            doing=f"searching the log group {name}",
            attempts=3,
        )
        if isinstance(answer, Fault):
            return _fault(name, answer, show)
        events = answer.get("events") or ()
        count += len(events)
        newest = max([newest, *events], key=lambda one: int(one.get("timestamp") or 0))
        if not answer.get("nextToken"):
            whole = True
            break
        asked = {**asked, "nextToken": answer["nextToken"]}
    if not count:
        what = f"the log group {name} says nothing of `datahub ingest`"
        if whole:
            return Finding(Rank.NOTE, what, f"the pattern {PATTERN}, {DAYS} days back", show)
        return unseen(
            f"the whole of the log group {name}", f"{_PAGES} pages held nothing of it, and there are more", show
        )
    at = datetime.fromtimestamp(int(newest["timestamp"]) / 1000, UTC)
    return Finding(
        Rank.NOTE,
        f"the log group {name} speaks of `datahub ingest`, last at {told(at)}",
        f"{'' if whole else 'at least '}{count} line{'' if count == 1 else 's'} in {DAYS} days; the newest in the"
        f" stream {newest.get('logStreamName')}",
        show,
    )


def _fault(name: str, fault: Fault, show: str) -> Finding:
    if fault.kind is FaultKind.MISSING or fault.code == "ResourceNotFoundException":
        return unseen(f"the log group {name}", f"AWS knows none of that name: {fault}", "aws logs describe-log-groups")
    if fault.kind is FaultKind.DENIED:
        return unseen(f"the log group {name}", str(fault), f"give us logs:FilterLogEvents on it, or type: {show}")
    return unseen(f"the log group {name}", str(fault), "headgate doctor aws")


def _named(group: str) -> tuple[str, str]:
    """The name of a group and its region, "" where it is ours."""
    parts = group.split(":")
    if group.startswith("arn:") and len(parts) > 6 and parts[5] == "log-group":
        return parts[6], parts[3]
    return group, ""


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
