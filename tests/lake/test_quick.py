"""This file is where the quick reader is shown to take only what the careful one would take, as it would."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.types import BooleanType, DateType, DecimalType, DoubleType, LongType, StringType, TimestampType

from headgate.lake import quick
from headgate.lake.bundle import Bundle
from headgate.lake.columns import schema_of
from headgate.lake.headers import Refused
from headgate.lake.locate import count, records
from headgate.lake.quick import Quotes
from headgate.lake.sample import write_sample
from headgate.lake.scan import Part, batches, connect
from headgate.lake.sources import Source, digest
from headgate.lake.text import opened
from headgate.model import StoredObject

from .world import World

COLUMNS = {
    "text": StringType(),
    "amount": DecimalType(38, 6),
    "whole": LongType(),
    "day": DateType(),
    "at": TimestampType(),
    "flag": BooleanType(),
    "ratio": DoubleType(),
}
SCHEMA = schema_of(COLUMNS)
HEADER = ",".join(COLUMNS).encode() + b"\n"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
#: For each column texts that are, nearly are, and are not of its type.
VALUES = {
    "text": ["", "x", "a,b", 'a"b', "two\nlines", "NULL", " 1 ", "é"],
    "amount": [
        "",
        "1",
        "2.5",
        "-3.000001",
        "1e3",
        "1.5000000",
        " 1",
        "+1",
        ".5",
        "5.",
        "9" * 32,
        "9" * 33,
        "1e-7",
        "1_0",
    ],
    "whole": ["", "1", "-5", "007", " 1", "0x10", "+1", "1.0", "1.5", "1e3", "9" * 18, "9" * 19],
    "day": ["", "2026-01-01", "0001-01-01", "2026-1-1", "2026-02-30", "2026-01-01T00:00:00", "infinity", "99999-01-01"],
    "at": [
        "",
        "2026-01-01",
        "2026-01-01T10:00:00",
        "2026-01-01 10:00",
        "2026-01-01 10",
        "2026-01-01T10:00:00.123456",
        "2026-01-01T10:00:00Z",
        "2026-01-01T10:00:00+02:00",
        "2026-01-01T10:00:00.1234567",
        "2026-01-01T24:00:00",
    ],
    "flag": ["", "true", "false", "TRUE", "False", "1", "0", "t", "yes"],
    "ratio": ["", "1", "0.25", "-1e-9", "inf", "-inf", "nan", "NaN", "1e400", "0x1p3", " 1", "1d"],
}
typed = st.tuples(*(st.sampled_from(VALUES[name]) for name in COLUMNS))
#: One column at a time takes any of its texts, so that the readers get as far as comparing values.
almost = st.sampled_from(list(COLUMNS)).flatmap(
    lambda odd: st.tuples(*(st.sampled_from(VALUES[name] if name == odd else VALUES[name][:2]) for name in COLUMNS))
)
hard = st.sampled_from(['a"b', '"a"b', '""', '"x', 'x"', "", "1", ","])


def careful(content: bytes) -> tuple[list[dict[str, object]], int]:
    """The rows that the careful reader takes of a file, and how many records it rejects."""
    made = Bundle(before=-1, after=0)
    made.add(content)
    source = Source(object=StoredObject(bucket="b", key="k"), path=Path("k"))
    part = Part(names=list(COLUMNS), sources=[source], limit=1000, bundle=made)
    with connect() as connection:
        rows = [row for batch, _ in batches(connection, part, SCHEMA) for row in batch.to_pylist()]
    made.close()
    return rows, sum(part.rejects().values())


def agree(body: bytes) -> None:
    """If the quick reader takes it, the careful one takes the same rows and rejects none."""
    if quick.quotes(body) is Quotes.IRREGULAR:
        return
    found = quick.faultless(body, list(COLUMNS), SCHEMA)
    if found is not None:
        rows, rejected = careful(HEADER + body)
        assert rejected == 0
        assert list(map(repr, found.to_pylist())) == list(map(repr, rows))  # nan is not nan


@pytest.mark.parametrize("name", list(COLUMNS))
def test_every_text_of_a_column_is_taken_alike_or_left(name: str) -> None:
    """All texts of the column's list, one by one."""
    for value in VALUES[name]:
        row = [value if one == name else "" for one in COLUMNS]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([*row[:-1], row[-1] or "1"])
        agree(text.getvalue().encode())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(almost, typed), min_size=1, max_size=4), texts)
def test_of_well_written_csv_both_make_the_same(rows: list[tuple[str, ...]], first: str) -> None:
    """Whatever stands in the fields: what the quick reader does not take alike, it does not take."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[first or row[0], *row[1:]] for row in rows])

    agree(text.getvalue().encode())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(hard, min_size=1, max_size=8).map("".join), min_size=1, max_size=4))
def test_of_badly_written_csv_the_quick_reader_takes_nothing_more(starts: list[str]) -> None:
    """Stray quotes, missing and further fields, blank lines: not silently made something of."""
    agree("".join(f"{one},1,2,2026-01-01,,true,\n" for one in starts).encode())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a,"b"\n', Quotes.FULL),
        ('a,"b""c\n,"\r\n', Quotes.FULL),
        ("a,b\n\nc,d\n", Quotes.REGULAR),
        ('"a"b,c\n', Quotes.IRREGULAR),
        ('a,5" pipe\n', Quotes.IRREGULAR),
        ('a,"b\n', Quotes.IRREGULAR),
        ('"x,1\n"y,2\n', Quotes.IRREGULAR),  # would be read as one record of two
        ("a,b\rc,d\r", Quotes.IRREGULAR),
        ("a,b", Quotes.IRREGULAR),
        ("", Quotes.FULL),
        ("\r\na,b\r\n", Quotes.REGULAR),
        ("a,b\r\n\r\nc,d\n", Quotes.REGULAR),
        ('a,"b\n\nc\r\n\r\nd\re"\n', Quotes.FULL),  # of the field, all of it
        ('a,"b"\rc,d\n', Quotes.IRREGULAR),
        ('a,""b""\n', Quotes.IRREGULAR),
        ('"",""\n', Quotes.FULL),
    ],
)
def test_quotes_are_told_apart(text: str, found: Quotes) -> None:
    """Full, regular with blank lines, or not to be trusted."""
    assert quick.quotes(text.encode()) is found


#: What `quotes` is to say of a text of whole records, written down once more.
FIELD = r'(?:[^",\r\n]*|"[^"]*(?:""[^"]*)*")'
REGULAR = re.compile(rf"(?:{FIELD}(?:,|\r?\n))*")
BLANK = re.compile(rf"(?:{FIELD}(?:,{FIELD})*\r?\n)*?\r?\n.*", re.DOTALL)


@settings(max_examples=500)
@given(st.text(st.sampled_from('a"",,\n\n\r'), max_size=14))
def test_quotes_are_what_the_grammar_says(text: str) -> None:
    """Every text of whole records is told apart as the grammar of fields and records tells it."""
    text += "\n"
    blank = Quotes.REGULAR if BLANK.fullmatch(text) else Quotes.FULL

    assert quick.quotes(text.encode()) is (blank if REGULAR.fullmatch(text) else Quotes.IRREGULAR)


fields = st.text(st.sampled_from('a",\n'), max_size=5)


@given(st.lists(st.lists(fields, min_size=2, max_size=2), max_size=30), st.integers(1, 40))
def test_chunks_are_the_file_in_whole_records(rows: list[list[str]], size: int) -> None:
    """However the reads fall, a cut falls between records; nothing is lost."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode()

    found = list(quick.chunks(io.BytesIO(content), size=size))

    assert b"".join(found) == content
    starts = {offset for offset, _ in records(io.BytesIO(content))}
    assert set(ends(found)) <= starts | {len(content)}
    assert sum(count(bytes(one)) for one in found) == len(rows)


def ends(chunks: Iterable[memoryview]) -> list[int]:
    total, found = 0, []
    for one in chunks:
        total += len(one)
        found.append(total)
    return found


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_text_is_hashed_as_it_is_stored_while_it_is_read(world: World, name: str) -> None:
    """Asked at the end, or before all was read."""
    one = Path(world.file(name, "a,b\n" + "1,2\n" * 300_000).path)

    for limit in (-1, 10):
        with opened(one, packed=name.endswith(".gz")) as text:
            assert text.header == b"a,b\n"
            assert text.file.read(limit).startswith(b"1,2\n")
            etag, _ = text.identity()
        assert etag == digest(one)


def test_a_broken_end_is_noticed(world: World) -> None:
    """A gzip file's checksum is at its end."""
    one = Path(world.file("a.csv.gz", "a,b\n" + "1,2\n" * 300_000).path)
    one.write_bytes(one.read_bytes()[:-8] + bytes(8))

    with pytest.raises(Refused, match="broken"), opened(one, packed=True) as text:
        list(quick.chunks(text.file))


def test_faults_in_a_large_file_are_found_in_all_its_chunks(world: World, tmp_path: Path) -> None:
    """Numbers and offsets count from the file's start, whichever chunk they are in; the ceiling is the file's."""
    write_sample(tmp_path / "sample", 60_000, bad_rows=30, seed=9)
    content = (tmp_path / "sample").read_bytes()
    assert len(content) > 2 * quick.CHUNK

    result = world.ingest(world.file("a.csv", content))

    where = {offset: number for number, (offset, _) in enumerate(records(io.BytesIO(content)), 1)}
    rejects = world.rejects()
    assert (result["rows"], len(rejects)) == (59_970, 30)
    assert all(where[int(str(row["byte_offset"]))] == row["record_number"] for row in rejects)
    assert world.ingest(world.file("b.csv", content + b"\n"), max_rejects="30")["rows"] == 59_970
    refused = world.ingest(
        world.file("c.csv", content + b"\n\n"), world.file("d.csv", "line_no\n1\n"), max_rejects="29"
    )
    assert (refused["refused"], refused["rows"]) == (1, 1)


def test_broken_quoting_in_a_large_file_is_left_to_the_careful_reader(world: World, tmp_path: Path) -> None:
    """A stray quote costs its own record at most, however large the file."""
    write_sample(tmp_path / "sample", 12_000)
    content = (tmp_path / "sample").read_bytes().replace(b",Tier 1 capital,", b',Tier 1" capital,', 1)

    result = world.ingest(world.file("a.csv", content))

    assert int(str(result["rows"])) + int(str(result["rejects"])) == 12_000
    assert int(str(result["rejects"])) <= 1
