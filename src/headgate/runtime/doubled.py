"""This file is where DataHub is asked whether it schedules itself what a SCHEDULED trigger of ours would ingest.

Its answer is a minute old at most when a recipe is due. A time that comes while nobody knows waits for it; where
there is none the run starts all the same, and its decision says that DataHub could not be asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from headgate.catalog import Catalog
from headgate.errors import HeadgateError, Invalid
from headgate.flow.accept import ELSEWHERE, UNASKED
from headgate.model import Job, Json, Trigger, TriggerType
from headgate.recipes import text
from headgate.recipes.twice import Scheduled, aim_of, aim_of_text, same
from headgate.recipes.values import Resolver

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY: Final = 600.0  #: seconds between questions that nobody waits for
FRESH: Final = 60.0  #: seconds an answer counts for a time that is due
PATIENCE: Final = 30.0  #: seconds a time that is due waits for an answer


@dataclass(frozen=True, slots=True)
class _Known:
    at: float  #: by time.monotonic
    version: int  #: of the catalog it was asked about
    found: Mapping[tuple[str, str], Scheduled] = field(default_factory=dict[tuple[str, str], Scheduled])
    unclear: Mapping[tuple[str, str], Scheduled] = field(default_factory=dict[tuple[str, str], Scheduled])
    problem: str = ""


class Doubled:
    """Asks in a thread of its own, which there is once a trigger's recipe is to be asked about."""

    def __init__(
        self,
        ask: Callable[[], Sequence[Scheduled]],
        *,
        catalog: Callable[[], Catalog],
        project: Path,
        resolver: Resolver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked before `start`.

        Args:
            ask: which sources DataHub schedules; raises a HeadgateError where it cannot be asked.
            catalog: the jobs and triggers as they are.
            project: where recipes are.
            resolver: who has the values of our recipes' `${…}`.
            clock: seconds, always forward.
        """
        self._ask = ask
        self._catalog = catalog
        self._project = project
        self._resolver = resolver
        self._clock = clock
        self._known: _Known | None = None
        self._wanted_since: float | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doubled", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def said(self, trigger: Trigger, catalog: Catalog) -> Mapping[str, Json] | None:
        """What the event of a time that is due has to say of this; None: not known yet, look again soon."""
        jobs = [job.name for job in _recipes(trigger, catalog)]
        if not jobs:
            return {}
        now, known = self._clock(), self._known
        if known is None or now - known.at > FRESH or known.version < catalog.version:
            if self._wanted_since is None:
                self._wanted_since = now
                self._wake.set()
            if now - self._wanted_since < PATIENCE:
                return None
            self._wanted_since = None
            return {UNASKED: "DataHub did not say in time whether it schedules the same"}
        if known.problem:
            return {UNASKED: f"DataHub could not be asked whether it schedules the same: {known.problem}"}
        found = {name: known.found[trigger.name, name] for name in jobs if (trigger.name, name) in known.found}
        return {ELSEWHERE: {name: f"doubled: {one} ingests the same" for name, one in found.items()}} if found else {}

    def warnings(self) -> list[str]:
        """For /readyz."""
        known = self._known
        if known is None:
            return []
        said = [
            f"trigger {trigger} does not start {job}: {one} ingests the same; take one schedule off, or set"
            " unless_datahub_schedules: false"
            for (trigger, job), one in known.found.items()
        ]
        said += [
            f"trigger {trigger} starts {job}, and {one} may ingest the same: what they read differs in a variable only"
            for (trigger, job), one in known.unclear.items()
        ]
        problem = "DataHub cannot be asked whether it schedules the same as a trigger of ours, so all of them start"
        return [*said, f"{problem} ({known.problem})"] if known.problem else said

    def look(self) -> None:
        """Ask now, where there is a trigger to ask about."""
        catalog = self._catalog()
        ours = [(trigger, job) for trigger in catalog.scheduled for job in _recipes(trigger, catalog)]
        if not ours:
            self._known, self._wanted_since = None, None
            return
        try:
            theirs = self._ask()
        except HeadgateError as error:
            if self._known is None or not self._known.problem:
                _log.warning("DataHub cannot be asked which sources it schedules", why=str(error))
            self._known, self._wanted_since = _Known(self._clock(), catalog.version, problem=str(error)), None
            return
        found: dict[tuple[str, str], Scheduled] = {}
        unclear: dict[tuple[str, str], Scheduled] = {}
        aims = [(one, aim) for one in theirs if (aim := aim_of_text(one.recipe)) is not None]
        for trigger, job in ours:
            try:
                mine = aim_of(text.read_recipe(self._project / str(job.target["recipe"])), self._resolver)
            except Invalid:
                continue  # its run will say so
            if mine is None:
                continue
            for one, aim in aims:
                is_same = same(mine, aim)
                if is_same is not False:  # None: it cannot be told
                    (found if is_same else unclear).setdefault((trigger.name, job.name), one)
        self._known, self._wanted_since = _Known(self._clock(), catalog.version, found, unclear), None

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a mistake of ours here must not keep schedules from firing
                _log.exception("it could not be looked at what DataHub schedules")
                known = _Known(self._clock(), self._catalog().version, problem=f"a mistake of ours: {error}")
                self._known, self._wanted_since = known, None
            self._wake.wait(EVERY)
            self._wake.clear()


def _recipes(trigger: Trigger, catalog: Catalog) -> list[Job]:
    """The recipe jobs of a trigger that wants to know."""
    if trigger.type is not TriggerType.SCHEDULED or not trigger.enabled or not trigger.unless_datahub_schedules:
        return []
    jobs = [catalog.jobs[one.job] for one in trigger.actions if one.job in catalog.jobs]
    return [job for job in jobs if job.engine == "recipe" and job.target.get("recipe")]
