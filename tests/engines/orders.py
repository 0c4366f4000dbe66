"""This file is where engine tests get their orders, and a watcher that remembers what it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from headgate.model import Cause, Job, JobName, Json, Run, RunId, RunState, StoredObject, new_run_id
from headgate.ports import Ending, Order

T = TypeVar("T")

DEADLINE = 20.0  #: seconds any single thing may take before a test fails


def order(
    target: Mapping[str, Json],
    *,
    arguments: Mapping[str, str] | None = None,
    timeout: float | None = None,
    manifest: Sequence[StoredObject] | None = None,
    run_id: RunId | None = None,
    external_id: str | None = None,
    cause: Cause | None = None,
) -> Order:
    job = Job(name=JobName("tested"), engine="local", target=target, timeout=None)
    run = Run(
        id=run_id or new_run_id(),
        seq=1,
        job=job.name,
        engine=job.engine,
        state=RunState.STARTING,
        detail="",
        attempt=0,
        cause=cause or Cause(),
        arguments=arguments or {},
        external_id=external_id,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
        error=None,
        result={},
        timeout=timeout,
    )
    return Order(run=run, job=job, attempt_id=run.id, manifest=lambda: manifest)


class Recorder:
    """A watcher that remembers, and lets a test wait for what it wants to hear."""

    def __init__(self) -> None:
        self._heard = threading.Condition()
        self.handles: dict[str, list[str]] = {}
        self.progress: dict[str, list[Mapping[str, Json]]] = {}
        self.endings: dict[str, list[Ending]] = {}

    def running(self, attempt_id: str, external_id: str, at: datetime) -> None:
        assert at.tzinfo is not None
        self._remember(self.handles, attempt_id, external_id)

    def progressed(self, attempt_id: str, values: Mapping[str, Json]) -> None:
        self._remember(self.progress, attempt_id, values)

    def ended(self, attempt_id: str, ending: Ending) -> None:
        self._remember(self.endings, attempt_id, ending)

    def wait_running(self, attempt_id: str) -> str:
        return self._wait(self.handles, attempt_id)[-1]

    def wait_progress(self, attempt_id: str) -> Mapping[str, Json]:
        return self._wait(self.progress, attempt_id)[-1]

    def wait_ended(self, attempt_id: str) -> Ending:
        return self._wait(self.endings, attempt_id)[-1]

    def _remember(self, where: dict[str, list[T]], attempt_id: str, what: T) -> None:
        with self._heard:
            where.setdefault(attempt_id, []).append(what)
            self._heard.notify_all()

    def _wait(self, where: dict[str, list[T]], attempt_id: str) -> list[T]:
        with self._heard:
            heard = self._heard.wait_for(lambda: where.get(attempt_id), DEADLINE)
        assert heard, f"nothing heard of {attempt_id} within {DEADLINE} s; endings so far: {self.endings}"
        return heard


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for: {what}"
        time.sleep(0.005)
