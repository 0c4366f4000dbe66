"""This file is where a difference becomes a line of the plan: plain JSON, without what may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from headgate.adopt.compare import GlueChange
from headgate.adopt.words import Members
from headgate.settings.reading import shown_as
from headgate.settings.record import MASK

_OTHER: Final = f"{MASK} (another one)"


def change_json(change: GlueChange) -> dict[str, Any]:
    """`before` and `after` are definitions whole; `kept` names what of `after` the file does not say.

    `twice`: the trigger is on Glue and not ours, and one of its name fires here, too.
    """
    return {
        "kind": change.kind,
        "name": change.name,
        "does": change.does.value,
        "drift": change.drift,
        "before": None if change.before is None else _masked(change.before, None),
        "after": None if change.after is None else _masked(change.after, change.before),
        "on": "glue",
        "region": change.place.region or None,
        "kept": list(change.kept),
        "twice": change.twice,
    }


def _masked(members: Members, before: Members | None) -> dict[str, Any]:
    """What has a private name is masked; that it is another one than before is all that is told."""
    found: dict[str, Any] = {}
    for name, value in members.items():
        old = before.get(name) if before is not None else None
        if isinstance(value, Mapping):
            inner = cast("Members", old) if isinstance(old, Mapping) else None
            found[name] = _masked(cast("Members", value), inner)
        elif isinstance(value, list):
            those = cast("list[Any]", value)
            found[name] = [_masked(cast("Members", one), None) if isinstance(one, Mapping) else one for one in those]
        elif isinstance(value, str):
            shown = shown_as(name, value)
            found[name] = _OTHER if shown == MASK and before is not None and old not in (None, value) else shown
        else:
            found[name] = value
    return found
