"""This file is where runs are started, followed, stopped and taken up again, from outside: the supervisor.

One thread follows all runs. It sleeps until a shim's process ends (its pidfd becomes readable), looks at everything
once a second while something runs, and not at all when nothing does. What is on disk is the truth: the pidfd only says
when to look.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from headgate.errors import EngineUnavailable
from headgate.supervision import limiting, records, tree
from headgate.supervision.launching import Launchers, Started
from headgate.supervision.notices import Notices
from headgate.supervision.runs import Exit, Told, Work, read_exit

_log = structlog.get_logger(__name__)

_POLL: Final = 1.0  #: seconds between looks at what runs
_SOON: Final = 0.01  #: … while an end is being settled, or where there are no pidfds
_LAUNCHER_MAY_TAKE: Final = 2.0  #: seconds a launcher has to record the exit code of a job whose shim was killed


@dataclass(slots=True, eq=False)
class _Followed:
    id: str
    directory: str
    shim: Started | None = None  #: as the launcher answered, before the shim has published itself
    fd: int | None = None
    pid: int = 0
    running_told: bool = False
    progress: tuple[int, int] = (0, 0)
    looked_at_progress: float = 0.0
    alone_since: float | None = None  #: when its shim was found dead
    asked_to_end: bool = False
    soon: bool = False


class Supervisor:
    """Runs below one folder, one run directory per attempt id. Safe from any thread."""

    def __init__(self, folder: Path, told: Told, launchers: Launchers) -> None:
        self.folder = folder
        self._told = told
        self._launchers = launchers
        self._lock = threading.RLock()
        self._files = threading.Lock()  #: probing a POSIX lock we hold ourselves would drop it
        self._followed: dict[str, _Followed] = {}
        self._new: list[_Followed] = []
        self._selector = selectors.DefaultSelector()
        self._notices = Notices()
        self._selector.register(self._notices, selectors.EVENT_READ, None)
        self._closed = False
        self._thread: threading.Thread | None = None

    def directory(self, attempt_id: str) -> Path:
        """Return the attempt's run directory, made when it is not there yet.

        Raises:
            EngineUnavailable: the disk does not allow it now.
        """
        directory = self.folder / attempt_id
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineUnavailable(f"the run directory {directory} cannot be made: {error.strerror}") from error
        return directory

    def begun(self, attempt_id: str) -> bool:
        """Whether the attempt was started (or its start prevented) before, by anyone."""
        directory = str(self.folder / attempt_id)
        return records.exists(directory, records.SHIM) or records.exists(directory, records.EXIT)

    def start(self, work: Work) -> str:
        """Start the work and return the handle of its shim; a second start finds the first.

        Raises:
            EngineUnavailable: no process can be started, or the disk is full, read-only or gone.
            EngineRefused: its environment is too large.
        """
        directory = str(self.directory(work.id))
        started: Started | None = None
        if not self.begun(work.id):
            started = self._launch(directory, work)
        published = records.identified(records.read(directory, records.SHIM))
        handle = published.handle if published else f"{started.pid}@{started.start}" if started else work.id
        self._follow(work.id, started)
        return handle

    def stop(self, attempt_id: str, *, grace: float) -> None:
        """Ask the attempt's tree to end, by force after `grace` seconds. One that never started ends here and now."""
        directory = str(self.directory(attempt_id))
        with self._lock:
            # asked before looking for the exit: who is followed now is told by that, once
            followed = attempt_id in self._followed
        if records.exists(directory, records.EXIT):
            return
        asked = records.read(directory, records.STOP) or {}
        try:
            record = {"at": asked.get("at", time.time()), "grace": min(grace, float(asked.get("grace", grace)))}
            records.write(directory, records.STOP, record)
        except OSError as error:
            raise EngineUnavailable(f"the stop of {attempt_id} cannot be written down: {error.strerror}") from error
        self._signal_shim(directory)
        if followed:
            self._look_at(attempt_id)
        else:
            self._follow(attempt_id, None)

    def adopt(self, attempt_id: str) -> None:
        """Follow an attempt that someone started earlier; without a trace of it, it is lost and cannot start late."""
        self.directory(attempt_id)
        self._follow(attempt_id, None)

    def close(self) -> None:
        """Stop following. What runs goes on running."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        self._notices.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        for one in self._followed.values():
            self._forget_fd(one)
        self._selector.close()
        self._notices.close()
        self._launchers.close()

    # --- starting and stopping ------------------------------------------------------------------------------------

    def _launch(self, directory: str, work: Work) -> Started:
        spec: records.Record = {
            "id": work.id,
            "cwd": work.cwd,
            "memory": work.memory,
            "cpu": work.cpu,
            limiting.LIMIT: work.log_limit,
            "timeout": work.timeout,
            "grace": work.grace,
            "notify": self._notices.name,
            "argv": list(work.argv),
            "executable": work.executable,
            "plain": list(work.plain),
            "masked": list(work.masked),
        }
        if not work.call:
            return self._launchers.command(directory, spec, work.environ, work.secrets)
        if work.warm:
            called = {**spec, "call": work.call, "arguments": list(work.arguments)}
            answer = self._launchers.python(directory, called, work.environ, work.warm, work.secrets)
            if isinstance(answer, Started):
                return answer
            if self.begun(work.id):
                return self._published(directory)
            spec["note"] = f"started in a new interpreter, because {answer}"
        argv = self._launchers.cold(work.call, work.arguments, work.warm)
        return self._launchers.command(
            directory, {**spec, "argv": argv, "executable": argv[0]}, work.environ, work.secrets
        )

    def _published(self, directory: str) -> Started:
        shim = records.identified(records.read(directory, records.SHIM))
        return Started(pid=shim.pid, start=shim.start) if shim else Started(pid=0, start=0)

    def _signal_shim(self, directory: str) -> None:
        """Point the living shim to the stop. One that is not there yet looks for it when it has published itself."""
        pid = self._holder(directory)
        if not pid:
            return
        if sys.platform != "linux":
            os.kill(pid, signal.SIGTERM)
            return
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(pid)
            try:
                # the pid may have gone to another process between the two: ask again, now that it is pinned
                if self._holder(directory) == pid:
                    signal.pidfd_send_signal(fd, signal.SIGTERM)
            finally:
                os.close(fd)

    def _holder(self, directory: str) -> int | None:
        with self._files:
            return records.holder(directory)

    # --- following ------------------------------------------------------------------------------------------------

    def _follow(self, attempt_id: str, started: Started | None) -> None:
        with self._lock:
            if self._closed:
                return
            one = self._followed.get(attempt_id)
            if one is None:
                one = _Followed(id=attempt_id, directory=str(self.folder / attempt_id), shim=started)
                self._followed[attempt_id] = one
            elif started is not None and one.shim is None:
                one.shim = started
            self._new.append(one)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="headgate-supervisor", daemon=True)
                self._thread.start()
        self._notices.wake()

    def _look_at(self, attempt_id: str) -> None:
        with self._lock:
            if attempt_id in self._followed and not self._closed:
                self._new.append(self._followed[attempt_id])
        self._notices.wake()

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._closed:
            ready = self._selector.select(self._pause(looked))
            due: list[_Followed] = [key.data for key, _ in ready if key.data is not None]
            heard = self._notices.heard()
            with self._lock:
                due += self._new
                due += [self._followed[name] for name in heard if name in self._followed]
                self._new = []
                all_of_them = list(self._followed.values())
            due += [one for one in all_of_them if one.soon]
            if time.monotonic() - looked >= _POLL:
                looked = time.monotonic()
                due = all_of_them
                self._launchers.reap()
            for one in dict.fromkeys(due):
                self._look_safely(one)

    def _pause(self, looked: float) -> float | None:
        with self._lock:
            if not self._followed:
                return None
            if any(one.soon for one in self._followed.values()):
                return _SOON
        return max(looked + _POLL - time.monotonic(), 0)

    def _look_safely(self, one: _Followed) -> None:
        if self._followed.get(one.id) is not one:
            return
        try:
            self._look(one)
        except OSError as error:
            # a full or read-only disk: the end cannot be written down now, so it is not told now
            self._forget_fd(one)  # a process that has ended would wake us again at once, and again
            _log.warning("cannot settle a run's end; trying again", attempt=one.id, error=str(error))
        except Exception:  # noqa: BLE001 -- who is told must not hurt the other runs
            self._forget_fd(one)
            _log.exception("following a run failed; trying again", attempt=one.id)

    def _look(self, one: _Followed) -> None:
        """See where a run stands, from what is on disk, and tell what is new."""
        one.soon = False
        if self._finish(one):
            return
        if not Path(one.directory).is_dir():
            self._without_folder(one)
            return
        holder = self._holder(one.directory)
        if holder is not None:
            self._tell_running(one)
            self._tell_progress(one)
            self._pin(one, holder)
            return
        if one.shim is not None and self._shim_on_its_way(one, one.shim):
            return
        # it may have written its record and left between the two looks
        if self._finish(one):
            return
        if not records.exists(one.directory, records.SHIM):
            self._prevent(one)
        else:
            self._without_shim(one)

    def _finish(self, one: _Followed) -> bool:
        record = records.read(one.directory, records.EXIT)
        if record is None:
            return False
        end = read_exit(record)
        if end.started:
            self._tell_running(one)
            self._tell_progress(one)
        self._told.ended(one.id, one.directory, end)
        with self._lock:
            self._forget_fd(one)
            del self._followed[one.id]
        return True

    def _tell_running(self, one: _Followed) -> None:
        if one.running_told:
            return
        shim = records.identified(records.read(one.directory, records.SHIM))
        if shim is None:
            one.soon = True
            return
        job = records.read(one.directory, records.JOB) or {}
        self._told.running(one.id, shim.handle, float(job.get("at") or time.time()))
        one.running_told = True

    def _tell_progress(self, one: _Followed) -> None:
        try:
            found = Path(one.directory, records.PROGRESS).stat()
        except OSError:
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != one.progress:
            one.progress = stamp
            self._told.progressed(one.id, one.directory)

    def _shim_on_its_way(self, one: _Followed, shim: Started) -> bool:
        """Whether the shim a launcher forked is alive but has not taken the lock yet (a millisecond's matter)."""
        if not _lives(shim):
            one.shim = None
            return False
        self._pin(one, shim.pid)
        one.soon = True
        return True

    def _pin(self, one: _Followed, pid: int) -> None:
        """Wake up when this process ends."""
        if one.pid == pid and one.fd is not None:
            return
        self._forget_fd(one)
        one.pid = pid
        if sys.platform != "linux" or pid == 0:
            one.soon = pid != 0
            return
        try:
            one.fd = os.pidfd_open(pid)
        except OSError:
            one.soon = True  # it just ended: look again
            return
        self._selector.register(one.fd, selectors.EVENT_READ, one)

    def _forget_fd(self, one: _Followed) -> None:
        if one.fd is not None:
            self._selector.unregister(one.fd)
            os.close(one.fd)
            one.fd = None

    # --- ends that no shim wrote down -----------------------------------------------------------------------------

    def _prevent(self, one: _Followed) -> None:
        """End an attempt that never started, and make sure that a shim on its way to it will refuse."""
        with self._files, records.locked(one.directory) as ours:
            if not ours or records.exists(one.directory, records.SHIM):
                one.soon = True
                return
            stopped = records.exists(one.directory, records.STOP)
            records.write(one.directory, records.SHIM, {"tombstone": True})
            record = records.ended(None, started=False, stopped=stopped, lost=not stopped)
            records.write(one.directory, records.EXIT, record)
        self._finish(one)

    def _without_folder(self, one: _Followed) -> None:
        """Follow a run whose folder was deleted under it: how it ends is not known, but that it has ended is."""
        if one.shim is not None and _lives(one.shim):
            self._pin(one, one.shim.pid)
            return
        self._forget_fd(one)
        if not tree.marked(one.id):
            self._told.ended(one.id, one.directory, Exit(code=None, at=time.time(), lost=True))
            with self._lock:
                del self._followed[one.id]

    def _without_shim(self, one: _Followed) -> None:
        """Follow a run whose shim was killed: its job goes on, and the launcher it fell to records its exit code."""
        self._forget_fd(one)
        now = time.monotonic()
        one.alone_since = one.alone_since or now
        shim = records.read(one.directory, records.SHIM) or {}
        job = records.identified(records.read(one.directory, records.JOB))
        stop = records.read(one.directory, records.STOP)
        main_exit = records.read(one.directory, records.MAIN_EXIT)
        if job is not None and main_exit is None and records.alive(job):
            self._tell_running(one)
            self._tell_progress(one)
            one.alone_since = None
            self._keep_log(one, over=False)
            if stop is not None:
                self._stop_without_shim(one, job, stop, shim.get("cgroup"))
            else:
                self._pin(one, job.pid)
            return
        launcher = records.identified(shim.get("launcher"))
        if main_exit is None and launcher and records.alive(launcher) and now - one.alone_since < _LAUNCHER_MAY_TAKE:
            one.soon = True
            return
        if not _nothing_left(one.id, shim.get("cgroup")):
            one.soon = True
            return
        with self._files, records.locked(one.directory) as ours:
            if not ours:
                one.soon = True
                return
            record = main_exit or records.ended(None, lost=True)
            record["stopped"] = bool(record.get("stopped")) or stop is not None
            self._keep_log(one, over=True)
            records.write(one.directory, records.EXIT, record)
        tree.remove_cgroup(shim.get("cgroup"))
        self._finish(one)

    def _keep_log(self, one: _Followed, *, over: bool) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the end of the log, not that of the run
            limiting.look_after(one.directory, over=over)

    def _stop_without_shim(
        self, one: _Followed, job: records.Identity, stop: records.Record, cgroup: str | None
    ) -> None:
        one.soon = True
        everyone = tree.marked(one.id, job)
        if not one.asked_to_end:
            one.asked_to_end = True
            tree.signal_all(everyone, signal.SIGTERM, signal.SIGCONT)
        elif time.time() >= float(stop["at"]) + float(stop["grace"]):
            tree.kill_cgroup(cgroup)
            tree.signal_all(everyone, signal.SIGKILL)


def _lives(shim: Started) -> bool:
    found = records.status(shim.pid)
    return found is not None and found[0] not in "ZX" and found[2] == shim.start


def _nothing_left(attempt_id: str, cgroup: str | None) -> bool:
    """Kill what a run without a shim left behind; True when nothing was there (any more)."""
    tree.kill_cgroup(cgroup)
    left = tree.marked(attempt_id)
    tree.signal_all(left, signal.SIGKILL)
    return not left and tree.cgroup_empty(cgroup)
