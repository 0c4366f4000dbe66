"""This file is where a full disk is shown to end a run in a clear error with nothing half done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headgate.job import write_manifest
from headgate.lake.commit import data_folder
from headgate.lake.sample import write_sample

from .world import World

LIMITED = """
import resource, sys
from pathlib import Path
from headgate.job import Context, Lake, read_manifest
from headgate.errors import Unavailable
from headgate.lake import csv_to_iceberg
base, limit = sys.argv[1], int(sys.argv[2])
lake = Lake.from_json(Path(base, "lake.json").read_text())
manifest = read_manifest(Path(base, "manifest"))
context = Context(run_id="jr_child", job="job", arguments={}, manifest=manifest, lake=lake)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    csv_to_iceberg(context)
except Unavailable as error:
    print("UNAVAILABLE", error)
"""


@pytest.mark.parametrize("limit", [300_000, 1_000, 60_000])  # a data file, a marker's folder, the catalog
def test_no_room_is_an_error_in_words_and_leaves_nothing(world: World, tmp_path: Path, limit: int) -> None:
    """No row, no file, no marker is left; with room the same run succeeds."""
    write_sample(tmp_path / "sample", 30_000, bad_rows=2)
    world.ingest(world.file("first.csv", "line_no\n1\n"))
    before = {path.name for path in data_folder(world.table()).rglob("*.parquet")}
    one = world.file("a.csv", (tmp_path / "sample").read_bytes())
    base = world.inbox.parent
    (base / "lake.json").write_text(world.lake.to_json())
    write_manifest(base / "manifest", [one])

    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(base), str(limit)], capture_output=True, text=True, timeout=100, check=False
    )

    assert "UNAVAILABLE no room" in ran.stdout, ran.stdout + ran.stderr
    assert "run it again" in ran.stdout
    assert len(world.rows()) == 1
    folder = data_folder(world.table())
    assert {path.name for path in folder.rglob("*.parquet")} == before
    assert list((folder / ".pending").glob("*")) == []
    assert json.dumps(world.ingest(one)["rows"]) == "29998"
