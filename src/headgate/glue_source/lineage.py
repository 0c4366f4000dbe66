"""This file is where a table is said to come from its storage, or its storage from it: S3 or Iceberg, by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from datahub.emitter.mce_builder import make_schema_field_urn
from datahub.ingestion.source.aws.s3_util import is_s3_uri, make_s3_urn_for_lineage

from headgate.glue_source.columns import Field
from headgate.glue_source.proposals import Json

_NOT_SIMPLE = ("[type=array]", "[type=map]", "[type=union]")


def storage_urn(urn: str, properties: Mapping[str, str], env: str) -> str | None:
    """The dataset that a table's data is kept in: the Iceberg table of the same name, or what its location names."""
    if properties.get("table_type") == "ICEBERG":
        return urn.replace("urn:li:dataPlatform:glue", "urn:li:dataPlatform:iceberg")
    location = properties.get("Location")
    return make_s3_urn_for_lineage(location, env) if location is not None and is_s3_uri(location) else None


def upstreams(copied: Sequence[str], fine: Sequence[Json] = ()) -> Json:
    """The aspect upstreamLineage of upstreams that are copied."""
    stamp = {"time": 0, "actor": "urn:li:corpuser:unknown"}
    made = [{"auditStamp": stamp, "dataset": one, "type": "COPY"} for one in copied]
    return {"upstreams": made, **({"fineGrainedLineages": list(fine)} if fine else {})}


def by_column(urn: str, upstream: str, fields: Iterable[Field], above: Callable[[], Iterable[str]]) -> list[Json]:
    """Column by column, where the upstream has one of the same simple path. `above` gives the paths of its fields."""
    known = dict[str, str]()
    for path in above():
        known.setdefault(simple(path), path)
    made: list[Json] = []
    for field in fields:
        path = simple(field["fieldPath"])
        if path in known:
            made.append(
                {
                    "upstreamType": "FIELD_SET",
                    "upstreams": [make_schema_field_urn(upstream, path)],
                    "downstreamType": "FIELD",
                    "downstreams": [make_schema_field_urn(urn, path)],
                    "confidenceScore": 1.0,
                }
            )
    return made


def simple(path: str) -> str:
    """A field path as lineage names columns: without types, but where an array, map or union is on the way as it is."""
    if not path.startswith("[version=2.0]") or any(one in path for one in _NOT_SIMPLE):
        return path
    parts: list[str] = []
    part, skip = "", False
    for mark in path:
        if mark == "[":
            if part:
                parts.append(part)
            part, skip = "", True
        elif mark == "]":
            skip = False
        elif mark != "." and not skip:
            part += mark
    return ".".join([*parts, part] if part else parts)


def bytes_at_most(body: Json) -> int:
    """What the aspect takes as JSON, never less."""
    fine: list[dict[str, Any]] = body.get("fineGrainedLineages") or []
    urns = sum(len(one["upstreams"][0]) + len(one["downstreams"][0]) for one in fine)
    return 1000 + 200 * len(fine) + 6 * (urns + sum(len(one["dataset"]) for one in body["upstreams"]))
