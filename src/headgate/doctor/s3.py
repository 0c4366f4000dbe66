"""This file is where it is found out why an upload starts nothing: the triggers' buckets, one by one, to the door."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from headgate.aws import Clients
from headgate.doctor import buckets, folders
from headgate.doctor.finding import Finding, Rank, ranked
from headgate.doctor.records import Doc, Records, word
from headgate.settings import Settings


def diagnose(records: Records, settings: Settings, clients: Clients, now: datetime) -> list[Finding]:
    """Everything between an upload and the triggers that wait for it, ranked."""
    triggers = [one for one in records.triggers() if one["type"] == "EVENT" and one["objects"]]
    return ranked(_examine(triggers, records, settings, clients, now))


def _examine(
    triggers: Sequence[Doc], records: Records, settings: Settings, clients: Clients, now: datetime
) -> Iterator[Finding]:
    by_bucket: dict[str, list[Doc]] = defaultdict(list)
    for one in triggers:
        by_bucket[one["objects"]["bucket"]].append(one)
    if not by_bucket:
        yield Finding(
            Rank.NOTE, "no trigger waits for objects", "no EVENT trigger is there, so an upload starts nothing"
        )
    yield from _off(triggers)
    if by_bucket and not records.served:
        yield Finding(
            Rank.LIKELY,
            "no server runs, so nobody takes events",
            "this home notes no running server, and HEADGATE_URL names none",
            "headgate serve",
        )
    for bucket, those in by_bucket.items():
        if bucket in settings.inboxes:
            yield from folders.examine(bucket, settings.inboxes[bucket], those, records, now)
        else:
            yield from buckets.examine(bucket, those, settings, clients, now, served=records.served)
    yield from _unwatched(settings, by_bucket)


def _off(triggers: Sequence[Doc]) -> Iterator[Finding]:
    for one in triggers:
        if not one["enabled"]:
            yield Finding(
                Rank.BROKEN,
                f"the trigger {one['name']!r} is disabled",
                "its state is DEACTIVATED; objects that come meanwhile are not made up",
                f"headgate triggers enable {word(one['name'])}",
            )


def _unwatched(settings: Settings, by_bucket: Mapping[str, object]) -> Iterator[Finding]:
    for bucket in settings.inboxes:
        if bucket not in by_bucket:
            yield Finding(
                Rank.POSSIBLE,
                f"no trigger waits for objects of the inbox {bucket!r}",
                f"files in {settings.inboxes[bucket]} become events that start nothing",
                f"add an EVENT trigger with s3.bucket: {bucket} to headgate.yaml, then: headgate apply",
            )
