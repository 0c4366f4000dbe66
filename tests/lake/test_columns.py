"""This file is where a field's text is shown to become its value, or a reject, but never another value."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg import types as t

from headgate.errors import Invalid
from headgate.lake.columns import cast, duckdb_type, inference, inferred
from headgate.lake.scan import connect


def read(of: t.IcebergType, texts: list[str]) -> list[tuple[str, object, bool]]:
    """Text, value and verdict of each, by the quick test first and the exact one for suspects, as a scan does it."""
    how = cast(of)
    with connect() as connection:
        connection.execute("CREATE TABLE given AS SELECT unnest(?::VARCHAR[]) AS a", [texts])
        suspect, bad = how.suspect_of("a", "v"), how.bad_of("a")
        return connection.execute(
            f"SELECT a, v::VARCHAR, CASE WHEN {suspect} THEN {bad} ELSE false END "
            f"FROM (SELECT a, {how.value_of('a')} AS v FROM given)"
        ).fetchall()


numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=None).map(str),
    st.decimals(min_value=-(10**12), max_value=10**12, places=8).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text("0123456789.eE+-", min_size=1, max_size=12),
    st.text(min_size=1, max_size=8).filter(lambda one: "\x00" not in one),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=40))
def test_a_decimal_is_exact_or_rejected(texts: list[str]) -> None:
    """What is taken for a DECIMAL(38,6) is the number as written, to the last digit."""
    for text, value, bad in read(t.DecimalType(38, 6), texts):
        if not bad:
            # DuckDB takes `5e3.` for 5000, as it takes `5.` for 5; Python knows only the latter
            assert Decimal(str(value)) == Decimal(text.strip().replace("_", "").removesuffix("."))


@settings(max_examples=60, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=40))
def test_a_whole_number_is_exact_or_rejected(texts: list[str]) -> None:
    """1.0 and 1e3 are whole numbers, 1.5 is none, and nothing is rounded to be one."""
    for text, value, bad in read(t.LongType(), texts):
        if not bad:
            try:
                written = Decimal(text.strip().replace("_", "").removesuffix("."))  # `0E0.`, as above
            except InvalidOperation:
                written = Decimal(int(text.strip(), 0))  # 0x10
            assert int(str(value)) == written


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (t.DecimalType(38, 6), "1.123456", "1.123456"),
        (t.DecimalType(38, 6), "1.1234567", None),
        (t.DecimalType(38, 6), "1.5000000", "1.500000"),  # digits that say nothing
        (t.DecimalType(38, 6), "1.00000001", None),
        (t.DecimalType(38, 6), "1e-7", None),
        (t.DecimalType(38, 6), "1.5e3", "1500.000000"),
        (t.DecimalType(38, 6), "1,234.5", None),
        (t.DecimalType(38, 6), "123456789012345678901234567890123", None),
        (t.LongType(), "1.0", "1"),
        (t.LongType(), "1.5", None),
        (t.LongType(), "15e-1", None),
        (t.LongType(), "9223372036854775808", None),
        (t.DateType(), "2026-02-28", "2026-02-28"),
        (t.DateType(), "2026-02-28T00:00:00", "2026-02-28"),
        (t.DateType(), "2026-02-28 12:00:00", None),
        (t.DateType(), "2026-02-30", None),
        (t.DateType(), "infinity", None),
        (t.TimestampType(), "2026-02-16T10:00:00", "2026-02-16 10:00:00"),
        (t.TimestampType(), "2026-02-16T10:00:00Z", "2026-02-16 10:00:00"),
        (t.TimestampType(), "2026-02-16T10:00:00+02:00", "2026-02-16 08:00:00"),
        (t.TimestampType(), "2026-02-16 10:00-02", "2026-02-16 12:00:00"),
        (t.TimestampType(), "2026-02-16T10:00:00.123456", "2026-02-16 10:00:00.123456"),
        (t.TimestampType(), "2026-02-16T10:00:00.123456000", "2026-02-16 10:00:00.123456"),
        (t.TimestampType(), "2026-02-16T10:00:00.1234567", None),
        (t.TimestampType(), "2026-02-16 10:00:00 Europe/Paris", None),
        (t.TimestampType(), "2026-02-16", "2026-02-16 00:00:00"),
        (t.TimestampType(), "2026-02-16T10", "2026-02-16 10:00:00"),
        (t.TimestampType(), "infinity", None),
    ],
)
def test_nothing_is_lost_silently(of: t.IcebergType, text: str, value: str | None) -> None:
    """A text is its value, or it is rejected (None)."""
    [(_, found, bad)] = read(of, [text])

    assert (None if bad else found) == value


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(numbers, st.sampled_from(["true", "2026-01-01", "2026-01-01T10:00:00", "007"])), max_size=8))
def test_an_inferred_type_takes_every_value_it_was_inferred_from(texts: list[str]) -> None:
    """That is what the full scan is for."""
    connection: duckdb.DuckDBPyConnection = connect()
    with connection:
        connection.execute("CREATE TABLE given AS SELECT unnest(?::VARCHAR[]) AS a", [texts])
        of = inferred(connection.execute(f"SELECT {', '.join(inference('a'))} FROM given").fetchall()[0])

    if cast(of).bad:
        assert [text for text, _, bad in read(of, texts) if bad] == []
    if not texts:
        assert isinstance(of, t.StringType)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["1", "-5"], "long"),
        (["1", "1.5"], "double"),
        (["1e400"], "string"),
        (["007", "8"], "string"),
        (["2026-01-01"], "date"),
        (["2026-01-01", "2026-01-01T10:00:00"], "timestamp"),
        (["true", "FALSE"], "boolean"),
        (["t"], "string"),
        (["9999999999999999999"], "double"),
        ([], "string"),
    ],
)
def test_the_narrowest_type_that_fits_is_taken(texts: list[str], name: str) -> None:
    """Codes with leading zeros stay text; yes and no are no booleans."""
    with connect() as connection:
        connection.execute("CREATE TABLE given AS SELECT unnest(?::VARCHAR[]) AS a", [texts])
        answers = connection.execute(f"SELECT {', '.join(inference('a'))} FROM given").fetchall()[0]

    assert str(inferred(answers)) == name, json.dumps([str(one) for one in answers])


def test_a_type_that_no_field_can_hold_is_an_error() -> None:
    """Lists do not come from CSV; the error names the type."""
    with pytest.raises(Invalid, match="list"):
        duckdb_type(t.ListType(1, t.StringType()))
