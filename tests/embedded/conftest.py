"""This file is where the catalogs of these tests are opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    """A catalog that wants the token `secret` of those who write."""
    made = World(tmp_path, token="secret")
    yield made
    made.close()
