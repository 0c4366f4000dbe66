"""This file is where functions report their end over HTTP: by their token alone, and in a shape that is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from served import API, World

from headgate.errors import Conflict, NotFound
from headgate.model import Json

PATH = f"{API}/callbacks"


class Functions:
    """Plays the Lambda engine: one token is good, another's run is over."""

    def __init__(self) -> None:
        self.heard: list[tuple[bool, str | None, Mapping[str, Json]]] = []

    def __call__(self, token: str, *, succeeded: bool, error: str | None, result: Mapping[str, Json]) -> str:
        if token == "over":
            raise Conflict("jr_2 has ended already")
        if token != "good":
            raise NotFound("run that waits for this token", token)
        self.heard.append((succeeded, error, result))
        return "jr_1"


def call(world: World, **body: Any) -> Any:
    return world.call("POST", PATH, json=body)


def test_the_token_is_all_that_is_needed(guarded: World) -> None:
    """Where everything else wants a bearer token, the function's own is enough; what it says arrives."""
    functions = guarded.gate.functions = Functions()
    answer = call(guarded, token="good", state="SUCCEEDED", result={"rows": 3, "über": [None]})
    assert (answer.status_code, answer.json()) == (200, {"attempt": "jr_1", "state": "SUCCEEDED"})
    assert call(guarded, token="good", state="FAILED", error="no column").status_code == 200

    assert call(guarded, token="good", state="FAILED", error="é☃" * 9_000).status_code == 200

    assert functions.heard[:2] == [(True, None, {"rows": 3, "über": [None]}), (False, "no column", {})]
    assert functions.heard[2] == (False, "é☃" * 2_000 + " …", {}), "a long traceback is heard, and cut"
    assert guarded.call("GET", f"{API}/jobs").status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"token": "unknown", "state": "SUCCEEDED"}, 404),
        ({"token": "over", "state": "SUCCEEDED"}, 409),
        ({"token": "good", "state": "STOPPED"}, 400),
        ({"token": "good"}, 400),
        ({"state": "SUCCEEDED"}, 400),
        ({"token": "good", "state": "SUCCEEDED", "result": [1]}, 400),
        ({"token": "good", "state": "SUCCEEDED", "result": {"a": {"b": "\0"}}}, 400),
        ({"token": "good", "state": "SUCCEEDED", "result": {"a": ["\ud800"]}}, 400),
        ({"token": "good", "state": "SUCCEEDED", "extra": 1}, 400),
    ],
)
def test_what_is_wrong_is_said(world: World, body: dict[str, Any], status: int) -> None:
    """Unknown tokens, ends that come late and shapes that are none are refused, and nothing is heard."""
    functions = world.gate.functions = Functions()
    assert call(world, **body).status_code == status
    assert functions.heard == []


def test_a_server_that_runs_nothing_knows_no_token(world: World) -> None:
    """Without engines here every token is unknown."""
    assert call(world, token="good", state="SUCCEEDED").status_code == 404
