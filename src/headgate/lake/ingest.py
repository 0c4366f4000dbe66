"""This file is where CSV files become rows of an Iceberg table: the job `headgate.lake.csv_to_iceberg`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from headgate.errors import Invalid, Unavailable
from headgate.job import Context, NotRetryable
from headgate.lake import evolve, lineage
from headgate.lake.attempt import Attempt, Changed
from headgate.lake.catalog import DEFAULT_TABLE, find_table, make_table, open_catalog, parts, translated
from headgate.lake.columns import DECLARED, OURS, REJECTS, SOURCE_ID, schema_of
from headgate.lake.commit import AlreadyThere, SchemaMoved, present, rejects_of, sweep
from headgate.lake.headers import Header, Refused, compressed, read_header
from headgate.lake.passes import Findings
from headgate.lake.rejects import Refusal
from headgate.lake.scan import on_demand
from headgate.lake.sources import Source, announced, ingest_ts, new_files

MAX_REJECTS: Final = 1000
#: How often a batch is begun again because files or the table changed under it.
_TRIES: Final = 20


@dataclass(slots=True, kw_only=True)
class Batch:
    """What a run still has to do, and what it found out about the files it will not take."""

    sources: list[Source]
    skipped: set[str] = field(default_factory=set[str])  #: ids of sources that are in the table
    refusals: dict[str, Refusal] = field(default_factory=dict[str, Refusal])  #: by source id
    columns: set[str] = field(default_factory=set[str])  #: that the newest headers name, folded

    def left(self) -> list[Source]:
        return [one for one in self.sources if one.id not in self.skipped and one.id not in self.refusals]


def csv_to_iceberg(context: Context) -> None:
    """Land a run's CSV files in a table, each exactly once, in one commit; bad records go to `<table>_rejects`.

    Arguments: `--table` (namespace.table), `--source` (s3://bucket/prefix/, for runs without a manifest),
    `--max_rejects` (per file). Result: `table`, `files` (all the run was given), `landed`, `skipped` (were there
    already), `refused`, `rows`, `rejects` (records and refused files), `written` (the tables that were), `snapshot_id`,
    `ingest_ts`.

    A file that changed since its event is taken as it is now, under the id of the bytes that were read; the event of
    those bytes then adds nothing. One that is gone is refused (reason MISSING). Rejects are written before the rows:
    after a crash in between, the next try puts the same rejects in place of them.

    Raises:
        NotRetryable: every file was refused, or an argument is wrong.
        Unavailable: no room, or the catalog is busy; nothing landed.
    """
    try:
        with translated("the result of the run"):
            _ingest(context)
    except Invalid as error:
        raise NotRetryable(str(error)) from error


def _ingest(context: Context) -> None:
    started = time.monotonic()
    name, limit = _arguments(context)
    catalog = open_catalog(context.lake)
    sources = _sources(context)
    _say(f"{len(sources)} files for {name}")
    batch = Batch(sources=sources)
    table = find_table(catalog, name)
    if table is not None:
        batch.skipped |= present(table, [one.id for one in sources])
    for one in (table, find_table(catalog, rejects_of(name))):
        if one is not None:
            sweep(one)
    totals, snapshot = _land(context, catalog, name, batch, limit)
    _finish(context, name, batch, totals, snapshot)
    _tell_lineage(context, catalog, name, batch)
    _say(f"{name}: {totals['rows']} rows, {totals['rejects']} rejects in {time.monotonic() - started:.1f} s")
    if sources and len(batch.refusals) == len(sources):
        first = next(iter(batch.refusals.values()))
        raise NotRetryable(
            f"every file was refused ({len(sources)}); the first, {first.source.uri}: {first.message}. "
            f"See {rejects_of(name)}"
        )


def _arguments(context: Context) -> tuple[str, int]:
    name = context.arguments.get("--table", DEFAULT_TABLE)
    limit = context.arguments.get("--max_rejects", str(MAX_REJECTS))
    try:
        parts(name)
    except Invalid as error:
        raise NotRetryable(f"--table: {error}") from error
    if not limit.isdecimal():
        raise NotRetryable(f"--max_rejects {limit!r} is no whole number")
    return name, int(limit)


def _sources(context: Context) -> list[Source]:
    if context.manifest is not None:
        return announced(context.manifest, context.lake.inboxes)
    source = context.arguments.get("--source")
    if not source:
        raise NotRetryable("a run without a manifest needs --source s3://bucket/prefix/ to know what to take")
    return new_files(source, context.lake.inboxes)


def _land(
    context: Context, catalog: SqlCatalog, name: str, batch: Batch, limit: int
) -> tuple[Counter[str], int | None]:
    """Try until nothing changed under the batch; returns the counts and the snapshot that holds the rows."""
    alone: set[str] = set()
    for _ in range(_TRIES):
        headers = _headers(batch)
        table = _table(catalog, name, headers)
        if table is not None:
            _require_known(batch, headers, table)
        make_table(catalog, rejects_of(name), REJECTS)
        attempt = Attempt(context=context, catalog=catalog, name=name, limit=limit, alone=alone)
        try:
            return attempt.run(table, headers, list(batch.refusals.values()))
        except AlreadyThere as error:
            batch.skipped |= error.ids
            _say(f"{len(error.ids)} files were landed by another run meanwhile")
        except SchemaMoved:
            _say(f"{name} got other columns meanwhile; writing the files again")
        except Changed as error:
            _take_changes(batch, error.findings)
            alone |= error.findings.alone
    raise Unavailable(f"the files or {name} kept changing for {_TRIES} tries; run it again when they rest")


def _take_changes(batch: Batch, change: Findings) -> None:
    """Files that turned out to be other bytes than announced, or to be no good, as the next try sees them."""
    for refusal in change.refusals:
        batch.refusals[refusal.source.id] = refusal
        _say(f"{refusal.source.uri}: refused, {refusal.message}")
    replaced: dict[str, Source] = {}
    for one in batch.sources:
        now = change.sources.get(one.id, one)
        if now.id != one.id:
            _say(f"{one.uri}: changed since its event; taken as it is now")
        replaced.setdefault(now.id, now)
    batch.sources = list(replaced.values())


def _headers(batch: Batch) -> dict[Source, Header]:
    headers: dict[Source, Header] = {}
    for one in batch.left():
        try:
            headers[one] = read_header(one.path, packed=compressed(str(one.path)))
        except Refused as error:
            _refuse(batch, Refusal(source=one, reason="FILE", message=str(error)))
        except FileNotFoundError:
            _refuse(batch, Refusal(source=one, reason="MISSING", message="it is not there any more"))
        except OSError as error:
            _refuse(batch, Refusal(source=one, reason="FILE", message=f"it can not be read: {error.strerror}"))
    batch.columns = {name.casefold() for header in headers.values() for name in header.names}
    return headers


def _refuse(batch: Batch, refusal: Refusal) -> None:
    batch.refusals[refusal.source.id] = refusal
    _say(f"{refusal.source.uri}: refused, {refusal.message}")


def _table(catalog: SqlCatalog, name: str, headers: dict[Source, Header]) -> Table | None:
    """The table, made as declared or from a full scan of the files where there is none. None: nor is there a file."""
    table = find_table(catalog, name)
    declared = DECLARED.get(parts(name)[1])
    if table is not None:
        return table
    if declared is not None:
        return make_table(catalog, name, schema_of(declared))
    if not headers:
        return None
    with on_demand() as duck:
        return make_table(catalog, name, schema_of(evolve.fresh(duck, headers, ())))


def _require_known(batch: Batch, headers: dict[Source, Header], table: Table) -> None:
    """Refuse files whose first record names no column of the table: that is no header, but data."""
    known = {one.name.casefold() for one in table.schema().fields}
    if SOURCE_ID not in known:
        raise NotRetryable(f"the table {'.'.join(table.name())} has no column {SOURCE_ID}; it was not made by Headgate")
    for one in list(headers):
        if known.isdisjoint(name.casefold() for name in headers[one].names):
            message = "it has no header: its first record names no column of the table"
            _refuse(batch, Refusal(source=one, reason="FILE", message=message))
            del headers[one]


def _finish(context: Context, name: str, batch: Batch, totals: Counter[str], snapshot: int | None) -> None:
    skipped = [one for one in batch.sources if one.id in batch.skipped]
    for one in skipped[:20]:
        _say(f"{one.uri}: skipped, it is in the table already")
    if len(skipped) > 20:
        _say(f"and {len(skipped) - 20} more")
    total = len(batch.sources)
    context.progress(files_done=total, files=total, rows=totals["rows"])
    written = [name] if batch.left() else []
    if totals["rejects"]:
        written.append(rejects_of(name))
    context.result(
        table=name,
        files=total,
        landed=len(batch.left()),
        skipped=len(skipped),
        refused=len(batch.refusals),
        rows=totals["rows"],
        rejects=totals["rejects"],
        written=written,
        snapshot_id=snapshot,
        ingest_ts=ingest_ts(batch.sources),
    )


def _tell_lineage(context: Context, catalog: SqlCatalog, name: str, batch: Batch) -> None:
    """Say which folders the rows came from, column by column; nothing where nothing landed."""
    table = find_table(catalog, name)
    landed = batch.left()
    if table is None or not landed:
        return
    schema = table.schema()
    folders = lineage.folders_of((one.object.bucket, one.object.key) for one in landed)
    columns = [one.name for one in schema.fields if one.name.casefold() in batch.columns and one.name not in OURS]
    context.result(openlineage=lineage.landed(folders, columns, name, schema))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a job's standard output is its log
