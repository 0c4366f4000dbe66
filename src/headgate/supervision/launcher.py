"""This file is where a launcher runs: the single-threaded process that forks one shim per request.

Started as `python -I [-S] -c … CONFIG` with its only connection on descriptor 3: a socket pair, so that there is no
name on disk that a stranger could connect to and none that could be too long. Requests and answers are JSON:

    {"directory": …, "environ": {…}, "spec": {…}, "modules": […], "secrets": {…}}
    -> {"pid": …, "start": …}  or  {"no": reason, "text": …}

`no` is `stale` (a module's file changed since it was imported), `threads` (importing started threads, forking would
not be safe), `bad` (the request makes no sense) or `fork` (the system has no room for a process).

It holds no state that matters. When its connection ends it stays for as long as it has children: should a shim be
killed, its job falls to this subreaper, which then records the job's true exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any, Final, NamedTuple

from headgate.supervision import cores, records, shim, tree

CONNECTION: Final = 3
_QUIET: Final = 0.01  #: seconds without anything to do before a spare shim is forked
_STDLIB: Final = str(os.__file__).rpartition("/")[0] + "/"


class _Spare(NamedTuple):
    """A shim forked ahead of time. It leaves when its connection closes before a run came."""

    pid: int
    start: int
    connection: socket.socket


class _Refused(Exception):
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.answer = {"no": reason, "text": text}


class _Launcher:
    def __init__(self, connection: socket.socket, wakeup: int, written: int, cgroups: str | None) -> None:
        self.connection = connection
        self.wakeup = wakeup  #: readable when a child has ended
        self.written = written
        self.spare: _Spare | None = None
        self.me = records.identity(os.getpid())
        self.cgroups = cgroups
        self.shims: dict[int, str] = {}  #: pid to run directory
        self.orphaned: set[str] = set()  #: run directories whose shim was killed
        self.unknown: dict[int, int] = {}  #: children that fell to us, pid to exit code
        self.imported: set[str] = set()
        self.files: dict[str, tuple[int, int]] = {}  #: modules' files as they were when imported

    def serve(self, idle: float | None) -> None:
        """Answer until the connection ends (or nothing was asked for `idle` seconds) and no child is left."""
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        poll.register(self.connection, select.POLLIN)
        connected = True
        while connected or self._busy():
            # a spare is forked in a quiet moment, not while the run that took the last one gets going
            timeout = None if not connected else _QUIET if self.spare is None else idle
            ready = dict(poll.poll(None if timeout is None else timeout * 1000))
            if not ready and self.spare is None and connected:
                with contextlib.suppress(OSError):
                    self._fork_spare()
            elif not ready and not self._busy():
                break
            if self.wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, 4096)
            if self.connection.fileno() in ready and not self._answer_one():
                connected = False
                poll.unregister(self.connection)
                self.connection.close()
                self._drop_spare()
            self._reap()
        self._drop_spare()

    def _busy(self) -> bool:
        spare = {self.spare.pid} if self.spare else set[int]()
        return bool(self.shims or set(tree.children(self.me.pid)) - spare)

    def _answer_one(self) -> bool:
        """Answer the next request; False when the other side is gone. Nothing in a request may end the launcher."""
        try:
            message = self.connection.recv(shim.LARGEST)
            if not message:
                return False
            try:
                answer = self._launch(message, json.loads(message))
            except _Refused as no:
                answer = no.answer
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                answer = {"no": "bad", "text": f"{type(error).__name__}: {error}"}
            except OSError as error:
                answer = {"no": "fork", "text": str(error)}
            self.connection.send(json.dumps(answer).encode())
        except OSError:
            return False
        return True

    def _launch(self, message: bytes, request: dict[str, Any]) -> dict[str, Any]:
        directory = str(request["directory"])
        if not all(isinstance(one, dict) for one in (request["environ"], request["spec"], request.get("secrets", {}))):
            raise TypeError("environ, spec and secrets must be objects")
        if not os.access(directory, os.W_OK):
            raise _Refused("bad", f"there is no run directory {directory}")
        self._import([str(name) for name in request.get("modules") or ()])
        for _ in range(2):
            spare = self.spare or self._fork_spare()
            self.spare = None
            try:
                spare.connection.send(message)
            except BrokenPipeError:  # someone killed it while it waited
                continue
            finally:
                spare.connection.close()
            self.shims[spare.pid] = directory
            return {"pid": spare.pid, "start": spare.start}
        raise _Refused("fork", "the processes forked for it were killed at once")

    def _fork_spare(self) -> _Spare:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, shim.LARGEST)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for fd in (self.wakeup, self.written):
                    os.close(fd)
                ours.close()
                self.connection.close()
                gc.disable()
                shim.stand_by(theirs, self.me, self.cgroups)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.spare = _Spare(pid, records.identity(pid).start, ours)
        return self.spare

    def _drop_spare(self) -> None:
        if self.spare is not None:
            self.spare.connection.close()
            self.spare = None

    def _import(self, modules: list[str]) -> None:
        """Have the modules imported, once. One that fails is left to the job, whose log then has the traceback."""
        for file, known in self.files.items():
            if _stamp(file) != known:
                raise _Refused("stale", f"{file} changed")
        new = [name for name in modules if name not in self.imported]
        if new:
            self._drop_spare()
        for name in new:
            self.imported.add(name)
            with contextlib.suppress(Exception, SystemExit):
                module, _, attribute = name.partition(":")
                # a package may load what it names only when that is asked for
                getattr(importlib.import_module(module), attribute or "__name__")
        if new:
            self._remember_files()
            gc.collect()
            gc.freeze()
        if (threads := _threads()) > 1:
            raise _Refused("threads", f"importing {', '.join(modules)} started {threads - 1} threads")

    def _remember_files(self) -> None:
        """Note the files of modules that may be edited: all but the interpreter's and the installed ones."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file and not file.startswith(_STDLIB) and "-packages/" not in file:
                self.files.setdefault(file, _stamp(file))

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                directory = self.shims.pop(pid, None)
                if directory is None:
                    self.unknown[pid] = os.waitstatus_to_exitcode(status)
                elif records.exists(directory, records.SHIM) and not records.exists(directory, records.EXIT):
                    self.orphaned.add(directory)
        for directory in list(self.orphaned):
            job = records.identified(records.read(directory, records.JOB))
            if job is None or records.exists(directory, records.MAIN_EXIT):
                self.orphaned.discard(directory)
            elif job.pid in self.unknown:
                self.orphaned.discard(directory)
                with contextlib.suppress(OSError):
                    records.write(directory, records.MAIN_EXIT, records.ended(self.unknown[job.pid]))
        if not self.orphaned:
            self.unknown.clear()


def main() -> None:
    """Be a launcher; the last argument is {"idle": seconds or null, "path": [...], "cgroups": bool}."""
    config = json.loads(sys.argv[-1])
    # exec kept whatever was blocked or ignored in the thread that started us
    signal.pthread_sigmask(signal.SIG_SETMASK, set[signal.Signals]())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setsid()
    _close_from(CONNECTION + 1)
    os.set_inheritable(CONNECTION, False)
    cores.forbid()
    tree.become_subreaper()
    tree.rename_process("headgate-launch")
    sys.path[:0] = config["path"]
    wakeup, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        cgroups = tree.cgroup_parent() if config["cgroups"] else None
        _Launcher(socket.socket(fileno=CONNECTION), wakeup, written, cgroups).serve(config["idle"])
    except Exception:  # noqa: BLE001 -- the one place to say why it ended; the supervisor starts another
        traceback.print_exc()
        sys.exit(1)


def _close_from(first: int) -> None:
    for name in os.listdir("/proc/self/fd") if sys.platform == "linux" else ():  # noqa: PTH208 -- see `records.path`
        with contextlib.suppress(OSError):
            if int(name) >= first:
                os.close(int(name))


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 -- see `records.path`
    except OSError:
        return 1


def _stamp(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)  # noqa: PTH116 -- see `records.path`
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
