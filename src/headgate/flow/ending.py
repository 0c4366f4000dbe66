"""This file is where an attempt's end becomes the run's next state: over, or waiting to be tried again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from headgate.model import NEXT, Backoff, Run, RunState
from headgate.ports import Ending

RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Over:
    state: RunState
    detail: str
    error: str | None


@dataclass(frozen=True, slots=True)
class TryAgain:
    at: datetime
    error: str | None


def after(
    run: Run, ending: Ending, backoff: Backoff, *, timed_out: bool, jitter: Callable[[], float] = random.random
) -> Over | TryAgain:
    """Decide. Only FAILED is tried again (AWS: TIMEOUT is not), while retries are left, never once a stop is asked."""
    state = ending.state
    if timed_out and state in (RunState.STOPPED, RunState.FAILED):
        return Over(RunState.TIMEOUT, "timeout", _timed_out(run))
    again = state is RunState.FAILED and ending.retryable and run.attempt < run.max_retries
    if again and RunState.WAITING in NEXT[run.state]:
        return TryAgain(ending.at + timedelta(seconds=pause(backoff, run.attempt, jitter())), ending.error)
    if state not in NEXT[run.state]:
        state = RunState.STOPPED if run.state is RunState.STOPPING else RunState.FAILED
    error = ending.error or (_timed_out(run) if state is RunState.TIMEOUT else None)
    # who asked for the stop, and why, is what a stopped run has to say
    asked = run.detail if state is RunState.STOPPED and run.state is RunState.STOPPING else ""
    return Over(state, ending.detail or asked, error)


def _timed_out(run: Run) -> str:
    limit = f"{run.timeout:g} s" if run.timeout else "its limit"
    return f"timed out after {limit} and was stopped, with everything it started"


def pause(backoff: Backoff, attempt: int, jitter: float) -> float:
    """Seconds to wait before attempt + 1: between half and all of min(cap, base * factor**attempt)."""
    full = min(backoff.cap, backoff.base * backoff.factor ** min(attempt, 64))
    return full * (0.5 + 0.5 * jitter)
