"""This file is where a file is believed to be what its folder announced, and where it is not."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from headgate.lake import bundle, sources, text
from headgate.lake.sources import Source, Stamp, stamp, untouched
from headgate.lake.text import opened
from headgate.model import StoredObject

from .world import World

BODY = b"series_id,value\nFRY9C,1\n"


def announced(world: World, key: str = "a.csv", body: bytes = BODY) -> StoredObject:
    """A file, as the watched folder announces it."""
    one = world.bytes(key, body)
    return replace(one, sequencer=f"{Path(one.path).stat().st_mtime_ns:016X}")


def source(one: StoredObject) -> Source:
    return Source(object=one, path=Path(one.path))


def test_a_file_at_rest_is_what_its_folder_hashed(world: World) -> None:
    """Its time of change is the event's sequencer, its size the event's: the event's etag is its MD5."""
    one = announced(world)
    assert untouched(source(one), stamp(Path(one.path))) == hashlib.md5(BODY).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"sequencer": "0055AED6DCD90281E5"},
        {"sequencer": ""},
        {"size": 1},
        {"size": None},
        {"etag": "d41d8cd98f00b204e9800998ecf8427e-2"},
        {"etag": ""},
        {"path": ""},
    ],
)
def test_anything_else_is_looked_at(world: World, other: dict[str, object]) -> None:
    """S3's sequencers, other sizes, multipart etags, objects without a file: their bytes are hashed."""
    one = announced(world)
    changed = replace(one, **other)  # type: ignore[arg-type]
    assert untouched(Source(object=changed, path=Path(one.path)), stamp(Path(one.path))) is None


def test_a_file_that_is_known_is_read_and_not_hashed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file costs no second MD5, and lands under the id of its event."""
    monkeypatch.setattr(bundle, "SMALL", 0)
    one = announced(world)

    def no_digest(*_: object) -> str:
        raise AssertionError("it was hashed again")

    monkeypatch.setattr(text._Hashed, "again", no_digest)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(sources, "digest", no_digest)
    result = world.ingest(one)
    assert (result["rows"], result["landed"]) == (1, 1)
    assert {row["_source_id"] for row in world.rows()} == {one.source_id}


def test_a_file_that_changed_since_is_taken_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same size, another time: the bytes that are there land under their own id, and their event adds nothing."""
    monkeypatch.setattr(bundle, "SMALL", 0)
    before = announced(world)
    os.utime(before.path, ns=(1, 1))
    after = announced(world, body=BODY.replace(b"1", b"2"))
    assert world.ingest(before)["rows"] == 1
    assert [str(row["value"]) for row in world.rows()] == ["2.000000"]
    assert {row["_source_id"] for row in world.rows()} == {after.source_id}
    assert world.ingest(after)["skipped"] == 1


def test_a_file_written_to_while_it_is_read_is_found_out(world: World) -> None:
    """What was announced is no longer what is there: the identity is that of the bytes as they are now."""
    one = announced(world)
    more = BODY + b"FRY9C,2\n"

    def known(_: Stamp) -> str:
        return one.etag

    with opened(Path(one.path), packed=False, known=known) as found:
        found.file.read()
        with Path(one.path).open("ab") as file:
            file.write(b"FRY9C,2\n")
        etag, seen = found.identity()
    assert etag == hashlib.md5(more).hexdigest()
    assert seen.size == len(more)
