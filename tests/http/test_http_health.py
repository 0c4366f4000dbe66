"""This file is where machines are answered: alive, ready or why not, and what was counted."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from served import World

from headgate.model import RunState


def samples(world: World) -> dict[tuple[str, ...], float]:
    answer = world.call("GET", "/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_it_is_alive_whatever_else(world: World) -> None:
    """Also with its ledger closed, and asked with HEAD."""
    world.ledger.close()

    assert world.call("GET", "/healthz").json() == {"alive": True}
    assert world.call("HEAD", "/healthz").status_code == 200


def test_it_is_ready_or_says_why_not(world: World) -> None:
    """200 with the facts, 503 with the problems."""
    assert world.call("GET", "/readyz").status_code == 200
    world.ready = {"ready": False, "problems": ["the disk is full"], "outbox": 3}
    answer = world.call("GET", "/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "problems": ["the disk is full"], "outbox": 3}


def test_what_happens_is_counted(world: World) -> None:
    """Events and duplicates, decisions by outcome, ends by job and state, depths, and the time to accept."""
    world.drop("in/a.csv", "in/b.txt")
    world.drop("in/a.csv")
    world.end(world.begin(world.claimed[0]), RunState.FAILED, retryable=False)
    for _ in range(3):
        world.start("views")
    found = samples(world)

    assert found["headgate_events_total", "accepted"] == 2
    assert found["headgate_events_total", "duplicate"] == 1
    assert found["headgate_decisions_total", "fired"] == 1
    assert found["headgate_decisions_total", "skipped"] == 1
    assert found["headgate_runs_ended_total", "ingest", "FAILED"] == 1
    assert found["headgate_runs", "views", "WAITING"] == 2
    assert found["headgate_queue_depth",] == 2
    assert found["headgate_outbox_depth",] == 0
    assert found["headgate_accept_seconds_count",] == 2
    assert found["headgate_ledger_up",] == 1


def test_a_scrape_without_a_ledger_still_tells_the_rest(world: World) -> None:
    """`headgate_ledger_up` is 0, and what was counted is there."""
    from headgate.errors import LedgerUnavailable

    world.drop("in/a.csv")

    def away() -> dict[str, dict[str, int]]:
        raise LedgerUnavailable("away")

    world.ledger.counts = away
    found = samples(world)

    assert found["headgate_ledger_up",] == 0
    assert found["headgate_events_total", "accepted"] == 1
    assert ("headgate_queue_depth",) not in found
