"""This file is where an order becomes a supervised process of this machine, and its end an ending."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from headgate.engines.local import environment
from headgate.engines.local.ending import ending_of
from headgate.engines.local.target import Target, read_target, validate_target
from headgate.errors import EngineRefused, EngineUnavailable
from headgate.job import Lake, write_manifest
from headgate.ports import Order, Watcher
from headgate.supervision import logs, records
from headgate.supervision.launching import Launchers, Warm
from headgate.supervision.runs import Exit, Work
from headgate.supervision.supervisor import Supervisor

_ENTRY: Final = "headgate.engines.local.entry"
_SHIMS: Final = str(Path(logs.__file__).parent / "shims")
_ARGUMENTS: Final = "arguments.json"
_MANIFEST: Final = "manifest.jsonl"
_LARGEST_PROGRESS: Final = 1 << 16  #: bytes


class LocalEngine:
    """Runs as processes of this machine; how a start is found again is in the package's docstring."""

    name = "local"
    threads = 8
    here_only = True

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        lake: Lake,
        project: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        python: str = sys.executable,
        warm_idle: float = 300.0,
        cgroups: bool = True,
    ) -> None:
        """Nothing is started here; the first launcher comes with the first run.

        Args:
            home: HEADGATE_HOME; run directories are below its `logs` folder.
            watcher: who is told.
            lake: handed to jobs as HEADGATE_LAKE.
            project: folder of headgate.yaml; scripts, modules and `cwd` are looked for from there.
            environ: what the allow-list and a job's `env` names are taken from.
            python: the interpreter of Python jobs and of the supervising processes.
            warm_idle: seconds after which an idle warm launcher (an interpreter with a job's modules) ends.
            cgroups: use a writable cgroup v2 where there is one.
        """
        self._home = home.absolute()
        self._watcher = watcher
        self._lake = lake
        self._project = project.absolute()
        self._environ = environ
        self._python = python
        self._ordinary = environment.ordinary(environ, python=python)
        folder = log_folder(self._home)
        self._launchers = Launchers(
            folder / "launchers.log", self._ordinary, python=python, warm_idle=warm_idle, cgroups=cgroups
        )
        self._supervisor = Supervisor(folder, _Told(watcher), self._launchers)

    def start(self, order: Order) -> str:
        target, executable = self._target(order)
        directory = self._supervisor.directory(order.attempt_id)
        if not self._supervisor.begun(order.attempt_id):
            try:
                self._hand_over(order, directory)
            except OSError as error:
                raise EngineUnavailable(f"{directory} cannot be written: {error.strerror}") from error
        return self._supervisor.start(self._work(order, target, executable, directory))

    def stop(self, order: Order, *, grace: float) -> None:
        self._supervisor.stop(order.attempt_id, grace=grace)

    def adopt(self, order: Order) -> None:
        self._supervisor.adopt(order.attempt_id)

    def close(self) -> None:
        self._supervisor.close()

    def _target(self, order: Order) -> tuple[Target, str]:
        """Return what to run, and the file of its command ("" for a Python job)."""
        problems = validate_target(order.job.target, self._project)
        if problems:
            raise EngineRefused(f"job {order.job.name!r} cannot start: {'; '.join(problems)}")
        target = read_target(order.job.target)
        if not target.command or "/" in target.command[0]:
            return target, target.command[0] if target.command else self._python if target.script else ""
        path = self._ordinary["PATH"]
        executable = shutil.which(target.command[0], path=path)
        if executable is None:
            raise EngineRefused(
                f"job {order.job.name!r} cannot start: there is no command {target.command[0]!r} in PATH ({path})"
            )
        return target, executable

    def _hand_over(self, order: Order, directory: Path) -> None:
        """Write the files a job reads. Arguments are no place for secrets: those come by `env`, never to disk."""
        text = json.dumps(dict(order.run.arguments), ensure_ascii=False)
        (directory / _ARGUMENTS).write_text(text, "utf-8")
        manifest = order.manifest()
        if manifest is not None:
            write_manifest(directory / _MANIFEST, manifest)

    def _work(self, order: Order, target: Target, executable: str, directory: Path) -> Work:
        call, warm, argv, arguments = "", None, list(target.command), ()
        environ = self._environment(order, target, directory)
        if target.run:
            call, arguments = f"{_ENTRY}:call", (target.module, target.function)
            # modules of one top-level package share a launcher, and with it what they import
            name = target.module.partition(".")[0]
            warm = Warm(name=name, modules=(_ENTRY, f"{target.module}:{target.function}"), path=(str(self._project),))
        elif target.script:
            argv = [self._python, str(self._project / target.script), *_glue_arguments(order)]
            environ["PYTHONPATH"] = os.pathsep.join(
                filter(None, (_SHIMS, str(self._project), environ.get("PYTHONPATH")))
            )
        return Work(
            id=order.attempt_id,
            cwd=str(self._project / target.cwd),
            environ=environ,
            argv=argv,
            executable=executable,
            call=call,
            arguments=arguments,
            warm=warm,
            memory=target.memory,
            cpu=target.cpu,
            timeout=order.run.timeout if order.run.timeout is not None else order.job.timeout,
        )

    def _environment(self, order: Order, target: Target, directory: Path) -> dict[str, str]:
        environ = {
            **self._ordinary,
            **environment.named(self._environ, target.env),
            "HEADGATE_HOME": str(self._home),
            "HEADGATE_RUN_ID": order.run.id,
            "HEADGATE_JOB": order.job.name,
            "HEADGATE_ARGUMENTS": str(directory / _ARGUMENTS),
            "HEADGATE_RESULT": str(directory / records.RESULT),
            "HEADGATE_PROGRESS": str(directory / records.PROGRESS),
            "HEADGATE_LAKE": self._lake.to_json(),
            records.ATTEMPT: order.attempt_id,
        }
        if (directory / _MANIFEST).exists():
            environ["HEADGATE_MANIFEST"] = str(directory / _MANIFEST)
        return environ


class _Told:
    """Translates what the supervisor tells into what a watcher is told."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def running(self, attempt_id: str, handle: str, at: float) -> None:
        self._watcher.running(attempt_id, handle, datetime.fromtimestamp(at, UTC))

    def progressed(self, attempt_id: str, directory: str) -> None:
        file = Path(directory, records.PROGRESS)
        if file.stat().st_size <= _LARGEST_PROGRESS and (values := records.read(directory, records.PROGRESS)):
            self._watcher.progressed(attempt_id, values)

    def ended(self, attempt_id: str, directory: str, end: Exit) -> None:
        self._watcher.ended(attempt_id, ending_of(end, Path(directory)))


def log_folder(home: Path) -> Path:
    return home / "logs"


def read_log(home: Path, attempt_id: str, offset: int = 0, limit: int = 1 << 16) -> tuple[str, int, bool]:
    """Return text of an attempt's log: see `headgate.supervision.logs.read_log`."""
    return logs.read_log(log_folder(home), attempt_id, offset, limit)


def _glue_arguments(order: Order) -> list[str]:
    """Return argv as Glue makes it: `--KEY value` for each argument, then the job's and the run's names."""
    own = {"--JOB_NAME": order.job.name, "--JOB_RUN_ID": order.attempt_id}
    rest = {name: value for name, value in order.run.arguments.items() if name not in own}
    return [word for pair in {**rest, **own}.items() for word in pair]
