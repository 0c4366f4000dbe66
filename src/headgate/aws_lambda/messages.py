"""This file is where a message of AWS is read, whatever shape and envelopes it came in. It needs nothing but Python.

One function unwraps recursively: SQS and SNS envelopes (their text is JSON again), lists, and inside them S3's native
records (MinIO's and our own `local:fs` are the same form), EventBridge events about objects, EventBridge events about
the state of what Glue and Step Functions run, and the messages that are no event at all (test events, SNS
confirmations, probes), which are reported as ignored. A message is read whole or not at all.

Native keys are form-encoded and decoded exactly once; EventBridge's are taken as they are. An etag is kept without its
quotes and in lower case, and the version "null" of a bucket without versioning is no version, so that one object has
one identity in every shape. A record without an event name (hand-written tests leave it out) is taken for a put.

The doors of a Headgate read with it, and so does the Lambda function of this folder, which is deployed without the
rest of Headgate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NoReturn, cast
from urllib.parse import unquote_plus

MAX_RECORDS: Final = 10_000
MAX_KEY_BYTES: Final = 1_024
#: Layers of lists, objects and texts in one another; an SQS message in a list is four, SNS two.
MAX_DEPTH: Final = 32
_MAX_SIZE: Final = 2**63 - 1

_REASONS: Final = {
    "PutObject": "ObjectCreated:Put",
    "POST Object": "ObjectCreated:Post",
    "CopyObject": "ObjectCreated:Copy",
    "CompleteMultipartUpload": "ObjectCreated:CompleteMultipartUpload",
}
_EXPECTED: Final = "an S3 notification (Records), an EventBridge event (detail-type), or an SNS or SQS message with one"
_CONFIRMATIONS: Final = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
#: Where envelopes keep what they carry: SNS, SQS to Lambda, SQS as received, SNS to Lambda, `aws sqs receive-message`.
_WRAPPERS: Final = ("Message", "body", "Body", "Sns", "Messages")
#: Detail types of EventBridge that tell how something ends -> the engine it runs in, and the member with its id.
_CHANGES: Final = {
    "Glue Job State Change": ("glue", "jobRunId"),
    "Step Functions Execution Status Change": ("step_functions", "executionArn"),
}
_ABSENT: Final = object()
_Object = dict[str, object]


class Malformed(ValueError):
    """The message is not what it should be. The text names the record: `Records[3].s3.object.key: expected …`."""


@dataclass(slots=True)
class Record:
    """What happened to one object."""

    bucket: str
    key: str  #: decoded, as the uploader wrote it
    size: int | None  #: bytes
    etag: str
    version: str
    sequencer: str
    kind: str  #: ObjectCreated:Put …, without `s3:`
    at: datetime | None  #: by the sender's clock
    request: str  #: the id of the request that did it
    sender: str  #: aws:s3, aws.s3, minio:s3 …


@dataclass(slots=True)
class StateChange:
    """What EventBridge says of the state of something that runs on AWS."""

    engine: str  #: glue or step_functions
    id: str  #: the job run's id, or the execution's ARN
    detail: Mapping[str, object]  #: the event's `detail`
    place: str = ""  #: in the message


@dataclass(slots=True)
class Message:
    """What one message held, in its order. `ignored` has (place in the message, reason) for what is no event."""

    records: list[Record] = field(default_factory=list[Record])
    changes: list[StateChange] = field(default_factory=list[StateChange])
    ignored: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def ignore(self, where: str, reason: str) -> None:
        self.ignored.append((where or "body", reason))


Parse = Callable[[bytes | bytearray | str], object]


@dataclass(slots=True)
class _Reading(Message):
    """One message while it is read."""

    parse: Parse = json.loads


def read(body: bytes | bytearray | str | Mapping[str, object] | list[object], *, parse: Parse = json.loads) -> Message:
    """Read one message: JSON text, or what it parses to. Empty text is a probe.

    Args:
        body: as it arrived.
        parse: what makes values of JSON text; raises ValueError where it is none.

    Raises:
        Malformed: naming the record.
    """
    reading = _Reading(parse=parse)
    try:
        if isinstance(body, bytes | bytearray | str):
            _text(reading, body, "", 0)
        else:
            _value(reading, dict(body) if isinstance(body, Mapping) else body, "", 0)
    except RecursionError:
        raise Malformed(f"body: expected {_EXPECTED}, got JSON nested too deeply") from None
    return reading


# --- envelopes ---------------------------------------------------------------------------------------------------


def _text(reading: _Reading, text: bytes | bytearray | str, where: str, depth: int) -> None:
    if not text.strip():
        reading.ignore(where, "probe: the body is empty")
        return
    try:
        value = reading.parse(text)
    except ValueError as error:  # UnicodeError is one
        _wrong(where, f"expected JSON text ({error})")
    _value(reading, value, where, depth)


def _value(reading: _Reading, value: object, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        _wrong(where, f"expected at most {MAX_DEPTH // 4} envelopes around a record")
    if isinstance(value, dict):
        _object(reading, cast("_Object", value), where, depth)
    elif isinstance(value, list):
        for index, each in enumerate(cast("list[object]", value)):
            _value(reading, each, f"{where}[{index}]", depth + 1)
    elif isinstance(value, str):
        _text(reading, value, where, depth + 1)
    else:
        _wrong(where, f"expected {_EXPECTED}, got {_shape(value)}")


def _object(reading: _Reading, value: _Object, where: str, depth: int) -> None:
    if "s3" in value:
        _native(reading, value, where)
    elif "Records" in value:
        _records(reading, value["Records"], _join(where, "Records"), depth)
    elif "detail-type" in value:
        _eventbridge(reading, value, where)
    elif value.get("Type") in _CONFIRMATIONS:
        topic = _string(value, "TopicArn", where)
        reading.ignore(where, f"confirmation: SNS sent {value['Type']} for topic {topic!r}; it was not followed")
    elif value.get("Event") == "s3:TestEvent":
        bucket = _string(value, "Bucket", where)
        reading.ignore(where, f"test event: S3 tried the notification of bucket {bucket!r}")
    else:
        inner = next((name for name in _WRAPPERS if name in value), None)
        if inner is None:
            _wrong(where, f"expected {_EXPECTED}, got {_shape(value)}")
        _value(reading, value[inner], _join(where, inner), depth + 1)


def _records(reading: _Reading, records: object, where: str, depth: int) -> None:
    if not isinstance(records, list):
        _wrong(where, f"expected a list, got {_shape(records)}")
    if not records:
        reading.ignore(where, "probe: there are no records in it")
    for index, record in enumerate(cast("list[object]", records)):
        place = f"{where}[{index}]"
        if not isinstance(record, dict):
            _wrong(place, f"expected an object, got {_shape(record)}")
        _object(reading, cast("_Object", record), place, depth + 1)


# --- records -----------------------------------------------------------------------------------------------------
# A place is given as where its record is and a constant path inside it: they are put together only when it is wrong.


def _native(reading: _Reading, record: _Object, where: str) -> None:
    version = _string(record, "eventVersion", where)
    if version and version.partition(".")[0] != "2":
        _wrong(_join(where, "eventVersion"), f"expected 2.x, got {version!r}")
    kind = (_string(record, "eventName", where) or "ObjectCreated:Put").removeprefix("s3:")
    s3 = _object_of(record, "s3", where)
    stored = _object_of(s3, "object", where, "s3")
    raw_key = _required(stored, "key", where, "s3.object")
    try:
        key = unquote_plus(raw_key, errors="strict") if "%" in raw_key or "+" in raw_key else raw_key
    except UnicodeDecodeError:
        _wrong(_join(where, "s3.object.key"), f"expected percent-encoded UTF-8, got {raw_key[:100]!r}")
    _check(key, MAX_KEY_BYTES, where, "s3.object", "key")
    answered = record.get("responseElements")
    request = ""
    if isinstance(answered, dict):
        request = _string(cast("_Object", answered), "x-amz-request-id", where, "responseElements")
    _add(
        reading,
        Record(
            bucket=_bucket(s3, where, "s3"),
            key=key,
            size=_size(stored, where, "s3.object"),
            etag=_etag(_string(stored, "eTag", where, "s3.object")),
            version=_version(_string(stored, "versionId", where, "s3.object")),
            sequencer=_string(stored, "sequencer", where, "s3.object", 64),
            kind=kind,
            at=_time(record, "eventTime", where),
            request=request,
            sender=_string(record, "eventSource", where),
        ),
    )


def _eventbridge(reading: _Reading, event: _Object, where: str) -> None:
    told = _required(event, "detail-type", where, "")
    sender = _string(event, "source", where)
    if told in _CHANGES and sender in ("aws.glue", "aws.states"):
        _change(reading, told, event.get("detail"), where)
        return
    if sender != "aws.s3" or not told.startswith("Object "):
        reading.ignore(where, f"other event: {told!r} of {sender!r} is not about an object of S3")
        return
    detail = _object_of(event, "detail", where)
    stored = _object_of(detail, "object", where, "detail")
    key = _required(stored, "key", where, "detail.object")
    _check(key, MAX_KEY_BYTES, where, "detail.object", "key")
    _add(
        reading,
        Record(
            bucket=_bucket(detail, where, "detail"),
            key=key,
            size=_size(stored, where, "detail.object"),
            # moto writes it as the native form does
            etag=_etag(_string(stored, "etag" if "etag" in stored else "eTag", where, "detail.object")),
            version=_version(_string(stored, "version-id", where, "detail.object")),
            sequencer=_string(stored, "sequencer", where, "detail.object", 64),
            kind=_told_kind(told, detail, where),
            at=_time(event, "time", where),
            request=_string(detail, "request-id", where, "detail"),
            sender=sender,
        ),
    )


def _change(reading: _Reading, told: str, detail: object, where: str) -> None:
    """Note how something stands that runs on AWS. Nobody could do anything about one that does not say which."""
    engine, member = _CHANGES[told]
    about = cast("_Object", detail) if isinstance(detail, dict) else {}
    name = about.get(member)
    if isinstance(name, str) and name:
        reading.changes.append(StateChange(engine, name, about, where or "body"))
    else:
        reading.ignore(where, f"other event: {told!r} without detail.{member}")


def _told_kind(told: str, detail: _Object, where: str) -> str:
    """EventBridge's detail type as the native event name; one S3 has no such name for stays as it is."""
    if told == "Object Created":
        return _REASONS.get(_string(detail, "reason", where, "detail"), "ObjectCreated:Put")
    if told == "Object Deleted":
        marked = _string(detail, "deletion-type", where, "detail") == "Delete Marker Created"
        return "ObjectRemoved:DeleteMarkerCreated" if marked else "ObjectRemoved:Delete"
    return told


def _add(reading: _Reading, record: Record) -> None:
    if len(reading.records) == MAX_RECORDS:
        raise Malformed(f"body: expected at most {MAX_RECORDS} records in one message; send them in several")
    reading.records.append(record)


# --- fields ------------------------------------------------------------------------------------------------------


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _object_of(holder: _Object, name: str, where: str, inside: str = "") -> _Object:
    value = holder.get(name, _ABSENT)
    if not isinstance(value, dict):
        _wrong(_join(where, inside, name), f"expected an object, got {_shape(value)}")
    return cast("_Object", value)


def _string(holder: _Object, name: str, where: str, inside: str = "", longest: int = MAX_KEY_BYTES) -> str:
    """An optional string; absent and null are ""."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        _wrong(_join(where, inside, name), f"expected a string, got {_shape(value)}")
    _check(value, longest, where, inside, name)
    return value


def _required(holder: _Object, name: str, where: str, inside: str) -> str:
    value = holder.get(name, _ABSENT)
    if not isinstance(value, str):
        _wrong(_join(where, inside, name), f"expected a string, got {_shape(value)}")
    if not value:
        _wrong(_join(where, inside, name), "expected a string that is not empty")
    return value


def _check(value: str, longest: int, where: str, inside: str, name: str) -> None:
    """What no database column takes (NUL, half a surrogate pair) or is too long is refused here, by name."""
    if value.isascii():
        length = len(value)
    else:
        try:
            length = len(value.encode())
        except UnicodeEncodeError:
            _wrong(_join(where, inside, name), "expected Unicode text, got half a surrogate pair")
    if length > longest:
        _wrong(_join(where, inside, name), f"expected at most {longest} bytes of UTF-8, got {length}")
    if "\0" in value:
        _wrong(_join(where, inside, name), "expected text without a NUL character")


def _bucket(holder: _Object, where: str, inside: str) -> str:
    bucket = _object_of(holder, "bucket", where, inside)
    value = bucket.get("name", _ABSENT)
    if not isinstance(value, str):
        _wrong(_join(where, inside, "bucket.name"), f"expected a string, got {_shape(value)}")
    if not 3 <= len(value) <= 255:
        _wrong(_join(where, inside, "bucket.name"), f"expected 3 to 255 characters, got {len(value)}")
    _check(value, MAX_KEY_BYTES, where, inside, "bucket.name")
    return value


def _size(stored: _Object, where: str, inside: str) -> int | None:
    size = stored.get("size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int):
        _wrong(_join(where, inside, "size"), f"expected a whole number of bytes, got {_shape(size)}")
    if not 0 <= size <= _MAX_SIZE:
        _wrong(_join(where, inside, "size"), f"expected 0 to {_MAX_SIZE}, got {size}")
    return size


def _etag(text: str) -> str:
    return text.removeprefix("W/").strip('"').lower()


def _version(text: str) -> str:
    return "" if text == "null" else text


def _time(holder: _Object, name: str, where: str) -> datetime | None:
    text = _string(holder, name, where)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        _wrong(_join(where, name), f"expected an RFC 3339 time, got {text[:100]!r}")


def _shape(value: object) -> str:
    """What a wrong value is, in JSON's words; never the value itself, which may be anything."""
    if value is _ABSENT:
        return "nothing"
    if isinstance(value, dict):
        names = ", ".join(repr(str(name)[:40]) for name in list(cast("_Object", value))[:5])
        return f"an object with {names}" if names else "an empty object"
    for kind, word in ((bool, "a boolean"), (int | float, "a number"), (str, "a string"), (list, "a list")):
        if isinstance(value, kind):
            return word
    return "null" if value is None else f"a {type(value).__name__}"


def _wrong(where: str, what: str) -> NoReturn:
    raise Malformed(f"{where or 'body'}: {what}")
