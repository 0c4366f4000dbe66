"""This file is where secrets are set from the command line, with a server and without one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from headgate.cli.remote import connected
from headgate.errors import Invalid

from .world import DEADLINE, Project, environment

VALUE = "s3cr3t-by-cli"


def test_a_secret_is_set_listed_and_deleted(project: Project) -> None:
    """From standard input or a file; no file of the home holds the value."""
    assert project.ok("secrets", "set", "DB", stdin=f"{VALUE}\n") == "DB is kept, sealed\n"
    (project.folder / "value").write_text(VALUE)
    assert project.json("secrets", "set", "FROM_FILE", "--file", "value")["name"] == "FROM_FILE"
    (project.folder / "value").unlink()
    held = b"".join(file.read_bytes() for file in project.folder.rglob("*") if file.is_file())
    assert VALUE.encode() not in held
    assert project.ok("secrets", "delete", "DB", "--reason", "over") == "deleted DB\n"
    table = project.ok("secrets", "list")
    assert ("FROM_FILE" in table, "DB" in table, VALUE in table) == (True, False, False)


def test_a_server_keeps_it_for_us(served: Project) -> None:
    """The same, asked of the server that holds the ledger."""
    served.ok("secrets", "set", "DB", stdin=VALUE)
    assert [one["name"] for one in served.json("secrets", "list")] == ["DB"]
    assert served.ok("secrets", "rotate") == "all are sealed with the first key\n"


def test_a_value_that_is_typed_is_asked_for_twice_and_not_shown(project: Project) -> None:
    """On a terminal: what is typed is not echoed, and a slip of the finger keeps nothing."""
    screen, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "headgate", "secrets", "set", "DB"], cwd=project.folder, env=environment(),
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    ) as typed:  # fmt: skip
        os.close(terminal)
        seen = b""
        for prompt, answer in ((b"(not shown): ", VALUE), (b"Once more: ", VALUE + "!")):
            while not seen.endswith(prompt):
                seen += os.read(screen, 1024)
            os.write(screen, answer.encode() + b"\n")
        with contextlib.suppress(OSError):  # so a terminal tells that nobody has it open any more
            while more := os.read(screen, 1024):
                seen += more
        os.close(screen)

    assert (typed.returncode, b"not the same" in seen, VALUE.encode() in seen) == (2, True, False), seen


def test_a_value_on_the_command_line_is_refused(project: Project) -> None:
    """With why, and without saying it again."""
    said = project.fails(2, "secrets", "set", "DB", VALUE)

    assert "everybody on this machine can read it" in said
    assert VALUE not in said


def test_what_cannot_be_kept_says_why(project: Project) -> None:
    """A key that is none is not shown."""
    done = project.type("secrets", "set", "DB", stdin=VALUE, env={"HEADGATE_SECRETS_KEY": "not-a-key"})
    assert (done.code, "openssl rand" in done.err, "not-a-key" in done.err) == (2, True, False)


def test_a_value_is_not_sent_through_the_open(project: Project) -> None:
    """To a server far away only by https: before anything is sent, and without the value."""
    with connected("http://headgate.example:8090", None) as client, pytest.raises(Invalid, match="https") as told:
        client.set_secret("DB", VALUE, None)
    assert VALUE not in str(told.value)


def test_a_defect_tells_no_secret_of_the_settings(project: Project) -> None:
    """Not in its one line, and not in the traceback that HEADGATE_DEBUG shows."""
    code = "import sys; from headgate.cli import ending, logs, tree; from headgate.settings import load\n" + (
        "import os; from pathlib import Path; logs.of_command(load(Path('.'), os.environ))\n"
        "def broken(): raise RuntimeError('refused: ' + os.environ['HEADGATE_TOKEN'])\n"
        "tree.command = broken\n"
        "ending.run([])\n"
    )
    for debug in ("0", "1"):
        environ = environment({"HEADGATE_TOKEN": VALUE, "HEADGATE_DEBUG": debug})
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=project.folder, env=environ, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        assert ("RuntimeError: refused: ****" in done.stderr, VALUE in done.stderr) == (True, False), done.stderr
        assert ("Traceback" in done.stderr) == (debug == "1")
