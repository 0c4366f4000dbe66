"""This file is where the fake GMS tells who wrote what: its runs (rest.li /runs) and pages of datasets (OpenAPI v3).

Reference: B.3 (other rest.li calls), B.5, and what `datahub ingest list-runs` and `show` of the 1.7 line send and read.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fakes.gms_aspects import Aspects, Doc
from fakes.gms_wire import Answer, Asked, json_answer, rest_li


def runs(aspects: Aspects, asked: Asked) -> Answer:
    """`list`: the runs that wrote something, newest first. `describe`: the rows one of them wrote."""
    body: Doc = asked.body if isinstance(asked.body, dict) else {}
    with aspects.lock:
        rows = [
            {"runId": one["runId"], "urn": urn, "aspectName": name, "timestamp": one["lastObserved"]}
            for (urn, name), one in aspects.systems.items()
        ]
    match parse_qs(asked.query).get("action"):
        case ["list"]:
            found: dict[str, Doc] = {}
            for one in rows:
                run = found.setdefault(one["runId"], {"runId": one["runId"], "rows": 0, "timestamp": 0})
                run["rows"] += 1
                run["timestamp"] = max(run["timestamp"], one["timestamp"])
            newest = sorted(found.values(), key=lambda one: -one["timestamp"])
            start = body["pageOffset"] * body["pageSize"]
            return json_answer(200, {"value": newest[start : start + body["pageSize"]]})
        case ["describe"]:
            those = [one for one in rows if one["runId"] == body["runId"]]
            return json_answer(200, {"value": those[body["start"] : body["start"] + body["count"]]})
        case action:
            return rest_li(400, f"unknown action {action}")


def several(aspects: Aspects, asked: Asked) -> Answer | None:
    """Pages and batches of datasets, with the system metadata of their aspects; None where one dataset is asked for."""
    query = parse_qs(asked.query)
    system = query.get("systemMetadata") == ["true"]
    if asked.path == "/openapi/v3/entity/dataset" and asked.method == "GET":
        names = query.get("aspects", [])
        found = [_entity(aspects, urn, names, system=system) for urn in aspects.urns("dataset")]
        if query.get("sortCriteria") == ["lastModifiedAt"]:
            # of datasets the index knows when their source says that they were changed; most sources say nothing
            def at(one: Doc) -> int:
                properties = aspects.get(one["urn"], "datasetProperties") or {}
                return int((properties.get("lastModified") or {}).get("time") or 0)

            found.sort(key=at, reverse=query.get("sortOrder") == ["DESCENDING"])
        return json_answer(200, {"entities": found[: int(query["count"][0])], "totalCount": len(found)})
    if asked.path == "/openapi/v3/entity/dataset/batchGet" and asked.method == "POST":
        wanted: list[Any] = asked.body if isinstance(asked.body, list) else []
        those = [one for one in wanted if aspects.exists(one["urn"])]
        return json_answer(200, [_entity(aspects, one["urn"], [*one][1:], system=system) for one in those])
    return None


def _entity(aspects: Aspects, urn: str, names: list[str], *, system: bool) -> Doc:
    with aspects.lock:
        held = {name: aspects.get(urn, name) for name in names}
        return {
            "urn": urn,
            **{
                name: {"value": value, **({"systemMetadata": aspects.systems[urn, name]} if system else {})}
                for name, value in held.items()
                if value is not None
            },
        }
