"""This file is where an object's event meets filters: what is never ingested, and why a trigger does not take it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headgate.flow.match import object_family, object_filter_reason, skip_reason
from headgate.model import Event, ObjectFilter, StoredObject, new_event_id


def _event(key: str, kind: str = "ObjectCreated:Put", bucket: str = "raw-data") -> Event:
    return Event(
        id=new_event_id(),
        door="s3",
        kind=kind,
        identity=key,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        object=StoredObject(bucket=bucket, key=key, size=1),
    )


WANTED = ObjectFilter(bucket="raw-data", prefix="collections-data/", suffix=(".csv", ".csv.gz"))


@pytest.mark.parametrize(
    ("key", "size", "reason"),
    [
        ("a/b/", 0, "folder marker: key 'a/b/' ends with '/'"),
        ("a/b/", None, "folder marker: key 'a/b/' ends with '/'"),
        ("a/_SUCCESS", 0, "marker: '_SUCCESS'"),
        ("a/.hidden.csv", 5, "hidden: the name '.hidden.csv'"),
        ("a/x.csv.tmp", 5, "unfinished: the name 'x.csv.tmp' ends with '.tmp'"),
        ("a/x.csv.PART", 5, "unfinished: the name 'x.csv.PART' ends with '.PART'"),
        ("a/x.csv", 0, "empty: 'a/x.csv' has no bytes"),
    ],
)
def test_what_is_never_ingested_says_why(key: str, size: int | None, reason: str) -> None:
    """Folder markers, unfinished and empty objects are skipped, whatever the trigger."""
    found = skip_reason(StoredObject(bucket="b", key=key, size=size))

    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize("key", ["a.csv", "a/.dir/b.csv", "a/tmp", "a/x.tmp/y.csv", "a/my_SUCCESS", "part"])
def test_what_only_looks_like_a_marker_is_taken(key: str) -> None:
    """Only the object's own name counts, and a size nobody told is not zero."""
    assert skip_reason(StoredObject(bucket="b", key=key)) is None
    assert skip_reason(StoredObject(bucket="b", key=key, size=1)) is None


@pytest.mark.parametrize("key", ["collections-data/x.csv", "collections-data/a/X.CSV", "collections-data/x.csv.GZ"])
@pytest.mark.parametrize("kind", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
def test_a_csv_under_the_prefix_is_taken(key: str, kind: str) -> None:
    """All four ways of creation, and suffixes in any case."""
    assert object_filter_reason(WANTED, _event(key, f"ObjectCreated:{kind}")) is None


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (_event("other/x.csv"), "prefix: key 'other/x.csv' does not start with 'collections-data/'"),
        (_event("Collections-data/x.csv"), "prefix: key 'Collections-data/x.csv' does not start with"),
        (_event("collections-data/x.txt"), "suffix: key 'collections-data/x.txt' ends with none of .csv, .csv.gz"),
        (_event("collections-data/x.csv", bucket="other"), "bucket: 'other' is not 'raw-data'"),
        (
            _event("collections-data/x.csv", "ObjectRemoved:Delete"),
            "event: 'ObjectRemoved:Delete' is none of ObjectCreated:*",
        ),
        (_event("collections-data/x.csv", "Object Tags Added"), "event: 'Object Tags Added' is none of"),
    ],
)
def test_a_filter_that_does_not_match_says_which_part(event: Event, reason: str) -> None:
    """The recorded reason begins with the part that did not match and names both sides."""
    found = object_filter_reason(WANTED, event)

    assert found is not None
    assert found.startswith(reason)


def test_an_event_without_an_object_is_not_taken() -> None:
    """A tick is no upload."""
    tick = Event(id=new_event_id(), door="schedule", kind="Tick", identity="x", at=datetime(2026, 1, 1, tzinfo=UTC))

    assert (object_filter_reason(WANTED, tick) or "").startswith("object: ")


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("s3:ObjectCreated:*", True),
        ("ObjectCreated:Put", True),
        ("s3:ObjectCreated:Put", True),
        ("*", True),
        ("ObjectCreated:Post", False),
        ("ObjectRemoved:*", False),
    ],
)
def test_event_kinds_may_be_written_as_aws_writes_them(pattern: str, *, taken: bool) -> None:
    """With or without `s3:`, exact or with a star at the end."""
    wanted = ObjectFilter(bucket="raw-data", events=(pattern,))

    assert (object_filter_reason(wanted, _event("x.csv")) is None) is taken


def test_an_empty_filter_takes_every_creation() -> None:
    """No prefix and no suffix means every object of the bucket."""
    assert object_filter_reason(ObjectFilter(bucket="raw-data"), _event("anything")) is None


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("s3:ObjectCreated:Copy", "created"),
        ("ObjectRemoved:DeleteMarkerCreated", "removed"),
        ("LifecycleExpiration:Delete", "removed"),
        ("Object Tags Added", "Object Tags Added"),
    ],
)
def test_kinds_fall_into_families(kind: str, family: str) -> None:
    """What an event says about its object: it came, it went, or something else."""
    assert object_family(kind) == family
