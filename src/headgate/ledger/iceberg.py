"""This file is where the lake's own catalog is looked at from outside: which tables there are, and their metadata.

It reads what PyIceberg's SqlCatalog keeps, without PyIceberg, which a server never loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from headgate.errors import Unavailable

_TABLE: Final = "iceberg_tables"
_PATIENCE: Final = 5  #: seconds for a lock, or for a connection


def iceberg_tables(uri: str, catalog: str) -> dict[str, str]:
    """`namespace.table` of each table (no views), with where its metadata is; nothing where there is no lake yet.

    Raises:
        Unavailable: the catalog cannot be read.
    """
    try:
        url = sa.make_url(uri)
        sqlite = url.get_backend_name() == "sqlite"
        if sqlite and not (url.database and Path(url.database).exists()):
            return {}
        patience = {"timeout": _PATIENCE} if sqlite else {"connect_timeout": _PATIENCE}
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=patience)
        try:
            with engine.connect() as connection:
                return _read(connection, catalog)
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        # without its text, which may hold the address with a password
        raise Unavailable(f"the lake's catalog cannot be read: {type(error).__name__}") from error


def _read(connection: sa.Connection, catalog: str) -> dict[str, str]:
    inspector = sa.inspect(connection)
    if not inspector.has_table(_TABLE):
        return {}
    kinds = "iceberg_type" in {column["name"] for column in inspector.get_columns(_TABLE)}
    names = ["catalog_name", "table_namespace", "table_name", "metadata_location"]
    table = sa.table(_TABLE, *(sa.column(name) for name in [*names, *(["iceberg_type"] if kinds else [])]))
    wanted = sa.select(table.c.table_namespace, table.c.table_name, table.c.metadata_location).where(
        table.c.catalog_name == catalog, table.c.metadata_location.is_not(None)
    )
    if kinds:  # views are kept beside them
        wanted = wanted.where(sa.or_(table.c.iceberg_type.is_(None), table.c.iceberg_type == "TABLE"))
    return {f"{namespace}.{name}": str(location) for namespace, name, location in connection.execute(wanted)}
