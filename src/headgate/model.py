"""This file is where the product's nouns are: jobs, triggers, events, decisions, runs and their states."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

Json = object  #: what json.loads gives; checked where it enters
JobName = NewType("JobName", str)
TriggerName = NewType("TriggerName", str)
RunId = NewType("RunId", str)
EventId = NewType("EventId", str)


class RunState(StrEnum):
    """AWS Glue's run states, word for word."""

    WAITING = "WAITING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"
    EXPIRED = "EXPIRED"


_END: Final[frozenset[RunState]] = frozenset()

#: The one table of allowed moves. WAITING after STARTING or RUNNING is a retry, the one move Glue's diagram lacks.
#: STOPPING may still end SUCCEEDED, FAILED or TIMEOUT: the process may have ended by itself before the stop reached it.
NEXT: Final[Mapping[RunState, frozenset[RunState]]] = {
    RunState.WAITING: frozenset(
        {RunState.STARTING, RunState.STOPPED, RunState.FAILED, RunState.ERROR, RunState.EXPIRED}
    ),
    RunState.STARTING: frozenset(
        {
            RunState.RUNNING,
            RunState.WAITING,
            RunState.STOPPING,
            RunState.STOPPED,
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.TIMEOUT,
            RunState.ERROR,
        }
    ),
    RunState.RUNNING: frozenset(
        {
            RunState.WAITING,
            RunState.STOPPING,
            RunState.STOPPED,
            RunState.SUCCEEDED,
            RunState.FAILED,
            RunState.TIMEOUT,
            RunState.ERROR,
        }
    ),
    RunState.STOPPING: frozenset({RunState.STOPPED, RunState.SUCCEEDED, RunState.FAILED, RunState.TIMEOUT}),
    RunState.STOPPED: _END,
    RunState.SUCCEEDED: _END,
    RunState.FAILED: _END,
    RunState.TIMEOUT: _END,
    RunState.ERROR: _END,
    RunState.EXPIRED: _END,
}

TERMINAL: Final = frozenset(state for state, after in NEXT.items() if not after)
#: The states a run holds one of its job's `max_concurrent_runs` places in.
OCCUPYING: Final = frozenset({RunState.STARTING, RunState.RUNNING, RunState.STOPPING})
#: The ends a conditional trigger may watch for (reference: AWS Glue, Condition.State).
WATCHABLE: Final = frozenset({RunState.SUCCEEDED, RunState.STOPPED, RunState.FAILED, RunState.TIMEOUT})


#: The kind of the schedule door's events.
TICK: Final = "Tick"
#: The kind of the one event that a SCHEDULED trigger with `at_first_start` has when it is first active in a ledger.
FIRST_START: Final = "FirstStart"
#: What becomes of a table of a watched catalog -> the kind of its event.
TABLE_CHANGES: Final[Mapping[str, str]] = {
    "created": "TableCreated",
    "updated": "TableUpdated",
    "removed": "TableRemoved",
}
#: The kind of an event by which somebody fires an ON_DEMAND trigger; its payload names the trigger.
DEMAND: Final = "Demanded"


class TriggerType(StrEnum):
    ON_DEMAND = "ON_DEMAND"
    SCHEDULED = "SCHEDULED"
    CONDITIONAL = "CONDITIONAL"
    EVENT = "EVENT"


class Logical(StrEnum):
    AND = "AND"
    ANY = "ANY"


class FiresFor(StrEnum):
    """Which ends a conditional trigger takes for ends: any run's, or only those of trigger-started runs (AWS)."""

    ANY = "any"
    TRIGGERED = "triggered"


class Missed(StrEnum):
    """What happens to ticks that passed while nothing was there to fire them."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Outcome(StrEnum):
    FIRED = "fired"
    JOINED = "joined"
    SKIPPED = "skipped"


class Origin(StrEnum):
    """Who owns a definition: the configuration file, or whoever made it through an API."""

    DECLARED = "declared"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds before attempt n+1: min(cap, base * factor**n), of which a random part between half and all is waited."""

    base: float = 1.0
    factor: float = 2.0
    cap: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A named piece of work: an engine, a target, default arguments, and its policy."""

    name: JobName
    engine: str
    target: Mapping[str, Json]  #: the engine's own keys, e.g. {"run": "headgate.lake.csv_to_iceberg"}
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])  #: keys carry the `--`
    max_concurrent_runs: int = 1
    queue: bool = True
    max_retries: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float | None = 28_800.0  #: seconds; Glue 5's default of 480 minutes. None is no limit
    notify: Sequence[Mapping[str, Json]] = ()
    description: str = ""
    origin: Origin = Origin.DECLARED
    fixed_arguments: Mapping[str, str] = field(default_factory=dict[str, str])  #: over what a trigger or a call says


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One job a trigger starts, with arguments that override the job's key by key."""

    job: JobName
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    timeout: float | None = None  #: seconds
    from_result: Mapping[str, str] = field(default_factory=dict[str, str])
    """CONDITIONAL: arguments taken from the results of the runs that fired it, each by its member's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    job: JobName
    state: RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    conditions: Sequence[Condition]
    logical: Logical = Logical.AND


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFilter:
    """Which objects an EVENT trigger takes. `suffix` is compared without regard to case (.csv, .CSV)."""

    bucket: str
    prefix: str = ""
    suffix: Sequence[str] = ()  #: any of these; none means every object
    events: Sequence[str] = ("ObjectCreated:*",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogWatch:
    """Whose tables an EVENT trigger watches."""

    kind: str  #: glue | iceberg
    place: str = ""  #: iceberg: lake, or s3://bucket/prefix
    region: str = ""
    catalog_id: str = ""
    role_arn: str = ""
    external_id: str = ""
    databases: Sequence[str] = ()  #: where * stands for anything; none are all
    changes: Sequence[str] = ("created", "updated")  #: of TABLE_CHANGES
    every: float = 60.0  #: seconds between two looks

    @property
    def name(self) -> str:
        """What stands in its events where the bucket of an object does; no bucket has a colon in its name."""
        where = self.place or ":".join(one for one in (self.region, self.catalog_id) if one)
        return f"{self.kind}:{where}"

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of the events it wants."""
        return frozenset(TABLE_CHANGES[one] for one in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What must happen for which jobs to start."""

    name: TriggerName
    type: TriggerType
    actions: Sequence[Action]
    enabled: bool = True
    predicate: Predicate | None = None  #: CONDITIONAL
    fires_for: FiresFor | None = None  #: CONDITIONAL; None takes the top-level setting
    schedule: str | None = None  #: SCHEDULED: cron(...), rate(...) or five-field cron
    timezone: str = "UTC"
    missed: Missed = Missed.ONCE
    unless_datahub_schedules: bool = True  #: SCHEDULED: starts no recipe that DataHub itself runs by a schedule
    at_first_start: bool = False
    """SCHEDULED: fires once, too, when it is first active in this ledger. EVENT: so for all that its first look finds.
    """
    objects: ObjectFilter | None = None  #: EVENT
    catalog: CatalogWatch | None = None  #: EVENT, in place of objects
    settle: float = 0.0  #: seconds without a further event before the run may start (at most ten times this)
    max_objects: int = 500
    description: str = ""
    origin: Origin = Origin.DECLARED
    workflow: str | None = None  #: fires within runs of this workflow only


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object in a bucket (or in a folder that stands for one)."""

    bucket: str
    key: str  #: decoded, as the uploader wrote it
    size: int | None = None  #: bytes
    etag: str = ""
    version: str = ""
    sequencer: str = ""  #: hex as sent; `sequencer_order` makes it comparable
    path: str = ""  #: where the bytes are on this machine, for a watched folder

    @property
    def in_catalog(self) -> bool:
        """Whether it is a table of a watched catalog; its key is then database.table."""
        return ":" in self.bucket

    @property
    def uri(self) -> str:
        return f"{self.bucket}/{self.key}" if self.in_catalog else f"s3://{self.bucket}/{self.key}"

    @property
    def source_id(self) -> str:
        """sha256 of bucket, key and version-or-etag: the same bytes under the same key have the same id."""
        return hashlib.sha256("\0".join((self.bucket, self.key, self.version or self.etag)).encode()).hexdigest()


def sequencer_order(sequencer: str) -> str:
    """S3 sequencers compare as text once the shorter is right-padded with zeros (S3 user guide, event structure)."""
    return sequencer.upper().ljust(64, "0") if sequencer else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened outside, in the one shape every door hands over."""

    id: EventId
    door: str  #: s3 | inbox | schedule | manual | conditional | replay
    kind: str  #: ObjectCreated:Put …, Tick, Asked, RunEnded
    identity: str  #: a redelivery carries the same one
    at: datetime  #: by the sender's clock, always with a zone
    object: StoredObject | None = None
    payload: Mapping[str, Json] = field(default_factory=dict[str, Json])
    downstream: bool = True  #: False: the runs it starts fire no conditional trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an event led to at one trigger. Every decision is kept; `trigger` is "" where no trigger knew the event."""

    event: EventId
    trigger: str
    outcome: Outcome
    reason: str
    run: RunId | None
    job: JobName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    event: EventId | None = None
    trigger: TriggerName | None = None
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    job: JobName
    run: RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a job, as the ledger has it."""

    id: RunId
    seq: int  #: order of acceptance; pages and queues go by it
    job: JobName
    engine: str
    state: RunState
    detail: str  #: why it is in that state, in a word or a sentence; "" when there is nothing to add
    attempt: int  #: 0 for the first
    cause: Cause
    arguments: Mapping[str, str]
    external_id: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None
    result: Mapping[str, Json]
    predecessors: Sequence[Predecessor] = ()
    timeout: float | None = None  #: seconds
    objects: int = 0  #: how many objects its manifest holds
    owner: str | None = None  #: the replica that runs it
    root: str | None = None  #: the firing the chain descends from; None for a run no trigger started
    downstream: bool = True
    not_before: datetime | None = None
    max_retries: int = 0
    progress: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a run. Attempt 0 has the run's own id, attempt n `<id>_attempt_<n>`."""

    id: str
    run: RunId
    number: int
    state: RunState
    external_id: str | None
    started_at: datetime | None
    ended_at: datetime | None
    error: str | None


def attempt_id(run: RunId, number: int) -> str:
    return run if number == 0 else f"{run}_attempt_{number}"


def new_run_id() -> RunId:
    return RunId("jr_" + secrets.token_hex(32))


def new_event_id() -> EventId:
    return EventId("ev_" + secrets.token_hex(16))
