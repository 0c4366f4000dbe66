"""This file is where the supervisor starts launchers and asks them for shims, and starts cold what cannot be warm."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import headgate
from headgate.errors import EngineRefused, EngineUnavailable
from headgate.supervision.launcher import CONNECTION

_TRIES: Final = 3
_ANSWER_WITHIN: Final = 10.0  #: seconds; a fork takes about one millisecond
_SOURCE: Final = str(Path(headgate.__file__).parents[1])
# appended, not put first: installed packages must not stand before the standard library
_BOOT: Final = "import sys; sys.path.append({!r}); from headgate.supervision.launcher import main; main()"
_COLD: Final = "import sys; sys.path.append({!r}); from headgate.supervision.calling import main; main()"

_LEAVES_WITHIN: Final = 0.3  #: seconds given to idle launchers to end, so that we can collect them

# Libraries that would start threads when imported, and so make their launcher useless, are asked not to. A job that
# wants them back sets the variables itself before it uses the library in a process of its own.
_NO_THREADS: Final = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    pid: int
    start: int  #: clock ticks since boot
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Which warm launcher a Python job wants: those with one name and path share one, and what it imported."""

    name: str
    modules: Sequence[str]  #: imported once; `module:name` also looks the name up, for packages that load lazily
    path: Sequence[str] = ()
    python: str = ""  #: another interpreter than the supervisor's
    source: str = ""  #: the folder that interpreter finds our own package in


@dataclass(frozen=True, slots=True)
class _Kind:
    """Which launcher: those asking for the same kind share one. The light one has no name."""

    python: str
    source: str
    name: str = ""
    path: tuple[str, ...] = ()


class _Gone(Exception):
    """The launcher ended before it answered, or takes too long."""


class Launchers:
    """The launchers of one supervisor. Safe from any thread; those asking the same launcher wait for each other."""

    def __init__(
        self,
        errors: Path,
        environ: Mapping[str, str],
        *,
        python: str = sys.executable,
        warm_idle: float = 300.0,
        import_within: float = 60.0,
        cgroups: bool = True,
    ) -> None:
        self._errors = errors  #: where launchers write what they have to complain about
        self._environ = dict(environ)  #: never holds a secret: it is what every launcher sees
        self._python = python
        self._warm_idle = warm_idle
        self._import_within = import_within
        self._cgroups = cgroups
        self._closed = False
        self._lock = threading.Lock()
        self._running: dict[_Kind, _Launcher] = {}
        self._ended: list[int] = []
        self._unsafe: dict[_Kind, str] = {}  #: what is started cold, and why

    def command(
        self,
        directory: str,
        spec: Mapping[str, Any],
        environ: Mapping[str, str],
        secrets: Mapping[str, str] | None = None,
    ) -> Started:
        """Have the light launcher start the command of `spec` in `directory`.

        Raises:
            EngineUnavailable: no launcher can be started, or it cannot fork.
            EngineRefused: the environment is larger than a launcher takes.
        """
        request = {
            "directory": directory,
            "environ": dict(environ),
            "spec": dict(spec),
            "secrets": dict(secrets or {}),
        }
        problem = ""
        for _ in range(_TRIES):
            launcher = self._launcher(_Kind(self._python, _SOURCE))
            try:
                answer = launcher.ask(request, _ANSWER_WITHIN)
            except _Gone as gone:
                self._discard(launcher)
                problem = str(gone)
                continue
            if "pid" in answer:
                return Started(pid=answer["pid"], start=answer["start"])
            problem = str(answer.get("text"))
        raise EngineUnavailable(f"no process could be started for {Path(directory).name}: {problem}")

    def python(
        self,
        directory: str,
        spec: Mapping[str, Any],
        environ: Mapping[str, str],
        warm: Warm,
        secrets: Mapping[str, str] | None = None,
    ) -> Started | str:
        """Have the warm launcher start the call of `spec` in `directory`; a text says why it has to be started cold."""
        kind = _Kind(warm.python or self._python, warm.source or _SOURCE, warm.name, tuple(warm.path))
        if known := self._unsafe.get(kind):
            return known
        request = {
            "directory": directory,
            "environ": dict(environ),
            "spec": dict(spec),
            "modules": list(warm.modules),
            "secrets": dict(secrets or {}),
        }
        problem = ""
        for _ in range(_TRIES):
            launcher = self._launcher(kind)
            try:
                answer = launcher.ask(request, self._import_within)
            except _Gone as gone:
                self._discard(launcher)
                problem = str(gone)
                continue
            if "pid" in answer:
                return Started(pid=answer["pid"], start=answer["start"])
            problem = str(answer.get("text"))
            self._discard(launcher)
            if answer.get("no") == "threads":
                self._unsafe[kind] = problem
                break
        return problem

    def cold(self, call: str, arguments: Sequence[str], warm: Warm | None) -> list[str]:
        """Return the command that calls `module:function` in an interpreter of its own."""
        python, source, path = (warm.python, warm.source, warm.path) if warm else ("", "", ())
        return cold_command(python or self._python, source or _SOURCE, call, arguments, path)

    def pids(self) -> list[int]:
        """Return the pids of the launchers that are up (or were, when last heard of)."""
        with self._lock:
            return [one.pid for one in self._running.values()]

    def reap(self) -> None:
        """Collect launchers that have ended; they are our children."""
        with self._lock:
            self._ended = [pid for pid in self._ended if not _reaped(pid)]

    def close(self) -> None:
        """Leave all launchers: each ends when it has no children left."""
        with self._lock:
            self._closed = True
            gone = list(self._running.values())
            self._running.clear()
            self._ended += [one.pid for one in gone]
        for one in gone:
            one.leave()
        give_up = time.monotonic() + _LEAVES_WITHIN
        for one in gone:
            _wait(one.pid, give_up - time.monotonic())
        self.reap()

    def _launcher(self, kind: _Kind) -> _Launcher:
        with self._lock:
            if self._closed:
                raise EngineUnavailable("the local engine is closing; nothing more is started")
            found = self._running.get(kind)
            if found is None:
                found = self._start(kind)
                self._running[kind] = found
            return found

    def _start(self, kind: _Kind) -> _Launcher:
        idle = self._warm_idle if kind.name else None
        config = json.dumps({"idle": idle, "path": list(kind.path), "cgroups": self._cgroups})
        isolated = ["-I"] if kind.name else ["-I", "-S"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # a descriptor that already has the wanted number would keep its close-on-exec flag
        passed = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, CONNECTION + 7)
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            errors = (os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            pid = os.posix_spawn(
                kind.python,
                [kind.python, *isolated, "-c", _BOOT.format(kind.source), config],
                {**self._environ, **(_NO_THREADS if kind.name else {})},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, 0, 1),
                    (os.POSIX_SPAWN_OPEN, 2, str(self._errors), *errors),
                    (os.POSIX_SPAWN_DUP2, passed, CONNECTION),
                ],
            )
        except OSError as error:
            ours.close()
            raise EngineUnavailable(f"the launcher of local processes cannot be started: {error}") from error
        finally:
            os.close(passed)
            theirs.close()
        return _Launcher(pid, ours)

    def _discard(self, launcher: _Launcher) -> None:
        with self._lock:
            for key, one in list(self._running.items()):
                if one is launcher:
                    del self._running[key]
                    self._ended.append(launcher.pid)
        launcher.leave()
        self.reap()


def cold_command(python: str, source: str, call: str, arguments: Sequence[str], path: Sequence[str]) -> list[str]:
    """Return the command that calls `module:function` in an interpreter that finds our package in `source`."""
    config = json.dumps({"call": call, "arguments": list(arguments), "path": list(path)})
    return [python, "-I", "-c", _COLD.format(source), config]


class _Launcher:
    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self._connection = connection
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any], within: float) -> dict[str, Any]:
        message = json.dumps(request).encode()
        with self._lock:
            try:
                self._connection.settimeout(within)
                self._connection.send(message)
                answer = self._connection.recv(1 << 16)
            except TimeoutError as error:
                # it may hang in an import; what it forked goes on without it
                with contextlib.suppress(OSError):
                    os.kill(self.pid, signal.SIGKILL)
                raise _Gone(f"its launcher did not answer within {within:g} s") from error
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    raise EngineRefused(
                        f"the environment of the job is too large ({len(message)} bytes): pass fewer `env` names, "
                        "or give the job a file"
                    ) from error
                raise _Gone(f"its launcher is gone ({error})") from error
        if not answer:
            raise _Gone("its launcher ended while starting it")
        return json.loads(answer)

    def leave(self) -> None:
        with self._lock:
            self._connection.close()


def _wait(pid: int, within: float) -> None:
    """Wait for a child to end. One that supervises runs will not, and is left to itself."""
    if sys.platform == "linux" and within > 0:
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(pid)
            try:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(within * 1000)
            finally:
                os.close(fd)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
