"""This file is where one run is supervised: its shim, which starts the job, owns its tree and writes its exit record.

Runs in a process forked by a launcher. Nothing after the fork may be fatal but the job's own end: a shim that dies
takes the true exit code with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from headgate.supervision import limiting, records, starting, tree

if TYPE_CHECKING:
    from headgate.supervision.pumping import Pump

LARGEST: Final = 1 << 20  #: bytes of a request

_BLOCKED: Final = {signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP}
_FIRST_PASS: Final = 0.002  #: seconds between the first kill passes; later ones are further apart
_LAST_PASS: Final = 0.1


def stand_by(connection: socket.socket, launcher: records.Identity, cgroups: str | None) -> NoReturn:
    """Wait for the one run this shim is for ({"directory", "environ", "spec", "secrets"}), supervise it, and leave.

    Forked ahead of time, because that is most of what a start costs. Leaves too when the launcher ends first.
    """
    try:
        os.setsid()
        # block first, publish after: an early stop must not kill the shim (it did, in a prototype)
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        tree.become_subreaper()
        tree.rename_process("headgate-shim")
        me = records.identity(os.getpid())
        message = connection.recv(LARGEST)
        connection.close()
        if message:
            request = json.loads(message)
            lock = records.take_lock(request["directory"])
            if lock is not None and not records.exists(request["directory"], records.SHIM):
                shim = {**me._asdict(), "launcher": launcher._asdict()}
                secrets = request.get("secrets") or {}
                _Shim(request["directory"], request["spec"], secrets, lock).run(request["environ"], shim, cgroups)
    except BaseException:  # noqa: BLE001 -- whatever it was, it must not run on in the launcher's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


class _Shim:
    """The state of one run between its start and its exit record."""

    def __init__(self, directory: str, spec: records.Record, secrets: dict[str, str], lock: int) -> None:
        self.directory = directory
        self.lock = lock
        self.spec = spec
        self.secrets = secrets
        self.pump: Pump | None = None  #: between the job and its log, where there are secrets to mask
        self.limited: limiting.Limited | None = None  #: the log, where the job writes it itself and there is a limit
        self.look_at = math.inf  #: by time.monotonic, when to look at it
        self.cgroup: str | None = None
        self.main = 0
        self.code: int | None = None
        self.main_exit: records.Record | None = None
        self.failure: int | None = None  #: read end of the pipe that tells why the job could not start
        self.stopped = False
        self.timed_out = False
        self.kill_at = math.inf  #: by time.monotonic, like the next one
        self.time_out_at = math.inf
        self.passes = 0
        self.leftovers = 0

    def run(self, environ: dict[str, str], shim: records.Record, cgroups: str | None) -> None:
        spec = self.spec
        enforced: set[str] = set()
        if spec.get("memory") or spec.get("cpu"):
            # only where it has something to enforce: moving a process into a cgroup costs 10 ms (a grace period of
            # the kernel's), and the tree is held by the subreaper as well
            self.cgroup, enforced = tree.make_cgroup(
                cgroups, str(spec["id"]), memory=spec.get("memory"), cpu=spec.get("cpu")
            )
        try:
            log = self._open_log(environ)
            held = None if starting.simple(spec) else self._fork(environ, log, enforced)
        except OSError as error:
            records.write(self.directory, records.SHIM, shim)
            self._could_not_start(error)
            return
        # from here on the run never starts again
        limit = None if self.pump else self.spec.get(limiting.LIMIT)
        records.write(self.directory, records.SHIM, {**shim, "cgroup": self.cgroup, limiting.LIMIT: limit})
        if records.exists(self.directory, records.STOP):
            self._never_start(held)
            return
        if held is None:
            try:
                self.main = starting.spawn(spec, environ, log, self.secrets)
            except OSError as error:
                self._could_not_start(error)
                return
        else:
            self.main, self.failure = held.pid, held.failure
        self._started(held)
        os.close(log)
        environ.clear()
        self.secrets.clear()
        if limit:
            self.limited, self.look_at = limiting.Limited(self.directory, limit), 0.0
        if self.pump is not None:
            self.pump.start()  # a thread, and so only now: nothing is forked from here on
        self._watch()

    def _open_log(self, environ: dict[str, str]) -> int:
        """What the job writes to: its log, or with secrets a pipe whose other end masks what goes to the log."""
        log = starting.open_log(self.directory, str(self.spec.get("note") or ""))
        plain = self.spec.get("plain") or ()
        masked = [value for name, value in self.secrets.items() if name not in plain]
        if among := self.spec.get("masked"):
            from headgate.supervision import private  # noqa: PLC0415 -- as below

            masked += private.texts(environ, among)
        if not masked:
            return log
        from headgate.supervision.pumping import Pump  # noqa: PLC0415 -- most shims need none, and stay small

        self.pump = Pump(log, masked, self.spec.get(limiting.LIMIT))
        return self.pump.end

    def _fork(self, environ: dict[str, str], log: int, enforced: set[str]) -> starting.Held:
        unwanted = self.pump.mine if self.pump else ()
        return starting.fork(self.spec, environ, self.secrets, enforced, log=log, cgroup=self.cgroup, unwanted=unwanted)

    def _started(self, held: starting.Held | None) -> None:
        job = {**records.identity(self.main)._asdict(), "at": time.time()}
        # a power cut ends the job too, so this record need not survive one; a full disk must not cost us the job
        with contextlib.suppress(OSError):
            records.write(self.directory, records.JOB, job, durable=False)
            records.reserve(self.directory, records.EXIT)
        if held is not None:
            with contextlib.suppress(OSError):
                os.write(held.go, b"!")
            os.close(held.go)
        if self.spec.get("timeout"):
            self.time_out_at = time.monotonic() + float(self.spec["timeout"])
        self._notify()

    def _never_start(self, held: starting.Held | None) -> None:
        if held is not None:
            os.close(held.go)
            os.waitpid(held.pid, 0)
        self._end(records.ended(None, started=False, stopped=True))

    def _could_not_start(self, error: OSError) -> None:
        self._end(records.ended(None, could_not_start=starting.told_as(error)))

    def _watch(self) -> None:
        """Reap until ECHILD: then, and only then, the tree is empty and the run is over."""
        self._look_for_a_stop()
        while self._reap():
            now = time.monotonic()
            if now >= self.time_out_at and not self.stopped and self.code is None:
                self.timed_out, self.time_out_at = True, math.inf
                self._ask_to_end(float(self.spec["grace"]))
            if self.code is not None or now >= self.kill_at:
                self._kill()
            if now >= self.look_at:
                self._look_at_the_log(now)
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
            if self.cgroup is None or tree.cgroup_empty(self.cgroup):
                return False
        if self.code is not None and was is None:
            self.main_exit = self._exit_record()
            with contextlib.suppress(OSError):
                records.write(self.directory, records.MAIN_EXIT, self.main_exit)
        return True

    def _sleep(self) -> signal.struct_siginfo | None:
        if self.passes:
            wait = min(_FIRST_PASS * 2 ** (self.passes // 10), _LAST_PASS)
        else:
            wait = min(self.kill_at, self.time_out_at, self.look_at) - time.monotonic()
        # SIGCHLD and SIGTERM are blocked, so none is lost between the reaping and the waiting
        if wait == math.inf:
            return signal.sigwaitinfo(_BLOCKED)
        return signal.sigtimedwait(_BLOCKED, max(wait, 0))

    def _look_at_the_log(self, now: float) -> None:
        self.look_at = now + 1
        if self.limited is not None:
            with contextlib.suppress(OSError):
                self.look_at = now + self.limited.look()

    def _look_for_a_stop(self) -> None:
        """Obey a stop that was written down. A SIGTERM without one (a machine going down, a stray kill) is no stop."""
        stop = records.read(self.directory, records.STOP)
        if stop is None or self.code is not None:
            return
        self.stopped = self.stopped or not self.timed_out
        self._ask_to_end(float(stop.get("grace") or 0))

    def _ask_to_end(self, grace: float) -> None:
        if self.kill_at == math.inf:
            tree.signal_below(os.getpid(), signal.SIGTERM, signal.SIGCONT)
        self.kill_at = min(self.kill_at, time.monotonic() + grace)

    def _kill(self) -> None:
        if self.code is not None and not self.passes:
            self.leftovers = tree.kill_below(os.getpid(), self.cgroup)
        else:
            tree.kill_below(os.getpid(), self.cgroup)
        self.passes += 1

    def _exit_record(self) -> records.Record:
        more: records.Record = {}
        if self.failure is not None:
            with contextlib.suppress(OSError, ValueError):
                more = {"could_not_start": json.loads(os.read(self.failure, 4096))}
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
        if self.pump is not None:
            self.pump.finish()
        if self.limited is not None:
            with contextlib.suppress(OSError):  # a full disk costs the end of the log, not that of the run
                self.limited.finish()
        tree.remove_cgroup(self.cgroup)
        _insist(lambda: records.write(self.directory, records.EXIT, record), lambda: os.fstat(self.lock).st_nlink == 0)
        self._notify()

    def _notify(self) -> None:
        """Wake the supervisor that asked for the run, if it still lives. It finds out without, a little later."""
        address = self.spec.get("notify")
        if address and sys.platform == "linux":
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notice:
                notice.setblocking(False)
                notice.sendto(str(self.spec["id"]).encode(), b"\0" + str(address).encode())


def _insist(write: Callable[[], None], gone: Callable[[], bool]) -> None:
    """Try until the exit record is on disk: a full disk must cost time, not the exit code.

    Where the run's folder was deleted (`gone`) nobody will ever ask, and the shim does not wait on for that.
    """
    pause = 0.05
    while True:
        try:
            write()
        except OSError:
            if gone():
                return
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        else:
            return
