"""This file is where the lake's own catalog is looked at without PyIceberg, which has made it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField

from headgate.errors import Unavailable
from headgate.ledger.iceberg import iceberg_tables


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_tables_have_the_place_of_their_metadata(tmp_path: Path, version: str) -> None:
    """Those of this catalog, from catalogs of either form; a commit changes it, and views are no tables."""
    uri = f"sqlite:///{tmp_path / 'catalog.db'}"
    schema = Schema(NestedField(1, "id", LongType(), required=False))
    for name in ("lake", "other"):
        catalog = SqlCatalog(name, uri=uri, warehouse=f"file://{tmp_path / name}", schema_version=version)
        catalog.create_namespace("sales")
        table = catalog.create_table("sales.orders", schema)
        before = iceberg_tables(uri, name)
        with table.transaction() as changing:
            changing.set_properties(owner="ann")
        if name == "lake" and version == "v1":
            with catalog.engine.begin() as connection:
                connection.exec_driver_sql(
                    "insert into iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,"
                    " iceberg_type) values ('lake', 'sales', 'a_view', 'file:///v', 'VIEW')"
                )
        after = iceberg_tables(uri, name)
        catalog.engine.dispose()

        assert list(before) == list(after) == ["sales.orders"]
        assert before["sales.orders"] != after["sales.orders"] == table.metadata_location


def test_no_lake_yet_has_no_tables(tmp_path: Path) -> None:
    """And nothing is made by looking."""
    assert iceberg_tables(f"sqlite:///{tmp_path / 'none.db'}", "lake") == {}
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_catalog_is_unavailable(tmp_path: Path) -> None:
    """Without the address, which may hold a password."""
    (tmp_path / "x.db").write_text("no database at all, and longer than the header of one " * 9, "utf-8")
    with pytest.raises(Unavailable, match="cannot be read: DatabaseError"):
        iceberg_tables(f"sqlite:///{tmp_path / 'x.db'}", "lake")
    (tmp_path / "empty.db").touch()

    assert iceberg_tables(f"sqlite:///{tmp_path / 'empty.db'}", "lake") == {}
