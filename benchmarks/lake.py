"""The lake job against what people use today; this file is where its figures come from.

    python benchmarks/lake.py big [--mb 1000] [--rounds 3]
    python benchmarks/lake.py small [--files 2000] [--rounds 3]

Every way is run in a process of its own, one after the other, round by round; the best round of each counts, because
what disturbs a machine only ever makes it slower. Imports are not counted (the warm launcher has done them). The data
is made once, under .bench/. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

SCRATCH = Path(__file__).parents[1] / ".bench" / "lake"
#: Bytes of a record of the sample, on average.
RECORD = 190
TABLE = "collections.collections_data_staging"


def data(kind: str, *, mb: int, files: int) -> Path:
    """The folder with the CSVs, made if it is not there yet."""
    from headgate.lake.sample import write_sample

    folder = SCRATCH / (f"big-{mb}" if kind == "big" else f"small-{files}")
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    if kind == "big":
        write_sample(folder / "big.csv", mb * 1_000_000 // RECORD)
        write_sample(folder / "bad", 7, 7)
        (folder / "with-bad").mkdir()
        with (folder / "with-bad" / "big.csv").open("wb") as file:
            file.write((folder / "big.csv").read_bytes())
            file.write((folder / "bad").read_bytes().partition(b"\n")[2])
    else:
        for n in range(files):
            write_sample(folder / f"part-{n:04d}.csv", 260, seed=n)
    (folder / "done").touch()
    return folder


def ours(folder: Path, lake_folder: Path) -> float:
    """The job as the engine runs it, over a manifest as the watched folder makes it (which has hashed the files)."""
    from headgate.job import Context
    from headgate.lake import csv_to_iceberg
    from headgate.lake.sources import digest
    from headgate.model import StoredObject

    manifest = [
        StoredObject(
            bucket="b", key=one.name, size=one.stat().st_size, etag=digest(one), path=str(one),
            sequencer=f"{one.stat().st_mtime_ns:016X}",
        )
        for one in sorted(folder.glob("*.csv"))
    ]  # fmt: skip
    context = Context(run_id="jr_bench", job="bench", arguments={}, manifest=manifest, lake=lake_at(lake_folder))
    start = time.perf_counter()
    csv_to_iceberg(context)
    return time.perf_counter() - start


def pandas_append(folder: Path, lake_folder: Path) -> float:
    """What one writes by hand for the same rows: read_csv, amounts cast exactly from text, append; a commit a file."""
    return _pandas(folder, lake_folder, {"value": "str", "prior_value": "str"})


def pandas_append_float(folder: Path, lake_folder: Path) -> float:
    """The same with amounts through binary floats, which is quicker and not exact. No line is about it."""
    return _pandas(folder, lake_folder, {})


def _pandas(folder: Path, lake_folder: Path, types: dict[str, str]) -> float:
    import pandas as pd
    import pyarrow as pa
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    table = made_table(lake_folder, [])
    files = sorted(folder.glob("*.csv"))
    schema = schema_to_pyarrow(table.schema())
    start = time.perf_counter()
    for one in files:
        frame = pd.read_csv(one, parse_dates=["report_date", "submitted_at"], dtype=cast(Any, types))
        table.append(pa.Table.from_pandas(frame, preserve_index=False).cast(schema))
    return time.perf_counter() - start


def parse_only(folder: Path, lake_folder: Path) -> float:
    """The job's own reader, without hashing; the rows are thrown away."""
    from concurrent.futures import ThreadPoolExecutor

    from headgate.lake import quick
    from headgate.lake.columns import DECLARED
    from headgate.lake.passes import ahead
    from headgate.lake.scan import threads

    names = list(DECLARED["collections_data_staging"])
    schema = made_table(lake_folder, []).schema()
    start = time.perf_counter()
    with ThreadPoolExecutor(threads()) as pool:
        for path in sorted(folder.glob("*.csv")):
            with path.open("rb") as file:
                file.readline()

                def read(chunk: memoryview) -> object:
                    return quick.quotes(chunk), quick.faultless(chunk, names, schema)

                for _ in ahead(pool, (partial(read, chunk) for chunk in quick.chunks(file))):
                    pass
    return time.perf_counter() - start


def parse_only_duckdb(folder: Path, _: Path) -> float:
    """DuckDB's reader with the same types and its rejects; what the job does with text that has a fault."""
    from headgate.lake.columns import DECLARED, duckdb_type
    from headgate.lake.scan import connect, reader

    paths = [str(one) for one in sorted(folder.glob("*.csv"))]
    types = {name: duckdb_type(of) for name, of in DECLARED["collections_data_staging"].items()}
    start = time.perf_counter()
    with connect() as connection:
        sql = f"SELECT * FROM {reader(paths, types, packed=False, rejects=1001)}"
        for _batch in connection.sql(sql).to_arrow_reader(60_000):
            pass
    return time.perf_counter() - start


def write_only(folder: Path, lake_folder: Path) -> float:
    """The same rows, already in memory as the job's reader hands them over, into data files and a commit."""
    from datetime import datetime

    import pyarrow as pa

    from headgate.lake import quick
    from headgate.lake.columns import DECLARED, OURS
    from headgate.lake.commit import data_folder
    from headgate.lake.parquet import DataFiles, arrow_schema
    from headgate.lake.scan import threads

    table = made_table(lake_folder, OURS)
    schema = arrow_schema(table.schema())
    batches: list[Any] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open("rb") as file:
            file.readline()
            for chunk in quick.chunks(file):
                batch = quick.faultless(chunk, list(DECLARED["collections_data_staging"]), table.schema())
                assert batch is not None
                places = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows)
                at = pa.repeat(pa.scalar(datetime(2026, 1, 1), pa.timestamp("us")), batch.num_rows)  # noqa: DTZ001 - UTC
                texts = (pa.array(["a" * 64]), pa.array([f"s3://b/{path.name}"]))
                ours = [pa.DictionaryArray.from_arrays(places, text) for text in texts]
                batches.append(pa.RecordBatch.from_arrays([*batch.columns, *ours, at], names=schema.names))
    start = time.perf_counter()
    with DataFiles(data_folder(table), schema, writers=threads()) as files:
        for batch in batches:
            files.put(batch)
        files.close()
        table.add_files([one.as_uri() for one in files.paths])
        files.keep()
    return time.perf_counter() - start


def lake_at(folder: Path) -> Any:
    from headgate.job import Lake

    return Lake(uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")


def made_table(folder: Path, extra: Any) -> Any:
    """The example table, with these columns beside the declared ones."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField

    from headgate.lake import open_catalog
    from headgate.lake.catalog import make_table
    from headgate.lake.columns import DECLARED

    types = {**DECLARED["collections_data_staging"], **dict(extra)}
    schema = Schema(*(NestedField(n, name, of) for n, (name, of) in enumerate(types.items(), 1)))
    return make_table(open_catalog(lake_at(folder)), TABLE, schema)


WAYS: dict[str, Callable[[Path, Path], float]] = {
    "headgate": ours,
    "pandas_append": pandas_append,
    "pandas_append_float": pandas_append_float,
    "parse_only": parse_only,
    "parse_only_duckdb": parse_only_duckdb,
    "write_only": write_only,
}


def one(way: str, folder: Path) -> None:
    """Run one way in this process and print what it took."""
    from headgate import lake

    _ = lake.csv_to_iceberg  # loads what a warm launcher has loaded
    with tempfile.TemporaryDirectory(dir=SCRATCH) as scratch:
        seconds = WAYS[way](folder, Path(scratch))
    cpu = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 3), "cpu_seconds": round(cpu, 2), "peak_rss_mb": round(peak)}))


def measured(way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "one", way, str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{way} failed:\n{ran.stdout}{ran.stderr}")
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    print(f"{way}: {found}", file=sys.stderr, flush=True)
    return found


def compare(kind: str, folder: Path, rounds: int) -> dict[str, object]:
    """Rounds of all ways, then the best of each and the ratios that the lines are about."""
    ways = list(WAYS) if kind == "big" else ["headgate", "parse_only", "write_only"]
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:  # in turn, so that what disturbs the machine for a while disturbs all
            # the others can not read the bad records; ours has to find them at the very end of the file
            runs[way].append(measured(way, folder / "with-bad" if (kind, way) == ("big", "headgate") else folder))
    if kind == "small":  # one commit a file takes minutes: once, over the first files, is enough
        runs["pandas_append"] = [measured("pandas_append", sample_of(folder, 100))]
    size = sum(one.stat().st_size for one in folder.glob("*.csv")) / 1e6
    best = {way: min(found, key=lambda run: run["seconds"]) for way, found in runs.items()}
    seconds = {way: found["seconds"] for way, found in best.items()}
    parts = seconds["parse_only"] + seconds["write_only"]
    share = 1.0 if kind == "big" else len(list(folder.glob("*.csv"))) / 100
    baseline = seconds["pandas_append"] * share
    return {
        "benchmark": f"lake {kind}",
        "mb": round(size),
        "ways": {
            way: {**found, "mb_per_second": round(size / found["seconds"] / (share if way == "pandas_append" else 1))}
            for way, found in best.items()
        },
        "times_pandas_append": round(baseline / seconds["headgate"], 2),
        **{
            f"times_{way}": round(seconds[way] / seconds["headgate"], 2)
            for way in seconds
            if way == "pandas_append_float"
        },
        "of_parse_plus_write": round(seconds["headgate"] / parts, 2),
        "peak_rss_mb": max(run["peak_rss_mb"] for run in runs["headgate"]),
        "lines": lines(kind, seconds["headgate"], baseline, parts, runs["headgate"]),
    }


def lines(kind: str, seconds: float, baseline: float, parts: float, runs: list[dict[str, float]]) -> dict[str, bool]:
    """Which lines of the design are reached."""
    if kind == "small":
        return {"<= 1.7 s": seconds <= 1.7, ">= 2.0 x pandas + append": baseline >= 2.0 * seconds}
    return {
        ">= 2.0 x pandas + append": baseline >= 2.0 * seconds,
        "<= 1.25 x (parse + write)": seconds <= 1.25 * parts,
        "peak < 800 MB": max(run["peak_rss_mb"] for run in runs) < 800,
    }


def sample_of(folder: Path, count: int) -> Path:
    some = folder / f"first-{count}"
    some.mkdir(exist_ok=True)
    for one in sorted(folder.glob("*.csv"))[:count]:
        if not (some / one.name).exists():
            (some / one.name).hardlink_to(one)
    return some


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["big", "small", "one"])
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    if given.kind == "one":
        one(given.rest[0], Path(given.rest[1]))
        return
    folder = data(given.kind, mb=given.mb, files=given.files)
    print(json.dumps(compare(given.kind, folder, given.rounds), indent=2))


if __name__ == "__main__":
    main()
