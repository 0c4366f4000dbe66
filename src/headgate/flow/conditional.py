"""This file is where a run's end meets the conditional triggers: who fires, who remembers, who skips and why.

Rules: AWS Glue's (only the last attempt counts, only ends after activation, every action starts), and for AND the
latches of our own: in mode `any` one latch per condition, the newest end counts; in mode `triggered` one latch per
condition and root firing, and only runs that a trigger started count. All latches are cleared by the firing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from headgate.flow.targets import LONGEST_VALUE
from headgate.model import Action, FiresFor, JobName, Json, Logical, Predecessor, Run, RunId, Trigger


@dataclass(frozen=True, slots=True)
class Fires:
    predecessors: Sequence[Predecessor]


@dataclass(frozen=True, slots=True)
class Remembers:
    """A condition came true; the others have not yet."""

    missing: Sequence[str]  #: e.g. "b SUCCEEDED"


@dataclass(frozen=True, slots=True)
class Skips:
    reason: str


Latches = Mapping[JobName, RunId]


def latch_root(run: Run, mode: FiresFor) -> str:
    """The key under which this run's latches are kept: one for all in mode `any`, the root firing's in `triggered`."""
    return (run.root or "") if mode is FiresFor.TRIGGERED else ""


def needs_latches(trigger: Trigger) -> bool:
    predicate = trigger.predicate
    return predicate is not None and predicate.logical is Logical.AND and len(predicate.conditions) > 1


def consider(run: Run, trigger: Trigger, mode: FiresFor, latches: Latches) -> Fires | Remembers | Skips:
    """Decide what the end of `run` does at `trigger`.

    `latches` are the conditions that came true earlier (under `latch_root`), by job; this run's own is added here.
    """
    predicate = trigger.predicate
    if predicate is None:
        return Skips("predicate: the trigger has none")
    watched = [condition.state for condition in predicate.conditions if condition.job == run.job]
    if run.state not in watched:
        wanted = " or ".join(watched)
        return Skips(f"state: {run.job} ended {run.state}, the trigger waits for {wanted}")
    if reason := _not_counted(run, trigger, mode):
        return Skips(reason)
    if not needs_latches(trigger):
        return Fires((Predecessor(job=run.job, run=run.id),))
    true_now = {**latches, run.job: run.id}
    missing = [f"{c.job} {c.state}" for c in predicate.conditions if c.job not in true_now]
    if missing:
        return Remembers(missing)
    return Fires(tuple(Predecessor(job=c.job, run=true_now[c.job]) for c in predicate.conditions))


def _not_counted(run: Run, trigger: Trigger, mode: FiresFor) -> str | None:
    if not trigger.enabled:
        return "disabled: the trigger is DEACTIVATED"
    if not run.downstream:
        return "no-downstream: the run was started without what follows from it"
    if mode is FiresFor.TRIGGERED and run.root is None:
        return "not triggered: the run was started directly, and conditional_fires_for is `triggered` (as on AWS)"
    return None


def hand_on(action: Action, results: Mapping[RunId, Mapping[str, Json]]) -> dict[str, str] | Skips:
    """Return the arguments that an action takes from the results of the runs that fired it, in their order.

    A text is handed on as it is, anything else as JSON. Of several runs lists are joined, each of their members once;
    of anything else the last one's counts. What no run has, or is empty, is nothing to start the job for.
    """
    handed: dict[str, str] = {}
    for argument, member in action.from_result.items():
        found = [result[member] for result in results.values() if result.get(member) not in (None, "", [], {})]
        if not found:
            runs = " and ".join(f"{run[:11]}…" for run in results)
            return Skips(f"result: {runs} has nothing under {member!r}, which {argument} is made of")
        text = _text(found)
        if len(text) > LONGEST_VALUE:
            return Skips(
                f"result: {member!r} has {len(text):,} characters; an argument takes at most {LONGEST_VALUE:,}"
            )
        handed[argument] = text
    return handed


def _text(found: Sequence[Json]) -> str:
    lists = [cast("list[Json]", one) for one in found if isinstance(one, list)]
    if len(lists) == len(found):
        return json.dumps(list({json.dumps(one): one for those in lists for one in those}.values()))
    last = found[-1]
    return last if isinstance(last, str) else json.dumps(last)
