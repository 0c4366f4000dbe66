"""The two commands that try the whole workflow, as a person runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headgate.project import write_project

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith(("HEADGATE_", "DATAHUB_"))}


def headgate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headgate", *arguments]
    return subprocess.run(command, cwd=cwd, env=PLAIN, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def served(project: Path) -> Generator[None]:
    """The project, served until the block ends."""
    command = [sys.executable, "-m", "headgate", "serve", "--port", "0"]
    with (project / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=project, env=PLAIN, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not (project / ".headgate" / "server.json").exists():
            assert server.poll() is None, (project / "serve.log").read_text("utf-8")
            assert time.monotonic() < until, "the server did not start"
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


@pytest.mark.slow
def test_the_demo_succeeds_only_with_every_row_in_its_place(tmp_path: Path) -> None:
    """100,000 records, 7 bad: 99,993 rows in the view, 7 rejects, the chain's picture, and exit code 0."""
    done = headgate("demo", "--once", "--dir", "scratch", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "99,993 rows in collections.collections_data_view, 7 in" in done.stdout
    assert "└─▶ dual-engine-views-trigger fired" in done.stdout
    query = "SELECT count(*) AS n FROM collections.collections_data_staging_rejects"
    asked = headgate("-c", "scratch", "lake", "query", query, "-o", "json", cwd=tmp_path)
    assert json.loads(asked.stdout) == [{"n": 7}]


def test_the_demo_empties_no_folder_that_is_not_its_own(tmp_path: Path) -> None:
    """Somebody's folder is left alone, and another way is named."""
    precious = tmp_path / "precious" / "work.txt"
    precious.parent.mkdir()
    precious.write_text("years", "utf-8")

    done = headgate("demo", "--once", "--dir", "precious", cwd=tmp_path)

    assert done.returncode == 1
    assert "--dir" in done.stderr
    assert precious.read_text("utf-8") == "years"


@pytest.mark.slow
def test_smoke_sees_the_whole_workflow_and_leaves_nothing(tmp_path: Path) -> None:
    """The canary arrives in the table and is gone again; with its trigger disabled the verdict is no, and why."""
    project = tmp_path / "hub"
    write_project(project)
    inbox = project / "inbox"
    before = sorted(inbox.rglob("*"))
    with served(project):
        good = headgate("smoke", cwd=project)
        counted = headgate(
            "lake", "query", "SELECT count(*) AS n FROM collections.collections_data_view", "-o", "json", cwd=project
        )
        headgate("triggers", "disable", "csv-uploaded", "--reason", "a test", cwd=project)
        bad = headgate("smoke", cwd=project)

    assert good.returncode == 0, good.stdout + good.stderr
    assert "Everything works." in good.stdout
    assert json.loads(counted.stdout) == [{"n": 0}]
    assert bad.returncode == 1
    assert "disabled" in bad.stderr
    assert sorted(inbox.rglob("*")) == before


def test_smoke_without_a_server_says_so(tmp_path: Path) -> None:
    """Nobody watches the door: exit code 3, and what to start."""
    project = tmp_path / "hub"
    write_project(project)

    done = headgate("smoke", cwd=project)

    assert done.returncode == 3
    assert "headgate serve" in done.stderr
