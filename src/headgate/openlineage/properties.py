"""This file is where the free-form facets of a run become the custom properties of its flow and its job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from headgate.errors import UnconvertibleEvent
from headgate.openlineage.java import DEEPEST, text_of, trimmed
from headgate.openlineage.options import Options
from headgate.openlineage.scalars import text
from headgate.openlineage.wire import Facets, JobType, ProcessingEngine, free

_LOGICAL_PLAN: Final = "spark.logicalPlan"
_JOB_DETAILS: Final = ("jobId", "jobDescription", "jobGroup", "jobCallSite")
_VERSIONS: Final = ("spark-version", "openlineage-spark-version")
_EVERY_FACET: Final = frozenset({"_producer", "_schemaURL", "_deleted"})  #: what is there to tell facets apart
#: What org.json escapes beyond JSON's own needs.
_ESCAPED: Final = re.compile("</|[\u0080-\u009f\u2000-\u20ff]")


@dataclass(slots=True)
class Properties:
    """Custom properties of both, and what else the facets say of the flow."""

    flow: dict[str, str] = field(default_factory=dict[str, str])
    job: dict[str, str] = field(default_factory=dict[str, str])
    description: str | None = None  #: of the Airflow DAG
    tags: object = None  #: of the Airflow DAG, as it was sent


def job_type(facet: JobType | None) -> dict[str, str]:
    """What a job says of its own type."""
    if facet is None:
        return {}
    said = (
        ("processingType", text(facet.processingType)),
        ("integration", text(facet.integration)),
        ("jobType", text(facet.jobType)),
    )
    return {key: value for key, value in said if value is not None}


def run_properties(facets: Facets | None, engine: ProcessingEngine | None, options: Options) -> Properties:
    """The properties a run's facets give, in the order they stand in the event; a later one overwrites."""
    made = Properties()
    if engine is not None:
        for key, said in (
            ("processingEngine", engine.name),
            ("processingEngineVersion", engine.version),
            ("openlineageAdapterVersion", engine.openlineageAdapterVersion),
        ):
            if (value := text(said)) is not None:
                made.flow[key] = made.job[key] = value
    if facets is not None:
        for name in facets:
            if (reader := _READERS.get(name)) is not None:
                reader(made, free(facets, name), options)
    return made


def _spark_properties(made: Properties, facet: Mapping[str, Any], _: Options) -> None:
    found: dict[str, str] = {}
    flatten(facet.get("properties"), found)
    made.flow |= found
    made.job |= found


def _spark_job_details(made: Properties, facet: Mapping[str, Any], _: Options) -> None:
    _both(made, facet, _JOB_DETAILS)


def _spark_version(made: Properties, facet: Mapping[str, Any], _: Options) -> None:
    _both(made, facet, _VERSIONS)


def _both(made: Properties, facet: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if (value := facet.get(name)) is not None:
            made.flow[name] = made.job[name] = text_of(value)


def _airflow(made: Properties, facet: Mapping[str, Any], _: Options) -> None:
    dag = facet.get("dag")
    flatten(dag, made.flow)
    flatten(facet.get("task"), made.job)
    if isinstance(dag, dict):
        description: object = dag.get("description")  # pyright: ignore[reportUnknownVariableType] - JSON
        made.tags = dag.get("tags")  # pyright: ignore[reportUnknownMemberType] - JSON
        if isinstance(description, str) and description.strip():
            made.description = trimmed(description)


def _logical_plan(made: Properties, facet: Mapping[str, Any], options: Options) -> None:
    plan = {name: value for name, value in facet.items() if name not in _EVERY_FACET}
    written = _ESCAPED.sub(_escape, msgspec.json.encode(_without_nulls(plan, 0)).decode())
    if options.logical_plan_limit is None or len(written) <= options.logical_plan_limit:
        made.flow[_LOGICAL_PLAN] = written


def _escape(found: re.Match[str]) -> str:
    return "<\\/" if found[0] == "</" else f"\\u{ord(found[0]):04x}"


def _without_nulls(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise _too_deep(_LOGICAL_PLAN)
    if isinstance(value, dict):
        items: Mapping[str, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON: its keys are texts
        return {key: _without_nulls(one, depth + 1) for key, one in items.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one, depth + 1) for one in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value


def _unknown_source(made: Properties, facet: Mapping[str, Any], _: Options) -> None:
    items = facet.get("unknownItems")
    for item in items if isinstance(items, list) else ():  # pyright: ignore[reportUnknownVariableType] - JSON
        flatten(item, made.job)


_READERS: Final = {
    "spark_properties": _spark_properties,
    "spark_jobDetails": _spark_job_details,
    "spark_version": _spark_version,
    "airflow": _airflow,
    _LOGICAL_PLAN: _logical_plan,
    "unknownSourceAttribute": _unknown_source,
}


def flatten(value: object, into: dict[str, str], depth: int = 0) -> None:
    """Enter objects and keep what is innermost by its key; what is null is left out.

    Raises:
        UnconvertibleEvent: it is nested too deeply.
    """
    if not isinstance(value, dict):
        return
    if depth > DEEPEST:
        raise _too_deep("a facet of the run")
    items: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType] - JSON: its keys are texts
    for key, one in items.items():
        if type(one) is str:
            into[key] = one
        elif isinstance(one, dict):
            flatten(one, into, depth + 1)  # pyright: ignore[reportUnknownArgumentType] - JSON
        elif one is not None:
            into[key] = text_of(one)


def _too_deep(what: str) -> UnconvertibleEvent:
    return UnconvertibleEvent(f"{what} is nested more than {DEEPEST} levels deep")
