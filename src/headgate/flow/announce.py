"""This file is where a run's end becomes messages: one for a failure, one for a recovery, to those who asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headgate.model import JobName, Json, Run, RunState
from headgate.ports import Message

RECOVERED = "RECOVERED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Someone who wants to be told. `job` None: of every job."""

    channel: str
    on: frozenset[str]
    job: JobName | None = None


@dataclass(frozen=True, slots=True)
class Announcer:
    """For `Ledger.announce`: pure, since it is called inside the transaction that ends the run."""

    subscriptions: Sequence[Subscription] = ()
    wanted: frozenset[str] = field(default=frozenset())

    @staticmethod
    def of(subscriptions: Sequence[Subscription]) -> Announcer:
        return Announcer(tuple(subscriptions), frozenset().union(*(one.on for one in subscriptions)))

    def __call__(self, run: Run, was_failing: bool) -> Sequence[Message]:
        if not self.wanted:
            return ()
        kinds = [run.state.value]
        if run.state is RunState.SUCCEEDED and was_failing:
            kinds.append(RECOVERED)
        return [
            Message(one.channel, run.job, payload(run, kind))
            for one in self.subscriptions
            if one.job in (None, run.job)
            for kind in kinds
            if kind in one.on
        ]


def payload(run: Run, kind: str) -> Mapping[str, Json]:
    """What is told: enough to act on without opening anything. No arguments: they may hold what is not for everyone."""
    return {
        "kind": kind,
        "run": run.id,
        "job": run.job,
        "state": run.state.value,
        "error": run.error,
        "attempt": run.attempt,
        "trigger": run.cause.trigger,
        "actor": run.cause.actor,
        "started_at": run.started_at.isoformat() if run.started_at else None,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }
