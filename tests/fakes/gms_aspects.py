"""This file is where the fake GMS keeps aspects, and checks what is proposed the way the reference says GMS does.

Reference: B.3 (proposals), C.1 and C.2 (structured properties). Nothing here knows our client.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

Doc = dict[str, Any]

CHANGE_TYPES = ("UPSERT", "CREATE", "CREATE_ENTITY", "UPDATE", "PATCH", "DELETE")
VALUE_TYPES = tuple(f"urn:li:dataType:datahub.{one}" for one in ("string", "number", "date", "urn", "rich_text"))
ENTITY_TYPES = ("dataset", "dataJob", "dataFlow", "container", "dashboard", "chart")
#: What GMS's own patch templates key the lists of these aspects by.
KEYS: Mapping[str, Mapping[str, str]] = {
    "structuredProperties": {"properties": "propertyUrn"},
    "globalTags": {"tags": "tag"},
    "dataJobInputOutput": {"inputDatasetEdges": "destinationUrn", "outputDatasetEdges": "destinationUrn"},
}


class Refused(Exception):
    """GMS does not take it: the status and what it says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Aspects:
    """The newest version of every aspect, and its number. Safe from any thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: dict[str, dict[str, Doc]] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.systems: dict[tuple[str, str], Doc] = {}  #: the system metadata of every aspect

    def get(self, urn: str, name: str) -> Doc | None:
        with self.lock:
            found = self.values.get(urn, {}).get(name)
            return copy.deepcopy(found)

    def exists(self, urn: str) -> bool:
        with self.lock:
            return bool(self.values.get(urn))

    def urns(self, kind: str) -> list[str]:
        with self.lock:
            return [urn for urn in self.values if urn.startswith(f"urn:li:{kind}:")]

    def put(self, urn: str, name: str, value: Doc, system: Doc | None = None) -> None:
        """`system`: what the writer says of itself; GMS fills in what it leaves out (F.2, B.3)."""
        with self.lock:
            said = {one: held for one, held in (system or {}).items() if held is not None}
            said.setdefault("runId", "no-run-id-provided")
            said["lastRunId"] = said["runId"]
            said.setdefault("lastObserved", int(time.time() * 1000))
            self.systems[urn, name] = said
            self.values.setdefault(urn, {})[name] = copy.deepcopy(value)
            self.versions[urn, name] = self.versions.get((urn, name), 0) + 1

    def remove(self, urn: str, name: str) -> None:
        with self.lock:
            self.values.get(urn, {}).pop(name, None)
            self.versions.pop((urn, name), None)

    def take(self, proposals: list[Any]) -> None:
        """All of them or, where one is bad, none."""
        with self.lock:
            before = copy.deepcopy(self.values), dict(self.versions)
            try:
                for one in proposals:
                    self._take(one)
            except Refused:
                self.values, self.versions = before
                raise

    def _take(self, proposal: Any) -> None:
        if not isinstance(proposal, dict):
            raise Refused(400, "Parameters of method 'ingestProposal' failed validation")
        one: Doc = proposal
        urn, name = _urn(one), one.get("aspectName")
        change = one.get("changeType", "UPSERT")
        if change not in CHANGE_TYPES or not isinstance(name, str) or not name:
            raise Refused(400, f"Parameters of method 'ingestProposal' failed validation: {change} {name}")
        if urn.split(":")[2] != one.get("entityType"):
            raise Refused(422, f"urn {urn} is not of the entity type {one.get('entityType')}")
        self._preconditions(urn, name, change, one.get("headers") or {})
        if change == "DELETE":
            self.remove(urn, name)
            return
        if self._not_wanted(urn, name, change, one.get("headers") or {}):
            return
        value = _value(one.get("aspect"), patch=change == "PATCH")
        if change == "PATCH":
            value = patched(self.get(urn, name) or {}, value, name)
        elif not isinstance(value, dict):
            raise Refused(422, f"aspect {name} of {urn} is not a record")
        if name == "structuredProperties":
            value = self._assigned(value)
        self.put(urn, name, value, one.get("systemMetadata"))

    def _preconditions(self, urn: str, name: str, change: str, headers: Mapping[str, str]) -> None:
        wanted = headers.get("If-Version-Match")
        now = self.versions.get((urn, name), -1)
        if wanted is not None and str(now) != wanted:
            raise Refused(422, f"Expected version {wanted}, actual version {now}")
        if change == "CREATE_ENTITY" and self.exists(urn):
            raise Refused(422, f"Cannot perform CREATE_ENTITY if {urn} exists")

    def _not_wanted(self, urn: str, name: str, change: str, headers: Mapping[str, str]) -> bool:
        if change == "CREATE" and self.get(urn, name) is not None:
            if headers.get("If-None-Match") == "*":
                return True
            raise Refused(422, f"Cannot perform CREATE if not exists since the aspect {name} exists: {urn}")
        return False

    def _assigned(self, value: Doc) -> Doc:
        """The assignments to properties that there are; those to others are dropped without a word (C.2)."""
        kept: list[Doc] = []
        for entry in value.get("properties", []):
            definition = self.get(entry["propertyUrn"], "propertyDefinition")
            if definition is None:
                continue
            if (self.get(entry["propertyUrn"], "status") or {}).get("removed"):
                raise Refused(422, f"Cannot apply a soft deleted structured property {entry['propertyUrn']}")
            if definition.get("cardinality", "SINGLE") == "SINGLE" and len(entry["values"]) > 1:
                raise Refused(422, f"Property: {entry['propertyUrn']} has cardinality 1, but multiple values")
            wanted = "double" if definition["valueType"].endswith(".number") else "string"
            if any(list(one) != [wanted] for one in entry["values"]):
                raise Refused(422, f"Property: {entry['propertyUrn']}, value should be a {wanted}")
            kept.append(entry)
        if value.get("properties") and not kept:
            raise Refused(422, "no structured property of these exists")
        return {**value, "properties": kept}

    def define(self, wanted: Doc) -> str:
        """Make a structured property; its URN. Raises Refused with the status that GraphQL gives as its code."""
        name = wanted.get("id") or wanted.get("qualifiedName") or ""
        if not name or any(one.isspace() for one in name + (wanted.get("qualifiedName") or "")):
            raise Refused(400, "id and qualifiedName must not hold spaces")
        if wanted["valueType"] not in VALUE_TYPES:
            raise Refused(400, f"unknown value type {wanted['valueType']}")
        known = [f"urn:li:entityType:datahub.{one}" for one in ENTITY_TYPES]
        if not wanted["entityTypes"] or any(one not in known for one in wanted["entityTypes"]):
            raise Refused(400, f"unknown entity types in {wanted['entityTypes']}")
        urn = f"urn:li:structuredProperty:{name}"
        with self.lock:
            if self.exists(urn):
                raise Refused(400, "A structured property already exists with this urn")
            definition = {key: value for key, value in wanted.items() if key != "id"}
            definition.setdefault("qualifiedName", name)
            definition.setdefault("immutable", False)
            self.put(urn, "propertyDefinition", definition)
        return urn


def _urn(proposal: Doc) -> str:
    urn = proposal.get("entityUrn")
    if urn is None and isinstance(proposal.get("entityKeyAspect"), dict):
        key = json.loads(proposal["entityKeyAspect"]["value"])
        urn = f"urn:li:{proposal.get('entityType')}:{key.get('id')}"
    if not isinstance(urn, str) or not urn.startswith("urn:li:") or len(urn.split(":")) < 4:
        raise Refused(400, f"invalid urn {urn!r}")
    return urn


def _value(aspect: Any, *, patch: bool) -> Any:
    """The aspect's JSON, which is a text inside the JSON."""
    if not isinstance(aspect, dict):
        raise Refused(422, "a proposal needs an aspect")
    found: Doc = aspect
    wanted = "application/json-patch+json" if patch else "application/json"
    if found.get("contentType") != wanted or not isinstance(found.get("value"), str):
        raise Refused(422, f"the aspect's contentType must be {wanted} and its value a string")
    try:
        return json.loads(found["value"])
    except json.JSONDecodeError as error:
        raise Refused(422, f"the aspect's value is not JSON: {error}") from error


def patched(before: Doc, patch: Any, name: str) -> Doc:
    """JSON patch over the aspect, its keyed lists seen as mappings from key to item (of many keys: one in another)."""
    keys = {field: [key] for field, key in KEYS.get(name, {}).items()}
    operations: Any = patch
    if isinstance(patch, dict):
        envelope: Doc = patch
        keys |= envelope.get("arrayPrimaryKeys", {})
        operations = envelope.get("patch")
    if not isinstance(operations, list):
        raise Refused(422, "a patch is a list of operations, or an envelope that holds one")
    value = copy.deepcopy(before)
    for field, those in keys.items():
        value[field] = _keyed(value.get(field, []), those)
    for operation in operations:
        _apply(value, operation)
    for field, those in keys.items():
        value[field] = _listed(value[field], len(those))
    return value


def _keyed(items: list[Doc], keys: list[str]) -> Doc:
    """The items by the values of their keys; a key may go into an item (parts between U+241F), and may be missing."""
    found: Doc = {}
    for item in items:
        place = found
        for number, key in enumerate(keys, 1):
            at: Any = item
            for part in key.split("\u241f"):
                at = at.get(part, "") if isinstance(at, dict) else ""
            if number == len(keys):
                place[at] = item
            else:
                place = place.setdefault(at, {})
    return found


def _listed(tree: Doc, depth: int) -> list[Doc]:
    if depth == 1:
        return list(tree.values())
    return [item for below in tree.values() for item in _listed(below, depth - 1)]


def _apply(value: Any, operation: Doc) -> None:
    parts = [one.replace("~1", "/").replace("~0", "~") for one in operation["path"].split("/")[1:]]
    if operation["op"] not in ("add", "remove", "replace") or not parts:
        raise Refused(422, f"no such operation: {operation}")
    for part in parts[:-1]:
        value = value.setdefault(part, {})
    if not isinstance(value, dict):
        raise Refused(422, f"no such path: {operation['path']}")
    found: Doc = value
    if operation["op"] == "remove":
        found.pop(parts[-1], None)
    else:
        found[parts[-1]] = operation["value"]
