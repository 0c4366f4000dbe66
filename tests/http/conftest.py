"""This file is where the served gates of these tests are opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    """A gate that wants the tokens `secret` and `events`."""
    made = World(tmp_path, token="secret", events_token="events")
    yield made
    made.close()
