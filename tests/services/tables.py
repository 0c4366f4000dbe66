"""This file is where tests get ledgers with tables in them and nothing else: made once a process, then copied.

To make them takes longer than most tests. That they are made where there are none is shown by tests/ledger, and by the
tests that follow the quick start.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from headgate.ledger.store import Ledger


def _make(url: str) -> None:
    ledger = Ledger(url)
    ledger.open()
    ledger.close()


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        _make(f"sqlite:///{file}")
        assert not file.with_name("ledger.db-wal").exists(), "not all of it is in the file"
        return file.read_bytes()


def ledger_in(folder: Path) -> str:
    """The URL of the folder's SQLite ledger, an empty one unless there is one already."""
    file = folder / "ledger.db"
    if not file.exists():
        file.write_bytes(_template())
    return f"sqlite:///{file}"


def put_tables(home: Path) -> None:
    """Make a home, with an empty ledger unless there is one already."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    ledger_in(home)


def make_template(server: sa.URL) -> None:
    """Give a cluster of PostgreSQL the database that `database` copies."""
    execute(server, "create database template template template0")
    _make(server.set(database="template").render_as_string(hide_password=False))


@contextmanager
def database(server: sa.URL) -> Generator[str]:
    """The URL of an empty ledger on this cluster."""
    name = f"t_{secrets.token_hex(6)}"
    execute(server, f"create database {name} template template strategy file_copy")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server, f"drop database {name} with (force)")


def execute(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
