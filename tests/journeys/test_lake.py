"""This file is where CSV files dropped into an `init`ed project become rows that PyIceberg reads, and views."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from headgate.model import Run, RunState
from headgate.project import write_project

from .world import one_at_a_time, running, runs_of, until

FILES, ROWS = 20, 250
STAGING = "collections.collections_data_staging"

pytestmark = pytest.mark.slow


def _sample(folder: Path) -> dict[str, int]:
    """Generated files, by name, and how many rows each has."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from headgate.lake.sample import write_sample\n"
        f"for number in range({FILES}):\n"
        f"    write_sample(Path(sys.argv[1]) / f'part-{{number:02}}.csv', rows={ROWS}, seed=number)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, timeout=60)
    return {file.name: ROWS for file in sorted(folder.iterdir())}


def test_twenty_files_dropped_at_once_are_rows_once(tmp_path: Path) -> None:
    """None lost, none twice, never two runs of a job at a time, and every success is followed by the views."""
    project = tmp_path / "project"
    write_project(project)
    files = _sample(tmp_path / "sample")
    inbox = project / "inbox" / "collections-data" / "ingest_ts=2026-01-01T00-00-00"
    with running(project, doors=True) as app:
        inbox.mkdir(parents=True)
        for name in files:
            (tmp_path / "sample" / name).rename(inbox / name)
        until(lambda: _objects(app.ledger.runs(job="csv-to-iceberg-ingestion").items) == FILES, "all to be noticed")
        assert app.wait_idle(180)
        ingestions, views = runs_of(app, "csv-to-iceberg-ingestion"), runs_of(app, "create-views-dual-engine")
    table = SqlCatalog("lake", uri=f"sqlite:///{project / '.headgate' / 'lake' / 'catalog.db'}").load_table(STAGING)
    read = table.scan(selected_fields=("_source_file",)).to_arrow().column("_source_file").to_pylist()

    assert {run.state for run in (*ingestions, *views)} == {RunState.SUCCEEDED}
    one_at_a_time(ingestions)
    one_at_a_time(views)
    assert [one.run for run in views for one in run.predecessors] == [run.id for run in ingestions]
    counted = Counter(str(name).rpartition("/")[2] for name in read)
    assert counted == files
    shown = subprocess.run(
        [
            sys.executable, "-m", "headgate", "lake", "query", "-c", str(project), "--output", "json",
            "select count(*) as n from collections.collections_data_view",
        ],
        capture_output=True, text=True, check=True, timeout=60, cwd=project,
    )  # fmt: skip
    assert str(FILES * ROWS) in shown.stdout


def _objects(runs: Sequence[Run]) -> int:
    return sum(run.objects for run in runs)
