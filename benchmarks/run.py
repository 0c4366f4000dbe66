"""This file is where every benchmark is run: prints the table, and keeps what was seen in docs/benchmarks.md.

`python benchmarks/run.py [--only NAME…] [--quick] [--no-write]`. Figures are medians of one run on one machine; where a
line is a ratio, both sides were measured in that run. What another benchmark left behind in `load` is mostly its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Seen = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One row of the table: what is promised, what was seen, whether it holds."""

    what: str
    line: str
    seen: Callable[[Seen], str]
    holds: Callable[[Seen], bool] | None  #: None: a figure without a line, shown beside the others

    def held(self, seen: Seen) -> str:
        if self.holds is None:
            return ""
        return "yes" if self.holds(seen) else "**no**"


@dataclass(frozen=True)
class Benchmark:
    command: tuple[str, ...]
    quick: tuple[str, ...]
    lines: tuple[Line, ...]


def _per_s(value: float) -> str:
    return f"{value:,.0f}/s"


def _latency(key: str, what: str) -> Line:
    return Line(
        what,
        "≤ 3 / 15 ms",
        lambda seen: f"{seen[f'{key}_p50']:.2f} / {seen[f'{key}_p99']:.2f} ms",
        lambda seen: seen[f"{key}_p50"] <= 3 and seen[f"{key}_p99"] <= 15,
    )


BENCHMARKS: Mapping[str, Benchmark] = {
    "glue": Benchmark(
        ("glue.py", "against-moto"),
        ("--rounds", "1", "--seconds", "2"),
        tuple(
            Line(
                f"Glue's API: {operation} at 4 clients (wrk), against moto_server",
                "≥ 4×" + (", durable" if operation == "StartJobRun" else ""),
                lambda s, operation=operation: (
                    f"{s[operation]['ratio']:.1f}× ({_per_s(s[operation]['headgate'])} to "
                    f"{_per_s(s[operation]['moto'])}; an fsync {s['fsync_ms']:.1f} ms)"
                ),
                lambda s, operation=operation: s[operation]["ratio"] >= 4 and not s[operation]["wrong"],
            )
            for operation in ("StartJobRun", "GetJobRun")
        ),
    ),
    "glue-pages": Benchmark(
        ("glue.py", "pages"),
        ("--seconds", "1"),
        (
            Line(
                "Glue's API: a page of 50 job runs, of a job with 100,000 against one with 100",
                "≤ 1.5×",
                lambda s: f"{s['times_first']:.2f}× the first page, {s['times_later']:.2f}× one far back",
                lambda s: max(s["times_first"], s["times_later"]) <= 1.5,
            ),
        ),
    ),
    "accept": Benchmark(
        ("server.py", "accept"),
        (),
        (
            Line(
                "durable accept over HTTP, 32 connections, one S3 record per POST (wrk)",
                "≥ 4,000/s",
                lambda s: f"{_per_s(s['posts_per_s'])} (p50 {s['p50_ms']:.1f} ms, p99 {s['p99_ms']:.1f} ms)",
                lambda s: s["posts_per_s"] >= 4000 and not s["not_200"],
            ),
        ),
    ),
    "latency": Benchmark(
        ("flow.py", "latency"),
        (),
        (
            _latency("accept_to_start_ms", "accept → engine start, p50 / p99"),
            _latency("a_ends_to_b_starts_ms", "A ends → B starts (conditional), p50 / p99"),
        ),
    ),
    "flow": Benchmark(
        ("flow.py", "flow"),
        ("--events", "2000"),
        (
            Line(
                "whole flow, no-op jobs, SQLite",
                "≥ 3,000 runs/s",
                lambda s: f"{s['runs_per_s']:,.0f} runs/s ({s['cpu_us_per_run']:.0f} µs of CPU a run)",
                lambda s: s["runs_per_s"] >= 3000,
            ),
        ),
    ),
    "postgres": Benchmark(
        ("flow.py", "postgres"),
        ("--events", "2000"),
        (
            Line(
                "whole flow, no-op jobs, PostgreSQL with 2 processes",
                "≥ 1,400 runs/s",
                lambda s: f"{s['runs_per_s']:,.0f} runs/s",
                lambda s: s["runs_per_s"] >= 1400,
            ),
        ),
    ),
    "recipes": Benchmark(
        ("recipes.py",),
        ("--runs", "3", "--stock", "1"),
        (
            Line(
                "recipe, request → first metadata, against DataHub's executor",
                "≥ 12×",
                lambda s: (
                    f"{s['times_faster']['first_metadata']:.1f}× ({s['headgate']['first_metadata_ms']:.0f} ms; "
                    f"theirs {s['stock']['first_metadata_ms']:,.0f} ms)"
                ),
                lambda s: s["times_faster"]["first_metadata"] >= 12,
            ),
            Line(
                "recipe, request → end state, against DataHub's executor",
                "≥ 15×",
                lambda s: (
                    f"{s['times_faster']['end']:.1f}× ({s['headgate']['end_ms']:.0f} ms; "
                    f"theirs {s['stock']['end_ms']:,.0f} ms; our first run, with nothing warm, "
                    f"{s['headgate_first_run']['end_ms']:,.0f} ms)"
                ),
                lambda s: s["times_faster"]["end"] >= 15,
            ),
        ),
    ),
    "scale": Benchmark(
        ("flow.py", "scale"),
        ("--runs", "100000"),
        (
            Line(
                "list page, accept, firing at 1M runs and 10k triggers against 10k runs",
                "≤ 1.5×",
                lambda s: ", ".join(f"{k} {v:.2f}×" for k, v in s["ratios"].items()),
                lambda s: all(s["ratios"][k] <= 1.5 for k in ("list", "accept", "firing")),
            ),
        ),
    ),
    "supervision": Benchmark(
        ("supervision.py",),
        (),
        (
            Line(
                "local command: dispatch → first output, supervised",
                "≤ 8 ms",
                lambda s: (
                    f"{s['local_command']['first_output_p50']:.1f} ms (bare Popen "
                    f"{s['bare_popen']['first_output_p50']:.1f} ms in the same run: {s['command_over_popen']}×)"
                ),
                lambda s: s["local_command"]["first_output_p50"] <= 8,
            ),
        ),
    ),
    "recovery": Benchmark(
        ("server.py", "recovery"),
        (),
        (
            Line(
                "recovery after kill -9 with 20 runs under way, SQLite",
                "< 1 s",
                lambda s: (
                    f"{s['taken_up_s']:.2f} s from exec to all taken up, the API answers after "
                    f"{s['api_answers_s']:.2f} s"
                ),
                lambda s: s["taken_up_s"] < 1,
            ),
        ),
    ),
    "recovery-postgres": Benchmark(
        ("server.py", "recovery-postgres"),
        (),
        (
            Line(
                "recovery after kill -9 with 20 runs under way, PostgreSQL",
                "< 2× lease",
                lambda s: (
                    f"{s['taken_up_s']:.1f} s from exec to all taken up, at most {s['taken_up_max_s']:.1f} s: "
                    f"{s['leases']:.2f}× the lease of {s['lease_s']:.0f} s"
                ),
                lambda s: s["leases"] < 2,
            ),
        ),
    ),
    "idle": Benchmark(
        ("server.py", "idle"),
        (),
        (
            Line(
                "idle",
                "< 1 % CPU, < 150 MB RSS",
                lambda s: f"{s['cpu_percent']:.2f} % CPU, {s['rss_mb']:.0f} MB",
                lambda s: s["cpu_percent"] < 1 and s["rss_mb"] < 150,
            ),
        ),
    ),
    "openlineage": Benchmark(
        ("lineage.py", "convert"),
        ("--events", "500", "--rounds", "3"),
        (
            Line(
                "OpenLineage conversion, one core, 7 KB an event",
                "≥ 8,000 events/s; ≥ 10× building acryl-datahub classes",
                lambda s: (
                    f"{s['events_per_s']:,} events/s ({s['us_per_event']:.0f} µs of CPU, {s['proposals']} proposals); "
                    f"{s['times_classes']}× the classes' {s['classes_events_per_s']:,}/s"
                ),
                lambda s: s["events_per_s"] >= 8000 and s["times_classes"] >= 10,
            ),
        ),
    ),
    "lineage": Benchmark(
        ("server.py", "lineage"),
        (),
        (
            Line(
                "OpenLineage events over HTTP, 7 KB, durable, the embedded catalog written beside (wrk)",
                "beside the conversion",
                lambda s: (
                    f"{_per_s(s['posts_per_s'])} (p50 {s['p50_ms']:.1f} ms), {_per_s(s['drained_per_s'])} into the "
                    "catalog after that"
                ),
                None,
            ),
        ),
    ),
    "glue-source": Benchmark(
        ("glue_source.py",),
        ("--tables", "100", "--rounds", "1"),
        (
            Line(
                "`headgate-glue` and DataHub's `glue`, 1,000 tables, file sink",
                "≥ 8× the tables/s; less memory",
                lambda s: (
                    f"{s['times']:.1f}× ({s['tables_per_s']['headgate-glue']:,.0f}/s; "
                    f"{s['tables_per_s']['glue']:,.0f}/s), {s['times_cpu']:.1f}× less CPU, "
                    f"{s['of_memory']:.2f}× the memory, "
                    f"{'every aspect equal' if s['equal'] else 'ASPECTS DIFFER'}; bare GetTables "
                    f"{s['bare_get_tables_s']:.2f} s"
                ),
                lambda s: s["times"] >= 8 and s["of_memory"] < 1 and s["equal"],
            ),
        ),
    ),
    "lake-big": Benchmark(
        ("lake.py", "big"),
        ("--mb", "200", "--rounds", "1"),
        (
            Line(
                "1 GB CSV → Iceberg, typed, with quarantine",
                "≥ 2.0× pandas + append; ≤ 1.25× (parse-only + write-only); peak < 800 MB",
                lambda s: (
                    f"{s['times_pandas_append']:.2f}× pandas + append, {s['of_parse_plus_write']:.2f}× the sum; "
                    f"{s['ways']['headgate']['seconds']:.1f} s, {s['ways']['headgate']['mb_per_second']} MB/s; "
                    f"peak {s['peak_rss_mb']:.0f} MB"
                ),
                lambda s: all(s["lines"].values()),
            ),
        ),
    ),
    "lake-small": Benchmark(
        ("lake.py", "small"),
        ("--files", "500", "--rounds", "1"),
        (
            Line(
                "2,000 small CSVs given to the lake job as one manifest",
                "one commit; ≤ 1.7 s",
                lambda s: (
                    f"{s['ways']['headgate']['seconds']:.2f} s "
                    f"({s['times_pandas_append']:.0f}× one pandas + append a file)"
                ),
                lambda s: all(s["lines"].values()),
            ),
        ),
    ),
}


def run(name: str, *, quick: bool) -> Seen:
    benchmark = BENCHMARKS[name]
    script, *arguments = [*benchmark.command, *(benchmark.quick if quick else ())]
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, text=True, check=True, timeout=3600
    )
    return json.loads(done.stdout[done.stdout.index("{") :])


def machine() -> str:
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return (
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), Linux {platform.release()}, "
        f"CPython {platform.python_version()}"
    )


HEAD = ("| what | line | seen | holds | when, load before |", "| --- | --- | --- | --- | --- |")


def rows(name: str, seen: Seen, load: float) -> dict[str, str]:
    """The table's rows by what they are about."""
    when = f"{time.strftime('%Y-%m-%d')}, {load:.1f}"
    return {
        line.what: f"| {line.what} | {line.line} | {line.seen(seen)} | {line.held(seen)} | {when} |"
        for line in BENCHMARKS[name].lines
    }


def known(text: str) -> dict[str, str]:
    """The rows a table has."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line not in HEAD}


def keep(found: Mapping[str, str]) -> None:
    """Write what was measured into the page; rows that were not measured stay as they are."""
    page = PAGE.read_text("utf-8")
    before, rest = page.split(BEGIN)
    old, after = rest.split(END)
    all_rows = {**known(old), **found}
    named = [line.what for benchmark in BENCHMARKS.values() for line in benchmark.lines]
    ordered = [all_rows[what] for what in named if what in all_rows]
    text = "\n".join([f"Seen on {machine()}.", "", *HEAD, *ordered])
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="smaller inputs, to see that everything runs")
    parser.add_argument("--no-write", action="store_true", help="leave docs/benchmarks.md as it is")
    given = parser.parse_args()
    print("\n".join(HEAD), flush=True)
    for name in given.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        found = rows(name, run(name, quick=given.quick), load)
        print("\n".join(found.values()), flush=True)
        if not given.no_write and not given.quick:
            keep(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
