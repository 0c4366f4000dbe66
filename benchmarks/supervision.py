"""This file is where local starts are measured: to the first output, from the end to `ended`, beside bare Popen.

Prints JSON, milliseconds. The line of the design: a supervised local command's first output within 8 ms (median).

    python benchmarks/supervision.py [--runs 80] [--no-cgroups]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from headgate.engines.local import LocalEngine
from headgate.job import Lake
from headgate.model import Cause, Job, JobName, Json, Run, RunState, new_run_id
from headgate.ports import Ending, Order

LINE = 8.0  #: milliseconds to first output, median
SHELL = ["sh", "-c", "echo started"]


class Watcher:
    def __init__(self) -> None:
        self.over = threading.Event()
        self.at = 0.0

    def running(self, attempt_id: str, external_id: str, at: datetime) -> None: ...
    def progressed(self, attempt_id: str, values: Mapping[str, Json]) -> None: ...
    def ended(self, attempt_id: str, ending: Ending) -> None:  # noqa: ARG002 -- the port's signature
        self.at = time.perf_counter()
        self.over.set()
        if ending.state is not RunState.SUCCEEDED:
            sys.exit(f"a measured run failed: {ending}")


def first_output(log: Path) -> float:
    """Wait (busily: this is a measurement) until the file holds something, and return when."""
    while True:
        try:
            if log.stat().st_size:
                return time.perf_counter()
        except FileNotFoundError:
            pass
        time.sleep(0.00005)


def order(target: Mapping[str, Json]) -> Order:
    job = Job(name=JobName("bench"), engine="local", target=target)
    run = Run(
        id=new_run_id(),
        seq=1,
        job=job.name,
        engine="local",
        state=RunState.STARTING,
        detail="",
        attempt=0,
        cause=Cause(),
        arguments={},
        external_id=None,
        created_at=datetime.now(UTC),
        started_at=None,
        ended_at=None,
        error=None,
        result={},
    )
    return Order(run=run, job=job, attempt_id=run.id, manifest=lambda: None)


def supervised(engine: LocalEngine, home: Path, watcher: Watcher, target: Mapping[str, Json]) -> tuple[float, float]:
    """Run it once: milliseconds to the first output, and from there (the job ends at once) to `ended`."""
    asked = order(target)
    watcher.over.clear()
    log = home / "logs" / asked.attempt_id / "log"
    seen: list[float] = []
    looking = threading.Thread(target=lambda: seen.append(first_output(log)))
    looking.start()
    began = time.perf_counter()
    engine.start(asked)
    looking.join()
    if not watcher.over.wait(30):
        sys.exit("a measured run did not end")
    return (seen[0] - began) * 1000, (watcher.at - seen[0]) * 1000


def bare(folder: Path, number: int) -> tuple[float, float]:
    log = folder / f"bare-{number}"
    with log.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(SHELL, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        at = first_output(log)
        process.wait()
    return (at - began) * 1000, (time.perf_counter() - at) * 1000


def figures(runs: int, once: Callable[[int], tuple[float, float]]) -> dict[str, float]:
    for number in range(3):
        once(-1 - number)
    measured = [once(number) for number in range(runs)]
    first = sorted(one[0] for one in measured)
    end = sorted(one[1] for one in measured)
    last = max(int(runs * 0.99) - 1, 0)
    return {
        "first_output_p50": round(statistics.median(first), 2),
        "first_output_p99": round(first[last], 2),
        "end_told_p50": round(statistics.median(end), 2),
        "end_told_p99": round(end[last], 2),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=80)
    options.add_argument("--no-cgroups", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        project, home, watcher = Path(scratch), Path(scratch) / ".headgate", Watcher()
        (project / "tiny.py").write_text("def main(context):\n    print('started')\n", "utf-8")
        engine = LocalEngine(home, watcher, Lake(), project, cgroups=not given.no_cgroups)
        try:
            popen = figures(given.runs, lambda number: bare(project, number))
            command = figures(given.runs, lambda _: supervised(engine, home, watcher, {"command": SHELL}))
            python = figures(given.runs, lambda _: supervised(engine, home, watcher, {"run": "tiny.main"}))
        finally:
            engine.close()
    sys.stdout.write(
        json.dumps(
            {
                "runs": given.runs,
                "bare_popen": popen,
                "local_command": command,
                "local_python": python,
                "command_over_popen": round(command["first_output_p50"] / popen["first_output_p50"], 2),
                "line_ms": LINE,
                "reached": command["first_output_p50"] <= LINE,
            },
            indent=2,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
