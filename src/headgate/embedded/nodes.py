"""This file is where entities become what GraphQL walks over: mappings whose fields are read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from headgate.embedded import urns
from headgate.embedded.catalog import Catalog
from headgate.embedded.changes import loads
from headgate.embedded.registry import registry
from headgate.errors import Invalid

#: Kind of entity -> its EntityType and its type in the schema. Kinds that are not here are not shown.
TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "dataset": ("DATASET", "Dataset"),
    "dataJob": ("DATA_JOB", "DataJob"),
    "dataFlow": ("DATA_FLOW", "DataFlow"),
    "dataProcessInstance": ("DATA_PROCESS_INSTANCE", "DataProcessInstance"),
    "tag": ("TAG", "Tag"),
    "dataPlatform": ("DATA_PLATFORM", "DataPlatform"),
    "dataPlatformInstance": ("DATA_PLATFORM_INSTANCE", "DataPlatformInstance"),
    "container": ("CONTAINER", "Container"),
    "corpuser": ("CORP_USER", "CorpUser"),
    "corpGroup": ("CORP_GROUP", "CorpGroup"),
    "domain": ("DOMAIN", "Domain"),
    "glossaryTerm": ("GLOSSARY_TERM", "GlossaryTerm"),
    "glossaryNode": ("GLOSSARY_NODE", "GlossaryNode"),
    "dashboard": ("DASHBOARD", "Dashboard"),
    "chart": ("CHART", "Chart"),
    "mlModel": ("MLMODEL", "MLModel"),
    "mlModelGroup": ("MLMODEL_GROUP", "MLModelGroup"),
    "mlFeature": ("MLFEATURE", "MLFeature"),
    "mlFeatureTable": ("MLFEATURE_TABLE", "MLFeatureTable"),
    "mlPrimaryKey": ("MLPRIMARY_KEY", "MLPrimaryKey"),
    "assertion": ("ASSERTION", "Assertion"),
    "dataProduct": ("DATA_PRODUCT", "DataProduct"),
    "structuredProperty": ("STRUCTURED_PROPERTY", "StructuredPropertyEntity"),
    "dataType": ("DATA_TYPE", "DataTypeEntity"),
    "entityType": ("ENTITY_TYPE", "EntityTypeEntity"),
}
MOST_NODES: Final = 20_000  #: in one answer, however deep
MOST_LISTED: Final = 1_000  #: in one list of runs or relationships
#: Every privilege this catalog knows of; whoever may call it has all of them.
PRIVILEGES: Final = frozenset(
    {
        "EXECUTE_ENTITY",
        "EDIT_ENTITY",
        "VIEW_ENTITY_PAGE",
        "EDIT_ENTITY_TAGS",
        "EDIT_ENTITY_PROPERTIES",
        "EDIT_LINEAGE",
        "MANAGE_INGESTION",
        "MANAGE_SECRETS",
        "MANAGE_STRUCTURED_PROPERTIES",
    }
)

Node = dict[str, Any]
Field = Callable[[Mapping[str, Any]], Any]  #: read when it is asked for; gets the field's arguments
Fields = dict[str, "Field | str"]


@dataclass(slots=True)
class Asked:
    """One GraphQL request: the catalog, who asks, and how much more of it may be told."""

    catalog: Catalog
    actor: Callable[[], str]  #: raises Forbidden where the caller may not write
    reader: str
    left: int = MOST_NODES

    def take(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise Invalid(f"the answer would hold more than {MOST_NODES:,} entities; ask for less of them at a time")


def node(asked: Asked, urn: str) -> Node | None:
    """The entity, whether it is there or not; None where it is of a kind that is not shown, or no URN at all."""
    shown = TYPES.get(urns.kind_of(urn))
    if shown is None:
        return None
    try:
        parsed = urns.parse(urn)
    except Invalid:
        return None
    asked.take()
    made: Fields = {
        "__typename": shown[1],
        "urn": urn,
        "type": shown[0],
        "relationships": lambda args: _relationships(asked, urn, args["input"]),
    }
    return {**made, **_Fields(asked, parsed).of_kind()}


def required(asked: Asked, urn: str) -> Node:
    """As `node`, for a URN a person gave. Raises Invalid: it is none."""
    urns.parse(urn)
    found = node(asked, urn)
    if found is None:
        raise Invalid(f"{urn[:120]!r} is of a kind this catalog does not show")
    return found


def nodes(asked: Asked, those: Iterable[object]) -> list[Node]:
    return [found for one in those if isinstance(one, str) and (found := node(asked, one)) is not None]


class _Fields:
    """The fields of one entity. Its aspects are read once, when the first field that needs one is asked for."""

    def __init__(self, asked: Asked, urn: urns.Urn) -> None:
        self._asked = asked
        self._urn = urn
        self._read: Mapping[str, Mapping[str, Any]] | None = None

    def _aspect(self, name: str) -> Mapping[str, Any] | None:
        if self._read is None:
            found = self._asked.catalog.aspects([self._urn.text])[self._urn.text]
            self._read = {one.name: one.value for one in found.values()}
        return self._read.get(name)

    def of_kind(self) -> Fields:
        kind = self._urn.spec.name
        fields = {
            "dataset": self._dataset,
            "dataJob": self._data_job,
            "dataFlow": self._data_flow,
            "dataProcessInstance": self._instance,
            "container": self._container,
            "structuredProperty": self._property,
        }.get(kind)
        if fields is not None:
            return fields()
        parts = self._urn.parts
        named = {"tag": "name", "dataPlatform": "name", "corpuser": "username", "corpGroup": "name"}.get(kind)
        if named:
            return {named: parts[0]}
        if kind == "dataPlatformInstance":
            return {"instanceId": parts[1], "platform": lambda _: node(self._asked, parts[0])}
        return {}

    def _common(self) -> Fields:
        return {
            "exists": lambda _: self._asked.catalog.exists(self._urn.text),
            "status": lambda _: self._status(),
            "tags": lambda _: self._tags(),
            "globalTags": lambda _: self._tags(),
            "subTypes": lambda _: self._aspect("subTypes"),
            "container": lambda _: self._named("container", "container"),
            "structuredProperties": lambda _: properties(self._asked, self._urn.text, self._aspect),
            "privileges": lambda _: dict.fromkeys(
                ("canEditProperties", "canEditLineage", "canEditTags", "canViewDatasetOperations"), True
            ),
        }

    def _dataset(self) -> Fields:
        platform, name, origin = self._urn.parts
        return {
            **self._common(),
            "name": name,
            "origin": origin,
            "platform": lambda _: node(self._asked, platform),
            "browsePathV2": lambda _: self._browse_path(),
            "dataPlatformInstance": lambda _: self._named("dataPlatformInstance", "instance"),
            "properties": lambda _: self._info("datasetProperties", name),
            "schemaMetadata": lambda args: self._schema(args.get("version") or 0),
            "runs": lambda args: self._runs("Produces" if args["direction"] == "OUTGOING" else "Consumes", args),
        }

    def _data_job(self) -> Fields:
        flow, job = self._urn.parts
        return {
            **self._common(),
            "jobId": job,
            "dataFlow": lambda _: node(self._asked, flow),
            "properties": lambda _: self._info("dataJobInfo", job),
            "runs": lambda args: self._runs("InstanceOf", args),
        }

    def _data_flow(self) -> Fields:
        orchestrator, flow, cluster = self._urn.parts
        named: Fields = {"orchestrator": orchestrator, "flowId": flow, "cluster": cluster}
        return {**self._common(), **named, "properties": lambda _: self._info("dataFlowInfo", flow)}

    def _container(self) -> Fields:
        return {**self._common(), "properties": lambda _: self._info("containerProperties", self._urn.parts[0])}

    def _instance(self) -> Fields:
        def said(name: str) -> Field:
            return lambda _: (self._aspect("dataProcessInstanceProperties") or {}).get(name)

        return {
            "name": said("name"),
            "created": said("created"),
            "externalUrl": said("externalUrl"),
            "parentTemplate": lambda _: self._named("dataProcessInstanceRelationships", "parentTemplate"),
            "state": self._state,
        }

    def _property(self) -> Fields:
        return {
            "exists": lambda _: self._asked.catalog.exists(self._urn.text),
            "definition": lambda _: definition(
                self._asked, self._urn.parts[0], self._aspect("propertyDefinition") or {}
            ),
        }

    def _status(self) -> Node | None:
        found = self._aspect("status")
        return None if found is None else {"removed": bool(found.get("removed", False))}

    def _tags(self) -> Node | None:
        found = self._aspect("globalTags")
        if found is None:
            return None
        those = nodes(self._asked, (one.get("tag") for one in _objects(found.get("tags"))))
        return {"tags": [{"tag": one, "associatedUrn": self._urn.text} for one in those]}

    def _named(self, aspect: str, field: str) -> Node | None:
        urn = (self._aspect(aspect) or {}).get(field)
        return node(self._asked, urn) if isinstance(urn, str) else None

    def _browse_path(self) -> Node | None:
        found = self._aspect("browsePathsV2")
        if found is None:
            return None
        path = [
            {"name": one.get("id", ""), "entity": node(self._asked, str(one["urn"])) if one.get("urn") else None}
            for one in _objects(found.get("path"))
        ]
        return {"path": path}

    def _info(self, aspect: str, name: str) -> Node | None:
        found = self._aspect(aspect)
        if found is None:
            return None
        custom: Any = found.get("customProperties") or {}
        entries = [
            {"key": str(key), "value": None if value is None else str(value), "associatedUrn": self._urn.text}
            for key, value in (cast("Mapping[str, Any]", custom).items() if isinstance(custom, Mapping) else ())
        ]
        return {**found, "name": found.get("name") or name, "customProperties": entries}

    def _schema(self, version: int) -> Node | None:
        found = self._asked.catalog.aspect(self._urn.text, "schemaMetadata", version)
        if found is None:
            return None
        fields = [
            {**one, "fieldPath": str(one.get("fieldPath", "")), "nullable": bool(one.get("nullable", False))}
            for one in _objects(found.value.get("fields"))
        ]
        self._asked.take(len(fields) // 10)
        return {"name": found.value.get("schemaName", ""), "version": version, "fields": fields}

    def _runs(self, edge: str, args: Mapping[str, Any]) -> Node:
        start, count = page(args)
        total, those = self._asked.catalog.runs_of(self._urn.text, edge, start=start, count=count)
        return {"start": start, "count": len(those), "total": total, "runs": nodes(self._asked, those)}

    def _state(self, args: Mapping[str, Any]) -> list[Any]:
        limit = args.get("limit")
        points = self._asked.catalog.series(
            self._urn.text,
            "dataProcessInstanceRunEvent",
            begin_ms=args.get("startTimeMillis"),
            end_ms=args.get("endTimeMillis"),
            limit=min(MOST_LISTED, 100 if limit is None else limit),
        )
        self._asked.take(len(points))
        return [_run_event(loads(one.text)) for one in points]


def _run_event(value: Mapping[str, Any]) -> Node:
    result: Any = value.get("result")
    told = None
    if isinstance(result, Mapping):
        said = cast("Mapping[str, Any]", result)
        told = {"resultType": said.get("type"), "nativeResultType": said.get("nativeResultType")}
    return {**value, "result": told}


def _relationships(asked: Asked, urn: str, wanted: Mapping[str, Any]) -> Node:
    start, count = page(wanted)
    direction = str(wanted["direction"])
    total, found = asked.catalog.related(
        urn, cast("Sequence[str]", wanted["types"]), outgoing=direction == "OUTGOING", start=start, count=count
    )
    asked.take(len(found))
    there = asked.catalog.entities([one.other for one in found]) if not wanted.get("includeSoftDelete") else {}
    kept = [one for one in found if not (one.other in there and there[one.other].removed)]
    return {
        "start": start,
        "count": len(kept),
        "total": total,
        "relationships": [{"type": one.type, "direction": direction, "entity": node(asked, one.other)} for one in kept],
    }


def properties(asked: Asked, urn: str, aspect: Callable[[str], Mapping[str, Any] | None]) -> Node | None:
    """The structured properties of an entity."""
    found = aspect("structuredProperties")
    if found is None:
        return None
    entries: list[Node] = []
    for one in _objects(found.get("properties")):
        prop = node(asked, str(one.get("propertyUrn")))
        if prop is not None:
            values = [value(each) for each in cast("list[Any]", one.get("values") or [])]
            entries.append({"structuredProperty": prop, "values": values, "associatedUrn": urn})
    return {"properties": entries}


def definition(asked: Asked, name: str, found: Mapping[str, Any]) -> Node:
    return {
        "qualifiedName": found.get("qualifiedName", name),
        "displayName": found.get("displayName"),
        "description": found.get("description"),
        "cardinality": found.get("cardinality", "SINGLE"),
        "immutable": bool(found.get("immutable", False)),
        "valueType": node(asked, str(found.get("valueType", "urn:li:dataType:datahub.string"))),
        "entityTypes": nodes(asked, cast("list[Any]", found.get("entityTypes") or [])),
        "allowedValues": [
            {"value": value(one.get("value")), "description": one.get("description")}
            for one in _objects(found.get("allowedValues"))
        ]
        or None,
    }


def value(given: object) -> Node | None:
    """`{"string": "x"}` as GraphQL's union."""
    if isinstance(given, Mapping):
        held = cast("Mapping[str, Any]", given)
        if isinstance(held.get("string"), str):
            return {"__typename": "StringValue", "stringValue": held["string"]}
        if isinstance(held.get("double"), (int, float)):
            return {"__typename": "NumberValue", "numberValue": float(held["double"])}
    return None


def page(args: Mapping[str, Any]) -> tuple[int, int]:
    """Start and count of a list. Raises Invalid: negative, or more at once than are told."""
    given_start, given_count = args.get("start"), args.get("count")
    start, count = given_start or 0, 20 if given_count is None else given_count
    if start < 0 or not 0 <= count <= MOST_LISTED:
        raise Invalid(f"start and count: expected 0 or more, and at most {MOST_LISTED:,} at a time")
    return start, count


def _objects(given: object) -> list[Mapping[str, Any]]:
    those = cast("list[Any]", given) if isinstance(given, list) else []
    return [cast("Mapping[str, Any]", one) for one in those if isinstance(one, Mapping)]


def kinds_of(types: Iterable[str]) -> list[str]:
    """Kinds of entities by their EntityType; all that are shown where none is named."""
    by_type = {name: kind for kind, (name, _) in TYPES.items()}
    wanted = [by_type.get(one, one) for one in types]
    return wanted or [kind for kind in TYPES if kind in registry().entities]
