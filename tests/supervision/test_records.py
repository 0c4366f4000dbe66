"""This file is where the run directory's records, its lock and the names of processes are tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.model import attempt_id, new_run_id
from headgate.supervision import records, shim, tree

HOLD = """
import sys
from headgate.supervision import records
assert records.take_lock(sys.argv[1]) is not None
print("held", flush=True)
sys.stdin.read()
"""


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """What is written is read, and no temporary file stays."""
    records.write(str(tmp_path), "exit", {"code": 3, "note": "ü"})

    assert records.read(str(tmp_path), "exit") == {"code": 3, "note": "ü"}
    assert [file.name for file in tmp_path.iterdir()] == ["exit"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"null"])
def test_a_torn_record_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    """A record that cannot be understood is no record."""
    (tmp_path / "exit").write_bytes(content)

    assert records.read(str(tmp_path), "exit") is None


def test_the_lock_says_who_lives_and_falls_with_a_kill(tmp_path: Path) -> None:
    """While another process holds the lock it is its holder, and nobody else gets it; a kill frees it."""
    assert records.holder(str(tmp_path)) is None
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert records.holder(str(tmp_path)) == process.pid
        assert records.take_lock(str(tmp_path)) is None
        process.kill()
    assert records.holder(str(tmp_path)) is None
    with records.locked(str(tmp_path)) as ours:
        assert ours


def test_a_process_with_our_pid_and_another_start_is_not_us() -> None:
    """A reused pid, another boot or another container is told apart."""
    me = records.identity(os.getpid())

    assert records.alive(me)
    assert not records.alive(me._replace(start=me.start - 1))
    assert not records.alive(me._replace(boot="another"))
    assert not records.alive(me._replace(pid=2**22 + 1))


@given(st.lists(st.integers(0, 99), max_size=20))
def test_marks_are_short_and_distinct(numbers: list[int]) -> None:
    """Each attempt's mark fits into a process name, and no two attempts have the same."""
    names = [attempt_id(new_run_id(), number) for number in numbers]
    marks = {records.mark(name) for name in names}

    assert len(marks) == len(names)
    assert all(len(mark.encode()) <= 15 for mark in marks)


def test_an_exit_record_waits_for_a_full_disk() -> None:
    """A disk that is full for a while costs time, not the exit code."""
    tries: list[int] = []

    def write() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")

    shim._insist(write, lambda: False)  # pyright: ignore[reportPrivateUsage] -- a full disk is not at hand

    assert len(tries) == 3


def test_marked_processes_are_found_by_environment(tmp_path: Path) -> None:
    """A process that carries an attempt's mark, and what descends from it, is found; others are not."""
    name = "jr_marked-" + tmp_path.name
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    environ = {**os.environ, records.ATTEMPT: name}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = tree.marked(name), tree.marked(name + "x")
        process.kill()

    assert found == ({process.pid}, set())
