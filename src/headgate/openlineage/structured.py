"""This file is where facets of jobs become structured properties: the Step Functions ARN, and what else is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.openlineage.aspects import Change
from headgate.openlineage.lineage import pointer
from headgate.openlineage.options import Options, PropertyRule
from headgate.openlineage.wire import Facets, free

_VALUE_TYPE: Final = {"arn": "string", "string": "string", "number": "number"}
_PREFIX: Final = "urn:li:structuredProperty:"


def structured_properties(facets: Facets | None, options: Options) -> tuple[Change | None, int]:
    """The aspect, None where no facet says anything, and how many values were not what they should be."""
    found: list[tuple[str, dict[str, Any]]] = []
    wrong = 0
    for rule in options.properties:
        value = _value(facets, rule.path)
        if value is None:
            continue
        wrapped = _wrapped(value, rule)
        if wrapped is None:
            wrong += 1
        else:
            found.append((rule.property, wrapped))
    if not found:
        return None, wrong
    assigned: list[dict[str, Any]] = [{"propertyUrn": urn, "values": [value]} for urn, value in found]
    if options.upsert_properties:
        return ("UPSERT", {"properties": assigned}), wrong
    operations = [
        {"op": "add", "path": f"/properties/{pointer(one['propertyUrn'])}/", "value": one} for one in assigned
    ]
    keys = {"properties": ["propertyUrn", "attribution\u241fsource"]}
    return ("PATCH", {"arrayPrimaryKeys": keys, "patch": operations}), wrong


def _value(facets: Facets | None, path: Sequence[str]) -> object:
    """What stands at the end of a path; None where nothing does."""
    if facets is None or path[0] not in facets:
        return None
    value: object = free(facets, path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON
    return value  # pyright: ignore[reportUnknownVariableType] - JSON


def _wrapped(value: object, rule: PropertyRule) -> dict[str, Any] | None:
    """A value as DataHub writes it; None where it is not of the rule's kind."""
    if rule.kind == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"double": value} if number else None
    if not isinstance(value, str) or not value.strip() or (rule.kind == "arn" and not value.startswith("arn:")):
        return None
    return {"string": value}


def definition(rule: PropertyRule) -> dict[str, Any]:
    """The proposal that defines a rule's property. Written once, before the first assignment; never per event."""
    name = rule.property.removeprefix(_PREFIX)
    aspect: Mapping[str, Any] = {
        "qualifiedName": name,
        "displayName": rule.title or name,
        "valueType": f"urn:li:dataType:datahub.{_VALUE_TYPE[rule.kind]}",
        "cardinality": "SINGLE",
        "entityTypes": ["urn:li:entityType:datahub.dataJob"],
        "immutable": False,
    }
    return {
        "entityType": "structuredProperty",
        "entityUrn": rule.property,
        "aspectName": "propertyDefinition",
        "changeType": "UPSERT",
        "aspect": aspect,
    }
