"""This file is where one run is supervised: its shim, which starts the job, owns its tree and writes its exit record.

Runs in a process freshly forked by a launcher. Nothing after the fork may be fatal but the job's own end: a shim that
dies takes the true exit code with it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

from headgate.supervision import records, tree

_BLOCKED: Final = {signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP}
_COULD_NOT_START: Final = 127
_FIRST_PASS: Final = 0.002  #: seconds between the first kill passes; later ones are further apart
_LAST_PASS: Final = 0.1


def supervise(directory: str, environ: dict[str, str], launcher: records.Identity, cgroups: str | None) -> NoReturn:
    """Be the shim of the run in `directory` until its tree is empty, and leave."""
    try:
        os.setsid()
        # block first, publish after: an early stop must not kill the shim (it did, in a prototype)
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        lock = records.take_lock(directory)
        if lock is not None and not records.exists(directory, records.SHIM):
            _Shim(directory, launcher).run(environ, cgroups)
    except BaseException:  # noqa: BLE001 -- whatever it was, it must not run on in the launcher's loop
        traceback.print_exc()
    finally:
        os._exit(0)


class _Shim:
    """The state of one run between its start and its exit record."""

    def __init__(self, directory: str, launcher: records.Identity) -> None:
        self.directory = directory
        self.launcher = launcher
        self.cgroup: str | None = None
        self.main = 0
        self.code: int | None = None
        self.main_exit: records.Record | None = None
        self.failure = -1  #: read end of the pipe that tells why the job could not start
        self.stopped = False
        self.timed_out = False
        self.kill_at = math.inf  #: by time.monotonic, like the next one
        self.time_out_at = math.inf
        self.grace = 10.0
        self.passes = 0
        self.leftovers = 0

    def run(self, environ: dict[str, str], cgroups: str | None) -> None:
        tree.become_subreaper()
        tree.rename_process("headgate-shim")
        spec = records.read(self.directory, records.SPEC)
        if spec is None:
            raise FileNotFoundError(errno.ENOENT, "the run has no spec", self.directory)
        self.cgroup, enforced = tree.make_cgroup(
            cgroups, str(spec["id"]), memory=spec.get("memory"), cpu=spec.get("cpu")
        )
        me = records.identity(os.getpid())
        shim = {**me._asdict(), "launcher": self.launcher._asdict(), "cgroup": self.cgroup}
        records.write(self.directory, records.SHIM, shim)
        if records.exists(self.directory, records.STOP):
            self._end(records.ended(None, started=False, stopped=True))
            return
        try:
            self._start(spec, environ, enforced)
        except OSError as error:
            self._end(records.ended(None, could_not_start={"errno": error.errno, "text": str(error)}))
            return
        environ.clear()
        self._watch()

    def _start(self, spec: records.Record, environ: dict[str, str], enforced: set[str]) -> None:
        self.failure, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(records.path(self.directory, records.LOG), append, 0o600)
        if spec.get("note"):
            os.write(log, f"headgate: {spec['note']}\n".encode())
        self.main = os.fork()
        if self.main == 0:
            _become_the_job(spec, environ, enforced, log=log, told=told, cgroup=self.cgroup)
        os.close(told)
        os.close(log)
        job = {**records.identity(self.main)._asdict(), "at": time.time()}
        # a power cut ends the job too, so this record need not survive one; a full disk must not cost us the job
        with contextlib.suppress(OSError):
            records.write(self.directory, records.JOB, job, durable=False)
        self.grace = float(spec.get("grace") or self.grace)
        if spec.get("timeout"):
            self.time_out_at = time.monotonic() + float(spec["timeout"])

    def _watch(self) -> None:
        """Reap until ECHILD: then, and only then, the tree is empty and the run is over."""
        self._look_for_a_stop()
        while self._reap():
            now = time.monotonic()
            if now >= self.time_out_at and not self.stopped and self.code is None:
                self.timed_out, self.time_out_at = True, math.inf
                self._ask_to_end(self.grace)
            if self.code is not None or now >= self.kill_at:
                self._kill()
            if (got := self._sleep()) is not None and got.si_signo == signal.SIGTERM:
                self._look_for_a_stop()
        self._end(self._exit_record())

    def _reap(self) -> bool:
        """Collect everything that ended; False when nothing of the tree is left."""
        was = self.code
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self.main:
                    self.code = os.waitstatus_to_exitcode(status)
        except ChildProcessError:
            # a member of the cgroup that is nobody's child of ours (it was traced or moved here) ends with it
            tree.kill_cgroup(self.cgroup)
            return not tree.cgroup_empty(self.cgroup)
        if self.code is not None and was is None:
            self.main_exit = self._exit_record()
            with contextlib.suppress(OSError):
                records.write(self.directory, records.MAIN_EXIT, self.main_exit)
        return True

    def _sleep(self) -> signal.struct_siginfo | None:
        if self.passes:
            wait = min(_FIRST_PASS * 2 ** (self.passes // 10), _LAST_PASS)
        else:
            wait = min(self.kill_at, self.time_out_at) - time.monotonic()
        # SIGCHLD and SIGTERM are blocked, so none is lost between the reaping and the waiting
        if wait == math.inf:
            return signal.sigwaitinfo(_BLOCKED)
        return signal.sigtimedwait(_BLOCKED, max(wait, 0))

    def _look_for_a_stop(self) -> None:
        """Obey a stop that was written down. A SIGTERM without one (a machine going down, a stray kill) is no stop."""
        stop = records.read(self.directory, records.STOP)
        if stop is None or self.code is not None:
            return
        self.stopped = self.stopped or not self.timed_out
        self._ask_to_end(float(stop.get("grace") or 0))

    def _ask_to_end(self, grace: float) -> None:
        kill_at = time.monotonic() + grace
        if self.kill_at == math.inf:
            tree.signal_below(os.getpid(), signal.SIGTERM, signal.SIGCONT)
        self.kill_at = min(self.kill_at, kill_at)

    def _kill(self) -> None:
        if self.code is not None and not self.passes:
            self.leftovers = len(tree.children(os.getpid()))
        tree.kill_below(os.getpid(), self.cgroup)
        self.passes += 1

    def _exit_record(self) -> records.Record:
        more: records.Record = {}
        with contextlib.suppress(OSError):
            text = os.read(self.failure, 4096)
            if text:
                more = {"could_not_start": json.loads(text)}
        return records.ended(
            self.code,
            stopped=self.stopped,
            timed_out=self.timed_out,
            leftovers=self.leftovers,
            out_of_memory=tree.cgroup_ran_out_of_memory(self.cgroup),
            **more,
        )

    def _end(self, record: records.Record) -> None:
        if self.main_exit:
            record = {**self.main_exit, "leftovers": self.leftovers}
        tree.remove_cgroup(self.cgroup)
        _insist(lambda: records.write(self.directory, records.EXIT, record))


def _insist(write: Callable[[], None]) -> None:
    """Try until the exit record is on disk: a full disk must cost time, not the exit code."""
    pause = 0.05
    while True:
        try:
            write()
        except OSError:
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        else:
            return


def _become_the_job(
    spec: records.Record, environ: dict[str, str], enforced: set[str], *, log: int, told: int, cgroup: str | None
) -> NoReturn:
    """Turn the forked child into the job: a command by exec, a Python job by a call in this warm process."""
    step = "set up"
    try:
        os.setsid()
        tree.rename_process(records.mark(str(spec["id"])))
        if cgroup:
            tree.join_cgroup(cgroup)
        _limit(spec.get("memory"), spec.get("cpu"), enforced)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        step = f"enter the folder {spec['cwd']}"
        os.chdir(str(spec["cwd"]))
        _ordinary_signals(python=bool(spec.get("call")))
        if spec.get("call"):
            os.close(told)
            os.close(null)
            # imported here only: the light launcher and the shims it forks stay small
            from headgate.supervision.calling import call_warm  # noqa: PLC0415

            call_warm(str(spec["call"]), [str(one) for one in spec["arguments"]], environ)
        argv = [str(one) for one in spec["argv"]]
        step = f"execute {argv[0]}"
        os.execvpe(argv[0], argv, environ)  # noqa: S606 -- to run what the job says is what we are for
    except (OSError, ValueError) as error:
        why = {"errno": getattr(error, "errno", 0), "text": f"{step}: {getattr(error, 'strerror', error)}"}
        os.write(told, json.dumps(why).encode())
    finally:
        os._exit(_COULD_NOT_START)


def _ordinary_signals(*, python: bool) -> None:
    for one in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(one, signal.SIG_DFL)
    if python:
        # as a fresh interpreter has them
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, set[signal.Signals]())


def _limit(memory: int | None, cpu: float | None, enforced: set[str]) -> None:
    """Limit as well as it goes where no cgroup does it: data size of each process; cores by affinity, less by nice."""
    if memory and "memory" not in enforced:
        # RLIMIT_AS would count what allocators only reserve; RLIMIT_DATA counts what can be written
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if cpu and "cpu" not in enforced:
        if sys.platform == "linux":
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, cores[-max(1, math.ceil(cpu)) :])
        if cpu < 1:
            os.nice(10)
