"""This file is where the killing is done: one server on SQLite, or three replicas on PostgreSQL, under load."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headgate.ledger.reading import EventFilter
from headgate.ledger.store import Ledger

from .verdict import judge, settle
from .world import Load, Server, nothing_left


def times(kills: int, seconds: float) -> Iterator[int]:
    """Count kills until there were `kills` of them and `seconds` have passed."""
    over = time.monotonic() + seconds
    number = 0
    while number < kills or time.monotonic() < over:
        yield number
        number += 1


def kill_one_server(project: Path, dice: random.Random, *, kills: int, seconds: float = 0.0) -> Counter[str]:
    """Kill -9 a server on SQLite at random moments of its life, starting up included, and judge what is left."""
    server = Server(project)
    load = Load([server.port], project / "inbox", pause=0.03)
    done = 0
    with load.running():
        for number in times(kills, seconds):
            server.start()
            if number % 3:
                server.wait_ready()
            time.sleep(dice.uniform(0.0, 0.8))
            server.kill()
            done += 1
        server.start()
        server.wait_ready()
    counts = _judge(f"sqlite:///{project / '.headgate' / 'ledger.db'}", load, project, [server])
    counts["kills"] = done
    return counts


def kill_replicas(
    project: Path, database: str, dice: random.Random, *, kills: int, seconds: float = 0.0
) -> Counter[str]:
    """Kill -9 one of three replicas at a time, never two at once, and judge what is left."""
    servers = [Server(project, database=database, name=f"serve-{number}") for number in range(3)]
    load = Load([server.port for server in servers], project / "inbox", pause=0.03)
    done = 0
    for server in servers:
        server.start()
    for server in servers:
        server.wait_ready()
    with load.running(threads=3):
        for _ in times(kills, seconds):
            victim = dice.choice(servers)
            time.sleep(dice.uniform(0.0, 0.6))
            victim.kill()
            done += 1
            time.sleep(dice.uniform(0.0, 0.6))
            victim.start()
            victim.wait_ready()
    counts = _judge(database, load, project, servers)
    counts["kills"] = done
    return counts


def _judge(database: str, load: Load, project: Path, servers: list[Server]) -> Counter[str]:
    """Wait until everything has ended, judge, end the servers, and see that they leave nothing behind."""
    ledger = Ledger(database)
    ledger.open(create=False)
    try:
        _wait_for_files(ledger, load)
        settle(ledger)
        counts = judge(ledger, load, project)
    finally:
        ledger.close()
    codes = [server.end() for server in servers]
    assert codes == [0] * len(servers)
    assert nothing_left(project) == []
    return counts


def _wait_for_files(ledger: Ledger, load: Load) -> None:
    give_up = time.monotonic() + 45
    wanted = set(load.dropped)
    while wanted:
        page = ledger.events(EventFilter(door="inbox"), limit=100_000)
        wanted -= {one.event.object.key for one in page.items if one.event.object}
        assert time.monotonic() < give_up, f"{len(wanted)} dropped files were not noticed, e.g. {min(wanted)}"
        time.sleep(0.1)
