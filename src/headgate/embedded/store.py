"""This file is where changes of aspects are written: in one transaction, all or nothing.

What a batch touches is read at once, changed in memory change by change, and written at once. One transaction at a
time writes: on SQLite that is so anyway, on PostgreSQL replicas take turns by a lock, so that each sees the other's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from headgate.embedded import edges, patch, rules
from headgate.embedded.changes import Change, check, dumps, loads
from headgate.embedded.rules import Stored, Verdict
from headgate.embedded.urns import Urn
from headgate.errors import Invalid
from headgate.ledger import dialects
from headgate.ledger.schema import catalog_aspect, catalog_edge, catalog_entity, catalog_series
from headgate.ledger.writer import Batch

KEPT: Final = 20  #: versions of an aspect, the newest among them; DataHub's own default
_CHUNK: Final = 400  #: URNs in one question: SQLite takes a thousand parameters
_PROPERTIES: Final = "structuredProperties"
_LOCK: Final = 7_405_117  #: PostgreSQL's number of the lock of those who write here

Name = tuple[str, str]  #: an aspect's URN and name


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a change. `number`: the aspect's version, as its system metadata says; 0 for a series."""

    urn: str
    aspect: str
    number: int
    value: Mapping[str, Any] | None
    system: Mapping[str, Any]


@dataclass(slots=True)
class _Aspect:
    """The newest version of an aspect, as it is now in this batch."""

    number: int
    text: str
    system: Mapping[str, Any]
    at: float
    actor: str
    value: Mapping[str, Any]


@dataclass(slots=True)
class _Entity:
    urn: Urn
    removed: bool
    created: float


@dataclass(slots=True)
class _Work:
    """A batch's view of the tables: what was there, and what is to be written."""

    connection: Connection
    now: float
    actor: str
    aspects: dict[Name, _Aspect | None] = field(default_factory=dict[Name, "_Aspect | None"])
    entities: dict[str, _Entity | None] = field(default_factory=dict[str, "_Entity | None"])
    changed: dict[Name, None] = field(default_factory=dict[Name, None])  #: in the order they came
    touched: dict[str, None] = field(default_factory=dict[str, None])
    older: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    series: dict[tuple[str, str, int, str], dict[str, Any]] = field(
        default_factory=dict[tuple[str, str, int, str], dict[str, Any]]
    )
    gone: dict[str, None] = field(default_factory=dict[str, None])


def write(batch: Batch, changes: Sequence[Change], actor: str) -> list[Written]:
    """Make the changes, in their order. For `Ledger.write`.

    Raises:
        Unmet: a version, a time or CREATE does not hold. Invalid: a rule of the catalog forbids one. Then none is made.
    """
    take_turns(batch.connection)
    work = _Work(batch.connection, batch.now, actor)
    _load(work, changes)
    done = [_one(work, change) for change in changes]
    _flush(work)
    return done


def take_turns(connection: Connection) -> None:
    """Until the transaction ends nobody else writes here. A deadlock is PostgreSQL's to see, and is tried again."""
    if not dialects.is_sqlite(connection):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


# -- reading what a batch touches


def _load(work: _Work, changes: Sequence[Change]) -> None:
    wanted = {(one.urn.text, one.spec.name) for one in changes}
    wanted |= {(one.urn.text, one.urn.spec.key) for one in changes}
    if any(one.spec.name == _PROPERTIES for one in changes):
        wanted |= {(urn, name) for urn in set(_property_urns(changes)) for name in ("propertyDefinition", "status")}
    work.aspects.update(dict.fromkeys(wanted))
    work.entities.update({one.urn.text: None for one in changes})
    known = {one.urn.text: one.urn for one in changes}
    for some in _chunks(sorted({urn for urn, _ in wanted})):
        names = sorted({name for _, name in wanted})
        select = sa.select(catalog_aspect).where(
            catalog_aspect.c.urn.in_(some), catalog_aspect.c.name.in_(names), catalog_aspect.c.version == 0
        )
        for row in work.connection.execute(select):
            work.aspects[row.urn, row.name] = _found(row)
        for row in work.connection.execute(sa.select(catalog_entity).where(catalog_entity.c.urn.in_(some))):
            if row.urn in known:
                work.entities[row.urn] = _Entity(known[row.urn], row.removed, row.created)


def _property_urns(changes: Sequence[Change]) -> Iterable[str]:
    """Every property named in an assignment or in a patch of one."""
    for change in changes:
        if change.spec.name == _PROPERTIES:
            text = dumps(change.value)
            for part in text.split('"')[1::2]:
                for piece in part.split("/"):
                    if piece.startswith("urn:li:structuredProperty:"):
                        yield piece


def _definition(work: _Work, urn: str) -> Mapping[str, Any] | None:
    """Of a property that is there and not deleted softly."""
    found, status = (_peek(work, (urn, name)) for name in ("propertyDefinition", "status"))
    if found is None:
        return None
    if status is not None and status.value.get("removed"):
        raise Invalid(f"{urn} was deleted; it cannot be assigned")
    return found.value


def _peek(work: _Work, name: Name) -> _Aspect | None:
    if name not in work.aspects:  # a property already assigned, which the change itself does not name
        select = sa.select(catalog_aspect).where(
            catalog_aspect.c.urn == name[0], catalog_aspect.c.name == name[1], catalog_aspect.c.version == 0
        )
        row = work.connection.execute(select).first()
        work.aspects[name] = _found(row) if row else None
    return work.aspects[name]


# -- one change


def _one(work: _Work, change: Change) -> Written:
    urn, name = change.urn.text, (change.urn.text, change.spec.name)
    if change.spec.timeseries:
        return _point(work, change)
    before = work.aspects.get(name)
    stored = Stored(before.number, before.value, before.at) if before else None
    exists = work.aspects.get((urn, change.urn.spec.key)) is not None
    verdict = rules.condition(change, stored, entity_exists=exists)
    after = _after(work, change, stored) if verdict is Verdict.WRITE and change.kind != "DELETE" else None
    if change.kind == "DELETE":
        _remove(work, change)
        return Written(urn, change.spec.name, 0, None, {})
    if after is None:
        return _written(name, before)
    _key(work, change.urn)
    return _written(name, _put(work, change.urn, change.spec.name, after, change.system))


def _after(work: _Work, change: Change, before: Stored | None) -> dict[str, Any] | None:
    """The aspect's new value; None: it stays as it is."""
    value: dict[str, Any] = dict(change.value) if change.kind != "PATCH" else {}
    if change.kind == "PATCH":
        name = change.spec.name
        value = patch.apply(name, before.value if before else patch.begin(name), change.value)
        if before is not None:
            check(change.urn, change.spec, value)
    return rules.guard(change, value, before, lambda urn: _definition(work, urn))


def _point(work: _Work, change: Change) -> Written:
    """A point of a series: it neither replaces nor is replaced."""
    if change.kind not in ("UPSERT", "CREATE", "RESTATE"):
        raise Invalid(f"{change.spec.name}: a series takes new points, not {change.kind}")
    _key(work, change.urn)
    text = dumps(change.value)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    system = _stamped(work, change.system, None)
    at = int(change.value["timestampMillis"])
    work.series[change.urn.text, change.spec.name, at, digest] = {
        "urn": change.urn.text,
        "name": change.spec.name,
        "at_ms": at,
        "digest": digest,
        "value": text,
        "system": dumps(system),
    }
    return Written(change.urn.text, change.spec.name, 0, change.value, system)


def _put(work: _Work, urn: Urn, aspect: str, value: Mapping[str, Any], system: Mapping[str, Any]) -> _Aspect:
    """Make it the newest version; the same value again only renews when it was last seen."""
    name = (urn.text, aspect)
    before, text = work.aspects.get(name), dumps(value)
    if before is not None and before.text == text:
        before.system = {**before.system, **_seen(work, system)}
        work.changed[name] = None
        return before
    number = before.number + 1 if before else 1
    if before is not None:
        work.older.append(_row(name, before, version=before.number))
    made = _Aspect(number, text, _stamped(work, system, number), work.now, work.actor, value)
    work.aspects[name] = made
    work.changed[name] = None
    _note(work, urn, aspect, value)
    return made


def _key(work: _Work, urn: Urn) -> None:
    """An entity is there as soon as anything is said of it: its key aspect is written with the first aspect."""
    if work.entities.get(urn.text) is None:
        work.entities[urn.text] = _Entity(urn, removed=False, created=work.now)
        work.touched[urn.text] = None
    if work.aspects.get((urn.text, urn.spec.key)) is None:
        _put(work, urn, urn.spec.key, urn.key, {})


def _note(work: _Work, urn: Urn, aspect: str, value: Mapping[str, Any]) -> None:
    """What the entity's own row says, by its aspects."""
    entity = work.entities.get(urn.text)
    if entity is None:
        return
    if aspect == "status":
        entity.removed = bool(value.get("removed", False))
    elif aspect == "dataProcessInstanceProperties":
        made: Any = value.get("created")
        time = cast("Mapping[str, Any]", made).get("time") if isinstance(made, Mapping) else None
        if isinstance(time, int):
            entity.created = time / 1000
    else:
        return
    work.touched[urn.text] = None


def _remove(work: _Work, change: Change) -> None:
    """One aspect; the key aspect stands for the whole entity."""
    urn = change.urn.text
    names = [name for name in work.aspects if name[0] == urn]
    if change.spec.name != change.urn.spec.key:
        names = [(urn, change.spec.name)]
        if change.spec.name == "status":
            _note(work, change.urn, "status", {})
    else:
        work.gone[urn] = None
        work.entities[urn] = None
    for name in names:
        work.aspects[name] = None
        work.changed[name] = None


# -- writing it


def _flush(work: _Work) -> None:
    connection = work.connection
    for urn in work.gone:
        for table, column in ((catalog_aspect, "urn"), (catalog_series, "urn"), (catalog_edge, "source")):
            connection.execute(sa.delete(table).where(table.c[column] == urn))
        connection.execute(sa.delete(catalog_entity).where(catalog_entity.c.urn == urn))
    names = list(work.changed)
    if names:
        _flush_aspects(work, names)
    if work.series:
        keys: list[dict[str, Any]] = [dict(zip("unad", key, strict=True)) for key in work.series]
        c = catalog_series.c
        same = sa.delete(catalog_series).where(
            c.urn == sa.bindparam("u"),
            c.name == sa.bindparam("n"),
            c.at_ms == sa.bindparam("a"),
            c.digest == sa.bindparam("d"),
        )
        connection.execute(same, keys)
        connection.execute(sa.insert(catalog_series), list(work.series.values()))
    rows = [_entity_row(one) for urn in work.touched if (one := work.entities.get(urn)) is not None]
    if rows:
        connection.execute(
            sa.delete(catalog_entity).where(catalog_entity.c.urn == sa.bindparam("u")),
            [{"u": one["urn"]} for one in rows],
        )
        connection.execute(sa.insert(catalog_entity), rows)


def _flush_aspects(work: _Work, names: Sequence[Name]) -> None:
    connection, c = work.connection, catalog_aspect.c
    keys = [{"u": urn, "n": name} for urn, name in names]
    of_name = (c.urn == sa.bindparam("u"), c.name == sa.bindparam("n"))
    connection.execute(sa.delete(catalog_aspect).where(*of_name, c.version == 0), keys)
    dead = [key for key, name in zip(keys, names, strict=True) if work.aspects[name] is None]
    if dead:
        connection.execute(sa.delete(catalog_aspect).where(*of_name), dead)
    kept = [one for one in work.older if work.aspects.get((one["urn"], one["name"])) is not None]
    if kept:
        connection.execute(sa.insert(catalog_aspect), kept)
        old = [{"u": one["urn"], "n": one["name"], "v": one["number"] + 1 - KEPT} for one in kept]
        outgrown = sa.delete(catalog_aspect).where(*of_name, c.version > 0, c.version <= sa.bindparam("v"))
        connection.execute(outgrown, old)
    alive = [(name, found) for name in names if (found := work.aspects[name]) is not None]
    if alive:
        connection.execute(sa.insert(catalog_aspect), [_row(name, found, version=0) for name, found in alive])
    e = catalog_edge.c
    connection.execute(
        sa.delete(catalog_edge).where(e.source == sa.bindparam("u"), e.aspect == sa.bindparam("n")), keys
    )
    found_edges = [
        {"source": name[0], "aspect": name[1], "type": kind, "target": target}
        for name, found in alive
        for kind, target in edges.edges_of(name[1], found.value)
    ]
    if found_edges:
        connection.execute(sa.insert(catalog_edge), found_edges)


def _row(name: Name, aspect: _Aspect, *, version: int) -> dict[str, Any]:
    return {
        "urn": name[0],
        "name": name[1],
        "version": version,
        "number": aspect.number,
        "value": aspect.text,
        "system": dumps(aspect.system),
        "at": aspect.at,
        "actor": aspect.actor,
    }


def _entity_row(entity: _Entity) -> dict[str, Any]:
    key = entity.urn.key
    platform = key.get("platform")
    orchestrator = key.get("orchestrator")
    if platform is None and isinstance(orchestrator, str):
        platform = f"urn:li:dataPlatform:{orchestrator}"
    return {
        "urn": entity.urn.text,
        "kind": entity.urn.spec.name,
        "removed": entity.removed,
        "platform": platform,
        "origin": key.get("origin"),
        "created": entity.created,
    }


def _found(row: Row[Any]) -> _Aspect:
    return _Aspect(row.number, row.value, loads(row.system), row.at, row.actor, loads(row.value))


def _seen(work: _Work, system: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"lastObserved": system.get("lastObserved") or int(work.now * 1000)}
    run = system.get("runId")
    if isinstance(run, str):
        seen["lastRunId"] = run
    return seen


def _stamped(work: _Work, system: Mapping[str, Any], number: int | None) -> dict[str, Any]:
    """System metadata as it is kept: the sender's, with ours where it says nothing, and the version as a text."""
    kept = {name: value for name, value in system.items() if value is not None and name != "version"}
    stamped = {"runId": "no-run-id-provided", "lastRunId": "no-run-id-provided", **kept, **_seen(work, system)}
    return stamped if number is None else {**stamped, "version": str(number)}


def _written(name: Name, found: _Aspect | None) -> Written:
    if found is None:
        return Written(name[0], name[1], 0, None, {})
    return Written(name[0], name[1], found.number, found.value, found.system)


def _chunks(those: Sequence[str]) -> Iterable[Sequence[str]]:
    return (those[start : start + _CHUNK] for start in range(0, len(those), _CHUNK))
