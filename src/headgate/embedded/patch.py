"""This file is where a JSON patch changes an aspect, the way DataHub does it: arrays are patched as maps by their keys.

`/tags/urn:li:tag:x` is the tag with that URN, wherever it stands in the list. A list of operations uses the keys each
aspect has in DataHub; an envelope `{arrayPrimaryKeys, patch}` brings its own, of one or more parts, a part that lies
deeper written with U+241F. An element without such a part stands under an empty one: `/tags//urn:li:tag:x`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from headgate.errors import Invalid

MOST_OPERATIONS: Final = 5_000
_DEEPER: Final = "\u241f"
_OPERATIONS: Final = frozenset({"add", "replace", "remove", "test"})

#: Of a list of operations: aspect -> field -> the elements' keys; none: the elements are texts, and their own keys.
_EDGES: Final = ("destinationUrn",)
_KEYS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "globalTags": {"tags": ("tag",)},
    "glossaryTerms": {"terms": ("urn",)},
    "ownership": {"owners": ("owner", "type")},
    "institutionalMemory": {"elements": ("url",)},
    "structuredProperties": {"properties": ("propertyUrn",)},
    "upstreamLineage": {"upstreams": ("dataset",)},
    "domains": {"domains": ()},
    "editableSchemaMetadata": {"editableSchemaFieldInfo": ("fieldPath",)},
    "dataProductProperties": {"assets": _EDGES},
    "chartInfo": {"inputEdges": _EDGES, "inputs": ()},
    "dashboardInfo": {"chartEdges": _EDGES, "datasetEdges": _EDGES, "dashboards": _EDGES, "charts": (), "datasets": ()},
    "propertyDefinition": {"entityTypes": (), "allowedValues": ("value",)},
    "dataProcessInstanceInput": {"inputs": (), "inputEdges": _EDGES},
    "dataProcessInstanceOutput": {"outputs": (), "outputEdges": _EDGES},
    "dataJobInputOutput": {
        "inputDatasetEdges": _EDGES,
        "outputDatasetEdges": _EDGES,
        "inputDatajobEdges": _EDGES,
        "inputDatasets": (),
        "outputDatasets": (),
        "inputDatajobs": (),
        "inputDatasetFields": (),
        "outputDatasetFields": (),
    },
}
#: Inside an element of that aspect's list.
_INNER: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "editableSchemaMetadata": {"tags": ("tag",), "terms": ("urn",)},
}
_LINEAGE: Final = "fineGrainedLineages"
_WITH_LINEAGE: Final = frozenset({"dataJobInputOutput", "upstreamLineage"})
#: What an aspect that is not there yet begins as: its lists are empty, not missing.
_BEGIN: Final[Mapping[str, Mapping[str, Any]]] = {
    "dataJobInputOutput": {"inputDatasets": [], "outputDatasets": []},
    "datasetProperties": {"customProperties": {}, "tags": []},
}
_NONE: Final = "NONE"


def begin(aspect: str) -> dict[str, Any]:
    """What an aspect that is not there is patched from."""
    empty: dict[str, Any] = {name: [] for name in _KEYS.get(aspect, {}) if aspect not in _BEGIN}
    return {**empty, **copy.deepcopy(dict(_BEGIN.get(aspect, {})))}


def apply(aspect: str, before: Mapping[str, Any], patch: object) -> dict[str, Any]:
    """The aspect after the patch; `before` is left as it is.

    Args:
        aspect: its name.
        before: its value, or `begin(aspect)`.
        patch: a list of operations, or `{"arrayPrimaryKeys": {field: [key, …]}, "patch": [operation, …]}`.

    Raises:
        Invalid: an operation is malformed, of a kind DataHub does not take, or its path leads nowhere.
    """
    operations, keys, generic = _read(aspect, patch)
    after: dict[str, Any] = copy.deepcopy(dict(before))
    for name, of in keys.items():
        if name in after or any(one[1][0] == name for one in operations):
            after[name] = _as_map(after.get(name) or [], of)
    inner = {} if generic else _INNER.get(aspect, {})
    for element in _elements(after, keys) if inner else ():
        _inner(element, inner, as_map=True)
    lineage = not generic and aspect in _WITH_LINEAGE
    if lineage and (_LINEAGE in after or any(one[1][0] == _LINEAGE for one in operations)):
        after[_LINEAGE] = _lineage_map(after.get(_LINEAGE) or [])
    for kind, path, value in operations:
        _operate(after, kind, path, value)
    if lineage and _LINEAGE in after:
        after[_LINEAGE] = _lineage_list(after[_LINEAGE])
    for element in _elements(after, keys) if inner else ():
        _inner(element, inner, as_map=False)
    for name, of in keys.items():
        if name in after:
            after[name] = _as_list(after[name], of)
    return after


Operation = tuple[str, Sequence[str], Any]


def _read(aspect: str, patch: object) -> tuple[list[Operation], Mapping[str, Sequence[str]], bool]:
    """The operations, the arrays' keys, and whether the envelope brought them."""
    keys: Mapping[str, Sequence[str]] = _KEYS.get(aspect, {})
    generic = False
    listed = patch
    if isinstance(patch, Mapping):
        envelope = cast("Mapping[str, Any]", patch)
        listed = envelope.get("patch")
        own = envelope.get("arrayPrimaryKeys")
        if isinstance(own, Mapping) and own:
            keys, generic = {str(k): _texts(v) for k, v in cast("Mapping[str, Any]", own).items()}, True
    if not isinstance(listed, list):
        raise Invalid(f"{aspect}: expected a list of JSON patch operations")
    those = cast("list[Any]", listed)
    if len(those) > MOST_OPERATIONS:
        raise Invalid(f"{aspect}: {len(those):,} operations in one patch; at most {MOST_OPERATIONS:,}")
    return [_operation(aspect, place, one) for place, one in enumerate(those)], keys, generic


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise Invalid("arrayPrimaryKeys: expected lists of texts")
    return tuple(cast("list[str]", value))


def _operation(aspect: str, place: int, given: object) -> Operation:
    where = f"{aspect}: patch[{place}]"
    if not isinstance(given, Mapping):
        raise Invalid(f"{where}: expected an object with op and path")
    one = cast("Mapping[str, Any]", given)
    kind, path = one.get("op"), one.get("path")
    if kind not in _OPERATIONS:
        raise Invalid(f"{where}.op: expected one of {', '.join(sorted(_OPERATIONS))}, got {str(kind)[:40]!r}")
    if not isinstance(path, str) or not path.startswith("/"):
        raise Invalid(f"{where}.path: expected a JSON pointer that begins with /, got {str(path)[:120]!r}")
    if kind != "remove" and "value" not in one:
        raise Invalid(f"{where}: {kind} needs a value")
    return str(kind), [_unescaped(part) for part in path[1:].split("/")], one.get("value")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _operate(root: dict[str, Any], kind: str, path: Sequence[str], value: Any) -> None:
    """One operation. `add` makes the objects on its way; to remove what is not there changes nothing."""
    at: Any = root
    for part in path[:-1]:
        found = _step(at, part)
        if found is None:
            if kind == "remove":
                return
            if kind != "add" or not isinstance(at, dict):
                raise Invalid(f"patch: there is nothing at /{'/'.join(path)}")
            found = cast("dict[str, Any]", at).setdefault(part, {})
        at = found
    last = path[-1]
    if isinstance(at, list):
        _operate_list(cast("list[Any]", at), kind, last, value, path)
    elif not isinstance(at, dict):
        raise Invalid(f"patch: /{'/'.join(path)} leads into a value that is no object")
    else:
        _operate_object(cast("dict[str, Any]", at), kind, last, value, path)


def _operate_object(at: dict[str, Any], kind: str, last: str, value: Any, path: Sequence[str]) -> None:
    if kind == "remove":
        at.pop(last, None)
    elif kind == "test":
        if at.get(last) != value:
            raise Invalid(f"patch: the test of /{'/'.join(path)} does not hold")
    elif kind == "replace" and last not in at:
        raise Invalid(f"patch: there is nothing at /{'/'.join(path)} to replace")
    else:
        at[last] = copy.deepcopy(value)


def _operate_list(at: list[Any], kind: str, last: str, value: Any, path: Sequence[str]) -> None:
    """A list no keys are known of: its elements have numbers, and `-` is its end."""
    if kind == "add" and last in ("-", str(len(at))):
        at.append(copy.deepcopy(value))
        return
    if not last.isdecimal() or int(last) >= len(at):
        if kind == "remove":
            return
        raise Invalid(f"patch: there is no element /{'/'.join(path)}")
    place = int(last)
    if kind == "add":
        at.insert(place, copy.deepcopy(value))
    elif kind == "remove":
        del at[place]
    elif kind == "replace":
        at[place] = copy.deepcopy(value)
    elif at[place] != value:
        raise Invalid(f"patch: the test of /{'/'.join(path)} does not hold")


def _step(at: Any, part: str) -> Any:
    if isinstance(at, dict):
        return cast("dict[str, Any]", at).get(part)
    if isinstance(at, list) and part.isdecimal():
        those = cast("list[Any]", at)
        return those[int(part)] if int(part) < len(those) else None
    return None


# -- arrays as maps


def _as_map(value: Any, keys: Sequence[str]) -> Any:
    """`[{tag: x}]` with the key `tag` as `{x: {tag: x}}`; with two keys a map of maps; with none `{text: text}`."""
    if not isinstance(value, list):
        return value
    found: dict[str, Any] = {}
    for element in cast("list[Any]", value):
        if not keys:
            found[str(element)] = element
            continue
        at = found
        *outer, last = [_part(element, key) for key in keys]
        for part in outer:
            at = at.setdefault(part, {})
        at[last] = element
    return found


def _as_list(value: Any, keys: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return value
    those = cast("dict[str, Any]", value)
    if not keys:
        return list(those)  # the names are the elements; what was added at them is only a place holder
    found: list[Any] = []
    for one in those.values():
        if len(keys) == 1:
            found.append(one)
        else:
            found.extend(_as_list(one, keys[1:]))
    return found


def _part(element: Any, key: str) -> str:
    for name in key.split(_DEEPER):
        element = cast("Mapping[str, Any]", element).get(name) if isinstance(element, Mapping) else None
    return element if isinstance(element, str) else "" if element is None else str(element)


def _elements(aspect: Mapping[str, Any], keys: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [
        cast("dict[str, Any]", element)
        for name in keys
        if isinstance(aspect.get(name), dict)
        for element in aspect[name].values()
        if isinstance(element, dict)
    ]


def _inner(element: dict[str, Any], inner: Mapping[str, Sequence[str]], *, as_map: bool) -> None:
    """A field's own tags and terms, which lie in `{"globalTags": {"tags": […]}}`."""
    for holder in [one for one in element.values() if isinstance(one, dict)]:
        for name, keys in inner.items():
            if name in holder:
                holder[name] = _as_map(holder[name], keys) if as_map else _as_list(holder[name], keys)


# -- column lineage, which has no key of its own: operation, downstream, query, upstream


def _lineage_map(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    found: dict[str, Any] = {}
    for given in cast("list[Any]", value):
        if not isinstance(given, Mapping):
            continue
        one = cast("Mapping[str, Any]", given)
        operation = str(one.get("transformOperation") or _NONE)
        for downstream in one.get("downstreams") or []:
            at = (
                found.setdefault(operation, {})
                .setdefault(str(downstream), {})
                .setdefault(str(one.get("query") or _NONE), {})
            )
            for upstream in one.get("upstreams") or [_NONE]:
                at[str(upstream)] = {"confidenceScore": one.get("confidenceScore", 1.0)}
    return found


def _lineage_list(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found: list[dict[str, Any]] = []
    for operation, by_downstream in _objects(cast("Any", value)):
        for downstream, by_query in _objects(by_downstream):
            for query, by_upstream in _objects(by_query):
                upstreams = _objects(by_upstream)
                if upstreams:
                    found.append(_lineage_entry(operation, downstream, query, dict(upstreams)))
    return found


def _lineage_entry(operation: str, downstream: str, query: str, upstreams: Mapping[str, Any]) -> dict[str, Any]:
    named = [one for one in upstreams if one != _NONE]
    kind = "NONE" if not named else "DATASET" if named[0].startswith("urn:li:dataset:") else "FIELD_SET"
    scores = [one.get("confidenceScore", 1.0) for one in upstreams.values() if isinstance(one, Mapping)]
    entry: dict[str, Any] = {
        "upstreamType": kind,
        "upstreams": named,
        "downstreamType": "FIELD",
        "downstreams": [downstream],
        "confidenceScore": min((one for one in scores if isinstance(one, (int, float))), default=1.0),
    }
    if operation != _NONE:
        entry["transformOperation"] = operation
    if query != _NONE:
        entry["query"] = query
    return entry


def _objects(value: Any) -> list[tuple[str, Any]]:
    return list(cast("dict[str, Any]", value).items()) if isinstance(value, dict) else []
