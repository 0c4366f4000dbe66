"""The lake jobs; this file is where their public names are, loaded only when one is used.

In the order things happen: `ingest` (the job) finds the files (`sources`) and their columns (`headers`, `columns`,
`evolve`) and makes an `attempt`: `passes` puts the files together (`bundle`, `text`), `quick` reads what has no
fault and `scan` the rest, `rejects` says what was wrong, `locate` where, `parquet` writes the data files and `commit`
puts them into the table, once. Beside them `catalog`, `views` and `reports` (the second job), `read` (looking at what
is there) and `sample` (data to try it with). `headgate serve` imports none of it; jobs and the CLI do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from headgate.lake.catalog import open_catalog
    from headgate.lake.commit import delete_source
    from headgate.lake.ingest import csv_to_iceberg
    from headgate.lake.read import query, rows, tables
    from headgate.lake.reports import dual_engine_views

__all__ = ["csv_to_iceberg", "delete_source", "dual_engine_views", "open_catalog", "query", "rows", "tables"]

_HOME: Final = {
    "csv_to_iceberg": "ingest",
    "delete_source": "commit",
    "dual_engine_views": "reports",
    "open_catalog": "catalog",
    "query": "read",
    "rows": "read",
    "tables": "read",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
