"""This file is where servers are killed for as long as one likes: `cd tests && python -m chaos.long --minutes 10`."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

from services.postgres import cluster

from .campaign import kill_one_server, kill_replicas
from .world import end_everything, make_project

ROUND = 60.0  #: seconds of killing, at most, before everything is judged


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill servers under load, and judge what is left.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.minutes:g} minutes")
    dice = random.Random(given.seed)
    seconds = min(ROUND, given.minutes * 30)
    rounds = max(1, round(given.minutes * 30 / seconds))
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="hg-chaos-") as folder:
            project = make_project(Path(folder) / "project")
            try:
                counts = kill_one_server(project, dice, kills=1, seconds=seconds)
                print(f"round {number + 1}/{rounds}, SQLite:", dict(counts))
            finally:
                end_everything(project)
        if os.environ.get("HEADGATE_NO_POSTGRES") == "1":
            print("PostgreSQL is turned off by HEADGATE_NO_POSTGRES=1")
            continue
        with tempfile.TemporaryDirectory(prefix="hg-chaos-") as folder, cluster() as url:
            project = make_project(Path(folder) / "project")
            try:
                counts = kill_replicas(project, url, dice, kills=1, seconds=seconds)
                print(f"round {number + 1}/{rounds}, three replicas on PostgreSQL:", dict(counts))
            finally:
                end_everything(project)
    print("nothing was lost, doubled or false")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
