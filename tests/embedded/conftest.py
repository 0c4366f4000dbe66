"""This file is where the catalogs of these tests are opened and closed, on each database there is."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from services.postgres import cluster

from .world import World


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """The one cluster of this session."""
    if os.environ.get("HEADGATE_NO_POSTGRES") == "1":
        pytest.skip("HEADGATE_NO_POSTGRES=1: tests on PostgreSQL are turned off")
    with cluster() as url:
        yield sa.make_url(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database's URL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server: sa.URL = request.getfixturevalue("postgres")
    name = f"c_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"create database {name} template template0")
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
    engine.dispose()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def anywhere(tmp_path: Path, url: str) -> Iterator[World]:
    """A catalog on each database."""
    made = World(tmp_path, url=url)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    """A catalog that wants the token `secret` of those who write."""
    made = World(tmp_path, token="secret")
    yield made
    made.close()
