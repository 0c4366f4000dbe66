"""This file is where every ledger writes clicks: a run each, or one for several that come close together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from headgate.errors import NotFound, TooManyRuns
from headgate.flow.targets import implicit_job, parse_target
from headgate.ledger import clicks
from headgate.ledger.accepting import Ask
from headgate.ledger.store import wait_for
from headgate.model import Cause, Event, Job, JobName, Run, RunId, RunState, new_event_id

from .replica import Replica, Replicas, job, now

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"
OTHER = URN.replace("c.d.t", "c.d.other")
KEY = "--datasetUrn"


def ask(name: str, dataset: str, *, implicit: Job | None = None) -> Ask:
    identity = new_event_id()
    event = Event(id=identity, door="click", kind="Asked", identity=f"asked:{identity}", at=now())
    cause = Cause(actor="ann", reason="because")
    return Ask(job=JobName(name), event=event, cause=cause, arguments={KEY: dataset}, implicit=implicit)


def click(replica: Replica, dataset: str = URN, *, window: float = 0.0, name: str = "a", **more: Any) -> Run:
    wanted, known = ask(name, dataset, **more), replica.ledger.catalog
    return wait_for(
        replica.ledger.write(lambda batch: clicks.take(batch, known, wanted, dataset=dataset, key=KEY, window=window))
    )


def audit(replica: Replica) -> list[tuple[str, str, str | None]]:
    entries = replica.ledger.audit().items
    return [(one.action, one.actor, one.reason) for one in entries if one.action.startswith("dataset.run")]


def test_without_a_window_each_click_is_a_run(ledger: Replica) -> None:
    """And each is in the audit, with who and why."""
    ledger.declare([job("a", max_concurrent_runs=10)])

    assert click(ledger).id != click(ledger).id
    assert audit(ledger) == [("dataset.run", "ann", "because")] * 2


def test_within_the_window_clicks_on_one_dataset_share_a_run(ledger: Replica) -> None:
    """One that waits, runs or has succeeded; another dataset's click has its own."""
    ledger.declare([job("a", max_concurrent_runs=10)])
    first = click(ledger, window=60)

    assert click(ledger, window=60).id == first.id
    assert click(ledger, OTHER, window=60).id != first.id
    ledger.start(first)
    ledger.end(first)
    assert click(ledger, window=60).id == first.id
    assert audit(ledger).count(("dataset.run.joined", "ann", "because")) == 2


def test_a_run_that_came_to_nothing_is_not_shared(ledger: Replica) -> None:
    """Who clicks again after a failure wants another try."""
    ledger.declare([job("a", max_concurrent_runs=10)])
    first = click(ledger, window=60)
    ledger.start(first)
    ledger.end(first, RunState.FAILED)

    assert click(ledger, window=60).id != first.id


def test_a_run_of_before_the_window_is_not_shared(ledger: Replica) -> None:
    """However short that is."""
    ledger.declare([job("a", max_concurrent_runs=10)])
    first = click(ledger)
    deadline = threading.Event()

    assert not deadline.wait(0.05)
    assert click(ledger, window=0.02).id != first.id


def test_a_run_that_nobody_clicked_for_is_not_shared(ledger: Replica) -> None:
    """A run by hand or by a trigger may be for something else."""
    ledger.declare([job("a", max_concurrent_runs=10)])
    by_hand = ask("a", URN)
    by_hand = replace(by_hand, event=replace(by_hand.event, door="manual"))
    started = wait_for(ledger.ledger.ask(by_hand))

    assert click(ledger, window=60).id != started.id


def test_clicks_at_several_replicas_share_a_run_too(replicas: Replicas) -> None:
    """However close they come: ten at once at each of two replicas are one run."""
    here = replicas.make()
    here.declare([job("a", max_concurrent_runs=10)])
    there = replicas.make()
    there.ledger.refresh()
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(partial(click, window=60), [here, there] * 10))

    assert len({run.id for run in runs}) == 1


def test_a_job_that_does_not_queue_refuses(ledger: Replica) -> None:
    """And nothing is noted of what did not happen."""
    ledger.declare([job("a", queue=False)])
    click(ledger)

    with pytest.raises(TooManyRuns):
        click(ledger)
    with pytest.raises(NotFound):
        click(ledger, name="gone")
    assert len(audit(ledger)) == 1


def test_a_job_that_is_new_is_known_when_its_run_is_handed_over(url: str) -> None:
    """The engine is asked to start it at once, and looks its target up."""
    target = parse_target("polygon-lambda", region="us-east-1")
    assert target is not None
    implied = implicit_job(target)
    replica = Replica(url, opened=False)
    known: list[bool] = []

    def handed_over(run: Run) -> None:
        known.append(run.job in replica.ledger.catalog.jobs)

    replica.ledger.on_claimed = handed_over
    replica.ledger.open()
    try:
        click(replica, name=implied.name, implicit=implied)
        assert known == [True]
    finally:
        replica.close()


def test_runs_are_read_together(ledger: Replica) -> None:
    """Those under way and those over; one that does not exist is left out."""
    ledger.declare([job("a", max_concurrent_runs=10)])
    first, second = click(ledger), click(ledger)
    ledger.start(first)
    ledger.end(first)
    wanted = [first.id, second.id, RunId("jr_none")]
    found = ledger.ledger.read(lambda connection: clicks.find(connection, wanted))

    assert {name: run.ended_at is not None for name, run in found.items()} == {first.id: True, second.id: False}


def test_a_lambda_run_is_found_by_its_second(ledger: Replica) -> None:
    """The seed shows `lambda-<time>` for an id. Two of one second are told apart by their own ids only."""
    far = replace(job("f", max_concurrent_runs=10), engine="lambda")
    ledger.declare([far, job("a")])
    run = click(ledger, name="f")
    ledger.start(run)
    started = ledger.ledger.run(run.id).started_at
    assert started is not None
    second = f"lambda-{started.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"

    assert ledger.ledger.run(second).id == run.id
    ledger.end(run)
    assert ledger.ledger.run(second).id == run.id
    later = datetime.fromisoformat(second.removeprefix("lambda-")) + timedelta(hours=1)
    for name in (f"lambda-{later.isoformat()}", "lambda-", "lambda-2025-99-01T00:00:00Z", "lambda-x"):
        with pytest.raises(NotFound):
            ledger.ledger.run(name)
