"""This file is where it is tested that conditional triggers which start each other in a circle are found."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headgate.model import Action, Condition, JobName, Predicate, RunState, Trigger, TriggerName, TriggerType
from headgate.settings.chains import circles

jobs = st.sampled_from([JobName(name) for name in "abcdef"])
edges = st.lists(st.tuples(st.sets(jobs, min_size=1, max_size=2), st.sets(jobs, min_size=1, max_size=2)), max_size=8)


def watching(number: int, watched: set[JobName], started: set[JobName]) -> Trigger:
    return Trigger(
        name=TriggerName(f"t{number}"),
        type=TriggerType.CONDITIONAL,
        predicate=Predicate(conditions=[Condition(job=job, state=RunState.SUCCEEDED) for job in sorted(watched)]),
        actions=[Action(job=job) for job in sorted(started)],
    )


@given(edges)
def test_a_circle_is_found_exactly_where_there_is_one(drawn: list[tuple[set[JobName], set[JobName]]]) -> None:
    """The standard library's sorter agrees on whether there is a circle; each one found is closed and made of links."""
    triggers = [watching(number, *sides) for number, sides in enumerate(drawn)]
    sorter: TopologicalSorter[JobName] = TopologicalSorter()
    for watched, started in drawn:
        for one in watched:
            for other in started - {one}:
                sorter.add(other, one)
    try:
        sorter.prepare()
        circular = False
    except CycleError:
        circular = True

    found = circles(triggers)
    assert bool(found) is circular
    for chain in found:
        assert chain[0].watched == chain[-1].started
        for link, following in pairwise(chain):
            assert link.started == following.watched
        for link in chain:
            watched, started = drawn[int(link.trigger[1:])]
            assert link.watched in watched
            assert link.started in started


def test_a_chain_of_thousands_is_walked_to_its_end() -> None:
    """A chain far longer than the interpreter's stack is deep is no circle, until its end is tied to its start."""
    names = [JobName(f"j{number}") for number in range(5000)]
    triggers = [watching(number, {one}, {other}) for number, (one, other) in enumerate(pairwise(names))]

    assert circles(triggers) == []
    (chain,) = circles([*triggers, watching(5000, {names[-1]}, {names[0]})])
    assert len(chain) == 5000
