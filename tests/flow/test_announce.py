"""This file is where a run's end becomes messages: to whom, how many, and what is not in them."""

from __future__ import annotations

from datetime import UTC, datetime

from headgate.flow.announce import Announcer, Subscription, payload
from headgate.model import Cause, JobName, Run, RunId, RunState, TriggerName

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ended(state: RunState, job: str = "a") -> Run:
    return Run(
        id=RunId("jr_x"), seq=1, job=JobName(job), engine="local", state=state, detail="", attempt=1,
        cause=Cause(trigger=TriggerName("t"), actor="ann"), arguments={"--password": "geheim"}, external_id=None,
        created_at=NOW, started_at=NOW, ended_at=NOW, error="e", result={"secret": "geheim"},
    )  # fmt: skip


def test_those_are_told_who_asked_for_it() -> None:
    """By kind of end and by job; the subject is the job."""
    announce = Announcer.of(
        [
            Subscription(channel="all", on=frozenset({"FAILED", "RECOVERED"})),
            Subscription(channel="b", on=frozenset({"FAILED"}), job=JobName("b")),
        ]
    )

    assert [(one.channel, one.subject) for one in announce(ended(RunState.FAILED), False)] == [("all", "a")]
    assert [one.channel for one in announce(ended(RunState.FAILED, "b"), False)] == ["all", "b"]
    assert announce(ended(RunState.STOPPED), True) == []


def test_a_recovery_is_the_first_success_after_a_failure() -> None:
    """RECOVERED beside SUCCEEDED for who wants both; without a failure before, only SUCCEEDED."""
    announce = Announcer.of([Subscription(channel="c", on=frozenset({"SUCCEEDED", "RECOVERED"}))])

    kinds = [[one.payload["kind"] for one in announce(ended(RunState.SUCCEEDED), failing)] for failing in (True, False)]
    assert kinds == [["SUCCEEDED", "RECOVERED"], ["SUCCEEDED"]]


def test_nobody_who_listens_costs_nothing() -> None:
    """Without subscriptions there is nothing."""
    assert Announcer.of([])(ended(RunState.FAILED), True) == ()


def test_arguments_and_results_are_not_told() -> None:
    """They may hold what is not for everyone."""
    assert "geheim" not in str(payload(ended(RunState.FAILED), "FAILED"))
