"""This file is where a message about stored objects becomes events, whatever shape and envelopes it came in.

How messages are read is in `headgate.aws_lambda.messages`, which the Lambda function shares; here each record is given
its identity. Where a record has neither version, etag nor sequencer that is its time and request id; with no time
either, the moment it was decoded, so that such a record sent twice is two events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from headgate.aws_lambda.messages import MAX_RECORDS, Malformed, Record, StateChange, read
from headgate.errors import Invalid
from headgate.flow.match import object_identity
from headgate.model import Event, Json, StoredObject, new_event_id

__all__ = ["MAX_RECORDS", "Decoded", "decode"]

_decode_json = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What one message held, in its order. `ignored` has (place in the message, reason) for what is no event."""

    events: tuple[Event, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    changes: tuple[StateChange, ...] = ()  #: what is said of the state of runs on AWS


def decode(
    body: bytes | bytearray | str | Mapping[str, Json] | list[Json], *, source: str, now: datetime | None = None
) -> Decoded:
    """Decode one message (JSON text, or what it parses to) into the events it holds.

    Args:
        body: as it arrived; empty is a probe.
        source: the events' door, e.g. `s3`.
        now: what stands for the time of an event that names none; the present by default.

    Raises:
        Invalid: naming the record, e.g. `Records[3].s3.object.key: expected a string, got a number`.
    """
    now = now or datetime.now(UTC)
    try:
        message = read(body, parse=_parse)
    except Malformed as error:
        raise Invalid(str(error)) from None
    return Decoded(
        events=tuple([_event(one, source, now) for one in message.records]),
        ignored=tuple(message.ignored),
        changes=tuple(message.changes),
    )


def _parse(text: bytes | bytearray | str) -> object:
    try:
        return _decode_json(text)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def _event(record: Record, door: str, now: datetime) -> Event:
    # Never a `path`, whoever asks: a caller could have a job read any file of this machine.
    about = StoredObject(
        bucket=record.bucket,
        key=record.key,
        size=record.size,
        etag=record.etag,
        version=record.version,
        sequencer=record.sequencer,
    )
    at = record.at or now
    payload: dict[str, Json] = {"sender": record.sender} if record.sender else {}
    if record.request:
        payload["request_id"] = record.request
    weak = not (record.etag or record.version or record.sequencer)
    return Event(
        id=new_event_id(),
        door=door,
        kind=record.kind,
        identity=object_identity(about, record.kind, f"{at.isoformat()} {record.request}" if weak else ""),
        at=at,
        object=about,
        payload=payload,
    )
