"""This file is where an aspect's relationships are found: which other entities it names, and as what. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

Edge = tuple[str, str]  #: the relationship's name, as in DataHub's graph, and the URN at its other end


def edges_of(aspect: str, value: Mapping[str, Any]) -> list[Edge]:
    """Each once, in the aspect's order."""
    find = _FINDERS.get(aspect)
    return list(dict.fromkeys(edge for edge in find(value) if edge[1].startswith("urn:li:"))) if find else []


def _texts(value: Mapping[str, Any], *fields: str) -> Iterable[str]:
    """What the fields hold: one URN, or a list of them."""
    for name in fields:
        found = value.get(name)
        those = cast("list[Any]", found) if isinstance(found, list) else [found]
        yield from (one for one in those if isinstance(one, str))


def _inside(value: Mapping[str, Any], field: str, inner: str) -> Iterable[str]:
    """What a list of objects holds in one of their fields."""
    found = value.get(field)
    for one in cast("list[Any]", found) if isinstance(found, list) else []:
        if isinstance(one, Mapping):
            text = cast("Mapping[str, Any]", one).get(inner)
            if isinstance(text, str):
                yield text


def _job(value: Mapping[str, Any]) -> Iterable[Edge]:
    for urn in (*_texts(value, "inputDatasets"), *_inside(value, "inputDatasetEdges", "destinationUrn")):
        yield "Consumes", urn
    for urn in (*_texts(value, "outputDatasets"), *_inside(value, "outputDatasetEdges", "destinationUrn")):
        yield "Produces", urn
    for urn in (*_texts(value, "inputDatajobs"), *_inside(value, "inputDatajobEdges", "destinationUrn")):
        yield "DownstreamOf", urn


def _named(name: str, *fields: str) -> Callable[[Mapping[str, Any]], Iterable[Edge]]:
    return lambda value: ((name, urn) for urn in _texts(value, *fields))


def _listed(name: str, field: str, inner: str) -> Callable[[Mapping[str, Any]], Iterable[Edge]]:
    return lambda value: ((name, urn) for urn in _inside(value, field, inner))


def _instance(value: Mapping[str, Any]) -> Iterable[Edge]:
    yield from (("InstanceOf", urn) for urn in _texts(value, "parentTemplate"))
    yield from (("ChildOf", urn) for urn in _texts(value, "parentInstance"))
    yield from (("UpstreamOf", urn) for urn in _texts(value, "upstreamInstances"))


_FINDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterable[Edge]]]] = {
    "dataJobInputOutput": _job,
    "dataJobKey": _named("IsPartOf", "flow"),
    "container": _named("IsPartOf", "container"),
    "dataProcessInstanceInput": _named("Consumes", "inputs"),
    "dataProcessInstanceOutput": _named("Produces", "outputs"),
    "dataProcessInstanceRelationships": _instance,
    "upstreamLineage": _listed("DownstreamOf", "upstreams", "dataset"),
    "globalTags": _listed("TaggedWith", "tags", "tag"),
    "ownership": _listed("OwnedBy", "owners", "owner"),
    "glossaryTerms": _listed("TermedWith", "terms", "urn"),
    "dataHubExecutionRequestInput": lambda value: (
        ("ingestionSource", urn)
        for urn in _texts(cast("Mapping[str, Any]", value.get("source") or {}), "ingestionSource")
    ),
}
