"""This file is where the fake GMS answers GraphQL: real parsing and checking over a schema, from its aspects.

Reference: A.3, A.6, A.7, C, D.1, J.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol

from graphql import GraphQLError, GraphQLSchema, build_schema, graphql_sync

from fakes.gms_aspects import Aspects, Doc, Refused

TYPES = {
    "dataset": ("Dataset", "DATASET"), "dataJob": ("DataJob", "DATA_JOB"), "tag": ("Tag", "TAG"),
    "dataProcessInstance": ("DataProcessInstance", "DATA_PROCESS_INSTANCE"),
    "dataFlow": ("OtherEntity", "DATA_FLOW"), "corpuser": ("CorpUser", "CORP_USER"),
    "structuredProperty": ("StructuredPropertyEntity", "STRUCTURED_PROPERTY"),
}  # fmt: skip
SOURCE = "dataHubIngestionSource"
NAMES = {400: "BAD_REQUEST", 403: "UNAUTHORIZED", 404: "NOT_FOUND", 409: "CONFLICT", 500: "SERVER_ERROR"}
UNAUTHORIZED = "Unauthorized to perform this action. Please contact your DataHub administrator."


class Rights(Protocol):
    """Who may what."""

    def granted(self, actor: str, resource: str | None) -> Sequence[str]: ...


@cache
def schema() -> GraphQLSchema:
    return build_schema(Path(__file__).with_name("gms.graphql").read_text())


def failed(code: int, message: str) -> GraphQLError:
    """An error in the shape of A.7."""
    return GraphQLError(
        message,
        extensions={"code": code, "type": NAMES.get(code, "SERVER_ERROR"), "classification": "DataFetchingException"},
    )


def execute(aspects: Aspects, rights: Rights, actor: str, request: Mapping[str, Any]) -> Doc:
    """The whole answer: data, and errors where there are some."""
    result = graphql_sync(
        schema(),
        request["query"],
        root_value=_Root(aspects, rights, actor),
        variable_values=request.get("variables"),
        operation_name=request.get("operationName"),
    )
    return dict(result.formatted)


class _Root:
    def __init__(self, aspects: Aspects, rights: Rights, actor: str) -> None:
        self.aspects = aspects
        self._rights = rights
        self._actor = actor

    def me(self, _info: object) -> Doc:
        granted = self._rights.granted(self._actor, None)
        names = {
            "manageIngestion": "MANAGE_INGESTION", "manageSecrets": "MANAGE_SECRETS",
            "generatePersonalAccessTokens": "GENERATE_PERSONAL_ACCESS_TOKENS", "manageTokens": "MANAGE_ACCESS_TOKENS",
            "managePolicies": "MANAGE_POLICIES", "manageStructuredProperties": "MANAGE_STRUCTURED_PROPERTIES",
        }  # fmt: skip
        user = {"urn": self._actor, "type": "CORP_USER", "username": self._actor.rpartition(":")[2]}
        return {"corpUser": user, "platformPrivileges": {key: name in granted for key, name in names.items()}}

    def getGrantedPrivileges(self, _info: object, *, input: Doc) -> Doc:  # noqa: N802 - GraphQL's names
        if input["actorUrn"] != self._actor and "MANAGE_POLICIES" not in self._rights.granted(self._actor, None):
            raise failed(403, UNAUTHORIZED)
        resource = (input.get("resourceSpec") or {}).get("resourceUrn")
        return {"privileges": list(self._rights.granted(input["actorUrn"], resource))}

    def getSecretValues(self, _info: object, *, input: Doc) -> list[Doc]:  # noqa: N802 - GraphQL's names
        """E.8: whoever is no system principal gets an error, which says as little as any unexpected one."""
        info = self.aspects.get(self._actor, "corpUserInfo") or {}
        if self._actor != "urn:li:corpuser:__datahub_system" and info.get("system") is not True:
            raise failed(500, "An unknown error occurred.")
        if "MANAGE_SECRETS" not in self._rights.granted(self._actor, None):
            raise failed(403, UNAUTHORIZED)
        kept = [self.aspects.get(f"urn:li:dataHubSecret:{name}", "dataHubSecretValue") for name in input["secrets"]]
        return [{"name": one["name"], "value": one["value"]} for one in kept if one]

    def entityExists(self, _info: object, *, urn: str) -> bool:  # noqa: N802 - GraphQL's name
        return self.aspects.exists(urn)

    def dataset(self, _info: object, *, urn: str) -> Doc:
        return self._entity(_checked(urn, "dataset"))

    def dataJob(self, _info: object, *, urn: str) -> Doc:  # noqa: N802 - GraphQL's name
        return self._entity(_checked(urn, "dataJob"))

    def listExecutionRequests(self, _info: object, *, input: Doc) -> Doc:  # noqa: N802 - GraphQL's names
        if "MANAGE_INGESTION" not in self._rights.granted(self._actor, None):
            raise failed(403, UNAUTHORIZED)
        found = [self._request(urn) for urn in self.aspects.urns("dataHubExecutionRequest")]
        for one in input.get("filters") or []:
            found = [each for each in found if _filtered(each, one)]
        found.sort(key=lambda one: one["input"]["requestedAt"], reverse=input["sort"]["sortOrder"] == "DESCENDING")
        start, count = input.get("start") or 0, input.get("count") or 20
        page = found[start : start + count]
        return {"start": start, "count": len(page), "total": len(found), "executionRequests": page}

    def listIngestionSources(self, _info: object, *, input: Doc) -> Doc:  # noqa: N802 - GraphQL's names
        if "MANAGE_INGESTION" not in self._rights.granted(self._actor, None):
            raise failed(403, UNAUTHORIZED)
        kept = {urn: self.aspects.get(urn, "dataHubIngestionSourceInfo") for urn in self.aspects.urns(SOURCE)}
        found = [{"urn": urn, **info} for urn, info in kept.items() if info]
        start, count = input.get("start") or 0, input.get("count") or 20
        page = found[start : start + count]
        return {"start": start, "count": len(page), "total": len(found), "ingestionSources": page}

    def _request(self, urn: str) -> Doc:
        asked = self.aspects.get(urn, "dataHubExecutionRequestInput") or {"requestedAt": 0, "task": "", "source": {}}
        actor = asked.get("actorUrn")
        return {
            "urn": urn, "id": urn.rpartition(":")[2], "result": self.aspects.get(urn, "dataHubExecutionRequestResult"),
            "input": {**asked, "actor": self._entity(actor) if actor else None},
        }  # fmt: skip

    def createStructuredProperty(self, _info: object, *, input: Doc) -> Doc:  # noqa: N802 - GraphQL's names
        if "MANAGE_STRUCTURED_PROPERTIES" not in self._rights.granted(self._actor, None):
            raise failed(403, UNAUTHORIZED)
        try:
            return self._entity(self.aspects.define(input))
        except Refused as error:
            raise failed(error.status, error.message) from error

    def _entity(self, urn: str) -> Doc:
        """An entity as GraphQL sees it: a stub that is there for unknown URNs, too (J)."""
        kind = urn.split(":")[2]
        name, type_ = TYPES.get(kind, ("OtherEntity", "OTHER"))
        found: Doc = {
            "__typename": name, "urn": urn, "type": type_, "exists": self.aspects.exists(urn),
            "name": urn.rpartition(":")[2], "status": self.aspects.get(urn, "status"), "username": urn,
            "relationships": partial(self._relationships, urn),
        }  # fmt: skip
        if kind == "dataset":
            tags = (self.aspects.get(urn, "globalTags") or {}).get("tags")
            found["tags"] = {"tags": [{"tag": self._entity(one["tag"])} for one in tags]} if tags else None
            found["name"] = urn.split(",")[1]
            found["runs"] = partial(self._runs, urn)
        elif kind == "dataJob":
            found["jobId"] = urn.rpartition(",")[2].rstrip(")")
            found["structuredProperties"] = self._properties(urn)
            found["runs"] = partial(self._runs_of_job, urn)
        elif kind == "dataProcessInstance":
            found |= self._run(urn)
        elif kind == "structuredProperty":
            found["definition"] = {"immutable": False, **(self.aspects.get(urn, "propertyDefinition") or {})}
        return found

    def _properties(self, urn: str) -> Doc | None:
        aspect = self.aspects.get(urn, "structuredProperties")
        if aspect is None:
            return None
        values = {
            entry["propertyUrn"]: [
                {"__typename": "StringValue", "stringValue": one["string"]} if "string" in one
                else {"__typename": "NumberValue", "numberValue": one["double"]}
                for one in entry["values"]
            ]
            for entry in aspect["properties"]
        }  # fmt: skip
        return {"properties": [{"structuredProperty": self._entity(key), "values": one} for key, one in values.items()]}

    def _run(self, urn: str) -> Doc:
        properties = self.aspects.get(urn, "dataProcessInstanceProperties") or {}
        parent = (self.aspects.get(urn, "dataProcessInstanceRelationships") or {}).get("parentTemplate")
        event = self.aspects.get(urn, "dataProcessInstanceRunEvent")
        state = [] if event is None else [{
            "status": event["status"], "timestampMillis": event["timestampMillis"],
            "durationMillis": event.get("durationMillis"),
            "result": event.get("result") and {
                "resultType": event["result"]["type"], "nativeResultType": event["result"]["nativeResultType"],
            },
        }]  # fmt: skip
        return {
            "name": properties.get("name"), "created": properties.get("created"),
            "externalUrl": properties.get("externalUrl"), "state": state,
            "parentTemplate": self._entity(parent) if parent else None,
        }  # fmt: skip

    def _paged(self, urns: list[str], start: int | None, count: int | None) -> Doc:
        def newest(urn: str) -> int:
            created = (self.aspects.get(urn, "dataProcessInstanceProperties") or {}).get("created", {})
            return -int(created.get("time", time.time() * 1000))

        ordered = sorted(urns, key=newest)
        start, count = start or 0, 10 if count is None else count
        page = [self._entity(one) for one in ordered[start : start + count]]
        return {"start": start, "count": count, "total": len(ordered), "runs": page}

    def _runs(
        self, dataset: str, _info: object, *, direction: str, start: int | None = 0, count: int | None = 10
    ) -> Doc:
        aspect, field = (
            ("dataProcessInstanceOutput", "outputs")
            if direction == "OUTGOING"
            else ("dataProcessInstanceInput", "inputs")
        )
        all_runs = self.aspects.urns("dataProcessInstance")
        return self._paged([u for u in all_runs if dataset in (self.aspects.get(u, aspect) or {}).get(field, [])],
                           start, count)  # fmt: skip

    def _runs_of_job(self, job: str, _info: object, *, start: int | None = 0, count: int | None = 10) -> Doc:
        name, field = "dataProcessInstanceRelationships", "parentTemplate"
        all_runs = self.aspects.urns("dataProcessInstance")
        return self._paged([u for u in all_runs if (self.aspects.get(u, name) or {}).get(field) == job], start, count)

    def _edges(self) -> list[tuple[str, str, str]]:
        """Every edge of the graph, as (from, kind, to): Produces from outputs, InstanceOf from parents."""
        found: list[tuple[str, str, str]] = []
        for job in self.aspects.urns("dataJob"):
            aspect = self.aspects.get(job, "dataJobInputOutput") or {}
            edges = [one["destinationUrn"] for one in aspect.get("outputDatasetEdges", [])]
            found += [(job, "Produces", to) for to in dict.fromkeys([*aspect.get("outputDatasets", []), *edges])]
        for run in self.aspects.urns("dataProcessInstance"):
            outputs = (self.aspects.get(run, "dataProcessInstanceOutput") or {}).get("outputs", [])
            found += [(run, "Produces", to) for to in outputs]
            parent = (self.aspects.get(run, "dataProcessInstanceRelationships") or {}).get("parentTemplate")
            found += [(run, "InstanceOf", parent)] if parent else []
        return found

    def _relationships(self, urn: str, _info: object, *, input: Doc) -> Doc:
        types, direction = input["types"], input["direction"]
        incoming = direction == "INCOMING"
        ends = [
            (kind, source if incoming else to)
            for source, kind, to in self._edges()
            if kind in types and (to if incoming else source) == urn
        ]
        start, count = input.get("start") or 0, input.get("count", 10)
        page = [
            {"type": kind, "direction": direction, "entity": self._entity(one)}
            for kind, one in ends[start : start + count]
        ]
        return {"start": start, "count": len(page), "total": len(ends), "relationships": page}


def _checked(urn: str, kind: str) -> str:
    tuple_ = urn.removeprefix(f"urn:li:{kind}:")
    if tuple_ == urn or not (tuple_.startswith("(") and tuple_.endswith(")")):
        raise failed(400, f"Failed to convert urn to entity: {urn}")
    return urn


def _filtered(request: Doc, wanted: Doc) -> bool:
    """E.2: what the list of execution requests can be filtered by."""
    held = {
        "executorId": request["input"].get("executorId"),
        "ingestionSource": request["input"]["source"].get("ingestionSource"),
        "executionResultStatus": (request["result"] or {}).get("status"),
    }
    if wanted["field"] not in held:
        raise failed(400, f"unknown field {wanted['field']}")
    return (held[wanted["field"]] in (wanted.get("values") or [])) != bool(wanted.get("negated"))
