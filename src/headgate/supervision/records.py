"""This file is where a run directory's files are read and written, and processes get names that are never reused.

Imported by launchers and shims, so it imports little: no dataclasses, no pathlib.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Generator
from typing import Any, Final, NamedTuple

Record = dict[str, Any]

_boot: list[str] = []  #: read once; a launcher reads it for all the shims it forks

SHIM: Final = "shim"
JOB: Final = "job"
LOG: Final = "log"
STOP: Final = "stop"
MAIN_EXIT: Final = "main-exit"
EXIT: Final = "exit"
PROGRESS: Final = "progress.json"
RESULT: Final = "result.json"
ERROR: Final = "error.json"
_LOCK: Final = "lock"
_RESERVED: Final = 4096  #: bytes; an exit record has less

#: The variable every process of a run carries; with `mark` it finds those whose shim was killed.
ATTEMPT: Final = "HEADGATE_ATTEMPT"

# struct flock: Linux has type, whence, start, length, pid; macOS start, length, pid, type, whence
_FLOCK: Final = "hhqqi4x" if sys.platform == "linux" else "qqihh"


class Identity(NamedTuple):
    """A process, told apart from a later one with the same pid (also after a restart of machine or container)."""

    pid: int
    start: int  #: clock ticks since boot, field 22 of /proc/pid/stat
    boot: str  #: boot id and pid namespace

    @property
    def handle(self) -> str:
        return f"{self.pid}@{self.start}"


def path(directory: str, name: str) -> str:
    return os.path.join(directory, name)  # noqa: PTH118 -- pathlib costs a launcher 8 ms and every shim its memory


def exists(directory: str, name: str) -> bool:
    return os.access(path(directory, name), os.F_OK)


def write(directory: str, name: str, record: Record, *, durable: bool = True) -> None:
    """Write a record all or nothing; with `durable` it also survives a power cut from here on.

    Raises:
        OSError: the disk is full, read-only or gone.
    """
    temporary = _temporary(directory, name)
    # not emptied first: what was reserved would be somebody else's before it is written
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        data = json.dumps(record).encode()
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, len(data))
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path(directory, name))  # noqa: PTH104 -- see `path`
    if durable:
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def reserve(directory: str, name: str) -> None:
    """Take the room on the disk for a record that this process will write: a disk that is full by then has it.

    Raises:
        OSError: there is no room now, or none can be reserved on this disk.
    """
    fd = os.open(_temporary(directory, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if sys.platform == "linux":
            os.posix_fallocate(fd, 0, _RESERVED)
    finally:
        os.close(fd)


def _temporary(directory: str, name: str) -> str:
    return path(directory, f".{name}.{os.getpid()}")


def read(directory: str, name: str) -> Record | None:
    """Return a record, or None where there is none (or none that can be understood: a torn one counts as absent)."""
    try:
        record = json.loads(_content(path(directory, name)))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _content(file: str) -> bytes:
    # os.read and no file object: half the system calls, on the way to a job's first output
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts: list[bytes] = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def boot() -> str:
    """Name this boot of this pid namespace; a container restarted on the same machine gets another one."""
    if not _boot:
        with contextlib.suppress(OSError):
            boot_id = _content("/proc/sys/kernel/random/boot_id").decode().strip()
            _boot.append(f"{boot_id} {os.readlink('/proc/self/ns/pid')}")  # noqa: PTH115 -- see `path`
    return _boot[0] if _boot else ""


def status(pid: int) -> tuple[str, int, int] | None:
    """Return state letter, parent's pid and start time of a process; None when there is none (or no /proc)."""
    try:
        fields = _content(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[1]), int(fields[19])


def identity(pid: int) -> Identity:
    found = status(pid)
    return Identity(pid, found[2] if found else 0, boot())


def identified(record: Record | None) -> Identity | None:
    """Return the process a `shim` or `job` record names; None for a tombstone or no record."""
    if not record or not record.get("pid"):
        return None
    return Identity(int(record["pid"]), int(record["start"]), str(record["boot"]))


def alive(who: Identity) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    found = status(who.pid)
    if found is None:
        return False
    return found[0] not in "ZX" and found[2] == who.start and boot() == who.boot


def take_lock(directory: str) -> int | None:
    """Take the run's lock and return the descriptor that must stay open; None when another process has it.

    A POSIX lock is not inherited by fork (the job must not hold it) and falls with its owner, however that ends. It
    also falls when the owner closes *any* descriptor of the file: only `holder` opens it besides, elsewhere.
    """
    fd = os.open(path(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return None
        raise
    return fd


@contextlib.contextmanager
def locked(directory: str) -> Generator[bool]:
    fd = take_lock(directory)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def holder(directory: str) -> int | None:
    """Return the pid of the living shim; None when there is none. 0 when it lives in a pid namespace we cannot see."""
    try:
        fd = os.open(path(directory, _LOCK), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if sys.platform == "linux":
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
        else:
            asked = struct.pack(_FLOCK, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
            _, _, pid, kind, _ = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def mark(attempt_id: str) -> str:
    """Return the process name (at most 15 bytes) forked jobs of an attempt carry: fork keeps it, exec does not."""
    name = attempt_id.encode()
    return f"hg{zlib.crc32(name):08x}{zlib.crc32(name[::-1]):08x}"[:15]


def ended(code: int | None, *, at: float | None = None, **more: Any) -> Record:
    """Return an exit record. `code` is the main process's: negative for a signal, None for unknown or never started."""
    record: Record = {"code": code, "at": time.time() if at is None else at, "started": True, "stopped": False}
    return {**record, **more}
