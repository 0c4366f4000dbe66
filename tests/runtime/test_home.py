"""This file is where HEADGATE_HOME is held by one, noted by a server, and told apart from others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headgate.errors import InUse, Unavailable
from headgate.runtime.home import HomeLock, forget_server, note_server, noted_config, noted_server, place

HOLD = """
import sys
from pathlib import Path
from headgate.runtime.home import HomeLock
lock = HomeLock(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def _holder(home: Path, role: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home), role], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        ("all", "all", False),
        ("all", "doors", False),
        ("all", "runs", False),
        ("doors", "doors", False),
        ("doors", "runs", True),
        ("doors", "all", False),
        ("runs", "doors", True),
        ("runs", "runs", False),
    ],
)
def test_a_home_is_held_by_one_of_a_role(tmp_path: Path, held: str, wanted: str, free: bool) -> None:
    """Doors and runs go together, nothing else; the refusal says what to do; kill -9 gives it back."""
    with _holder(tmp_path, held) as process:
        if free:
            HomeLock(tmp_path, wanted).release()
        else:
            with pytest.raises(InUse, match="stop that one, or reach it with HEADGATE_URL"):
                HomeLock(tmp_path, wanted)
        process.kill()
    HomeLock(tmp_path, wanted).release()


def test_a_home_that_is_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """A command that comes while another one writes is served after it."""
    with _holder(tmp_path, "all") as process:
        ends = threading.Timer(0.2, process.kill)
        ends.start()
        HomeLock(tmp_path, patience=30).release()
        ends.join()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the way: Unavailable, with what to check."""
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(Unavailable, match="set HEADGATE_HOME elsewhere"):
        HomeLock(tmp_path / "file" / "home")


def test_a_server_notes_the_file_it_goes_by(tmp_path: Path) -> None:
    """None where it has none, where a note is older than that, or is rubbish."""
    note_server(tmp_path, "http://localhost:1", tmp_path / "a.yaml")
    assert noted_config(tmp_path) == tmp_path / "a.yaml"
    for text in ('{"url": "http://localhost:2", "pid": 1}', '{"config": null}', "[1]", ""):
        (tmp_path / "server.json").write_text(text, "utf-8")
        assert noted_config(tmp_path) is None


def test_a_server_is_noted_and_forgotten_by_itself_only(tmp_path: Path) -> None:
    """Whoever notes can be found; a note of another process is not taken away; rubbish is no note."""
    assert noted_server(tmp_path) is None
    note_server(tmp_path, "http://localhost:1")
    assert noted_server(tmp_path) == ("http://localhost:1", os.getpid())
    (tmp_path / "server.json").write_text('{"url": "http://localhost:2", "pid": 1}', "utf-8")
    forget_server(tmp_path)
    assert noted_server(tmp_path) == ("http://localhost:2", 1)
    (tmp_path / "server.json").write_text('{"url": ', "utf-8")
    assert noted_server(tmp_path) is None
    note_server(tmp_path, "http://localhost:3")
    forget_server(tmp_path)
    assert noted_server(tmp_path) is None


def test_a_place_is_a_machine_and_a_home(tmp_path: Path) -> None:
    """The same home is the same place, another one another."""
    assert place(tmp_path) == place(tmp_path)
    assert place(tmp_path) != place(tmp_path / "other")
    assert "_" not in place(tmp_path), "the part before the last _ of a replica's id is its place"
