"""This file is where `headgate` and `datahub` are typed without their start: each command is a process of its own,
forked from one that has everything imported and has done nothing else.

A command's folder, environment, descriptors and exit code are its own, as they are of a command that a shell starts;
what it saves is importing: a third of a second, of DataHub's seconds. That a command starts from nothing, and with
little, is for tests that type it themselves (tests/cli/test_cli_light.py, tests/journeys/test_quickstart.py).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

#: What commands import when they need it, and what would be imported anew by each of them.
IMPORTED = {
    "headgate": ("headgate.cli.tree", "headgate.app", "headgate.http", "httpx", "rich.table", "uvicorn"),
    "datahub": ("datahub.entrypoints", "datahub.ingestion.graph.client", "datahub.metadata.schema_classes"),
}


class Command:
    """A command that has been typed; used as subprocess.Popen is."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        program: str = "headgate",
        cwd: Path,
        env: Mapping[str, str],
        stdin: IO[Any],
        stdout: IO[Any],
        stderr: IO[Any],
    ) -> None:
        self._told, other = socket.socketpair()
        asked = json.dumps({"words": list(words), "cwd": str(cwd), "env": dict(env)}).encode()
        with other:
            _ask(program, asked, [stdin.fileno(), stdout.fileno(), stderr.fileno(), other.fileno()])
        self.pid = self._hear()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or the number of the signal that ended it, negative; None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self._over()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("headgate", timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _over(self) -> None:
        self.returncode = self._hear()
        self._told.close()

    def _hear(self) -> int:
        heard = self._told.recv(4, socket.MSG_WAITALL)
        assert len(heard) == 4, "whoever should say how the command ended is gone"
        return int.from_bytes(heard, "big", signed=True)


_asking = threading.Lock()


def _ask(program: str, asked: bytes, files: Sequence[int]) -> None:
    with _asking:
        socket.send_fds(_warm(program), [asked], files)


@cache
def _warm(program: str) -> socket.socket:
    """The process to fork from, which goes when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(theirs.fileno()), program],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "DATAHUB_TELEMETRY_ENABLED": "false"},
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait(20)

    atexit.register(end)
    return ours


# -- the other process


def main() -> None:
    """Fork until nobody is there to ask; in each fork, be the command."""
    program = sys.argv[2]
    for name in IMPORTED[program]:
        __import__(name)
    sys.dont_write_bytecode = True
    gc.freeze()  # what is shared with the commands is not written to by each of them, and so not copied
    asking = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
    while True:
        asked, files, _, _ = socket.recv_fds(asking, 1 << 18, 4)
        if not asked:
            return
        if os.fork() == 0:
            asking.close()
            if _watch(socket.socket(fileno=files.pop())):
                _be(program, json.loads(asked), files)
            return
        for one in files:
            os.close(one)


def _watch(telling: socket.socket) -> bool:
    """Fork once more. The child goes on (True); the other says which process that is, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        telling.close()
        return True
    telling.sendall(pid.to_bytes(4, "big", signed=True))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    telling.sendall(code.to_bytes(4, "big", signed=True))
    return False


def _be(program: str, asked: Mapping[str, Any], files: Sequence[int]) -> None:
    for file, standard in zip(files, (0, 1, 2), strict=True):
        os.dup2(file, standard)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv, sys.path[0] = [program, *asked["words"]], asked["cwd"]  # as `python -m headgate` has it
    if program == "datahub":
        from datahub.entrypoints import main as command
    else:
        from headgate.cli import main as command
    command()


if __name__ == "__main__":
    main()
