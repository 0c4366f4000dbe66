"""This file is where a `datahub ingest` that somebody else runs is put into our words: a run of origin `external`.

And where it is read from the system metadata of an aspect who wrote it, for ingestions that left no other trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from headgate.model import Json, RunState
from headgate.ports import Ingestion, LastWrite

ORIGIN: Final = "external"
SOURCE: Final = "urn:li:dataHubIngestionSource:"
REQUEST: Final = "urn:li:dataHubExecutionRequest:"

#: DataHub's words for how an execution request stands. Others are shown as ERROR, with the word.
STATES: Final[Mapping[str, RunState]] = {
    "RUNNING": RunState.RUNNING,
    "SUCCESS": RunState.SUCCEEDED,
    "SUCCEEDED_WITH_WARNINGS": RunState.SUCCEEDED,
    "FAILURE": RunState.FAILED,
    "UP_FOR_RETRY": RunState.WAITING,
    "TIMEOUT": RunState.TIMEOUT,
    "CANCELLED": RunState.STOPPED,
    "DUPLICATE": RunState.STOPPED,
    "ABORTED": RunState.FAILED,
}
#: What those words say that the state does not.
DETAILS: Final[Mapping[str, str]] = {
    "": "nobody has taken it yet",
    "UP_FOR_RETRY": "retry",
    "DUPLICATE": "another instance has it",
    "ABORTED": "lost",
}
_OVER: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.TIMEOUT, RunState.STOPPED, RunState.ERROR})


def ingestion_of(
    urn: str,
    *,
    task: str,
    executor: str,
    source: str,
    actor: str | None,
    requested_ms: int | None,
    status: str,
    start_ms: int | None,
    duration_ms: int | None,
) -> Ingestion:
    """One execution request, as DataHub has it.

    Args:
        urn: its own.
        task: RUN_INGEST, or the word of whoever reported it.
        executor: whose it is.
        source: URN of the ingestion source, or "".
        actor: who asked for it.
        requested_ms: when it was asked for, milliseconds since 1970.
        status: of its result; "" where there is none yet.
        start_ms: when it started.
        duration_ms: how long it took.
    """
    state = RunState.WAITING if not status else STATES.get(status, RunState.ERROR)
    started = _at(start_ms)
    long = duration_ms is not None and duration_ms >= 0
    ended = started + timedelta(milliseconds=duration_ms or 0) if started and long and state in _OVER else None
    return Ingestion(
        urn=urn,
        name=source.removeprefix(SOURCE) or task or urn.removeprefix(REQUEST),
        executor=executor,
        state=state,
        detail=DETAILS.get(status, "" if status in STATES else status),
        actor=actor,
        requested_at=_at(requested_ms),
        started_at=started,
        ended_at=ended,
    )


def milliseconds(value: Json) -> int | None:
    """A time or a duration as DataHub has it."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**14 else None


#: The aspects of a dataset that ingestions write, every one at least the last, and that nobody edits on DataHub's
#: pages. Not the schema, which may be megabytes, nor what DataHub itself adds to a dataset.
INGESTED: Final = ("datasetProperties", "subTypes", "container", "status")
_NO_RUN: Final = "no-run-id-provided"


def write_of(dataset: str, aspect: str, system: Mapping[str, Json], *, actor: str | None = None) -> LastWrite | None:
    """The last write of an aspect, by its system metadata; None where that does not say when. `actor`: if known."""
    seen = milliseconds(system.get("lastObserved"))
    at = _at(seen)
    if at is None:
        return None
    runs = [one for one in (system.get("lastRunId"), system.get("runId")) if isinstance(one, str) and one != _NO_RUN]
    stamp: Any = system.get("aspectModified") or system.get("aspectCreated")
    by: Any = cast("Mapping[str, Any]", stamp).get("actor") if isinstance(stamp, Mapping) else None
    properties: Any = system.get("properties")
    said = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else {}
    client = [one for one in (said.get("clientId"), said.get("clientVersion")) if isinstance(one, str)]
    pipeline = system.get("pipelineName")
    return LastWrite(
        dataset=dataset,
        aspect=aspect,
        at=at,
        run=runs[0] if runs else "",
        pipeline=pipeline if isinstance(pipeline, str) else "",
        actor=actor or (by if isinstance(by, str) else None),
        client=" ".join(client),
    )


def newest(writes: Iterable[LastWrite | None], most: int) -> list[LastWrite]:
    """Each dataset's newest write, the newest first."""
    found: dict[str, LastWrite] = {}
    for one in writes:
        if one is not None and (one.dataset not in found or found[one.dataset].at < one.at):
            found[one.dataset] = one
    return sorted(found.values(), key=lambda one: (-one.at.timestamp(), one.dataset))[:most]


def _at(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
