"""A process that has the lake's libraries loaded and forks one child a run; this file is where such runs are driven.

    python warm.py BASE MODE MANIFEST...

BASE holds lake.json. MODE `together` starts one child a manifest at once; `inturn` one after the other; `killed` as
`inturn`, but every child is killed at a random moment and then followed by one that is not. Prints JSON: the exit
codes of the children that were not killed, and how many threads this process had when it forked.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from headgate.job import Context, Lake, read_manifest
from headgate.lake import csv_to_iceberg


def start(base: Path, manifest: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        lake = Lake.from_json((base / "lake.json").read_text())
        csv_to_iceberg(
            Context(run_id="jr_warm", job="job", arguments={}, manifest=read_manifest(Path(manifest)), lake=lake)
        )
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent, whatever happens
        traceback.print_exc()
    finally:
        os._exit(code)


def end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(base: Path, mode: str, manifests: list[str]) -> None:
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - only their number
    codes: list[int] = []
    if mode == "together":
        codes = [end(one) for one in [start(base, one) for one in manifests]]
    chance = random.Random(11)
    whole = 0.3
    for one in manifests if mode != "together" else []:
        if mode == "killed" and codes:
            victim = start(base, one)
            time.sleep(chance.uniform(0.0, whole))  # the moment is meant to be any
            os.kill(victim, signal.SIGKILL)
            end(victim)
        began = time.monotonic()
        codes.append(end(start(base, one)))
        whole = time.monotonic() - began
    print(json.dumps({"codes": codes, "threads": threads}), file=sys.__stdout__)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
