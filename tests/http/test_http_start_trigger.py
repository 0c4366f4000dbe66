"""This file is where ON_DEMAND triggers are fired by a person: what starts, who it was, and what is refused."""

from __future__ import annotations

import pytest
from served import API, World


def test_firing_starts_every_action_and_says_who_and_why(world: World) -> None:
    """The answer is the event with its decisions; the run and the audit name the person and the reason."""
    answer = world.post("/triggers/asked/start", {"reason": "new reference data"})
    [decision] = answer["decisions"]
    assert (decision["trigger"], decision["outcome"], decision["job"]) == ("asked", "fired", "picky")
    cause = world.get(f"/runs/{decision['run']}")["cause"]
    actor = "urn:li:corpuser:local"
    assert cause == {"event": answer["id"], "trigger": "asked", "actor": actor, "reason": "new reference data"}
    entry = world.get("/audit")["items"][0]
    assert {name: entry[name] for name in ("action", "subject", "actor", "reason")} == {
        "action": "trigger.start", "subject": "asked", "actor": actor, "reason": "new reference data"
    }  # fmt: skip
    assert world.get("/triggers/asked")["state"] == "CREATED", "firing switches nothing"


def test_the_same_key_fires_once(world: World) -> None:
    """Asked again with it, the first answer comes, and the audit has one entry."""
    first, again = (world.post("/triggers/asked/start", {"key": "once"}) for _ in range(2))
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert first["decisions"][0]["run"] == again["decisions"][0]["run"]
    assert [one["action"] for one in world.get("/audit")["items"]].count("trigger.start") == 1


def test_a_job_at_its_limit_does_not_start_twice(world: World) -> None:
    """`picky` does not queue: the second run is over before it began, and says why."""
    world.post("/triggers/asked/start")
    [decision] = world.post("/triggers/asked/start")["decisions"]
    run = world.get(f"/runs/{decision['run']}")
    assert run["ended_at"]
    assert (run["state"], "picky may have 1 and does not queue" in run["error"]) == ("FAILED", True), run["error"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/triggers/uploaded/start", {}, 409, "is EVENT: it fires by itself"),
        ("/triggers/nightly/start", {}, 409, "is SCHEDULED"),
        ("/triggers/nothing/start", {}, 404, "no trigger 'nothing'"),
        ("/triggers/asked/start", {"arguments": {"--a": "1"}}, 400, "arguments"),
        ("/triggers/asked/start", {"reason": "r" * 2_001}, 400, "reason"),
    ],
)
def test_what_is_refused_starts_nothing(world: World, path: str, body: object, status: int, said: str) -> None:
    """Triggers that fire by themselves, unknown ones, arguments (as in Glue), and reasons that are too long."""
    answer = world.call("POST", API + path, json=body)
    assert (answer.status_code, said in answer.json()["message"]) == (status, True), answer.text
    assert world.get("/runs")["items"] == []
    assert world.call("GET", f"{API}/triggers/asked/start").status_code in (404, 405)
