"""This file is where an order becomes a supervised process of this machine, whatever it runs, and its end an ending."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.errors import EngineUnavailable
from headgate.job import write_manifest
from headgate.ports import Order, Watcher
from headgate.processes import environment
from headgate.processes.ending import ending_of
from headgate.processes.hiding import Hiding
from headgate.supervision import logs, private, records
from headgate.supervision.launching import Launchers
from headgate.supervision.runs import Exit, Work
from headgate.supervision.supervisor import Supervisor

_ARGUMENTS: Final = "arguments.json"
_MANIFEST: Final = "manifest.jsonl"
_LARGEST_PROGRESS: Final = 1 << 16  #: bytes


class Processes:
    """The processes of one engine. Safe from any thread; nothing is started before the first run."""

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        *,
        environ: Mapping[str, str],
        python: str = sys.executable,
        warm_idle: float = 300.0,
        cgroups: bool = True,
        reports: bool = False,
    ) -> None:
        """Nothing is started here; the first launcher comes with the first run.

        Args:
            home: HEADGATE_HOME; run directories are below its `logs` folder.
            watcher: who is told.
            environ: what the allow-list is taken from.
            python: the interpreter of the supervising processes, and of Python jobs that name no other.
            warm_idle: seconds after which an idle warm launcher (an interpreter with a job's modules) ends.
            cgroups: use a writable cgroup v2 where there is one.
            reports: whoever ends well leaves a result; without one the run is FAILED.
        """
        self.home = home.absolute()
        self.ordinary = environment.ordinary(environ, python=python)  #: the variables any process may have
        folder = log_folder(self.home)
        launchers = Launchers(
            folder / "launchers.log", self.ordinary, python=python, warm_idle=warm_idle, cgroups=cgroups
        )
        self._hiding = Hiding()
        self._supervisor = Supervisor(folder, _Told(watcher, self._hiding, reports=reports), launchers)

    def start(self, order: Order, make: Callable[[Path], Work]) -> str:
        """Start what `make` makes of the run directory, which has the order's files by then; answers its handle.

        It is made, and its files are written, once: a start that is found again has both.

        Raises:
            EngineUnavailable: no process can be started now, or the disk is full, read-only or gone.
            EngineRefused: its environment is too large.
        """
        directory = self._supervisor.directory(order.attempt_id)
        try:
            if not self._supervisor.begun(order.attempt_id):
                _hand_over(order, directory)
            work = make(directory)
        except OSError as error:
            raise EngineUnavailable(f"{directory} cannot be written: {error.strerror}") from error
        secret = [value for name, value in work.secrets.items() if name not in work.plain]
        self._hiding.learn(order.attempt_id, [*secret, *private.texts(work.environ, work.masked)])
        try:
            return self._supervisor.start(work)
        except BaseException:
            self._hiding.forget(order.attempt_id)
            raise

    def begun(self, order: Order) -> str | None:
        """The handle of an earlier start, followed from here on; None where there was none."""
        if not self._supervisor.begun(order.attempt_id):
            return None
        directory = str(self._supervisor.directory(order.attempt_id))
        self._supervisor.adopt(order.attempt_id)
        shim = records.identified(records.read(directory, records.SHIM))
        return shim.handle if shim else order.attempt_id

    def stop(self, order: Order, *, grace: float) -> None:
        self._supervisor.stop(order.attempt_id, grace=grace)

    def adopt(self, order: Order, named: Mapping[str, str] | None = None) -> None:
        """Follow an order that an earlier process started; `named` are the variables its job asks for."""
        self._hiding.learn(order.attempt_id, private.texts(named or {}, named or ()))
        self._supervisor.adopt(order.attempt_id)

    def close(self) -> None:
        self._supervisor.close()

    def environ(self, order: Order, directory: Path) -> dict[str, str]:
        """The variables of the order's process: the ordinary ones, and ours."""
        found = {
            **self.ordinary,
            "HEADGATE_HOME": str(self.home),
            "HEADGATE_RUN_ID": order.run.id,
            "HEADGATE_JOB": order.job.name,
            "HEADGATE_ARGUMENTS": str(directory / _ARGUMENTS),
            "HEADGATE_RESULT": str(directory / records.RESULT),
            "HEADGATE_PROGRESS": str(directory / records.PROGRESS),
            records.ATTEMPT: order.attempt_id,
        }
        if (directory / _MANIFEST).exists():
            found["HEADGATE_MANIFEST"] = str(directory / _MANIFEST)
        return found


class _Told:
    """Translates what the supervisor tells into what a watcher is told."""

    def __init__(self, watcher: Watcher, hiding: Hiding, *, reports: bool) -> None:
        self._watcher = watcher
        self._hiding = hiding
        self._reports = reports

    def running(self, attempt_id: str, handle: str, at: float) -> None:
        self._watcher.running(attempt_id, handle, datetime.fromtimestamp(at, UTC))

    def progressed(self, attempt_id: str, directory: str) -> None:
        file = Path(directory, records.PROGRESS)
        if file.stat().st_size <= _LARGEST_PROGRESS and (values := records.read(directory, records.PROGRESS)):
            self._watcher.progressed(attempt_id, self._hiding.value(attempt_id, values))

    def ended(self, attempt_id: str, directory: str, end: Exit) -> None:
        self._hiding.files(attempt_id, Path(directory))
        self._watcher.ended(attempt_id, ending_of(end, Path(directory), reports=self._reports))


def time_limit(order: Order) -> float | None:
    """Seconds the order may run."""
    return order.run.timeout if order.run.timeout is not None else order.job.timeout


def log_folder(home: Path) -> Path:
    return home / "logs"


def read_log(home: Path, attempt_id: str, offset: int = 0, limit: int = 1 << 16) -> tuple[str, int, bool]:
    """Return text of an attempt's log: see `headgate.supervision.logs.read_log`."""
    return logs.read_log(log_folder(home), attempt_id, offset, limit)


def _hand_over(order: Order, directory: Path) -> None:
    """Write the files a job reads. Arguments are no place for secrets: those come by pipe, never to disk."""
    text = json.dumps(dict(order.run.arguments), ensure_ascii=False)
    (directory / _ARGUMENTS).write_text(text, "utf-8")
    manifest = order.manifest()
    if manifest is not None:
        write_manifest(directory / _MANIFEST, manifest)
