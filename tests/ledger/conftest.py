"""This file is where every ledger there is gets its turn: one suite, SQLite and PostgreSQL."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from services.postgres import cluster

from headgate.ledger.store import Ledger

from .replica import Replica, Replicas


def _tables(url: str) -> None:
    """Make the tables once; each test copies them."""
    ledger = Ledger(url)
    ledger.open()
    ledger.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    _tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """The one cluster of this session, with a database `template` that has the tables."""
    if os.environ.get("HEADGATE_NO_POSTGRES") == "1":
        pytest.skip("HEADGATE_NO_POSTGRES=1: tests on PostgreSQL are turned off")
    with cluster() as url:
        server = sa.make_url(url)
        execute(server, "create database template template template0")
        _tables(server.set(database="template").render_as_string(hide_password=False))
        yield server


def execute(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def postgres_url(postgres: sa.URL) -> Iterator[str]:
    name = f"t_{secrets.token_hex(6)}"
    execute(postgres, f"create database {name} template template strategy file_copy")
    yield postgres.set(database=name).render_as_string(hide_password=False)
    execute(postgres, f"drop database {name} with (force)")


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    shutil.copy(sqlite_template, tmp_path / "ledger.db")
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    """An empty ledger's URL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def replicas(url: str) -> Iterator[Replicas]:
    """Makes as many replicas on one ledger as a test wants."""
    made = Replicas(url)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "alone", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest) -> Iterator[Replica]:
    """One replica that claims, with nothing behind it: tests say what its engine says.

    `alone`: it was told that no other process writes, and spares itself what only others could have changed.
    """
    kind = "sqlite" if request.param == "alone" else request.param
    made = Replica(request.getfixturevalue(f"{kind}_url"))
    made.ledger.alone = request.param == "alone"
    yield made
    made.close()
