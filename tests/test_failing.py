"""This file is where everything around the command fails, and the command says so well: in words, with its code.

`Project.fails` and `Project.type` see to it that no failure shows a traceback. A disk that is full while a file is
ingested is tests/lake/test_no_room.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.world import DEADLINE, PROJECT, Project, environment, serving


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# -- the port and the server


def test_a_port_in_use_is_named(project: Project) -> None:
    """`serve` on a port that somebody has exits 3, names it, and leaves the home free for the next try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = project.fails(3, "serve", "--port", str(port))

    assert f"port {port} on 127.0.0.1 cannot be used" in said
    assert "--port" in said
    assert "first" in project.ok("jobs", "list")


def test_an_address_that_is_not_ours_is_named(project: Project) -> None:
    """An address of another machine exits 3 in words."""
    tokens = {"HEADGATE_TOKEN": "a" * 32, "HEADGATE_EVENTS_TOKEN": "b" * 32}

    assert "192.0.2.1" in project.fails(3, "serve", "--host", "192.0.2.1", "--port", "0", env=tokens)


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, {"HEADGATE_TOKEN", "HEADGATE_EVENTS_TOKEN"}),
        ({"HEADGATE_TOKEN": "x" * 32}, {"HEADGATE_EVENTS_TOKEN"}),
    ],
)
def test_open_doors_need_tokens(project: Project, env: dict[str, str], missing: set[str]) -> None:
    """`serve --host 0.0.0.0` without tokens exits 2, naming those that are missing, before anything is opened."""
    said = project.fails(2, "serve", "--host", "0.0.0.0", "--port", "0", env=env)

    named = said.partition("; set ")[2].partition(" (")[0]
    assert set(named.split(" and ")) == missing
    assert not project.home.exists()


def test_an_address_where_nobody_answers_is_named(project: Project) -> None:
    """HEADGATE_URL that leads nowhere exits 3 and is named; no ledger is opened in its place."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    for words in (("runs", "list"), ("run", "first"), ("triggers", "disable", "uploaded")):
        said = project.fails(3, *words, env={"HEADGATE_URL": url})
        assert url in said
        assert "HEADGATE_URL" in said
    assert not (project.home / "ledger.db").exists()


def test_a_second_server_is_told_of_the_first(project: Project) -> None:
    """Two servers of one home: the second exits 3, and the first serves on."""
    with serving(project):
        assert "is in use by another Headgate process" in project.fails(3, "serve", "--port", "0")
        assert "is in use by another Headgate process" in project.fails(3, "worker")

        assert "first" in project.ok("jobs", "list")


# -- the ledger and the disk


@pytest.mark.parametrize("how", ["no database", "cut", "overwritten"])
def test_a_corrupt_ledger_is_told(project: Project, how: str) -> None:
    """A ledger that is no database, or half of one, exits 3 for whoever looks, writes or serves, naming the file."""
    project.ok("jobs", "list")
    file = project.home / "ledger.db"
    for beside in ("ledger.db-wal", "ledger.db-shm"):
        (project.home / beside).unlink(missing_ok=True)
    whole = file.read_bytes()
    file.write_bytes(
        {"no database": b"no database" * 1000, "cut": whole[:5000], "overwritten": whole[:4096] + os.urandom(65536)}[
            how
        ]
    )

    for words in (("runs", "list"), ("triggers", "disable", "uploaded"), ("serve", "--port", "0")):
        said = project.fails(3, *words)
        assert "ledger" in said, said


@pytest.fixture
def read_only(project: Project) -> Iterator[Project]:
    """A project that was used, and that may now only be read."""
    project.ok("jobs", "list")
    tree = [project.folder, *project.folder.rglob("*")]
    for path in tree:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield project
    for path in tree:
        if path.is_dir():
            path.chmod(0o755)


#: Root writes what is read-only, too, unless these two rights (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) are given up.
WITHOUT_RIGHTS = """
import ctypes, os, sys
if os.geteuid() == 0 and any(ctypes.CDLL(None).prctl(24, right, 0, 0, 0) for right in (1, 2)):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, "-m", "headgate", *sys.argv[1:]])
"""


def type_without_rights(project: Project, *words: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command as somebody for whom read-only is read-only."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS, *words],
        cwd=project.folder, env=environment({"HEADGATE_HOME": str(home or project.home)}), capture_output=True,
        text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("this root may not give up its rights")
    assert "Traceback" not in done.stderr, done
    return done


@pytest.mark.parametrize("words", ["serve --port 0", "run first", "triggers disable uploaded", "runs list"])
def test_a_home_that_cannot_be_written_is_told(read_only: Project, words: str) -> None:
    """A read-only home exits 3 in words that name it; looking may work, but never half."""
    done = type_without_rights(read_only, *words.split())

    assert "Traceback" not in done.stderr, done
    if done.returncode == 0:
        assert words == "runs list", done
        assert "No runs" in done.stdout
    else:
        assert done.returncode == 3, done
        assert ".headgate" in done.stderr, done


def test_a_home_that_cannot_be_made_is_told(read_only: Project) -> None:
    """A home in a folder that cannot be written exits 3 and names HEADGATE_HOME as the way out."""
    done = type_without_rights(read_only, "runs", "list", home=read_only.folder / "new" / "home")

    assert done.returncode == 3, done
    assert "HEADGATE_HOME" in done.stderr, done


def test_a_full_disk_under_the_answer_is_told(project: Project) -> None:
    """An answer that cannot be written exits 3, not 0."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headgate", "jobs", "list"],
            cwd=project.folder, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE,
            check=False,
        )  # fmt: skip

    assert done.returncode == 3, done
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# -- what is not installed

WITHOUT_PSYCOPG = """
import sys
sys.modules["psycopg"] = None
from headgate.cli.ending import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", ["runs list", "run first", "serve --port 0"])
def test_a_missing_extra_is_named(project: Project, words: str) -> None:
    """PostgreSQL without its driver exits 2 and names the extra to install."""
    url = "postgresql+psycopg://headgate@127.0.0.1:1/headgate"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PSYCOPG, *words.split()],
        cwd=project.folder, env=environment({"HEADGATE_DATABASE_URL": url}), capture_output=True, text=True,
        timeout=DEADLINE, check=False,
    )  # fmt: skip

    assert done.returncode == 2, done
    assert "pip install 'headgate[postgres]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_away_is_told_without_its_password(project: Project) -> None:
    """PostgreSQL where nobody listens exits 3; the password in its URL is not shown."""
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://headgate:hunter2@127.0.0.1:1/headgate"

    said = project.fails(3, "runs", "list", env={"HEADGATE_DATABASE_URL": url})

    assert "127.0.0.1" in said
    assert "hunter2" not in said


def test_a_recipe_that_is_not_there_fails_the_run(project: Project) -> None:
    """A job whose recipe is missing is valid; its run ends FAILED, names what is missing, and exits 1."""
    assert "no problems" in project.ok("validate")

    said = project.fails(1, "run", "far")

    assert "ended FAILED: job 'far' cannot start: the recipe " in said
    assert "r.yml cannot be read: No such file or directory" in said
    [run] = project.json("runs", "list")
    assert (run["state"], run["engine"]) == ("FAILED", "recipe")


def test_a_program_that_is_not_there_fails_the_run(tmp_path: Path) -> None:
    """A command nobody has ends its run FAILED, named, and is not tried again."""
    text = PROJECT.replace('command: [sh, -c, "echo first runs"]', "command: [no-such-program], max_retries: 3")
    project = Project(tmp_path / "project", text)

    assert "no-such-program" in project.fails(1, "run", "first")
    assert [one["attempt"] for one in project.json("runs", "list")] == [0]
