"""This file is where a launcher runs: the single-threaded process that forks one shim per request.

Started as `python -I [-S] -c … CONFIG` with its only connection on descriptor 3: a socket pair, so that there is no
name on disk that a stranger could connect to and none that could be too long. Requests and answers are JSON:

    {"directory": …, "environ": {…}, "modules": […]}  ->  {"pid": …, "start": …}  or  {"no": reason, "text": …}

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
from typing import Any, Final

from headgate.supervision import records, shim, tree

CONNECTION: Final = 3
LARGEST: Final = 1 << 20  #: bytes of a request
_STDLIB: Final = str(os.__file__).rpartition("/")[0] + "/"


class _Refused(Exception):
    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.answer = {"no": reason, "text": text}


class _Launcher:
    def __init__(self, connection: socket.socket, wakeup: int, cgroups: str | None) -> None:
        self.connection = connection
        self.wakeup = wakeup
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
        while connected or self.shims or self.unknown or tree.children(self.me.pid):
            ready = dict(poll.poll(idle * 1000 if idle and connected else None))
            if not ready and not self.shims and not tree.children(self.me.pid):
                return
            if self.wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, 4096)
            if self.connection.fileno() in ready and not self._answer_one():
                connected = False
                poll.unregister(self.connection)
                self.connection.close()
            self._reap()

    def _answer_one(self) -> bool:
        """Answer the next request; False when the other side is gone. Nothing in a request may end the launcher."""
        try:
            message = self.connection.recv(LARGEST)
            if not message:
                return False
            try:
                answer = self._launch(json.loads(message))
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

    def _launch(self, request: dict[str, Any]) -> dict[str, Any]:
        directory = str(request["directory"])
        environ = {str(name): str(value) for name, value in request["environ"].items()}
        self._import([str(name) for name in request.get("modules") or ()])
        if not os.access(records.path(directory, records.SPEC), os.R_OK):
            raise _Refused("bad", f"there is no run in {directory}")
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(self.wakeup)
            self.connection.close()
            gc.disable()
            shim.supervise(directory, environ, self.me, self.cgroups)
        self.shims[pid] = directory
        return {"pid": pid, "start": records.identity(pid).start}

    def _import(self, modules: list[str]) -> None:
        """Have the modules imported, once. One that fails is left to the job, whose log then has the traceback."""
        for file, known in self.files.items():
            if _stamp(file) != known:
                raise _Refused("stale", f"{file} changed")
        new = [name for name in modules if name not in self.imported]
        for name in new:
            self.imported.add(name)
            with contextlib.suppress(Exception, SystemExit):
                importlib.import_module(name)
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
    tree.become_subreaper()
    tree.rename_process("headgate-launch")
    sys.path[:0] = config["path"]
    wakeup, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        cgroups = tree.cgroup_parent() if config["cgroups"] else None
        _Launcher(socket.socket(fileno=CONNECTION), wakeup, cgroups).serve(config["idle"])
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
