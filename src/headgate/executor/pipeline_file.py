"""This file is where a pipeline file of DataHub Actions is read: one whose action is `executor`, taken as it is.

What the framework needs and we do not (how often it retries) is passed over; what would change what is done, and we
do not do, is refused with its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from headgate.errors import InvalidConfiguration
from headgate.executor.filters import read_filters
from headgate.executor.taking import Options
from headgate.settings.kinds import ANY_TEXT, BOOLEAN, POSITIVE_DURATION, TEXT, pattern, whole
from headgate.settings.load import InvalidSettings
from headgate.settings.nodes import Items, Node, Place, Table, Text, read
from headgate.settings.reading import Key, Part, Report, Section, found
from headgate.settings.record import DataHub, Secret

MCL: Final = "MetadataChangeLog_Versioned_v1"
_EVENTS: Final = ("datahub-cloud", "events")
_ACTIONS: Final = ("executor", "headgate")

EXECUTOR_ID: Final = Key(
    name="executor_id",
    kind=TEXT,
    default="default",
    description="An executor ID assigned to the executor. This can be used to manage multiple distinct executors:"
    " each carries out only the requests that name it.",
)
MOST: Final = Key(
    name="max_concurrent_runs",
    kind=whole(1, 10_000),
    default=4,
    description="How many requests it runs at a time. The others wait, as Pending in DataHub, and another executor of"
    " the same id may take them. One ingestion source never has two runs at once.",
)
MAX_AGE: Final = Key(
    name="max_age",
    kind=POSITIVE_DURATION,
    default=86_400.0,
    shown="24h",
    description="A request that nobody took within this time is not run any more; it ends ABORTED and says so.",
)
POLL: Final = Key(
    name="poll_every",
    kind=POSITIVE_DURATION,
    default=5.0,
    shown="5s",
    description="How often DataHub's lists are looked through while neither Kafka nor the Events API tells of"
    " requests.",
)
CHECK: Final = Key(
    name="check_privileges",
    kind=BOOLEAN,
    default=True,
    shown="true",
    description="Whether it refuses to start with a token that lacks `Manage Metadata Ingestion` or `Manage Secrets`;"
    " false where recipes need no secrets of DataHub's.",
)
PROJECT: Final = Key(
    name="project",
    kind=ANY_TEXT,
    default="",
    description="The folder of `headgate.yaml`, or the file; by default `HEADGATE_CONFIG`, else the current folder.",
)
#: What may stand in `action.config`.
OPTIONS: Final = (EXECUTOR_ID, MOST, MAX_AGE, POLL, CHECK, PROJECT)
_TASKS: Final = Part(name="task_configs", expected="a list", description="The stock executor's; not used.")

_NAME: Final = Key(name="name", kind=TEXT, default="", description="The pipeline's name, and its Kafka consumer group.")
_ENABLED: Final = Key(name="enabled", kind=BOOLEAN, default=True, description="Whether it is to run at all.")
_TYPE: Final = Key(name="type", kind=TEXT, default="", description="The plug-in's name.")
_SERVER: Final = Key(
    name="server", kind=pattern("an http or https URL", r"https?://[^\s/]\S*"), default="", description="GMS."
)
_TOKEN: Final = Key(name="token", kind=ANY_TEXT, default="", secret=True, description="An access token.")
_BOOTSTRAP: Final = Key(name="bootstrap", kind=TEXT, default="localhost:9092", description="Kafka's brokers.")
_REGISTRY: Final = Key(
    name="schema_registry_url",
    kind=pattern("an http or https URL", r"https?://[^\s/]\S*"),
    default="http://localhost:8080/schema-registry/api/",
    description="The schema registry: GMS's own, or Confluent's.",
)
_MCL: Final = Key(name="mcl", kind=TEXT, default=MCL, description="The topic.")
_CONSUMER: Final = Part(name="consumer_config", expected="a mapping", description="librdkafka's settings.")
_REGISTRY_CONFIG: Final = Part(name="schema_registry_config", expected="a mapping", description="The registry's.")


def _part(name: str) -> Part:
    return Part(name=name, expected="a mapping", description="")


_SOURCE, _ACTION, _DATAHUB, _CONFIG, _CONNECTION, _ROUTES, _HEADERS = map(
    _part, ("source", "action", "datahub", "config", "connection", "topic_routes", "extra_headers")
)
_PASSED: Final = tuple(map(_part, ("filter", "filters", "transform", "options")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """Where the change log is read from."""

    bootstrap: str
    registry: str  #: URL of the schema registry
    group: str
    topic: str = MCL
    consumer: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  #: may hold passwords
    registry_login: Secret | None = None  #: user:password


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """An Actions file, as far as it concerns us."""

    name: str
    kafka: Kafka | None  #: None: over HTTP, by the Events API or DataHub's lists
    options: Options
    poll_every: float = 5.0  #: seconds
    check_privileges: bool = True
    datahub: DataHub | None = None  #: where DataHub is; None where the file does not say
    project: Path | None = None  #: headgate.yaml, or its folder


def read_pipeline_file(path: Path, environ: Mapping[str, str]) -> PipelineFile:
    """Read the file.

    Raises:
        InvalidSettings: all that is wrong with it, each with its place.
    """
    report = Report()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InvalidConfiguration(f"the executor's file cannot be read: {why}", file=os.fspath(path)) from error
    node = read(text, os.fspath(path), environ=environ, problems=report.problems)
    made = _pipeline(node, report, environ) if isinstance(node, Table) else None
    if made is None and not report.problems:
        place = node.place if node is not None else Place(os.fspath(path))
        what = found(node) if node is not None else "nothing"
        report.problem(place, f"expected a pipeline with name, source, action and datahub, found {what}")
    if made is None or report.problems:
        raise InvalidSettings(sorted(report.problems, key=lambda one: (one.line, one.column)))
    return made


def _pipeline(node: Table, report: Report, environ: Mapping[str, str]) -> PipelineFile:
    root = Section(node, "", report)
    root.only([_NAME, _ENABLED, _SOURCE, _ACTION, _DATAHUB, *_PASSED])
    name = root.required(_NAME) or ""
    if not root.get(_ENABLED):
        report.problem(root.place_of(_ENABLED), "enabled: the pipeline is switched off; there is nothing to run")
    made = _options(_action(root.section_or_empty(_ACTION)), name)
    made = replace(made, options=replace(made.options, filters=read_filters(node, report)))
    return replace(made, kafka=_source(root.section(_SOURCE), name, environ), datahub=_datahub(root.section(_DATAHUB)))


def read_options(config: Mapping[str, Any], *, name: str) -> PipelineFile:
    """What an action's `config` alone says, as the framework `datahub actions` hands it over.

    Raises:
        InvalidSettings: all that is wrong with it.
    """
    report = Report()
    node = read(json.dumps(config), "action.config", environ=None, problems=report.problems)
    section = Section(node if isinstance(node, Table) else Table(Place("action.config"), {}, {}), "", report)
    section.only([*OPTIONS, _TASKS])
    made = _options(section, name)
    if report.problems:
        raise InvalidSettings(report.problems)
    return made


def _options(config: Section, name: str) -> PipelineFile:
    project = config.get(PROJECT)
    named = config.node.entries.get(EXECUTOR_ID.name)
    blank = (
        isinstance(named, Text) and not named.broken and (named.null or not named.text)
    )  # as the stock executor has it
    executor = EXECUTOR_ID.default or "" if blank else config.get(EXECUTOR_ID)
    return PipelineFile(
        name=name,
        kafka=None,
        options=Options(executor_id=executor, most=config.get(MOST), max_age=config.get(MAX_AGE)),
        poll_every=config.get(POLL),
        check_privileges=config.get(CHECK),
        project=Path(project).expanduser() if project else None,
    )


def _action(action: Section) -> Section:
    """The action's own options."""
    action.only([_TYPE, _CONFIG])
    kind = action.required(_TYPE)
    if kind is not None and kind not in _ACTIONS:
        action.report.problem(
            action.place_of(_TYPE),
            f"action.type: unsupported action type {kind!r}; `headgate executor` runs pipelines with `type: executor`,"
            " `datahub actions` runs all others",
        )
    config = action.section_or_empty(_CONFIG)
    config.only([*OPTIONS, _TASKS])
    return config


def _source(source: Section | None, name: str, environ: Mapping[str, str]) -> Kafka | None:
    if source is None or not source.has(_TYPE):
        return None
    source.only([_TYPE, _CONFIG])
    kind = source.get(_TYPE)
    if kind in _EVENTS:
        return None
    if kind != "kafka":
        source.report.problem(
            source.place_of(_TYPE),
            f"source.type: expected kafka or {_EVENTS[0]}, found {kind!r}; without a source DataHub is asked over HTTP",
        )
        return None
    config = source.section_or_empty(_CONFIG)
    connection = config.section_or_empty(_CONNECTION)
    login = _texts(connection, _REGISTRY_CONFIG).get("basic.auth.user.info")
    return Kafka(
        bootstrap=connection.get(_BOOTSTRAP),
        registry=connection.get(_REGISTRY).rstrip("/"),
        group=name,
        topic=config.section_or_empty(_ROUTES).get(_MCL),
        consumer={**_kafka_properties(environ), **_texts(connection, _CONSUMER)},
        registry_login=Secret(login) if login else None,
    )


def _datahub(section: Section | None) -> DataHub | None:
    """Where DataHub is, and as whom it is spoken to; other settings of its client are passed over."""
    if section is None:
        return None
    return datahub_as(section.required(_SERVER) or "", section.get(_TOKEN), _texts(section, _HEADERS))


def datahub_as(server: str, token: str, headers: Mapping[str, str]) -> DataHub:
    """A DataHub, and as whom it is spoken to: with a token, or with what the header Authorization says."""
    made = DataHub(gms_url=server.rstrip("/"), token=Secret(token) if token else None)
    given = {name.lower(): value for name, value in headers.items()}.get("authorization", "")
    scheme, _, shown = given.partition(" ")
    if scheme.lower() == "bearer" and not token:
        return replace(made, token=Secret(shown))
    if scheme.lower() == "basic":
        user, _, password = shown.partition(":")
        return replace(made, token=None, client_id=user, client_secret=Secret(password))
    return made


#: Java's settings and the registry's, which librdkafka does not take; the group is the pipeline's name.
_NOT_OURS: Final = ("ssl.keystore", "ssl.truststore", "kafkastore.", "basic.auth.", "schema.registry.", "sasl.jaas")
_NEITHER: Final = frozenset(
    {"sasl.client.callback.handler.class", "sasl.login.callback.handler.class", "sasl.login.class", "ssl.protocol"}
    | {"ssl.enabled.protocols", "partition.assignment.strategy", "group.id", "oauth.cb"}
)


def _kafka_properties(environ: Mapping[str, str]) -> dict[str, str]:
    """KAFKA_PROPERTIES_SASL_MECHANISM is `sasl.mechanism`: so DataHub's charts hand Kafka's settings to everyone."""
    prefix = "KAFKA_PROPERTIES_"
    given = {name[len(prefix) :].lower().replace("_", "."): value for name, value in environ.items()
             if name.startswith(prefix) and value}  # fmt: skip
    return {name: value for name, value in given.items() if name not in _NEITHER and not name.startswith(_NOT_OURS)}


def _texts(section: Section, part: Part) -> dict[str, str]:
    """A mapping of texts."""
    inner = section.section(part)
    if inner is None:
        return {}
    flat: dict[str, str] = {}
    for name, node in inner.node.entries.items():
        text = _flat(node)
        if text is None:
            inner.report.unexpected(node, inner.path(name), "a text, a number, true or false")
        else:
            flat[name] = text
    return flat


def _flat(node: Node) -> str | None:
    if isinstance(node, Text) and not node.broken:
        return "" if node.null else node.text
    if isinstance(node, Items) and all(isinstance(one, Text) for one in node.items):
        return ",".join(one.text for one in node.items if isinstance(one, Text))
    return None


def options_reference() -> str:
    """The table of what may stand in `action.config`, as Markdown, in the form of DataHub's own page."""
    lines = ["| Field | Required | Default | Description |", "| --- | :-: | :-: | --- |"]
    lines += [f"| `{one.name}` | no | `{_default(one)}` | {one.description} |" for one in OPTIONS]
    return "\n".join(lines) + "\n"


def _default(key: Key[Any]) -> str:
    return key.shown or str(key.default)
