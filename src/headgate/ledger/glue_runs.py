"""This file is where runs are looked up as Glue shows them: every attempt a job run of its own, newest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam

from headgate.ledger import dialects, rows, schema
from headgate.model import Attempt, Json, Run, RunId, RunState, attempt_id

_PREVIOUS: Final = rows.RUN_COLUMNS.index("previous")
_WIDTH: Final = len(rows.RUN_COLUMNS)
_LAST: Final = 2**62
#: What stands in the event of a call to StartJobRun: the members the call gave beside its arguments.
CALLED: Final = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """An attempt of a run, with what the call that started it said."""

    run: Run
    attempt: Attempt
    previous: str | None  #: the run this one is a retry of, by somebody's wish
    called: Mapping[str, Json]
    members: Mapping[str, Json]  #: of the job's definition in Glue's words, where there is one


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the run's number and the attempt's."""

    seq: int
    attempt: int


def _select(table: sa.Table) -> sa.Select[Any]:
    definition = schema.glue_definition
    return (
        sa.select(*table.columns, schema.event.c.payload, definition.c.members)
        .outerjoin(schema.event, schema.event.c.id == table.c.event)
        .outerjoin(definition, sa.and_(definition.c.kind == "job", definition.c.name == table.c.job))
    )


_NAMED: Final = tuple(
    _select(table).where(table.c.id.in_(bindparam("ids", expanding=True))) for table in (schema.run, schema.history)
)
_NEWEST: Final = tuple(
    _select(table)
    .where(table.c.job == bindparam("job"), table.c.seq <= bindparam("seq"))
    .order_by(table.c.seq.desc())
    .limit(bindparam("most"))
    for table in (schema.run, schema.history)
)
_ATTEMPTS: Final = (
    sa.select(schema.attempt)
    .where(schema.attempt.c.run.in_(bindparam("runs", expanding=True)))
    .order_by(schema.attempt.c.run, schema.attempt.c.number)
)


def find(connection: Connection, job: str, name: str) -> JobRun | None:
    """The attempt of this id, of a run of this job."""
    return find_all(connection, [(job, name)])[0]


def find_all(connection: Connection, wanted: Sequence[tuple[str, str]]) -> list[JobRun | None]:
    """The attempts of these jobs and ids, in the order they are wanted; None where there is none.

    Of many, in one or two looks: what is asked of a run that is over takes the second.
    """
    left = {_own(name) for _, name in wanted}
    found: dict[tuple[str, str], JobRun] = {}
    for statement in _NAMED:  # the live ones first: one that ends between the two looks is among those that are over
        if left:
            seen = connection.execute(statement, {"ids": list(left)}).all()
            left.difference_update(row.id for row in seen)
            found.update({(one.run.job, one.attempt.id): one for one in _spread(connection, seen)})
    return [found.get(one) for one in wanted]


def _own(name: str) -> str:
    """The id of the run that an attempt's id is of."""
    return name.partition("_attempt_")[0]


def page(connection: Connection, job: str, *, after: Place | None, limit: int) -> tuple[list[JobRun], Place | None]:
    """Attempts of the job's runs, newest first, and where to go on. `connection` has just been opened for this."""
    dialects.begin_looking(connection)
    seq = after.seq if after else _LAST
    by_number: dict[int, Any] = {}
    for statement in _NEWEST:
        found = connection.execute(statement, {"job": job, "seq": seq, "most": limit + 2})
        by_number.update({row.seq: row for row in found})
    newest = [by_number[number] for number in sorted(by_number, reverse=True)[: limit + 2]]
    shown = _spread(connection, newest)
    if after is not None:
        shown = [one for one in shown if (one.run.seq, one.attempt.number) < (after.seq, after.attempt)]
    if len(shown) <= limit:
        return shown, None
    last = shown[limit - 1]
    return shown[:limit], Place(last.run.seq, last.attempt.number)


def of_runs(connection: Connection, runs: Sequence[str]) -> list[JobRun]:
    """The attempts of these runs, in the order given, each run's newest first."""
    by_id: dict[str, Any] = {}
    for portion in range(0, len(runs), 500):
        for table in (schema.run, schema.history):
            statement = _select(table).where(table.c.id.in_(runs[portion : portion + 500]))
            by_id.update({row.id: row for row in connection.execute(statement)})
    return _spread(connection, [by_id[one] for one in runs if one in by_id])


def _spread(connection: Connection, found: Sequence[Any]) -> list[JobRun]:
    """Every attempt of these rows, in their order, of each the newest attempt first."""
    retried = [row.id for row in found if row.attempt]
    kept: dict[str, list[Attempt]] = defaultdict(list)
    for portion in range(0, len(retried), 500):
        for row in connection.execute(_ATTEMPTS, {"runs": retried[portion : portion + 500]}):
            kept[row.run].append(rows.to_attempt(row))
    return [one for row in found for one in _each(row, kept.get(row.id, ()))]


def _each(row: Any, kept: Sequence[Attempt]) -> list[JobRun]:
    run = rows.to_run(row[:_WIDTH])
    payload, members = row[_WIDTH:]
    called: Any = rows.loads(payload).get(CALLED) if payload and f'"{CALLED}"' in payload else None
    return [
        JobRun(
            run=run,
            attempt=attempt,
            previous=row[_PREVIOUS],
            called=cast("Mapping[str, Json]", called) if isinstance(called, dict) else {},
            members=rows.loads(members),
        )
        for attempt in _attempts(run, kept)
    ]


def _attempts(run: Run, kept: Sequence[Attempt]) -> list[Attempt]:
    """Newest first. Of a run that waits to be tried again, the attempt to come is the newest."""
    newest = list(reversed(kept))
    if newest and newest[0].number == run.attempt:
        return newest
    waits = run.state is RunState.WAITING and run.attempt > 0
    present = Attempt(
        id=attempt_id(RunId(run.id), run.attempt),
        run=run.id,
        number=run.attempt,
        state=run.state,
        external_id=run.external_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        error=None if waits else run.error,  # the row of a run that waits to be tried again has its last attempt's
    )
    return [present, *newest]
