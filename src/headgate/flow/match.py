"""This file is where an object's event is told apart: which other event it repeats, whether it is ever ingested, and
which EVENT triggers take it.

The texts returned here are the recorded reasons of decisions, so each begins with the one word one would search for.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from headgate.aws_lambda.objects import family_of, identity_of, unwanted
from headgate.model import CatalogWatch, Event, ObjectFilter, StoredObject


def object_family(kind: str) -> str:
    """What an event kind says about the object: `created`, `removed`, or the kind itself where it says neither."""
    return family_of(kind)


def object_identity(stored: StoredObject, kind: str, fallback: str) -> str:
    """Return the identity (64 hex digits) of an event about an object: a redelivery has the same one.

    It is the same whichever way S3 tells it (native, EventBridge, inside SNS or SQS), for it takes only what all of
    them carry: bucket, key, version (else etag), sequencer, and whether the object came or went. A removal is told
    apart by its sequencer alone, since only some of the ways carry an etag then. Where there is neither version, etag
    nor sequencer, `fallback` (the event's time and request id) takes their place: then two deliveries of one event in
    two different shapes may be two events, which the job's own exactly-once rule has to absorb.
    """
    return identity_of(
        bucket=stored.bucket,
        key=stored.key,
        version=stored.version,
        etag=stored.etag,
        sequencer=stored.sequencer,
        kind=kind,
        fallback=fallback,
    )


def skip_reason(stored: StoredObject) -> str | None:
    """Why this object is never ingested whatever the triggers say, or None."""
    return unwanted(stored.key, stored.size)


def object_filter_reason(wanted: ObjectFilter, event: Event) -> str | None:
    """Why a trigger with this filter does not take the event, in words; None when it takes it."""
    stored = event.object
    if stored is None:
        return f"object: an event of kind {event.kind!r} is about no object"
    if stored.bucket != wanted.bucket:
        return f"bucket: {stored.bucket!r} is not {wanted.bucket!r}"
    if not any(_kind_matches(pattern, event.kind) for pattern in wanted.events):
        return f"event: {event.kind!r} is none of {', '.join(wanted.events)}"
    if not stored.key.startswith(wanted.prefix):
        return f"prefix: key {stored.key!r} does not start with {wanted.prefix!r}"
    lower = stored.key.lower()
    if wanted.suffix and not any(lower.endswith(suffix.lower()) for suffix in wanted.suffix):
        return f"suffix: key {stored.key!r} ends with none of {', '.join(wanted.suffix)}"
    return None


def table_reason(watch: CatalogWatch, event: Event) -> str | None:
    """Why a trigger that watches this catalog does not take the event, in words; None when it takes it."""
    table = event.object
    if table is None or table.bucket != watch.name:
        return f"catalog: the event is about no table of {watch.name}"
    if event.kind not in watch.kinds:
        return f"change: {event.kind!r} is none of {', '.join(watch.changes)}"
    if not any(watches_database(watch, one) for one in _databases(table.key)):
        return f"database: {table.key!r} is of none of {', '.join(watch.databases)}"
    return None


def watches_database(watch: CatalogWatch, database: str) -> bool:
    """Whether the tables of a database are watched."""
    return not watch.databases or any(fnmatchcase(database, one) for one in watch.databases)


def has_wildcard(name: str) -> bool:
    return any(one in name for one in "*?[")


def _databases(key: str) -> list[str]:
    """What may be the database of `database.table`: either part may hold dots."""
    parts = key.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))] or [""]


def _kind_matches(pattern: str, kind: str) -> bool:
    """Whether a kind is what a filter names; the filter may write AWS's `s3:` before it and `*` at its end."""
    name = pattern.removeprefix("s3:")
    return kind.startswith(name[:-1]) if name.endswith("*") else kind == name
