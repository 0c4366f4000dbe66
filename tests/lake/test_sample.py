"""This file is where the sample data is shown to be what it says: so many rows, so many bad, always the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.lake.sample import SPOILT, write_sample

from .world import make_world


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 60), st.integers(0, 25), st.integers(0, 2**32))
def test_exactly_the_bad_records_asked_for_are_rejected(
    tmp_path_factory: pytest.TempPathFactory, good: int, bad: int, seed: int
) -> None:
    """Whatever the seed; every kind of bad record is rejected once."""
    world = make_world(tmp_path_factory.mktemp("sample"))
    write_sample(world.inbox / "a.csv", good + bad, bad, seed)

    result = world.ingest(source="s3://raw-data/")

    assert (result["rows"], result["rejects"], result["refused"]) == (good, bad, 0)


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    """And another seed other ones."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, 100, 3, seed)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_seven_bad_ones_are_of_seven_kinds() -> None:
    """The demo plants seven."""
    assert len(SPOILT) >= 7


def test_a_hundred_thousand_rows_take_seconds(tmp_path: Path) -> None:
    """The demo waits for it."""
    start = time.process_time()

    write_sample(tmp_path / "a.csv", 100_000, 7)

    assert time.process_time() - start < 8


def test_more_bad_records_than_records_is_an_error(tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(Invalid, match="can not hold 3"):
        write_sample(tmp_path / "a.csv", 2, 3)
