"""This file is where messages that could not be read are listed, tried again and thrown away over REST."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from served import API, World, record

from headgate.ledger.dead import DeadLetter
from headgate.ledger.store import wait_for
from headgate.runtime.dead_letters import DeadLetters

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/uploads"


def bury(world: World, body: str, message: str = "m1", receives: int = 3) -> str:
    letter = DeadLetter(source=QUEUE, message=message, body=body, error="expected JSON", receives=receives,
                        sent_at=datetime(2026, 1, 1, tzinfo=UTC))  # fmt: skip
    return wait_for(DeadLetters(world.ledger).bury(letter))


def test_letters_are_listed_word_for_word(world: World) -> None:
    """Newest first, in pages, and each by its id."""
    names = [bury(world, f"not JSON {number}", f"m{number}") for number in range(5)]
    first = world.get("/dead-letters?limit=3")
    rest = world.get(f"/dead-letters?limit=3&before={first['next']}")

    assert [one["id"] for one in first["items"] + rest["items"]] == names[::-1]
    assert rest["next"] is None
    one = world.get(f"/dead-letters/{names[0]}")
    assert (one["body"], one["queue"], one["receives"], one["error"]) == ("not JSON 0", QUEUE, 3, "expected JSON")
    assert one["sent_at"] == "2026-01-01T00:00:00.000000Z"


def test_a_message_given_up_twice_is_one_letter(world: World) -> None:
    """A crash between the commit and the deletion brings it again; what holds bytes no database takes is kept, too."""
    bury(world, "a\0b\ud800")
    bury(world, "a\0b\ud800", receives=4)
    [one] = world.get("/dead-letters")["items"]

    assert (one["receives"], one["body"]) == (4, "a\ufffdb?")


def test_a_letter_that_can_be_read_by_now_is_taken(world: World) -> None:
    """Its events have runs, the letter is gone, and the audit says who it was; a second time it is a duplicate."""
    body = json.dumps({"Records": [record("in/a.csv")]})
    name = bury(world, body)
    said = world.post(f"/dead-letters/{name}/replay", {"reason": "mended"})
    run = said["events"][0]["decisions"][0]["run"]

    assert world.ledger.run(run).job == "ingest"
    assert world.get("/dead-letters")["items"] == []
    [entry] = [one for one in world.get("/audit")["items"] if one["action"] == "dead.replay"]
    assert (entry["subject"], entry["reason"], entry["detail"]["message"]) == (name, "mended", "m1")
    assert world.post(f"/dead-letters/{bury(world, body)}/replay")["events"][0]["duplicate"]


def test_a_letter_that_still_cannot_be_read_stays(world: World) -> None:
    """400 with what is wrong."""
    name = bury(world, "not JSON")
    answer = world.call("POST", f"{API}/dead-letters/{name}/replay", json={})

    assert answer.status_code == 400
    assert "expected JSON" in answer.json()["message"]
    assert len(world.get("/dead-letters")["items"]) == 1


def test_a_letter_is_thrown_away(world: World) -> None:
    """Answered with what it was; then it is not there, which is a 404 for everything one may do with it."""
    name = bury(world, "not JSON")
    answer = world.call("DELETE", f"{API}/dead-letters/{name}?reason=nonsense")

    assert (answer.status_code, answer.json()["body"]) == (200, "not JSON")
    assert world.get("/audit")["items"][0]["reason"] == "nonsense"
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
        gone = world.call(method, f"{API}/dead-letters/{name}{path}", json={})
        assert (gone.status_code, "headgate events dead list" in gone.json()["message"]) == (404, True)


def test_letters_are_for_operators(guarded: World) -> None:
    """The token of events does not open the list."""
    assert guarded.call("GET", f"{API}/dead-letters").status_code == 401
    bearer = {"authorization": "Bearer events"}
    assert guarded.call("GET", f"{API}/dead-letters", headers=bearer).status_code == 401


def test_retention_takes_letters(world: World) -> None:
    """After the days that events are kept."""
    bury(world, "not JSON")
    wait_for(world.ledger.forget(datetime.now(UTC).timestamp() + 1))

    assert DeadLetters(world.ledger).count() == 0


def test_letters_are_counted(world: World) -> None:
    """For whoever scrapes."""
    bury(world, "not JSON")

    assert "headgate_dead_letters 1.0" in world.call("GET", "/metrics").text


def test_a_state_change_over_http_is_only_a_reason_to_look(world: World) -> None:
    """Whoever may send events may not say how a run ended: that AWS is asked for."""
    told: list[tuple[str, bool]] = []

    def changed(change: object, *, trusted: bool) -> bool:
        told.append((str(getattr(change, "id", "")), trusted))
        return True

    world.gate.changed = changed
    event = {"detail-type": "Step Functions Execution Status Change", "source": "aws.states",
             "detail": {"executionArn": "arn:e", "status": "SUCCEEDED"}}  # fmt: skip
    answer = world.call("POST", "/api/ingestion/events", json=event).json()

    assert told == [("arn:e", False)]
    assert answer == {"events": [], "ignored": [], "noticed": [{"place": "body", "id": "arn:e", "followed": True}]}
