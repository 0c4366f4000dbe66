"""This file is where OpenAPI v3's calls are: its bodies in, its shapes out. Names from OpenAPI stop here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from headgate.embedded import urns
from headgate.embedded.catalog import Catalog
from headgate.embedded.changes import Change, Malformed, headers_of, loads, make, many, system_metadata
from headgate.embedded.reading import MOST, Aspect, Point, Search
from headgate.embedded.registry import EntitySpec, registry
from headgate.embedded.store import Written
from headgate.errors import Invalid, NotFound

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """What a path under /openapi/v3/entity names."""

    spec: EntitySpec
    urn: urns.Urn | None = None
    aspect: str | None = None


def place(path: str) -> Place:
    """Read `TYPE[/URN[/ASPECT]]`, percent-encoded. A URN may also have been sent as it is, with slashes of its own.

    Raises:
        NotFound: no such entity type. Invalid: the URN is none, or of another type; no such aspect.
    """
    kind, _, rest = path.strip("/").partition("/")
    spec = registry().entity(unquote(kind))
    if spec is None:
        raise NotFound("entity type", unquote(kind)[:80])
    if not rest:
        return Place(spec)
    parts = rest.split("/")
    aspect = unquote(parts[-1]) if len(parts) > 1 and unquote(parts[-1]) in registry().aspects else None
    if aspect is None and len(parts) == 2 and "%" in parts[0]:
        raise Invalid(f"aspect: there is no aspect {unquote(parts[1])[:80]!r}")
    urn = urns.parse(unquote("/".join(parts[:-1] if aspect else parts)))
    if urn.spec.name != spec.name:
        raise Invalid(f"urn: expected one of a {spec.name}, got {urn.text[:120]!r}")
    if aspect is not None and aspect not in spec.aspects:
        raise Invalid(f"aspect: {spec.name} has no aspect {aspect!r}")
    return Place(spec, urn, aspect)


# -- writing


def write(catalog: Catalog, spec: EntitySpec, body: object, kind: str, actor: str) -> list[dict[str, Any]]:
    """Write `[{urn, ASPECT: {value, systemMetadata?, headers?}, …}]`; answers the same with what was written."""
    changes: list[Change] = []
    for number, one in enumerate(many(_listed(body), "body")):
        if not isinstance(one, Mapping):
            raise Malformed(f"body[{number}]: expected an object with urn and aspects")
        item = cast("Item", one)
        names = [name for name in item if name != "urn"]
        if not names:  # an entity alone: its key aspect
            key = urns.parse(item.get("urn"))
            changes.append(make(entity=spec.name, urn=key.text, aspect=key.spec.key, kind=kind, value=key.key))
        changes += [_change(spec, item.get("urn"), name, item[name], kind) for name in names]
    return _told(catalog.write(changes, actor))


def write_one(catalog: Catalog, at: Place, body: object, kind: str, actor: str) -> dict[str, Any]:
    """Write one aspect, `{value, systemMetadata?, headers?}`; with PATCH the envelope itself."""
    urn, name = _urn(at), at.aspect or ""
    given = {"value": body} if kind == "PATCH" else body
    return _told(catalog.write([_change(at.spec, urn.text, name, given, kind)], actor))[0]


def _change(spec: EntitySpec, urn: object, name: str, given: object, kind: str) -> Change:
    if not isinstance(given, Mapping) or "value" not in given:
        raise Malformed(f"{name}: expected an object with `value`")
    held = cast("Item", given)
    return make(
        entity=spec.name,
        urn=urn,
        aspect=name,
        kind=kind,
        value=held["value"],
        system=system_metadata(held.get("systemMetadata")),
        headers=headers_of(held.get("headers")),
    )


def delete(catalog: Catalog, at: Place) -> None:
    """For good: the aspect, or the entity where none is named. Raises NotFound."""
    urn = _urn(at)
    rows, series = catalog.delete(urn.text, at.aspect)
    if not rows and not series:
        raise NotFound("entity" if at.aspect is None else f"aspect {at.aspect} of", urn.text)


def _told(done: Sequence[Written]) -> list[dict[str, Any]]:
    entities: dict[str, dict[str, Any]] = {}
    for one in done:
        entity = entities.setdefault(one.urn, {"urn": one.urn})
        if one.value is not None:
            entity[one.aspect] = {"value": dict(one.value), "systemMetadata": dict(one.system)}
    return list(entities.values())


# -- reading


def exists(catalog: Catalog, at: Place) -> bool:
    urn = _urn(at)
    if at.aspect is None:
        return urn.text in catalog.entities([urn.text])
    return _newest(catalog, urn.text, at.aspect, 0) is not None


def entity(catalog: Catalog, at: Place, names: Sequence[str], *, system: bool) -> dict[str, Any]:
    """One entity with its aspects. Raises NotFound."""
    urn = _urn(at)
    if urn.text not in catalog.entities([urn.text]):
        raise NotFound("entity", urn.text)
    return entities(catalog, [urn.text], names, system=system)[0]


def aspect(catalog: Catalog, at: Place, version: int, *, system: bool) -> dict[str, Any]:
    """One version of an aspect. Raises NotFound."""
    urn = _urn(at)
    found = _newest(catalog, urn.text, at.aspect or "", version)
    if found is None:
        raise NotFound(f"aspect {at.aspect} of", urn.text)
    if isinstance(found, Point):
        return {"value": loads(found.text), **({"systemMetadata": dict(found.system)} if system else {})}
    return _aspect(found, system=system)


def _newest(catalog: Catalog, urn: str, name: str, version: int) -> Aspect | Point | None:
    if registry().aspects[name].timeseries:
        return next(iter(catalog.series(urn, name, limit=1)), None)
    return catalog.aspect(urn, name, version)


def entities(catalog: Catalog, those: Sequence[str], names: Sequence[str], *, system: bool) -> list[dict[str, Any]]:
    found = catalog.aspects(those, names)
    return [{"urn": urn, **{name: _aspect(one, system=system) for name, one in found[urn].items()}} for urn in those]


def batch_get(catalog: Catalog, spec: EntitySpec, body: object, *, system: bool) -> list[dict[str, Any]]:
    """`[{urn, ASPECT: {}, …}]`: those that are there, each with the aspects named at it."""
    answer: list[dict[str, Any]] = []
    for number, one in enumerate(many(_listed(body), "body")):
        if not isinstance(one, Mapping):
            raise Malformed(f"body[{number}]: expected an object with urn")
        item = cast("Item", one)
        urn = urns.parse(item.get("urn"))
        if urn.spec.name != spec.name:
            raise Invalid(f"body[{number}].urn: expected one of a {spec.name}, got {urn.text[:120]!r}")
        if urn.text in catalog.entities([urn.text]):
            names = [name for name in item if name != "urn"]
            answer += entities(catalog, [urn.text], names, system=system)
    return answer


def scroll(
    catalog: Catalog, wanted: Search, *, after: str, count: int, names: Sequence[str], system: bool
) -> dict[str, Any]:
    """A page of entities in the order of their URNs; `scrollId` is there while there may be more."""
    if not 0 < count <= MOST:
        raise Malformed(f"count: expected 1 to {MOST:,}, got {count}")
    total, found = catalog.search(wanted, after=after, count=count)
    answer: dict[str, Any] = {"entities": entities(catalog, found, names, system=system), "totalCount": total}
    return {**answer, "scrollId": found[-1]} if len(found) == count else answer


def _aspect(found: Aspect, *, system: bool) -> dict[str, Any]:
    return {"value": found.value, **({"systemMetadata": dict(found.system)} if system else {})}


def _listed(body: object) -> list[Any]:
    if not isinstance(body, list):
        raise Malformed("body: expected a list")
    return cast("list[Any]", body)


def _urn(at: Place) -> urns.Urn:
    if at.urn is None:
        raise Malformed("path: expected a URN after the entity type")
    return at.urn
