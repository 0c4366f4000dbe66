"""This file is where calls are rationed: as many as AWS allows for everybody, of which we take a part."""

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

    def throttled(self) -> None:
        """AWS said we ask too often: halve the rate (never below one call in five seconds) and spend what was saved."""
        self._rate = max(self._rate / 2, 0.2)
        self._tokens = 0.0
