"""This file is where rest.li's calls are: its bodies in, its shapes out. Names from rest.li stop here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import unquote

from headgate.embedded import urns
from headgate.embedded.catalog import Catalog
from headgate.embedded.changes import Change, Malformed, loads, make, many, of_restli, system_metadata
from headgate.embedded.reading import MOST, Aspect, Criterion, Search
from headgate.embedded.registry import registry
from headgate.errors import Invalid, NotFound

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One `?action=`. `do` gets the catalog, the body and who calls, and answers what stands under `value`."""

    do: Callable[[Catalog, Body, str], Any]
    writes: bool


# -- writing


def _ingest(catalog: Catalog, body: Body, actor: str) -> Any:
    catalog.write([of_restli(body.get("proposal"))], actor)
    return "success"


def _ingest_batch(catalog: Catalog, body: Body, actor: str) -> Any:
    proposals = many(_list(body, "proposals"), "proposals")
    catalog.write([of_restli(one) for one in proposals], actor)
    return "success"


def _ingest_snapshot(catalog: Catalog, body: Body, actor: str) -> Any:
    """The older form: an entity with its aspects, each under its record's name."""
    entity: Any = body.get("entity")
    held: Any = cast("Body", entity).get("value") if isinstance(entity, Mapping) else None
    if not isinstance(held, Mapping) or len(cast("Body", held)) != 1:
        raise Malformed("entity.value: expected an object with one snapshot")
    snapshot: Any = next(iter(cast("Body", held).values()))
    if not isinstance(snapshot, Mapping):
        raise Malformed("entity.value: expected a snapshot with urn and aspects")
    given = cast("Body", snapshot)
    urn = urns.parse(given.get("urn"))
    system = system_metadata(body.get("systemMetadata"))
    changes: list[Change] = []
    for one in _list(given, "aspects"):
        if not isinstance(one, Mapping) or len(cast("Body", one)) != 1:
            raise Malformed("aspects: expected objects with one aspect each")
        record, value = next(iter(cast("Body", one).items()))
        name = _by_record(record, urn.spec.aspects)
        changes.append(make(entity=urn.spec.name, urn=urn.text, aspect=name, kind="UPSERT", value=value, system=system))
    catalog.write(changes, actor)
    return {}


def _by_record(record: str, among: frozenset[str]) -> str:
    """The aspect with this record name, of those the entity has."""
    plain = record.replace(".pegasus2avro", "")
    for name in among:
        spec = registry().aspects.get(name)
        if spec is not None and spec.record == plain:
            return name
    raise Invalid(f"aspects: the entity has no aspect {record[:120]!r}")


def _delete(catalog: Catalog, body: Body, actor: str) -> Any:
    del actor
    urn = _text(body, "urn")
    aspect = body.get("aspectName")
    if aspect is not None and not isinstance(aspect, str):
        raise Malformed("aspectName: expected a text")
    begin, end = _whole(body, "startTimeMillis"), _whole(body, "endTimeMillis")
    rows, series = catalog.delete(urn, aspect, begin_ms=begin, end_ms=end)
    return {"urn": urn, "rows": rows, "timeseriesRows": series}


def _delete_references(catalog: Catalog, body: Body, actor: str) -> Any:
    """How many entities name this one. They are left as they are: only the question is answered (`dryRun`)."""
    del actor
    urn = _text(body, "urn")
    total, found = catalog.related(urn, [], outgoing=False, count=10)
    if total and not body.get("dryRun"):
        raise Invalid(f"deleteReferences: {total} entities name {urn}; this catalog changes none of them, delete them")
    return {"total": total, "relatedAspects": [{"entity": one.other, "relationship": one.type} for one in found]}


# -- reading


def _series(catalog: Catalog, body: Body, actor: str) -> Any:
    del actor
    urn, name = _text(body, "urn"), _text(body, "aspect")
    limit = _whole(body, "limit")
    if body.get("latestValue"):
        limit = 1
    begin, end = _whole(body, "startTimeMillis"), _whole(body, "endTimeMillis")
    wanted = _filter(body.get("filter"))
    points = catalog.series(
        urn, name, begin_ms=begin, end_ms=end, limit=MOST if limit is None else limit, wanted=wanted
    )
    return {
        "entityName": urns.kind_of(urn),
        "aspectName": name,
        "limit": limit,
        "values": [
            {"aspect": {"value": one.text, "contentType": "application/json"}, "systemMetadata": one.system}
            for one in points
        ],
    }


def _filter(given: object) -> Callable[[Mapping[str, Any]], bool] | None:
    """`{"or": [{"and": [{field, values, condition}]}]}` on a point's own fields."""
    if not isinstance(given, Mapping):
        return None
    either: Any = cast("Body", given).get("or")
    if not either:
        return None
    alternatives = [
        [cast("Body", one) for one in cast("list[Any]", cast("Body", some).get("and") or [])]
        for some in cast("list[Any]", either)
        if isinstance(some, Mapping)
    ]

    def wanted(value: Mapping[str, Any]) -> bool:
        return any(all(_holds(value, one) for one in some) for some in alternatives)

    return wanted


def _holds(value: Mapping[str, Any], criterion: Body) -> bool:
    if criterion.get("condition", "EQUAL") not in ("EQUAL", "IN"):
        raise Invalid("filter: this catalog knows EQUAL and IN")
    found = value.get(str(criterion.get("field")))
    texts = criterion.get("values") or [criterion.get("value")]
    return str(found) in {str(one) for one in cast("list[Any]", texts)}


def _count(catalog: Catalog, body: Body, actor: str) -> Any:
    del actor
    like = body.get("urnLike")
    return catalog.count_aspects(_text(body, "aspect"), like if isinstance(like, str) else None)


def _search(catalog: Catalog, body: Body, actor: str) -> Any:
    del actor
    start, count = _whole(body, "start") or 0, _whole(body, "count")
    wanted = Search(kinds=[_kind(body)], text=str(body.get("input", "*")), any_of=_criteria(body.get("filter")))
    total, found = catalog.search(wanted, start=start, count=10 if count is None else count)
    return {
        "from": start,
        "pageSize": count,
        "numEntities": total,
        "entities": [{"entity": one} for one in found],
        "metadata": {"aggregations": []},
    }


def _list_urns(catalog: Catalog, body: Body, actor: str) -> Any:
    del actor
    start, count = _whole(body, "start") or 0, _whole(body, "count")
    wanted = Search(kinds=[_kind(body)], removed=True)
    total, found = catalog.search(wanted, start=start, count=10 if count is None else count)
    return {"start": start, "count": len(found), "total": total, "entities": found}


def _kind(body: Body) -> str:
    spec = registry().entity(_text(body, "entity"))
    if spec is None:
        raise Invalid(f"entity: there is no entity type {_text(body, 'entity')[:60]!r}")
    return spec.name


def _criteria(given: object) -> list[list[Criterion]]:
    if not isinstance(given, Mapping):
        return []
    filters = cast("Body", given)
    either = cast("list[Any]", filters.get("or") or [])
    some = [cast("list[Any]", cast("Body", one).get("and") or []) for one in either if isinstance(one, Mapping)]
    if not some and filters.get("criteria"):
        some = [cast("list[Any]", filters["criteria"])]
    return [[_criterion(cast("Body", one)) for one in those] for those in some]


def _criterion(given: Body) -> Criterion:
    values = given.get("values") or [given.get("value")]
    if given.get("condition", "EQUAL") not in ("EQUAL", "IN"):
        raise Invalid("filter: this catalog knows EQUAL and IN")
    return Criterion(
        field=str(given.get("field")),
        values=[str(one) for one in cast("list[Any]", values)],
        negated=bool(given.get("negated")),
    )


ASPECTS: Final[Mapping[str, Action]] = {
    "ingestProposal": Action(_ingest, writes=True),
    "ingestProposalBatch": Action(_ingest_batch, writes=True),
    "getTimeseriesAspectValues": Action(_series, writes=False),
    "getCount": Action(_count, writes=False),
}
ENTITIES: Final[Mapping[str, Action]] = {
    "ingest": Action(_ingest_snapshot, writes=True),
    "delete": Action(_delete, writes=True),
    "deleteReferences": Action(_delete_references, writes=True),
    "search": Action(_search, writes=False),
    "listUrns": Action(_list_urns, writes=False),
}


def aspect(catalog: Catalog, urn: str, name: str, version: int) -> dict[str, Any]:
    """One version of an aspect. Raises NotFound."""
    parsed = urns.parse(urn)
    spec = registry().aspects.get(name)
    if spec is None or name not in parsed.spec.aspects:
        raise Invalid(f"aspect: {parsed.spec.name} has no aspect {name[:80]!r}")
    found = catalog.aspect(urn, name, version)
    if found is None:
        raise NotFound(f"aspect {name} of", urn)
    return {"version": found.version, "aspect": {spec.record: found.value}, "systemMetadata": dict(found.system)}


def entities(catalog: Catalog, those: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Entities with their aspects, by URN. Of one that is not there the key aspect is told all the same, as by GMS."""
    parsed = [urns.parse(one) for one in those]
    found = catalog.aspects([one.text for one in parsed], names)
    answer: dict[str, Any] = {}
    for urn in parsed:
        aspects = {name: _enveloped(one) for name, one in found[urn.text].items()}
        aspects.setdefault(urn.spec.key, {"name": urn.spec.key, "type": "VERSIONED", "version": 0, "value": urn.key})
        answer[urn.text] = {"urn": urn.text, "entityName": urn.spec.name, "aspects": aspects}
    return answer


def _enveloped(one: Aspect) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": "VERSIONED",
        "version": one.version,
        "value": one.value,
        "created": {"time": int(one.at * 1000), "actor": one.actor},
        "systemMetadata": dict(one.system),
    }


def listed(text: str) -> list[str]:
    """rest.li's `List(a,b)`, its members percent-decoded; "" is the empty list."""
    if not text:
        return []
    inner = text.removeprefix("List(").removesuffix(")") if text.startswith("List(") else text
    return [unquote(one) for one in inner.split(",") if one]


def _list(body: Body, name: str) -> list[Any]:
    found = body.get(name)
    if not isinstance(found, list):
        raise Malformed(f"{name}: expected a list")
    return cast("list[Any]", found)


def _text(body: Body, name: str) -> str:
    found = body.get(name)
    if not isinstance(found, str):
        raise Malformed(f"{name}: expected a text")
    return found


def _whole(body: Body, name: str) -> int | None:
    found = body.get(name)
    if found is not None and (isinstance(found, bool) or not isinstance(found, int)):
        raise Malformed(f"{name}: expected a whole number")
    return found


__all__ = ["ASPECTS", "ENTITIES", "Action", "aspect", "entities", "listed", "loads"]
