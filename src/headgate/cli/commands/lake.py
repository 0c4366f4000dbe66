"""This file is where what was ingested is looked at. The lake is read directly; no server is needed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from headgate.cli import session
from headgate.cli.options import AsOutput, Config
from headgate.cli.printing import Output, print_json, print_table


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT over namespace.table names; - reads stdin.")],
    output: AsOutput = Output.TABLE,
    config: Config = None,
) -> None:
    """Ask the lake's tables and views. In JSON decimals, dates and times are strings."""
    settings = session.settings(config)
    from headgate.lake import read  # noqa: PLC0415 - DuckDB and Arrow, which no other command needs

    text = sys.stdin.read() if sql == "-" else sql
    found = read.query(settings.lake, text)
    if output is Output.JSON:
        print_json(found)
    else:
        columns = list(found[0]) if found else []
        print_table(columns, [list(row.values()) for row in found], empty="No rows.")


def tables(output: AsOutput = Output.TABLE, config: Config = None) -> None:
    """The lake's tables and views, with their rows."""
    settings = session.settings(config)
    from headgate.lake import read  # noqa: PLC0415 - as above

    found = read.tables(settings.lake)
    if output is Output.JSON:
        print_json(found)
    else:
        rows = [[one["name"], one["type"], one["rows"], one["location"]] for one in found]
        print_table(["NAME", "TYPE", "ROWS", "LOCATION"], rows, empty="The lake is empty: nothing was ingested yet.")
