"""This file is where a run's end meets a conditional trigger, without a ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headgate.flow.conditional import Fires, Remembers, Skips, consider, latch_root, needs_latches
from headgate.model import (
    Cause,
    Condition,
    FiresFor,
    JobName,
    Logical,
    Predicate,
    Run,
    RunId,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = JobName("a"), JobName("b")
ANY, TRIGGERED = FiresFor.ANY, FiresFor.TRIGGERED


def ended(
    job: JobName, state: RunState = RunState.SUCCEEDED, *, root: str | None = None, downstream: bool = True
) -> Run:
    return Run(
        id=RunId(f"jr_{job}"), seq=1, job=job, engine="local", state=state, detail="", attempt=0, cause=Cause(),
        arguments={}, external_id=None, created_at=NOW, started_at=NOW, ended_at=NOW, error=None, result={},
        root=root, downstream=downstream,
    )  # fmt: skip


def trigger(logical: Logical = Logical.AND, *, jobs: tuple[JobName, ...] = (A, B)) -> Trigger:
    conditions = [Condition(job=job, state=RunState.SUCCEEDED) for job in jobs]
    return Trigger(
        name=TriggerName("t"),
        type=TriggerType.CONDITIONAL,
        actions=[],
        predicate=Predicate(conditions=conditions, logical=logical),
    )


def test_and_remembers_until_all_are_true() -> None:
    """What is missing is said; with the last one it fires, predecessors in the order of the conditions."""
    assert consider(ended(B), trigger(), ANY, {}) == Remembers(["a SUCCEEDED"])
    fires = consider(ended(A), trigger(), ANY, {B: RunId("jr_old")})
    assert isinstance(fires, Fires)
    assert [(one.job, one.run) for one in fires.predecessors] == [("a", "jr_a"), ("b", "jr_old")]


def test_any_and_single_conditions_need_no_latches() -> None:
    """Each end that matches fires for itself."""
    for one in (trigger(Logical.ANY), trigger(jobs=(A,))):
        assert not needs_latches(one)
        assert isinstance(consider(ended(A), one, ANY, {}), Fires)
    assert needs_latches(trigger())


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.STOPPED, RunState.TIMEOUT, RunState.ERROR])
def test_another_end_is_skipped_saying_which_is_waited_for(state: RunState) -> None:
    """The reason names both states."""
    answer = consider(ended(A, state), trigger(), ANY, {})

    assert answer == Skips(f"state: a ended {state}, the trigger waits for SUCCEEDED")


def test_what_does_not_count_says_why() -> None:
    """Off; without followers; started by hand where only triggers count."""
    off = replace(trigger(), enabled=False)
    reasons = [
        consider(ended(A), off, ANY, {}),
        consider(ended(A, downstream=False), trigger(), ANY, {}),
        consider(ended(A), trigger(), TRIGGERED, {}),
        consider(ended(A), replace(trigger(), predicate=None), ANY, {}),
    ]

    assert [str(one.reason).partition(":")[0] for one in reasons if isinstance(one, Skips)] == [
        "disabled",
        "no-downstream",
        "not triggered",
        "predicate",
    ]
    assert isinstance(consider(ended(A, root="r"), trigger(), TRIGGERED, {}), Remembers)


def test_latches_are_one_for_all_or_one_for_each_firing() -> None:
    """Mode `any` has one key, mode `triggered` the root firing's."""
    assert latch_root(ended(A, root="r"), ANY) == latch_root(ended(A), ANY) == ""
    assert latch_root(ended(A, root="r"), TRIGGERED) == "r"
