"""This file is where a run becomes OpenLineage: what is noted when it starts and ends, and the event made of it later.

The note is written in the transaction that starts or ends the run, so it is as small as can be; the event is made of
the run when it is sent. Facets and their versions are those of the OpenLineage specification 2-0-2.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from headgate.errors import Invalid
from headgate.flow.click import DATASET
from headgate.flow.resolve import Dataset, parse_dataset
from headgate.model import Event, Job, Json, Run, RunState
from headgate.ports import Message, Started

CHANNEL: Final = "openlineage"  #: what is told to DataHub, in one order
URL_CHANNEL: Final = "openlineage-url"  #: what is told to OPENLINEAGE_URL, in one order
#: The key of a run's result that holds what the job says of its datasets: {"inputs": [...], "outputs": [...]}.
KEY: Final = "openlineage"

_PRODUCER: Final = "urn:headgate"
_SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS: Final = "https://openlineage.io/spec/facets"
_OWN: Final = "urn:headgate:facets:1-0-0:HeadgateRunFacet"
_MOST_DATASETS: Final = 1_000  #: of one side; what a job says beyond is left out

KINDS: Final[Mapping[RunState, str]] = {
    RunState.SUCCEEDED: "COMPLETE",
    RunState.FAILED: "FAIL",
    RunState.TIMEOUT: "FAIL",
    RunState.ERROR: "FAIL",
    RunState.STOPPED: "ABORT",
    RunState.EXPIRED: "ABORT",
}


@dataclass(frozen=True, slots=True)
class Noting:
    """Makes the notes, for each channel there is. Pure, since it is called inside the ledger's transactions."""

    channels: Sequence[str] = ()

    def started(self, started: Started) -> Sequence[Message]:
        """For `Ledger.announce_start`."""
        kind = "RUNNING" if started.attempt else "START"
        return self._notes(started.run, kind, started.at)

    def ended(self, run: Run) -> Sequence[Message]:
        """A run that is over."""
        return self._notes(run.id, KINDS[run.state], run.ended_at or datetime.now(UTC))

    def _notes(self, run: str, kind: str, at: datetime) -> Sequence[Message]:
        return [Message(one, "", {"run": run, "kind": kind, "at": at.isoformat()}) for one in self.channels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What of a run is not in the run: who it is told as, and by what version."""

    namespace: str = "headgate"  #: of jobs
    version: str


def uuid_of(run: str) -> str:
    """The UUID a run has in OpenLineage: the first 128 bits of its id, so that either finds the other."""
    digits = run.removeprefix("jr_")[:32]
    try:
        return str(uuid.UUID(hex=digits))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_PRODUCER}:{run}"))


def event_of(
    run: Run, kind: str, at: datetime, telling: Telling, *, job: Job | None, event: Event | None, dataset: str | None
) -> dict[str, Any]:
    """One OpenLineage RunEvent.

    Args:
        run: as it is now.
        kind: START, RUNNING, COMPLETE, FAIL or ABORT.
        at: when that happened.
        telling: see there.
        job: the run's, if it is still known.
        event: what caused the run, if it is still known.
        dataset: URN of the dataset the run was asked for, which is then one of its outputs.
    """
    inputs, outputs = _datasets(run)
    if dataset is not None:
        outputs = _with_dataset(outputs, dataset)
    return {
        "eventType": kind,
        "eventTime": _time(at),
        "producer": _PRODUCER,
        "schemaURL": _SPEC,
        "run": {"runId": uuid_of(run.id), "facets": _run_facets(run, kind, telling, event)},
        "job": {"namespace": telling.namespace, "name": run.job, "facets": _job_facets(job)},
        "inputs": inputs,
        "outputs": outputs,
    }


def dataset_of(run: Run) -> str | None:
    """The dataset a run was asked for, if it was asked for one and that is a dataset's URN."""
    found = run.arguments.get(DATASET)
    try:
        return found if found and parse_dataset(found) else None
    except Invalid:
        return None


def environment_of(dataset: str) -> str:
    """The environment in a dataset's URN."""
    return parse_dataset(dataset).environment


def _run_facets(run: Run, kind: str, telling: Telling, event: Event | None) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "processing_engine": _facet(
            "1-1-1/ProcessingEngineRunFacet",
            name="headgate",
            version=telling.version,
            openlineageAdapterVersion="2-0-2",
        ),
        "nominalTime": _facet(
            "1-0-1/NominalTimeRunFacet",
            nominalStartTime=_time(event.at if event is not None and event.door == "schedule" else run.created_at),
        ),
        "headgate": {
            "_producer": _PRODUCER,
            "_schemaURL": _OWN,
            **{
                name: value
                for name, value in (
                    ("run", run.id),
                    ("engine", run.engine),
                    ("attempt", run.attempt),
                    ("trigger", run.cause.trigger),
                    ("actor", run.cause.actor),
                    ("reason", run.cause.reason),
                    ("detail", run.detail),
                )
                if value not in (None, "")
            },
        },
    }
    if run.predecessors:
        first = run.predecessors[0]
        facets["parent"] = _facet(
            "1-2-0/ParentRunFacet",
            run={"runId": uuid_of(first.run)},
            job={"namespace": telling.namespace, "name": first.job},
        )
    if kind in ("FAIL", "ABORT"):
        facets["errorMessage"] = _facet(
            "1-0-1/ErrorMessageRunFacet",
            message=run.error or run.detail or f"the run ended {run.state}",
            programmingLanguage="PYTHON",
        )
    return facets


def _job_facets(job: Job | None) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "jobType": _facet("2-0-4/JobTypeJobFacet", processingType="BATCH", integration="HEADGATE", jobType="JOB")
    }
    if job is not None and job.description:
        facets["documentation"] = _facet("1-1-0/DocumentationJobFacet", description=job.description)
    return facets


def _facet(name: str, /, **values: object) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_FACETS}/{name}.json", **values}


def _datasets(run: Run) -> tuple[list[Any], list[Any]]:
    """What the job said of its datasets; nothing where it said nothing, or something else than datasets."""
    said = run.result.get(KEY)
    if not isinstance(said, Mapping):
        return [], []
    sides = cast("Mapping[str, Json]", said)
    return _side(sides.get("inputs")), _side(sides.get("outputs"))


def _side(said: Json) -> list[Any]:
    if not isinstance(said, list):
        return []
    found: list[Any] = []
    for one in cast("list[Json]", said)[:_MOST_DATASETS]:
        named = cast("Mapping[str, Json]", one) if isinstance(one, Mapping) else {}
        if isinstance(named.get("namespace"), str) and isinstance(named.get("name"), str):
            found.append(one)
    return found


def _with_dataset(outputs: list[Any], urn: str) -> list[Any]:
    asked = _named(parse_dataset(urn))
    known = {(one["namespace"], one["name"]) for one in outputs}
    return outputs if (asked["namespace"], asked["name"]) in known else [*outputs, asked]


def _named(dataset: Dataset) -> dict[str, str]:
    """A dataset of DataHub in OpenLineage's words: a namespace without a scheme is a platform's name."""
    return {"namespace": dataset.platform, "name": dataset.name}


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
