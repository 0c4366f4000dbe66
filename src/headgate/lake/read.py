"""This file is where what was ingested is looked at: SQL over the lake's tables and views, read only."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from datetime import time as clock
from typing import cast as as_type

import duckdb
import sqlglot
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.job import Lake
from headgate.lake import views
from headgate.lake.catalog import find_table, folder, open_catalog, parts
from headgate.lake.columns import duckdb_type, literal, quoted

_FETCH = 1000


def query(lake: Lake, sql: str) -> list[dict[str, object]]:
    """The rows of one SELECT, as JSON can hold them: decimals, dates and timestamps are strings, bytes base64.

    Raises:
        Invalid: it is not one SELECT, or wrong SQL.
        NotFound: it names a table or view that is not there.
        Unavailable: the lake can not be read.
    """
    return list(rows(lake, sql))


def rows(lake: Lake, sql: str) -> Iterator[dict[str, object]]:
    """As `query`, row by row in constant memory (unless the query itself sorts or groups much)."""
    catalog = open_catalog(lake)
    connection = duckdb.connect(config={"temp_directory": "", "autoinstall_known_extensions": False})
    try:
        _one_select(connection, sql)
        _Names(connection, catalog).define(_named(connection, sql))
        connection.execute(f"SET allowed_directories=[{literal(str(folder(lake.warehouse)))}]")
        connection.execute("SET enable_external_access=false; SET lock_configuration=true")
        result = connection.execute(sql)
        columns = _distinct([one[0] for one in result.description or []])
        while chunk := result.fetchmany(_FETCH):
            for row in chunk:
                yield {name: _json(value) for name, value in zip(columns, row, strict=True)}
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise Unavailable(f"the lake could not be read: {error}") from error
    except duckdb.Error as error:
        raise Invalid(f"the query is wrong: {error}") from error
    finally:
        connection.close()


def tables(lake: Lake) -> list[dict[str, object]]:
    """Every table and view: `name`, `type` (TABLE or VIEW), `rows`, `snapshot_id`, `location`."""
    catalog = open_catalog(lake)
    found: list[dict[str, object]] = []
    for namespace in sorted(".".join(one) for one in catalog.list_namespaces()):
        for _, name in sorted(catalog.list_tables(namespace)):
            table = catalog.load_table((namespace, name))
            head = table.current_snapshot()
            found.append(
                {
                    "name": f"{namespace}.{name}",
                    "type": "TABLE",
                    "rows": _count(table),
                    "snapshot_id": head.snapshot_id if head else None,
                    "location": table.location(),
                }
            )
    for name in views.names(catalog):
        view = views.load(catalog, name)
        namespace, plain = parts(name)
        counted = query(lake, f"SELECT count(*) AS n FROM {quoted(namespace)}.{quoted(plain)}")[0]["n"]  # noqa: S608 - names from the catalog, quoted
        found.append({"name": name, "type": "VIEW", "rows": counted, "snapshot_id": None, "location": view.location})
    return found


def _count(table: Table) -> int:
    """Rows, from the manifests alone where there are no deletes."""
    return table.scan(row_filter=AlwaysTrue()).count() if table.current_snapshot() else 0


class _Names:
    """The lake's tables and views under their own names in a DuckDB, as far as a query needs them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: SqlCatalog) -> None:
        self._connection = connection
        self._catalog = catalog
        self._views = set(views.names(catalog))
        self._done: set[str] = set()

    def define(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self._done:
                continue
            self._done.add(name)
            namespace, plain = parts(name)
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(namespace)}")
            self._connection.execute(f"CREATE VIEW {quoted(namespace)}.{quoted(plain)} AS {self._text(name)}")

    def _text(self, name: str) -> str:
        if name in self._views:
            sql = _dialect(views.load(self._catalog, name))
            self.define(_named(self._connection, sql))
            return sql
        table = find_table(self._catalog, name)
        if table is None:
            raise NotFound("table or view", name, "see `headgate lake tables`")
        return self._scan(name, table)

    def _scan(self, name: str, table: Table) -> str:
        """A read of the table's files by Iceberg field id: columns may have come, gone or been renamed since."""
        tasks = list(table.scan().plan_files())
        if any(task.delete_files for task in tasks):
            held = f"held {name}"  # deletes of other engines: PyIceberg applies them, in memory
            self._connection.register(held, table.scan().to_arrow())
            return f"SELECT * FROM {quoted(held)}"  # noqa: S608 - quoted
        fields = table.schema().fields
        if not tasks:
            empty = (f"CAST(NULL AS {duckdb_type(one.field_type)}) AS {quoted(one.name)}" for one in fields)
            return f"SELECT {', '.join(empty)} WHERE false"
        absent = "default_value: NULL"  # in files that are older than the column
        shape = ", ".join(
            f"{one.field_id}: {{name: {literal(one.name)}, type: {literal(duckdb_type(one.field_type))}, {absent}}}"
            for one in fields
        )
        files = ", ".join(literal(str(folder(task.file.file_path))) for task in tasks)
        return f"SELECT * FROM read_parquet([{files}], schema=MAP {{{shape}}})"  # noqa: S608 - quoted above


def _one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    found = connection.extract_statements(sql)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise Invalid("only one SELECT can be asked of the lake")


def _named(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The lake's names that a query uses, as namespace.table. Names without a namespace are not the lake's."""
    parsed = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()[0][0]
    found: set[str] = set()
    nodes: list[object] = [json.loads(parsed)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += as_type(list[object], node)
        elif isinstance(node, dict):
            fields = as_type(dict[str, object], node)
            if fields.get("type") == "BASE_TABLE" and fields.get("schema_name"):
                found.add(f"{fields['schema_name']}.{fields['table_name']}")
            nodes += fields.values()
    return sorted(found)


def _dialect(view: views.View) -> str:
    if "duckdb" in view.sql:
        return view.sql["duckdb"]
    for dialect in ("spark", "trino", "athena"):  # made by another engine
        if dialect in view.sql:
            return sqlglot.transpile(view.sql[dialect], read=dialect, write="duckdb")[0]
    raise Invalid(f"the view {view.name} has no dialect that can be read here: {', '.join(view.sql)}")


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names with a number put to those that were there before: an object can hold each once."""
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return result


def _json(value: object) -> object:  # noqa: PLR0911 - one line a type
    """The value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | str | float):
        return value
    if isinstance(value, datetime | date | clock):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in as_type(dict[object, object], value).items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in as_type(list[object], value)]
    return str(value)  # decimals above all: a float would round them
