"""This file is where our own secrets are set over HTTP, and where it is seen that their values never come out."""

from __future__ import annotations

import json

import pytest
from served import API, World

VALUE = "s3cr3t-over-http"


def test_names_are_listed_and_values_are_not(world: World) -> None:
    """Set, set again, listed, deleted; each change in the audit; the value in none of the answers."""
    answers = [
        world.call("PUT", f"{API}/secrets/DB", json={"value": VALUE, "reason": "first"}),
        world.call("PUT", f"{API}/secrets/DB", json={"value": VALUE + "2"}),
        world.call("GET", f"{API}/secrets"),
        world.call("POST", f"{API}/secrets/rotate"),
        world.call("DELETE", f"{API}/secrets/DB", params={"reason": "gone"}),
        world.call("GET", f"{API}/audit"),
    ]

    assert [one.status_code for one in answers] == [200] * 6
    assert answers[2].json() == {"items": [answers[1].json()], "next": None}
    assert set(answers[1].json()) == {"name", "actor", "created_at", "updated_at"}
    assert answers[3].json() == {"sealed": [], "closed": []}
    assert world.get("/secrets")["items"] == []
    assert [one["action"] for one in answers[5].json()["items"][:3]] == ["secret.delete", "secret.set", "secret.set"]
    assert [one.text for one in answers if VALUE in one.text] == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "value: Field required"),
        ({"value": 12_345_678}, "value: Input should be a valid string"),
        ({"value": ""}, "1 to"),
        ({"value": f"{VALUE}\0"}, "NUL"),
        ({"value": VALUE, "name": VALUE}, "name: Extra inputs"),
        ({"value": {"nested": VALUE}}, "value: Input should be a valid string"),
        (VALUE, "expected a JSON object"),
    ],
)
def test_what_is_no_value_is_told_without_it(world: World, body: object, said: str) -> None:
    """400, with the field and what was expected; never with what was sent."""
    answer = world.call("PUT", f"{API}/secrets/DB", json=body)

    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert VALUE not in answer.text
    assert "12345678" not in answer.text


def test_json_that_breaks_off_is_not_quoted(world: World) -> None:
    """The value may stand right before the break."""
    broken = json.dumps({"value": VALUE})[:-2]
    answer = world.call(
        "PUT", f"{API}/secrets/DB", content=broken.encode(), headers={"content-type": "application/json"}
    )

    assert answer.status_code == 400
    assert VALUE not in answer.text


def test_a_name_that_is_none_and_one_that_is_not_there(world: World) -> None:
    """400 and 404; and there is no reading of one, with any method."""
    assert world.call("PUT", f"{API}/secrets/a-b", json={"value": VALUE}).status_code == 400
    assert world.call("DELETE", f"{API}/secrets/NONE").status_code == 404
    assert world.call("PUT", f"{API}/secrets/DB", json={"value": VALUE}).status_code == 200
    assert world.call("GET", f"{API}/secrets/DB").status_code == 405
    assert world.call("POST", f"{API}/secrets/DB", json={}).status_code == 405


def test_only_operators_may(guarded: World) -> None:
    """Without the token nobody sees even a name."""
    for method, path in (("GET", "/secrets"), ("PUT", "/secrets/DB"), ("DELETE", "/secrets/DB")):
        assert guarded.call(method, API + path, json={"value": VALUE} if method == "PUT" else None).status_code == 401
