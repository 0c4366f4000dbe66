"""This file is where one batch of files is read, written and committed, all on the assumption that nothing changes.

When something did (a file, the table, a file turning out to be no good), nothing has landed: the attempt raises what it
found out and `ingest` begins another.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import duckdb
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from headgate.errors import Unavailable
from headgate.job import Context
from headgate.lake import evolve
from headgate.lake.arrow import Array, ArrowSchema, Batch
from headgate.lake.catalog import get_table, translated
from headgate.lake.columns import INGESTED_AT, OURS, REJECTS, SOURCE_FILE, SOURCE_ID
from headgate.lake.commit import Landing, Unknown, data_folder, land, quarantine, rejects_of
from headgate.lake.headers import Header, Refused, compressed, require_whole
from headgate.lake.parquet import DataFiles, arrow_schema
from headgate.lake.passes import Findings, Passes, plans
from headgate.lake.rejects import Refusal, Rejects, too_many
from headgate.lake.scan import Duck, Part, batches, on_demand, readable, reader, threads
from headgate.lake.sources import Source, checked

#: Seconds between two words about progress.
_EVERY: Final = 0.25


class Changed(Exception):
    """The batch is not what it was taken for; nothing landed."""

    def __init__(self, findings: Findings) -> None:
        super().__init__("the batch is not what it was taken for")
        self.findings = findings


@dataclass(slots=True, kw_only=True)
class Attempt:
    context: Context
    catalog: SqlCatalog
    name: str  #: of the table
    limit: int  #: rejected records a file may have
    alone: set[str]  #: ids of sources that can not be bundled
    findings: Findings = field(default_factory=Findings)
    totals: Counter[str] = field(default_factory=Counter[str])  #: rows, rejects
    _at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
    _told: float = 0.0
    _bytes: dict[str, int] = field(default_factory=dict[str, int])  #: read, by source id
    _rejected: Counter[str] = field(default_factory=Counter[str])  #: records, by source id

    def run(
        self, table: Table | None, headers: Mapping[Source, Header], refusals: Sequence[Refusal]
    ) -> tuple[Counter[str], int | None]:
        """Land the files and their rejects; returns the counts and the snapshot that holds the rows.

        Args:
            table: as it is now; None when there is none, which is so only when there is no file to make it from.
            headers: of the files to take.
            refusals: of the files not to take, to be recorded.

        Raises:
            Changed, AlreadyThere, SchemaMoved: nothing landed; begin again with what they say.
        """
        with translated(f"the rejects of {self.name}"):
            place = data_folder(get_table(self.catalog, rejects_of(self.name)))
            with DataFiles(place, arrow_schema(REJECTS), writers=1) as files:
                rejects = Rejects(files=files, run_id=self.context.run_id)
                for one in refusals:
                    rejects.refuse(one)
                if table is not None and headers:
                    return self._load(table, headers, rejects)
                self._quarantine(rejects)
                return self.totals, _head(table)

    def _load(
        self, table: Table, headers: Mapping[Source, Header], rejects: Rejects
    ) -> tuple[Counter[str], int | None]:
        with on_demand() as duck, ThreadPoolExecutor(1, thread_name_prefix="md5") as aside:
            known = [one.name for one in table.schema().fields if one.name not in OURS]
            with self._judging(duck, list(headers)):
                add = evolve.fresh(duck, headers, known)
                widen = evolve.wider(duck, headers, table.schema())
            schema = evolve.planned(table, add, widen)
            planned = plans(headers, evolve.column_names(headers, [*known, *add]), schema, self.alone)
            passes = Passes(schema=schema, headers=headers, limit=self.limit, findings=self.findings)
            checks: dict[Source, Future[Source]] = {}
            folder = data_folder(table)
            with translated(self.name), DataFiles(folder, arrow_schema(schema), writers=threads()) as good:
                for part in passes.parts(planned):
                    if not part.hashed:
                        checks |= {one: aside.submit(_inspected, one) for one in part.sources}
                    self._read(duck, part, schema, good)
                    rejects.add(part, schema)
                    self._tell(part, headers, good.rows)
                self._settle(checks)
                good.close()
                return self._commit(table, schema, list(headers), good, rejects)

    def _read(self, duck: Duck, part: Part, schema: Schema, good: DataFiles) -> None:
        """One pass. Once something was found no rows are written any more, but everything else is still found out."""
        ids = pa.array([one.id for one in part.sources])
        uris = pa.array([one.uri for one in part.sources])
        with self._judging(duck, part.sources, bundled=part.hashed):
            for batch, places in [part.quick] if part.quick else batches(duck(), part, schema):
                if self.findings or not batch.num_rows:
                    continue
                of = places.cast(pa.int32())
                ours = {SOURCE_ID: _from(ids, of), SOURCE_FILE: _from(uris, of)}
                ours[INGESTED_AT] = pa.repeat(pa.scalar(self._at, pa.timestamp("us")), len(places))
                good.put(_arranged(batch, ours, good.schema))
        if part.bundle is not None and part.bundle.marked and part.markers != len(part.sources):
            self.findings.alone.update(one.id for one in part.sources)  # some file's quoting ran into the next
        for place, count in part.rejects().items():
            self._rejected[part.sources[place].id] += count
        self.findings.refusals += too_many(part, self._rejected)

    def _settle(self, checks: Mapping[Source, Future[Source]]) -> None:
        """Compare what was read with what it was taken for. Raises Changed for anything found so far."""
        for one, check in checks.items():
            try:
                now = check.result()
                # looked at while it was read; untouched until now means that what was read is what was looked at
                now = checked(now)
            except FileNotFoundError:
                self._missing(one)
                continue
            except Refused as error:
                self.findings.refusals.append(Refusal(source=one, reason="FILE", message=str(error)))
                continue
            if now.id != one.id or (one.stamp not in {None, now.stamp}) or now is not check.result():
                self.findings.sources[one.id] = now
        if self.findings:
            raise Changed(self.findings)

    def _missing(self, source: Source) -> None:
        self.findings.refusals.append(Refusal(source=source, reason="MISSING", message="it is not there any more"))

    @contextmanager
    def _judging(self, duck: Duck, sources: Sequence[Source], *, bundled: bool = False) -> Generator[None]:
        """When the reader gives up over some files: find out which, and begin again without them."""
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno not in {None, errno.ENOENT}:
                raise  # of the disk we write to; the reader's have no number
            if bundled:
                self.findings.alone.update(one.id for one in sources)
                raise Changed(self.findings) from error
            for one in sources:
                self._probe(duck, one)
            if not self.findings:
                raise Unavailable(f"the files could not be read: {error}") from error
            raise Changed(self.findings) from error

    def _probe(self, duck: Duck, source: Source) -> None:
        try:
            with readable([source]) as paths:
                probe = reader(paths, {"one": "VARCHAR"}, packed=compressed(str(source.path)))
                duck().sql(f"SELECT count(*) FROM {probe}").fetchall()  # noqa: S608 - `reader` quotes
        except FileNotFoundError:
            self._missing(source)
        except duckdb.Error as error:
            if not source.path.exists():
                self._missing(source)
                return
            message = f"it can not be read: {str(error).splitlines()[0]}"
            self.findings.refusals.append(Refusal(source=source, reason="FILE", message=message))

    def _commit(
        self, table: Table, schema: Schema, sources: Sequence[Source], good: DataFiles, rejects: Rejects
    ) -> tuple[Counter[str], int | None]:
        self._quarantine(rejects)
        self.totals["rows"] = good.rows
        if not good.rows:
            return self.totals, _head(table)
        landing = Landing(
            table=self.name,
            paths=good.paths,
            stem=good.stem,
            ids=[one.id for one in sources],
            schema=schema,
            properties={"headgate.run": self.context.run_id, "headgate.rejects": str(rejects.count)},
        )
        try:
            snapshot = land(self.catalog, landing)
        except Unknown:
            good.abandon()
            raise
        good.keep()
        return self.totals, snapshot

    def _quarantine(self, rejects: Rejects) -> None:
        self.totals["rejects"] = rejects.count
        if not rejects.count:
            return
        rejects.files.close()
        landing = Landing(
            table=rejects_of(self.name),
            paths=rejects.files.paths,
            stem=rejects.files.stem,
            ids=sorted(rejects.ids),
            schema=REJECTS,
            properties={"headgate.run": self.context.run_id},
        )
        try:
            quarantine(self.catalog, landing)
        except Unknown:
            rejects.files.abandon()
            raise
        rejects.files.keep()

    def _tell(self, part: Part, headers: Mapping[Source, Header], rows: int) -> None:
        """Progress, not too often. A file that is read in chunks is done when the next one begins."""
        for one in part.sources:
            self._bytes[one.id] = _bytes(one) if part.upto is None else min(_bytes(one), part.upto)
        now = time.monotonic()
        if now - self._told >= _EVERY:
            self._told = now
            self.context.progress(
                files_done=max(0, len(self._bytes) - 1),
                files=len(headers),
                rows=rows,
                bytes_done=sum(self._bytes.values()),
                bytes=sum(_bytes(one) for one in headers),
            )


def _from(values: Array, places: Array) -> Array:
    """The values at the places, each value kept once: an id of 64 bytes for each row is as much as the row."""
    return pa.DictionaryArray.from_arrays(places, values)


def _arranged(batch: Batch, ours: Mapping[str, Array], schema: ArrowSchema) -> Batch:
    """The batch with our columns, in the table's order; columns that the files do not have are NULL."""
    columns = {**dict(zip(batch.schema.names, batch.columns, strict=True)), **ours}
    return pa.RecordBatch.from_arrays(
        [columns[one.name] if one.name in columns else pa.nulls(batch.num_rows, one.type) for one in schema],
        names=schema.names,
    )


def _inspected(source: Source) -> Source:
    """The source as it is now. Raises Refused for a broken gzip file: the reader takes what it can make of it."""
    found = checked(source)
    if compressed(str(found.path)):
        require_whole(found.path)
    return found


def _bytes(source: Source) -> int:
    return source.stamp.size if source.stamp else source.object.size or 0


def _head(table: Table | None) -> int | None:
    found = table.current_snapshot() if table is not None else None
    return found.snapshot_id if found else None
