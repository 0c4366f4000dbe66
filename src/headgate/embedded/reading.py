"""This file is where the catalog's tables are read: aspects, series, entities and their relationships."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row

from headgate.embedded.changes import dumps, loads
from headgate.embedded.urns import kind_of
from headgate.errors import Invalid
from headgate.ledger.schema import catalog_aspect, catalog_edge, catalog_entity, catalog_series

MOST: Final = 5_000  #: of anything in one answer
_CHUNK: Final = 400


@dataclass(frozen=True, slots=True)
class Aspect:
    """One version of an aspect. `version` 0: the newest; `number`: which one that is. `at`: seconds."""

    urn: str
    name: str
    version: int
    number: int
    value: dict[str, Any]
    system: Mapping[str, Any]
    at: float
    actor: str


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a series."""

    at_ms: int
    text: str  #: the aspect as JSON
    system: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entity:
    urn: str
    kind: str
    removed: bool
    created: float  #: seconds


@dataclass(frozen=True, slots=True)
class Related:
    """One end of a relationship. `outgoing`: the entity asked about names the other."""

    type: str
    outgoing: bool
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One condition on entities: a field, and the values one of which it must have."""

    field: str
    values: Sequence[str]
    negated: bool = False
    contains: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which entities are wanted. `any_of`: alternatives, each a list of conditions that must all hold."""

    kinds: Sequence[str] = ()
    text: str = "*"
    any_of: Sequence[Sequence[Criterion]] = field(default=())
    removed: bool = False  #: softly deleted ones, too


def aspect(connection: Connection, urn: str, name: str, version: int = 0) -> Aspect | None:
    """The version of the aspect; 0 is the newest, which is also found by its own number."""
    c = catalog_aspect.c
    wanted = sa.or_(c.version == version, sa.and_(c.version == 0, c.number == version))
    row = connection.execute(sa.select(catalog_aspect).where(c.urn == urn, c.name == name, wanted)).first()
    return _aspect(row) if row else None


def aspects(connection: Connection, urns: Sequence[str], names: Sequence[str] = ()) -> dict[str, dict[str, Aspect]]:
    """The newest versions of these entities' aspects, by URN and name; of all aspects when none is named."""
    found: dict[str, dict[str, Aspect]] = {urn: {} for urn in urns}
    c = catalog_aspect.c
    for some in _chunks(sorted(set(urns))):
        select = sa.select(catalog_aspect).where(c.urn.in_(some), c.version == 0).order_by(c.urn, c.name)
        if names:
            select = select.where(c.name.in_(list(names)[:_CHUNK]))
        for row in connection.execute(select):
            found[row.urn][row.name] = _aspect(row)
    return found


def entities(connection: Connection, urns: Sequence[str]) -> dict[str, Entity]:
    """Those that are there, softly deleted ones among them."""
    found: dict[str, Entity] = {}
    for some in _chunks(sorted(set(urns))):
        for row in connection.execute(sa.select(catalog_entity).where(catalog_entity.c.urn.in_(some))):
            found[row.urn] = Entity(row.urn, row.kind, row.removed, row.created)
    return found


def series(
    connection: Connection,
    urn: str,
    name: str,
    *,
    begin_ms: int | None = None,
    end_ms: int | None = None,
    limit: int = 10,
    wanted: Callable[[Mapping[str, Any]], bool] | None = None,
) -> list[Point]:
    """The newest points first; at most `limit` of those that `wanted` takes."""
    c = catalog_series.c
    select = sa.select(catalog_series).where(c.urn == urn, c.name == name).order_by(c.at_ms.desc(), c.digest)
    if begin_ms is not None:
        select = select.where(c.at_ms >= begin_ms)
    if end_ms is not None:
        select = select.where(c.at_ms <= end_ms)
    limit = max(0, min(limit, MOST))
    found: list[Point] = []
    for row in connection.execute(select if wanted else select.limit(limit)):
        if wanted is None or wanted(loads(row.value)):
            found.append(Point(row.at_ms, row.value, loads(row.system)))
        if len(found) >= limit:
            break
    return found[:limit]


def related(
    connection: Connection, urn: str, types: Sequence[str], *, outgoing: bool, start: int = 0, count: int = 20
) -> tuple[int, list[Related]]:
    """How many relationships of these types the entity has in this direction, and some of them."""
    c = catalog_edge.c
    mine, other = (c.source, c.target) if outgoing else (c.target, c.source)
    where: list[ColumnElement[bool]] = [mine == urn]
    if types:
        where.append(c.type.in_(list(types)[:_CHUNK]))
    distinct = sa.select(c.type, other.label("other")).where(*where).distinct()
    total = connection.execute(sa.select(sa.func.count()).select_from(distinct.subquery())).scalar_one()
    page = distinct.order_by(c.type, other).offset(max(0, start)).limit(max(0, min(count, MOST)))
    return int(total), [Related(row.type, outgoing, row.other) for row in connection.execute(page)]


def runs_of(connection: Connection, urn: str, edge: str, *, start: int = 0, count: int = 20) -> tuple[int, list[str]]:
    """How many process instances have this relationship to the entity, and their URNs, newest first."""
    e, n = catalog_edge.c, catalog_entity.c
    joined = catalog_edge.join(catalog_entity, e.source == n.urn)
    where = (e.target == urn, e.type == edge, n.kind == "dataProcessInstance", n.removed.is_(False))
    total = connection.execute(
        sa.select(sa.func.count(sa.distinct(e.source))).select_from(joined).where(*where)
    ).scalar_one()
    page = (
        sa.select(n.urn, n.created)
        .select_from(joined)
        .where(*where)
        .distinct()
        .order_by(n.created.desc(), n.urn)
        .offset(max(0, start))
        .limit(max(0, min(count, MOST)))
    )
    return int(total), [row.urn for row in connection.execute(page)]


def search(
    connection: Connection, wanted: Search, *, after: str = "", start: int = 0, count: int = 10
) -> tuple[int, list[str]]:
    """How many entities there are, and the URNs of some, in their order; `after` a URN, or from a place on.

    Raises:
        Invalid: a condition is on a field this catalog does not search by: ignoring it would find too much.
    """
    texts = [wanted.text, after, *(text for some in wanted.any_of for one in some for text in one.values)]
    if any("\0" in one for one in texts):
        raise Invalid("search: expected texts without a NUL character")
    n = catalog_entity.c
    where = _where(wanted)
    total = connection.execute(sa.select(sa.func.count()).select_from(catalog_entity).where(*where)).scalar_one()
    page = sa.select(n.urn).where(*where).order_by(n.urn).limit(max(0, min(count, MOST)))
    page = page.where(n.urn > after) if after else page.offset(max(0, start))
    return int(total), [row.urn for row in connection.execute(page)]


def last_written(connection: Connection, kind: str, names: Sequence[str], count: int) -> list[Aspect]:
    """Those of these aspects of this kind of entity that were written last, newest first."""
    c, n = catalog_aspect.c, catalog_entity.c
    statement = (
        sa.select(catalog_aspect)
        .join(catalog_entity, n.urn == c.urn)
        .where(n.kind == kind, n.removed.is_(False), c.version == 0, c.name.in_(list(names)))
        .order_by(c.at.desc(), c.urn)
        .limit(max(0, min(count, MOST)))
    )
    return [_aspect(row) for row in connection.execute(statement)]


def count_aspects(connection: Connection, name: str, like: str | None) -> int:
    """How many entities have the aspect; `like`: whose URN is like that pattern of SQL's."""
    c = catalog_aspect.c
    where = [c.name == name, c.version == 0]
    if like is not None:
        where.append(c.urn.like(like))
    return int(connection.execute(sa.select(sa.func.count()).select_from(catalog_aspect).where(*where)).scalar_one())


def _where(wanted: Search) -> list[ColumnElement[bool]]:
    n = catalog_entity.c
    where: list[ColumnElement[bool]] = []
    if wanted.kinds:
        where.append(n.kind.in_(list(wanted.kinds)[:_CHUNK]))
    words = wanted.text.strip()
    if words not in ("", "*"):
        pattern = "%".join(_escaped(one) for one in words.lower().split("*"))
        where.append(sa.func.lower(n.urn).like(f"%{pattern}%", escape="\\"))
    alternatives = [sa.and_(sa.true(), *(_criterion(one) for one in some)) for some in wanted.any_of]
    if alternatives:
        where.append(sa.or_(*alternatives))
    asked = any(one.field == "removed" for some in wanted.any_of for one in some)
    if not wanted.removed and not asked:
        where.append(n.removed.is_(False))
    return where


def _criterion(one: Criterion) -> ColumnElement[bool]:
    name = one.field.removesuffix(".keyword")
    find = _FIELDS.get(name)
    if find is None:
        raise Invalid(
            f"filter: this catalog does not search by {one.field[:60]!r}; it knows {', '.join(sorted(_FIELDS))}"
        )
    if one.contains and name not in _COLUMNS:
        raise Invalid(f"filter: {name} is compared whole; CONTAIN is for {', '.join(sorted(_COLUMNS))}")
    values = list(one.values)[:_CHUNK]
    found = _containing(name, values) if one.contains else find(values)
    return sa.not_(sa.func.coalesce(found, sa.false())) if one.negated else found


def _containing(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    column = _COLUMNS[name]
    return sa.or_(sa.false(), *(column.like(f"%{_escaped(value)}%", escape="\\") for value in values))


def _naming(*kinds: str) -> Condition:
    """Entities that have one of these relationships to one of the values."""

    def find(values: Sequence[str]) -> ColumnElement[bool]:
        e = catalog_edge.c
        return catalog_entity.c.urn.in_(sa.select(e.source).where(e.type.in_(kinds), e.target.in_(values)))

    return find


def _saying(fragment: Callable[[str], str], *names: str) -> Condition:
    """Entities one of whose aspects of these names (of any, if none) holds this text."""

    def find(values: Sequence[str]) -> ColumnElement[bool]:
        a = catalog_aspect.c
        said = sa.or_(sa.false(), *(a.value.like(f"%{fragment(value)}%", escape="\\") for value in values))
        named = [a.name.in_(names)] if names else []
        return catalog_entity.c.urn.in_(sa.select(a.urn).where(a.version == 0, said, *named))

    return find


def _custom(value: str) -> str:
    """`env=PROD` as it stands in an aspect: its JSON has the keys in order, so customProperties come early."""
    key, _, text = value.partition("=")
    return f'"customProperties":{{%{_escaped(dumps(key))}:{_escaped(dumps(text))}'


Condition = Callable[[Sequence[str]], ColumnElement[bool]]
_COLUMNS: Final = {
    "urn": catalog_entity.c.urn,
    "platform": catalog_entity.c.platform,
    "origin": catalog_entity.c.origin,
}
_KIND: Final[Condition] = lambda values: sa.func.lower(catalog_entity.c.kind).in_(  # noqa: E731 - as its neighbours
    [value.lower().replace("_", "") for value in values]
)
#: What may be searched by, and how.
_FIELDS: Final[Mapping[str, Condition]] = {
    "urn": catalog_entity.c.urn.in_,
    "platform": catalog_entity.c.platform.in_,
    "origin": catalog_entity.c.origin.in_,
    "removed": lambda values: catalog_entity.c.removed.in_({value.lower() == "true" for value in values}),
    "_entityType": _KIND,
    "entityType": _KIND,
    "container": _naming("IsPartOf"),
    "tags": _naming("TaggedWith"),
    "owners": _naming("OwnedBy"),
    "customProperties": _saying(_custom),
    "env": _saying(
        lambda value: f'"env":{_escaped(dumps(value))}', "containerProperties", "dataJobInfo", "dataFlowInfo"
    ),
    "platformInstance": _saying(lambda value: f'"instance":{_escaped(dumps(value))}', "dataPlatformInstance"),
}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _aspect(row: Row[Any]) -> Aspect:
    return Aspect(row.urn, row.name, row.version, row.number, loads(row.value), loads(row.system), row.at, row.actor)


def _chunks(those: Sequence[str]) -> Iterable[Sequence[str]]:
    return (those[start : start + _CHUNK] for start in range(0, len(those), _CHUNK))


def is_kind(urn: str, *kinds: str) -> bool:
    return kind_of(urn) in kinds
