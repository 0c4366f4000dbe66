"""This file is where a run is followed to its end, with every run that follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from headgate.cli.client import Client, Doc, RunsWanted
from headgate.errors import Unavailable
from headgate.model import TERMINAL, RunState

Tell = Callable[[Sequence[Doc]], None]
Clock = Callable[[], float]

#: Seconds between two looks: at a server, and at a ledger in this process.
FAR, NEAR = 0.25, 0.05
#: Seconds a server may be away (a restart, a deployment) before a command that follows a run gives up.
PATIENCE: Final = 30.0


def ended(run: Doc) -> bool:
    return RunState(run["state"]) in TERMINAL


def succeeded(chain: Sequence[Doc]) -> bool:
    """Whether every run of the chain ended well."""
    return all(run["state"] == RunState.SUCCEEDED for run in chain)


def follow(
    client: Client,
    first: Doc,
    tell: Tell,
    *,
    until: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Clock = time.monotonic,
) -> list[Doc]:
    """Wait until the run and all that follow from it have ended, and answer them in the order they were made.

    A run that follows is written in the same transaction as the end it follows from, so none is missed. `tell` gets
    the whole chain at each change. With `until` (by `now`) the wait is over then, whatever still runs.

    Raises:
        Unavailable: the server is away for longer than `PATIENCE`.
    """
    chain: dict[str, Doc] = {first["id"]: first}
    settled: set[str] = set()
    tell(list(chain.values()))
    patient_until: float | None = None
    while len(settled) < len(chain):
        try:
            changed = _look(client, chain, settled)
            patient_until = None
        except Unavailable:
            patient_until = patient_until or now() + PATIENCE
            if not client.remote or now() > patient_until:
                raise
            changed = False
        if changed:
            tell(list(chain.values()))
        if until is not None and now() > until:
            break
        if len(settled) < len(chain):
            sleep(FAR if client.remote else NEAR)
    return list(chain.values())


def _look(client: Client, chain: dict[str, Doc], settled: set[str]) -> bool:
    """Bring the chain up to date; answers whether anything is new."""
    changed = False
    for name in [one for one in chain if one not in settled]:
        newest = client.run(name)
        changed = changed or newest != chain[name]
        chain[name] = newest
        if ended(newest):
            for follower in followers(client, newest):
                chain.setdefault(follower["id"], follower)
            settled.add(name)
            changed = True
    return changed


def followers(client: Client, run: Doc) -> Iterator[Doc]:
    """The runs that conditional triggers made of this one's end."""
    for trigger in client.triggers():
        predicate: Any = trigger.get("predicate") or {}
        if not any(condition["job"] == run["job"] for condition in predicate.get("conditions", ())):
            continue
        for one in client.runs(RunsWanted(trigger=trigger["name"])):
            if _made(one) < _made(run):
                break  # lists are newest first, and nothing follows from what is younger than itself
            if any(before["run"] == run["id"] for before in one["predecessors"]):
                yield one


def _made(run: Doc) -> datetime:
    return datetime.fromisoformat(run["created_at"])
