"""This file is where it is said how events are converted: Java's options, what goes beyond them, and the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from headgate.settings.record import OpenLineage

#: DataHub's fabric words (com.linkedin.common.FabricType).
FABRICS: Final = frozenset(
    {
        "PROD", "DEV", "TEST", "QA", "UAT", "EI", "PRE", "STG", "NON_PROD", "CORP", "RVW", "PRD", "TST", "SIT", "SBX",
        "SANDBOX", "CERT",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSpec:
    """Where a table's name is in a path of a file system: `s3://bucket/*/{table}`."""

    paths: Sequence[str] = ()
    platform_instance: str | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What datasets of one source (a namespace, or a Glue catalog's ARN) have in common."""

    platform_instance: str | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyRule:
    """A member of a job's facet that becomes a structured property of the dataJob."""

    path: Sequence[str]  #: the facet's name, then the members that lead to the value
    property: str  #: URN of the structured property
    kind: Literal["arn", "string", "number"] = "string"
    title: str = ""  #: how DataHub shows the property, where we define it


STEP_FUNCTION_ARN: Final = PropertyRule(
    path=("aws", "stepFunctionArn"),
    property="urn:li:structuredProperty:awsStepFunctionArn",
    kind="arn",
    title="AWS Step Function ARN",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one event may cost. Beyond any of these it is refused; none is near what producers send."""

    event_bytes: int = 16 * 2**20  #: of its JSON
    datasets: int = 10_000  #: inputs and outputs, each
    fields: int = 100_000  #: of all schemas, nested ones included
    pairs: int = 200_000  #: of column lineage
    characters: int = 32 * 2**20  #: of texts that repeat what the event says once: field paths, lineage with its SQL
    depth: int = 100  #: of nested schema fields


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How events are converted. The first part are DataHub's own options with its library's defaults."""

    pipeline_name: str | None = None
    orchestrator: str | None = None
    fabric: str = "PROD"
    platform_instance: str | None = None  #: of flows and jobs
    common_dataset_platform_instance: str | None = None
    file_partition_regexp: str | None = None
    path_specs: Mapping[str, Sequence[PathSpec]] = field(default_factory=dict[str, Sequence[PathSpec]])  #: by platform
    connections: Mapping[str, Connection] = field(default_factory=dict[str, Connection])
    materialize_dataset: bool = False
    include_schema_metadata: bool = False
    capture_column_level_lineage: bool = True
    include_indirect_column_lineage: bool = True
    use_patch: bool = True
    hive_platform_alias: str = "hive"
    disable_symlink_resolution: bool = False
    lower_case_dataset_urns: bool = False
    remove_legacy_lineage: bool = False
    enhanced_merge_into_extraction: bool = False
    domains: Sequence[str] = ()
    is_spark: bool = False  #: as DataHub's Spark agent: outputs of RDD jobs that only read are ignored

    released: bool = False  #: as DataHub 1.6 does it, not as its next release will

    # Beyond Java; each is off (or harmless) unless asked for.
    properties: Sequence[PropertyRule] = (STEP_FUNCTION_ARN,)
    upsert_properties: bool = False  #: for servers before 2026-05, where a first PATCH of the aspect fails
    orchestrator_from_producer: bool = False  #: the last part of an unknown producer's path
    keep_flow_tags: bool = False  #: an Airflow DAG with an empty list of tags leaves the flow's tags alone
    escape_operations: bool = False  #: SQL in the paths of column lineage with its slashes escaped
    field_descriptions: bool = False  #: fields of schemas with their descriptions
    logical_plan_limit: int | None = None  #: bytes; a longer spark.logicalPlan is left out
    limits: Limits = LIMITS


#: What DataHub's library does in its own tests: its defaults, with datasets and their schemas written.
LIBRARY: Final = Options(materialize_dataset=True, include_schema_metadata=True)


def rest_defaults(
    *,
    env: str | None = "PROD",
    common_dataset_env: str | None = None,
    platform_instance: str | None = None,
    released: bool = False,
) -> Options:
    """What DataHub's REST endpoint does by default; `dataclasses.replace` changes the rest of it.

    Args:
        env: the fabric of datasets, and in lower case the platform instance of flows and jobs.
        common_dataset_env: the fabric of datasets, where it is another.
        platform_instance: the platform instance of flows and jobs, where it is another.
        released: as the released endpoint does it, which writes no patches.
    """
    fabric = (common_dataset_env or env or "PROD").upper()
    return Options(
        fabric=fabric if fabric in FABRICS else "PROD",
        platform_instance=platform_instance or (env.lower() if env else None),
        materialize_dataset=True,
        include_schema_metadata=True,
        use_patch=not released,
        released=released,
    )


def configured(settings: OpenLineage) -> Options:
    """What `openlineage:` in headgate.yaml and the DATAHUB_OPENLINEAGE_* variables ask for."""
    options = rest_defaults(
        env=settings.env or None,
        common_dataset_env=settings.common_dataset_env or None,
        platform_instance=settings.platform_instance or None,
        released=settings.released,
    )
    asked: dict[str, Any] = {name: value for name, value in settings.texts.items() if value} | dict(settings.switches)
    if settings.use_patch is not None:
        asked["use_patch"] = settings.use_patch
    if settings.properties is not None:
        asked["properties"] = [
            PropertyRule(
                path=one.path.split("."),
                property=one.property,
                kind=cast('Literal["arn", "string", "number"]', one.kind),
                title=one.title,
            )
            for one in settings.properties
        ]
    paths = {
        platform: [
            PathSpec(paths=one.paths, platform_instance=one.platform_instance or None, env=one.env or None)
            for one in specs
        ]
        for platform, specs in settings.path_specs.items()
    }
    connections = {
        source: Connection(platform_instance=one.platform_instance or None, env=one.env or None)
        for source, one in settings.connections.items()
    }
    return replace(
        options,
        logical_plan_limit=settings.logical_plan_limit,
        domains=settings.domains,
        path_specs=paths,
        connections=connections,
        **asked,
    )
