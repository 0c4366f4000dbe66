"""This file is where rules that were given through the API or the console are kept: one for each thing they cover."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.errors import NotFound
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.ledger import catalogs, rows, schema
from headgate.ledger.writer import Batch
from headgate.model import JobName, Json

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_SAID = ("job", "function", "state_machine_arn", "region")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRule:
    """A rule of the ledger, and who gave it last."""

    id: str  #: rl_ and 16 hex digits, made of what the rule covers
    rule: Rule
    actor: str
    updated_at: datetime


def rule_id(kind: RuleKind, value: str) -> str:
    """The same for whatever a rule of this kind and value starts: there is one rule for each thing covered."""
    return "rl_" + hashlib.sha256(f"{kind.value}\0{value}".encode()).hexdigest()[:16]


def read(connection: Connection) -> list[KeptRule]:
    """All of them, the longest standing first."""
    table = schema.rule
    return [_kept(row) for row in connection.execute(sa.select(table).order_by(table.c.created_at, table.c.id))]


def put(batch: Batch, rule: Rule, *, actor: str, reason: str | None) -> KeptRule:
    """Keep the rule, in place of the one that covers the same, if there is one."""
    table = schema.rule
    name = rule_id(rule.kind, rule.value)
    before = batch.connection.execute(sa.select(table).where(table.c.id == name)).first()
    values: dict[str, object] = {
        "kind": rule.kind.value,
        "value": rule.value,
        "job": rule.job,
        "function": rule.function,
        "state_machine_arn": rule.state_machine_arn,
        "region": rule.region,
        "actor": actor,
        "updated_at": batch.now,
    }
    made = _INSERT[batch.connection.dialect.name](table).values(id=name, created_at=batch.now, **values)
    batch.connection.execute(made.on_conflict_do_update(index_elements=["id"], set_=values))
    detail: dict[str, Json] = {"before": _said(before), "after": {key: values[key] for key in _SAID if values[key]}}
    catalogs.note(
        batch, actor=actor, action="rule.set", subject=_subject(rule.kind, rule.value), reason=reason, detail=detail
    )
    return _kept(batch.connection.execute(sa.select(table).where(table.c.id == name)).one())


def delete(batch: Batch, name: str, *, actor: str, reason: str | None) -> KeptRule:
    """Take a rule away; `name` is its id, or what it covers (`default` for the default). Raises NotFound."""
    table = schema.rule
    if name == RuleKind.DEFAULT.value:
        fits = table.c.id == rule_id(RuleKind.DEFAULT, "")
    else:
        fits = sa.or_(table.c.id == name, sa.and_(table.c.value == name, table.c.kind != RuleKind.DEFAULT.value))
    row = batch.connection.execute(sa.select(table).where(fits).order_by(table.c.created_at)).first()
    if row is None:
        raise NotFound("rule in the ledger", name, "see `headgate rules list`; rules of files are changed in the file")
    batch.connection.execute(table.delete().where(table.c.id == row.id))
    subject = _subject(RuleKind(row.kind), row.value)
    catalogs.note(
        batch, actor=actor, action="rule.delete", subject=subject, reason=reason, detail={"before": _said(row)}
    )
    return _kept(row)


def _kept(row: Any) -> KeptRule:
    rule = Rule(
        kind=RuleKind(row.kind),
        value=row.value,
        job=JobName(row.job) if row.job is not None else None,
        function=row.function,
        state_machine_arn=row.state_machine_arn,
        region=row.region,
        place=f"ledger:{row.id}",
        source=RuleSource.LEDGER,
    )
    return KeptRule(id=row.id, rule=rule, actor=row.actor, updated_at=rows.sure_moment(row.updated_at))


def _said(row: Any) -> dict[str, Json] | None:
    """What it starts, for the audit."""
    return None if row is None else {key: value for key in _SAID if (value := getattr(row, key))}


def _subject(kind: RuleKind, value: str) -> str:
    return f"{kind.value} {value}".rstrip()
