"""This file is where the lake's catalog is opened and its tables are found."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from sqlalchemy import text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from headgate.errors import Invalid, NotFound, Unavailable
from headgate.job import Lake

DEFAULT_TABLE: Final = "collections.collections_data_staging"
#: Seconds a writer waits for another's commit to the SQLite catalog (each holds the lock for milliseconds).
LOCK_WAIT: Final = 60
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

#: How our tables are made. `_source_id` bounds are kept whole, so that a file holding one source is told from the
#: manifest alone; automatic re-commits are off because they would skip the "already there?" check (also for Java).
PROPERTIES: Final = {
    "write.metadata.metrics.column._source_id": "full",
    "write.metadata.metrics.column.source_id": "full",
    "commit.retry.num-retries": "0",
    "write.parquet.compression-codec": "zstd",
}


def open_catalog(lake: Lake) -> SqlCatalog:
    """Open (and where there is none yet, make) the lake's catalog.

    Raises:
        Invalid: the lake has no uri or warehouse.
        Unavailable: the catalog can not be opened, is locked for long, or is no catalog.
    """
    if not lake.uri or not lake.warehouse:
        raise Invalid(
            "no lake is configured: both its catalog uri (sqlite:////…/catalog.db) and its warehouse are needed"
        )
    url = make_url(lake.uri)
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database:
        with translated(f"the lake's catalog {url.database}"):
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        url = url.update_query_dict({"timeout": str(LOCK_WAIT)})
    opened = _open(lake, url.render_as_string(hide_password=False))
    if sqlite:
        with translated(f"the lake's catalog {url.database}"), opened.engine.connect() as connection:
            _switch_to_wal(connection)
    return opened


def _switch_to_wal(connection: Connection) -> None:
    """Keep readers and the one writer from waiting for each other. It stays set in the file.

    SQLite needs the file alone to change this, and does not wait for that by itself. (The ledger does the same; the
    lake, which runs in jobs, knows nothing of it.)
    """
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            connection.execute(text("PRAGMA journal_mode=WAL"))
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            connection.rollback()
            time.sleep(0.01)
        else:
            return


def _open(lake: Lake, uri: str) -> SqlCatalog:
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            # schema_version: a catalog made by an older PyIceberg gets the column that tells views from tables
            return SqlCatalog(lake.catalog, uri=uri, warehouse=lake.warehouse, schema_version="v1")
        except OperationalError as error:
            # Two first openers create the same tables; the one who comes second finds them on looking again.
            made_meanwhile = "already exists" in str(error) or "duplicate column" in str(error)
            if not made_meanwhile or time.monotonic() > deadline:
                raise Unavailable(f"the lake's catalog at {lake.uri} can not be opened: {error.orig}") from error
        except DatabaseError as error:
            raise Unavailable(
                f"the lake's catalog at {lake.uri} is damaged or no catalog: {error.orig}; put back a copy, "
                "or move it away to start an empty lake"
            ) from error


def parts(name: str) -> tuple[str, str]:
    """Namespace and table of `namespace.table`. Both are plain identifiers, so that every engine can name them.

    Raises:
        Invalid: the name is not of that form.
    """
    namespace, dot, table = name.strip().partition(".")
    if not dot or not _IDENTIFIER.fullmatch(namespace) or not _IDENTIFIER.fullmatch(table):
        raise Invalid(f"{name!r} is no table name: expected namespace.table of letters, digits and underscores")
    return namespace, table


def find_table(catalog: SqlCatalog, name: str) -> Table | None:
    try:
        return catalog.load_table(parts(name))
    except NoSuchTableError:
        return None


def get_table(catalog: SqlCatalog, name: str) -> Table:
    """The table as it is now; raises NotFound."""
    found = find_table(catalog, name)
    if found is None:
        raise NotFound("table", name, "ingest something first, or look at `headgate lake tables`")
    return found


def make_table(catalog: SqlCatalog, name: str, schema: Schema) -> Table:
    """The table, made with this schema if nobody made it before or meanwhile."""
    if found := find_table(catalog, name):
        return found
    namespace, table = parts(name)
    with suppress(NamespaceAlreadyExistsError, IntegrityError):  # somebody made it between the look and the insert
        catalog.create_namespace_if_not_exists(namespace)
    try:
        return catalog.create_table((namespace, table), schema, properties=PROPERTIES)
    except TableAlreadyExistsError:
        return catalog.load_table((namespace, table))


def folder(location: str) -> Path:
    """The folder of a file: location. Raises Invalid for another scheme: those lakes come with a later issue."""
    split = urlsplit(location)
    if split.scheme not in {"file", ""} or split.netloc not in {"", "localhost"}:
        raise Invalid(f"{location} is no folder of this machine; this version writes file: warehouses only")
    return Path(unquote(split.path))


@contextmanager
def translated(what: str) -> Generator[None]:
    """Turn a full disk or a locked or damaged catalog into words about `what`.

    Raises:
        Unavailable: the same may work later, when there is room or the lock is free.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM or "No space left" in str(error) or "File too large" in str(error):
            raise Unavailable(
                f"no room left while writing {what} ({error}); nothing of it landed. Make room and run it again"
            ) from error
        raise
    except DatabaseError as error:
        reason = str(error.orig)
        if "disk is full" in reason or "disk I/O" in reason:
            raise Unavailable(
                f"no room left for the lake's catalog while writing {what} ({reason}). Make room and run it again"
            ) from error
        raise Unavailable(f"the lake's catalog would not take {what}: {reason}") from error
