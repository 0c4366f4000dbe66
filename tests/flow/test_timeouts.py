"""What a job's past says about its time limit."""

from __future__ import annotations

import pytest

from headgate.flow.timeouts import ENOUGH, suggest


def test_too_few_successes_suggest_nothing() -> None:
    """Four runs say little about the fifth."""
    assert suggest([10.0] * (ENOUGH - 1)) is None


@pytest.mark.parametrize(("longest", "expected"), [(1.0, 60.0), (20.0, 60.0), (20.1, 120.0), (600.0, 1800.0)])
def test_the_limit_is_three_times_the_longest_in_whole_minutes(longest: float, expected: float) -> None:
    """Rounded up, and never under a minute."""
    found = suggest([0.5, 0.5, 0.5, longest, 0.5])

    assert found is not None
    assert found.suggested_timeout == expected
    assert (found.median, found.longest, found.runs) == (0.5, longest, 5)
