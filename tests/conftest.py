"""This file is where pytest starts, which puts what tests share (`browser`, `fakes`) where all can import it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from services.postgres import cluster
from services.tables import database, make_template


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """The one cluster of this session, which `database` copies empty ledgers on."""
    if os.environ.get("HEADGATE_NO_POSTGRES") == "1":
        pytest.skip("HEADGATE_NO_POSTGRES=1: tests on PostgreSQL are turned off")
    with cluster() as url:
        server = sa.make_url(url)
        make_template(server)
        yield server


@pytest.fixture
def postgres_url(postgres: sa.URL) -> Iterator[str]:
    """An empty ledger's URL."""
    with database(postgres) as url:
        yield url
