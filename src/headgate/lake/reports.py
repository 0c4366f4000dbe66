"""This file is where the views over the ingested table are made: the job `headgate.lake.dual_engine_views`.

One text a view is written here, in DuckDB's words; sqlglot turns it into Spark's and Athena's. Every engine then finds
its own dialect in the catalog.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from sqlglot import exp

from headgate.errors import Invalid, NotFound
from headgate.job import Context, NotRetryable
from headgate.lake import lineage, views
from headgate.lake.catalog import DEFAULT_TABLE, get_table, open_catalog, parts
from headgate.lake.read import rows

DIALECTS: Final = ("spark", "athena", "duckdb")
SERIES: Final = "series_id"


def dual_engine_views(context: Context) -> None:
    """Make the unified view and one view per series over a table; change nothing that is right already.

    Arguments: `--table` (namespace.table), `--series` (comma separated; default: those in the data). Result: `table`,
    `views` (their names), `written` (those that were not
    right already), `created`, `replaced`, `unchanged` (counts), `tables` (1), `snapshot_id`.

    Raises:
        NotRetryable: no such table, or two series would share a view.
        Unavailable: a view could not be written, or read back differently.
    """
    name = context.arguments.get("--table", DEFAULT_TABLE)
    catalog = open_catalog(context.lake)
    try:
        table = get_table(catalog, name)
        wanted = definitions(table, _series(context, table, name))
    except (Invalid, NotFound) as error:
        raise NotRetryable(str(error)) from error
    outcomes: Counter[str] = Counter()
    written: list[str] = []
    for done, (view, query) in enumerate(wanted.items(), 1):
        outcome = views.put(catalog, view, dialects(query), _shape(table.schema()))
        outcomes[outcome] += 1
        if outcome != "unchanged":
            written.append(view)
        print(f"{view}: {outcome}", flush=True)  # noqa: T201 - a job's standard output is its log
        context.progress(views_done=done, views=len(wanted))
    head = table.current_snapshot()
    context.result(
        table=name,
        tables=1,
        views=list(wanted),
        written=written,
        created=outcomes["created"],
        replaced=outcomes["replaced"],
        unchanged=outcomes["unchanged"],
        snapshot_id=head.snapshot_id if head else None,
        openlineage=lineage.viewed(name, table.schema(), wanted),
    )


def definitions(table: Table, series: Sequence[str]) -> dict[str, exp.Expr]:
    """The views a table is to have: name -> query.

    Raises:
        Invalid: two series would have the same view, or a series has no letter or digit.
    """
    namespace, name = table.name()[-2], table.name()[-1]
    whole = f"{namespace}.{name.removesuffix('_staging')}_view"
    found = {whole: _select(table, None)}
    owners: dict[str, str] = {}
    for one in series:
        view = f"{namespace}.{view_name(one)}"
        if view in owners:
            raise Invalid(f"the series {owners[view]!r} and {one!r} would both have the view {view}; rename one")
        if view == whole:
            raise Invalid(f"the series {one!r} would have the view {view}, which is that of all series")
        owners[view] = one
        found[view] = _select(table, one)
    return found


def view_name(series: str) -> str:
    """`FRY9C` -> `fry9c_report_view`: lower case, anything else than letters and digits one underscore."""
    plain = re.sub(r"[^a-z0-9]+", "_", series.lower()).strip("_")
    if not plain:
        raise Invalid(f"the series {series!r} has no letter or digit to name a view by")
    return f"{'s_' if plain[0].isdigit() else ''}{plain}_report_view"


def dialects(query: exp.Expr) -> Mapping[str, str]:
    """The query's text in every dialect, names always quoted."""
    return {one: query.sql(dialect=one, identify=True) for one in DIALECTS}


def _select(table: Table, series: str | None) -> exp.Expr:
    columns = [exp.column(one.name, quoted=True) for one in table.schema().fields]
    namespace, name = table.name()[-2], table.name()[-1]
    query = exp.select(*columns).from_(exp.table_(name, db=namespace, quoted=True))
    if series is None:
        return query
    return query.where(exp.EQ(this=exp.column(SERIES, quoted=True), expression=exp.Literal.string(series)))


def _series(context: Context, table: Table, name: str) -> list[str]:
    if SERIES not in [one.name for one in table.schema().fields]:
        return []
    asked = context.arguments.get("--series", "")
    if asked.strip():
        return list(dict.fromkeys(one.strip() for one in asked.split(",") if one.strip()))
    namespace, plain = parts(name)
    found = rows(
        context.lake,
        f'SELECT DISTINCT {SERIES} AS one FROM "{namespace}"."{plain}" '  # noqa: S608 - identifiers, checked by `parts`
        f"WHERE {SERIES} IS NOT NULL ORDER BY 1",
    )
    return [str(row["one"]) for row in found if str(row["one"]).strip()]


def _shape(schema: Schema) -> Schema:
    """A view's schema: the table's columns, optional, under ids of their own."""
    fields = [one.model_copy(update={"field_id": n}) for n, one in enumerate(schema.fields, 1)]
    return Schema(*fields)
