"""This file is where tokens are kept by which functions say how they ended, so that any replica can take that in.

A token is `<attempt id>.<secret>`. Of the secret only the digest is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from headgate.errors import Conflict, NotFound
from headgate.ledger import dialects, schema
from headgate.ledger.writer import Batch
from headgate.model import RunId

_INSERT: Final[Mapping[str, Callable[[sa.Table], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_LONGEST: Final = 300  #: characters of a token; ours have some 130
_table = schema.callback


def keep(batch: Batch, token: str) -> None:
    """Let every replica know the token."""
    attempt, digest = _parts(token)
    made = _INSERT[batch.connection.dialect.name](_table).values(attempt=attempt, sha256=digest, at=batch.now)
    batch.connection.execute(made.on_conflict_do_nothing())


def given(connection: Connection, attempt: str) -> bool:
    """Whether a token was given to this attempt, by whichever replica."""
    return connection.execute(sa.select(_table.c.at).where(_table.c.attempt == attempt)).first() is not None


def whose(batch: Batch, token: str) -> tuple[RunId, int, str, str]:
    """The run, the number of the attempt, the run's job and the replica that has it, locked until the end is written.

    Raises:
        NotFound: no such token was given. Conflict: the attempt has ended already.
    """
    connection = batch.connection
    attempt, digest = _parts(token)
    known = sa.select(_table.c.attempt).where(_table.c.attempt == attempt, _table.c.sha256 == digest)
    if connection.execute(known).first() is None:
        raise _unknown(token)
    own, _, number = attempt.partition("_attempt_")
    run = schema.run
    found = connection.execute(dialects.for_update(
        sa.select(run.c.job, run.c.attempt, run.c.owner, run.c.state).where(run.c.id == own), connection
    )).first()  # fmt: skip
    if found is None or found.attempt != int(number or 0):
        raise Conflict(f"{attempt} has ended already; what comes after is not heard")
    if found.owner is None:  # it waits to be offered to its engine again, which keeps for itself what it heard
        raise _unknown(token)
    return RunId(own), found.attempt, found.job, found.owner


def _parts(token: str) -> tuple[str, str]:
    attempt, _, secret = token.rpartition(".")
    if not attempt or len(token) > _LONGEST:
        raise _unknown(token)
    return attempt, hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _unknown(token: str) -> NotFound:
    return NotFound("run that waits for this token", token.partition(".")[0][:80])
