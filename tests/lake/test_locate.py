"""This file is where a record is shown to be found again: by its number, its first byte, in a bundle or alone."""

from __future__ import annotations

import csv
import io

from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.lake.bundle import Bundle, fits, splits
from headgate.lake.headers import header_length
from headgate.lake.locate import at_places, number_of, records

fields = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6)
tables = st.lists(st.lists(fields, min_size=2, max_size=2), min_size=1, max_size=20)


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["a", "b\nb"], *rows])
    return text.getvalue().encode()


@given(tables)
def test_records_are_what_a_csv_reader_reads(rows: list[list[str]]) -> None:
    """Each record starts where the one before ended, and holds one row, whatever stands in the quotes."""
    content = written(rows)

    found = list(records(io.BytesIO(content)))

    assert b"".join(one for _, one in found) == content
    assert [next(csv.reader(io.StringIO(one.decode(), newline=""))) for _, one in found][1:] == rows
    assert header_length(content) == len(found[0][1])
    assert [number_of(content, offset) for offset, _ in found] == list(range(1, len(found) + 1))


@given(tables, st.data())
def test_a_row_is_found_by_its_place_among_those_taken(rows: list[list[str]], data: st.DataObject) -> None:
    """Records that the reader rejected are not counted, the header neither."""
    content = written(rows)
    skipped = data.draw(st.sets(st.integers(2, len(rows) + 1), max_size=len(rows) - 1))
    taken = [number for number in range(2, len(rows) + 2) if number not in skipped]
    place = data.draw(st.integers(0, len(taken) - 1))

    number, offset, raw = at_places(io.BytesIO(content), [place], skipped)[place]

    assert number == taken[place]
    assert content[offset:].decode().startswith(raw)
    assert next(csv.reader(io.StringIO(raw, newline=""))) == rows[number - 2]


@settings(deadline=None)
@given(st.lists(tables, min_size=1, max_size=5), st.data())
def test_every_byte_of_a_bundle_is_of_its_file(files: list[list[list[str]]], data: st.DataObject) -> None:
    """A place in the bundle is a place in a file, and the file's records come out as they went in."""
    contents = [written(one) for one in files]
    bundle = Bundle(before=0, after=1)
    for one in contents:
        assert fits(one)
        bundle.add(one)
    which = data.draw(st.integers(0, len(files) - 1))
    skip = header_length(contents[which])
    within = data.draw(st.integers(0, len(contents[which]) - skip - 1))

    assert bundle.place(bundle.starts[which] + within) == (which, skip + within)
    assert bundle.content(which) == contents[which][skip:]
    bundle.close()


@given(st.lists(st.integers(0, 40 << 20), max_size=30))
@example([0, (24 << 20) + 1])
def test_bundles_hold_every_file_once_in_order(sizes: list[int]) -> None:
    """And only a single file makes one larger than it should be."""
    runs = splits(sizes)

    assert [n for run in runs for n in range(run.start, run.stop)] == list(range(len(sizes)))
    assert all(run.stop - run.start == 1 or sum(sizes[run]) <= 24 << 20 for run in runs)


def test_what_could_run_into_the_next_file_is_not_bundled() -> None:
    """An open quote, or old Macintosh line ends."""
    assert not fits(b'a,b\n"1,2\n')
    assert not fits(b"a,b\r1,2\r")
    assert fits(b'a,b\r\n"1",2\r\n')


def test_a_quote_that_is_never_closed_ends_somewhere() -> None:
    """The search for a record's end does not read a large file into memory."""
    endless = b'a,b\n"1,2\n' + b"3,4\n" * 1_000_000

    longest = max(len(one) for _, one in records(io.BytesIO(endless)))

    assert longest < 2_100_000
