"""This file is where the ledger is looked things up in. Lists are keyset pages, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from headgate.errors import NotFound
from headgate.ledger import dialects, rows, schema
from headgate.model import (
    Attempt,
    Decision,
    Event,
    EventId,
    JobName,
    Run,
    RunId,
    RunState,
    StoredObject,
    attempt_id,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next` is the `before` to ask the following page with; None on the last."""

    items: Sequence[T]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    job: str | None = None
    state: RunState | None = None
    trigger: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """`prefix` is `bucket/key…`, `s3://bucket/key…` or a key's beginning; times are by arrival here."""

    prefix: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    only_failed: bool = False  #: only events of which a run ended FAILED, TIMEOUT or ERROR
    door: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedEvent:
    seq: int
    event: Event
    received_at: datetime
    decisions: Sequence[Decision]


@dataclass(frozen=True, slots=True)
class DatedDecision:
    seq: int
    decision: Decision
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str | None
    detail: Mapping[str, Any]


_BY_TIME = "lambda-"  #: what stands before a time where a run is named by it
_LONGEST_FUNCTION = 3_600.0  #: seconds; AWS ends a function after 900


def find_run(connection: Connection, name: str) -> Run:
    """The run of this id: ours, an attempt's, the engine's own, or the beginning of ours if it is the only one.

    `lambda-2025-01-01T12:34:56Z` is the Lambda run that started in that second, if it is the only one.

    Raises:
        NotFound: there is none, or what was given fits several.
    """
    own = name.partition("_attempt_")[0]
    for table in (schema.run, schema.history):
        if row := connection.execute(sa.select(table).where(table.c.id == own)).first():
            return rows.to_run(row)
    for table in (schema.run, schema.history):
        statement = sa.select(table).where(table.c.external_id == name).order_by(table.c.seq.desc()).limit(1)
        if row := connection.execute(statement).first():
            return rows.to_run(row)
    if name.startswith(_BY_TIME):
        return _dispatched(connection, name)
    if own.startswith("jr_"):
        found = {  # one that ends in between is seen by both
            row.id: row
            for table in (schema.run, schema.history)
            for row in connection.execute(sa.select(table).where(table.c.id >= own, table.c.id < own + "g").limit(2))
        }
        if len(found) == 1:
            return rows.to_run(next(iter(found.values())))
        if found:
            raise NotFound("single run", name, "several ids begin like that; give more of it: `headgate runs list`")
    raise NotFound("run", name, "see `headgate runs list`")


def _dispatched(connection: Connection, name: str) -> Run:
    try:
        second = datetime.fromisoformat(name.removeprefix(_BY_TIME)).replace(microsecond=0)
    except ValueError:
        raise NotFound("run", name, "after lambda- a time is expected, such as 2025-01-01T12:34:56Z") from None
    at = (second if second.tzinfo else second.replace(tzinfo=UTC)).timestamp()
    found: dict[str, Any] = {}
    for table in (schema.run, schema.history):
        statement = sa.select(table).where(
            table.c.engine == "lambda", table.c.started_at >= at, table.c.started_at < at + 1
        )
        if table is schema.history:  # found by its index: what ended soon after, as functions do
            statement = statement.where(table.c.ended_at >= at, table.c.ended_at < at + _LONGEST_FUNCTION)
        found.update({row.id: row for row in connection.execute(statement.limit(2))})
    if len(found) == 1:
        return rows.to_run(next(iter(found.values())))
    raise NotFound("single run" if found else "run", name, "see `headgate runs list`")


def list_runs(connection: Connection, wanted: RunFilter, *, before: int | None, limit: int) -> Page[Run]:
    """Runs newest first: those under way and those over, merged by their number.

    Asked within `dialects.begin_looking`, so that both tables are seen as of one moment: otherwise a run that started
    and one that ended between the two looks would leave a gap that no later page fills.
    """
    found: list[Any] = []
    for table in (schema.run, schema.history):
        statement = sa.select(table).order_by(table.c.seq.desc()).limit(limit + 1)
        if before is not None:
            statement = statement.where(table.c.seq < before)
        if wanted.job:
            statement = statement.where(table.c.job == wanted.job)
        if wanted.state:
            statement = statement.where(table.c.state == wanted.state.value)
        if wanted.trigger:
            statement = statement.where(table.c.trigger == wanted.trigger)
        found.extend(connection.execute(statement))
    found.sort(key=_number, reverse=True)
    runs = [rows.to_run(row) for row in found[:limit]]
    return Page(runs, runs[-1].seq if len(found) > limit else None)


def _number(row: Sequence[Any]) -> int:
    return int(row[0])  # the first of rows.RUN_COLUMNS


def live_runs(connection: Connection, limit: int = 500) -> list[Run]:
    return [
        rows.to_run(row) for row in connection.execute(sa.select(schema.run).order_by(schema.run.c.seq).limit(limit))
    ]


def attempts(connection: Connection, run: Run) -> list[Attempt]:
    """Every attempt of the run, first to last; a run under way has its present one at the end."""
    table = schema.attempt
    kept = [rows.to_attempt(row) for row in connection.execute(
        sa.select(table).where(table.c.run == run.id).order_by(table.c.number)
    )]  # fmt: skip
    if kept and kept[-1].number == run.attempt:
        return kept
    if run.state is RunState.WAITING and run.attempt:
        return kept
    return [*kept, Attempt(
        id=attempt_id(run.id, run.attempt), run=run.id, number=run.attempt, state=run.state,
        external_id=run.external_id, started_at=run.started_at, ended_at=run.ended_at, error=run.error,
    )]  # fmt: skip


def manifest(connection: Connection, run: RunId) -> list[StoredObject] | None:
    """The objects of the run in the order they came; None for a run that no object caused."""
    event, decision = schema.event, schema.decision
    number = next(
        (
            seq
            for table in (schema.run, schema.history)
            if (seq := connection.execute(sa.select(table.c.seq).where(table.c.id == run)).scalar()) is not None
        ),
        None,
    )
    if number is None:
        return None
    found = connection.execute(
        sa.select(event)
        .join(decision, decision.c.event_seq == event.c.seq)
        .where(decision.c.run_seq == number, event.c.bucket.is_not(None))
        .order_by(decision.c.seq)
    )
    objects = [one for row in found if (one := rows.to_object(row)) is not None]
    return objects or None


def list_events(connection: Connection, wanted: EventFilter, *, before: int | None, limit: int) -> Page[DecidedEvent]:
    event = schema.event
    statement = sa.select(event).order_by(event.c.seq.desc()).limit(limit + 1)
    if before is not None:
        statement = statement.where(event.c.seq < before)
    if wanted.door:
        statement = statement.where(event.c.door == wanted.door)
    if wanted.since:
        statement = statement.where(event.c.received_at >= wanted.since.timestamp())
    if wanted.until:
        statement = statement.where(event.c.received_at <= wanted.until.timestamp())
    if wanted.prefix:
        statement = statement.where(_under(wanted.prefix, connection))
    if wanted.only_failed:
        failed = sa.select(schema.decision.c.event_seq).join(
            schema.history, schema.history.c.seq == schema.decision.c.run_seq
        ).where(schema.history.c.state.in_(["FAILED", "TIMEOUT", "ERROR"]))  # fmt: skip
        statement = statement.where(event.c.seq.in_(failed))
    found = connection.execute(statement).all()
    page = found[:limit]
    decided = decisions_of(connection, [row.seq for row in page])
    items = [
        DecidedEvent(row.seq, rows.to_event(row), rows.sure_moment(row.received_at), decided.get(row.seq, []))
        for row in page
    ]
    return Page(items, items[-1].seq if len(found) > limit else None)


def _under(prefix: str, connection: Connection) -> sa.ColumnElement[bool]:
    event = schema.event
    column = event.c.key if dialects.is_sqlite(connection) else sa.collate(event.c.key, "C")  # by bytes, as S3 does
    text = prefix.removeprefix("s3://")
    bucket, slash, key = text.partition("/")
    in_bucket = sa.and_(event.c.bucket == bucket, column >= key, column < key + "\U0010ffff")
    if prefix.startswith("s3://"):
        return in_bucket if slash else event.c.bucket == bucket
    return sa.or_(in_bucket, sa.and_(column >= text, column < text + "\U0010ffff"))


def decisions_of(connection: Connection, events: Sequence[int]) -> dict[int, list[Decision]]:
    table, event = schema.decision, schema.event
    decided: dict[int, list[Decision]] = {}
    if not events:
        return decided
    for row in connection.execute(
        sa.select(table, event.c.id.label("event"))
        .join(event, event.c.seq == table.c.event_seq)
        .where(table.c.event_seq.in_(events))
        .order_by(table.c.seq)
    ):
        decided.setdefault(row.event_seq, []).append(rows.to_decision(row))
    return decided


def find_event(connection: Connection, name: EventId) -> DecidedEvent:
    row = connection.execute(sa.select(schema.event).where(schema.event.c.id == name)).first()
    if row is None:
        raise NotFound("event", name, "see `headgate events list`")
    decided = decisions_of(connection, [row.seq])
    return DecidedEvent(row.seq, rows.to_event(row), rows.sure_moment(row.received_at), decided.get(row.seq, []))


def list_decisions(
    connection: Connection, *, trigger: str | None, run: str | None, outcome: str | None, before: int | None, limit: int
) -> Page[DatedDecision]:
    table, event = schema.decision, schema.event
    statement = (
        sa.select(table, event.c.id.label("event"))
        .join(event, event.c.seq == table.c.event_seq)
        .order_by(table.c.seq.desc())
        .limit(limit + 1)
    )
    if before is not None:
        statement = statement.where(table.c.seq < before)
    for column, value in ((table.c.trigger, trigger), (table.c.run, run), (table.c.outcome, outcome)):
        if value:
            statement = statement.where(column == value)
    found = connection.execute(statement).all()
    items = [DatedDecision(row.seq, rows.to_decision(row), rows.sure_moment(row.at)) for row in found[:limit]]
    return Page(items, items[-1].seq if len(found) > limit else None)


def find_decision(connection: Connection, seq: int) -> DatedDecision:
    table, event = schema.decision, schema.event
    row = connection.execute(
        sa.select(table, event.c.id.label("event"))
        .join(event, event.c.seq == table.c.event_seq)
        .where(table.c.seq == seq)
    ).first()
    if row is None:
        raise NotFound("decision", str(seq))
    return DatedDecision(row.seq, rows.to_decision(row), rows.sure_moment(row.at))


def last_runs(connection: Connection, jobs: Sequence[JobName]) -> dict[JobName, Run]:
    """The newest run of each of the jobs, under way or over."""
    newest: dict[JobName, Run] = {}
    for name in jobs:
        page = list_runs(connection, RunFilter(job=name), before=None, limit=1)
        if page.items:
            newest[name] = page.items[0]
    return newest


def durations(connection: Connection, job: str, *, newest: int = 100) -> list[float]:
    """How long the newest successful runs of the job took, in seconds."""
    table = schema.history
    found = connection.execute(
        sa.select(table.c.started_at, table.c.ended_at)
        .where(table.c.job == job, table.c.state == RunState.SUCCEEDED.value)
        .order_by(table.c.seq.desc())
        .limit(newest)
    )
    return [ended - started for started, ended in found if started is not None]


def counts(connection: Connection) -> dict[str, dict[str, int]]:
    """How many runs under way each job has in each state."""
    table = schema.run
    found: dict[str, dict[str, int]] = {}
    for job, state, number in connection.execute(
        sa.select(table.c.job, table.c.state, sa.func.count()).group_by(table.c.job, table.c.state)
    ):
        found.setdefault(job, {})[state] = int(number)
    return found


def list_audit(connection: Connection, *, before: int | None, limit: int) -> Page[AuditEntry]:
    table = schema.audit
    statement = sa.select(table).order_by(table.c.seq.desc()).limit(limit + 1)
    if before is not None:
        statement = statement.where(table.c.seq < before)
    found = connection.execute(statement).all()
    items = [
        AuditEntry(rows.sure_moment(row.at), row.actor, row.action, row.subject, row.reason, rows.loads(row.detail))
        for row in found[:limit]
    ]
    return Page(items, found[limit - 1].seq if len(found) > limit else None)
