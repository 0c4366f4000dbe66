"""This file is where calls are rationed: as many as AWS allows for everybody, of which we take a part.

And where a place that does not answer is left alone for a while: each call there would keep everybody waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Budget:
    """A token bucket. Not safe from several threads: it belongs to the one that looks at runs."""

    def __init__(self, *, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._full_rate = rate
        self._rate = rate  #: per second; less after a throttle
        self._burst = burst
        self._tokens = burst
        self._clock = clock
        self._at = clock()

    @property
    def rate(self) -> float:
        return self._rate

    def wait(self) -> float:
        """Seconds until a call may be made; 0 takes the right to make it now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        # the way back up is slow: a minute without a throttle doubles the rate
        if self._tokens >= 1 - 1e-9:
            self._tokens = max(self._tokens - 1, 0.0)
            self._rate = min(self._full_rate, self._rate * (1 + 0.7 / (60 * self._rate)))
            return 0.0
        return (1 - self._tokens) / self._rate

    def spare(self) -> None:
        """The call that was allowed was not made."""
        self._tokens = min(self._burst, self._tokens + 1)

    def throttled(self) -> None:
        """AWS said we ask too often: halve the rate (never below one call in five seconds) and spend what was saved."""
        self._rate = max(self._rate / 2, 0.2)
        self._tokens = 0.0


class Rests:
    """Which places do not answer, and how long each is left alone. Not safe from several threads, as Budget."""

    def __init__(self, *, first: float, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """The first silence is met with a rest of `first` seconds; it doubles from one to the next."""
        self._first = first
        self._longest = longest
        self._clock = clock
        self._silent: dict[str, tuple[float, float]] = {}  #: until when, and the last rest

    def left(self, place: str) -> float:
        """Seconds the place is still left alone."""
        until, _ = self._silent.get(place, (0.0, 0.0))
        return max(0.0, until - self._clock())

    def silent(self, place: str) -> None:
        """It did not answer."""
        _, before = self._silent.get(place, (0.0, self._first / 2))
        rest = min(before * 2, self._longest)
        self._silent[place] = self._clock() + rest, rest

    def answered(self, place: str) -> None:
        self._silent.pop(place, None)
