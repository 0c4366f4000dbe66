"""This file is where `openlineage:` is read: how events are converted for DataHub, by DataHub's own names for it.

The defaults are those of DataHub's REST endpoint, with its documented environment PROD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headgate.model import Json
from headgate.settings.kinds import ANY_TEXT, BOOLEAN, TEXT, Kind, one_of, pattern, whole
from headgate.settings.nodes import Table, Text
from headgate.settings.reading import Key, Named, Part, Section
from headgate.settings.record import Emit, LineageConnection, LineagePath, LineageProperty, OpenLineage, Secret

#: DataHub's words for environments. tests/openlineage holds them against the converter's.
FABRICS: Final = (
    "PROD", "DEV", "TEST", "QA", "UAT", "EI", "PRE", "STG", "NON_PROD", "CORP", "RVW", "PRD", "TST", "SIT", "SBX",
    "SANDBOX", "CERT",
)  # fmt: skip
_FABRIC: Final = one_of(*FABRICS)
_VARIABLE: Final = "DATAHUB_OPENLINEAGE_"


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(text) from error
    return text


def _text(name: str, description: str, default: str = "", *, variables: Sequence[str] = ()) -> Key[str]:
    own = (f"{_VARIABLE}{name.upper()}", *variables)
    return Key(name=f"openlineage.{name}", kind=ANY_TEXT, default=default, variables=own, description=description)


def _switch(name: str, description: str, *, default: bool = False) -> Key[bool]:
    return Key(
        name=f"openlineage.{name}", kind=BOOLEAN, default=default, shown=str(default).lower(),
        variables=(f"{_VARIABLE}{name.upper()}",), description=description,
    )  # fmt: skip


ENV: Final = _text("env", "The environment of datasets; in lower case the platform instance of flows and jobs.", "PROD")
COMMON_DATASET_ENV: Final = _text("common_dataset_env", "The environment of datasets, where it is another.")
PLATFORM_INSTANCE: Final = _text("platform_instance", "The platform instance of flows and jobs, where it is another.")
RELEASED: Final = _switch("released", "Convert as DataHub 1.6 does, not as its next release will.")
USE_PATCH: Final[Key[bool | None]] = Key(
    name="openlineage.use_patch",
    kind=BOOLEAN,
    default=None,
    shown="true; false with `released`",
    variables=(f"{_VARIABLE}USE_PATCH",),
    description="Whether lineage, tags and owners are added to what is there, or written whole.",
)
ALIAS_MEMORY: Final = Key(
    name="openlineage.alias_memory",
    kind=whole(0, 1_000_000),
    default=0,
    description="How many symlinks are remembered from event to event; 0 remembers none.",
)
PLAN_LIMIT: Final[Key[int | None]] = Key(
    name="openlineage.logical_plan_limit",
    kind=whole(0),
    default=None,
    shown="no limit",
    description="The longest `spark.logicalPlan` that is kept as a property, in characters.",
)
REGEXP: Final = Key(
    name="openlineage.file_partition_regexp",
    kind=Kind("a regular expression", _expression),
    default="",
    variables=(f"{_VARIABLE}FILE_PARTITION_REGEXP_PATTERN", f"{_VARIABLE}FILE_PARTITION_REGEXP"),
    description="What is cut off the end of paths, so that partitions become one dataset.",
)

EMIT: Final = Key(
    name="openlineage.emit",
    kind=one_of(*Emit),
    default=Emit.AUTO,
    shown="auto",
    description="Who is told of our own runs: DataHub, the receiver at `openlineage.url`, both or nobody; auto is the"
    " receiver where there is one, else DataHub (or the embedded catalog). `OPENLINEAGE_DISABLED=true` is none.",
)
NAMESPACE: Final = Key(
    name="openlineage.namespace",
    kind=TEXT,
    default="headgate",
    variables=("OPENLINEAGE_NAMESPACE",),
    description="The namespace of our jobs.",
)
RECEIVER: Final = Key(
    name="openlineage.url",
    kind=pattern("an http or https URL", r"https?://[^\s/]\S*|"),
    default="",
    variables=("OPENLINEAGE_URL",),
    description="A receiver of OpenLineage events, which is told of our own runs.",
)
ENDPOINT: Final = Key(
    name="openlineage.endpoint",
    kind=TEXT,
    default="api/v1/lineage",
    variables=("OPENLINEAGE_ENDPOINT",),
    description="The receiver's path.",
)
API_KEY: Final = Key(
    name="openlineage.api_key",
    kind=ANY_TEXT,
    default="",
    variables=("OPENLINEAGE_API_KEY",),
    secret=True,
    description="The bearer token of the receiver.",
)

#: Keys whose names are those of the converter's options.
TEXTS: Final[Sequence[Key[str]]] = (
    _text("pipeline_name", "The name of every flow, instead of what stands before the first dot of a job's name."),
    _text("orchestrator", "Who runs the jobs, where events do not say it as they should."),
    _text("common_dataset_platform_instance", "The platform instance of datasets."),
    _text("hive_platform_alias", "The platform of tables behind symlinks that are not in Glue.", "hive"),
    REGEXP,
)
SWITCHES: Final[Sequence[Key[bool]]] = (
    _switch("materialize_dataset", "Write datasets, not only the lineage between them.", default=True),
    _switch("include_schema_metadata", "Write the schemas of datasets.", default=True),
    _switch("capture_column_level_lineage", "Write the lineage of columns.", default=True),
    _switch("include_indirect_column_lineage", "Count columns that only filter, join or sort.", default=True),
    _switch("disable_symlink_resolution", "Leave datasets under their paths, whatever their symlinks say."),
    _switch("lower_case_dataset_urns", "Write the names of datasets in lower case."),
    _switch("remove_legacy_lineage", "Take away what older versions wrote as lineage of datasets."),
    _switch("enhanced_merge_into_extraction", "Name Spark's MERGE INTO jobs after their targets."),
    _switch("upsert_properties", "Write structured properties whole, for DataHub before May 2026."),
    _switch("orchestrator_from_producer", "Take the last part of an unknown producer's path for the orchestrator."),
    _switch("keep_flow_tags", "Leave a flow's tags alone where its Airflow DAG has none."),
    _switch("escape_operations", "Escape SQL in the paths of column lineage, which DataHub's own converter forgets."),
    _switch("field_descriptions", "Write the descriptions of fields, too."),
)

OPENLINEAGE: Final = Part(
    name="openlineage", expected="a mapping", description="How OpenLineage events are converted for DataHub."
)
DOMAINS: Final = Part(
    name="domains",
    expected="a list of domain URNs",
    description="The domains of every flow and job; `DATAHUB_OPENLINEAGE_DOMAINS` is such a list with commas.",
)
PATH_SPECS: Final = Part(
    name="path_specs",
    expected="a mapping of platforms to lists of {paths, platform_instance, env}",
    description="Where the names of tables are in paths.",
)
CONNECTIONS: Final = Part(
    name="connections",
    expected="a mapping of namespaces or Glue ARNs to {platform_instance, env}",
    description="What the datasets of one source have in common.",
)
PROPERTIES: Final = Part(
    name="properties",
    expected="a mapping of FACET.MEMBER of jobs to {property, kind, title}",
    description="Structured properties that facets of jobs become; by default `aws.stepFunctionArn` becomes"
    " `awsStepFunctionArn`.",
)
INSTANCE: Final = Key(name="platform_instance", kind=ANY_TEXT, default="", description="Their platform instance.")
INNER_ENV: Final = Key(
    name="env", kind=_FABRIC, default="", shown="the datasets' own", description="Their environment."
)
PATHS: Final = Part(
    name="paths", expected="a list of paths with {table}", description="Paths; `*` stands for any one folder."
)


def _urn(text: str) -> str:
    found = text if text.startswith("urn:li:structuredProperty:") else f"urn:li:structuredProperty:{text}"
    if not re.fullmatch(r"urn:li:structuredProperty:[^\s:(),]+", found):
        raise ValueError(text)
    return found


PROPERTY: Final = Key(
    name="property",
    kind=Kind("the URN of a structured property (urn:li:structuredProperty:ID), or its bare id", _urn),
    default="",
    description="The structured property it becomes.",
)
KIND: Final = Key(
    name="kind", kind=one_of("arn", "string", "number"), default="string", description="What its values are."
)
TITLE: Final = Key(name="title", kind=ANY_TEXT, default="", description="How DataHub shows the property.")

SCALARS: Final[Sequence[Key[Any]]] = (
    ENV, COMMON_DATASET_ENV, PLATFORM_INSTANCE, RELEASED, USE_PATCH, ALIAS_MEMORY, PLAN_LIMIT, *TEXTS, *SWITCHES,
    EMIT, NAMESPACE, RECEIVER, ENDPOINT, API_KEY,
)  # fmt: skip
PARTS: Final[Sequence[Part]] = (DOMAINS, PATH_SPECS, CONNECTIONS, PROPERTIES)
PATH_SPEC: Final[Sequence[Named]] = (PATHS, INSTANCE, INNER_ENV)
CONNECTION: Final[Sequence[Named]] = (INSTANCE, INNER_ENV)
PROPERTY_KEYS: Final[Sequence[Named]] = (PROPERTY, KIND, TITLE)
_DOMAIN: Final = pattern("a domain's URN such as urn:li:domain:ID", r"urn:li:domain:\S+")


def read_openlineage(section: Section, values: Mapping[str, Json], environ: Mapping[str, str]) -> OpenLineage:
    """The record of the section. `values` are its scalars in force, by their names without `openlineage.`."""
    own = {key.name.partition(".")[2]: values[key.name.partition(".")[2]] for key in (*TEXTS, *SWITCHES)}
    patch, limit = values["use_patch"], values["logical_plan_limit"]
    return OpenLineage(
        emit=_emit(str(values["emit"]), str(values["url"]), environ),
        namespace=str(values["namespace"]),
        receiver=f"{str(values['url']).rstrip('/')}/{str(values['endpoint']).lstrip('/')}" if values["url"] else "",
        api_key=Secret(str(values["api_key"])) if values["api_key"] else None,
        env=str(values["env"]),
        common_dataset_env=str(values["common_dataset_env"]),
        platform_instance=str(values["platform_instance"]),
        released=bool(values["released"]),
        use_patch=None if patch is None else bool(patch),
        alias_memory=int(str(values["alias_memory"])),
        logical_plan_limit=None if limit is None else int(str(limit)),
        texts={name: value for name, value in own.items() if isinstance(value, str)},
        switches={name: value for name, value in own.items() if isinstance(value, bool)},
        domains=_domains(section, environ),
        path_specs=_path_specs(section),
        connections=_connections(section),
        properties=_properties(section),
    )


def _emit(said: str, url: str, environ: Mapping[str, str]) -> Emit:
    """Who is told; never AUTO. Without a receiver there is only DataHub to tell."""
    if environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return Emit.NONE
    if said in (Emit.NONE, Emit.DATAHUB):
        return Emit(said)
    if not url:
        return Emit.DATAHUB
    return Emit.URL if said == Emit.AUTO else Emit(said)


def _domains(section: Section, environ: Mapping[str, str]) -> Sequence[str]:
    said = environ.get(f"{_VARIABLE}DOMAINS", "")
    if not said.strip():
        return section.texts(DOMAINS, _DOMAIN)
    urns = [one.strip() for one in said.split(",") if one.strip()]
    section.report.note(section.path(DOMAINS.name), list[Json](urns), f"{_VARIABLE}DOMAINS")
    return tuple(urns)


def _path_specs(section: Section) -> Mapping[str, Sequence[LineagePath]]:
    outer = section.section(PATH_SPECS)
    made: dict[str, Sequence[LineagePath]] = {}
    for platform in outer.node.entries if outer is not None else ():
        if outer is None:
            continue
        specs: list[LineagePath] = []
        part = Part(name=platform, expected="a list of {paths, platform_instance, env}", description="")
        for index, node in enumerate(outer.items(part)):
            name = f"{outer.path(platform)}[{index}]"
            if not isinstance(node, Table):
                outer.report.unexpected(node, name, "a mapping of paths, platform_instance and env")
                continue
            one = Section(node, name, outer.report)
            one.only(PATH_SPEC)
            paths = one.texts(PATHS, TEXT)
            specs.append(LineagePath(paths=paths, platform_instance=one.get(INSTANCE), env=one.get(INNER_ENV)))
        made[platform] = tuple(specs)
    return made


def _connections(section: Section) -> Mapping[str, LineageConnection]:
    made: dict[str, LineageConnection] = {}
    for source, one in _inner(section, CONNECTIONS, "a mapping of platform_instance and env").items():
        one.only(CONNECTION)
        made[source] = LineageConnection(platform_instance=one.get(INSTANCE), env=one.get(INNER_ENV))
    return made


def _properties(section: Section) -> Sequence[LineageProperty] | None:
    if section.node.entries.get(PROPERTIES.name) is None:
        return None
    made: list[LineageProperty] = []
    for path, one in _inner(section, PROPERTIES, "a mapping of property, kind and title").items():
        one.only(PROPERTY_KEYS)
        urn = one.required(PROPERTY)
        if not all(path.split(".")) or "." not in path:
            one.report.problem(one.place, f"{one.name}: expected FACET.MEMBER, found {path!r}")
        elif urn is not None:
            made.append(LineageProperty(path=path, property=urn, kind=one.get(KIND), title=one.get(TITLE)))
    return tuple(made)


def _inner(section: Section, part: Part, expected: str) -> Mapping[str, Section]:
    """The mappings of a part by their names, which may be anything (a URL, an ARN)."""
    outer = section.section(part)
    made: dict[str, Section] = {}
    for name, node in outer.node.entries.items() if outer is not None else ():
        if isinstance(node, Table):
            made[name] = Section(node, section.path(f"{part.name}.{name}"), section.report)
        elif not (isinstance(node, Text) and node.null):
            section.report.unexpected(node, section.path(f"{part.name}.{name}"), expected)
    return made
