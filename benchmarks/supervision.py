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

PAUSE = 0.03  #: seconds between starts: runs of a control plane come one by one, with nothing to wait for
LINE = 8.0  #: milliseconds to first output, median
COMMAND = ["date", "+%s%N"]  #: its output is the moment it ran; nobody has to look for it and take a core


class Watcher:
    def __init__(self) -> None:
        self.over = threading.Event()
        self.at = 0  #: nanoseconds since 1970

    def running(self, attempt_id: str, external_id: str, at: datetime) -> None: ...
    def progressed(self, attempt_id: str, values: Mapping[str, Json]) -> None: ...
    def ended(self, attempt_id: str, ending: Ending) -> None:  # noqa: ARG002 -- the port's signature
        self.at = time.time_ns()
        self.over.set()
        if ending.state is not RunState.SUCCEEDED:
            sys.exit(f"a measured run failed: {ending}")


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
    began = time.time_ns()
    engine.start(asked)
    if not watcher.over.wait(30):
        sys.exit("a measured run did not end")
    at = int((home / "logs" / asked.attempt_id / "log").read_text("utf-8"))
    return (at - began) / 1e6, (watcher.at - at) / 1e6


def bare(folder: Path, number: int) -> tuple[float, float]:
    log = folder / f"bare-{number}"
    with log.open("wb") as file:
        began = time.time_ns()
        subprocess.Popen(COMMAND, stdin=subprocess.DEVNULL, stdout=file, stderr=file).wait()
        over = time.time_ns()
    at = int(log.read_text("utf-8"))
    return (at - began) / 1e6, (over - at) / 1e6


def figures(runs: int, once: Callable[[int], tuple[float, float]]) -> dict[str, float]:
    for number in range(3):
        once(-1 - number)
    measured: list[tuple[float, float]] = []
    for number in range(runs):
        time.sleep(PAUSE)
        measured.append(once(number))
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
        (project / "tiny.py").write_text("import time\ndef main(context):\n    print(time.time_ns())\n", "utf-8")
        engine = LocalEngine(home, watcher, Lake(), project, cgroups=not given.no_cgroups)
        try:
            popen = figures(given.runs, lambda number: bare(project, number))
            command = figures(given.runs, lambda _: supervised(engine, home, watcher, {"command": COMMAND}))
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
