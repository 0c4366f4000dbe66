"""This file is where a column's type is decided and where its text becomes a value.

Numbers, dates and timestamps are read as text and cast here, because the CSV reader's own casts lose things silently:
it rounds 1.2345678 into a DECIMAL(38,6), makes 2 of 1.5 for a BIGINT, drops the time from a DATE and the offset from a
TIMESTAMP. Measured, the casts cost the same on this side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyiceberg import types as t
from pyiceberg.schema import Schema

from headgate.errors import Invalid

SOURCE_ID: Final = "_source_id"
SOURCE_FILE: Final = "_source_file"
INGESTED_AT: Final = "_ingested_at"
#: The columns every table of ours ends with.
OURS: Final[Mapping[str, t.PrimitiveType]] = {
    SOURCE_ID: t.StringType(),
    SOURCE_FILE: t.StringType(),
    INGESTED_AT: t.TimestampType(),
}

_MONEY: Final = t.DecimalType(38, 6)
_COLLECTIONS: Final[Mapping[str, t.PrimitiveType]] = {
    "series_id": t.StringType(),
    "report_date": t.DateType(),
    "entity_id": t.LongType(),
    "entity_name": t.StringType(),
    "item_code": t.StringType(),
    "item_desc": t.StringType(),
    "value": _MONEY,
    "prior_value": _MONEY,
    "unit": t.StringType(),
    "scale": t.LongType(),
    "currency": t.StringType(),
    "status": t.StringType(),
    "submitted_at": t.TimestampType(),
    "restated": t.BooleanType(),
    "line_no": t.LongType(),
    "confidence": t.DoubleType(),
    "source_system": t.StringType(),
    "comment": t.StringType(),
    "analyst": t.StringType(),
    "batch_id": t.StringType(),
}
#: Tables whose schema is declared, by their name in any namespace. All others take theirs from their first batch.
DECLARED: Final[Mapping[str, Mapping[str, t.PrimitiveType]]] = {"collections_data_staging": _COLLECTIONS}

REJECTS: Final = Schema(
    t.NestedField(1, "source_id", t.StringType()),
    t.NestedField(2, "source_file", t.StringType()),
    t.NestedField(3, "record_number", t.LongType(), doc="1 is the header; NULL where the whole file was refused"),
    t.NestedField(4, "byte_offset", t.LongType(), doc="of the record's first byte, from 0, in the decompressed text"),
    t.NestedField(5, "column_name", t.StringType()),
    t.NestedField(6, "reason", t.StringType()),
    t.NestedField(7, "message", t.StringType()),
    t.NestedField(8, "raw", t.StringType()),
    t.NestedField(9, "run_id", t.StringType()),
    t.NestedField(10, "rejected_at", t.TimestampType()),
)


def schema_of(columns: Mapping[str, t.PrimitiveType]) -> Schema:
    """The schema of a table with these columns and ours; every column may be NULL."""
    named = {**columns, **OURS}
    return Schema(*(t.NestedField(n, name, of) for n, (name, of) in enumerate(named.items(), 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """How one column's text is read, and how a text that does not fit is recognised.

    SQL over the columns {text} (the field as written) and {value} (what `value` made of it). `suspect` is quick and
    true for every text that may be bad; `bad` is exact and asked only about suspects. Both are "" where the reader
    casts and rejects by itself.
    """

    declared: str  #: the type the CSV reader is told
    value: str
    suspect: str = ""
    bad: str = ""

    def value_of(self, text: str) -> str:
        return self.value.replace("{text}", text)

    def suspect_of(self, text: str, value: str) -> str:
        return self.suspect.replace("{text}", text).replace("{value}", value)

    def bad_of(self, text: str) -> str:
        return self.bad.replace("{value}", self.value).replace("{text}", text)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def duckdb_type(of: t.IcebergType) -> str:
    """DuckDB's name of a type; raises Invalid for types no CSV field can hold."""
    if isinstance(of, t.DecimalType):
        return f"DECIMAL({of.precision},{of.scale})"
    known = _DUCKDB.get(type(of))
    if known is None:
        raise Invalid(f"a column of type {of} can not be read from CSV")
    return known


_DUCKDB: Final[Mapping[type[t.IcebergType], str]] = {
    t.StringType: "VARCHAR",
    t.LongType: "BIGINT",
    t.IntegerType: "INTEGER",
    t.DoubleType: "DOUBLE",
    t.FloatType: "FLOAT",
    t.DateType: "DATE",
    t.TimestampType: "TIMESTAMP",
    t.TimestamptzType: "TIMESTAMPTZ",
    t.BooleanType: "BOOLEAN",
}


def cast(of: t.IcebergType) -> Cast:
    """How a field becomes a value of type `of`. Empty fields are NULL for every type."""
    to = duckdb_type(of)
    value = f"try_cast({{text}} AS {to})"
    if isinstance(of, t.LongType | t.IntegerType):
        return Cast(declared="VARCHAR", value=value, suspect=_suspect_number(0), bad=_bad_number(0))
    if isinstance(of, t.DecimalType):
        suspect, bad = _suspect_number(of.scale), _bad_number(of.scale)
        return Cast(declared="VARCHAR", value=value, suspect=suspect, bad=bad)
    if isinstance(of, t.DateType):
        # a time of day would be dropped; midnight loses nothing
        time = "strlen({text}) > 10 AND try_cast({text} AS TIMESTAMP) IS DISTINCT FROM CAST({value} AS TIMESTAMP)"
        bad = f"({{value}} IS NULL OR NOT isfinite({{value}}) OR ({time}))"
        return Cast(declared="VARCHAR", value=value, suspect="({value} IS NULL OR strlen({text}) <> 10)", bad=bad)
    if isinstance(of, t.TimestampType):
        return _timestamp(value)
    return Cast(declared=to, value="{text}")


def _suspect_number(scale: int) -> str:
    # a fraction longer than the scale, or an exponent that makes one (5e-7)
    tiny = "(contains({text}, '-') AND (contains({text}, 'e') OR contains({text}, 'E')))"
    long = f"strlen({{text}}) - strpos({{text}}, '.') > {scale} AND " if scale else ""
    return f"({{value}} IS NULL OR ({long}contains({{text}}, '.')) OR {tiny})"


def _bad_number(scale: int) -> str:
    """True where the text is no number of the type, or has more fraction digits than `scale`.

    Further digits that are all zero say nothing and are taken: 1.0 is a whole number, and pandas writes it so.
    """
    more = f"\\.[0-9_]{{{scale}}}0*[1-9]"
    fraction = "length(regexp_extract({text}, '\\.([0-9]*)[eE]', 1))"
    exponent = "try_cast(regexp_extract({text}, '[eE]([+-]?[0-9]+)', 1) AS INTEGER)"
    return (
        "({value} IS NULL OR CASE WHEN regexp_matches({text}, '[eE]') "
        f"THEN coalesce({fraction} - {exponent} > {scale}, true) "
        f"ELSE regexp_matches({{text}}, '{more}') END)"
    )


def _timestamp(plain: str) -> Cast:
    """An offset is honoured (the column is UTC); digits below the microsecond and zone names are rejected."""
    # quick: not like 2026-02-16T10:00:00, which is as long as 2026-02-16 10:00+02
    unusual = "(strlen({text}) <> 19 OR substr({text}, 17, 1) <> ':')"
    zoned = "regexp_matches({text}, ':[0-9.]+ ?[+-][0-9]{1,2}(:?[0-9]{2})?$')"
    utc = "make_timestamp(epoch_us(try_cast({text} AS TIMESTAMPTZ)))"
    lossy = "regexp_matches({text}, '\\.[0-9]{6}0*[1-9]|[A-Za-z]{2,}')"
    # ISO 8601 allows the hour alone, and the quick reader takes it
    hour = "CASE WHEN strlen({text}) = 13 THEN try_cast({text} || ':00' AS TIMESTAMP) END"
    plain = f"coalesce({plain}, {hour})"
    return Cast(
        declared="VARCHAR",
        value=f"CASE WHEN {unusual} AND {zoned} THEN {utc} ELSE {plain} END",
        suspect="({value} IS NULL OR strlen({text}) <> 19)",
        bad=f"({{value}} IS NULL OR NOT isfinite({{value}}) OR {lossy})",
    )


#: From the narrowest: the first type that takes every value of a new column without changing it is the column's.
_CANDIDATES: Final[Sequence[t.PrimitiveType]] = (t.LongType(), t.DoubleType(), t.DateType(), t.TimestampType())


def inference(name: str) -> list[str]:
    """SQL aggregates over one text column, for `inferred`: has values, then for each candidate whether all fit."""
    text = quoted(name)
    # 007 is a code, not a seven; 1_000 and 0x10 are numbers to DuckDB only
    number = f"regexp_matches({text}, '^[+-]?(0|[1-9][0-9]*)?(\\.[0-9]*)?([eE][+-]?[0-9]+)?$')"
    fits = [f"NOT {cast(of).bad_of(text)}" for of in _CANDIDATES if cast(of).bad]
    long, date, timestamp = fits
    double = f"{number} AND isfinite(try_cast({text} AS DOUBLE))"
    boolean = f"lower({text}) IN ('true', 'false')"
    dated = f"regexp_matches({text}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
    tests = [f"{number} AND {long}", double, f"{dated} AND {date}", f"{dated} AND {timestamp}", boolean]
    return [f"count({text})", *(f"coalesce(bool_and({test}), true)" for test in tests)]


def inferred(answers: Sequence[object]) -> t.PrimitiveType:
    """The type that a column's answers to `inference` give. A column without any value is a STRING."""
    if not answers[0]:
        return t.StringType()
    for fits, of in zip(answers[1:], (*_CANDIDATES, t.BooleanType()), strict=True):
        if fits:
            return of
    return t.StringType()


def narrow(of: t.IcebergType) -> bool:
    """Whether Iceberg could widen the type when a value needs it."""
    return isinstance(of, t.IntegerType) or (isinstance(of, t.DecimalType) and of.precision < 38)


def need(name: str, of: t.IcebergType) -> str:
    """SQL aggregate for `widened`: how many values overflow an INTEGER; how many whole digits a DECIMAL needs."""
    text = quoted(name)
    if isinstance(of, t.IntegerType):
        return f"count(CASE WHEN try_cast({text} AS INTEGER) IS NULL THEN try_cast({text} AS BIGINT) END)"
    scale = of.scale if isinstance(of, t.DecimalType) else 0
    whole = f"split_part(CAST(abs(try_cast({text} AS DECIMAL(38,{scale}))) AS VARCHAR), '.', 1)"
    return f"coalesce(max(length({whole})), 0)"


def widened(of: t.IcebergType, needs: int) -> t.PrimitiveType | None:
    """The wider type, or None where the present one does."""
    if isinstance(of, t.IntegerType):
        return t.LongType() if needs else None
    if isinstance(of, t.DecimalType) and needs > of.precision - of.scale:
        return t.DecimalType(min(38, needs + of.scale), of.scale)
    return None
