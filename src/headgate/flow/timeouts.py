"""This file is where a job's past says what its time limit might be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 5  #: successful runs below which nothing is suggested


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the newest successful runs took, in seconds, and the limit that follows from it."""

    runs: int
    median: float
    longest: float
    suggested_timeout: float


def suggest(durations: Sequence[float]) -> Durations | None:
    """Three times the longest success, rounded up to a whole minute; None where too few runs succeeded to tell.

    Three: data that doubles, on a machine half as fast, still gets through, and a run that hangs is ended within the
    hour it would otherwise block its queue for eight.
    """
    if len(durations) < ENOUGH:
        return None
    ordered = sorted(durations)
    longest = ordered[-1]
    return Durations(
        runs=len(ordered),
        median=ordered[len(ordered) // 2],
        longest=longest,
        suggested_timeout=max(60.0, math.ceil(3 * longest / 60) * 60.0),
    )
