"""This file is where it is found whether two recipes ingest the same, so that nothing is ingested on two schedules.

They do when their sources are of one type and what says where these read (region, catalog, patterns, platform instance,
environment, host …) is the same, with DataHub's defaults put in. Who they sign in as and how much they read are not
looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from headgate.errors import HeadgateError
from headgate.recipes import text
from headgate.recipes.values import Resolver

#: What says where a source reads, with what it is where nothing is said.
_EVERYTHING: Final[Mapping[str, Any]] = {"allow": [".*"], "deny": [], "ignoreCase": True}
_PATTERNS: Final = ("database_pattern", "schema_pattern", "table_pattern", "topic_patterns", "bucket_pattern")
_PLACES: Final = (
    "aws_region", "catalog_id", "platform", "platform_instance", "host_port", "host", "port", "account_id", "database",
    "databases", "catalog", "project_id", "project_ids", "warehouse", "uri", "connect_uri", "base_url",
    "workspace_url", "site", "path", "path_spec", "path_specs", "connection",
)  # fmt: skip
_ALL: Final = frozenset({".*", "^.*$", ".*$", "^.*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """An ingestion source that DataHub itself runs by a schedule."""

    urn: str
    name: str
    schedule: str  #: crontab
    timezone: str
    recipe: str = field(repr=False)  #: JSON text; secrets stand in it by name

    def __str__(self) -> str:
        return f"DataHub's ingestion source {self.name} ({self.urn}), which runs at {self.schedule} ({self.timezone})"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a recipe reads: its source's type, and the settings that say where, in one form."""

    kind: str
    places: Mapping[str, Any]


def aim_of(document: Mapping[str, Any], resolver: Resolver | None = None) -> Aim | None:
    """What the recipe reads; None where it reads nothing for DataHub. `resolver` has the values of its `${…}`."""
    sinks = text.part_types(document)["sink"]
    if sinks and not sinks[0].startswith("datahub"):
        return None
    source = cast("Mapping[str, Any]", document["source"])
    given: Any = source.get("config")
    config = cast("Mapping[str, Any]", given) if isinstance(given, dict) else {}
    wanted = {name: config[name] for name in (*_PLACES, *_PATTERNS, "env") if config.get(name) not in (None, "")}
    known = text.fill_known(wanted, _values(wanted, resolver)) if resolver is not None else wanted
    places = {name: _form(name, value) for name, value in known.items()}
    places = {"env": "PROD", **{name: value for name, value in places.items() if value is not None}}
    kind = str(source["type"]).removeprefix("headgate-")
    if places.get("platform") == kind:
        del places["platform"]  # a source's own platform is what it is without a word
    return Aim(kind, places)


def aim_of_text(recipe: str) -> Aim | None:
    """The same of a recipe's text; None, too, where it is none."""
    try:
        return aim_of(text.parse_recipe(recipe, "the recipe"))
    except HeadgateError:
        return None


def same(one: Aim, other: Aim) -> bool | None:
    """Whether both read the same. None: nobody can tell, since what tells them apart is a variable without a value."""
    if one.kind != other.kind:
        return False
    names = {*one.places, *other.places}
    differ = [(one.places.get(name), other.places.get(name)) for name in names]
    differ = [(mine, theirs) for mine, theirs in differ if mine != theirs]
    if not differ:
        return True
    return None if all(_open(mine) or _open(theirs) for mine, theirs in differ) else False


def _open(value: Any) -> bool:
    return any("${" in one for _, one in text.texts({"": value}))


def _values(wanted: Mapping[str, Any], resolver: Resolver) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        names = text.variables(wanted)
    except HeadgateError:
        return found
    for name in names:
        try:
            found.update(resolver.resolve([name]))
        except HeadgateError:
            continue  # what has no value is not compared
    return found


def _form(name: str, value: Any) -> Any:
    """One form for what means the same; None for what means nothing."""
    if name in _PATTERNS:
        return _pattern(value)
    if isinstance(value, str):
        plain = value.strip().rstrip("/")
        return plain.upper() if name == "env" else plain.lower() if name in ("aws_region", "host_port") else plain
    return json.loads(json.dumps(value, sort_keys=True))


def _pattern(value: Any) -> Any:
    given = {**_EVERYTHING, **cast("Mapping[str, Any]", value)} if isinstance(value, dict) else {"allow": [value]}
    allow, deny = sorted(map(str, given["allow"] or [".*"])), sorted(map(str, given.get("deny") or []))
    if not deny and _ALL & set(allow):
        return None
    return {"allow": allow, "deny": deny, "ignoreCase": given.get("ignoreCase", True) is not False}
