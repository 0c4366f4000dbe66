"""This file is where Iceberg views are kept in the SQLite catalog, in the layout that Iceberg's own JDBC catalog reads.

PyIceberg has views for REST catalogs only. A view is a metadata file beside the tables' and a row of type VIEW in the
catalog's `iceberg_tables`; it is replaced by compare-and-set on the row. Metadata written by Spark may be gzip.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.view.metadata import ViewMetadata
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from headgate.errors import Conflict, NotFound, Unavailable
from headgate.lake.catalog import parts, translated

_ATTEMPTS: Final = 20
_MINE: Final = "catalog_name = :catalog AND table_namespace = :namespace AND table_name = :name"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view as it is stored: one text for each dialect."""

    name: str  #: namespace.view
    sql: Mapping[str, str]  #: dialect -> text
    schema: Schema
    version: int
    location: str


def names(catalog: SqlCatalog) -> list[str]:
    """All views of the catalog as namespace.view, sorted."""
    with translated("a look at the views"), catalog.engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT table_namespace, table_name FROM iceberg_tables "
                "WHERE catalog_name = :catalog AND iceberg_type = 'VIEW' ORDER BY 1, 2"
            ),
            {"catalog": catalog.name},
        ).fetchall()
    return [f"{namespace}.{name}" for namespace, name in rows]


def load(catalog: SqlCatalog, name: str) -> View:
    """The view as it is now; raises NotFound."""
    at = _pointer(catalog, name)
    if at is None:
        raise NotFound("view", name, "the job create-views-dual-engine makes the views")
    return _view(name, _read(catalog, at))


def put(catalog: SqlCatalog, name: str, sql: Mapping[str, str], schema: Schema) -> str:
    """Make the view be so, and read it back; returns `created`, `replaced` or `unchanged`.

    Raises:
        Conflict: a table has that name.
        Unavailable: others kept replacing it, or what was read back is not what was written.
    """
    for _ in range(_ATTEMPTS):
        old = _pointer(catalog, name)
        base = _read(catalog, old) if old else None
        if base is not None and _same(_view(name, base), sql, schema):
            return "unchanged"
        with translated(f"the view {name}"):
            new = _write(catalog, _metadata(catalog, name, base, sql, schema))
            swapped = _swap(catalog, name, old, new)
        if swapped:
            _verify(catalog, name, sql, schema)
            return "replaced" if old else "created"
    raise Unavailable(f"others kept replacing the view {name}; run it again")


def _verify(catalog: SqlCatalog, name: str, sql: Mapping[str, str], schema: Schema) -> None:
    if not _same(load(catalog, name), sql, schema):
        raise Unavailable(f"the view {name} reads back as something else than was written; somebody else may write it")


def _same(view: View, sql: Mapping[str, str], schema: Schema) -> bool:
    def shape(of: Schema) -> list[tuple[str, str]]:
        return [(one.name, str(one.field_type)) for one in of.fields]

    return dict(view.sql) == dict(sql) and shape(view.schema) == shape(schema)


def _pointer(catalog: SqlCatalog, name: str) -> str | None:
    """Where the view's newest metadata is; None where there is no view yet."""
    with translated(f"a look at the view {name}"), catalog.engine.connect() as connection:
        row = connection.execute(
            text(f"SELECT metadata_location, iceberg_type FROM iceberg_tables WHERE {_MINE}"),  # noqa: S608 - our own text
            _keys(catalog, name),
        ).fetchone()
    if row is None:
        return None
    if row[1] != "VIEW":
        raise Conflict(f"{name} is a table; no view can have its name")
    return str(row[0])


def _swap(catalog: SqlCatalog, name: str, old: str | None, new: str) -> bool:
    """Point the catalog at the new metadata if it still points at the old; False: somebody was quicker."""
    values = {**_keys(catalog, name), "new": new, "old": old}
    if old is None:
        statement = (
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, iceberg_type) "
            "VALUES (:catalog, :namespace, :name, :new, 'VIEW')"
        )
    else:
        statement = (
            "UPDATE iceberg_tables SET metadata_location = :new, previous_metadata_location = :old "  # noqa: S608 - our own text
            f"WHERE {_MINE} AND metadata_location = :old AND iceberg_type = 'VIEW'"
        )
    try:
        with catalog.engine.begin() as connection:
            return connection.execute(text(statement), values).rowcount == 1
    except IntegrityError:
        return False


def _keys(catalog: SqlCatalog, name: str) -> dict[str, str]:
    namespace, view = parts(name)
    return {"catalog": catalog.name, "namespace": namespace, "name": view}


def _view(name: str, metadata: Mapping[str, Any]) -> View:
    checked = ViewMetadata.model_validate(metadata)
    current = next(one for one in checked.versions if one.version_id == checked.current_version_id)
    schema = next(one for one in checked.schemas if one.schema_id == current.schema_id)
    sql = {one.root.dialect: one.root.sql for one in current.representations}
    return View(name=name, sql=sql, schema=schema, version=current.version_id, location=checked.location)


def _metadata(
    catalog: SqlCatalog, name: str, base: Mapping[str, Any] | None, sql: Mapping[str, str], schema: Schema
) -> dict[str, Any]:
    namespace, view = parts(name)
    now = int(time.time() * 1000)
    old: dict[str, Any] = (
        dict(base)
        if base
        else {
            "view-uuid": str(uuid.uuid4()),
            "format-version": 1,
            "location": f"{catalog.properties['warehouse'].rstrip('/')}/{namespace}/{view}",
            "schemas": [],
            "versions": [],
            "version-log": [],
            "properties": {},
        }
    )
    schema_id = 1 + max((int(one.get("schema-id", 0)) for one in old["schemas"]), default=-1)
    version = 1 + max((int(one["version-id"]) for one in old["versions"]), default=0)
    stored: dict[str, Any] = json.loads(schema.model_dump_json())
    entry = {
        "version-id": version,
        "schema-id": schema_id,
        "timestamp-ms": now,
        "summary": {"engine-name": "headgate"},
        "representations": [{"type": "sql", "sql": one, "dialect": dialect} for dialect, one in sql.items()],
        "default-namespace": [namespace],
    }
    return {
        **old,
        "schemas": [*old["schemas"], {**stored, "schema-id": schema_id}],
        "versions": [*old["versions"], entry],
        "version-log": [*old["version-log"], {"timestamp-ms": now, "version-id": version}],
        "current-version-id": version,
    }


def _write(catalog: SqlCatalog, metadata: Mapping[str, Any]) -> str:
    ViewMetadata.model_validate(metadata)
    where = f"{metadata['location']}/metadata/{metadata['current-version-id']:05d}-{uuid.uuid4()}.metadata.json"
    with catalog._load_file_io({}, where).new_output(where).create() as file:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - PyIceberg has no other way to the catalog's own file access
        file.write(json.dumps(metadata, ensure_ascii=False).encode())
    return where


def _read(catalog: SqlCatalog, where: str) -> dict[str, Any]:
    try:
        with catalog._load_file_io({}, where).new_input(where).open() as file:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
            content = file.read()
    except OSError as error:
        raise Unavailable(f"the metadata of a view can not be read: {where}: {error}") from error
    unpacked = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    return cast(dict[str, Any], json.loads(unpacked))
