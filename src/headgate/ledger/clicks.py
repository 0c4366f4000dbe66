"""This file is where clicks are written: one run each, or one for several when they come close together."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, bindparam

from headgate.catalog import Catalog
from headgate.ledger import asking, catalogs, dialects, rows, schema
from headgate.ledger.accepting import Ask
from headgate.ledger.writer import Batch
from headgate.model import Run, RunId, RunState

#: What the audit calls a click that started a run, and one that was given another's.
STARTED, JOINED = "dataset.run", "dataset.run.joined"
_LOOKED_AT = 200  #: runs of the job, newest first, among which another click's is looked for

_LOCK_JOB = sa.select(schema.job.c.name).where(schema.job.c.name == bindparam("job"))


def take(batch: Batch, known: Catalog, ask: Ask, *, dataset: str, key: str, window: float) -> Run | Exception:
    """Write the click's run, and who asked for it. With a window it may be given the run of an earlier click.

    Args:
        batch: the transaction.
        known: the catalog as this process knows it; read again where the ledger has a newer one.
        ask: the run that is wanted.
        dataset: its URN.
        key: the argument that holds a run's dataset.
        window: seconds within which clicks on one dataset share a run; 0: none do.
    """
    catalog = known if catalogs.version(batch.connection) == known.version else catalogs.read(batch.connection)
    batch.catalog = catalog
    earlier = _earlier(batch, ask, dataset, key, window) if window > 0 else None
    answer = earlier or asking.ask_for_runs(batch, catalog, [ask])[0]
    if isinstance(answer, Run):
        actor, reason = ask.cause.actor or "", ask.cause.reason
        detail = {"run": answer.id, "job": ask.job}
        catalogs.note(
            batch, actor=actor, action=JOINED if earlier else STARTED, subject=dataset, reason=reason, detail=detail
        )
    return answer


def _earlier(batch: Batch, ask: Ask, dataset: str, key: str, window: float) -> Run | None:
    """The newest run that a click on this dataset started in the window, unless it came to nothing."""
    # clicks at two replicas look one after the other, or neither would see the other's run
    batch.connection.execute(dialects.for_update(_LOCK_JOB, batch.connection), {"job": ask.job}).all()
    event = schema.event
    for table in (schema.run, schema.history):
        found = batch.connection.execute(
            sa.select(table)
            .join(event, event.c.id == table.c.event)
            .where(table.c.job == ask.job, table.c.created_at >= batch.now - window, event.c.door == ask.event.door)
            .order_by(table.c.seq.desc())
            .limit(_LOOKED_AT)
        )
        for row in found:
            run = rows.to_run(row)
            if run.arguments.get(key) == dataset and (run.ended_at is None or run.state is RunState.SUCCEEDED):
                return run
    return None


def find(connection: Connection, ids: Sequence[RunId]) -> dict[RunId, Run]:
    """These runs, as far as they exist."""
    found: dict[RunId, Run] = {}
    for portion in range(0, len(ids), 500):
        for table in (schema.run, schema.history):  # one that ends in between is seen as over, which it is
            statement = sa.select(table).where(table.c.id.in_(ids[portion : portion + 500]))
            found.update({run.id: run for run in map(rows.to_run, connection.execute(statement))})
    return found
