"""This file is where the OpenLineage door is held to its word: converted and kept before it answers, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from served import World

from headgate.flow.lineage import CHANNEL
from headgate.http.answers import MAX_BODY
from headgate.http.openlineage import BATCH, MOST, PATH
from headgate.ledger.store import wait_for

EVENT: dict[str, Any] = {
    "eventType": "COMPLETE",
    "eventTime": "2026-01-02T03:04:05.678Z",
    "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.0/integration/spark",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "01234567-89ab-cdef-0123-456789abcdef"},
    "job": {
        "namespace": "ns",
        "name": "app.job",
        "facets": {"aws": {"stepFunctionArn": "arn:aws:states:us-east-1:123456789012:stateMachine:x"}},
    },
    "inputs": [{"namespace": "s3://b", "name": "k"}],
    "outputs": [{"namespace": "hive", "name": "db.t"}],
}


def kept(world: World) -> list[list[dict[str, Any]]]:
    """The proposals of each message that was kept, in order."""
    letters = wait_for(world.ledger.take_in_order(CHANNEL, most=10_000, hold=0))
    return [list(one.payload["proposals"]) for one in letters]


def test_an_event_is_kept_before_it_is_answered(world: World) -> None:
    """201 with nothing: the proposals are in the outbox by then, the ARN's among them."""
    answer = world.call("POST", PATH, json=EVENT)
    assert (answer.status_code, answer.content) == (201, b"")
    [proposals] = kept(world)
    by_aspect = {one["aspectName"]: one for one in proposals}
    assert by_aspect["dataJobInfo"]["entityUrn"] == "urn:li:dataJob:(urn:li:dataFlow:(spark,app,prod),app.job)"
    assert proposals[-1]["aspectName"] == "structuredProperties"
    assert proposals[-1]["changeType"] == "PATCH"
    assert "propertyDefinition" not in by_aspect


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, ""),
        (b"{", 400, ""),
        (b"[]", 400, ""),
        (b"\xff\xfe", 400, ""),
        (json.dumps({**EVENT, "run": {"runId": "no uuid"}}).encode(), 400, "no uuid"),
        (json.dumps({**EVENT, "eventTime": "yesterday"}).encode(), 400, "eventTime"),
        (json.dumps({**EVENT, "producer": "https://unknown.example"}).encode(), 422, "orchestrator"),
        (b" " * (MAX_BODY + 1), 413, "larger"),
        (b"[" * 100_000, 400, ""),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_is_kept(world: World, body: bytes, status: int, words: str) -> None:
    """A client error with a message as JSON; what DataHub has no form for is 422."""
    answer = world.call("POST", PATH, content=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    assert kept(world) == []


def test_a_batch_is_taken_whole_or_not_at_all(world: World) -> None:
    """In the order given; the first wrong event is named by its place."""
    other = {**EVENT, "job": {**EVENT["job"], "name": "app.other"}}
    bad = {**EVENT, "producer": "https://unknown.example"}
    refused = world.call("POST", BATCH, json=[EVENT, bad, other])
    assert refused.status_code == 422
    assert refused.json()["message"].startswith("event 1: ")
    assert kept(world) == []

    assert world.call("POST", BATCH, json=[EVENT, other]).status_code == 201
    assert [one[0]["entityUrn"] for one in kept(world)] == ["urn:li:dataFlow:(spark,app,prod)"] * 2


@pytest.mark.parametrize("body", [{}, "x", [1], [EVENT] * (MOST + 1)])
def test_a_batch_that_is_none_is_refused(world: World, body: object) -> None:
    """A list of events, and not too many of them."""
    assert world.call("POST", BATCH, json=body).status_code == 400
    assert world.call("POST", BATCH, json=[]).status_code == 201
    assert kept(world) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("PUT", BATCH, 405), ("POST", "/openapi/openlineage", 404), ("POST", f"{PATH}/x", 404)],
)
def test_other_methods_and_paths_are_answered_here(world: World, method: str, path: str, status: int) -> None:
    """Nothing under OpenLineage's prefix falls through to a page or a proxied DataHub."""
    answer = world.call(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert ("allow" in answer.headers) == (status == 405)


def test_with_a_token_a_producer_needs_one(tmp_path: Path) -> None:
    """The operators' token or that of the senders of events; neither: 401."""
    world = World(tmp_path, token="one", events_token="two")
    try:
        codes = [
            world.call("POST", PATH, json=EVENT, headers={"authorization": f"Bearer {token}"}).status_code
            for token in ("one", "two", "three")
        ]
        assert [*codes, world.call("POST", PATH, json=EVENT).status_code] == [201, 201, 401, 401]
        assert len(kept(world)) == 2
    finally:
        world.close()


def test_another_sites_page_may_not_send(world: World) -> None:
    """On a laptop without tokens a foreign page's POST is refused."""
    answer = world.call("POST", PATH, json=EVENT, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert kept(world) == []


def test_a_ledger_that_is_away_is_said(world: World) -> None:
    """503, and the producer knows that it must send again."""
    world.ledger.close()
    assert world.call("POST", PATH, json=EVENT).status_code == 503
