"""This file is where DataHub's paths are called over HTTP, by hand: what the reference says of their shapes."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest

from .world import ACTOR, DATASET, JOB, World

ENCODED = quote(DATASET, safe="")


def proposal(urn: str, aspect: str, value: Any, **more: Any) -> dict[str, Any]:
    """As the SDK sends it: the aspect is JSON inside a text."""
    return {
        "entityType": urn.split(":")[2], "entityUrn": urn, "changeType": "UPSERT", "aspectName": aspect,
        "aspect": {"contentType": "application/json", "value": json.dumps(value)}, **more,
    }  # fmt: skip


def ingest(world: World, given: Any, **more: Any) -> Any:
    return world.call("POST", "/aspects?action=ingestProposal", json={"proposal": given, "async": "false"}, **more)


def test_config_is_what_the_sdk_needs_and_says_what_this_is(world: World) -> None:
    """noCode is a text, the version is one with the features there are, and nobody takes it for DataHub."""
    config = world.call("GET", "/config").json()

    assert config["noCode"] == "true"
    assert config["patchCapable"] is True
    assert config["headgate"]["catalog"] == "embedded"
    assert "development catalog" in config["headgate"]["note"]


def test_health_is_empty(world: World) -> None:
    """200 with nothing in it."""
    answer = world.call("GET", "/health")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/aspects?action=ingestProposal", "/aspects/?action=ingestProposal"])
def test_a_proposal_is_written_and_read_again(world: World, path: str) -> None:
    """Written as rest.li sends it, read under its record's full name."""
    answer = world.call("POST", path, json={"proposal": proposal(DATASET, "status", {"removed": False})})
    read = world.call("GET", f"/aspects/{ENCODED}?aspect=status&version=0").json()

    assert (answer.status_code, answer.json()) == (200, {"value": "success"})
    assert read["aspect"] == {"com.linkedin.common.Status": {"removed": False}}
    assert read["systemMetadata"]["version"] == "1"


def test_a_proposal_by_its_key(world: World) -> None:
    """The stock executor sends the key aspect in place of the URN."""
    given = proposal("urn:li:dataHubExecutionRequest:x", "dataHubExecutionRequestResult", {"status": "RUNNING"})
    del given["entityUrn"]
    given["entityKeyAspect"] = {"contentType": "application/json", "value": '{"id":"7c1"}'}
    ingest(world, given)

    assert world.catalog.exists("urn:li:dataHubExecutionRequest:7c1")


def test_an_aspect_that_is_not_there_is_404(world: World) -> None:
    """In rest.li's shape."""
    answer = world.call("GET", f"/aspects/{ENCODED}?aspect=status&version=0")

    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.json()["exceptionClass"] == "com.linkedin.restli.server.RestLiServiceException"


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        (None, 400, "proposal: expected a JSON object"),
        ({**proposal(DATASET, "status", {}), "aspect": {"contentType": "application/json", "value": "{"}}, 400, "JSON"),
        ({**proposal(DATASET, "status", {}), "aspect": {"contentType": "text/plain", "value": "{}"}}, 400, "content"),
        ({**proposal(DATASET, "status", {}), "aspect": {"value": {"removed": False}}}, 400, "a text that holds JSON"),
        (proposal(DATASET, "nothing", {}), 422, "has no aspect 'nothing'"),
        ({**proposal(DATASET, "status", {}), "entityType": "dataJob"}, 422, "does not go with"),
        ({**proposal(DATASET, "status", {}), "entityUrn": "urn:li:dataset:(x)"}, 422, "expected urn:li:dataset"),
        ({**proposal(DATASET, "status", {}), "changeType": "SMASH"}, 422, "changeType"),
        ({**proposal(DATASET, "status", {}), "headers": {"If-Version-Match": "3"}}, 422, "Expected version 3"),
        ({**proposal(DATASET, "status", {}), "headers": []}, 400, "headers"),
    ],
)
def test_refused_proposals(world: World, given: Any, status: int, says: str) -> None:
    """Malformed is 400, against the rules is 422; nothing is written."""
    answer = ingest(world, given)

    assert answer.status_code == status, answer.text
    assert says in answer.json()["message"]
    assert not world.catalog.exists(DATASET)


def test_a_batch_fails_whole(world: World) -> None:
    """One bad proposal of a batch, and none is written."""
    those = [proposal(DATASET, "status", {"removed": False}), proposal(JOB, "nothing", {})]
    answer = world.call("POST", "/aspects?action=ingestProposalBatch", json={"proposals": those, "async": "true"})

    assert answer.status_code == 422
    assert not world.catalog.exists(DATASET)


def test_gzip_is_unpacked_within_bounds(world: World) -> None:
    """A client may pack its body; one that unpacks to too much is refused."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    body = json.dumps({"proposal": proposal(DATASET, "status", {"removed": False})}).encode()
    path = "/aspects?action=ingestProposal"

    assert world.call("POST", path, content=gzip.compress(body), headers=headers).status_code == 200
    assert world.call("POST", path, content=gzip.compress(b" " * 20_000_000), headers=headers).status_code == 413
    assert world.call("POST", path, content=b"no gzip", headers=headers).status_code == 400


def test_bodies_of_the_sdk_fit_and_larger_ones_do_not(world: World) -> None:
    """Fifteen megabytes are taken, seventeen are not, and another path's limit is as it was."""
    big = proposal(DATASET, "datasetProperties", {"customProperties": {"a": "x" * 14_000_000}})

    assert ingest(world, big).status_code == 200
    assert ingest(world, proposal(DATASET, "status", {"removed": "x" * 17_000_000})).status_code == 413
    assert world.call("POST", "/headgate/api/v1/runs", content=b"x" * 9_000_000).status_code == 413


def test_entities_v2(world: World) -> None:
    """All aspects or those asked for; of an entity that is not there the key aspect, as GMS does."""
    ingest(world, proposal(DATASET, "status", {"removed": False}))
    every = world.call("GET", f"/entitiesV2/{ENCODED}").json()
    some = world.call("GET", f"/entitiesV2/{ENCODED}?aspects=List(globalTags,status)").json()
    other = world.call("GET", f"/entitiesV2/{quote(JOB, safe='')}").json()
    both = world.call("GET", f"/entitiesV2?ids=List({ENCODED},{quote(JOB, safe='')})").json()

    assert set(every["aspects"]) == {"datasetKey", "status"}
    assert some["aspects"]["status"]["value"] == {"removed": False}
    assert some["aspects"]["status"]["created"]["actor"] == ACTOR
    assert set(other["aspects"]) == {"dataJobKey"}
    assert set(both["results"]) == {DATASET, JOB}


def test_writing_needs_the_token_when_there_is_one(guarded: World) -> None:
    """Without it, or with another, nothing is written; reading at this machine is free."""
    given = {"proposal": proposal(DATASET, "status", {"removed": False})}
    path = "/aspects?action=ingestProposal"
    answers = [
        guarded.call("POST", path, json=given, headers=headers).status_code
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer secret"})
    ]

    assert answers == [401, 401, 200]
    assert guarded.call("GET", f"/aspects/{ENCODED}?aspect=status").status_code == 200


def test_a_mutation_needs_the_token_and_a_query_does_not(guarded: World) -> None:
    """GraphQL says 403 in its own shape, with status 200."""
    query = {"query": "{ me { corpUser { urn } } }"}
    change = {
        "query": 'mutation { createStructuredProperty(input: {id: "x", valueType: "urn:li:dataType:datahub.string",'
        ' entityTypes: ["urn:li:entityType:datahub.dataJob"]}) { urn } }'
    }

    assert guarded.call("POST", "/api/graphql", json=query).json()["data"]["me"]["corpUser"]["urn"]
    refused = guarded.call("POST", "/api/graphql", json=change)
    assert refused.status_code == 200
    assert refused.json()["errors"][0]["extensions"]["type"] == "UNAUTHORIZED"
    headers = {"authorization": "Bearer secret"}
    assert "errors" not in guarded.call("POST", "/api/graphql", json=change, headers=headers).json()


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}]
)
def test_another_sites_page_writes_nothing(world: World, headers: dict[str, str]) -> None:
    """Neither by a foreign Origin, nor by a foreign Host, nor with no Origin at all."""
    answer = ingest(world, proposal(DATASET, "status", {"removed": False}), headers=headers)

    assert answer.status_code == 403
    assert not world.catalog.exists(DATASET)


@pytest.mark.parametrize("path", ["/config/x", "/aspects?action=nothing", "/entities", "/openapi/v3/nothing"])
def test_what_is_not_there(world: World, path: str) -> None:
    """An unknown path or action is told as such."""
    assert world.call("POST", path, json={}).status_code in (400, 404, 405)
