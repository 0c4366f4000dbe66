"""This file is where a batch's files are put together into passes: those with one header, small ones in bundles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Final, TypeVar

from pyiceberg.schema import Schema
from pyiceberg.types import StringType

from headgate.lake import bundle, quick
from headgate.lake.columns import cast
from headgate.lake.headers import Header, Refused, compressed, header_length, names_in
from headgate.lake.locate import count
from headgate.lake.rejects import Refusal
from headgate.lake.scan import Part, beginning, located, threads
from headgate.lake.sources import Source, as_read, stamp, untouched
from headgate.lake.text import Text, opened

#: Files of one pass that are read one by one.
_TOGETHER: Final = 64
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Findings:
    """What an attempt found to be other than it was taken for. With any of it, nothing lands."""

    sources: dict[str, Source] = field(default_factory=dict[str, Source])  #: as they are, by the id they were taken for
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    alone: set[str] = field(default_factory=set[str])  #: ids of files that can not be bundled

    def __bool__(self) -> bool:
        return bool(self.sources or self.refusals or self.alone)


class How(Enum):
    """How files are read: many small ones as one, a large one in chunks, or as they are by the careful reader alone."""

    BUNDLED = auto()
    CUT = auto()
    WHOLE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass will read."""

    names: tuple[str, ...]  #: of the table's columns
    sources: Sequence[Source]
    how: How


def plans(headers: Mapping[Source, Header], names: Mapping[str, str], schema: Schema, alone: set[str]) -> list[Plan]:
    """Every file in one plan.

    Args:
        headers: the files.
        names: folded header name -> column.
        schema: of the table as it will be.
        alone: ids of files that can not be bundled.
    """
    small: dict[tuple[str, ...], list[Source]] = {}
    whole: list[tuple[tuple[str, ...], Source]] = []
    found: list[Plan] = []
    columns_of = {
        header: tuple(names[name.casefold()] for name in header)
        for header in dict.fromkeys(header.names for header in headers.values())
    }
    markable = {header for header, columns in columns_of.items() if _mark_at(columns, schema) >= 0}
    for one, header in headers.items():
        columns = columns_of[header.names]
        if one.id in alone or not bundle.possible():
            whole.append((columns, one))
        elif header.names in markable and _size(one) <= bundle.SMALL:
            small.setdefault(columns, []).append(one)
        else:
            found.append(Plan(names=columns, sources=[one], how=How.CUT))
    for columns, group in small.items():
        runs = bundle.splits([_size(one) for one in group])
        found += [Plan(names=columns, sources=group[run], how=How.BUNDLED) for run in runs]
    return found + _whole(whole)


def _whole(files: Sequence[tuple[tuple[str, ...], Source]]) -> list[Plan]:
    groups: dict[tuple[tuple[str, ...], bool], list[Source]] = {}
    for columns, one in files:
        groups.setdefault((columns, compressed(str(one.path))), []).append(one)
    return [
        Plan(names=columns, sources=group[start : start + _TOGETHER], how=How.WHOLE)
        for (columns, _), group in groups.items()
        for start in range(0, len(group), _TOGETHER)
    ]


def _size(source: Source) -> int:
    seen = source.stamp or stamp(source.path)
    return seen.size


def _mark_at(columns: Sequence[str], schema: Schema) -> int:
    """The first column that can carry a bundle's marker, best one of text; -1 where there is none."""
    texts = [n for n, name in enumerate(columns) if isinstance(schema.find_type(name), StringType)]
    read_as_text = [n for n, name in enumerate(columns) if cast(schema.find_type(name)).declared == "VARCHAR"]
    return next(iter(texts + read_as_text), -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The parts of a batch in turn, each read by the quick reader ahead of time if it has no fault."""

    schema: Schema
    headers: Mapping[Source, Header]
    limit: int
    findings: Findings
    _loose: list[tuple[tuple[str, ...], Source]] = field(default_factory=list[tuple[tuple[str, ...], Source]])

    def parts(self, planned: Sequence[Plan]) -> Iterator[Part]:
        with ThreadPoolExecutor(threads(), thread_name_prefix="read") as pool:
            bundled = (lambda plan=plan: self._bundle(plan) for plan in planned if plan.how is How.BUNDLED)
            for part in ahead(pool, bundled):
                if part is not None:
                    yield from _closing(part)
            for plan in planned:
                if plan.how is How.CUT:
                    yield from self._cut(plan, pool)
        whole = [plan for plan in planned if plan.how is How.WHOLE]
        for plan in [*whole, *_whole(self._loose)]:
            yield Part(names=plan.names, sources=plan.sources, limit=self.limit)

    def _bundle(self, plan: Plan) -> Part | None:
        """Read the files of a plan into one bundle. What can not stand in it is read whole, later."""
        mark_at = _mark_at(plan.names, self.schema)
        made = bundle.Bundle(before=mark_at, after=len(plan.names) - mark_at - 1)
        taken: list[Source] = []
        for one in plan.sources:
            try:
                loaded = bundle.load(one.path, packed=compressed(str(one.path)))
            except (FileNotFoundError, Refused) as error:
                self._refuse(one, error)
                continue
            if loaded is None or not bundle.fits(loaded.text):
                self._loose.append((plan.names, one))
                continue
            now = as_read(one, loaded.etag, loaded.stamp)
            if now.id != one.id or names_in(loaded.text[: header_length(loaded.text)]) != self.headers[one].names:
                self.findings.sources[one.id] = now
                continue
            made.add(loaded.text)
            taken.append(one)
        if not taken:
            return None
        part = Part(names=plan.names, sources=taken, limit=self.limit, bundle=made, hashed=True)
        if quick.quotes(made.records) is quick.Quotes.IRREGULAR:
            return part
        batch = quick.faultless(made.records, part.names, self.schema)
        if batch is not None:
            rows, places, markers = located(made, part.names, batch)
            if markers == (len(part.sources) if made.marked else 0):
                part.quick, part.markers = (rows, places), markers
        return part

    def _cut(self, plan: Plan, pool: ThreadPoolExecutor) -> Iterator[Part]:
        """One large file, chunk by chunk."""
        [source] = plan.sources
        try:
            known = partial(untouched, source)
            with opened(source.path, packed=compressed(str(source.path)), known=known) as text:
                yield from self._chunks(plan, pool, text)
                if not self._given_up(source):
                    now = as_read(source, *text.identity())
                    if now.id != source.id:
                        self.findings.sources[source.id] = now
        except (FileNotFoundError, Refused) as error:
            self._refuse(source, error)

    def _chunks(self, plan: Plan, pool: ThreadPoolExecutor, text: Text) -> Iterator[Part]:
        [source] = plan.sources
        header, offset, records = text.header, len(text.header), 1

        def read(chunk: memoryview) -> tuple[Part, quick.Quotes, memoryview]:
            part = Part(names=plan.names, sources=[source], limit=self.limit, hashed=True)
            quotes = quick.quotes(chunk)
            if quotes is not quick.Quotes.IRREGULAR:
                batch = quick.faultless(chunk, part.names, self.schema)
                if batch is not None:
                    part.quick = batch, beginning(batch.num_rows)
                else:
                    part.bundle = bundle.Bundle(before=-1, after=0)
                    part.bundle.add(header + chunk)
            return part, quotes, chunk

        if names_in(header) != self.headers[source].names:
            self.findings.alone.add(source.id)  # it is being changed: to be compared with what was announced
            return
        for part, quotes, chunk in ahead(pool, (partial(read, one) for one in quick.chunks(text.file))):
            if self._given_up(source):
                return
            if quotes is quick.Quotes.IRREGULAR:
                self.findings.alone.add(source.id)
                return
            part.shift = (offset - len(header), records - 1)
            offset += len(chunk)
            part.upto = offset
            rows = part.quick[0].num_rows if part.quick and quotes is quick.Quotes.FULL else count(bytes(chunk))
            records += rows
            yield from _closing(part)

    def _given_up(self, source: Source) -> bool:
        return source.id in self.findings.alone or any(one.source is source for one in self.findings.refusals)

    def _refuse(self, source: Source, error: Exception) -> None:
        missing = isinstance(error, FileNotFoundError)
        message = "it is not there any more" if missing else str(error)
        reason = "MISSING" if missing else "FILE"
        self.findings.refusals.append(Refusal(source=source, reason=reason, message=message))


def ahead(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], T]]) -> Iterator[T]:
    """The tasks' results in order, a few tasks being done before they are asked for."""
    coming: deque[Future[T]] = deque()
    try:
        for task in tasks:
            coming.append(pool.submit(task))
            if len(coming) > threads():
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for one in coming:
            one.cancel()


def _closing(part: Part) -> Iterator[Part]:
    try:
        yield part
    finally:
        if part.bundle is not None:
            part.bundle.close()
