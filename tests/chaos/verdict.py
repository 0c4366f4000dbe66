"""This file is where it is judged, after everything was killed, whether something was lost, doubled, or lied about."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from headgate.ledger.reading import EventFilter
from headgate.ledger.store import Ledger
from headgate.model import Run, RunState, attempt_id
from headgate.supervision.logs import read_log

from .world import DEADLINE, Load, executions

LINES = "".join(f"line {number}\n" for number in range(10))


def settle(ledger: Ledger, *, deadline: float = DEADLINE) -> None:
    """Wait until no run is under way. Needs a server that works."""
    give_up = time.monotonic() + deadline
    while live := ledger.live_runs():
        if time.monotonic() > give_up:
            shown = [(run.id[:11], run.job, run.state.value, run.detail, run.owner, run.attempt) for run in live[:10]]
            raise AssertionError(f"{len(live)} runs are still under way after {deadline} s: {shown}")
        time.sleep(0.05)


def all_runs(ledger: Ledger) -> list[Run]:
    runs: list[Run] = []
    before: int | None = None
    while True:
        page = ledger.runs(before=before, limit=500)
        runs.extend(page.items)
        if page.next is None:
            return runs
        before = page.next


def judge(ledger: Ledger, load: Load, project: Path) -> Counter[str]:
    """Hold the ledger against what was acknowledged and against what the jobs themselves wrote. Answers counts."""
    runs = {str(run.id): run for run in all_runs(ledger)}
    assert all(run.ended_at is not None for run in runs.values())
    _nothing_acknowledged_is_lost(ledger, load, runs)
    _each_success_is_followed_once(runs)
    counts = _no_state_lies(runs, project)
    counts.update(acknowledged=len(load.acknowledged), dropped=len(load.dropped), runs=len(runs))
    return counts


def _nothing_acknowledged_is_lost(ledger: Ledger, load: Load, runs: dict[str, Run]) -> None:
    events: dict[str, list[str]] = {}
    before: int | None = None
    while True:
        page = ledger.events(EventFilter(), before=before, limit=500)
        for one in page.items:
            if one.event.object:
                events.setdefault(one.event.object.key, []).append(one.event.id)
                made = [decision.run for decision in one.decisions if decision.run]
                assert len(made) == 1, f"{one.event.object.key}: {one.decisions}"
                assert made[0] in runs
        if page.next is None:
            break
        before = page.next
    known = {identity for ids in events.values() for identity in ids}
    lost = [key for identity, key in load.acknowledged.items() if identity not in known]
    assert not lost, f"{len(lost)} acknowledged events are not in the ledger: {lost[:5]}"
    missing = [key for key in load.dropped if key not in events]
    assert not missing, f"{len(missing)} dropped files have no event: {missing[:5]}"
    doubled = {key: ids for key, ids in events.items() if len(ids) > 1}
    assert not doubled, f"events taken twice: {list(doubled.items())[:5]}"
    objects = Counter(one.key for run in runs.values() for one in ledger.manifest(run.id) or () if run.job == "first")
    assert set(objects) == set(events)
    assert set(objects.values()) <= {1}, "an object is in the manifests of two runs"


def _each_success_is_followed_once(runs: dict[str, Run]) -> None:
    followers = Counter(one.run for run in runs.values() if run.job == "second" for one in run.predecessors)
    for run in runs.values():
        if run.job == "first":
            expected = 1 if run.state is RunState.SUCCEEDED else 0
            assert followers[run.id] == expected, f"{run.id} {run.state}: {followers[run.id]} runs follow"
    assert sum(followers.values()) == sum(run.job == "second" for run in runs.values())


def _no_state_lies(runs: dict[str, Run], project: Path) -> Counter[str]:
    """What a job wrote itself decides: begun once, and ended as the ledger says."""
    counts: Counter[str] = Counter()
    wrote = executions(project)
    assert set(wrote) <= {attempt_id(run.id, number) for run in runs.values() for number in range(run.attempt + 1)}
    for run in runs.values():
        name = attempt_id(run.id, run.attempt)
        lines = wrote.get(name, [])
        begun = sum(line.startswith("begin") for line in lines)
        assert begun <= 1, f"{name} was executed {begun} times: {lines}"
        counts[run.state.value] += 1
        if run.state is RunState.SUCCEEDED:
            assert lines[-1:] == ["succeeded"], f"{name} is SUCCEEDED, its job wrote {lines}"
            assert run.result == {"run": run.id} or run.job == "long", f"{name} lost its result: {run.result}"
        elif run.detail == "lost":
            counts["lost"] += 1
            assert not lines, f"{name} is told lost, its job wrote {lines}"
        else:
            assert lines[-1:] == ["failed"], f"{name} is {run.state} ({run.error}), its job wrote {lines}"
            assert run.error == f"RuntimeError: meant to fail {run.id}"
        if lines and run.job != "long":
            log = read_log(project / ".headgate" / "logs", name, 0, 1 << 20)
            assert log[0].startswith(LINES), f"{name}: its log is {log[0]!r}"
            assert log[2], f"{name}: its log is not complete"
    return counts
