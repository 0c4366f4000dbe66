"""This file is where tests get events from, and find what they are looking for in what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headgate.openlineage import LIBRARY, Options, convert

NOW = 1_790_000_000_000
AT = 1_748_736_000_000  # 2025-06-01T00:00:00Z
RUN = "0195600a-0000-7000-8000-00000000000a"
PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/1.30.0/integration/spark"


def dataset(namespace: object, name: object, *, outside: object = None, **facets: object) -> dict[str, object]:
    """An input or output; `outside` are its outputFacets."""
    made: dict[str, object] = {"namespace": namespace, "name": name, "facets": facets}
    return made if outside is None else made | {"outputFacets": outside}


def run_event(
    *,
    job: Mapping[str, object] | None = None,
    run: Mapping[str, object] | None = None,
    name: object = "flow.task",
    inputs: object = (),
    outputs: object = (),
    **members: object,
) -> dict[str, Any]:
    """A run event; `job` and `run` are facets."""
    return {
        "eventType": "COMPLETE",
        "eventTime": "2025-06-01T00:00:00Z",
        "producer": PRODUCER,
        "run": {"runId": RUN, "facets": dict(run or {})},
        "job": {"namespace": "ns", "name": name, "facets": dict(job or {})},
        "inputs": inputs,
        "outputs": outputs,
        **members,
    }


def job_event(**members: object) -> dict[str, Any]:
    made = run_event(**members)  # pyright: ignore[reportArgumentType] - the same names
    del made["run"], made["eventType"]
    return made


def dataset_event(namespace: str, name: str, **facets: object) -> dict[str, Any]:
    return {
        "eventTime": "2025-06-01T00:00:00Z",
        "producer": "https://example.com/x",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent",
        "dataset": dataset(namespace, name, **facets),
    }


def made(event: Mapping[str, object], options: Options = LIBRARY, **changes: Any) -> list[dict[str, Any]]:
    """What is made of an event with some options changed."""
    return convert(event, replace(options, **changes), now=NOW)


def proposals(found: list[dict[str, Any]], aspect: str, kind: str = "") -> list[dict[str, Any]]:
    return [one for one in found if one["aspectName"] == aspect and kind in ("", one["entityType"])]


def aspect(found: list[dict[str, Any]], name: str, kind: str = "") -> Any:
    """The one aspect of that name."""
    (one,) = proposals(found, name, kind)
    return one["aspect"]


def urns(found: list[dict[str, Any]]) -> list[str]:
    """The datasets that are written, in their order."""
    return [one["entityUrn"] for one in proposals(found, "datasetKey")]


def urn(platform: str, name: str, env: str = "PROD") -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name},{env})"


def symlinks(*identifiers: tuple[str, str] | tuple[str, str, str]) -> dict[str, object]:
    return {
        "identifiers": [
            {"namespace": one[0], "name": one[1], "type": one[2] if len(one) > 2 else "TABLE"} for one in identifiers
        ]
    }


def columns(**fields: list[tuple[Any, ...]]) -> dict[str, object]:
    """columnLineage: a field -> (namespace, name, field, "TYPE:SUBTYPE"…) of its inputs."""
    return {
        "fields": {
            name: {
                "inputFields": [
                    {
                        "namespace": one[0],
                        "name": one[1],
                        "field": one[2],
                        "transformations": [
                            {"type": word.partition(":")[0], "subtype": word.partition(":")[2] or None}
                            for word in one[3:]
                        ],
                    }
                    for one in inputs
                ]
            }
            for name, inputs in fields.items()
        }
    }
