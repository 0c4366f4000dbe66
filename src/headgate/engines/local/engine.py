"""This file is where an order becomes a supervised process of this machine, and its end an ending."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from headgate.engines.local.target import Target, read_target, validate_target
from headgate.errors import EngineRefused
from headgate.job import Lake
from headgate.model import Origin
from headgate.ports import Order, Watcher
from headgate.processes import Processes, environment
from headgate.processes.running import time_limit
from headgate.supervision import logs, private
from headgate.supervision.launching import Warm
from headgate.supervision.runs import Work

_ENTRY: Final = "headgate.engines.local.entry"
_FROM_S3: Final = ["python", "-m", "headgate.engines.local.from_s3"]
_SHIMS: Final = str(Path(logs.__file__).parent / "shims")


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
        log_limit: int | None = None,
        beside: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda _environ: {},
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
            log_limit: how many bytes of a log are kept, beside its end, where the job says nothing else; None: all.
            beside: what a script of a job made through Glue's API is given beside its environment, which it is told.
        """
        self._lake = lake
        self._log_limit = log_limit
        self._project = project.absolute()
        self._environ = environ
        self._python = python
        self._beside = beside
        self._processes = Processes(home, watcher, environ=environ, python=python, warm_idle=warm_idle, cgroups=cgroups)

    def start(self, order: Order) -> str:
        target, executable = self._target(order)
        return self._processes.start(order, lambda directory: self._work(order, target, executable, directory))

    def stop(self, order: Order, *, grace: float) -> None:
        self._processes.stop(order, grace=grace)

    def adopt(self, order: Order) -> None:
        self._processes.adopt(order, environment.named(self._environ, read_target(order.job.target).env))

    def close(self) -> None:
        self._processes.close()

    def _target(self, order: Order) -> tuple[Target, str]:
        """Return what to run, and the file of its command ("" for a Python job)."""
        problems = validate_target(order.job.target, self._project)
        if problems:
            raise EngineRefused(f"job {order.job.name!r} cannot start: {'; '.join(problems)}")
        target = read_target(order.job.target)
        if not target.command or "/" in target.command[0]:
            return target, target.command[0] if target.command else self._python if target.script else ""
        path = self._processes.ordinary["PATH"]
        executable = shutil.which(target.command[0], path=path)
        if executable is None:
            raise EngineRefused(
                f"job {order.job.name!r} cannot start: there is no command {target.command[0]!r} in PATH ({path})"
            )
        return target, executable

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
        if order.job.origin is Origin.API and (target.script or list(target.command[:3]) == _FROM_S3):
            environ = {**self._beside(environ), **environ}
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
            log_limit=target.log_limit or self._log_limit,
            timeout=time_limit(order),
            masked=private.names(environ),
        )

    def _environment(self, order: Order, target: Target, directory: Path) -> dict[str, str]:
        return {
            **environment.named(self._environ, target.env),
            **self._processes.environ(order, directory),
            "HEADGATE_LAKE": self._lake.to_json(),
        }


def _glue_arguments(order: Order) -> list[str]:
    """Return argv as Glue makes it: `--KEY value` for each argument, then the job's and the run's names."""
    own = {"--JOB_NAME": order.job.name, "--JOB_RUN_ID": order.attempt_id}
    rest = {name: value for name, value in order.run.arguments.items() if name not in own}
    return [word for pair in {**rest, **own}.items() for word in pair]
