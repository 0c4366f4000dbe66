"""This file is where it is kept what was last applied on AWS Glue: what we made, and what it was like afterwards.

Of members only fingerprints are kept: whether somebody changed them is all that is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import Connection, and_, select

from headgate.ledger import rows, schema
from headgate.ledger.writer import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One job, trigger or workflow on Glue, as it was when it was last applied."""

    place: str  #: region and role, as one text
    kind: str
    name: str
    said: Sequence[str] = ()  #: the members that the file named
    digests: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  #: of the members that Glue showed afterwards; none: not looked at since
    enabled: bool | None = None
    made: bool = False  #: by us; what was there before is never deleted


def read(connection: Connection) -> list[Applied]:
    table = schema.glue_applied
    return [
        Applied(
            place=row.place,
            kind=row.kind,
            name=row.name,
            said=tuple(found["said"]),
            digests=found["digests"],
            enabled=None if row.enabled is None else bool(row.enabled),
            made=bool(row.made),
        )
        for row in connection.execute(select(table).order_by(table.c.place, table.c.kind, table.c.name))
        for found in [_loads(row.members)]
    ]


def put(batch: Batch, those: Iterable[Applied]) -> None:
    """Keep these, in place of what was kept of them."""
    for one in those:
        forget(batch, [one])
        values = {
            "place": one.place,
            "kind": one.kind,
            "name": one.name,
            "members": rows.dumps({"said": list(one.said), "digests": dict(one.digests)}),
            "enabled": one.enabled,
            "made": one.made,
            "at": batch.now,
        }
        batch.connection.execute(schema.glue_applied.insert(), values)


def forget(batch: Batch, those: Iterable[Applied]) -> None:
    table = schema.glue_applied
    for one in those:
        batch.connection.execute(
            table.delete().where(and_(table.c.place == one.place, table.c.kind == one.kind, table.c.name == one.name))
        )


def _loads(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", rows.loads(text))
