"""This file is where anything that may happen to a ledger happens, in any order, and is compared with a small model."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from services.tables import ledger_in

from headgate.errors import Conflict
from headgate.model import NEXT, OCCUPYING, TERMINAL, Outcome, Run, RunId, RunState

from .replica import Replica, after, dropped, job, on_object

LIMITS = {"a": 2, "b": 1, "c": 50}
JOBS = [job("a", max_concurrent_runs=2, max_retries=1), job("b"), job("c", max_concurrent_runs=50)]
TRIGGERS = [
    on_object("up", "a", max_objects=3),
    after("on-a", "b", when={"a": RunState.SUCCEEDED}),
    after("on-a-and-b", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED}),
]
PICK = st.integers(0, 1000)  #: which of those there are
ENDS = [*[RunState.SUCCEEDED] * 3, RunState.FAILED, RunState.STOPPED, RunState.TIMEOUT]


class Ledgers(RuleBasedStateMachine):
    """One ledger after another on one file: each crash leaves what it left to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="hg-machine-"))
        self.url = ledger_in(self.folder)
        self.ledger = Replica(self.url)
        self.ledger.declare(JOBS, TRIGGERS)
        self.keys: set[tuple[str, int]] = set()
        self.decided: dict[str, tuple[str | None, ...]] = {}
        self.seen: dict[RunId, RunState] = {}
        self.attempts: dict[RunId, int] = {}
        self.latched = {"a": False, "b": False}
        self.expected: Counter[str] = Counter()  #: runs each conditional trigger must have made
        self.ours: dict[RunId, Run] = {}  #: what the engine has

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(deliveries=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 2)), min_size=1, max_size=6))
    def accept(self, deliveries: list[tuple[str, int]]) -> None:
        """Events in random order and repetition, some late."""
        events = [dropped(f"{name}.csv", etag=str(n), sequencer=f"{n:02X}") for name, n in deliveries]
        for event, receipt, key in zip(events, self.ledger.accept(*events), deliveries, strict=True):
            answer = tuple(decision.run for decision in receipt.decisions)
            assert receipt.duplicate == (key in self.keys)
            assert self.decided.setdefault(event.identity, answer) == answer
            self.keys.add(key)
        self._take()

    @rule(name=st.sampled_from(sorted(LIMITS)))
    def ask(self, name: str) -> None:
        """Someone starts a job by hand."""
        self.ledger.ask(name)
        self._take()

    @rule(pick=PICK)
    def start(self, pick: int) -> None:
        """The engine says that one has started."""
        if self.ours:
            self.ledger.start(list(self.ours.values())[pick % len(self.ours)])

    @rule(pick=PICK, state=st.sampled_from(ENDS))
    def end(self, pick: int, state: RunState) -> None:
        """The engine says that one has ended; then says so again."""
        if not self.ours:
            return
        run = self.ours.pop(list(self.ours)[pick % len(self.ours)])
        before = self.ledger.run(run)
        answer = self.ledger.end(run, state)
        retried = (
            state is RunState.FAILED and before.attempt < before.max_retries and before.state is not RunState.STOPPING
        )
        assert answer is (RunState.WAITING if retried else state)
        if answer is not RunState.WAITING:
            self._ended(run, state)
        assert self.ledger.end(run, RunState.SUCCEEDED) is None
        self._take()

    @rule(pick=PICK)
    def stop(self, pick: int) -> None:
        """Someone stops any run there ever was."""
        if not self.seen:
            return
        run = self.ledger.run(list(self.seen)[pick % len(self.seen)])
        if run.state in TERMINAL:
            with pytest.raises(Conflict):
                self.ledger.stop(run)
            return
        answer = self.ledger.stop(run)
        if run.state is RunState.WAITING:
            assert answer.state is RunState.STOPPED
            self._ended(run, RunState.STOPPED)
        else:
            assert answer.state is RunState.STOPPING
        self._take()

    @rule()
    def crash(self) -> None:
        """The process is gone; the next one takes over all that was under way, and nothing else."""
        self.ledger.close()
        under_way = set(self.ours)
        self.ledger = Replica(self.url)
        assert set(self.ledger.take_over(everyone=True)) == under_way
        assert {run.id for run, _ in self.ledger.adopted} == under_way
        self.ledger.claim(*LIMITS)
        self._take()

    def _take(self) -> None:
        for run in self.ledger.taken():
            assert run.id not in self.ours, "handed over twice"
            self.ours[run.id] = run

    def _ended(self, run: Run, state: RunState) -> None:
        """What the conditional triggers must do now."""
        if state is not RunState.SUCCEEDED or run.job not in self.latched:
            return
        if run.job == "a":
            self.expected["on-a"] += 1
        self.latched[run.job] = True
        if all(self.latched.values()):
            self.expected["on-a-and-b"] += 1
            self.latched = dict.fromkeys(self.latched, False)

    @invariant()
    def states_follow_the_table(self) -> None:
        """No run leaves an end, and each move seen is one (or a few) of the table's."""
        for run in self.ledger.runs():
            before = self.seen.get(run.id)
            if before is not None and before is not run.state:
                assert before not in TERMINAL, f"{run.id} left {before}"
                assert run.state in _reachable(before), f"{run.id} went from {before} to {run.state}"
            assert run.attempt >= self.attempts.get(run.id, 0)
            self.seen[run.id], self.attempts[run.id] = run.state, run.attempt

    @invariant()
    def limits_hold(self) -> None:
        """Never more than the job may have; a place is never left free while a run waits."""
        occupying, waiting = Counter[str](), Counter[str]()
        for run in self.ledger.ledger.live_runs():
            occupying[run.job] += run.state in OCCUPYING
            waiting[run.job] += run.state is RunState.WAITING
        for name, limit in LIMITS.items():
            assert occupying[name] <= limit
            assert not (waiting[name] and occupying[name] < limit), f"{name}: {waiting[name]} wait, places are free"
        assert sum(occupying.values()) == len(self.ours)

    @invariant()
    def every_event_has_what_it_was_promised(self) -> None:
        """The decisions that were answered are there, their runs exist, manifests hold each object once."""
        decided: dict[str, list[str | None]] = defaultdict(list)
        for one in self.ledger.ledger.decisions(trigger="up", limit=10_000).items:
            decided[one.decision.event].append(one.decision.run)
            assert (one.decision.run is None) == (one.decision.outcome is Outcome.SKIPPED)
        assert len(decided) == len(self.keys)
        runs = {run.id: run for run in self.ledger.runs()}
        promised = Counter(run for answer in self.decided.values() for run in answer if run)
        for run, objects in promised.items():
            assert runs[RunId(run)].objects == objects <= 3

    @invariant()
    def conditional_triggers_fired_exactly_so_often(self) -> None:
        """Once for each success, and once for each pair."""
        made = Counter(str(run.cause.trigger) for run in self.ledger.runs() if run.predecessors)
        assert made == self.expected


def _reachable(state: RunState) -> set[RunState]:
    found, ahead = set[RunState](), [state]
    while ahead:
        for following in NEXT[ahead.pop()] - found:
            found.add(following)
            ahead.append(following)
    return found


@pytest.mark.slow
def test_whatever_happens_the_ledger_does_what_the_model_says() -> None:
    """Events, asks, starts, ends, stops and crashes in any order."""
    steps = settings(
        max_examples=15,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        phases=[Phase.reuse, Phase.generate],  # making a failure shorter would take minutes on real files
    )
    run_state_machine_as_test(Ledgers, settings=steps)
