"""This file is where the served gates of these tests are opened and closed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from behind import behind
from browser import Page, browser
from fakes.frontend import FakeFrontend
from gluing import Stand, standing
from served import World
from staged import Staged, staged


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    with standing() as made:
        yield made


@pytest.fixture
def glue(world: World, stand: Stand) -> Any:
    """A client of boto3 for Glue, as the test's gate serves it."""
    stand.world = world
    return stand.client


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    """A gate that wants the tokens `secret` and `events`."""
    made = World(tmp_path, token="secret", events_token="events")
    yield made
    made.close()


@pytest.fixture(scope="module")
def frontend() -> Iterator[FakeFrontend]:
    """A stand-in for DataHub's frontend."""
    with FakeFrontend() as made:
        yield made


@pytest.fixture(scope="module")
def url(frontend: FakeFrontend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a Headgate before the frontend."""
    with behind(tmp_path_factory.mktemp("behind"), frontend.url) as address:
        yield address


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@pytest.fixture
def stage(frontend: FakeFrontend, tmp_path: Path, page: Page) -> Iterator[tuple[str, Staged]]:
    """The URL of a Headgate before the frontend, and what its API is told to say."""
    page.problems.clear()
    with staged(tmp_path, frontend) as made:
        yield made
        page.call("Page.navigate", url="about:blank")
