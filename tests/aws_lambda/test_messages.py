"""This file is where messages are read alike by Lambda's own JSON parser and by the server's, whatever they hold."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.aws_lambda.messages import Malformed, Message, read

NATIVE: dict[str, Any] = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "eventTime": "2026-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "raw-data"}, "object": {"key": "in/a+b%3D1.csv", "size": 5, "eTag": "x"}},
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
PLACES = [(), ("eventVersion",), ("eventName",), ("eventTime",), ("s3",), ("s3", "bucket"), ("s3", "bucket", "name"),
          ("s3", "object"), ("s3", "object", "key"), ("s3", "object", "size"), ("s3", "object", "eTag"),
          ("s3", "object", "sequencer"), ("responseElements",)]  # fmt: skip


def parsed_by_msgspec(text: bytes | bytearray | str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def outcome(text: str, **more: Any) -> Message | str:
    """What is read of it, or what is wrong; which parser said that it is no JSON does not matter."""
    try:
        found = read(text, **more)
    except Malformed as error:
        return str(error).partition(" (")[0]
    return Message(found.records, found.changes, found.ignored)


def changed(place: tuple[str, ...], value: Any) -> Any:
    """The record, with another value at a place."""
    if not place:
        return value
    record = json.loads(json.dumps(NATIVE))
    holder = record
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return record


@given(st.sampled_from(PLACES), VALUES)
def test_both_parsers_read_the_same(place: tuple[str, ...], value: Any) -> None:
    """Whatever stands in whatever place: the same records, or the same complaint."""
    text = json.dumps({"Records": [changed(place, value)]})

    assert outcome(text) == outcome(text, parse=parsed_by_msgspec)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"Records": [{"s3": {"bucket": {"name": "raw"}, "object": {"key": "a", "size": NaN}}}]}', "size: expected"),
        ('{"Records": [{"s3": {"bucket": {"name": "raw"}, "object": {"key": "\\ud800"}}}]}', "half a surrogate"),
        ('{"Records": [', "expected JSON text"),
        ("7", "expected an S3 notification"),
    ],
)
def test_pythons_own_parser_lets_nothing_odd_through(text: str, said: str) -> None:
    """It takes NaN, halves of surrogate pairs and any depth for JSON; the reader does not."""
    with pytest.raises(Malformed, match=said):
        read(text)
