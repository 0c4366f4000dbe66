"""This file is where a batch's files are put together into passes: those with one header, small ones in bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from pyiceberg.schema import Schema

from headgate.lake import bundle
from headgate.lake.columns import cast
from headgate.lake.headers import Header, Refused, compressed, header_length, names_in
from headgate.lake.rejects import Refusal
from headgate.lake.scan import Part
from headgate.lake.sources import Source, as_read, stamp

#: Files of one pass that are read one by one.
_TOGETHER: Final = 64


@dataclass(slots=True, kw_only=True)
class Findings:
    """What an attempt found to be other than it was taken for. With any of it, nothing lands."""

    sources: dict[str, Source] = field(default_factory=dict[str, Source])  #: as they are, by the id they were taken for
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    alone: set[str] = field(default_factory=set[str])  #: ids of files that can not be bundled

    def __bool__(self) -> bool:
        return bool(self.sources or self.refusals or self.alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one pass will read."""

    names: tuple[str, ...]  #: of the table's columns
    sources: Sequence[Source]
    bundled: bool


def plans(headers: Mapping[Source, Header], names: Mapping[str, str], schema: Schema, alone: set[str]) -> list[Plan]:
    """Every file in one plan.

    Args:
        headers: the files.
        names: folded header name -> column.
        schema: of the table as it will be.
        alone: ids of files that can not be bundled.
    """
    small: dict[tuple[str, ...], list[Source]] = {}
    large: list[tuple[tuple[str, ...], Source]] = []
    columns_of = {
        header: tuple(names[name.casefold()] for name in header)
        for header in dict.fromkeys(header.names for header in headers.values())
    }
    markable = {header for header, columns in columns_of.items() if _mark_at(columns, schema) >= 0}
    for one, header in headers.items():
        columns = columns_of[header.names]
        little = bundle.possible() and header.names in markable and _size(one) <= bundle.SMALL
        if little and one.id not in alone:
            small.setdefault(columns, []).append(one)
        else:
            large.append((columns, one))
    found: list[Plan] = []
    for columns, group in small.items():
        if len(group) == 1:
            large.append((columns, group[0]))
        else:
            runs = bundle.splits([_size(one) for one in group])
            found += [Plan(names=columns, sources=group[run], bundled=True) for run in runs]
    return found + _unbundled(large)


def _unbundled(files: Sequence[tuple[tuple[str, ...], Source]]) -> list[Plan]:
    groups: dict[tuple[tuple[str, ...], bool], list[Source]] = {}
    for columns, one in files:
        groups.setdefault((columns, compressed(str(one.path))), []).append(one)
    return [
        Plan(names=columns, sources=group[start : start + _TOGETHER], bundled=False)
        for (columns, _), group in groups.items()
        for start in range(0, len(group), _TOGETHER)
    ]


def _size(source: Source) -> int:
    seen = source.stamp or stamp(source.path)
    return seen.size


def _mark_at(columns: Sequence[str], schema: Schema) -> int:
    """The first column that is read as text and can carry a bundle's marker; -1 where there is none."""
    return next((n for n, name in enumerate(columns) if cast(schema.find_type(name)).declared == "VARCHAR"), -1)


def parts(
    planned: Sequence[Plan], schema: Schema, headers: Mapping[Source, Header], limit: int, findings: Findings
) -> Iterator[Part]:
    """The plans' parts in turn; the next bundle is put together while the present one is read."""
    loose: list[tuple[tuple[str, ...], Source]] = []

    def part(plan: Plan) -> Part | None:
        if not plan.bundled:
            return Part(names=plan.names, sources=plan.sources, limit=limit)
        mark_at = _mark_at(plan.names, schema)
        return _bundled(plan, mark_at=mark_at, headers=headers, limit=limit, findings=findings, loose=loose)

    with ThreadPoolExecutor(1, thread_name_prefix="bundle") as aside:
        coming: Future[Part | None] | None = None
        for place, plan in enumerate(planned):
            present = coming.result() if coming else part(plan)
            coming = aside.submit(part, planned[place + 1]) if place + 1 < len(planned) else None
            if present is not None:
                yield from _closing(present)
    for plan in _unbundled(loose):
        yield Part(names=plan.names, sources=plan.sources, limit=limit)


def _closing(part: Part) -> Iterator[Part]:
    try:
        yield part
    finally:
        if part.bundle is not None:
            part.bundle.close()


def _bundled(
    plan: Plan,
    *,
    mark_at: int,
    headers: Mapping[Source, Header],
    limit: int,
    findings: Findings,
    loose: list[tuple[tuple[str, ...], Source]],
) -> Part | None:
    """Read the files of a plan into one bundle. What can not stand in it goes to `loose`."""
    made = bundle.Bundle(before=mark_at, after=len(plan.names) - mark_at - 1)
    taken: list[Source] = []
    for one in plan.sources:
        try:
            loaded = bundle.load(one.path, packed=compressed(str(one.path)))
        except FileNotFoundError:
            findings.refusals.append(Refusal(source=one, reason="MISSING", message="it is not there any more"))
            continue
        except Refused as error:
            findings.refusals.append(Refusal(source=one, reason="FILE", message=str(error)))
            continue
        if loaded is None or not bundle.fits(loaded.text):
            loose.append((plan.names, one))
            continue
        now = as_read(one, loaded.etag, loaded.stamp)
        if now.id != one.id or names_in(loaded.text[: header_length(loaded.text)]) != headers[one].names:
            findings.sources[one.id] = now
            continue
        made.add(loaded.text)
        taken.append(one)
    return Part(names=plan.names, sources=taken, limit=limit, bundle=made) if taken else None
