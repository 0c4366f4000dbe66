"""This file is where every ledger there is gets its turn: one suite, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.tables import ledger_in

from .replica import Replica, Replicas


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return ledger_in(tmp_path)


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
