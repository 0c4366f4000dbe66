"""This file is where supervisors, launchers and shims are killed, and every run must still end with the truth."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from headgate.errors import EngineUnavailable
from headgate.supervision import records, tree
from headgate.supervision.launching import Launchers
from headgate.supervision.logs import read_log
from headgate.supervision.runs import Exit
from headgate.supervision.supervisor import Supervisor

from .driver import supervisor, work

DEADLINE = 20.0
DRIVER = [sys.executable, "-m", "supervision.driver"]
WAITS = "echo up; until [ -e {go} ]; do sleep 0.01; done; exit 42"


class Ends:
    """Remembers how runs ended."""

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self.ends: dict[str, Exit] = {}

    def running(self, attempt_id: str, handle: str, at: float) -> None: ...
    def progressed(self, attempt_id: str, directory: str) -> None: ...

    def ended(self, attempt_id: str, directory: str, end: Exit) -> None:  # noqa: ARG002 -- the port's signature
        with self._heard:
            self.ends[attempt_id] = end
            self._heard.notify_all()

    def wait(self, attempt_id: str) -> Exit:
        with self._heard:
            heard = self._heard.wait_for(lambda: attempt_id in self.ends, DEADLINE)
        assert heard, f"{attempt_id} was not told within {DEADLINE} s"
        return self.ends[attempt_id]


class Running:
    """A supervisor in this process, and one run of it that is up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "logs"
        self.go = folder / "go"
        self.told = Ends()
        self.supervisor, self.launchers = supervisor(self.folder, self.told)

    def start(self, attempt_id: str = "run", script: str = "") -> str:
        self.supervisor.start(work(attempt_id, script or WAITS.format(go=self.go)))
        until(lambda: "up" in self.log(attempt_id) and self.pid(records.JOB, attempt_id), "the run to be up")
        return attempt_id

    def log(self, attempt_id: str) -> str:
        return read_log(self.folder, attempt_id)[0]

    def pid(self, record: str, attempt_id: str = "run") -> int:
        return int((records.read(str(self.folder / attempt_id), record) or {}).get("pid", 0))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone(pid), f"{pid} to be gone")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.go.touch()
    made.supervisor.close()


def gone(pid: int) -> bool:
    """Whether nothing runs under this pid; a zombie nobody has collected yet runs no more."""
    return (records.status(pid) or ("Z",))[0] in "ZX"


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for: {what}"
        time.sleep(0.005)


@pytest.mark.chaos
def test_random_kills_lose_no_true_code(tmp_path: Path) -> None:
    """A supervisor (at times its launcher too) is killed 25 times: each run has its true code or never began."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    folder, many, rounds = tmp_path / "logs", 4, 25
    told = Ends()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    right = 0
    for number in range(rounds):
        process = subprocess.Popen(
            [*DRIVER, str(folder), str(number * many), str(many)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
        )
        with process:
            assert process.stdout is not None
            launcher = int(process.stdout.readline())
            time.sleep(dice.uniform(0, 0.05))
            process.kill()
            if number % 2:
                os.kill(launcher, signal.SIGKILL)
        mine, _ = supervisor(folder, told)
        names = [f"run-{one}" for one in range(number * many, (number + 1) * many)]
        for name in names:
            mine.adopt(name)
        for name in names:
            end = told.wait(name)
            log = read_log(folder, name)
            if end.lost:
                assert log == ("", 0, True), f"seed {seed}: {name} is told lost, but it ran"
            else:
                right += 1
                assert (end.code, log[0]) == (int(name[4:]) % 100, "begin\nend\n"), f"seed {seed}: {name}"
        mine.close()
    assert right >= rounds, f"seed {seed}: hardly anything was running when it was killed"


def test_a_killed_shim_loses_no_code(running: Running) -> None:
    """The shim is killed: its job goes on, the launcher it fell to records the code, and that is told."""
    running.start()
    running.kill(running.pid(records.SHIM))
    assert running.told.ends == {}
    running.go.touch()
    end = running.told.wait("run")

    assert (end.code, end.lost) == (42, False)


def test_a_killed_shim_and_launcher_are_lost_and_leave_nothing(running: Running) -> None:
    """With shim and launcher killed the code is unknown: lost, told when the job is over and its leftovers gone."""
    escaped = f"setsid sh -c 'trap : TERM; echo $$ > {running.go}.pid; while :; do sleep 0.05; done' &"
    running.start(script=f"{escaped} {WAITS.format(go=running.go)}")
    until(lambda: Path(f"{running.go}.pid").exists(), "the grandchild to be there")
    running.kill(running.launchers.pids()[0])
    running.kill(running.pid(records.SHIM))
    running.go.touch()
    end = running.told.wait("run")

    assert (end.code, end.lost) == (None, True)
    assert tree.marked("run") == set()
    assert gone(int(Path(f"{running.go}.pid").read_text()))


def test_a_run_without_a_shim_can_be_stopped(running: Running) -> None:
    """A stop of a run whose shim was killed ends its tree, and is told stopped."""
    running.start(script=f"trap '' TERM; {WAITS.format(go=running.go)}")
    job = running.pid(records.JOB)
    running.kill(running.pid(records.SHIM))
    running.supervisor.stop("run", grace=0.2)
    end = running.told.wait("run")

    assert end.stopped
    assert gone(job)


def test_a_killed_launcher_harms_no_run(running: Running) -> None:
    """The launcher is killed: what runs goes on to its true code, and the next start finds a new launcher."""
    running.start("first")
    before = running.launchers.pids()
    running.kill(before[0])
    running.start("second")
    running.go.touch()

    assert running.told.wait("first").code == 42
    assert running.told.wait("second").code == 42
    assert running.launchers.pids() != before


def test_a_sigterm_without_a_stop_is_no_stop(running: Running) -> None:
    """A stray SIGTERM to the shim ends nothing."""
    running.start()
    os.kill(running.pid(records.SHIM), signal.SIGTERM)
    running.go.touch()
    end = running.told.wait("run")

    assert (end.code, end.stopped) == (42, False)


def test_a_shim_whose_folder_was_deleted_ends_with_its_run(running: Running) -> None:
    """Nobody can ever read how the run ended: its shim waits for no place to write that to, and it is told lost."""
    running.start()
    shim, job = running.pid(records.SHIM), running.pid(records.JOB)
    shutil.rmtree(running.folder / "run")
    assert not running.told.ends
    running.go.touch()
    end = running.told.wait("run")

    assert (end.code, end.lost) == (None, True)
    assert gone(job)
    until(lambda: gone(shim), "the shim to end")


def test_a_run_whose_folder_was_deleted_before_anybody_looked_is_lost(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when it was not yet said to run; nothing is tried again and again meanwhile."""
    begin, whole = threading.Event(), cast("Any", Supervisor)
    looked = whole._look

    def late(self: Supervisor, one: Any) -> None:
        assert begin.wait(DEADLINE)
        looked(self, one)

    monkeypatch.setattr(Supervisor, "_look", late)
    running.start()
    shutil.rmtree(running.folder / "run")
    running.go.touch()
    begin.set()

    assert running.told.wait("run").lost
    assert "trying again" not in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space"), RuntimeError("a mistake of ours")])
def test_what_cannot_be_settled_is_not_tried_without_pause(
    running: Running, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A process that has ended wakes its supervisor once, and not for as long as its end cannot be written down."""
    failed: list[float] = []
    tell = running.told.ended

    def ended(attempt_id: str, directory: str, end: Exit) -> None:
        failed.append(time.monotonic())
        if len(failed) < 4:
            raise error
        tell(attempt_id, directory, end)

    monkeypatch.setattr(running.told, "ended", ended)
    running.start()
    running.go.touch()

    assert running.told.wait("run").code == 42
    assert failed[3] - failed[1] > 1.5, "its process woke it, and then a look each second"


def test_a_watcher_that_raises_is_told_again(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told may fail: the end is told again, and other runs are not harmed."""
    failed: list[str] = []
    tell = running.told.ended

    def ended(attempt_id: str, directory: str, end: Exit) -> None:
        if not failed:
            failed.append(attempt_id)
            raise RuntimeError("the ledger is away")
        tell(attempt_id, directory, end)

    monkeypatch.setattr(running.told, "ended", ended)
    running.start("first", "echo up; exit 1")
    running.start("second", "echo up; exit 2")

    assert running.told.wait("second").code == 2
    assert running.told.wait("first").code == 1
    assert len(failed) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe",
        b"{}",
        b"[1]",
        b"null",
        json.dumps({"directory": "/nowhere", "environ": {}, "spec": {}}).encode(),
        json.dumps({"directory": "/tmp", "environ": [], "spec": {}}).encode(),
        json.dumps({"directory": None, "environ": {}, "spec": 3, "modules": 4}).encode(),
    ],
)
def test_garbage_harms_no_launcher(running: Running, garbage: bytes) -> None:
    """A launcher answers nonsense with `bad`, and starts the next run as if nothing had been."""
    running.start("before", "echo up")
    launcher = next(iter(running.launchers._running.values()))  # pyright: ignore[reportPrivateUsage] -- no public way is so rude
    connection = launcher._connection  # pyright: ignore[reportPrivateUsage] -- as above
    connection.send(garbage)
    answer = json.loads(connection.recv(4096))
    pids = running.launchers.pids()
    running.start("after", "echo up; exit 5")

    assert answer["no"] == "bad"
    assert running.told.wait("after").code == 5
    assert running.launchers.pids() == pids


def test_a_launcher_that_hangs_is_replaced(tmp_path: Path) -> None:
    """A module whose import never ends costs its launcher; the run starts in an interpreter of its own."""
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(600)\n")
    folder = tmp_path / "logs"
    (folder / "run").mkdir(parents=True)
    launchers = Launchers(folder / "launchers.log", {"PATH": os.environ["PATH"]}, import_within=0.3)
    from headgate.supervision.launching import Warm

    spec = {"id": "run", "cwd": "/", "grace": 1, "call": "hangs:main", "arguments": []}
    answer = launchers.python(str(folder / "run"), spec, {}, Warm(name="x", modules=("hangs",), path=(str(tmp_path),)))
    launchers.close()

    assert "did not answer within 0.3 s" in str(answer)


def test_what_nobody_followed_is_settled_by_adopting(tmp_path: Path) -> None:
    """A supervisor that comes when all is over, shim and job killed, settles it; the next one is told the same."""
    first = Running(tmp_path)
    first.start()
    first.supervisor.close()
    for pid in (first.pid(records.SHIM), first.pid(records.JOB)):
        first.kill(pid)
    for _ in range(2):
        second = Running(tmp_path)
        second.supervisor.adopt("run")
        end = second.told.wait("run")
        second.supervisor.close()

        assert end.lost or end.code == -signal.SIGKILL


def test_supervisor_is_safe_to_close_while_starting(tmp_path: Path) -> None:
    """Closing while others start: each start works or is unavailable, and every run that began has its true code."""
    mine = Running(tmp_path)
    starting: Supervisor = mine.supervisor
    refused: list[str] = []

    def start(name: str) -> None:
        try:
            starting.start(work(name, "echo up; exit 4"))
        except EngineUnavailable:
            refused.append(name)

    threads = [threading.Thread(target=start, args=(f"run-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    starting.close()
    for thread in threads:
        thread.join()
    later = Running(tmp_path)
    for number in range(4):
        later.supervisor.adopt(f"run-{number}")
    codes = {name: later.told.wait(name).code for name in (f"run-{number}" for number in range(4))}
    later.supervisor.close()

    assert codes == {name: None if name in refused else 4 for name in codes}
