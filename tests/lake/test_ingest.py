"""This file is where the ingestion is shown to take what is good, keep what is bad apart, and say which is which."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from headgate.job import NotRetryable
from headgate.lake.sample import HEADER, write_sample
from headgate.model import StoredObject

from .world import TABLE, World

SIMPLE = "series_id,value,line_no\nFRY9C,1.50,1\nFRY15,,2\n"


def test_a_row_is_its_record_under_the_declared_types(world: World) -> None:
    """Every field arrives as its column's type, with where it came from beside it."""
    one = world.file(
        "collections-data/a b.csv",
        HEADER + '\nFRY9C,2026-03-31,7,"Zions, N.A.",BHCK1,x,12.345678,,USD,1000,USD,A,'
        '2026-02-16T10:00:00,true,5,0.25,portal,"two\nlines",jlee,b1\n',
    )

    result = world.ingest(one)

    row = world.rows()[0]
    assert row["value"] == Decimal("12.345678")
    assert row["prior_value"] is None
    assert row["report_date"] == date(2026, 3, 31)
    assert str(row["submitted_at"]) == "2026-02-16 10:00:00"
    assert (row["entity_id"], row["restated"], row["confidence"]) == (7, True, 0.25)
    assert (row["entity_name"], row["comment"]) == ("Zions, N.A.", "two\nlines")
    assert (row["_source_id"], row["_source_file"]) == (one.source_id, "s3://raw-data/collections-data/a b.csv")
    assert isinstance(row["_ingested_at"], datetime)
    assert (result["rows"], result["rejects"], result["files"], result["refused"], result["skipped"]) == (1, 0, 1, 0, 0)
    head = world.table().current_snapshot()
    assert head is not None
    assert (result["snapshot_id"], result["table"]) == (head.snapshot_id, TABLE)


@pytest.mark.parametrize("rows", [3_000, 40_000])  # in a bundle's size, and above it
@pytest.mark.parametrize("name", ["one.csv", "one.csv.gz"])
def test_exactly_the_planted_bad_records_are_rejected(world: World, tmp_path: Path, name: str, rows: int) -> None:
    """Each bad record is in the rejects once, found again by its number and by its first byte."""
    write_sample(tmp_path / "sample", rows, bad_rows=20, seed=3)
    content = (tmp_path / "sample").read_bytes()
    one, two = world.file(f"x/{name}", content), world.file("x/second.csv", SIMPLE)

    result = world.ingest(one, two)

    rejects = [row for row in world.rejects() if row["source_id"] == one.source_id]
    assert (result["rows"], result["rejects"]) == (rows - 20 + 2, 20)
    assert len({row["record_number"] for row in rejects}) == 20
    kinds = {"CAST", "TOO MANY COLUMNS", "MISSING COLUMNS", "INVALID ENCODING", "FRACTION DIGITS"}
    assert {row["reason"] for row in rejects} == kinds
    for row in rejects:
        start = int(str(row["byte_offset"]))
        raw = str(row["raw"])
        assert content[start - 1 : start] == b"\n"
        assert content[start:].startswith(raw[:12].encode())
        assert (row["run_id"], row["source_file"]) == ("jr_test", f"s3://raw-data/x/{name}")
        assert row["message"]


def test_columns_go_by_name(world: World) -> None:
    """Any order, any case, a byte order mark, Windows line ends; a column that is missing is NULL."""
    world.ingest(
        world.file("a.csv", "\ufeffline_no,VALUE,series_id\r\n1,2.5,A\r\n"),
        world.file("b.csv", "series_id\nB\n"),
        world.file("c.csv", "value,line_no\n7,3"),
    )

    found = {(row["series_id"], row["value"], row["line_no"]) for row in world.rows()}
    assert found == {("A", Decimal("2.5"), 1), ("B", None, None), (None, Decimal(7), 3)}


def test_a_new_column_comes_with_its_rows(world: World) -> None:
    """The column is added in the commit of the data, with the narrowest type that holds all its values."""
    world.ingest(world.file("a.csv", SIMPLE))
    before = len(world.table().snapshots())

    world.ingest(
        world.file("b.csv", "series_id,rank,ratio,seen,ok,code,note\nA,1,0.5,2026-01-01,true,007,\n"),
        world.file("c.csv", "series_id,rank,ratio,seen,ok,code,note\nB,20,3,2026-01-02,false,8,\n"),
    )

    types = {one.name: str(one.field_type) for one in world.table().schema().fields}
    found = {name: types[name] for name in ("rank", "ratio", "seen", "ok", "code", "note")}
    assert found == {
        "rank": "long",
        "ratio": "double",
        "seen": "date",
        "ok": "boolean",
        "code": "string",
        "note": "string",
    }
    assert len(world.table().snapshots()) == before + 1
    old, new = (next(row for row in world.rows() if row["series_id"] == one) for one in ("FRY9C", "B"))
    assert (old["rank"], new["rank"], new["code"]) == (None, 20, "8")


def test_an_undeclared_table_takes_its_schema_from_all_of_its_first_batch(world: World) -> None:
    """A value in the last row decides as much as one in the first."""
    lines = "".join(f"{n},{n}\n" for n in range(5000))

    world.ingest(world.file("a.csv", f"id,amount\n{lines}5000,x\n"), table="other.things")

    types = {one.name: str(one.field_type) for one in world.table("other.things").schema().fields}
    assert (types["id"], types["amount"]) == ("long", "string")
    assert len(world.rows("other.things")) == 5001


def test_a_narrow_column_is_widened_when_a_value_needs_it(world: World) -> None:
    """An int becomes a long and a decimal gets digits, in the commit of the data; not before."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import DecimalType, IntegerType, NestedField

    from headgate.lake.catalog import make_table
    from headgate.lake.columns import OURS

    fields = {"n": IntegerType(), "d": DecimalType(6, 2), **OURS}
    schema = Schema(*(NestedField(k, name, of) for k, (name, of) in enumerate(fields.items(), 1)))
    make_table(world.catalog, "a.narrow", schema)
    world.ingest(world.file("a.csv", "n,d\n1,1234.56\n"), table="a.narrow")
    first = world.table("a.narrow").schema()

    world.ingest(world.file("b.csv", "n,d\n3000000000,123456.78\n"), table="a.narrow")

    second = world.table("a.narrow").schema()
    assert (str(first.find_type("n")), str(first.find_type("d"))) == ("int", "decimal(6, 2)")
    assert (str(second.find_type("n")), str(second.find_type("d"))) == ("long", "decimal(8, 2)")
    assert {row["n"] for row in world.rows("a.narrow")} == {1, 3_000_000_000}
    assert world.rejects("a.narrow") == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no header"),
        ("\n1,2\n", "no header"),
        ("value,Value\n1,2\n", "twice"),
        ("value,\n1,2\n", "no name"),
        ("_source_id,value\n1,2\n", "own"),
        ("A,2026-01-01,7\nB,2026-01-02,8\n", "no header"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_alone(world: World, content: str, why: str) -> None:
    """It gets one FILE reject and nothing of it lands; the other files of the run do."""
    bad = world.file("bad.csv", content)

    result = world.ingest(bad, world.file("good.csv", SIMPLE))

    reject = world.rejects()[0]
    assert (result["rows"], result["refused"], result["rejects"], result["files"]) == (2, 1, 1, 2)
    assert (reject["reason"], reject["source_id"], reject["record_number"]) == ("FILE", bad.source_id, None)
    assert why in str(reject["message"])


def test_a_file_above_its_ceiling_is_refused_whole(world: World) -> None:
    """One reject more than it may have, and no row of it lands, nor any single reject; at the ceiling it lands."""
    bad = "line_no\n" + "1\n" * 5 + "x\n" * 3

    result = world.ingest(
        world.file("three.csv", bad), world.file("two.csv", bad[:-2]), world.file("ok.csv", SIMPLE), max_rejects="2"
    )

    assert (result["rows"], result["refused"], result["rejects"]) == (5 + 2, 1, 3)
    assert [row["reason"] for row in world.rejects()] == ["FILE", "CAST", "CAST"]
    assert "more than 2" in str(world.rejects()[0]["message"])


def test_when_every_file_is_refused_the_run_fails_for_good(world: World) -> None:
    """Trying again would refuse them again; the result says so all the same, and the table exists."""
    context = world.context([world.file("a.csv", ""), world.file("b.csv", "x,x\n1,2\n")])
    from headgate.lake import csv_to_iceberg

    with pytest.raises(NotRetryable, match="every file was refused"):
        csv_to_iceberg(context)

    assert (context.results["refused"], context.results["rejects"], context.results["rows"]) == (2, 2, 0)
    assert len(world.rejects()) == 2
    assert world.rows() == []


def test_the_same_delivery_again_adds_nothing(world: World, tmp_path: Path) -> None:
    """Neither rows nor rejects: those of files that landed, of files refused, of files with no good record."""
    write_sample(tmp_path / "sample", 50, bad_rows=5)
    given = [
        world.file("a.csv", (tmp_path / "sample").read_bytes()),
        world.file("refused.csv", "x,x\n1,1\n"),
        world.file("none.csv", "line_no\nnope\n"),
        world.file("empty.csv", "line_no\n"),
    ]
    world.ingest(*given)
    first = (world.rows(), sorted(str(row["raw"]) for row in world.rejects()))

    again = world.ingest(*given, *given)

    assert (world.rows(), sorted(str(row["raw"]) for row in world.rejects())) == first
    assert (again["rows"], again["skipped"], again["files"]) == (0, 1, 4)


def test_a_raised_ceiling_replaces_the_file_reject_by_those_of_its_records(world: World) -> None:
    """What is quarantined of a source is what the last try made of it."""
    one = world.file("a.csv", "line_no\n1\nx\ny\n")
    with pytest.raises(NotRetryable):
        world.ingest(one, max_rejects="1")

    world.ingest(one, max_rejects="2")

    assert [row["raw"] for row in world.rejects()] == ["x", "y"]
    assert [row["line_no"] for row in world.rows()] == [1]


def test_a_changed_file_is_taken_as_it_is_and_only_once(world: World) -> None:
    """Its rows are under the id of the bytes that were read, so the event of those bytes adds nothing."""
    announced = world.file("a.csv", SIMPLE)
    now = world.file("a.csv", SIMPLE + "FRY14Q,3,3\n")

    first = world.ingest(announced)
    second = world.ingest(now)

    assert (first["rows"], second["rows"], second["skipped"]) == (3, 0, 1)
    assert {row["_source_id"] for row in world.rows()} == {now.source_id}


def test_a_large_changed_file_is_noticed_too(world: World, tmp_path: Path) -> None:
    """Large files are hashed beside the reading; what was announced is compared before anything lands."""
    write_sample(tmp_path / "sample", 12_000)
    content = (tmp_path / "sample").read_bytes()
    announced = world.file("a.csv", content)
    now = world.file("a.csv", content.replace(b"FRY9C", b"FRY9X"))

    world.ingest(announced)

    assert {row["_source_id"] for row in world.rows()} == {now.source_id}
    assert len(world.rows()) == 12_000


def test_a_file_that_is_gone_is_refused(world: World) -> None:
    """The others land; it has a reject with reason MISSING under the id of its event."""
    gone = world.file("gone.csv", SIMPLE)
    Path(gone.path).unlink()

    result = world.ingest(gone, world.file("there.csv", SIMPLE))

    assert (result["rows"], result["refused"]) == (2, 1)
    assert (world.rejects()[0]["reason"], world.rejects()[0]["source_id"]) == ("MISSING", gone.source_id)


def test_a_run_by_hand_takes_everything_new_under_its_source(world: World) -> None:
    """CSV of any case, packed or not, below the prefix; not what is being written, hidden or empty, nor what is in."""
    taken = world.file("collections-data/ingest_ts=2026-02-16T10:00:00/a.csv", SIMPLE)
    world.ingest(taken)
    for key in ("B.CSV", "sub/c.csv.gz"):
        world.file(f"collections-data/{key}", "line_no\n1\n")
    for key in ("d.csv.tmp", "e.csv.part", ".f.csv", "g.txt", ".hidden/h.csv"):
        world.file(f"collections-data/{key}", "line_no\n1\n")
    world.file("collections-data/empty.csv", "")
    world.file("other/i.csv", "line_no\n1\n")

    result = world.ingest(source="s3://raw-data/collections-data/")

    assert (result["files"], result["skipped"], result["rows"]) == (3, 1, 2)
    assert result["ingest_ts"] == "2026-02-16T10:00:00"
    files = {row["_source_file"] for row in world.rows()}
    assert files == {
        f"s3://raw-data/collections-data/{key}"
        for key in ("ingest_ts=2026-02-16T10:00:00/a.csv", "B.CSV", "sub/c.csv.gz")
    }
    etag = hashlib.md5((world.inbox / "collections-data/B.CSV").read_bytes()).hexdigest()
    expected = StoredObject(bucket="raw-data", key="collections-data/B.CSV", etag=etag).source_id
    assert expected in {row["_source_id"] for row in world.rows()}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "--source"),
        ({"source": "s3://elsewhere/x/"}, "elsewhere"),
        ({"source": "/tmp/x"}, "s3://"),
        ({"source": "s3://raw-data/", "table": "no_namespace"}, "no_namespace"),
        ({"source": "s3://raw-data/", "max_rejects": "-1"}, "max_rejects"),
    ],
)
def test_wrong_arguments_fail_for_good(world: World, arguments: dict[str, str], why: str) -> None:
    """No retry mends them; the message names the argument."""
    with pytest.raises(NotRetryable, match=why):
        world.ingest(**arguments)


def test_odd_file_names_are_names(world: World) -> None:
    """Brackets, stars, quotes and letters of all scripts name one file, that one."""
    names = ["part[1]*.csv", "part1x.csv", 'it\'s "q".csv', "été 修.csv", "a?b#c%20.csv", "{x}.csv"]

    world.ingest(*(world.file(name, f"series_id\n{n}\n") for n, name in enumerate(names)))

    found = {row["_source_file"]: row["series_id"] for row in world.rows()}
    assert found == {f"s3://raw-data/{name}": str(n) for n, name in enumerate(names)}


def test_large_files_with_odd_names_are_read_as_one_file_each(world: World) -> None:
    """The reader itself would take `[1]` for a pattern."""
    big = "series_id,comment\n" + f"A,{'x' * 1000}\n" * 1200
    one = world.file("p[1].csv", big)
    world.file("p1.csv", big.replace("A,", "B,"))

    world.ingest(one)

    assert {row["series_id"] for row in world.rows()} == {"A"}
    assert len(world.rows()) == 1200


def test_a_broken_gzip_file_is_refused(world: World) -> None:
    """Cut short, damaged in the middle or no gzip at all, small or large: the others land."""
    import gzip

    small, large = SIMPLE.encode(), ("line_no\n" + "".join(f"{n * 7919 % 100_003}\n" for n in range(900_000))).encode()
    packed, heavy = gzip.compress(small), gzip.compress(large, 1)
    damaged = heavy[:1000] + bytes(20) + heavy[1020:]
    assert len(heavy) > 1 << 20

    result = world.ingest(
        world.bytes("cut.csv.gz", packed[:-9]),
        world.bytes("none.csv.gz", small),
        world.bytes("cut-large.csv.gz", heavy[: len(heavy) // 2]),
        world.bytes("damaged.csv.gz", damaged),
        world.file("good.csv.gz", small),
    )

    assert (result["rows"], result["refused"]) == (2, 4)
    assert {row["reason"] for row in world.rejects()} == {"FILE"}


def test_an_open_quote_costs_no_other_file_a_row(world: World) -> None:
    """What it swallows is its own; small files are read together, but not through each other's quotes."""
    result = world.ingest(
        world.file("a.csv", "series_id,comment\nA,ok\n"),
        world.file("b.csv", 'series_id,comment\nB,ok\nC,"never closed\nD,x\n'),
        world.file("c.csv", "series_id,comment\nE,ok\n"),
    )

    assert {row["series_id"] for row in world.rows()} == {"A", "B", "E"}
    assert result["rejects"] == 1
    assert world.rejects()[0]["record_number"] == 3


def test_progress_and_lines_tell_what_happens(world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The log names each file that was not simply taken; the progress ends with all files done."""
    from headgate.lake import csv_to_iceberg

    context = world.context([world.file("a.csv", SIMPLE), world.file("bad.csv", "")])
    context.progress_file = tmp_path / "progress.json"

    csv_to_iceberg(context)

    log = capsys.readouterr().out
    assert "s3://raw-data/bad.csv: refused, it has no header" in log
    assert '"files_done": 2' in context.progress_file.read_text()
