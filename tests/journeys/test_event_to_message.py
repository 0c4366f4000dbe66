"""This file is where an event comes in at a door and what follows goes out at the other end, on the laptop's parts."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from headgate.errors import TooManyRuns
from headgate.ledger.reading import EventFilter
from headgate.model import RunState, TriggerName

from .world import Receiver, created, ended, in_state, make_project, one_at_a_time, running, runs_of, until

CONFIGURATION = """
stop_grace: 1s
jobs:
  first: {engine: local, run: journey_jobs.first, max_concurrent_runs: 1}
  second: {engine: local, run: journey_jobs.second, arguments: {--x: "1"}}
  failing: {engine: local, run: journey_jobs.failing}
  flaky: {engine: local, run: journey_jobs.flaky, max_retries: 2, retry: {base: 0.05, cap: 0.1}}
  hopeless: {engine: local, run: journey_jobs.hopeless, max_retries: 5}
  endless: {engine: local, run: journey_jobs.endless, timeout: 60}
  short: {engine: local, command: [sh, -c, "sleep 60 & sleep 60"], timeout: 1}
  alone: {engine: local, run: journey_jobs.endless, queue: false}
  of-later: {engine: recipe, recipe: r.yml}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw, prefix: in/}, actions: [first]}
  followed:
    type: CONDITIONAL
    predicate: {conditions: [{job: first, state: SUCCEEDED}]}
    actions: [{job: second, arguments: {--x: "2"}}]
  every-minute: {type: SCHEDULED, schedule: "* * * * *", missed: all, actions: [second]}
notify:
  - {on: [FAILED, TIMEOUT, RECOVERED], webhook: "${HOOK:-}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", CONFIGURATION)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_an_event_becomes_a_run_and_its_success_the_next(project: Path) -> None:
    """Event, trigger, process, result, conditional, second process with the action's arguments; each with its log."""
    with running(project) as app:
        receipt = app.gate.accept([created("in/ü 1.csv")])[0]
        first = ended(app, receipt.decisions[0].run or "")
        assert app.wait_idle(30)
        (second,) = runs_of(app, "second")

        assert (first.state, first.result) == (RunState.SUCCEEDED, {"objects": ["in/ü 1.csv"]})
        assert (second.state, second.cause.trigger) == (RunState.SUCCEEDED, "followed")
        assert [one.run for one in second.predecessors] == [first.id]
        assert app.gate.log(first.id).text == "objects: in/ü 1.csv\n"
        assert app.gate.log(second.id).text == "second after {'--x': '2'}\n"
        assert app.ledger.replays == 0


def test_one_failure_and_one_recovery_are_told(project: Path, receiver: Receiver) -> None:
    """A webhook gets the failure with what to do next, then the recovery, and nothing for the successes after."""
    with running(project, HOOK=receiver.url) as app:
        failed = ended(app, app.gate.start("failing", arguments={}, actor="ann"))
        until(lambda: receiver.got, "the failure to be told")
        (project / "mended").touch()
        for _ in range(2):
            ended(app, app.gate.start("failing", arguments={}, actor="ann"))
        until(lambda: len(receiver.got) >= 2, "the recovery to be told")
        until(lambda: app.ledger.outbox()[0] == 0, "the outbox to be empty")

    assert receiver.kinds("failing") == ["FAILED", "RECOVERED"]
    assert (receiver.got[0]["run"], receiver.got[0]["error"]) == (failed.id, "RuntimeError: not mended yet")
    assert "headgate runs show" in str(receiver.got[0]["text"])


def test_a_dead_receiver_delays_nothing_and_gets_its_message_in_the_end(project: Path, receiver: Receiver) -> None:
    """While nobody answers, runs go on; the message waits in the outbox, over a restart too, and arrives once."""
    receiver.status = 503
    with running(project, HOOK=receiver.url) as app:
        ended(app, app.gate.start("failing", arguments={}, actor="ann"))
        until(lambda: app.ledger.outbox()[2], "the failed delivery to be noted")
        receiver.hold.clear()
        before = time.monotonic()
        for number in range(5):
            app.gate.accept([created(f"in/{number}")])
        assert app.wait_idle(30)
        assert time.monotonic() - before < 20
        assert "503" in str(app.readiness()["outbox"])
    receiver.hold.set()
    receiver.status = 200
    with running(project, HOOK=receiver.url) as app:
        until(lambda: app.ledger.outbox()[0] == 0, "the message to be delivered")

    assert receiver.kinds("failing") == ["FAILED"]


def test_a_run_whose_engine_comes_later_fails_naming_it(project: Path) -> None:
    """A recipe need not be there when the configuration is read; starting its job without it fails, and says so."""
    with running(project) as app:
        run = ended(app, app.gate.start("of-later", arguments={}, actor="ann"))

    assert run.state is RunState.FAILED
    assert "r.yml cannot be read" in (run.error or "")


def test_a_run_past_its_limit_ends_with_its_tree(project: Path) -> None:
    """TIMEOUT after a second, in words, the children gone too."""
    with running(project) as app:
        run = ended(app, app.gate.start("short", arguments={}, actor="ann"))
        assert (run.state, run.attempt) == (RunState.TIMEOUT, 0)
        assert "1 s" in (run.error or "")
        assert _processes(run.id) == []


def test_stop_ends_the_process_before_it_says_stopped(project: Path) -> None:
    """A running run is STOPPING, then STOPPED with nothing of it left; a waiting one STOPPED at once."""
    with running(project) as app:
        run = app.gate.start("endless", arguments={}, actor="ann")
        waiting = app.gate.start("endless", arguments={}, actor="ann")
        until(lambda: "up" in app.gate.log(run.id).text, "the job to be up")
        assert app.gate.stop(waiting.id, actor="ann").state is RunState.STOPPED
        assert app.gate.stop(run.id, actor="ann", reason="enough").state is RunState.STOPPING
        assert ended(app, run).state is RunState.STOPPED
        assert _processes(run.id) == []


def test_a_flaky_job_is_tried_until_it_succeeds(project: Path) -> None:
    """Two failures, one success: three attempts, each with its own row and log, one run."""
    with running(project) as app:
        run = ended(app, app.gate.start("flaky", arguments={}, actor="ann"))
        attempts = app.ledger.attempts(run)
        logs = [app.gate.log(run.id, attempt=number).text for number in range(3)]

    assert (run.state, run.attempt) == (RunState.SUCCEEDED, 2)
    assert [(one.state, one.error) for one in attempts] == [
        (RunState.FAILED, "RuntimeError: try 1"),
        (RunState.FAILED, "RuntimeError: try 2"),
        (RunState.SUCCEEDED, None),
    ]
    assert ["try 1" in logs[0], "try 2" in logs[1], logs[2]] == [True, True, ""]


def test_a_hopeless_job_is_not_tried_again(project: Path) -> None:
    """NotRetryable ends the run at once."""
    with running(project) as app:
        run = ended(app, app.gate.start("hopeless", arguments={}, actor="ann"))

    assert (run.state, run.attempt) == (RunState.FAILED, 0)
    assert run.error == "NotRetryable: the table does not exist"


def test_a_job_that_does_not_queue_refuses_the_second(project: Path) -> None:
    """TooManyRuns for a person, while the first runs."""
    with running(project) as app:
        run = app.gate.start("alone", arguments={}, actor="ann")
        with pytest.raises(TooManyRuns):
            app.gate.start("alone", arguments={}, actor="ann")
        in_state(app, run, RunState.RUNNING)
        app.gate.stop(run.id, actor="ann")
        ended(app, run)


def test_ticks_missed_while_down_are_made_up_as_the_trigger_says(project: Path) -> None:
    """`missed: all`: each minute that passed while nothing ran is a run of its own, caused by its own tick."""
    with running(project):
        pass
    database = sqlite3.connect(project / ".headgate" / "ledger.db", isolation_level=None)
    database.execute("update trigger_ set last_tick = ? where name = 'every-minute'", (time.time() - 301,))
    database.close()
    with running(project) as app:
        until(lambda: len(runs_of(app, "second")) >= 5, "the missed ticks to fire")
        assert app.wait_idle(30)
        made = runs_of(app, "second")
        ticks = {str(app.ledger.event(run.cause.event).event.payload["tick"]) for run in made if run.cause.event}
        newest = app.ledger.last_ticks()[TriggerName("every-minute")]

    assert len(made) == len(ticks)
    assert len(made) in (5, 6, 7)
    assert (datetime.now(UTC) - newest).total_seconds() < 121


def test_a_replayed_event_runs_again_and_may_be_left_without_followers(project: Path) -> None:
    """`--no-downstream`: the first job runs on the same object, the second is not fired, and the decision says why."""
    with running(project) as app:
        receipt = app.gate.accept([created("in/1")])[0]
        app.wait_idle(30)
        ((event, again),) = app.gate.replay(
            EventFilter(), events=[receipt.event], downstream=False, actor="ann", reason="test"
        )
        assert again is not None
        app.wait_idle(30)
        first, replayed = runs_of(app, "first")

        assert event.payload["replay_of"] == receipt.event
        assert (first.result, replayed.result) == ({"objects": ["in/1"]}, {"objects": ["in/1"]})
        assert len(runs_of(app, "second")) == 1


def test_a_burst_of_events_never_runs_a_job_twice_at_a_time(project: Path) -> None:
    """A hundred events from ten threads: all objects once, the runs of the job one after the other."""

    def give(number: int) -> None:
        for one in range(10):
            app.gate.accept([created(f"in/{number}-{one}")])

    with running(project) as app:
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(give, range(10)))
        assert app.wait_idle(60)
        runs = runs_of(app, "first")

    objects = [key for run in runs for key in cast("list[str]", run.result["objects"])]
    assert sorted(objects) == sorted(f"in/{n}-{one}" for n in range(10) for one in range(10))
    one_at_a_time(runs)


def _processes(mark: str) -> list[int]:
    """Processes of a run: its id is in their environment."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
