"""This file is where the events door is held to its word: recorded before it answers, whole or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import EVENTS, World, record

from headgate.errors import LedgerUnavailable
from headgate.http.answers import MAX_BODY
from headgate.http.landing import Landing
from headgate.shapes import decision_json

CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "TopicArn": "arn:aws:sns:us-east-1:1:t",
    "SubscribeURL": "https://x",
}
EVENTBRIDGE = {
    "detail-type": "Object Created",
    "source": "aws.s3",
    "time": "2026-01-01T00:00:00Z",
    "detail": {"bucket": {"name": "raw-data"}, "object": {"key": "in/a b.csv", "size": 1, "etag": "x"}},
}
BODIES = {
    "one": json.dumps({"Records": [record("in/a.csv")]}),
    "two": json.dumps({"Records": [record("in/a.csv"), record("in/b.txt")]}),
    "eventbridge": json.dumps(EVENTBRIDGE),
    "sns": json.dumps({"Type": "Notification", "Message": json.dumps({"Records": [record("in/c.csv")]})}),
    "confirmation": json.dumps(CONFIRMATION),
    "test event": json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw-data"}),
    "empty": "",
    "no json": "{",
    "no message": "{}",
    "bad record": json.dumps({"Records": [record("in/a.csv"), {"s3": {"bucket": {"name": "raw-data"}}}]}),
    "deep": "[" * 5000,
    "too large": " " * (MAX_BODY + 1),
}


def test_an_event_is_recorded_with_what_it_led_to(world: World) -> None:
    """The answer has the event's id, its decisions, and the run that the ledger has by then."""
    [event] = world.drop("in/a.csv")["events"]
    [decision] = event["decisions"]

    assert not event["duplicate"]
    assert (decision["trigger"], decision["outcome"], decision["job"]) == ("uploaded", "fired", "ingest")
    assert world.ledger.run(decision["run"]).cause.event == event["id"]


def test_a_redelivery_is_answered_as_the_first_time(world: World) -> None:
    """The same record again is a duplicate with the same decisions, and starts nothing."""
    first, again = world.drop("in/a.csv")["events"][0], world.drop("in/a.csv")["events"][0]

    assert again == {**first, "duplicate": True}
    assert len(world.ledger.runs().items) == 1


def test_the_bare_answer_is_the_shape_everyone_else_uses(world: World) -> None:
    """The hot path encodes a decision exactly as REST and the CLI show it."""
    [event] = world.drop("in/a.csv", "in/a.txt")["events"][:1]
    kept = world.ledger.event(event["id"]).decisions

    assert event["decisions"] == [decision_json(one) for one in kept]


@pytest.mark.parametrize("name", BODIES)
def test_the_bare_door_and_the_route_answer_the_same(world: World, name: str) -> None:
    """Whatever comes in, errors included, the FastAPI route of the schema answers what the hot path does."""
    world.call("POST", EVENTS, content=BODIES[name])  # so that both are asked about a redelivery
    bare = world.call("POST", EVENTS, content=BODIES[name])
    route = asyncio.run(_through_the_route(world, BODIES[name]))

    assert (bare.status_code, bare.json()) == (route.status_code, route.json())
    assert bare.headers["content-type"] == route.headers["content-type"] == "application/json"


async def _through_the_route(world: World, body: str) -> httpx.Response:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=world.port.app), base_url="http://localhost"
    ) as client:
        return await client.post(EVENTS, content=body)


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("no json", 400, "body: expected JSON text"),
        ("bad record", 400, "Records[1].s3.object: expected an object"),
        ("deep", 400, "nested"),
        ("too large", 413, "larger than 8,388,608 bytes"),
    ],
)
def test_a_bad_body_is_refused_whole(world: World, name: str, status: int, words: str) -> None:
    """The message names the record, and not even the good records beside it are recorded."""
    answer = world.call("POST", EVENTS, content=BODIES[name])

    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert world.get("/events") == {"items": [], "next": None}


def test_a_body_without_a_length_is_counted_as_it_comes(world: World) -> None:
    """More than 8 MiB in chunks is refused before it is all there."""
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * (1 << 20)

    answer = world.call("POST", EVENTS, content=chunks())

    assert answer.status_code == 413
    assert sent == 9


@pytest.mark.parametrize("name", ["confirmation", "test event", "empty"])
def test_what_is_no_event_is_acknowledged_with_the_reason(world: World, name: str) -> None:
    """Confirmations, test events and probes get 200, so that their sender is content, and nothing is recorded."""
    answer = world.call("POST", EVENTS, content=BODIES[name])

    assert answer.status_code == 200
    assert answer.json()["events"] == []
    assert [one["reason"] for one in answer.json()["ignored"]] != []


def test_the_probe_of_a_webhook_is_answered(world: World) -> None:
    """MinIO asks with HEAD whether its target is there."""
    answer = world.call("HEAD", EVENTS)

    assert (answer.status_code, answer.content) == (200, b"")


def test_other_methods_are_told_which_one_it_is(world: World) -> None:
    """GET is 405 with the method that works."""
    answer = world.call("GET", EVENTS)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "takes POST" in answer.json()["message"]


def test_a_compressed_body_is_refused_by_name(world: World) -> None:
    """Content-Encoding is 415, not a complaint about JSON."""
    answer = world.call("POST", EVENTS, content=b"\x1f\x8b", headers={"content-encoding": "gzip"})

    assert answer.status_code == 415


def test_a_ledger_that_is_away_is_503(world: World) -> None:
    """The sender is told to come again, and when."""
    world.ledger.close()
    answer = world.call("POST", EVENTS, json={"Records": [record("in/a.csv")]})

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "ledger" in answer.json()["message"]


def test_a_ledger_that_never_answers_is_given_up_on() -> None:
    """A future that is never done fails its waiter after the patience, and only it."""

    async def wait() -> tuple[object, object]:
        landing = Landing(asyncio.get_running_loop(), patience=0.05)
        done: Future[int] = Future()
        done.set_result(3)
        return await asyncio.gather(landing.wait(Future[int]()), landing.wait(done), return_exceptions=True)

    late, landed = asyncio.run(wait())

    assert isinstance(late, LedgerUnavailable)
    assert landed == 3


def test_a_sender_that_hangs_up_leaves_nothing(world: World) -> None:
    """Half a body is no event, and nobody is answered."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": b'{"Records":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": EVENTS, "headers": [(b"host", b"localhost")], "query_string": b"",
    }  # fmt: skip
    asyncio.run(world.port(scope, receive, send))

    assert sent == []
    assert world.get("/events")["items"] == []


def test_many_at_once_are_each_recorded_once(world: World) -> None:
    """Sixty concurrent deliveries of twenty objects are twenty events."""

    async def deliver() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=world.port)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            bodies = [{"Records": [record(f"in/{n % 20}.csv")]} for n in range(60)]
            return list(await asyncio.gather(*(client.post(EVENTS, json=body) for body in bodies)))

    answers = asyncio.run(deliver())

    assert {answer.status_code for answer in answers} == {200}
    assert sum(not answer.json()["events"][0]["duplicate"] for answer in answers) == 20
    assert len(world.get("/events", params={"limit": 500})["items"]) == 20


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_RECORDS = st.fixed_dictionaries(
    {"s3": st.fixed_dictionaries({"bucket": st.just({"name": "raw-data"}) | _JSON, "object": _JSON})}
)


@given(st.binary(max_size=200) | _JSON.map(json.dumps) | st.lists(_RECORDS).map(lambda r: json.dumps({"Records": r})))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_a_server_error(world: World, body: bytes | str) -> None:
    """Whatever is sent is taken or refused in words."""
    answer = world.call("POST", EVENTS, content=body)

    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or answer.json()["message"]
