"""This file is where a recipe prints two gigabytes, and it is seen what that does to its log, memory and neighbours.

`python benchmarks/chatter.py [--megabytes 2048] [--masked]`. While it prints, small recipes are run beside it, one
after the other, as they were before; `--masked` hands it a secret, so that what it prints goes through the mask. Prints
JSON; exit code 1 where the run did not end as it should, its log is not whole, or a process of ours grew with it.
(With 20 megabytes it is a test, too: tests/engines/test_recipe_kills.py.)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

PATIENCE = 1800.0  #: seconds
ROOM = 64.0  #: MB that any process of ours may grow by meanwhile
ROUNDS = 15  #: small runs before
SECRET = "hunter2-hunter2"


class Heard:
    """A watcher that remembers how runs ended."""

    def __init__(self) -> None:
        self.ends: dict[str, Any] = {}

    def running(self, attempt_id: str, external_id: str, at: object) -> None: ...

    def progressed(self, attempt_id: str, values: object) -> None: ...

    def ended(self, attempt_id: str, ending: Any) -> None:
        self.ends[attempt_id] = ending

    def wait(self, attempt_id: str) -> Any:
        give_up = time.monotonic() + PATIENCE
        while attempt_id not in self.ends:
            assert time.monotonic() < give_up, "a run did not end"
            time.sleep(0.002)
        return self.ends[attempt_id]


def peak(pid: int) -> float:
    """The most memory a process has had so far, in MB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def measured(megabytes: int, masked: bool, folder: Path) -> dict[str, Any]:
    from engines.orders import order

    from headgate.engines.recipe import RecipeEngine
    from headgate.processes import read_log
    from headgate.supervision import records

    heard = Heard()
    home = folder / ".headgate"
    engine = RecipeEngine(home, heard, TESTS, environ={"PATH": os.environ["PATH"], "PASSWORD": SECRET})

    def started(does: str, **more: Any) -> Any:
        source = {"type": "recipes.sources.Odd", "config": {"does": does, "folder": str(folder), **more}}
        sink = {"type": "file", "config": {"filename": str(folder / f"{does}.out")}}
        (folder / f"{does}.json").write_text(json.dumps({"source": source, "sink": sink}), "utf-8")
        asked = order({"recipe": str(folder / f"{does}.json")})
        engine.start(asked)
        return asked

    def small() -> float:
        began = time.perf_counter()
        assert heard.wait(started("nothing").attempt_id).state == "SUCCEEDED"
        return (time.perf_counter() - began) * 1000

    small()
    before = [small() for _ in range(ROUNDS)]
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.monotonic()
    chatter = started("chatter", megabytes=megabytes, **({"secret": "${PASSWORD}"} if masked else {}))
    directory = str(home / "logs" / chatter.attempt_id)
    while (shim := records.read(directory, records.SHIM)) is None:
        time.sleep(0.001)
    beside: list[float] = []
    shims = [peak(shim["pid"])]
    while chatter.attempt_id not in heard.ends:
        beside.append(small())
        shims.append(peak(shim["pid"]))
    ending = heard.wait(chatter.attempt_id)
    took = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    log = Path(directory, records.LOG)
    size = log.stat().st_size
    read = time.perf_counter()
    tail, _, over = read_log(home, chatter.attempt_id, size - (1 << 16), 1 << 16)
    read_ms = (time.perf_counter() - read) * 1000
    with log.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 24), b""))
    engine.close()
    return {
        "megabytes": megabytes,
        "masked": masked,
        "state": str(ending.state),
        "seconds": round(took, 1),
        "mb_per_s": round(size / 1e6 / took, 1),
        "log_mb": round(size / 1e6, 1),
        "lines": lines,
        "tail_is_there": "not text" in tail and over,
        "tail_read_ms": round(read_ms, 1),
        "shim_mb": [round(shims[0], 1), round(max(shims), 1)],
        "supervisor_mb": [round(own, 1), round(grown, 1)],
        "small_runs_ms": {"before": round(statistics.median(before), 1), "beside": round(statistics.median(beside), 1)},
        "small_runs_beside": len(beside),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--masked", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.megabytes, given.masked, Path(folder))
    print(json.dumps(found, indent=2))
    grown = max(found[name][1] - found[name][0] for name in ("shim_mb", "supervisor_mb"))
    if found["state"] != "SUCCEEDED" or not found["tail_is_there"] or found["log_mb"] < given.megabytes or grown > ROOM:
        sys.exit(1)


if __name__ == "__main__":
    main()
