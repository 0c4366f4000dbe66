"""This file is where the reference of every setting is written, from the descriptions the settings are read by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from headgate.settings import catalogs, datasets, functions, jobs, notify, openlineage, secrets, sqs, triggers
from headgate.settings import top as keys
from headgate.settings.engines import ENGINES
from headgate.settings.reading import Key, Named

#: Environment variables that stand for no key of the file.
VARIABLES: Final[Sequence[tuple[str, str]]] = (
    (
        "HEADGATE_CONFIG",
        "The configuration file, or the folder it is in; by default `headgate.yaml` in the current one.",
    ),
    (
        datasets.INLINE,
        "A mapping of dataset URNs to Lambda functions, as JSON or YAML; wins among equals.",
    ),
    (datasets.FILE, "The path of a file with such a mapping, read again when it is edited."),
    (datasets.FALLBACK, "The Lambda function (or state machine) of every dataset that no rule covers."),
    secrets.KEY_VARIABLE,
)


def chapters() -> Iterator[tuple[str, Sequence[Named]]]:
    """Every heading of the reference and the keys under it."""
    yield "headgate.yaml", [*keys.SCALARS, *keys.PARTS, *keys.SECTIONS]
    yield "datahub", keys.OF_DATAHUB
    yield "datahub.allow", keys.OF_ALLOW
    yield "openlineage", openlineage.PARTS
    yield "A platform's path_specs", openlineage.PATH_SPEC
    yield "A connection", openlineage.CONNECTION
    yield "A property of a job's facet", openlineage.PROPERTY_KEYS
    yield "A job", jobs.POLICY
    yield "A job's retry", jobs.BACKOFF
    for name, engine in ENGINES.items():
        yield f"A job with engine {name}", engine.keys
    yield "A trigger", triggers.EVERY_TYPE
    for kind, own in triggers.OF_TYPE.items():
        if own:
            yield f"A trigger of type {kind}", own
    yield "A trigger on: glue", triggers.ON_GLUE
    yield "An EVENT trigger's s3", triggers.OBJECTS
    yield "An EVENT trigger's catalog", catalogs.KEYS
    yield "A catalog's glue", catalogs.OF_GLUE
    yield "A catalog's iceberg", catalogs.OF_ICEBERG
    yield "A CONDITIONAL trigger's predicate", triggers.PREDICATE_KEYS
    yield "A predicate's condition", triggers.CONDITION
    yield "A trigger's action", triggers.ACTION
    yield "A rule of datasets", datasets.RULE
    yield "A function", functions.FUNCTION
    yield "A queue of sqs", sqs.QUEUE
    yield "secrets", secrets.PARTS
    yield "A provider of secrets", secrets.PROVIDER
    yield "A provider's secrets_manager or ssm", secrets.OF_AWS
    yield "A notification", notify.NOTIFICATION


def settings_reference() -> str:
    """The reference of all settings, as Markdown: a table a heading, a row a key."""
    lines = ["# Settings", ""]
    for heading, named in chapters():
        lines += [f"## {heading}", "", "| key | is | default | variable | meaning |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(key) for key in named]
        lines.append("")
    lines += ["## Variables that are no keys", "", "| variable | meaning |", "| --- | --- |"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES]
    return "\n".join(lines) + "\n"


def _row(key: Named) -> str:
    default, variables = "", ""
    if isinstance(key, Key):
        default = key.shown or ("" if key.default in (None, "") else f"`{key.default}`")
        variables = ", ".join(f"`{name}`" for name in key.variables)
    expected = key.expected.replace("|", "\\|")
    return f"| `{key.name}` | {expected} | {default} | {variables} | {key.description} |"
