"""This file is where requests are cancelled in DataHub: what runs is ended first, and then it is said so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes.execution_requests import RequestGms
from journeys.world import until

from headgate.model import RunState

from .world import executing, file, reporting, runs, script, until_status


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_cancelled_means_that_nothing_runs_any_more(tmp_path: Path) -> None:
    """The process and its child in a session of its own are gone before DataHub is told CANCELLED."""
    pids = tmp_path / "pids"
    recipe = script(f"setsid sh -c 'echo $$ >> {pids}; exec sleep 600' & echo $$ >> {pids}; wait")
    with RequestGms() as gms, executing(tmp_path / "p", gms) as app:
        urn = gms.ask(recipe)
        until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "both processes to be there")
        until_status(gms, urn, "RUNNING")
        gms.cancel(urn)
        until_status(gms, urn, "CANCELLED")
        assert [pid for pid in map(int, pids.read_text().split()) if alive(pid)] == []
        [run] = runs(app)
        assert run.state is RunState.STOPPED
        assert gms.statuses(urn)[-1] == "CANCELLED"
        assert "Cancelled by urn:li:corpuser:bob in DataHub" in gms.result(urn)["report"]
        assert "cancelled in DataHub" in str(app.ledger.audit().items[0].reason)


def test_one_that_waits_is_cancelled_without_a_run(tmp_path: Path) -> None:
    """A request that has no place yet is CANCELLED at once, and never starts."""
    with RequestGms() as gms, executing(tmp_path, gms, file(most=1)) as app:
        first = gms.ask(script("sleep 600"), source="one")
        until_status(gms, first, "RUNNING")
        second = gms.ask(reporting(), source="two")
        gms.cancel(second)
        until_status(gms, second, "CANCELLED")
        assert "bob" in gms.result(second)["report"]
        gms.cancel(first)
        until_status(gms, first, "CANCELLED")
        assert len(runs(app)) == 1


@pytest.mark.parametrize("events", [True, False])
def test_one_that_was_cancelled_while_nobody_was_here_never_starts(tmp_path: Path, *, events: bool) -> None:
    """Asked for and cancelled before the executor is there, which finds both in DataHub's lists."""
    with RequestGms(events=events) as gms:
        urn = gms.ask(reporting())
        gms.cancel(urn)
        with executing(tmp_path, gms) as app:
            until_status(gms, urn, "CANCELLED")
            assert runs(app) == []
    assert gms.statuses(urn) == ["CANCELLED"]


def test_a_finished_run_keeps_its_result(tmp_path: Path) -> None:
    """A cancel that comes too late, and a signal nobody knows, change nothing."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        urn = gms.ask(reporting())
        until_status(gms, urn, "SUCCESS")
        before = gms.result(urn)
        gms.cancel(urn)
        gms.cancel(urn, "NUDGE")
        later = gms.ask(reporting())
        until_status(gms, later, "SUCCESS")
        assert gms.result(urn) == before
        assert app.ledger.run(runs(app)[1].id).state is RunState.SUCCEEDED


def test_a_cancel_finds_the_run_after_a_restart(tmp_path: Path) -> None:
    """What ran on without its executor is ended by a cancel that came while none was there."""
    pid = tmp_path / "pid"
    with RequestGms() as gms:
        with executing(tmp_path / "p", gms):
            urn = gms.ask(script(f"echo $$ > {pid}; exec sleep 600"))
            until(lambda: pid.exists() and pid.read_text().strip(), "the process")
            until_status(gms, urn, "RUNNING")
        assert alive(int(pid.read_text()))
        gms.cancel(urn)
        with executing(tmp_path / "p", gms):
            until_status(gms, urn, "CANCELLED")
            assert not alive(int(pid.read_text()))
        assert os.getpid() != int(pid.read_text())


def test_one_of_ours_is_stopped_here_too(tmp_path: Path) -> None:
    """A run that is stopped on our side is CANCELLED on DataHub's."""
    with RequestGms() as gms, executing(tmp_path, gms) as app:
        urn = gms.ask(script("sleep 600"))
        until(lambda: runs(app) and runs(app)[0].state is RunState.RUNNING, "the run")
        app.gate.stop(runs(app)[0].id, actor="urn:li:corpuser:ann", reason="not now")
        until_status(gms, urn, "CANCELLED")
