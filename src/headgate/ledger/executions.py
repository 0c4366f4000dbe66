"""This file is where DataHub's execution requests are kept: what was asked for, and what became of it.

A request is written once, whatever is delivered again. The run of a request is made in the transaction that says so, so
that after any crash either both are there or neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam
from sqlalchemy.dialects import postgresql, sqlite

from headgate.catalog import Catalog
from headgate.ledger import asking, catalogs, dialects, rows, schema
from headgate.ledger.accepting import Ask
from headgate.ledger.writer import Batch
from headgate.model import Json, Run, RunId

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_IDENTITY = "identity"
MOST_OF_A_JOB = 10  #: requests of one job that are looked at: as many as may run at once, of any
_TABLE = schema.execution_request
_ONE = sa.select(_TABLE).where(_TABLE.c.urn == bindparam("urn"))


class Stage(StrEnum):
    """How far a request has come here."""

    NEW = "new"  #: nobody has taken it yet
    TAKEN = "taken"  #: it has a run, which may be over
    OVER = "over"  #: it has none, and will have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What DataHub asks for."""

    urn: str
    executor: str  #: whose it is
    task: str
    job: str  #: the implicit job it becomes a run of
    given: Mapping[str, Json]  #: the whole aspect …Input
    requested_at: float  #: seconds since 1970; 0.0: not said


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A request as the ledger has it."""

    request: Request
    stage: Stage
    run: RunId | None
    killed_by: str | None
    why: str
    tries: int
    received_at: float  #: seconds since 1970


def accept(batch: Batch, requests: Sequence[Request]) -> int:
    """Write the requests, each once; answers how many were new."""
    new = 0
    for one in sorted(requests, key=lambda each: each.urn):  # or two replicas would wait for each other in a circle
        made = _INSERT[batch.connection.dialect.name](_TABLE).values(
            urn=one.urn, executor=one.executor, task=one.task, job=one.job, given=rows.dumps(one.given),
            requested_at=one.requested_at, received_at=batch.now, state=Stage.NEW.value, tries=0, not_before=0.0,
        )  # fmt: skip
        new += batch.connection.execute(made.on_conflict_do_nothing(index_elements=["urn"])).rowcount
    return new


def kill(batch: Batch, urn: str, actor: str) -> Kept | None:
    """Note who wants it stopped; answers the request. None: nobody knows it. One that is new will have no run."""
    kept = _locked(batch, urn)
    if kept is None or kept.stage is Stage.OVER:
        return kept
    batch.connection.execute(
        _TABLE.update().where(_TABLE.c.urn == urn, _TABLE.c.killed_by.is_(None)).values(killed_by=actor, not_before=0.0)
    )
    return _locked(batch, urn)


def take(batch: Batch, known: Catalog, urn: str, ask: Ask) -> Run | Exception | None:
    """Make the request's run; answers the one it has where it has one. None: it was stopped or settled meanwhile."""
    kept = _locked(batch, urn)
    if kept is None or kept.stage is Stage.OVER or (kept.stage is Stage.NEW and kept.killed_by):
        return None
    catalog = known if catalogs.version(batch.connection) == known.version else catalogs.read(batch.connection)
    batch.catalog = catalog
    answer = asking.ask_for_runs(batch, catalog, [ask])[0]
    if isinstance(answer, Run):
        _set(batch, urn, state=Stage.TAKEN.value, run=answer.id, why=None)
    return answer


def settle(batch: Batch, urn: str, why: str) -> None:
    """There is no run of it and there will be none."""
    _set(batch, urn, state=Stage.OVER.value, why=why[:2000])


def postpone(batch: Batch, urn: str, why: str, not_before: float) -> None:
    _set(batch, urn, why=why[:2000], not_before=not_before, tries=_TABLE.c.tries + 1)


def due(connection: Connection, executor: str, now: float, most: int) -> list[Kept]:
    """The requests that wait to be taken: the cancelled ones, then the oldest of every job, then the next oldest.

    A source that is asked for five hundred times must not stand before all others, whose turns it could not use.
    """
    oldest = (_TABLE.c.received_at, _TABLE.c.requested_at, _TABLE.c.urn)
    place = sa.func.row_number().over(partition_by=_TABLE.c.job, order_by=oldest).label("place")
    waiting = (
        sa.select(_TABLE, place)
        .where(_TABLE.c.executor == executor, _TABLE.c.state == Stage.NEW.value, _TABLE.c.not_before <= now)
        .subquery()
    )
    found = waiting.c
    statement = (
        sa.select(waiting)
        .where(sa.or_(found.killed_by.is_not(None), found.place <= MOST_OF_A_JOB))
        .order_by(found.killed_by.is_(None), found.place, found.received_at, found.requested_at, found.urn)
        .limit(most)
    )
    return [_kept(row) for row in connection.execute(statement)]


def live(connection: Connection, executor: str) -> list[Kept]:
    """The requests whose runs are not over."""
    statement = (
        sa.select(_TABLE)
        .join(schema.run, schema.run.c.id == _TABLE.c.run)
        .where(_TABLE.c.executor == executor, _TABLE.c.state == Stage.TAKEN.value)
    )
    return [_kept(row) for row in connection.execute(statement)]


def find(connection: Connection, urns: Sequence[str]) -> dict[str, Kept]:
    """Those of the requests that are known."""
    found: dict[str, Kept] = {}
    for portion in range(0, len(urns), 500):
        statement = sa.select(_TABLE).where(_TABLE.c.urn.in_(urns[portion : portion + 500]))
        found.update({row.urn: _kept(row) for row in connection.execute(statement)})
    return found


def forget(batch: Batch, before: float) -> None:
    """Delete what came before then and is over."""
    waits = sa.exists().where(schema.run.c.id == _TABLE.c.run)
    batch.connection.execute(
        _TABLE.delete().where(_TABLE.c.received_at < before, _TABLE.c.state != Stage.NEW.value, sa.not_(waits))
    )


def hasten(batch: Batch, channel: str) -> None:
    """Have what the outbox could not tell tried again now: whom it is for is back."""
    table = schema.outbox
    batch.connection.execute(
        table.update().where(table.c.channel == channel, table.c.not_before > batch.now).values(not_before=batch.now)
    )
    batch.to_wake.add("outbox")


def identity(batch: Batch) -> str:
    """What this ledger is called where its executors sign: made once, the same for all its replicas."""
    made = _INSERT[batch.connection.dialect.name](schema.executor_note)
    values = {"name": _IDENTITY, "value": secrets.token_hex(8)}
    batch.connection.execute(made.values(**values).on_conflict_do_nothing(index_elements=["name"]))
    return noted(batch.connection, _IDENTITY) or ""


def note(batch: Batch, name: str, value: str) -> None:
    """Remember a text under a name."""
    made = _INSERT[batch.connection.dialect.name](schema.executor_note).values(name=name, value=value)
    batch.connection.execute(made.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def noted(connection: Connection, name: str) -> str | None:
    table = schema.executor_note
    found = connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar()
    return None if found is None else str(found)


def _set(batch: Batch, urn: str, **values: Any) -> None:
    batch.connection.execute(_TABLE.update().where(_TABLE.c.urn == urn).values(**values))


def _locked(batch: Batch, urn: str) -> Kept | None:
    row = batch.connection.execute(dialects.for_update(_ONE, batch.connection), {"urn": urn}).first()
    return None if row is None else _kept(row)


def _kept(row: Any) -> Kept:
    request = Request(
        urn=row.urn, executor=row.executor, task=row.task, job=row.job, given=rows.loads(row.given),
        requested_at=row.requested_at,
    )  # fmt: skip
    return Kept(
        request=request, stage=Stage(row.state), run=RunId(row.run) if row.run else None, killed_by=row.killed_by,
        why=row.why or "", tries=row.tries, received_at=row.received_at,
    )  # fmt: skip
