"""This file is where ingestion sources and the requests to execute them are read, as DataHub's lists show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from headgate.embedded import nodes
from headgate.embedded.catalog import Catalog
from headgate.embedded.nodes import Asked, Node
from headgate.embedded.reading import Search
from headgate.errors import Invalid

SOURCE: Final = "dataHubIngestionSource"
REQUEST: Final = "dataHubExecutionRequest"
_INFO, _INPUT, _RESULT = f"{SOURCE}Info", f"{REQUEST}Input", f"{REQUEST}Result"
_PAGE: Final = 500


@dataclass(frozen=True)
class Request:
    """An execution request: what was asked for, and how it ended; `result` is empty before it began."""

    urn: str
    input: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def requested_ms(self) -> int:
        at = self.input.get("requestedAt")
        return at if isinstance(at, int) else 0

    @property
    def source(self) -> str:
        """The URN of the ingestion source; "" where none is named."""
        given: Any = self.input.get("source")
        return str(given.get("ingestionSource") or "") if isinstance(given, Mapping) else ""


def requests(catalog: Catalog) -> list[Request]:
    """Every request that was written, the newest first."""
    urns: list[str] = []
    while True:
        page = catalog.search(Search(kinds=(REQUEST,)), after=urns[-1] if urns else "", count=_PAGE)[1]
        urns += page
        if len(page) < _PAGE:
            break
    found = catalog.aspects(urns, [_INPUT, _RESULT])
    made = [Request(urn, one[_INPUT].value, one[_RESULT].value if _RESULT in one else {})
            for urn in urns if _INPUT in (one := found[urn])]  # fmt: skip
    return sorted(made, key=lambda one: (-one.requested_ms, one.urn))


#: What requests can be filtered by, as DataHub's list names it.
_FILTERS: Final[Mapping[str, Callable[[Request], str]]] = {
    "ingestionSource": lambda one: one.source,
    "executorId": lambda one: str(one.input.get("executorId") or ""),
    "executionResultStatus": lambda one: str(one.result.get("status") or ""),
    "urn": lambda one: one.urn,
}


def list_requests(asked: Asked, input: Mapping[str, Any]) -> Node:
    start, count = nodes.page(input)
    sort = cast("Mapping[str, Any]", input.get("sort") or {"field": "requestTimeMs", "sortOrder": "DESCENDING"})
    if sort["field"] != "requestTimeMs":
        raise Invalid("sort: this catalog sorts execution requests by requestTimeMs")
    found = [one for one in requests(asked.catalog) if _fits(one, cast("list[Any]", input.get("filters") or []))]
    text = str(input.get("query") or "*")
    if text != "*":
        found = [one for one in found if text in one.urn]
    if sort["sortOrder"] == "ASCENDING":
        found.reverse()
    those = found[start : start + count]
    asked.take(len(those))
    return {
        "start": start,
        "count": len(those),
        "total": len(found),
        "executionRequests": [_request(asked, one) for one in those],
    }


def _fits(one: Request, filters: Sequence[Mapping[str, Any]]) -> bool:
    for each in filters:
        of = _FILTERS.get(str(each["field"]))
        if of is None:
            raise Invalid(f"filters: this catalog lists execution requests by {', '.join(_FILTERS)}")
        wanted = [str(value) for value in cast("list[Any]", each.get("values") or [])]
        if (of(one) in wanted) == bool(each.get("negated")):
            return False
    return True


def request(asked: Asked, urn: str) -> Node | None:
    asked.take()
    found = asked.catalog.aspects([urn], [_INPUT, _RESULT])[urn]
    if _INPUT not in found:
        return None
    return _request(asked, Request(urn, found[_INPUT].value, found[_RESULT].value if _RESULT in found else {}))


def _request(asked: Asked, one: Request) -> Node:
    actor = one.input.get("actorUrn")
    arguments = cast("Mapping[str, Any]", one.input.get("args") or {})
    return {
        "__typename": "ExecutionRequest",
        "urn": one.urn,
        "type": "EXECUTION_REQUEST",
        "id": one.urn.rpartition(":")[2],
        "input": {
            "task": one.input.get("task"),
            "source": one.input.get("source") or {},
            "arguments": [{"key": key, "value": value} for key, value in arguments.items()],
            "requestedAt": one.requested_ms,
            "actorUrn": actor,
            "actor": nodes.node(asked, actor) if isinstance(actor, str) else None,
            "executorId": one.input.get("executorId"),
        },
        "result": one.result or None,
        "source": source(asked, one.source),
        "relationships": None,
    }


def list_sources(asked: Asked, input: Mapping[str, Any], search: Search) -> Node:
    start, count = nodes.page(input)
    total, found = asked.catalog.search(search, start=start, count=count)
    asked.take(len(found))
    read = asked.catalog.aspects(found, [_INFO])
    those = [_source(asked, urn, one.value) for urn in found for one in read[urn].values()]
    return {"start": start, "count": len(those), "total": total, "ingestionSources": those}


def source(asked: Asked, urn: str) -> Node | None:
    asked.take()
    info = asked.catalog.aspects([urn], [_INFO])[urn].get(_INFO) if urn else None
    return _source(asked, urn, info.value) if info else None


def _source(asked: Asked, urn: str, info: Mapping[str, Any]) -> Node:
    config = cast("Mapping[str, Any]", info.get("config") or {})
    platform = info.get("platform")
    return {
        "urn": urn,
        "type": info.get("type"),
        "name": info.get("name"),
        "schedule": info.get("schedule"),
        "platform": nodes.node(asked, platform) if isinstance(platform, str) else None,
        "config": {**config, "executorId": config.get("executorId") or "default"},
    }
