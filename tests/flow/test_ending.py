"""This file is where an attempt's end becomes the run's next state, whatever the engine says and when."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from headgate.flow.ending import Over, TryAgain, after, pause
from headgate.model import NEXT, OCCUPYING, Backoff, Cause, JobName, Run, RunId, RunState
from headgate.ports import Ending

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOLD = [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.TIMEOUT, RunState.ERROR]


def run(state: RunState, *, attempt: int = 0, max_retries: int = 0, timeout: float | None = 5.0) -> Run:
    return Run(
        id=RunId("jr_x"), seq=1, job=JobName("a"), engine="local", state=state, detail="", attempt=attempt,
        cause=Cause(), arguments={}, external_id=None, created_at=NOW, started_at=NOW, ended_at=None, error=None,
        result={}, timeout=timeout, max_retries=max_retries,
    )  # fmt: skip


@given(
    state=st.sampled_from(sorted(OCCUPYING)),
    told=st.sampled_from(TOLD),
    flags=st.tuples(st.booleans(), st.booleans()),
    attempts=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_every_end_is_a_move_of_the_table(
    state: RunState, told: RunState, flags: tuple[bool, bool], attempts: tuple[int, int]
) -> None:
    """From any state, told anything: the next state is allowed, and only a FAILED that may be retried is."""
    (retryable, timed_out), (attempt, max_retries) = flags, attempts
    before = run(state, attempt=attempt, max_retries=max_retries)
    decided = after(before, Ending(state=told, at=NOW, retryable=retryable), Backoff(), timed_out=timed_out)
    if isinstance(decided, TryAgain):
        assert RunState.WAITING in NEXT[state]
        assert (told, retryable, timed_out) == (RunState.FAILED, True, False)
        assert attempt < max_retries
    else:
        assert decided.state in NEXT[state]
        assert decided.state not in OCCUPYING
        stays = decided.state is told
        became_timeout = timed_out and decided.state is RunState.TIMEOUT
        stopping_error = state is RunState.STOPPING and decided.state is RunState.STOPPED
        assert stays or became_timeout or stopping_error


@given(
    base=st.floats(0, 1e6), factor=st.floats(1, 100), cap=st.floats(0, 1e6), attempt=st.integers(0, 10_000),
    jitter=st.floats(0, 1),
)  # fmt: skip
def test_a_pause_is_between_half_and_all_and_never_above_the_cap(
    base: float, factor: float, cap: float, attempt: int, jitter: float
) -> None:
    """However many attempts there were: no overflow, no pause longer than the cap."""
    waited = pause(Backoff(base=base, factor=factor, cap=cap), attempt, jitter)
    full = min(cap, base * factor ** min(attempt, 64))

    assert full / 2 <= waited <= full <= cap


def test_a_timeout_says_which_limit_it_was() -> None:
    """Whether we stopped it for it or the engine did; an error the engine gives is kept."""
    stopped = after(run(RunState.STOPPING), Ending(state=RunState.STOPPED, at=NOW), Backoff(), timed_out=True)
    told = after(run(RunState.RUNNING), Ending(state=RunState.TIMEOUT, at=NOW), Backoff(), timed_out=False)
    own = after(run(RunState.RUNNING), Ending(state=RunState.TIMEOUT, at=NOW, error="x"), Backoff(), timed_out=False)

    text = "timed out after 5 s and was stopped, with everything it started"
    assert stopped == Over(RunState.TIMEOUT, "timeout", text)
    assert told == Over(RunState.TIMEOUT, "", text)
    assert own == Over(RunState.TIMEOUT, "", "x")


def test_a_success_that_beat_the_time_limit_is_one() -> None:
    """Asked to stop for its limit, it ended well before the stop reached it: SUCCEEDED."""
    ending = Ending(state=RunState.SUCCEEDED, at=NOW)

    assert after(run(RunState.STOPPING), ending, Backoff(), timed_out=True) == Over(RunState.SUCCEEDED, "", None)
