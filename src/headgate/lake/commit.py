"""This file is where data files become part of a table, once: by a commit that fails when the table has moved.

PyIceberg's own retry puts a commit on top of whatever came between, without asking again whether the sources are there.
Ours starts again from the check: load, look for the sources, add, commit; a conflict goes back to the load.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import BooleanExpression, In
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.types import StringType

from headgate.errors import Conflict, HeadgateError, Unavailable
from headgate.job import Lake
from headgate.lake.catalog import DEFAULT_TABLE, find_table, folder, get_table, open_catalog, parts, translated
from headgate.lake.columns import SOURCE_ID
from headgate.lake.parquet import abandoned, remove

#: PyIceberg prunes files by an In() of at most this many values.
_CHUNK: Final = 200
_ATTEMPTS: Final = 50
_BATCH: Final = "headgate.batch"


class AlreadyThere(Exception):
    """Another run landed some of the sources meanwhile; nothing of this commit was done."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__(f"{len(ids)} of the sources are in the table already")
        self.ids = ids


class SchemaMoved(Exception):
    """The table's columns changed after the data files were written; they must be written again."""


class Unknown(HeadgateError):
    """Nobody can say whether the commit landed; the data files must stay."""


class Guarded(Transaction):
    """A transaction that never re-bases itself onto another's commit."""

    def _rebuild_snapshot_updates(self) -> None:
        raise CommitFailedException("the table has moved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What is to become part of a table in one commit."""

    table: str
    paths: Sequence[Path]
    stem: str  #: the files' own, by which a commit of unknown outcome is recognised
    ids: Sequence[str]
    schema: Schema  #: of the files; the table gets the columns it lacks, and the wider types
    properties: Mapping[str, str]


def present(table: Table, ids: Iterable[str], column: str = SOURCE_ID) -> frozenset[str]:
    """Which of the source ids have rows in the table."""
    wanted = sorted(set(ids))
    found: set[str] = set()
    if table.current_snapshot() is None:
        return frozenset()
    field = table.schema().find_field(column)
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        scan = table.scan(row_filter=_one_of(column, chunk), selected_fields=(column,))
        tasks = list(scan.plan_files())
        sole = {one for task in tasks if (one := _only_value(task, field.field_id)) is not None}
        found.update(sole.intersection(chunk))
        if any(_only_value(task, field.field_id) is None for task in tasks):
            for batch in scan.to_arrow_batch_reader():
                found.update(batch.column(0).unique().to_pylist())
    return frozenset(found)


def _one_of(column: str, values: Sequence[str]) -> BooleanExpression:
    return In(column, values)  # pyright: ignore[reportCallIssue] - its constructor is taken for pydantic's


def _only_value(task: FileScanTask, field_id: int) -> str | None:
    """The one value that all rows of a file have, told from its bounds; None: there may be several, or deletes."""
    low = (task.file.lower_bounds or {}).get(field_id)
    high = (task.file.upper_bounds or {}).get(field_id)
    # shorter bounds may have been cut
    return low.decode() if low is not None and low == high and len(low) == 64 and not task.delete_files else None


def land(catalog: SqlCatalog, landing: Landing) -> int | None:
    """Add the files to the table if none of their sources is there; returns the snapshot's id.

    Raises:
        AlreadyThere, SchemaMoved: nothing was done; leave those sources out, or write the files anew.
        Unavailable: it stayed busy, or the disk is full; nothing was done.
        Unknown: the catalog failed in the act.
    """
    logging.getLogger("pyiceberg.io.pyarrow").addFilter(_unexpected)  # the same one again changes nothing

    def stage(table: Table, transaction: Transaction) -> None:
        if there := present(table, landing.ids):
            raise AlreadyThere(there)
        with transaction.update_schema() as update:
            update.union_by_name(landing.schema)
        if not _same_columns(transaction.table_metadata.schema(), landing.schema):
            raise SchemaMoved
        transaction.add_files(
            [path.as_uri() for path in landing.paths],
            snapshot_properties={_BATCH: landing.stem, **landing.properties},
            check_duplicate_files=False,
        )

    table = guarded(catalog, landing.table, stage, batch=landing.stem)
    found = table.current_snapshot()
    return found.snapshot_id if found else None


def _unexpected(record: logging.LogRecord) -> bool:
    """Not that a column has no bounds: `parquet.layout` leaves them out on purpose."""
    return not record.getMessage().startswith("PyArrow statistics missing")


def _same_columns(table: Schema, files: Schema) -> bool:
    mine = {one.field_id: (one.name, one.field_type) for one in files.fields}
    return mine == {one.field_id: (one.name, one.field_type) for one in table.fields}


def guarded(catalog: SqlCatalog, name: str, stage: Callable[[Table, Transaction], None], *, batch: str = "") -> Table:
    """Stage and commit on the table as it is, as often as somebody else is quicker.

    Args:
        catalog: where the table is.
        name: namespace.table.
        stage: looks at the table and fills the transaction; what it raises is passed on, and nothing is done.
        batch: a word in the snapshot's properties by which the commit is recognised; without one a failure of the
            catalog in the act is always `Unknown`.

    Raises:
        Unavailable: others kept committing for very long, or the disk is full.
        Unknown: the catalog failed in the act.
    """
    for attempt in range(_ATTEMPTS):
        with translated(f"a commit to {name}"):
            table = get_table(catalog, name)
            transaction = Guarded(table)
            stage(table, transaction)
        try:
            with translated(f"a commit to {name}"):
                return transaction.commit_transaction()
        except CommitFailedException:
            time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))  # noqa: S311 - only spreads writers
        except Unavailable as error:
            if landed := _landed(catalog, name, batch, error):
                return landed
            raise
    raise Unavailable(f"others kept writing to {name} for {_ATTEMPTS} attempts; run it again")


def _landed(catalog: SqlCatalog, name: str, batch: str, failure: Unavailable) -> Table | None:
    """After a failure in the act: the table if the commit is in it, None if it is not."""
    try:
        with translated(f"a look at {name}"):
            table = get_table(catalog, name)
    except HeadgateError as error:
        raise Unknown(f"{failure}; and whether the commit landed can not be told: {error}") from error
    head = table.current_snapshot()
    while batch and head is not None:
        if head.summary is not None and head.summary.additional_properties.get(_BATCH) == batch:
            return table
        head = table.snapshot_by_id(head.parent_snapshot_id) if head.parent_snapshot_id else None
    return None


def quarantine(catalog: SqlCatalog, landing: Landing) -> None:
    """Put rejects in place of whatever is there of the same sources: delivered again, they are there once."""

    def stage(table: Table, transaction: Transaction) -> None:
        if there := present(table, landing.ids, "source_id"):
            transaction.delete(_one_of("source_id", sorted(there)))
        transaction.add_files(
            [path.as_uri() for path in landing.paths],
            snapshot_properties={_BATCH: landing.stem, **landing.properties},
            check_duplicate_files=False,
        )

    guarded(catalog, landing.table, stage, batch=landing.stem)


def rejects_of(name: str) -> str:
    return f"{name}_rejects"


def data_folder(table: Table) -> Path:
    return folder(table.location()) / "data"


def sweep(table: Table) -> int:
    """Delete data files that runs killed more than a day ago left without a commit; returns how many."""
    place = data_folder(table)
    stems = abandoned(place)
    if not stems:
        return 0
    paths = table.inspect.all_files().column("file_path")
    referenced = frozenset(path.rpartition("/")[2] for path in paths.to_pylist())
    return sum(remove(place, stem, referenced) for stem in stems)


def delete_source(lake: Lake, source_id: str, table: str = DEFAULT_TABLE) -> dict[str, int]:
    """Delete one source's rows from a table and its rejects; returns {"rows": n, "rejects": n}.

    Safe beside running ingestions, and again: a second call finds nothing.

    Raises:
        NotFound: there is no such table.
        Unavailable: as for any commit.
    """
    catalog = open_catalog(lake)
    parts(table)
    return {
        "rows": _delete(catalog, table, SOURCE_ID, source_id),
        "rejects": _delete(catalog, rejects_of(table), "source_id", source_id)
        if find_table(catalog, rejects_of(table))
        else 0,
    }


def _delete(catalog: SqlCatalog, name: str, column: str, source_id: str) -> int:
    found = 0

    def stage(table: Table, transaction: Transaction) -> None:
        nonlocal found
        if not isinstance(table.schema().find_type(column), StringType):
            raise Conflict(f"{name} is no table of ours: its {column} is no string")
        found = table.scan(row_filter=_one_of(column, [source_id]), selected_fields=(column,)).count()
        if found:
            transaction.delete(_one_of(column, [source_id]))

    guarded(catalog, name, stage)
    return found
