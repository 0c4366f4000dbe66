"""This file is where aspects that jobs and datasets share are made, and those of datasets alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from headgate.openlineage.datasets import Found
from headgate.openlineage.java import double_text, lower_key, trimmed
from headgate.openlineage.lineage import DATAHUB, pointer
from headgate.openlineage.options import Options
from headgate.openlineage.scalars import double, text, whole
from headgate.openlineage.wire import (
    ColumnMetrics,
    DatasetFacets,
    OutputStatistics,
    Ownership,
    QualityMetrics,
    SourceCodeLocation,
    Tags,
)

Aspect = Mapping[str, Any] | Sequence[Any]
#: How an aspect is to be written, and the aspect.
Change = tuple[str, Aspect]

OWNER_TYPES: Final = frozenset(
    {
        "CUSTOM", "TECHNICAL_OWNER", "BUSINESS_OWNER", "DATA_STEWARD", "NONE", "DEVELOPER", "DATAOWNER", "DELEGATE",
        "PRODUCER", "CONSUMER", "STAKEHOLDER",
    }
)  # fmt: skip
#: What DataHub calls each change of a dataset's life.
LIFECYCLE: Final = {
    "CREATE": "CREATE", "DROP": "DROP", "TRUNCATE": "DELETE", "ALTER": "ALTER", "RENAME": "ALTER",
    "OVERWRITE": "UPDATE",
}  # fmt: skip
_SEPARATOR: Final = "attribution\u241fsource"  #: DataHub's name for the member `source` inside `attribution`


def tag_names(facet: Tags | None) -> list[str]:
    """`key`, or `key:value`, in the event's order."""
    names: list[str] = []
    for tag in (facet.tags if facet is not None else None) or ():
        key = trimmed(text(tag.key) or "") if tag is not None else ""
        if tag is None or not key.strip():
            continue
        value = trimmed(text(tag.value) or "")
        names.append(f"{key}:{value}" if value.strip() else key)
    return names


def global_tags(names: Sequence[str], options: Options) -> Change:
    urns = [f"urn:li:tag:{name}" for name in names]
    if not options.use_patch or not urns:
        return "UPSERT", {"tags": [{"tag": urn} for urn in urns]}
    operations = [{"op": "add", "path": f"/tags//{pointer(urn)}", "value": {"tag": urn}} for urn in urns]
    return "PATCH", {"arrayPrimaryKeys": {"tags": [_SEPARATOR, "tag"]}, "patch": operations}


def flow_tags(said: object) -> list[str] | None:
    """An Airflow DAG's tags, a Python list as text; None where it is none."""
    if not isinstance(said, str):
        return None
    try:
        found = json.loads(said.replace("'", '"'))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):  # pyright: ignore[reportUnknownVariableType] - JSON
        return None
    tags: list[str] = found  # pyright: ignore[reportUnknownVariableType] - all of them are texts
    return without_case(tags)


def without_case(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lower_key)


def ownership(facet: Ownership | None, options: Options, now: int) -> Change | None:
    """Owners as users; None where there are none. `now` is the wall clock, milliseconds."""
    owners: list[tuple[str, str]] = []
    for owner in (facet.owners if facet is not None else None) or ():
        name = trimmed(text(owner.name) or "") if owner is not None else ""
        if owner is None or not name.strip():
            continue
        kind = (text(owner.type) or "").upper()
        owners.append((f"urn:li:corpuser:{name}", kind if kind in OWNER_TYPES else "TECHNICAL_OWNER"))
    if not owners:
        return None
    if not options.use_patch:
        given = [{"owner": urn, "type": kind, "source": {"type": "SERVICE"}} for urn, kind in owners]
        return "UPSERT", {"owners": given, "lastModified": {"time": now, "actor": DATAHUB}}
    operations = [
        {"op": "add", "path": f"/owners/{pointer(urn)}/{kind}//", "value": {"owner": urn, "type": kind}}
        for urn, kind in owners
    ]
    return "PATCH", {"arrayPrimaryKeys": {"owners": ["owner", "type", "typeUrn", _SEPARATOR]}, "patch": operations}


def institutional_memory(facet: SourceCodeLocation | None, at: int) -> Aspect | None:
    """Where the code of a job is; None where that is not said."""
    url = (text(facet.url) or text(facet.repoUrl)) if facet is not None else None
    if facet is None or not url:
        return None
    description = "Source code location"
    if branch := text(facet.branch):
        description += f" (branch {branch})"
    elif tag := text(facet.tag):
        description += f" (tag {tag})"
    stamp = {"actor": DATAHUB, "time": at}
    return {"elements": [{"url": url, "description": description, "createStamp": stamp}]}


def operation(found: Found, at: int) -> Aspect | None:
    """What was done to an output; None where nothing says so.

    Raises:
        MalformedEvent: a number that is none.
    """
    life = found.facets.lifecycleStateChange
    statistics, change = found.statistics, life.lifecycleStateChange if life is not None else None
    if statistics is None and change is None:
        return None
    made: dict[str, Any] = {
        "timestampMillis": at,
        "lastUpdatedTimestamp": at,
        "actor": DATAHUB,
        "operationType": LIFECYCLE[change] if change is not None else "UPDATE",
    }
    properties: dict[str, str] = {"lifecycleStateChange": change} if change is not None else {}
    if statistics is not None:
        rows, size, files = _counts(statistics)
        if rows is not None:
            made["numAffectedRows"] = rows
        if size is not None:
            properties["sizeInBytes"] = str(size)
        if files is not None:
            properties["fileCount"] = str(files)
    if properties:
        made["customProperties"] = properties
    return made


def _counts(statistics: OutputStatistics) -> tuple[int | None, int | None, int | None]:
    return (
        whole(statistics.rowCount, "outputStatistics.rowCount"),
        whole(statistics.size, "outputStatistics.size"),
        whole(statistics.fileCount, "outputStatistics.fileCount"),
    )


def profile(facet: QualityMetrics | None, at: int) -> Aspect | None:
    """`datasetProfile`; None where the facet says nothing."""
    if facet is None:
        return None
    made: dict[str, Any] = {}
    if (rows := whole(facet.rowCount, "dataQualityMetrics.rowCount")) is not None:
        made["rowCount"] = rows
    if (size := whole(facet.bytes, "dataQualityMetrics.bytes")) is not None:
        made["sizeInBytes"] = size
    if facet.columnMetrics:
        made["fieldProfiles"] = [_field(name, one) for name, one in facet.columnMetrics.items() if one is not None]
    return {"timestampMillis": at, **made} if made else None


def _field(name: str, metrics: ColumnMetrics) -> dict[str, Any]:
    made: dict[str, Any] = {"fieldPath": name}
    for key, count in (("nullCount", metrics.nullCount), ("uniqueCount", metrics.distinctCount)):
        if (number := whole(count, f"dataQualityMetrics, {key} of {name[:60]}")) is not None:
            made[key] = number
    for key, bound in (("min", metrics.min), ("max", metrics.max)):
        if (value := double(bound, f"dataQualityMetrics, {key} of {name[:60]}")) is not None:
            made[key] = double_text(value)
    return made


def dataset_properties(facets: DatasetFacets) -> list[Any]:
    """Operations of a patch; none where the facets say nothing."""
    said: list[tuple[str, str | None]] = []
    if facets.documentation is not None:
        said.append(("/description", text(facets.documentation.description)))
    if (storage := facets.storage) is not None:
        said.append(("/customProperties/storageLayer", text(storage.storageLayer)))
        said.append(("/customProperties/fileFormat", text(storage.fileFormat)))
    if (kind := facets.datasetType) is not None:
        said.append(("/customProperties/datasetType", text(kind.datasetType)))
        said.append(("/customProperties/datasetSubType", text(kind.subType)))
    if facets.version is not None:
        said.append(("/customProperties/datasetVersion", text(facets.version.datasetVersion)))
    return [{"op": "add", "path": path, "value": value} for path, value in said if value is not None]
