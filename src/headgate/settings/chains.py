"""This file is where conditional triggers that start each other in a circle are found: such a chain would never end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headgate.model import JobName, Trigger, TriggerName


@dataclass(frozen=True, slots=True)
class Link:
    """A run of `watched` that ends makes `trigger` start `started`."""

    watched: JobName
    trigger: TriggerName
    started: JobName


Chain = Sequence[Link]


def circles(triggers: Iterable[Trigger]) -> list[Chain]:
    """The circles in which conditional triggers start each other: at least one wherever there are any.

    States are not looked at: a chain over failures may go round for ever as well. A trigger that starts the very job
    it watches is left to its own check.
    """
    links: dict[JobName, list[Link]] = defaultdict(list)
    for trigger in triggers:
        for condition in trigger.predicate.conditions if trigger.predicate else ():
            for action in trigger.actions:
                if action.job != condition.job:
                    links[condition.job].append(Link(condition.job, trigger.name, action.job))
    done: set[JobName] = set()
    found: list[Chain] = []
    for job in list(links):
        if job not in done:
            found.extend(_from(job, links, done))
    return found


def _from(job: JobName, links: Mapping[JobName, Sequence[Link]], done: set[JobName]) -> list[Chain]:
    """Walk every way from a job, depth first (by hand: a long chain must not exhaust the stack)."""
    found: list[Chain] = []
    way: list[Link] = []
    depth_of = {job: 0}
    pending = [iter(links.get(job, ()))]
    while pending:
        link = next(pending[-1], None)
        if link is None:
            pending.pop()
            ended = way.pop().started if way else job
            done.add(ended)
            depth_of.pop(ended)
        elif link.started in depth_of:
            found.append([*way[depth_of[link.started] :], link])
        elif link.started not in done:
            way.append(link)
            depth_of[link.started] = len(way)
            pending.append(iter(links.get(link.started, ())))
    return found


def in_words(chain: Chain) -> str:
    steps = "".join(f" -({link.trigger})-> {link.started}" for link in chain)
    return (
        f"conditional triggers start each other in a circle and would never stop: {chain[0].watched}{steps};"
        " take one of them out"
    )
