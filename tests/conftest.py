"""This file is where pytest starts, which puts what tests share (`browser`, `fakes`) where all can import it.

Property tests try fewer examples than they would by themselves, the same ones each time, so that who changes nothing
breaks nothing; `--hypothesis-profile=thorough` (`make properties`) tries many, and others each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import settings
from services.postgres import cluster
from services.tables import database, make_template

# a machine that does other things, too, is no reason to fail: what has to be quick says so itself
settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=1_000, deadline=None)
settings.load_profile("quick")

#: Seconds a slow test may take, on the slowest machine there may be.
LONGEST = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: a worker that begins one of them last keeps all the others waiting."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    for item in slow:
        item.add_marker(pytest.mark.timeout(LONGEST))
    files = {item.path for item in slow}
    items.sort(key=lambda item: item.path not in files)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that a test calls says where the log goes: to a stream that is closed when the test is over."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


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
