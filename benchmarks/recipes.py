"""This file is where a recipe's start is measured against DataHub's own executor, in one run on one machine.

A recipe with one table, from a file into a file. Ours: asked at the gate, recorded, run, told to the ledger. Theirs:
the executor's own task, in the environment that is there (`native`), from its call to its answer; no server is asked on
either side. First metadata is when the file is there, by its own clock. Prints JSON, milliseconds, medians.

    python benchmarks/recipes.py [--runs 7] [--stock 3]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FIRST, END = 12.0, 15.0  #: how many times faster, at least
PATIENCE = 60.0  #: seconds for one run

CONFIGURATION = """
jobs:
  one-table: {engine: recipe, recipe: recipe.yml}
"""


def write_project(folder: Path) -> Mapping[str, Any]:
    """Write the project and its recipe; answers the recipe."""
    aspects = {
        "status": {"removed": False},
        "datasetProperties": {"name": "orders", "description": "one table"},
        "globalTags": {"tags": [{"tag": "urn:li:tag:layer.raw"}]},
    }
    proposals = [
        {
            "entityType": "dataset",
            "entityUrn": "urn:li:dataset:(urn:li:dataPlatform:hive,sales.orders,PROD)",
            "changeType": "UPSERT",
            "aspectName": name,
            "aspect": {"json": value},
        }
        for name, value in aspects.items()
    ]
    (folder / "in.json").write_text(json.dumps(proposals), "utf-8")
    recipe = {
        "source": {"type": "file", "config": {"path": str(folder / "in.json")}},
        "sink": {"type": "file", "config": {"filename": str(folder / "out.json")}},
    }
    (folder / "recipe.yml").write_text(json.dumps(recipe), "utf-8")
    (folder / "headgate.yaml").write_text(CONFIGURATION, "utf-8")
    return recipe


def measured(folder: Path, once: Callable[[], float], times: int) -> list[tuple[float, float]]:
    """Milliseconds to the first metadata and to the end, of each run. `once` answers when its end was known."""
    found: list[tuple[float, float]] = []
    out = folder / "out.json"
    for _ in range(times):
        out.unlink(missing_ok=True)
        began = time.time_ns()
        ended = once()
        if len(json.loads(out.read_text("utf-8"))) != 3:
            sys.exit("a measured run wrote something else than what it read")
        found.append(((out.stat().st_mtime_ns - began) / 1e6, (ended - began) / 1e6))
    return found


def ours(folder: Path, times: int) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """The first run, with nothing warm, and the others."""
    from headgate.app import App
    from headgate.model import TERMINAL, RunState
    from headgate.settings import load

    app = App.build(load(folder / "headgate.yaml", os.environ), worker=True, doors=False)
    over = threading.Event()
    app.start()
    tell = app.ledger.announce
    ends: list[tuple[float, RunState]] = []

    def announced(run: Any, was_failing: bool) -> Sequence[Any]:
        messages = tell(run, was_failing)
        if run.state in TERMINAL:
            ends.append((time.time_ns(), run.state))
            over.set()
        return messages

    app.ledger.announce = announced

    def once() -> float:
        over.clear()
        run = app.gate.start("one-table", arguments={}, actor="urn:li:corpuser:bench")
        if not over.wait(PATIENCE):
            sys.exit("a measured run did not end")
        while app.ledger.run(run.id).state not in TERMINAL:  # until it is committed, too
            time.sleep(0.0005)
        at = time.time_ns()
        if ends[-1][1] is not RunState.SUCCEEDED:
            sys.exit(f"a measured run ended {ends[-1][1]}: {app.ledger.run(run.id).error}")
        return at

    try:
        [first] = measured(folder, once, 1)
        time.sleep(0.5)
        return first, measured(folder, once, times)
    finally:
        app.close()


def stock(folder: Path, recipe: Mapping[str, Any], times: int) -> list[tuple[float, float]]:
    """DataHub's executor, as its action starts it."""
    from datahub.executor.execution.default_executor import DefaultExecutor, DefaultExecutorConfig
    from datahub.executor.execution.task import TaskConfig
    from datahub.executor.request.execution_request import ExecutionRequest

    logging.disable(logging.CRITICAL)
    task = TaskConfig(
        name="RUN_INGEST",
        type="datahub.executor.execution.sub_process_ingestion_task.SubProcessIngestionTask",
        configs={"tmp_dir": str(folder / "tmp"), "log_dir": str(folder / "logs")},
    )
    executor = DefaultExecutor(DefaultExecutorConfig(id="default", task_configs=[task]))

    def once() -> float:
        arguments = {"recipe": json.dumps(recipe), "version": "native", "debug_mode": "false"}
        # it asks the internet for newer versions at each run; to be told at once that there is none is its best case
        nowhere = "http://127.0.0.1:9"
        arguments["extra_env_vars"] = json.dumps({"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere})
        request = ExecutionRequest(executor_id="default", exec_id=str(uuid.uuid4()), name="RUN_INGEST", args=arguments)
        result: Any = executor.execute(request)
        at = time.time_ns()
        if "SUCCESS" not in str(result.type):
            sys.exit(f"the stock executor's run ended {result.type}: {result.context.get_report().formatted_lines()}")
        return at

    return measured(folder, once, times)


def medians(runs: Sequence[tuple[float, float]]) -> dict[str, float]:
    return {
        "first_metadata_ms": round(statistics.median(one[0] for one in runs), 1),
        "end_ms": round(statistics.median(one[1] for one in runs), 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--stock", type=int, default=3)
    given = options.parse_args()
    os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"  # on both sides: nobody calls home from a benchmark
    # what both sides print on their way is no part of the answer
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(sys.stderr):
        folder = Path(scratch)
        recipe = write_project(folder)
        first, warm = ours(folder, given.runs)
        theirs = stock(folder, recipe, given.stock)
    here, there = medians(warm), medians(theirs)
    ratios = {name: round(there[name] / here[name], 1) for name in here}
    print(
        json.dumps(
            {
                "headgate": here,
                "headgate_first_run": medians([first]),
                "stock": there,
                "times_faster": {"first_metadata": ratios["first_metadata_ms"], "end": ratios["end_ms"]},
                "lines": {"first_metadata": FIRST, "end": END},
                "reached": ratios["first_metadata_ms"] >= FIRST and ratios["end_ms"] >= END,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
