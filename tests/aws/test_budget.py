"""This file is where it is seen that calls are rationed, and rationed harder after a throttle."""

from __future__ import annotations

import pytest

from headgate.aws.budget import Budget, Rests


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def calls_in(budget: Budget, clock: Clock, seconds: float) -> int:
    """How many calls a caller that waits as told makes in so many seconds."""
    until, made = clock.now + seconds, 0
    while clock.now < until:
        wait = budget.wait()
        if wait == 0:
            made += 1
        else:
            clock.now += wait
    return made


def test_no_more_calls_than_saved_and_earned() -> None:
    """In ten seconds: what was saved up, and ten seconds' worth."""
    clock = Clock()
    assert calls_in(Budget(rate=8, burst=50, clock=clock), clock, 10) == pytest.approx(130, abs=2)


def test_a_throttle_halves_the_rate_and_it_comes_back_slowly() -> None:
    """After a throttle half as many calls are made, never fewer than one in five seconds; minutes later all of them."""
    clock = Clock()
    budget = Budget(rate=8, burst=1, clock=clock)
    budget.throttled()
    assert calls_in(budget, clock, 10) == pytest.approx(42, abs=4)
    for _ in range(20):
        budget.throttled()
    assert budget.rate == pytest.approx(0.2)
    calls_in(budget, clock, 3600)
    assert budget.rate == pytest.approx(8)


def test_a_place_that_is_silent_is_left_alone_longer_and_longer() -> None:
    """Each silence doubles the rest, up to the longest; an answer ends it; places do not share it."""
    now = [100.0]
    rests = Rests(first=1.0, longest=4.0, clock=lambda: now[0])
    given: list[float] = []
    for _ in range(4):
        rests.silent("here")
        given.append(rests.left("here"))
        now[0] += rests.left("here")
        assert rests.left("here") == 0.0
    rests.answered("here")
    rests.silent("here")

    assert given == [1.0, 2.0, 4.0, 4.0]
    assert (rests.left("here"), rests.left("there")) == (1.0, 0.0)
