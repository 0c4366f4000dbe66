"""This file is where an order becomes the process that runs a recipe."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from headgate.engines.recipe.target import Target, read_target
from headgate.engines.recipe.variables import Handed, Server, handed
from headgate.errors import CannotUnseal, EngineRefused, EngineUnavailable, Forbidden, Invalid, NotFound, Unavailable
from headgate.ports import Order, Watcher
from headgate.processes import Processes
from headgate.processes.running import time_limit
from headgate.recipes import building, entry, targeted, text, warming
from headgate.recipes.environments import Environments, requirements_of, uv_variables
from headgate.recipes.values import Environment, Resolver, plain_names, values_of
from headgate.supervision import private
from headgate.supervision.launching import Warm
from headgate.supervision.runs import Work


class _Wanted(NamedTuple):
    """What an order comes to."""

    target: Target
    document: text.Document
    given: Handed
    needed: list[str]
    mixed: frozenset[str]  #: names of values that may be no secrets


class _Called(NamedTuple):
    """What a recipe's process begins with."""

    call: str
    arguments: tuple[str, ...]
    warm: Warm | None
    environ: Mapping[str, str]


class RecipeEngine:
    """Runs as processes that ingest; how a start is found again is in the package's docstring."""

    name = "recipe"
    threads = 4
    here_only = True

    def __init__(
        self,
        home: Path,
        watcher: Watcher,
        project: Path,
        *,
        resolver: Resolver | None = None,
        server: Callable[[], Server] = Server,
        environ: Mapping[str, str] = os.environ,
        python: str = sys.executable,
        warm_idle: float = 900.0,
        cgroups: bool = True,
        log_limit: int | None = None,
    ) -> None:
        """Nothing is started here; the first launcher comes with the first run.

        Args:
            home: HEADGATE_HOME; run directories are below its `logs` folder.
            watcher: who is told.
            project: folder of headgate.yaml; recipes, and what they name by a relative path, are looked for from there.
            resolver: who has the values of `${NAME}`; by default the environment.
            server: the DataHub that recipes without a sink write to.
            environ: what the allow-list, a job's `env` names and AWS's credentials are taken from.
            python: the interpreter of the supervising processes, and of recipes without a version of their own.
            warm_idle: seconds after which an idle process with a set of plugins ends.
            cgroups: use a writable cgroup v2 where there is one.
            log_limit: how many bytes of a log are kept, beside its end, where the job says nothing else; None: all.
        """
        self._project = project.absolute()
        self._environ = environ
        self._log_limit = log_limit
        self._resolver = resolver or Environment(environ)
        self._server = server
        self._folder = home.absolute() / "environments"
        self._environments = Environments(self._folder, python=python)
        self._processes = Processes(
            home, watcher, environ=environ, python=python, warm_idle=warm_idle, cgroups=cgroups, reports=True
        )

    def start(self, order: Order) -> str:
        known = self._processes.begun(order)
        if known is not None:  # nobody is asked for a secret for it again
            return known
        try:
            target = read_target(order, self._project)
            document = target.document()
            if target.tables:
                targeted.check(document)
            elif changed := _changed(order, document):
                target = replace(target, tables=changed)
            needed = self._requirements(target, document)
            found = values_of(document, self._resolver, foreign=target.foreign)
        except (Invalid, NotFound, Forbidden, CannotUnseal) as error:
            raise EngineRefused(f"job {order.job.name!r} cannot start: {error}") from error
        except Unavailable as error:
            raise EngineUnavailable(f"job {order.job.name!r} cannot start now: {error}") from error
        given = handed(document, target, found, environ=self._environ, server=self._server)
        wanted = _Wanted(target, document, given, needed, found.mixed)
        return self._processes.start(order, lambda directory: self._work(order, directory, wanted))

    def stop(self, order: Order, *, grace: float) -> None:
        self._processes.stop(order, grace=grace)

    def adopt(self, order: Order) -> None:
        self._processes.adopt(order)

    def close(self) -> None:
        self._processes.close()

    def _requirements(self, target: Target, document: text.Document) -> list[str]:
        """What has to be installed for it; nothing when what is installed will do. Raises Invalid."""
        try:
            installed = importlib.metadata.version("acryl-datahub")
        except importlib.metadata.PackageNotFoundError:
            installed = ""
        return requirements_of(
            target.version,
            types=text.part_types(document),
            plugins=target.plugins,
            requirements=target.requirements,
            installed=installed,
        )

    def _called(self, document: text.Document, needed: list[str], given: Handed) -> _Called:
        """What to call for it, and where: in a warm process, or in one that installs DataHub first."""
        names = (",".join(given.quiet), ",".join(given.brought))
        python = self._environments.find(needed) if needed else ""
        if python is None:
            arguments = (str(self._folder), json.dumps(needed), *names)
            return _Called(f"{building.__name__}:build", arguments, None, uv_variables(self._environ))
        types = text.part_types(document)
        named = [f"{part}={name}" for part, names in sorted(types.items()) for name in names]
        warm = Warm(
            name=" ".join(["recipe", *named]),
            modules=warming.wanted(types),
            path=(str(self._project),),
            python=python,
            source=self._environments.source() if python else "",
        )
        return _Called(f"{entry.__name__}:ingest", names, warm, {})

    def _work(self, order: Order, directory: Path, wanted: _Wanted) -> Work:
        target, document, given = wanted.target, wanted.document, wanted.given
        plain = [*plain_names(document, given.values, wanted.mixed), *given.plain]
        recipe = entry.Order(
            recipe=document, debug=target.debug, task=target.task, plain=plain, tables=list(target.tables)
        )
        (directory / entry.ORDER).write_text(json.dumps(recipe), "utf-8")
        called = self._called(document, wanted.needed, given)
        environ = {**given.environ, **called.environ, **self._processes.environ(order, directory)}
        return Work(
            id=order.attempt_id,
            cwd=str(self._project),
            environ=environ,
            call=called.call,
            arguments=called.arguments,
            warm=called.warm,
            memory=target.memory,
            cpu=target.cpu,
            log_limit=target.log_limit or self._log_limit,
            timeout=time_limit(order),
            secrets=given.values,
            plain=plain,
            masked=private.names(environ),
        )


def _changed(order: Order, document: text.Document) -> Sequence[str]:
    """The tables whose change the run was started for, where its recipe can be asked for these alone."""
    if not order.run.objects or not targeted.fits(document):
        return ()
    return tuple(dict.fromkeys(one.key for one in order.manifest() or () if one.in_catalog and "." in one.key))
