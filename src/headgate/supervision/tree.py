"""This file is where a run's whole process tree is found, signalled, limited and counted, with a cgroup or without.

Imported by launchers and shims, so it imports little.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final

from headgate.supervision import records

_SET_PDEATHSIG: Final = 1
_SET_NAME: Final = 15
_SET_CHILD_SUBREAPER: Final = 36

# prctl and the rest of this file's guarantees are Linux's; elsewhere a run is watched without them
_libc: ctypes.CDLL | None = ctypes.CDLL(None) if sys.platform == "linux" else None


def become_subreaper() -> None:
    """Have the orphans of our descendants handed to us. Kept over exec, not inherited by fork."""
    if _libc is not None:
        _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def rename_process(name: str) -> None:
    if _libc is not None:
        _libc.prctl(_SET_NAME, name.encode()[:15], 0, 0, 0)


def children(pid: int) -> list[int]:
    """List the direct children of a process. One read can miss some; waitpid's ECHILD is the judge, not this."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 -- see `records.path`
            with open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123 -- see `records.path`
                found += [int(one) for one in file.read().split()]
    except FileNotFoundError:
        # the process is gone, or the kernel was built without CONFIG_PROC_CHILDREN
        if not os.access("/proc/thread-self/children", os.F_OK):
            return [one for one in processes() if (records.status(one) or ("", 0, 0))[1] == pid]
    except OSError:
        return found
    return found


def processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 -- see `records.path`
    except OSError:
        return []


def signal_below(root: int, *signals: int) -> int:
    """Signal every descendant of `root`, and return how many there were.

    Each one is signalled *before* its children are listed: a fork with a fatal signal pending fails, so no child can
    appear behind the pass.
    """
    seen: set[int] = set()
    waiting = children(root)
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        _send(pid, *signals)
        waiting += children(pid)
    return len(seen)


def marked(attempt_id: str, also: records.Identity | None = None) -> set[int]:
    """Find what an attempt's lost shim left behind, by the mark in environment or name, and what descends from it.

    A safety net: a process that wiped its environment and whose parents are gone is not found. The cgroup, where
    there is one, has no such hole.
    """
    wanted = f"{records.ATTEMPT}={attempt_id}".encode()
    name = records.mark(attempt_id)
    found = {pid for pid in processes() if _carries(pid, wanted, name)}
    if also is not None and records.alive(also):
        found.add(also.pid)
    waiting = list(found)
    while waiting:
        more = set(children(waiting.pop())) - found
        found |= more
        waiting += more
    return {pid for pid in found if pid != os.getpid() and (records.status(pid) or ("Z",))[0] not in "ZX"}


def signal_all(pids: set[int], *signals: int) -> None:
    for pid in pids:
        _send(pid, *signals)


def _send(pid: int, *signals: int) -> None:
    for one in signals:
        with contextlib.suppress(OSError):
            os.kill(pid, one)


def _carries(pid: int, wanted: bytes, name: str) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:  # noqa: PTH123 -- see `records.path`
            if file.read().rstrip("\n") == name:
                return True
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 -- see `records.path`
            return wanted in file.read().split(b"\0")
    except OSError:
        return False


# --- cgroup v2 --------------------------------------------------------------------------------------------------


def cgroup_parent() -> str | None:
    """Return the cgroup v2 folder we may make cgroups in (our own). None: normal in containers and for plain users."""
    try:
        with open("/proc/self/mountinfo") as file:  # noqa: PTH123 -- see `records.path`
            mounts = [line.split(" - ") for line in file.read().splitlines()]
        with open("/proc/self/cgroup") as file:  # noqa: PTH123 -- see `records.path`
            own = [line[3:] for line in file.read().splitlines() if line.startswith("0::")]
    except OSError:
        return None
    for left, right in (mount for mount in mounts if len(mount) == 2):
        if right.startswith("cgroup2 ") and own:
            root, where = left.split()[3:5]
            folder = where + (own[0] if root == "/" else own[0].removeprefix(root))
            return folder.rstrip("/") if os.access(folder, os.W_OK) else None
    return None


def make_cgroup(parent: str | None, name: str, *, memory: int | None, cpu: float | None) -> tuple[str | None, set[str]]:
    """Make a run's cgroup; return its folder (None: not possible here) and which of the limits it enforces."""
    if parent is None:
        return None, set()
    folder = f"{parent}/headgate.{name}"
    try:
        if memory or cpu:
            # refused (EBUSY, ENOENT) unless the cgroup was delegated to us with its controllers
            with contextlib.suppress(OSError):
                _put(f"{parent}/cgroup.subtree_control", "+memory +cpu")
        os.mkdir(folder, 0o755)  # noqa: PTH102 -- see `records.path`
    except FileExistsError:
        pass
    except OSError:
        return None, set()
    enforced: set[str] = set()
    with contextlib.suppress(OSError):
        if memory:
            _put(f"{folder}/memory.max", str(memory))
            enforced.add("memory")
            _put(f"{folder}/memory.swap.max", "0")
    with contextlib.suppress(OSError):
        if cpu:
            _put(f"{folder}/cpu.max", f"{int(cpu * 100_000)} 100000")
            enforced.add("cpu")
    return folder, enforced


def join_cgroup(folder: str) -> None:
    _put(f"{folder}/cgroup.procs", "0")


def kill_cgroup(folder: str | None) -> None:
    if folder:
        with contextlib.suppress(OSError):
            _put(f"{folder}/cgroup.kill", "1")


def cgroup_empty(folder: str | None) -> bool:
    if not folder:
        return True
    try:
        with open(f"{folder}/cgroup.events") as file:  # noqa: PTH123 -- see `records.path`
            return "populated 0" in file.read()
    except OSError:
        return True


def cgroup_ran_out_of_memory(folder: str | None) -> bool:
    if not folder:
        return False
    try:
        with open(f"{folder}/memory.events") as file:  # noqa: PTH123 -- see `records.path`
            return any(line.startswith("oom_kill ") and line.strip() != "oom_kill 0" for line in file)
    except OSError:
        return False


def remove_cgroup(folder: str | None) -> None:
    if folder:
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 -- see `records.path`


def _put(file: str, text: str) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def kill_below(root: int, cgroup: str | None) -> int:
    kill_cgroup(cgroup)
    return signal_below(root, signal.SIGKILL)
