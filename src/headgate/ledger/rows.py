"""This file is where rows become the model's records and the records become rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from headgate.ledger import schema
from headgate.model import (
    Action,
    Attempt,
    Backoff,
    CatalogWatch,
    Cause,
    Condition,
    Decision,
    Event,
    EventId,
    FiresFor,
    Job,
    JobName,
    Json,
    Logical,
    Missed,
    ObjectFilter,
    Origin,
    Outcome,
    Predecessor,
    Predicate,
    Run,
    RunId,
    RunState,
    StoredObject,
    Trigger,
    TriggerName,
    TriggerType,
    attempt_id,
    sequencer_order,
)

_encode = msgspec.json.Encoder(enc_hook=str, order="deterministic").encode
RUN_COLUMNS = tuple(column.name for column in schema.run.columns)
_PREDECESSORS = msgspec.json.Decoder(list[tuple[str, str]])
_STRINGS = msgspec.json.Decoder(dict[str, str])
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_LIST = msgspec.json.Decoder(list[Any])


def dumps(value: object) -> str:
    return _encode(value).decode()


def loads(text: str | None) -> Mapping[str, Json]:
    return _OBJECT.decode(text) if text else {}


def load_list(text: str | None) -> list[Json]:
    return _LIST.decode(text) if text else []


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else sure_moment(seconds)


@lru_cache(maxsize=1024)
def sure_moment(seconds: float) -> datetime:
    """Cached, since the rows of one batch share the batch's time."""
    return datetime.fromtimestamp(seconds, UTC)


def event_id(identity: str) -> EventId:
    """An event's id comes from its identity, so that a redelivery has the same one."""
    return EventId("ev_" + hashlib.sha256(identity.encode()).hexdigest()[:32])


def event_row(event: Event, seq: int, now: float) -> dict[str, object]:
    one = event.object
    return {
        "seq": seq,
        "id": event.id,
        "door": event.door,
        "kind": event.kind,
        "at": event.at.timestamp(),
        "received_at": now,
        "bucket": one.bucket if one else None,
        "key": one.key if one else None,
        "size": one.size if one else None,
        "etag": one.etag if one else None,
        "version": one.version if one else None,
        "sequencer": sequencer_order(one.sequencer) if one else None,
        "path": one.path if one else None,
        "payload": dumps(event.payload) if event.payload else None,
        "downstream": event.downstream,
    }


def to_object(row: Any) -> StoredObject | None:
    if row.bucket is None:
        return None
    return StoredObject(
        bucket=row.bucket,
        key=row.key,
        size=row.size,
        etag=row.etag or "",
        version=row.version or "",
        sequencer=row.sequencer or "",
        path=row.path or "",
    )


def to_event(row: Any) -> Event:
    return Event(
        id=EventId(row.id),
        door=row.door,
        kind=row.kind,
        identity=row.id,
        at=sure_moment(row.at),
        object=to_object(row),
        payload=loads(row.payload),
        downstream=bool(row.downstream),
    )


def to_decision(row: Any) -> Decision:
    return Decision(
        event=EventId(row.event),
        trigger=row.trigger,
        outcome=Outcome(row.outcome),
        reason=row.reason,
        run=RunId(row.run) if row.run else None,
        job=JobName(row.job) if row.job else None,
    )


def to_run(row: Sequence[Any]) -> Run:
    """`row` has RUN_COLUMNS, in their order."""
    (
        seq, id_, job, engine, state, detail, attempt, event, trigger, actor, reason, arguments, external_id,
        created_at, started_at, ended_at, error, result, predecessors, timeout, objects, owner, root, downstream,
        not_before, _settle_until, max_retries, progress, _stop_reason, _deadline, _previous,
    ) = row  # fmt: skip
    return Run(
        id=RunId(id_),
        seq=seq,
        job=JobName(job),
        engine=engine,
        state=RunState(state),
        detail=detail,
        attempt=attempt,
        cause=Cause(event=event, trigger=trigger, actor=actor, reason=reason),
        arguments=_STRINGS.decode(arguments),
        external_id=external_id,
        created_at=sure_moment(created_at),
        started_at=moment(started_at),
        ended_at=moment(ended_at),
        error=error,
        result=loads(result),
        predecessors=to_predecessors(predecessors),
        timeout=timeout,
        objects=objects,
        owner=owner,
        root=root,
        downstream=bool(downstream),
        not_before=moment(not_before),
        max_retries=max_retries,
        progress=loads(progress),
    )


def to_predecessors(text: str | None) -> Sequence[Predecessor]:
    if not text:
        return ()
    return tuple(Predecessor(job=JobName(job), run=RunId(run)) for job, run in _PREDECESSORS.decode(text))


def from_predecessors(those: Sequence[Predecessor]) -> str | None:
    return dumps([[one.job, one.run] for one in those]) if those else None


def to_attempt(row: Any) -> Attempt:
    return Attempt(
        id=attempt_id(RunId(row.run), row.number),
        run=RunId(row.run),
        number=row.number,
        state=RunState(row.state),
        external_id=row.external_id,
        started_at=moment(row.started_at),
        ended_at=moment(row.ended_at),
        error=row.error,
    )


def job_spec(job: Job) -> str:
    return dumps(asdict(job))


def to_job(spec: str, origin: str) -> Job:
    known = _only(Job, loads(spec))
    backoff: Any = known.get("backoff") or {}
    known.update(backoff=Backoff(**_only(Backoff, backoff)), origin=Origin(origin), name=JobName(str(known["name"])))
    return Job(**known)


def trigger_spec(trigger: Trigger) -> str:
    spec = asdict(trigger)
    del spec["enabled"]  # a column of its own: a change of it is no change of the definition
    return dumps(spec)


def to_trigger(spec: str, *, enabled: bool, origin: str) -> Trigger:
    known = _only(Trigger, loads(spec))
    predicate: Any = known.get("predicate")
    objects: Any = known.get("objects")
    watch: Any = known.get("catalog")
    actions: Any = known["actions"]
    known.update(
        name=TriggerName(str(known["name"])),
        type=TriggerType(str(known["type"])),
        actions=tuple(Action(**_only(Action, action)) for action in actions),
        predicate=_predicate(predicate) if predicate else None,
        objects=ObjectFilter(**_only(ObjectFilter, objects)) if objects else None,
        catalog=CatalogWatch(**_only(CatalogWatch, watch)) if watch else None,
        fires_for=FiresFor(str(known["fires_for"])) if known.get("fires_for") else None,
        missed=Missed(str(known.get("missed", "once"))),
        enabled=enabled,
        origin=Origin(origin),
    )
    return Trigger(**known)


def _predicate(spec: Mapping[str, Any]) -> Predicate:
    conditions = tuple(
        Condition(job=JobName(one["job"]), state=RunState(one["state"])) for one in spec.get("conditions", ())
    )
    return Predicate(conditions=conditions, logical=Logical(spec.get("logical", "AND")))


def _only(kind: type[Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec an older or newer version wrote is read as far as this one knows it."""
    return {name: spec[name] for name in kind.__dataclass_fields__ if name in spec}
