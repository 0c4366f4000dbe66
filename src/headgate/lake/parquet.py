"""This file is where rows become the table's data files: several at once, none left behind when something fails."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema

from headgate.lake.arrow import Array, ArrowSchema, Batch, call
from headgate.lake.columns import SOURCE_ID

#: Rows of one row group: enough for encodings to pay, few enough that all writers together stay below 200 MB.
GROUP: Final = 120_000
#: Bytes (in memory; about four times what they are on disk) after which a writer takes a new file.
FILE: Final = 1 << 30
#: Rows of a file's beginning that tell how its columns are written.
_SAMPLE: Final = 20_000
_CODEC: Final = "zstd"
_LEVEL: Final = 1
#: Columns whose bounds are always kept: by them `present` finds out what is in the table.
_KEYS: Final = frozenset({SOURCE_ID, "source_id"})
#: Seconds after which the files of a run that never ended are taken away.
ABANDONED: Final = 86_400.0


def arrow_schema(schema: Schema) -> ArrowSchema:
    """The table's schema with field ids, as add_files wants to find it in the files."""
    plain = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    return pa.schema(
        [pa.field(f.name, plain.get(f.type, f.type), metadata=f.metadata) for f in schema_to_pyarrow(schema)]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the columns of a file are written, told from its first rows."""

    schema: ArrowSchema  #: as the rows come: columns that we know to repeat come as dictionaries already
    repeating: list[str]  #: written with a dictionary; trying one in vain costs as much as the writing itself
    packed: list[str]  #: compressed
    bounded: list[str]  #: with least and greatest value, by which whole files can be passed over


def layout(rows: Array, schema: ArrowSchema) -> Layout:
    """Look at the first rows of a file.

    Numbers and times have bounds always. Texts that come in any order have none: their bounds are as wide as the
    table's and let nobody pass over anything, and to find them costs a fifth of the writing.
    """
    sample = rows.slice(0, _SAMPLE)
    came = pa.schema(
        [one.with_type(of) if pa.types.is_dictionary(of := rows.schema.field(one.name).type) else one for one in schema]
    )
    return Layout(
        schema=came,
        repeating=[one.name for one in came if _repeats(sample.column(one.name))],
        packed=[one.name for one in came if _shrinks(sample.column(one.name))],
        bounded=[one.name for one in came if one.name in _KEYS or _ordered(sample.column(one.name))],
    )


def _repeats(values: Array) -> bool:
    if pa.types.is_dictionary(values.type):
        return True
    if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type):
        return False  # amounts hardly do
    return len(values) < _SAMPLE or 2 * call("count_distinct", values).as_py() <= len(values)


def _shrinks(values: Array) -> bool:
    """Whether compressing is worth the while: measured fractions hardly get smaller, whatever is tried."""
    if not pa.types.is_floating(values.type) or len(values) < _SAMPLE:
        return True
    plain = pa.concat_arrays(values.chunks).drop_null().buffers()[1]
    return plain is None or 10 * len(pa.compress(plain, _CODEC, asbytes=True)) < 8 * len(plain)


def _ordered(values: Array) -> bool:
    if not pa.types.is_string(values.type) or len(values) < _SAMPLE:
        return True
    falls = call("sum", call("less", values.slice(1), values.slice(0, len(values) - 1))).as_py() or 0
    return 100 * falls <= len(values)


class _Writer:
    """One writer with a thread of its own, so that its groups are written in turn."""

    def __init__(self, folder: Path, name: str, schema: ArrowSchema) -> None:
        self.paths: list[Path] = []
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._folder, self._name, self._schema = folder, name, schema
        self._file: pq.ParquetWriter | None = None
        self._layout = Layout(schema=schema, repeating=[], packed=[], bounded=[])  # of the file, told when it is begun
        self._written = 0

    def write(self, group: list[Batch]) -> None:
        table = pa.Table.from_batches(group).unify_dictionaries()
        if self._file is None:
            self._layout = layout(table, self._schema)
            path = self._folder / f"{self._name}-{len(self.paths)}.parquet"
            self.paths.append(path)
            self._file = pq.ParquetWriter(
                path,
                self._layout.schema,
                compression={one: _CODEC if one in self._layout.packed else "none" for one in self._schema.names},  # pyright: ignore[reportArgumentType] - one for each column is taken, too
                compression_level=dict.fromkeys(self._layout.packed, _LEVEL),
                use_dictionary=self._layout.repeating,  # pyright: ignore[reportArgumentType] - names are taken, too
                write_statistics=self._layout.bounded,  # pyright: ignore[reportArgumentType] - as above
                store_schema=False,  # dictionaries are our affair: readers are to find plain columns
            )
        self._file.write_table(table.cast(self._layout.schema), row_group_size=2 * GROUP)
        self._written += table.nbytes
        if self._written > FILE:
            self.finish()

    def finish(self) -> None:
        file, self._file, self._written = self._file, None, 0
        if file is not None:
            file.close()


class DataFiles:
    """Writers of one batch's data files, as a context: leaving it without `keep` or `abandon` deletes them.

    While they are written a marker names them, so that `sweep` can find those of a process that was killed.
    """

    def __init__(self, folder: Path, schema: ArrowSchema, *, writers: int) -> None:
        self.stem = f"headgate-{uuid.uuid4().hex}"
        self.rows = 0
        self.schema = schema
        self._folder = folder
        self._pending: list[Batch] = []
        self._pending_rows = 0
        self._writers = [_Writer(folder, f"{self.stem}-{n}", schema) for n in range(writers)]
        self._turn = itertools.cycle(self._writers)
        self._running: deque[Future[None]] = deque()
        self._kept = False

    @property
    def paths(self) -> list[Path]:
        return [path for one in self._writers for path in one.paths]

    def __enter__(self) -> DataFiles:
        self._marker().parent.mkdir(parents=True, exist_ok=True)
        self._marker().touch()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._writers:
            one.thread.shutdown(wait=True, cancel_futures=True)
            with contextlib.suppress(OSError, pa.ArrowException):  # of files that are about to be deleted
                one.finish()
        if not self._kept:
            self._discard()

    def put(self, batch: Batch) -> None:
        """Hand rows over to the writers; waits while they are behind. Raises what a writer failed with."""
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self.rows += batch.num_rows
        if self._pending_rows >= GROUP:
            self._flush()

    def close(self) -> None:
        """Write out what is left. The files are complete, and named in `paths`, when this returns."""
        if self._pending_rows:
            self._flush()
        for one in self._writers:
            self._running.append(one.thread.submit(one.finish))
        while self._running:
            self._running.popleft().result()

    def keep(self) -> None:
        """The files now belong to the table."""
        self._kept = True
        self._marker().unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave the files: nobody knows whether the table took them. `sweep` will find out, tomorrow."""
        self._kept = True

    def _flush(self) -> None:
        if len(self._running) >= len(self._writers):
            self._running.popleft().result()
        writer = next(self._turn)
        self._running.append(writer.thread.submit(writer.write, self._pending))
        self._pending, self._pending_rows = [], 0

    def _discard(self) -> None:
        for path in self.paths:
            path.unlink(missing_ok=True)
        self._marker().unlink(missing_ok=True)

    def _marker(self) -> Path:
        return self._folder / ".pending" / self.stem


def abandoned(folder: Path) -> list[str]:
    """Stems of files whose run ended without a word more than a day ago."""
    old = time.time() - ABANDONED
    found: list[str] = []
    for marker in (folder / ".pending").glob("headgate-*"):
        with contextlib.suppress(FileNotFoundError):
            if marker.stat().st_mtime < old:
                found.append(marker.name)
    return found


def remove(folder: Path, stem: str, referenced: frozenset[str]) -> int:
    """Delete the files of an abandoned stem that no snapshot refers to, and its marker; returns how many."""
    mine = [path for path in folder.glob(f"{stem}-*.parquet") if path.name not in referenced]
    for path in mine:
        path.unlink(missing_ok=True)
    (folder / ".pending" / stem).unlink(missing_ok=True)
    return len(mine)
