"""This file is where the kinds of entities and aspects are known: DataHub's own, as the SDK describes them.

The table is data (registry.json), made by scripts/write_registry.py; a test holds it against the installed SDK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySpec:
    """A kind of entity. `fields`: of its key, in the URN's order."""

    name: str
    key: str
    fields: Sequence[str]
    aspects: frozenset[str]  #: the key aspect among them


@dataclass(frozen=True, slots=True, kw_only=True)
class AspectSpec:
    """A kind of aspect. `record`: its full name in rest.li answers; `required`: fields without a default."""

    name: str
    record: str
    timeseries: bool
    required: Sequence[str]


@dataclass(frozen=True, slots=True)
class Registry:
    entities: Mapping[str, EntitySpec]
    aspects: Mapping[str, AspectSpec]

    def entity(self, name: str) -> EntitySpec | None:
        """Of this name, whatever its case: GMS takes `datajob` for `dataJob`."""
        return self.entities.get(name) or self.entities.get(_spellings().get(name.lower(), ""))

    def keys(self) -> frozenset[str]:
        return frozenset(one.key for one in self.entities.values())


@cache
def registry() -> Registry:
    """Read once: the table is part of the program."""
    text = files("headgate.embedded").joinpath("registry.json").read_text("utf-8")
    table: dict[str, dict[str, dict[str, Any]]] = json.loads(text)
    return Registry(
        {
            name: EntitySpec(
                name=name,
                key=one["key"],
                fields=tuple(one["fields"]),
                aspects=frozenset([one["key"], *one["aspects"]]),
            )
            for name, one in table["entities"].items()
        },
        {
            name: AspectSpec(
                name=name, record=one["record"], timeseries=one["timeseries"], required=tuple(one["required"])
            )
            for name, one in table["aspects"].items()
        },
    )


@cache
def _spellings() -> Mapping[str, str]:
    return {name.lower(): name for name in registry().entities}
