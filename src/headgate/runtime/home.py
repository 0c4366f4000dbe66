"""This file is where HEADGATE_HOME is held: one process at a time on SQLite, and a note of where the server listens."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from headgate.errors import InUse, Unavailable

T = TypeVar("T")
LOCK = "lock"
SERVER = "server.json"
_AGAIN = 0.05  #: seconds between looks at a lock that is waited for


class HomeLock:
    """Held until released or the process ends, however it ends.

    `role`: `all`, or `doors` and `runs`, which exclude themselves and `all` but not each other.
    """

    _BYTES: ClassVar = {"all": (0, 2), "doors": (0, 1), "runs": (1, 1)}

    def __init__(self, home: Path, role: str = "all", *, patience: float = 0.0) -> None:
        """Take it. Raises InUse when another process has it, Unavailable when the folder cannot be written.

        `patience`: for so many seconds it is waited for, as one does for a command that has it for a moment.
        """
        start, length = self._BYTES[role]
        make_home(home)
        try:
            self._fd = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _not_writable(home, error) from error
        until = time.monotonic() + patience
        while not self._take(length, start):
            if time.monotonic() >= until:
                os.close(self._fd)
                raise InUse(
                    f"{home} is in use by another Headgate process; stop that one, or reach it with HEADGATE_URL"
                )
            time.sleep(_AGAIN)

    def _take(self, length: int, start: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError:
            return False
        return True

    def release(self) -> None:
        os.close(self._fd)


def make_home(home: Path) -> None:
    """Make the folder if it is not there, for its owner alone. Raises Unavailable."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(home, error) from error


def _not_writable(home: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{home} cannot be written: {error.strerror}; check the disk, or set HEADGATE_HOME elsewhere")


def note_server(home: Path, url: str, config: Path | None = None) -> None:
    """Write where this server listens and by which file it goes, for commands."""
    temporary = home / f"{SERVER}.{os.getpid()}"
    noted = {"url": url, "pid": os.getpid(), "config": str(config) if config is not None else None}
    temporary.write_text(json.dumps(noted), "utf-8")
    temporary.replace(home / SERVER)


def forget_server(home: Path) -> None:
    noted = noted_server(home)
    if noted and noted[1] == os.getpid():
        (home / SERVER).unlink(missing_ok=True)


def noted_server(home: Path) -> tuple[str, int] | None:
    """The URL and process id the last server noted; it may be dead."""
    return _noted(home, lambda said: (str(said["url"]), int(said["pid"])))


def noted_config(home: Path) -> Path | None:
    """The headgate.yaml of the last server; None where it had none, or did not say."""
    return _noted(home, lambda said: Path(said["config"]) if said["config"] else None)


def _noted(home: Path, take: Callable[[Any], T]) -> T | None:
    try:
        return take(json.loads((home / SERVER).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def place(home: Path) -> str:
    """Names this machine (as it was booted) and home: the processes of a run can be found again only from here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        boot = ""
    return "w" + hashlib.sha256(f"{socket.gethostname()}\0{boot}\0{home}".encode()).hexdigest()[:12]
