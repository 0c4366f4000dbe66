"""This file is where something is deleted for good: an entity, one of its aspects, or a span of a series."""

from __future__ import annotations

import sqlalchemy as sa

from headgate.embedded.registry import registry
from headgate.embedded.store import take_turns
from headgate.ledger.schema import catalog_aspect, catalog_edge, catalog_entity, catalog_series
from headgate.ledger.writer import Batch


def delete(batch: Batch, urn: str, aspect: str | None, begin_ms: int | None, end_ms: int | None) -> tuple[int, int]:
    """Forget an entity for good, or of it one aspect, or of a series a span of time.

    Answers how many rows of aspects and of series there were. For `Ledger.write`.
    """
    connection = batch.connection
    take_turns(connection)
    rows = 0
    points = catalog_series.c.urn == urn
    if aspect is not None:
        points &= catalog_series.c.name == aspect
    if begin_ms is not None:
        points &= catalog_series.c.at_ms >= begin_ms
    if end_ms is not None:
        points &= catalog_series.c.at_ms <= end_ms
    series = connection.execute(sa.delete(catalog_series).where(points)).rowcount
    if aspect is None or not registry().aspects[aspect].timeseries:
        versioned = catalog_aspect.c.urn == urn
        related = catalog_edge.c.source == urn
        if aspect is not None:
            versioned &= catalog_aspect.c.name == aspect
            related &= catalog_edge.c.aspect == aspect
        rows = connection.execute(sa.delete(catalog_aspect).where(versioned)).rowcount
        connection.execute(sa.delete(catalog_edge).where(related))
    if aspect is None:
        connection.execute(sa.delete(catalog_entity).where(catalog_entity.c.urn == urn))
    elif aspect == "status":
        connection.execute(sa.update(catalog_entity).where(catalog_entity.c.urn == urn).values(removed=False))
    return rows, series
