"""This file is where both Glue sources read one catalog: tables a second, processor time, memory, and Glue's own time.

`python benchmarks/glue_source.py [--tables N] [--rounds N]`. A server that has its answers ready plays Glue, in pages
of 100 tables as AWS gives them. In turn, each source runs its recipe in a process of its own, as `datahub ingest` does
(the same pipeline, DataHub's file sink), and what it took is measured in there: from making the pipeline to the file
being written. What a process spends before that on loading is the same for both, and shown beside: DataHub and what our
engine's warm processes load for these sources (`headgate.recipes.warming`), which runs are forked from and need not
load. What they wrote is compared, too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

STOCK, OURS = "glue", "headgate-glue"


@contextmanager
def glue(many: int, folder: Path) -> Generator[str]:
    """The URL of a Glue in a process of its own, which has its answers ready."""
    from glue_source.world import lake

    file = folder / "catalog.json"
    found: dict[str, list[dict[str, Any]]] = {}
    for database, table in lake(many):
        found.setdefault(database, []).append(table)
    file.write_text(
        json.dumps({"databases": {name: {"Description": "one of a few"} for name in found}, "tables": found})
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    process = subprocess.Popen(
        [sys.executable, "-m", "fakes.glue_catalog", str(file)],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def bare(url: str) -> float:
    """Seconds that boto3 alone takes over listing all tables."""
    import boto3
    from glue_source.world import DATABASES

    client = boto3.client("glue", endpoint_url=url, region_name="us-east-1")
    began = time.perf_counter()
    for number in range(DATABASES):
        for page in client.get_paginator("get_tables").paginate(DatabaseName=f"database_{number}"):
            assert page["TableList"]
    return time.perf_counter() - began


def no_newer(**_: object) -> None:
    """Nothing is known of newer versions of DataHub."""


def child(kind: str, out: str) -> None:
    """In a process of its own: load DataHub, run the recipe, say what it took."""
    began = time.perf_counter()
    import gc
    from importlib import import_module

    from datahub.ingestion.run import pipeline as running

    from headgate.recipes import warming

    for wanted in warming.wanted({"source": (STOCK, OURS), "sink": ("file",)}):
        module, _, name = wanted.partition(":")
        assert getattr(import_module(module), name)
    gc.collect()
    gc.freeze()  # as a launcher does before it forks
    setattr(running, "retrieve_version_stats", no_newer)  # noqa: B010 - each run asks the internet for newer versions

    loaded, used = time.perf_counter(), time.process_time()
    recipe = {
        "source": {"type": kind, "config": {"aws_region": "us-east-1", "extract_transforms": False}},
        "sink": {"type": "file", "config": {"filename": out}},
    }
    pipeline = running.Pipeline.create(recipe, report_to=None)
    pipeline.run()
    pipeline.raise_from_status()
    took, cpu = time.perf_counter() - loaded, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    records = pipeline.sink.get_report().total_records_written
    print(json.dumps({"load_s": loaded - began, "s": took, "cpu_s": cpu, "peak_mb": peak, "records": records}))


def measure(kind: str, environ: dict[str, str], out: Path) -> dict[str, float]:
    began = time.perf_counter()
    command = [sys.executable, "-W", "ignore", __file__, "--child", kind, "--out", str(out)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {**json.loads(done.stdout.splitlines()[-1]), "process_s": time.perf_counter() - began}


def compare(many: int, rounds: int) -> dict[str, Any]:
    from glue_source.world import said
    from services.moto import CREDENTIALS

    os.environ.update(CREDENTIALS)

    with tempfile.TemporaryDirectory() as folder, glue(many, Path(folder)) as url:
        bare(url)  # it makes its pages when they are first asked for
        environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url, "DATAHUB_TELEMETRY_ENABLED": "false"}
        files = {kind: Path(folder) / f"{kind}.json" for kind in (STOCK, OURS)}
        seen: dict[str, list[dict[str, float]]] = {STOCK: [], OURS: []}
        listing: list[float] = []
        for _ in range(rounds):
            listing.append(bare(url))
            for kind in (STOCK, OURS):
                seen[kind].append(measure(kind, environ, files[kind]))
        found = {kind: said(json.loads(file.read_text("utf-8"))) for kind, file in files.items()}
    of = {
        kind: {key: statistics.median(one[key] for one in all_rounds) for key in all_rounds[0]}
        for kind, all_rounds in seen.items()
    }
    stripped = {kind: {key[:4] for key in one} for kind, one in found.items()}
    return {
        "tables": many,
        "equal": stripped[STOCK] == stripped[OURS],
        "aspects": sum(found[OURS].values()),
        "bare_get_tables_s": round(statistics.median(listing), 3),
        "ways": {kind: {key: round(value, 3) for key, value in one.items()} for kind, one in of.items()},
        "tables_per_s": {kind: round(many / one["s"], 1) for kind, one in of.items()},
        "times": round(of[STOCK]["s"] / of[OURS]["s"], 2),
        "times_cpu": round(of[STOCK]["cpu_s"] / of[OURS]["cpu_s"], 2),
        "times_process": round(of[STOCK]["process_s"] / of[OURS]["process_s"], 2),
        "of_memory": round(of[OURS]["peak_mb"] / of[STOCK]["peak_mb"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=(STOCK, OURS))
    parser.add_argument("--out")
    given = parser.parse_args()
    if given.child:
        child(given.child, given.out)
    else:
        print(json.dumps(compare(given.tables, given.rounds), indent=2))


if __name__ == "__main__":
    main()
