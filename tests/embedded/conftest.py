"""This file is where the catalogs of these tests are opened and closed, on each database there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services.tables import ledger_in

from .world import World


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger's URL."""
    return ledger_in(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


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
