"""This file is where jobs print more than their logs are to hold, and where the disk has no more room for any."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headgate.supervision import limiting, pumping, records
from headgate.supervision.launching import Launchers
from headgate.supervision.logs import last_line, read_log, size, tail
from headgate.supervision.runs import Work
from headgate.supervision.supervisor import Supervisor

from .test_kills import DEADLINE, Ends, until

LIMIT = 100_000
LINES = 30_000  #: of WIDTH each
SECRET = "s3cr3t-of-a-run"
#: Prints so many numbered lines, then waits until it may end.
JOB = """
import os, sys, time
many, go = int(sys.argv[1]), sys.argv[2]
out = open(1, "wb", closefd=False)
for number in range(many):
    out.write(b"line %09d of what is printed without an end %s\\n" % (number, os.environ.get("TOKEN", "").encode()))
out.flush()
open(go + ".written", "w").close()
while not os.path.exists(go):
    time.sleep(0.005)
print("the last words", flush=True)
sys.exit(3)
"""
WIDTH = len("line 000000000 of what is printed without an end \n")
LEFT_OUT = re.compile(r"headgate: ([\d,]+) bytes are left out here; this is the end of what was written:\n")


class World:
    """A supervisor whose job has a limit to its log.

    Its id is that of no other test: what is left of an attempt is found, and ended, by it on the whole machine.
    """

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.go = folder / "go"
        self.logs.mkdir()
        self.told = Ends()
        launchers = Launchers(self.logs / "launchers.log", {"PATH": os.environ["PATH"]})
        self.supervisor = Supervisor(self.logs, self.told, launchers)

    @property
    def file(self) -> Path:
        return self.logs / "limited" / records.LOG

    def start(self, lines: int, *, secret: bool = False) -> None:
        environ = {"PATH": os.environ["PATH"], records.ATTEMPT: "limited", **({"TOKEN": SECRET} if secret else {})}
        argv = [sys.executable, "-I", "-S", "-c", JOB, str(lines), str(self.go)]
        work = Work(
            id="limited", cwd="/", environ=environ, argv=argv, log_limit=LIMIT, masked=["TOKEN"] if secret else []
        )
        self.supervisor.start(work)

    def written(self) -> bool:
        return self.go.with_name("go.written").exists()

    def end(self) -> str:
        self.go.touch()
        assert self.told.wait("limited").code == 3
        return read_log(self.logs, "limited", 0, 1 << 26)[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.go.touch()
    made.supervisor.close()


class Follower(threading.Thread):
    """Reads a log as `runs logs -f` does, from its first byte to its end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self.text = ""

    def run(self) -> None:
        offset, complete, give_up = 0, False, time.monotonic() + DEADLINE
        while not complete and time.monotonic() < give_up:
            text, offset, complete = read_log(self._folder, "limited", offset, 1 << 14)
            self.text += text
            if not text:
                time.sleep(0.002)


def on_disk(file: Path) -> int:
    return file.stat().st_blocks * 512


def check(log: str, lines: int, width: int) -> None:
    """The log has its beginning, says what is missing, and has its end; nothing of it is counted wrong."""
    beginning, _, rest = log.partition("headgate: the log has reached its limit of 100,000 bytes.")
    assert "log_limit" in rest
    found = LEFT_OUT.search(rest)
    assert found is not None, rest[-2000:]
    end = rest[found.end() :]
    everything = lines * width + len("the last words\n")
    assert len(beginning.rstrip("\n")) in (LIMIT, LIMIT - 1)
    assert limiting.END - 2 * width < len(end.encode()) <= limiting.END
    assert int(found[1].replace(",", "")) + LIMIT + len(end) == everything
    assert beginning.startswith("line 000000000 ")
    assert end.startswith("line ")
    assert end.endswith("\nthe last words\n")
    assert f"line {lines - 1:09d} " in end.splitlines()[-2]


@pytest.mark.parametrize("secret", [False, True])
def test_a_log_keeps_its_beginning_and_its_end(world: World, secret: bool) -> None:
    """A job prints much where 100 KB are kept: it ends by itself, the disk has little of it, who follows sees all."""
    follower = Follower(world.logs)
    world.start(LINES, secret=secret)
    follower.start()
    until(world.written, "the job to have printed it all")
    until(lambda: on_disk(world.file) < 3 * LIMIT + 2 * limiting.SLACK, "the disk to be free again")
    until(lambda: "reached its limit" in follower.text, "the limit to be told")
    assert "left out" not in read_log(world.logs, "limited", 0, 1 << 26)[0]
    assert size(world.logs, "limited") < LIMIT + 1000 or secret
    assert "reached its limit" in tail(world.logs, "limited", 300)
    assert "reached its limit" in last_line(str(world.logs / "limited"))
    log = world.end()
    follower.join(DEADLINE)

    check(log, LINES, WIDTH + (4 if secret else 0))
    assert follower.text == log
    assert SECRET not in log
    assert world.file.stat().st_size == len(log) < LIMIT + limiting.SLACK


@pytest.mark.parametrize("secret", [False, True])
def test_a_log_that_is_a_little_too_long_is_whole(world: World, secret: bool) -> None:
    """What its end would hold anyhow is not left out."""
    lines = (LIMIT + limiting.END) // WIDTH
    world.start(lines, secret=secret)
    log = world.end()
    assert log.count("\n") == lines + 1
    assert "headgate:" not in log


def test_a_log_stays_short_without_its_shim(world: World) -> None:
    """The shim is killed while the job prints: the supervisor keeps the log short, and puts its end there."""
    world.start(1)
    until(world.written, "the job to be up")
    pid = int((records.read(str(world.file.parent), records.SHIM) or {})["pid"])
    os.kill(pid, signal.SIGKILL)
    with world.file.open("ab") as log:  # as the job would
        for number in range(1, 100_000):
            log.write(b"line %09d of what is printed without an end \n" % number)
    until(lambda: on_disk(world.file) < 3 * LIMIT + 2 * limiting.SLACK, "the disk to be free again")
    check(world.end(), 100_000, WIDTH)


def grown(folder: Path) -> tuple[str, Callable[..., None]]:
    """A run directory with a log that grows by numbered lines."""
    directory = folder / "limited"
    directory.mkdir()

    def grow(first: int, last: int, more: bytes = b"") -> None:
        with (directory / records.LOG).open("ab") as log:
            log.write(b"".join(b"line %09d of what is printed without an end \n" % one for one in range(first, last)))
            log.write(more)

    return str(directory), grow


def test_without_holes_the_file_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk's files cannot have holes, the log is as true, and the file is cut off whenever it is large."""
    monkeypatch.setattr(limiting, "_fallocate", None)
    monkeypatch.setattr(limiting, "_WITHOUT_HOLES", 1 << 20)
    directory, grow = grown(tmp_path)
    log = limiting.Limited(directory, LIMIT)
    for first in range(0, 100_000, 10_000):
        grow(first, first + 10_000)
        assert 0 < log.look() < 1
        assert Path(directory, records.LOG).stat().st_size < LIMIT + (2 << 20)
    grow(0, 0, b"the last words\n")
    log.finish()
    records.write(directory, records.EXIT, records.ended(0))
    check(read_log(tmp_path, "limited", 0, 1 << 26)[0], 100_000, WIDTH)


def test_an_end_that_was_interrupted_is_put_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts the end there dies in the middle of it, at any step: the next one does, and nothing stands twice."""
    directory, grow = grown(tmp_path)
    grow(0, 100_000)
    grow(0, 0, b"the last words\n")

    def dies(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    for module, name in ((records, "write"), (os, "ftruncate")):
        limiting.Limited(directory, LIMIT).look()
        with monkeypatch.context() as dying:
            dying.setattr(module, name, dies)
            with pytest.raises(OSError, match="Input/output"):
                limiting.Limited(directory, LIMIT).finish()
    limiting.Limited(directory, LIMIT).finish()
    limiting.Limited(directory, LIMIT).finish()
    records.write(directory, records.EXIT, records.ended(0))
    check(read_log(tmp_path, "limited", 0, 1 << 26)[0], 100_000, WIDTH)


def test_a_full_disk_is_told_once_there_is_room(tmp_path: Path) -> None:
    """What the disk does not take of a masked log is counted, and said where it is missing."""
    room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = os.open("/dev/full", os.O_WRONLY)
    bounded = pumping.Bounded(log, LIMIT)
    bounded.put(b"lost\n")
    bounded.put(b"lost as well\n")
    os.dup2(room, log)
    bounded.put(b"kept\n")
    bounded.close()
    os.close(log)
    os.close(room)
    said = "headgate: 18 bytes could not be written here: No space left on device\nkept\n"
    assert (tmp_path / "log").read_text("utf-8") == said


def test_a_full_disk_costs_the_end_of_the_log_alone(world: World) -> None:
    """A run whose log cannot be looked after (its file is gone) ends as it would."""
    world.start(1)
    until(world.written, "the job to be up")
    world.file.unlink()
    assert world.end() == ""


def test_the_room_for_the_exit_record_is_kept(world: World) -> None:
    """While a run goes on the disk holds the room for how it ended, and afterwards nothing more."""
    world.start(1)
    until(world.written, "the job to be up")
    until(lambda: [one for one in world.file.parent.glob(".exit.*") if on_disk(one)], "the room to be taken")
    world.end()
    assert list(world.file.parent.glob(".*")) == []


def test_what_was_reserved_is_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record takes the room that was kept for it; one that a full disk takes a part of replaces no whole one."""
    directory = str(tmp_path)
    records.reserve(directory, records.EXIT)
    [reserved] = tmp_path.glob(".exit.*")
    kept = reserved.stat().st_ino
    records.write(directory, records.EXIT, {"code": 0})
    assert ((tmp_path / "exit").stat().st_ino, (tmp_path / "exit").read_text("utf-8")) == (kept, '{"code": 0}')

    whole = os.write

    def partly(fd: int, data: bytes) -> int:
        return whole(fd, data[:3])

    monkeypatch.setattr(os, "write", partly)
    with pytest.raises(OSError, match="No space left"):
        records.write(directory, records.EXIT, {"code": 1})
    assert records.read(directory, records.EXIT) == {"code": 0}
