"""This file is where the seams are: what the flow asks of the ledger, of engines, of reporters and of the clock.

The docstrings are the promises; every implementation passes the same contract suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from headgate.catalog import Catalog
from headgate.model import Job, Json, Run, RunId, RunState, StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt of a run, as it is handed to an engine."""

    run: Run
    job: Job
    attempt_id: str  #: the run's id, or `<id>_attempt_<n>`
    manifest: Callable[[], Sequence[StoredObject] | None]  #: read from the ledger when the engine wants it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended, by what the engine really saw."""

    state: RunState  #: SUCCEEDED, FAILED, STOPPED, TIMEOUT or ERROR
    at: datetime
    error: str | None = None
    detail: str = ""  #: e.g. `lost`, `dispatched`, `exit 3`
    result: Mapping[str, Json] = field(default_factory=dict[str, Json])
    retryable: bool = True


class Watcher(Protocol):
    """Who an engine tells. Safe from any thread, returns at once, and may be told the same thing twice."""

    def running(self, attempt_id: str, external_id: str, at: datetime) -> None: ...
    def progressed(self, attempt_id: str, values: Mapping[str, Json]) -> None: ...
    def ended(self, attempt_id: str, ending: Ending) -> None: ...


class Engine(Protocol):
    """Somewhere a run can happen.

    We may crash between starting a run and noting its handle, so `start` may come twice for one attempt: it must find
    the first start and return its handle. An attempt's end is told to the watcher exactly once per start or adopt in
    this process, and only when nothing of the attempt runs any more; it may be told before `start` returns.
    """

    name: str
    threads: int  #: how many `start` calls may be under way at a time
    here_only: bool  #: what it runs can be found again only at the place (machine and home) it was started from

    def start(self, order: Order) -> str:
        """Start the attempt and return the engine's own id of it.

        Raises:
            EngineRefused: it can never start (bad target, missing script); the run FAILS without a retry.
            EngineUnavailable: not now; the run waits and is offered again.
            EngineInDoubt: not now, and it may have been started; it counts as being started, and is offered again.
        """
        ...

    def stop(self, order: Order, *, grace: float) -> None:
        """Ask the attempt and everything it started to end: politely, and after `grace` seconds by force.

        Returns at once; the end is told to the watcher. Harmless when it has ended or was asked before. An attempt
        that never started here is ended STOPPED and can not start later.
        """
        ...

    def adopt(self, order: Order) -> None:
        """Take up an attempt that another process (or this one, earlier) started, from what it left behind.

        If it still runs, its log and its end are followed from here on. If it is over, its true end is told. If no
        trace of it is found the watcher is told FAILED with `detail: lost`, and a late start of it is prevented.
        """
        ...

    def close(self) -> None:
        """Stop watching. What runs goes on running."""
        ...


class Reporter(Protocol):
    """Someone who is told. What it raises is logged and retried from the outbox; it can hurt nobody."""

    @property
    def name(self) -> str: ...

    def report(self, kind: str, payload: Mapping[str, Json]) -> None: ...


@dataclass(frozen=True, slots=True)
class Started:
    """An engine has it."""

    run: RunId
    attempt: int
    external_id: str
    at: datetime
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it says it is."""

    run: RunId
    attempt: int
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Postponed:
    """The engine could not start it now: back into the queue, without counting as an attempt.

    `held`: it may run there all the same, so it stays STARTING and keeps its place; the dispatcher asks again.
    """

    run: RunId
    attempt: int
    why: str
    not_before: float
    held: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    run: RunId
    attempt: int
    ending: Ending


#: The reason of a stop that the run's own time limit asked for.
TIMED_OUT: Final = "timeout"


@dataclass(frozen=True, slots=True)
class Stop:
    run: RunId
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be told, kept in the outbox until it is."""

    channel: str
    subject: str
    payload: Mapping[str, Json]


#: Given a run that is over and whether its job's last end was a failure: who is to be told what.
Announce = Callable[[Run, bool], Sequence[Message]]


#: Given a start that is being written: who is to be told what.
AnnounceStart = Callable[[Started], Sequence[Message]]


class RunLedger(Protocol):
    """What dispatching and watching ask of the ledger. Writes are durable when their future is done, not before."""

    id: str  #: this replica

    @property
    def catalog(self) -> Catalog: ...
    def started(self, started: Started) -> Future[None]: ...
    def progressed(self, progress: Progress) -> Future[None]: ...
    def postponed(self, postponed: Postponed) -> Future[None]: ...
    def ended(self, ended: Ended) -> Future[RunState | None]:
        """Write an attempt's end and all that follows from it, once; None where it is not ours or was told before."""
        ...

    def manifest(self, run: RunId) -> Sequence[StoredObject] | None: ...


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller showed us. It is shown to DataHub, and to nobody else; it is neither kept nor logged."""

    authorization: str = field(default="", repr=False)  #: the whole header, `Bearer …`
    cookie: str = field(default="", repr=False)  #: the whole header, with the frontend's session


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom DataHub knows a credential as."""

    actor: str  #: urn:li:corpuser:NAME
    privileges: frozenset[str] = frozenset()  #: on the platform as a whole, e.g. MANAGE_INGESTION


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """What DataHub knows of a dataset."""

    urn: str
    exists: bool  #: not so when it was deleted softly
    tags: Sequence[str] = ()  #: URNs


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One change of one aspect (DataHub's MetadataChangeProposal), the aspect as a plain JSON object."""

    entity_type: str
    entity_urn: str
    aspect_name: str
    aspect: Mapping[str, Json] | Sequence[Json]  #: with PATCH a list of operations, or the envelope with array keys
    change_type: str = "UPSERT"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])  #: e.g. {"If-Version-Match": "-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """A `datahub ingest` that DataHub knows of, whoever ran it."""

    urn: str  #: of the execution request
    name: str  #: what it ingests: the ingestion source's id, or the task
    executor: str
    state: RunState
    detail: str = ""
    actor: str | None = None
    requested_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWrite:
    """Who wrote a dataset's metadata last, by what DataHub notes beside every aspect."""

    dataset: str  #: URN
    aspect: str  #: the one that was seen last
    at: datetime
    run: str = ""  #: the run id its writer gave
    pipeline: str = ""  #: the name of the pipeline
    actor: str | None = None
    client: str = ""  #: e.g. `acryl-datahub 1.7.0.17`


class DataHub(Protocol):
    """What we ask of DataHub, or of the embedded catalog in its place. Safe from any thread; every call is bounded.

    Every method may raise Unavailable: DataHub is away, too slow, or answers what is no answer.
    """

    def identify(self, credential: Credential) -> Identity:
        """Raises NotAuthenticated: DataHub does not take the credential."""
        ...

    def privileges(self, credential: Credential, identity: Identity, dataset: str) -> frozenset[str]:
        """What the caller may do with the dataset, asked with the caller's own credential."""
        ...

    def dataset(self, urn: str) -> DatasetFacts: ...

    def producers(self, dataset: str) -> Sequence[str]:
        """DataJobs that produce the dataset: the newest run's first, then others whose lineage says so."""
        ...

    def produces(self, job: str, dataset: str) -> bool:
        """Whether this DataJob produces the dataset, by a run of it or by its lineage."""
        ...

    def property_of(self, job: str, prop: str) -> str | None:
        """The one text value of a structured property (its URN) of a DataJob."""
        ...

    def aspect(self, urn: str, name: str) -> Mapping[str, Json] | None:
        """The newest version of an aspect; None where there is none."""
        ...

    def ingestions(self, *, most: int, executor: str | None = None) -> Sequence[Ingestion]:
        """The newest execution requests, newest first; with `executor` those of this executor id.

        Raises:
            Forbidden: our own credential may not list them (it needs MANAGE_INGESTION).
        """
        ...

    def last_writes(self, *, most: int) -> Sequence[LastWrite]:
        """Who wrote datasets last, newest first: a sample, in a few calls, of what ingestions write.

        What people edit by hand (tags, owners, descriptions) is left out.
        """
        ...

    def emit(self, proposals: Sequence[Proposal]) -> None:
        """Write, in this order. Returns when DataHub has taken all of it.

        Raises:
            Invalid: DataHub refuses it for good (what is wrong is in the text).
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, UTC, with a zone."""
        ...
