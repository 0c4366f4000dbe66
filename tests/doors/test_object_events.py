"""This file is where every shape a message about objects comes in is decoded, and every malformed one refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.doors.object_events import MAX_RECORDS, decode
from headgate.errors import Invalid
from headgate.model import Event

NOW = datetime(2026, 2, 16, 10, tzinfo=UTC)
KEY = "collections-data/ingest_ts=2026-02-16T10:00:00/my file+1.csv"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
SEQUENCER = "0055AED6DCD90281E5"
Doc = dict[str, Any]
Encode = Callable[[str], str]


# --- the shapes --------------------------------------------------------------------------------------------------


def native(key: str = KEY, *, encode: Encode = quote_plus, **about: Any) -> Doc:
    stored = {"key": encode(key), "size": 1024, "eTag": ETAG, "sequencer": SEQUENCER} | about
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "raw-data"}, "object": stored},
    }


def notification(*records: Doc) -> Doc:
    return {"Records": list(records or (native(),))}


def eventbridge(key: str = KEY, *, told: str = "Object Created", **detail: Any) -> Doc:
    stored = {"key": key, "size": 1024, "etag": ETAG, "sequencer": SEQUENCER}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": told,
        "source": "aws.s3",
        "time": "2026-01-01T00:00:00Z",
        "resources": ["arn:aws:s3:::raw-data"],
        "detail": {"version": "0", "bucket": {"name": "raw-data"}, "object": stored, "reason": "PutObject"} | detail,
    }


def encode_all(key: str) -> str:
    """As MinIO does it: `/` too, and a space as %20."""
    return quote(key, safe="")


def minio(record: Doc | None = None) -> Doc:
    inner = (record or native(encode=encode_all)) | {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventName": "s3:ObjectCreated:Put",
    }
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"raw-data/{KEY}", "Records": [inner]}


def sqs(inner: Doc) -> Doc:
    return {"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": json.dumps(inner)}]}


def sqs_message(inner: Doc) -> Doc:
    return {"MessageId": "1", "Body": json.dumps(inner)}


def sqs_lambda(inner: Doc) -> Doc:
    return {
        "Records": [
            {
                "messageId": "1",
                "receiptHandle": "r",
                "body": json.dumps(inner),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
        ]
    }


def sns(inner: Doc) -> Doc:
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(inner),
        "Timestamp": "2026-01-01T00:00:00.000Z",
    }


def sns_lambda(inner: Doc) -> Doc:
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns(inner)}]}


def sns_sqs(inner: Doc) -> Doc:
    return sqs(sns(inner))


def listed(inner: Doc) -> list[Doc]:
    return [inner]


ENVELOPES: list[Callable[[Any], Any]] = [sqs, sqs_message, sqs_lambda, sns, sns_lambda, sns_sqs, listed]
MINIMAL: Doc = {"Records": [{"s3": {"bucket": {"name": "test"}, "object": {"key": "test.csv"}}}]}


def one(message: Any) -> Event:
    """The single event of a message, given as the JSON text it would arrive as."""
    decoded = decode(json.dumps(message).encode(), source="s3", now=NOW)
    assert decoded.ignored == ()
    (event,) = decoded.events
    return event


# --- examples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        notification(),
        native(),
        eventbridge(),
        minio(),
        notification(native() | {"eventSource": "local:fs"}),
        *(wrap(notification()) for wrap in ENVELOPES),
        *(wrap(eventbridge()) for wrap in ENVELOPES),
        sqs_lambda(sns(minio())),
    ],
)
def test_every_shape_gives_the_same_event(message: Any) -> None:
    """Native, EventBridge, MinIO and local, bare or in any envelope: one key, one etag, one identity."""
    event, plain = one(message), one(notification())

    assert event.object is not None
    assert event.object == plain.object
    assert event.object.key == KEY
    assert (event.kind, event.identity, event.door) == ("ObjectCreated:Put", plain.identity, "s3")
    assert event.at == datetime(2026, 1, 1, tzinfo=UTC)
    assert event.id != plain.id


@pytest.mark.parametrize("wrap", [listed, *ENVELOPES])
@pytest.mark.parametrize(
    ("told", "sender", "detail", "engine"),
    [
        ("Glue Job State Change", "aws.glue", {"jobRunId": "jr_1", "jobName": "a", "state": "SUCCEEDED"}, "glue"),
        (
            "Step Functions Execution Status Change",
            "aws.states",
            {"executionArn": "arn:aws:states:us-east-1:1:execution:m:jr_1", "status": "FAILED"},
            "step_functions",
        ),
    ],
)
def test_what_aws_says_of_a_runs_state_is_no_event_but_a_change(
    wrap: Callable[[Any], Any], told: str, sender: str, detail: Doc, engine: str
) -> None:
    """EventBridge's two kinds of them, in any envelope, with the engine, the id there and all that was said."""
    decoded = decode(json.dumps(wrap({"detail-type": told, "source": sender, "detail": detail})), source="s3")

    assert (decoded.events, decoded.ignored) == ((), ())
    [change] = decoded.changes
    assert (change.engine, change.id, change.detail) == (engine, next(iter(detail.values())), detail)


def test_a_state_change_of_another_sender_is_not_believed() -> None:
    """Anybody may put events on a bus, but not with a source that begins with `aws.`."""
    decoded = decode({"detail-type": "Glue Job State Change", "source": "me", "detail": {"jobRunId": "j"}}, source="s3")

    assert decoded.changes == ()
    assert decoded.ignored[0][1].startswith("other event")


def test_motos_spelling_of_the_etag_is_read() -> None:
    """Its EventBridge events have `eTag`, and one sequencer for all: without the etag, new bytes would be a repeat."""
    stored = {"key": KEY, "size": 5, "eTag": ETAG, "sequencer": "617f08299329d189"}

    found = one(eventbridge(object=stored)).object

    assert found is not None
    assert found.etag == ETAG


@pytest.mark.parametrize(
    ("message", "where", "reason"),
    [
        (b"", "body", "probe"),
        (b" \n", "body", "probe"),
        ({"Records": []}, "Records", "probe"),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw-data"}, "body", "test event"),
        (sqs({"Event": "s3:TestEvent", "Bucket": "raw-data"}), "Messages[0].Body", "'raw-data'"),
        (
            {
                "Type": "SubscriptionConfirmation",
                "TopicArn": "arn:aws:sns:t",
                "SubscribeURL": "https://example.invalid/",
                "Message": "You have chosen to subscribe",
            },
            "body",
            "'arn:aws:sns:t'",
        ),
        ({"detail-type": "Glue Job State Change", "source": "aws.glue", "detail": {}}, "body", "other event"),
        ({"detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": {}}, "body", "other event"),
    ],
)
def test_what_is_no_event_is_ignored_with_a_reason(message: Any, where: str, reason: str) -> None:
    """Probes, test events and confirmations are reported by place and reason, and start nothing."""
    body = message if isinstance(message, bytes) else json.dumps(message)
    decoded = decode(body, source="s3", now=NOW)

    assert decoded.events == ()
    ((place, told),) = decoded.ignored
    assert place == where
    assert reason in told


def test_the_minimal_record_of_a_hand_written_test_is_taken() -> None:
    """A record that names only bucket and key is a put, now, of unknown size."""
    event = one(MINIMAL)

    assert event.object is not None
    assert (event.object.bucket, event.object.key, event.object.size) == ("test", "test.csv", None)
    assert (event.kind, event.at) == ("ObjectCreated:Put", NOW)


@pytest.mark.parametrize(
    ("told", "detail", "kind"),
    [
        ("Object Created", {"reason": "PutObject"}, "ObjectCreated:Put"),
        ("Object Created", {"reason": "POST Object"}, "ObjectCreated:Post"),
        ("Object Created", {"reason": "CopyObject"}, "ObjectCreated:Copy"),
        ("Object Created", {"reason": "CompleteMultipartUpload"}, "ObjectCreated:CompleteMultipartUpload"),
        ("Object Created", {"reason": "SomethingNew"}, "ObjectCreated:Put"),
        ("Object Deleted", {"reason": "DeleteObject"}, "ObjectRemoved:Delete"),
        ("Object Deleted", {"deletion-type": "Delete Marker Created"}, "ObjectRemoved:DeleteMarkerCreated"),
        ("Object Restore Completed", {}, "Object Restore Completed"),
    ],
)
def test_eventbridge_reasons_become_native_names(told: str, detail: Doc, kind: str) -> None:
    """A trigger sees one vocabulary; what has no native name keeps its own and is skipped later."""
    assert one(eventbridge(told=told, **detail)).kind == kind


def test_an_etag_is_one_however_it_is_written() -> None:
    """Quotes, case and the `null` version of an unversioned bucket make no second event."""
    plain = one(notification())

    assert one(notification(native(eTag=f'"{ETAG.upper()}"'))).identity == plain.identity
    assert one(notification(native(versionId="null", sequencer=SEQUENCER.lower()))).identity == plain.identity
    assert one(notification(native(versionId=None))).identity == plain.identity


def test_different_objects_have_different_identities() -> None:
    """Bucket, key, bytes, version, sequencer, and coming or going: each tells events apart."""
    other_bucket = native()
    other_bucket["s3"] = other_bucket["s3"] | {"bucket": {"name": "other"}}
    records = [
        native(),
        other_bucket,
        native("other.csv"),
        native(eTag="0" * 32),
        native(versionId="v1"),
        native(sequencer="01"),
        native() | {"eventName": "ObjectRemoved:Delete"},
    ]

    decoded = decode(notification(*records), source="s3", now=NOW)
    assert len({event.identity for event in decoded.events}) == len(records)


def test_a_removal_is_one_event_with_and_without_an_etag() -> None:
    """Native removals carry no etag and EventBridge's may: the sequencer says that they are one."""
    removed: Any = native() | {"eventName": "ObjectRemoved:Delete"}
    del removed["s3"]["object"]["eTag"]

    assert one(notification(removed)).identity == one(eventbridge(told="Object Deleted")).identity


def test_without_etag_and_sequencer_time_and_request_tell_events_apart() -> None:
    """The same delivery twice is one event, a later one is another."""
    bare: Any = native()
    bare["s3"]["object"] = {"key": "a.csv"}
    later = bare | {"eventTime": "2026-01-01T00:00:01Z"}

    assert one(notification(bare)).identity == one(notification(bare)).identity
    assert one(notification(bare)).identity != one(notification(later)).identity


def test_a_path_in_a_message_is_not_believed() -> None:
    """No caller can make a job read a file of this machine by naming it."""
    event = one(notification(native(path="/etc/passwd")))

    assert event.object is not None
    assert event.object.path == ""


def test_a_key_is_decoded_once() -> None:
    """`%252B` is an uploaded `%2B`, not a plus; EventBridge's key is not decoded at all."""
    for message in (notification(native("a%2Bb c.csv")), eventbridge("a%2Bb c.csv")):
        event = one(message)
        assert event.object is not None
        assert event.object.key == "a%2Bb c.csv"


def _with(path: str, value: object) -> Doc:
    """A notification of four good records, the last of which has one wrong value (or lacks it, for `...`)."""
    message = json.loads(json.dumps(notification(native(), native(), native(), native())))
    *steps, last = path.split(".")
    at: Any = message["Records"][3]
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return message


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("s3.object.key", 7, "Records[3].s3.object.key: expected a string, got a number"),
        ("s3.object.key", ..., "Records[3].s3.object.key: expected a string, got nothing"),
        ("s3.object.key", "", "Records[3].s3.object.key: expected a string that is not empty"),
        ("s3.object.key", "a%FF", "Records[3].s3.object.key: expected percent-encoded UTF-8"),
        ("s3.object.key", "a%00", "Records[3].s3.object.key: expected text without a NUL"),
        ("s3.object.key", "%C3%A9" * 513, "Records[3].s3.object.key: expected at most 1024 bytes of UTF-8, got 1026"),
        ("s3.object.size", "12", "Records[3].s3.object.size: expected a whole number of bytes, got a string"),
        ("s3.object.size", True, "Records[3].s3.object.size: expected a whole number of bytes, got a boolean"),
        ("s3.object.size", 1.5, "Records[3].s3.object.size: expected a whole number of bytes, got a number"),
        ("s3.object.size", -1, "Records[3].s3.object.size: expected 0 to"),
        ("s3.object.size", 2**63, "Records[3].s3.object.size: expected 0 to"),
        ("s3.object.eTag", ["x"], "Records[3].s3.object.eTag: expected a string, got a list"),
        ("s3.object.sequencer", "0" * 65, "Records[3].s3.object.sequencer: expected at most 64 bytes"),
        ("s3.object", None, "Records[3].s3.object: expected an object, got null"),
        ("s3.bucket.name", "ab", "Records[3].s3.bucket.name: expected 3 to 255 characters, got 2"),
        ("s3.bucket", "raw-data", "Records[3].s3.bucket: expected an object, got a string"),
        ("s3", [], "Records[3].s3: expected an object, got a list"),
        ("eventTime", "yesterday", "Records[3].eventTime: expected an RFC 3339 time, got 'yesterday'"),
        ("eventTime", "0001-01-01T00:00:00+14:00", "Records[3].eventTime: expected an RFC 3339 time"),
        ("eventName", 1, "Records[3].eventName: expected a string, got a number"),
        ("eventVersion", "3.0", "Records[3].eventVersion: expected 2.x, got '3.0'"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(path: str, value: object, told: str) -> None:
    """The error says which record, which field, what was expected and what came; the good records count for nothing."""
    with pytest.raises(Invalid) as refused:
        decode(json.dumps(_with(path, value)), source="s3", now=NOW)

    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "body: expected JSON text"),
        (b"\xff", "body: expected JSON text"),
        ("\ud800", "body: expected JSON text"),
        (b"{}", "body: expected an S3 notification"),
        (b'{"datasetUrn": "x"}', "body: expected an S3 notification"),
        (b"null", "body: expected an S3 notification"),
        (b"42", "body: expected an S3 notification"),
        (b'{"Records": {}}', "Records: expected a list, got an empty object"),
        (b'{"Records": [7]}', "Records[0]: expected an object, got a number"),
        (b'{"Records": [{"eventSource": "aws:dynamodb"}]}', "Records[0]: expected an S3 notification"),
        (b'{"Message": null}', "Message: expected an S3 notification"),
        (b'{"Body": "hello"}', "Body: expected JSON text"),
        (b'{"Messages": [{"Body": "{}"}]}', "Messages[0].Body: expected an S3 notification"),
        (b"[" * 100_000, "body: expected an S3 notification"),
        (b'{"Message":' * 40 + b"1" + b"}" * 40, "Message.Message"),
        (b'{"source": "aws.s3", "detail-type": "Object Created"}', "detail: expected an object, got nothing"),
        (b'{"source": "aws.s3", "detail-type": 1}', "detail-type: expected a string, got a number"),
    ],
)
def test_what_is_no_message_is_refused(body: bytes | str, told: str) -> None:
    """Anything else is refused in words, never with an internal error."""
    with pytest.raises(Invalid) as refused:
        decode(body, source="s3", now=NOW)

    assert str(refused.value).startswith(told)


def test_a_wrong_record_in_envelopes_is_named_through_them() -> None:
    """The path goes through each envelope, so that the broken message can be found."""
    with pytest.raises(Invalid) as refused:
        decode(sqs_lambda(sns(_with("s3.object.size", "x"))), source="s3", now=NOW)

    assert str(refused.value).startswith("Records[0].body.Message.Records[3].s3.object.size: ")


def test_a_message_has_a_limit_of_records() -> None:
    """Ten thousand records are taken, one more is not."""
    record = native()

    assert len(decode({"Records": [record] * MAX_RECORDS}, source="s3", now=NOW).events) == MAX_RECORDS
    with pytest.raises(Invalid, match="at most 10000 records"):
        decode({"Records": [record] * (MAX_RECORDS + 1)}, source="s3", now=NOW)


def test_half_a_surrogate_pair_is_refused() -> None:
    """A body parsed by a laxer reader may hold text no database takes."""
    with pytest.raises(Invalid, match=r"s3\.object\.key: expected Unicode text"):
        decode(notification(native("\ud800", encode=str)), source="s3", now=NOW)


def test_one_record_is_decoded_quickly() -> None:
    """The accept path pays well under a millisecond for it (measured apart: some 30 microseconds)."""
    body = json.dumps(notification()).encode()
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(100):
            decode(body, source="s3")
        best = min(best, (time.perf_counter() - started) / 100)

    assert best < 0.0003


# --- properties --------------------------------------------------------------------------------------------------

KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200) | st.text(
    alphabet="+%= /&?#.:;ä日\U0001f600AF02", min_size=1, max_size=60
)


@settings(deadline=None)
@given(key=KEYS, slash=st.booleans())
def test_odd_keys_come_back_as_uploaded(key: str, *, slash: bool) -> None:
    """Whatever the key, and whether the sender leaves `/` alone (S3) or not (MinIO): decoded is what was uploaded."""
    for message in (
        notification(native(key, encode=partial(quote_plus, safe="/" if slash else ""))),
        minio(native(key, encode=encode_all)),
        eventbridge(key),
    ):
        event = one(message)
        assert event.object is not None
        assert event.object.key == key


@settings(deadline=None)
@given(st.lists(st.sampled_from(ENVELOPES), max_size=4), KEYS, st.booleans())
def test_envelopes_nest_in_any_order(envelopes: list[Any], key: str, bridge: bool) -> None:
    """However it was wrapped and delivered, it is the same event."""
    plain = one(notification(native(key)))
    message: Any = eventbridge(key) if bridge else notification(native(key))
    for wrap in envelopes:
        message = wrap(message)

    event = one(message)
    assert (event.identity, event.object) == (plain.identity, plain.object)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_identities_do_not_depend_on_order_or_repetition(deliveries: list[tuple[int, bool]]) -> None:
    """Any deliveries of six objects, by either way, in any order, are as many events as objects among them."""
    message = [
        eventbridge(f"{number}.csv") if bridge else notification(native(f"{number}.csv"))
        for number, bridge in deliveries
    ]
    seen = {event.identity for event in decode(list(message), source="s3", now=NOW).events}

    assert len(seen) == len({number for number, _ in deliveries})


SAMPLES = [
    json.dumps(message).encode()
    for message in (notification(), eventbridge(), minio(), sqs_lambda(sns(notification())), MINIMAL)
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_bodies_are_refused_or_read(sample: bytes, data: st.DataObject) -> None:
    """Cut, overwritten or doubled bytes end in events or in Invalid, and in nothing else."""
    start = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(start, min(len(sample), start + 20)))
    damaged = sample[:start] + data.draw(st.binary(max_size=10)) + sample[end:]
    for body in (damaged, sample[:start]):
        try:
            decode(body, source="s3", now=NOW)
        except Invalid as refused:
            assert str(refused)  # noqa: PT017 - either way out is right


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, child in children for place in _places(child, (*path, name)))]


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), JSON_VALUES, st.data())
def test_any_value_in_any_place_is_refused_or_read(sample: bytes, value: Any, data: st.DataObject) -> None:
    """Every field of every shape, replaced by anything JSON can say, ends in events or in Invalid."""
    message = json.loads(sample)
    *steps, last = data.draw(st.sampled_from(_places(message)[1:]))
    at = message
    for step in steps:
        at = at[step]
    at[last] = value
    try:
        decoded = decode(message, source="s3", now=NOW)
    except Invalid as refused:
        assert str(refused)  # noqa: PT017 - either way out is right
    else:
        assert all(event.at.utcoffset() == timedelta(0) for event in decoded.events)
