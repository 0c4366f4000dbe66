"""This file is where an EVENT trigger's `catalog:` is read: whose tables it watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headgate.model import TABLE_CHANGES, CatalogWatch
from headgate.settings.kinds import ANY_TEXT, POSITIVE_DURATION, TEXT, Kind, one_of, pattern
from headgate.settings.nodes import Table, Text
from headgate.settings.reading import Key, Named, Part, Section

CATALOG: Final = Part(
    name="catalog",
    expected="a mapping with glue or iceberg",
    description="EVENT: a catalog whose tables are watched, in place of `s3`.",
)


def _duration(text: str) -> float:
    seconds = POSITIVE_DURATION.parse(text)
    if seconds < 1:
        raise ValueError(text)
    return seconds


EVERY: Final = Key(
    name="every",
    kind=Kind("a duration of at least a second such as 60s or 5m", _duration),
    default=60.0,
    shown="60s",
    description="EVENT with a catalog: how often it is looked at. Replicas take turns.",
)
GLUE: Final = Part(
    name="glue",
    expected="a mapping of region, databases, catalog_id and role_arn",
    description="AWS Glue's catalog; `glue: {}` is all of the account's.",
)
ICEBERG: Final = Part(
    name="iceberg",
    expected="lake, s3://bucket/prefix, or a mapping with a location",
    description="Iceberg tables: `lake` for those of the lake's own catalog, or all below an S3 prefix.",
)
CHANGES: Final = Part(
    name="changes",
    expected="a list of created, updated and removed",
    description="Which changes count; `[created, updated]` without it.",
)
LOCATION: Final = Key(
    name="location",
    kind=pattern("lake, or s3://bucket/prefix", r"lake|s3://[^/\s]+(/\S*)?"),
    default="",
    shown="required",
    description="Of iceberg: where the tables are.",
)
DATABASES: Final = Part(
    name="databases",
    expected="a list of names, where * stands for anything",
    description="The databases (Iceberg: namespaces) that are watched; without it all of them.",
)
REGION: Final = Key(
    name="region",
    kind=pattern("an AWS region such as us-east-1", r"[a-z]{2}(-[a-z]+)+-\d"),
    default="",
    shown="`AWS_REGION`",
    description="The AWS region of the catalog.",
)
CATALOG_ID: Final = Key(
    name="catalog_id",
    kind=pattern("an AWS account's id, 12 digits", r"\d{12}|"),
    default="",
    description="Of glue: another account whose catalog it is.",
)
ROLE_ARN: Final = Key(
    name="role_arn",
    kind=pattern("a role's ARN such as arn:aws:iam::123456789012:role/NAME", r"arn:aws[a-z-]*:iam::\d{12}:role/\S+|"),
    default="",
    description="A role to assume for looking at it.",
)
EXTERNAL_ID: Final = Key(
    name="external_id", kind=ANY_TEXT, default="", description="The external id the role's trust policy asks for."
)

KEYS: Final[Sequence[Named]] = (GLUE, ICEBERG, CHANGES)
OF_GLUE: Final[Sequence[Named]] = (DATABASES, REGION, CATALOG_ID, ROLE_ARN, EXTERNAL_ID)
OF_ICEBERG: Final[Sequence[Named]] = (LOCATION, DATABASES, REGION, ROLE_ARN, EXTERNAL_ID)


def read_catalog(trigger: Section) -> CatalogWatch | None:
    """Read `catalog:` of a trigger that has one; None where it is wrong, which is noted as a problem."""
    section = trigger.section(CATALOG)
    if section is None:
        if not trigger.filled(CATALOG):
            trigger.report.problem(trigger.place_of(CATALOG), f"{trigger.name}.catalog: expected {CATALOG.expected}")
        return None
    section.only(KEYS)
    given = [part for part in (GLUE, ICEBERG) if section.has(part)]
    if len(given) != 1:
        found = "both" if given else "neither"
        section.report.problem(section.place, f"{section.name}: expected one of glue and iceberg, found {found}")
        return None
    kind = one_of(*TABLE_CHANGES)
    changes = section.texts(CHANGES, kind, CatalogWatch(kind="").changes)
    every = trigger.get(EVERY)
    if given == [GLUE]:
        glue = section.section_or_empty(GLUE)
        glue.only(OF_GLUE)
        return CatalogWatch(
            kind="glue",
            region=glue.get(REGION),
            catalog_id=glue.get(CATALOG_ID),
            role_arn=glue.get(ROLE_ARN),
            external_id=glue.get(EXTERNAL_ID),
            databases=glue.texts(DATABASES, TEXT, alone=True),
            changes=changes,
            every=every,
        )
    iceberg = _iceberg(section)
    iceberg.only(OF_ICEBERG)
    return CatalogWatch(
        kind="iceberg",
        place=(iceberg.required(LOCATION) or "").rstrip("/"),
        region=iceberg.get(REGION),
        role_arn=iceberg.get(ROLE_ARN),
        external_id=iceberg.get(EXTERNAL_ID),
        databases=iceberg.texts(DATABASES, TEXT, alone=True),
        changes=changes,
        every=every,
    )


def _iceberg(section: Section) -> Section:
    """Its mapping; the location alone is one, too."""
    node = section.node.entries[ICEBERG.name]
    if isinstance(node, Text) and not node.null:
        place = section.node.keys[ICEBERG.name]
        node = Table(node.place, {LOCATION.name: node}, {LOCATION.name: place})
        return Section(node, section.path(ICEBERG.name), section.report)
    return section.section_or_empty(ICEBERG)
