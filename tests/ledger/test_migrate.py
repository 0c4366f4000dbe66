"""This file is where the tables are made, compared with what the code thinks they are, and refused when newer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from services.tables import execute

from headgate.errors import LedgerUnavailable
from headgate.ledger import dialects, migrate, schema
from headgate.ledger.store import Ledger

from .replica import Replica, job


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: sa.URL = request.getfixturevalue("postgres")
    execute(server, "create database empty template template0")
    yield server.set(database="empty").render_as_string(hide_password=False)
    execute(server, "drop database empty with (force)")


def test_migrations_make_exactly_the_tables_the_code_knows(url: str) -> None:
    """Alembic finds no difference between a migrated database and the metadata: columns, types, indexes."""
    engine = dialects.open_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, schema.metadata)
    engine.dispose()

    assert differences == []


def test_head_is_the_newest_migration() -> None:
    """Who adds a migration also says so, and the revisions are one line without forks."""
    files = sorted(file.stem for file in (migrate.FOLDER / "versions").glob("[0-9]*.py"))

    assert files[-1].partition("_")[0] == migrate.HEAD
    assert [name[:4] for name in files] == [f"{number:04}" for number in range(1, len(files) + 1)]


def test_replicas_that_start_at_once_migrate_once(empty: str) -> None:
    """Four open an empty database at the same moment: all work on the same tables."""
    barrier = threading.Barrier(4)

    def start(_: int) -> str:
        replica = Replica(empty, opened=False)
        barrier.wait()
        replica.ledger.open()
        replica.declare([job("a")])
        run = replica.ask("a").id
        replica.close()
        return run

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(start, range(4)))
    replica = Replica(empty)
    assert {run.id for run in replica.runs()} == set(runs)
    replica.close()


def test_a_newer_ledger_is_refused(url: str) -> None:
    """A program that does not know the revision touches nothing and says to upgrade."""
    engine = dialects.open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    for create in (True, False):
        ledger = Ledger(url)
        with pytest.raises(LedgerUnavailable, match=r"newer Headgate \(revision 9999.*upgrade"):
            ledger.open(create=create)
        ledger.close()


def test_looking_at_a_ledger_that_is_not_there_says_what_makes_one(empty: str) -> None:
    """`open(create=False)` makes nothing."""
    ledger = Ledger(empty)
    with pytest.raises(LedgerUnavailable, match="headgate serve"):
        ledger.open(create=False)
    ledger.close()
