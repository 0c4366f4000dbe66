"""This file is where it is measured how long a killed server's successor takes until it does its work."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from headgate.ledger.store import Ledger

from .world import DEADLINE, Server, make_project, start_run


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the start of the successor's process until …"""

    adopted: float  #: … it owned what had been running
    ready: float  #: … it answered over HTTP


def recover(server: Server, ledger: Ledger, runs: list[str]) -> Recovery:
    """Kill the server -9 while these runs are under way, start it again, and measure. `ledger` only looks."""
    before = {str(run.id): run.owner for run in ledger.live_runs()}
    assert set(runs) <= set(before)
    server.kill()
    begun = time.monotonic()
    server.start()
    adopted = 0.0
    while not adopted:
        owners = {str(run.id): run.owner for run in ledger.live_runs()}
        if all(owners.get(run) not in (None, before[run]) for run in runs):
            adopted = time.monotonic() - begun
        assert time.monotonic() - begun < DEADLINE, f"not taken up within {DEADLINE} s: {server.log()[-2000:]}"
        time.sleep(0.002)
    server.wait_ready()
    return Recovery(adopted, time.monotonic() - begun)


def measure(folder: Path, *, times: int, runs: int = 4) -> list[Recovery]:
    """Recover a project with `runs` running processes, on SQLite, `times` times."""
    project = make_project(folder)
    server = Server(project)
    server.start()
    server.wait_ready()
    started = [start_run(server.port, "long") for _ in range(runs)]
    ledger = Ledger(f"sqlite:///{project / '.headgate' / 'ledger.db'}")
    ledger.open(create=False)
    try:
        _wait_running(ledger, runs)
        return [recover(server, ledger, started) for _ in range(times)]
    finally:
        (project / "enough").touch()
        give_up = time.monotonic() + DEADLINE
        while ledger.live_runs() and time.monotonic() < give_up:
            time.sleep(0.02)
        ledger.close()
        server.end()


def _wait_running(ledger: Ledger, runs: int) -> None:
    give_up = time.monotonic() + DEADLINE
    while sum(run.state.value == "RUNNING" for run in ledger.live_runs()) < runs:
        assert time.monotonic() < give_up
        time.sleep(0.01)
