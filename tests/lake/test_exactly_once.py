"""This file is where a source object is shown to land once, whoever else is at it and whenever it is cut short."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from pyiceberg.table import Table
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from headgate.errors import Unavailable
from headgate.job import write_manifest
from headgate.lake import catalog, commit
from headgate.lake.catalog import open_catalog
from headgate.lake.commit import data_folder, sweep
from headgate.lake.sample import write_sample
from headgate.model import StoredObject

from .world import World, make_world


def warm(world: World, mode: str, *manifests: Sequence[StoredObject]) -> dict[str, list[int]]:
    """Runs in children forked from one process that has the libraries loaded; see warm.py."""
    base = world.inbox.parent
    (base / "lake.json").write_text(world.lake.to_json())
    names = [str(base / f"manifest{n}") for n in range(len(manifests))]
    for name, objects in zip(names, manifests, strict=True):
        write_manifest(Path(name), objects)
    driver = str(Path(__file__).with_name("warm.py"))
    ran = subprocess.run(
        [sys.executable, driver, str(base), mode, *names], capture_output=True, text=True, timeout=110, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[int]] = json.loads(ran.stdout.splitlines()[-1])
    assert found["codes"] == [0] * len(manifests), ran.stdout + ran.stderr
    return found


def rows_by_source(world: World) -> Counter[object]:
    return Counter(row["_source_file"] for row in world.rows())


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], *, table: str = "staging") -> None:
    """Do something once, between a job's last look at the table and its commit."""
    original = commit.present
    armed = [True]

    def look(table_: Table, ids: object, column: str = "_source_id") -> frozenset[str]:
        found = original(table_, list(ids), column)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType, reportUnknownVariableType] - passed through
        if armed[0] and table_.name()[-1].endswith(table):
            armed[0] = False
            act()
        return found

    monkeypatch.setattr(commit, "present", look)


def test_another_file_landing_meanwhile_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that lost the race is made again on the new head, with the same data files."""
    one, two = world.file("a.csv", "line_no\n1\n"), world.file("b.csv", "line_no\n2\n")
    meanwhile(monkeypatch, lambda: world.ingest(two))

    result = world.ingest(one)

    assert result["rows"] == 1
    assert sorted(str(row["line_no"]) for row in world.rows()) == ["1", "2"]


def test_the_same_file_landing_meanwhile_is_not_doubled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyIceberg's own retry would commit it again; ours looks again first."""
    one = world.file("a.csv", "line_no\n1\nx\n")
    meanwhile(monkeypatch, lambda: world.ingest(one))

    result = world.ingest(one)

    assert (result["rows"], result["skipped"]) == (0, 1)
    assert len(world.rows()) == 1
    assert len(world.rejects()) == 1


def test_of_a_batch_only_what_is_not_there_meanwhile_lands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data files are written again without the sources another run took."""
    one, two = world.file("a.csv", "line_no\n1\nx\n"), world.file("b.csv", "line_no\n2\ny\n")
    meanwhile(monkeypatch, lambda: world.ingest(one))

    result = world.ingest(one, two)

    assert (result["rows"], result["skipped"]) == (1, 1)
    assert sorted(str(row["line_no"]) for row in world.rows()) == ["1", "2"]
    assert sorted(str(row["raw"]) for row in world.rejects()) == ["x", "y"]


def test_columns_added_meanwhile_do_not_mix_up_ours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data files carry field ids; if somebody else used ours for another column, they are written again."""
    world.ingest(world.file("first.csv", "line_no\n0\n"))
    meanwhile(monkeypatch, lambda: world.ingest(world.file("b.csv", "line_no,theirs\n2,t\n")))

    world.ingest(world.file("a.csv", "line_no,ours\n1,o\n"))

    found = {(row["line_no"], row["ours"], row["theirs"]) for row in world.rows()}
    assert found == {(0, None, None), (1, "o", None), (2, None, "t")}


def test_after_a_crash_between_rejects_and_rows_both_are_there_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rejects went first; the next try puts the same in their place, then the rows."""
    one = world.file("a.csv", "line_no\n1\nx\n")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    from headgate.lake import attempt

    with monkeypatch.context() as patch:
        patch.setattr(attempt, "land", crash)
        with pytest.raises(KeyboardInterrupt):
            world.ingest(one)
    assert (len(world.rows()), len(world.rejects())) == (0, 1)

    world.ingest(one)

    assert (len(world.rows()), len(world.rejects())) == (1, 1)


def test_processes_over_the_same_files_land_each_once(world: World) -> None:
    """Overlapping manifests, all at once, on one catalog nobody had opened before."""
    given = [world.file(f"{n}.csv", f"line_no\n{n}\nbad\n") for n in range(8)]
    chance = random.Random(5)

    warm(world, "together", *(chance.sample(given, 5) for _ in range(4)), given)

    assert set(rows_by_source(world).values()) == {1}
    assert len(rows_by_source(world)) == 8
    assert Counter(row["source_file"] for row in world.rejects()) == rows_by_source(world)


@pytest.mark.chaos
def test_killed_at_any_moment_it_lands_once(world: World, tmp_path: Path) -> None:
    """Kill -9 at moments spread over a whole run; what was left is taken up by the next."""
    write_sample(tmp_path / "sample", 20_000, bad_rows=3)
    content = (tmp_path / "sample").read_bytes()

    warm(world, "killed", *([world.file(f"{n}.csv", content)] for n in range(8)))

    assert rows_by_source(world) == {f"s3://raw-data/{n}.csv": 19_997 for n in range(8)}
    assert Counter(row["source_file"] for row in world.rejects()) == {f"s3://raw-data/{n}.csv": 3 for n in range(8)}


def test_a_forked_child_ingests_as_any_process_does(world: World, tmp_path: Path) -> None:
    """The libraries loaded before the fork work after it, time after time, for small files and large."""
    write_sample(tmp_path / "sample", 9_000)
    content = (tmp_path / "sample").read_bytes()

    warm(world, "inturn", *([world.file(f"{n}.csv", content if n % 5 == 0 else "line_no\n1\n")] for n in range(15)))

    assert len(rows_by_source(world)) == 15
    assert len(world.rows()) == 3 * 9_000 + 12


def test_what_a_killed_run_left_is_swept_after_a_day(world: World) -> None:
    """Its data files are deleted; those that a snapshot refers to are not, whatever the marker says."""
    world.ingest(world.file("a.csv", "line_no\n1\n"))
    table = world.table()
    folder = data_folder(table)
    kept = next(folder.glob("*.parquet"))
    stem = kept.name[: len("headgate-") + 32]
    (folder / f"headgate-{'0' * 32}-0-0.parquet").write_bytes(b"left")
    old = time.time() - 90_000
    for marker in (stem, f"headgate-{'0' * 32}"):
        (folder / ".pending" / marker).touch()
        os.utime(folder / ".pending" / marker, (old, old))
    (folder / ".pending" / f"headgate-{'1' * 32}").touch()
    (folder / f"headgate-{'1' * 32}-0-0.parquet").write_bytes(b"being written")

    swept = sweep(table)

    assert swept == 1
    assert kept.exists()
    assert (folder / f"headgate-{'1' * 32}-0-0.parquet").exists()
    assert len(world.rows()) == 1


def test_a_busy_table_is_given_up_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After many lost races the run fails so that it can be tried again, and leaves no files."""
    world.ingest(world.file("a.csv", "line_no\n1\n"))
    from pyiceberg.exceptions import CommitFailedException

    def lose(_: object) -> Table:
        raise CommitFailedException("others")

    monkeypatch.setattr(commit.Guarded, "commit_transaction", lose)
    monkeypatch.setattr(commit, "_ATTEMPTS", 3)
    before = set(data_folder(world.table()).glob("*"))

    with pytest.raises(Unavailable, match="others kept writing"):
        world.ingest(world.file("b.csv", "line_no\n2\n"))

    assert set(data_folder(world.table()).glob("*")) == before
    assert list((data_folder(world.table()) / ".pending").glob("*")) == []


def test_a_commit_of_unknown_outcome_is_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog failed after it had taken the commit: it counts as landed, and its files stay."""
    from sqlalchemy.exc import OperationalError

    original = commit.Guarded.commit_transaction

    def then_fail(transaction: commit.Guarded) -> Table:
        original(transaction)
        raise OperationalError("UPDATE", {}, Exception("lost the connection"))

    monkeypatch.setattr(commit.Guarded, "commit_transaction", then_fail)

    result = world.ingest(world.file("a.csv", "line_no\n1\n"))

    assert result["rows"] == 1
    assert len(world.rows()) == 1


def test_deleting_a_source_deletes_its_rows_and_rejects_only(world: World) -> None:
    """And a second time finds nothing; the file can then be ingested again."""
    one, two = world.file("a.csv", "line_no\n1\nx\n"), world.file("b.csv", "line_no\n2\ny\n")
    world.ingest(one, two)

    first = commit.delete_source(world.lake, one.source_id)
    second = commit.delete_source(world.lake, one.source_id)

    assert (first, second) == ({"rows": 1, "rejects": 1}, {"rows": 0, "rejects": 0})
    assert [row["line_no"] for row in world.rows()] == [2]
    assert [row["raw"] for row in world.rejects()] == ["y"]
    assert world.ingest(one)["rows"] == 1


@pytest.mark.parametrize("wait", [60, 0])
def test_a_new_catalog_that_is_not_free_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: int
) -> None:
    """Of those who change its journal at one moment SQLite refuses all but one, without waiting; not for ever."""
    refused: list[str] = []
    monkeypatch.setattr(catalog, "LOCK_WAIT", wait)

    def refuse(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "journal_mode" in statement and len(refused) < 3:
            refused.append(statement)
            raise OperationalError(statement, {}, sqlite3.OperationalError("database is locked"))

    event.listen(Engine, "before_cursor_execute", refuse)
    try:
        if wait:
            open_catalog(make_world(tmp_path).lake).close()
        else:
            with pytest.raises(Unavailable, match="locked"):
                open_catalog(make_world(tmp_path).lake)
    finally:
        event.remove(Engine, "before_cursor_execute", refuse)
    assert len(refused) == (3 if wait else 1)


def test_two_first_openers_of_a_catalog_both_get_it(tmp_path: Path) -> None:
    """Both make its tables at once; neither fails."""
    world = make_world(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(open_catalog, [world.lake] * 8))

    assert all(one.list_namespaces() == [] for one in opened)
    assert asdict(world.lake)["catalog"] == opened[0].name
