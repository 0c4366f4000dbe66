"""This file is where the parts are put together and taken apart: who holds the home, what is ready, what goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from journeys.world import ended, make_project, running, until

from headgate.app import App, open_reading, open_writing, running_server, troubles
from headgate.errors import InUse, LedgerUnavailable, Unavailable
from headgate.model import RunState
from headgate.settings import Settings
from headgate.settings.load import load

CONFIGURATION = """
jobs:
  first: {engine: local, run: journey_jobs.first}
  quick: {engine: local, command: [sh, -c, "exit 0"]}
  slow: {engine: local, command: [sh, -c, "until [ -e go ]; do sleep 0.01; done; exit 7"]}
triggers:
  quick-after-first:
    type: CONDITIONAL
    predicate: {conditions: [{job: first, state: SUCCEEDED}]}
    actions: [quick]
inboxes: {raw: ./inbox}
"""

_HOLD = """
import sys
from pathlib import Path
from headgate.runtime.home import HomeLock
lock = HomeLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""

_ENDED_EARLY = """
import os, signal, sys
from pathlib import Path
from headgate.app import App, serve, work
from headgate.settings.load import load
begin = App.start
def begin_and_be_ended(self, **how):
    os.kill(os.getpid(), signal.SIGTERM)
    begin(self, **how)
App.start = begin_and_be_ended
settings = load(Path(sys.argv[2]), {})
sys.exit(work(settings) if sys.argv[1] == "work" else serve(settings, host="127.0.0.1", port=0))
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    made = make_project(tmp_path / "project", CONFIGURATION)
    yield made
    (made / "go").touch()


def settings_of(project: Path) -> Settings:
    return load(project, {})


def test_a_home_has_one_owner_and_the_refused_one_leaves_nothing_behind(project: Path) -> None:
    """While another process holds it, an App is InUse; when that has ended, the next one starts."""
    threads = threading.active_count()
    command = [sys.executable, "-c", _HOLD, str(project / ".headgate")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        app = App.build(settings_of(project), worker=True, doors=True)
        with pytest.raises(InUse, match="in use by another Headgate process"):
            app.start()
        holder.kill()
    with open_writing(settings_of(project)) as app:
        assert app.readiness()["ready"]
    until(lambda: threading.active_count() <= threads, "its threads to end")


@pytest.mark.parametrize("how", ["work", "serve"])
def test_a_signal_that_comes_while_it_starts_ends_it_in_order(project: Path, how: str) -> None:
    """As it would later: everything is closed, the exit code is 0."""
    command = [sys.executable, "-c", _ENDED_EARLY, how, str(project)]
    ended_early = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended_early.returncode, ended_early.stderr) == (0, "")
    with open_writing(settings_of(project)) as app:
        assert app.readiness()["ready"]


def test_a_damaged_ledger_is_told_and_the_home_is_free_again(project: Path) -> None:
    """LedgerUnavailable in words; the lock is given back, so that the next start can be tried."""
    home = project / ".headgate"
    home.mkdir()
    (home / "ledger.db").write_bytes(b"no database at all" * 1000)
    for _ in range(2):
        app = App.build(settings_of(project), worker=True, doors=True)
        with pytest.raises(LedgerUnavailable, match="this is no ledger"):
            app.start()


def test_doors_and_runs_may_be_two_processes_of_one_home(project: Path) -> None:
    """What the doors accept the worker runs, on SQLite too."""
    doors = App.build(settings_of(project), worker=False, doors=True)
    worker = App.build(settings_of(project), worker=True, doors=False)
    doors.start(role="doors")
    worker.start(role="runs")
    run = ended(doors, doors.gate.start("quick", arguments={}, actor="ann"))
    doors.close()
    worker.close()

    assert run.state is RunState.SUCCEEDED


def test_what_runs_goes_on_when_the_app_closes_and_is_taken_up_by_the_next(project: Path) -> None:
    """Closing stops no job; the next App says how it ended, though it ended while nobody was there."""
    with running(project) as app:
        run = app.gate.start("slow", arguments={}, actor="ann")
        assert not app.wait_idle(0.3)
    (project / "go").touch()
    with running(project) as app:
        over = ended(app, run)

    assert (over.state, over.detail) == (RunState.FAILED, "exit 7")


def test_waiting_for_idle_waits_for_what_follows_too(project: Path) -> None:
    """Between a run's end and the run it fires there is no moment in which nothing is under way."""
    with running(project) as app:
        for number in range(1, 6):
            app.gate.start("first", arguments={}, actor="ann")
            assert app.wait_idle(30)
            assert [run.state for run in app.ledger.runs(job="quick").items] == [RunState.SUCCEEDED] * number


def test_readiness_names_what_is_wrong(project: Path) -> None:
    """A ledger that cannot be read any more is said in words."""
    with running(project) as app:
        assert app.readiness()["problems"] == []
        database = sqlite3.connect(project / ".headgate" / "ledger.db")
        database.execute("alter table outbox rename to away")
        readiness = app.readiness()
        database.execute("alter table away rename to outbox")
        database.close()

    assert not readiness["ready"]
    assert "no such table: outbox" in str(readiness["problems"])


def test_missing_credentials_are_said_before_a_run_needs_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a job is to run on AWS and nothing is there to sign with, /readyz warns and says what to set."""
    with (project / "headgate.yaml").open("a", encoding="utf-8") as file:
        file.write("datasets: [{default: true, lambda: far-away}]\n")
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with running(project) as app:
        said = app.readiness()
        monkeypatch.setenv("AWS_PROFILE", "ours")
        mended = app.readiness()

    assert said["ready"], "local jobs run"
    assert "AWS_PROFILE" in str(said["warnings"])
    assert mended["warnings"] == []


def test_looking_needs_no_lock_and_makes_what_is_not_there(project: Path) -> None:
    """`open_reading` shows what is declared before anything ran, and beside a running App."""
    with open_reading(settings_of(project)) as gate:
        assert set(gate.ledger.catalog.jobs) == {"first", "quick", "slow"}
    with running(project) as app, open_reading(settings_of(project)) as gate:
        run = ended(app, app.gate.start("quick", arguments={}, actor="ann"))
        assert gate.ledger.run(run.id).state is RunState.SUCCEEDED


def test_a_server_that_is_gone_is_not_taken_for_one(project: Path) -> None:
    """A note of a dead server is ignored; a HEADGATE_URL where nobody answers is an error that says so."""
    home = project / ".headgate"
    home.mkdir()
    (home / "server.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}', "utf-8")
    assert running_server(settings_of(project)) is None
    with pytest.raises(Unavailable, match=r"nobody answers at http://127\.0\.0\.1:9"):
        running_server(load(project, {"HEADGATE_URL": "http://127.0.0.1:9"}))


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/readyz has it when the disk of our state has no room, and says nothing of one that has, or is not there."""
    room = os.statvfs(tmp_path)
    assert troubles.of_disk(tmp_path) == troubles.of_disk(tmp_path / "nowhere") == []
    full = os.statvfs_result((room.f_bsize, room.f_frsize, 1000, 10, 10, *tuple(room)[5:]))

    def none_left(_path: Path) -> os.statvfs_result:
        return full

    monkeypatch.setattr(os, "statvfs", none_left)
    [said] = troubles.of_disk(tmp_path)
    assert f"the disk of {tmp_path} is full" in said
