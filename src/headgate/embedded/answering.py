"""This file is where GraphQL's root fields are: what may be asked, and what may be changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from headgate.embedded import ingestions, nodes, urns
from headgate.embedded.changes import make
from headgate.embedded.nodes import Asked, Node
from headgate.embedded.reading import Criterion, Search
from headgate.embedded.registry import registry
from headgate.errors import Conflict, Forbidden, Invalid

_MOST_FOUND: Final = 10_000  #: of one page of a search


# -- asking


def _me(asked: Asked) -> Node:
    names = ("manageIngestion", "manageSecrets", "generatePersonalAccessTokens", "manageTokens", "managePolicies",
             "manageStructuredProperties")  # fmt: skip
    return {"corpUser": nodes.node(asked, asked.reader), "platformPrivileges": dict.fromkeys(names, True)}


def _granted(asked: Asked, input: Mapping[str, Any]) -> Node:
    if input["actorUrn"] != asked.reader:
        raise Forbidden("Unauthorized to perform this action. Please contact your DataHub administrator.")
    spec = cast("Mapping[str, Any] | None", input.get("resourceSpec"))
    if spec is not None:
        urns.parse(spec["resourceUrn"])
    return {"privileges": sorted(nodes.PRIVILEGES)}


def _exists(asked: Asked, urn: str) -> bool:
    return asked.catalog.exists(urns.parse(urn).text)


def _entity(asked: Asked, urn: str) -> Node | None:
    urns.parse(urn)
    return nodes.node(asked, urn)


def _of_kind(kind: str) -> Any:
    def find(asked: Asked, urn: str) -> Node:
        if urns.parse(urn).spec.name != kind:
            raise Invalid(f"urn: expected one of a {kind}, got {urn[:120]!r}")
        return nodes.required(asked, urn)

    return find


def _structured_property(asked: Asked, urn: str) -> Node | None:
    found = _of_kind("structuredProperty")(asked, urn)
    return found if asked.catalog.exists(urn) else None


def _search(asked: Asked, input: Mapping[str, Any]) -> Node:
    start, count = input.get("start") or 0, _count(input)
    total, found = asked.catalog.search(_wanted(input), start=max(0, start), count=count)
    return {"start": start, "count": len(found), "total": total, "searchResults": _results(asked, found)}


def _scroll(asked: Asked, input: Mapping[str, Any]) -> Node:
    count, after = _count(input), input.get("scrollId") or ""
    total, found = asked.catalog.search(_wanted(input), after=after, count=count)
    following = found[-1] if found and len(found) == count else None
    return {
        "nextScrollId": following,
        "count": len(found),
        "total": total,
        "searchResults": _results(asked, found),
    }


def _results(asked: Asked, found: Sequence[str]) -> list[Node]:
    return [{"entity": one, "matchedFields": [], "extraProperties": []} for one in nodes.nodes(asked, found)]


def _count(wanted: Mapping[str, Any]) -> int:
    given = wanted.get("count")
    count = 10 if given is None else int(given)
    if not 0 <= count <= _MOST_FOUND:
        raise Invalid(f"count: expected 0 to {_MOST_FOUND:,}, got {count:,}")
    return min(count, 5_000)


def _wanted(wanted: Mapping[str, Any]) -> Search:
    """What is searched for. Every condition is honoured or refused: a filter left out would find too much."""
    flags = cast("Mapping[str, Any]", wanted.get("searchFlags") or {})
    both = [_criterion(one) for one in cast("list[Any]", wanted.get("filters") or [])]
    either = [
        [*both, *(_criterion(one) for one in cast("list[Any]", some.get("and") or []))]
        for some in cast("list[Mapping[str, Any]]", wanted.get("orFilters") or [])
    ]
    kinds = nodes.kinds_of(cast("list[str]", wanted.get("types") or []))
    unknown = [one for one in kinds if one not in registry().entities]
    if unknown:
        raise Invalid(f"types: this catalog shows no {', '.join(unknown)}")
    sort = cast("Mapping[str, Any]", wanted.get("sortInput") or {})
    criteria = [*([sort["sortCriterion"]] if sort.get("sortCriterion") else []), *(sort.get("sortCriteria") or [])]
    if any(one["field"] != "urn" or one["sortOrder"] != "ASCENDING" for one in criteria):
        raise Invalid("sortInput: this catalog sorts by urn, ascending")
    return Search(
        kinds=kinds,
        text=str(wanted["query"]),
        any_of=either or ([both] if both else []),
        removed=bool(flags.get("includeSoftDeleted")),
    )


def _criterion(given: Mapping[str, Any]) -> Criterion:
    condition = given.get("condition") or "EQUAL"
    if condition not in ("EQUAL", "IN", "CONTAIN"):
        raise Invalid(f"filter: this catalog knows EQUAL, IN and CONTAIN, not {condition}")
    return Criterion(
        field=str(given["field"]),
        values=[str(one) for one in cast("list[Any]", given.get("values") or [])],
        negated=bool(given.get("negated")),
        contains=condition == "CONTAIN",
    )


def _sources(asked: Asked, input: Mapping[str, Any]) -> Node:
    both = [_criterion(one) for one in cast("list[Any]", input.get("filters") or [])]
    text = str(input.get("query") or "*")
    wanted = Search(kinds=[ingestions.SOURCE], text=text, any_of=[both] if both else [])
    return ingestions.list_sources(asked, input, wanted)


def _request(asked: Asked, urn: str) -> Node | None:
    if urns.parse(urn).spec.name != ingestions.REQUEST:
        raise Invalid(f"urn: expected one of a {ingestions.REQUEST}, got {urn[:120]!r}")
    return ingestions.request(asked, urn)


# -- changing


def _create_property(asked: Asked, input: Mapping[str, Any]) -> Node:
    """Define a structured property. A second definition of the same one is refused, as DataHub does."""
    actor = asked.actor()
    name = str(input.get("id") or input.get("qualifiedName") or uuid.uuid4())
    qualified = str(input.get("qualifiedName") or name)
    if any(one.isspace() for one in name + qualified):
        raise Invalid("createStructuredProperty: id and qualifiedName must not hold white space")
    urn = f"urn:li:structuredProperty:{name}"
    for field, kind in (("valueType", "dataType"), ("entityTypes", "entityType")):
        given: Any = input[field]
        for one in cast("list[str]", given) if isinstance(given, list) else [str(given)]:
            if urns.parse(one).spec.name != kind:
                raise Invalid(f"createStructuredProperty: {field}: expected urn:li:{kind}:…, got {one[:120]!r}")
    if asked.catalog.exists(urn):
        raise Conflict(f"A structured property already exists with this urn: {urn}")
    kept = ("displayName", "description", "immutable", "valueType", "typeQualifier", "cardinality", "entityTypes")
    value: dict[str, Any] = {one: input[one] for one in kept if input.get(one) is not None}
    allowed = [
        {"value": _value(one), **({"description": one["description"]} if one.get("description") else {})}
        for one in cast("list[Mapping[str, Any]]", input.get("allowedValues") or [])
    ]
    value |= {"qualifiedName": qualified, **({"allowedValues": allowed} if allowed else {})}
    change = make(entity="structuredProperty", urn=urn, aspect="propertyDefinition", kind="CREATE", value=value)
    asked.catalog.write([change], actor)
    return nodes.required(asked, urn)


def _upsert_properties(asked: Asked, input: Mapping[str, Any]) -> Node | None:
    """Set some structured properties of an entity and leave its others as they are."""
    actor = asked.actor()
    asset = urns.parse(input["assetUrn"])
    if not asked.catalog.exists(asset.text):
        raise Invalid(f"upsertStructuredProperties: {asset.text} does not exist")
    given = cast("list[Mapping[str, Any]]", input["structuredPropertyInputParams"])
    operations = [
        {
            "op": "add",
            "path": f"/properties/{_pointer(one['structuredPropertyUrn'])}",
            "value": {
                "propertyUrn": one["structuredPropertyUrn"],
                "values": [_value(each) for each in cast("list[Mapping[str, Any]]", one["values"])],
            },
        }
        for one in given
    ]
    change = make(entity=asset.spec.name, urn=asset.text, aspect="structuredProperties", kind="PATCH", value=operations)
    asked.catalog.write([change], actor)
    return nodes.properties(asked, asset.text, lambda name: asked.catalog.value(asset.text, name))


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _value(given: Mapping[str, Any]) -> dict[str, Any]:
    text, number = given.get("stringValue"), given.get("numberValue")
    if (text is None) == (number is None):
        raise Invalid("value: expected exactly one of stringValue and numberValue")
    return {"string": text} if text is not None else {"double": number}


def _secret_values(asked: Asked, input: Mapping[str, Any]) -> list[Node]:
    """None to anybody, as DataHub refuses all but its own system: ours go to the runs that name them, and nowhere."""
    del asked, input
    raise Forbidden("Secrets are told to nobody here; keep them with `headgate secrets set`, and name them in recipes.")


#: Root fields by name; graphql-core calls what it finds here with the request and the field's arguments.
ROOT: Final[Mapping[str, Any]] = {
    "me": _me,
    "getGrantedPrivileges": _granted,
    "entityExists": _exists,
    "entity": _entity,
    "dataset": _of_kind("dataset"),
    "dataJob": _of_kind("dataJob"),
    "dataFlow": _of_kind("dataFlow"),
    "tag": _of_kind("tag"),
    "container": _of_kind("container"),
    "structuredProperty": _structured_property,
    "searchAcrossEntities": _search,
    "scrollAcrossEntities": _scroll,
    "listIngestionSources": _sources,
    "listExecutionRequests": ingestions.list_requests,
    "executionRequest": _request,
    "getSecretValues": _secret_values,
    "createStructuredProperty": _create_property,
    "upsertStructuredProperties": _upsert_properties,
}
