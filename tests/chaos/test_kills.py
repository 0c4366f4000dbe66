"""This file is where `headgate serve` is killed under load: nothing may be lost, doubled or false."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.postgres import cluster

from headgate.ledger.store import Ledger
from headgate.model import RunState
from headgate.supervision.logs import read_log

from .campaign import kill_one_server, kill_replicas
from .recovery import recover
from .verdict import settle
from .world import Server, end_everything, executions, make_project, start_run, until

#: A sample, for every change; `make chaos` goes on for minutes.
KILLS, REPLICAS_KILLED = 10, 3
pytestmark = [pytest.mark.chaos, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    made = make_project(tmp_path / "project")
    yield made
    end_everything(made)


@pytest.fixture
def dice() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_nothing_is_lost_doubled_or_false_when_the_server_is_killed(project: Path, dice: random.Random) -> None:
    """Killed at random moments: every acknowledged event has its run, every success one follower, no state lies."""
    counts = kill_one_server(project, dice, kills=KILLS)
    print(dict(counts))

    assert counts["kills"] == KILLS
    assert counts["SUCCEEDED"] > KILLS, f"hardly anything ran: {counts}"
    assert counts["acknowledged"] > KILLS, f"hardly anything was acknowledged: {counts}"


@pytest.mark.postgres
@pytest.mark.skipif(os.environ.get("HEADGATE_NO_POSTGRES") == "1", reason="HEADGATE_NO_POSTGRES=1")
def test_nothing_is_lost_doubled_or_false_when_replicas_are_killed(project: Path, dice: random.Random) -> None:
    """Three replicas on PostgreSQL share one home and are killed one at a time."""
    with cluster() as url:
        counts = kill_replicas(project, url, dice, kills=REPLICAS_KILLED)
    print(dict(counts))

    assert counts["kills"] == REPLICAS_KILLED
    assert counts["SUCCEEDED"] > 10, f"hardly anything ran: {counts}"


def test_a_survivor_is_taken_up_again_with_its_log_and_its_true_end(project: Path) -> None:
    """Killed three times while a job runs: one process all along, a log without a gap, and the end it really had."""
    server = Server(project)
    server.start()
    server.wait_ready()
    run = start_run(server.port, "long")
    ledger = Ledger(f"sqlite:///{project / '.headgate' / 'ledger.db'}")
    ledger.open(create=False)
    for _ in range(3):
        until(lambda: ledger.run(run).state is RunState.RUNNING, "the run to be running")
        recovery = recover(server, ledger, [run])
        assert recovery.adopted < 20
    (project / "enough").touch()
    settle(ledger)
    over = ledger.run(run)
    ledger.close()
    assert server.end() == 0
    wrote = executions(project)[run]
    lines = read_log(project / ".headgate" / "logs", run, 0, 1 << 24)[0].splitlines()

    assert (over.state, over.attempt) == (RunState.SUCCEEDED, 0)
    assert [line.split()[0] for line in wrote] == ["begin", "succeeded"]
    assert lines == [f"line {number}" for number in range(len(lines))]
    assert len(lines) > 10


def test_a_survivor_that_ended_while_nobody_watched_has_its_true_end(project: Path) -> None:
    """The job ends while no server is there: the next one says how, and what follows from it follows."""
    server = Server(project)
    server.start()
    server.wait_ready()
    run = start_run(server.port, "long")
    ledger = Ledger(f"sqlite:///{project / '.headgate' / 'ledger.db'}")
    ledger.open(create=False)
    until(lambda: executions(project).get(run), "the job to have begun")
    server.kill()
    (project / "enough").touch()
    until(lambda: executions(project)[run][-1] == "succeeded", "the job to end")
    assert ledger.run(run).state in (RunState.RUNNING, RunState.STARTING)
    server.start()
    settle(ledger)
    over = ledger.run(run)
    ledger.close()
    server.wait_ready()
    server.end()

    assert over.state is RunState.SUCCEEDED
