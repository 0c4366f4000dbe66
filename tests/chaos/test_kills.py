"""This file is where `headgate serve` is killed under load: nothing may be lost, doubled or false."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.postgres import cluster

from .campaign import kill_one_server, kill_replicas
from .world import end_everything, make_project

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    made = make_project(tmp_path / "project")
    yield made
    end_everything(made)


@pytest.fixture
def dice() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_nothing_is_lost_doubled_or_false_when_the_server_is_killed(project: Path, dice: random.Random) -> None:
    """25 kills at random moments: every acknowledged event has its run, every success one follower, no state lies."""
    counts = kill_one_server(project, dice, kills=25)
    print(dict(counts))

    assert counts["kills"] == 25
    assert counts["SUCCEEDED"] > 25, f"hardly anything ran: {counts}"
    assert counts["acknowledged"] > 25, f"hardly anything was acknowledged: {counts}"


@pytest.mark.postgres
@pytest.mark.skipif(os.environ.get("HEADGATE_NO_POSTGRES") == "1", reason="HEADGATE_NO_POSTGRES=1")
def test_nothing_is_lost_doubled_or_false_when_replicas_are_killed(project: Path, dice: random.Random) -> None:
    """Three replicas on PostgreSQL share one home and are killed one at a time, 12 times."""
    with cluster() as url:
        counts = kill_replicas(project, url, dice, kills=12)
    print(dict(counts))

    assert counts["kills"] == 12
    assert counts["SUCCEEDED"] > 50, f"hardly anything ran: {counts}"
