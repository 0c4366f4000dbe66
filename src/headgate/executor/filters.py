"""This file is where a pipeline file's filters are read, and which changes of DataHub's they let through.

The framework's rules: of `filters` every one must let a change through; in one the change's type must be named, and any
of the bodies listed there must fit; in a body every key must. The older `filter` has one type and one body. A list of
values is any of them, and a text that holds JSON (an aspect's value) is looked into.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from headgate.executor.requests import plain, text_of
from headgate.model import Json
from headgate.settings.nodes import Items, Node, Place, Table, Text
from headgate.settings.reading import Report, did_you_mean

TYPE: Final = "MetadataChangeLogEvent_v1"  #: what changes of execution requests are
_EVENT_TYPE: Final = "event_type"
_FILTERING: Final = "__filter"  #: the one transformer that comes with the framework, under its name there
_NO_TRANSFORM: Final = (
    "`headgate executor` runs no transformers but `__filter`, and without them it might run what they would have"
    " changed; run the file with `datahub actions` and `type: headgate`, where the framework runs them"
)

#: A text (numbers and booleans as JSON writes them), None for null, any of a list, all keys of a mapping.
Wanted = str | None | Sequence[str] | Mapping[str, "Wanted"]
Body = Mapping[str, Wanted]


@dataclass(frozen=True, slots=True)
class Filter:
    """The bodies of each type that it lets through; None: whatever the body."""

    bodies: Mapping[str, Sequence[Body] | None]

    def takes(self, change: Mapping[str, Any]) -> bool:
        if TYPE not in self.bodies:
            return False
        bodies = self.bodies[TYPE]
        return bodies is None or any(
            all(_fits(wanted, change.get(name)) for name, wanted in body.items()) for body in bodies
        )


@dataclass(frozen=True, slots=True)
class Filters:
    """All of a pipeline's. Without any everything goes through."""

    those: Sequence[Filter] = ()

    def take(self, change: Mapping[str, Any]) -> bool:
        """`change`: an event of the change log, in any of the forms it comes in."""
        return all(one.takes(change) for one in self.those)


def _fits(wanted: Wanted, given: Json) -> bool:
    value = plain(given)
    if isinstance(wanted, Mapping):
        if isinstance(value, str | bytes):
            value = _document(value)
        if not isinstance(value, Mapping):
            return False
        held = cast("Mapping[str, Any]", value)
        return all(_fits(one, held.get(name)) for name, one in wanted.items())
    if wanted is None or value is None:
        return wanted is value
    if not isinstance(wanted, str):
        return isinstance(value, str) and value in wanted
    return (value if isinstance(value, str) else _as_text(value)) == wanted


def _document(value: str | bytes) -> Json:
    try:
        return cast("Json", json.loads(value if isinstance(value, bytes) else text_of(value)))
    except (ValueError, RecursionError):
        return None


def _as_text(value: Json) -> str | None:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


# -- reading


def read_filters(node: Table, report: Report) -> Filters:
    """The `filter`, `filters` and `transform` of a pipeline file; what is wrong with them is noted with its place."""
    those = [
        _older(node.entries.get("filter"), "filter", report),
        *_transformers(node.entries.get("transform"), report),
    ]
    listed = node.entries.get("filters")
    if isinstance(listed, Items):
        those += [_filter(one, f"filters[{number}]", report) for number, one in enumerate(listed.items)]
    elif listed is not None and not _nothing(listed):
        report.unexpected(listed, "filters", "a list of filters")
    return Filters([one for one in those if one is not None])


def _transformers(node: Node | None, report: Report) -> list[Filter | None]:
    """Those that only filter; any other changes what is run, and nobody here does that."""
    if node is None or _nothing(node):
        return []
    if not isinstance(node, Items):
        report.unexpected(node, "transform", "a list of transformers")
        return []
    found: list[Filter | None] = []
    for number, one in enumerate(node.items):
        what = f"transform[{number}]"
        entries = _entries(one, what, ("type", "config"), report)
        kind = entries.get("type") if entries is not None else None
        if entries is None:
            continue
        if isinstance(kind, Text) and kind.text == _FILTERING:
            config = entries.get("config", Table(one.place, {}, {}))  # without one it lacks its event_type
            found.append(_older(config, f"{what}.config", report))
        else:
            report.problem(kind.place if kind is not None else one.place, f"{what}.type: {_NO_TRANSFORM}")
    return found


def _older(node: Node | None, what: str, report: Report) -> Filter | None:
    """`{event_type: TYPE or [TYPE, …], event: {…}}`."""
    if node is None or _nothing(node):
        return None
    entries = _entries(node, what, (_EVENT_TYPE, "event"), report)
    if entries is None:
        return None
    types = entries.get(_EVENT_TYPE)
    named = _texts(types)
    if types is None or named is None:
        report.unexpected(types or node, f"{what}.{_EVENT_TYPE}", "the type of an event, or a list of them")
        return None
    event = entries.get("event")
    bodies = (
        None if event is None or _nothing(event) else _bodies(Items(event.place, (event,)), f"{what}.event", report)
    )
    return Filter(dict.fromkeys(named, bodies))


def _filter(node: Node, what: str, report: Report) -> Filter | None:
    """`{type: event_type, config: {filter: {TYPE: {event: [{…}, …]}}}}`."""
    entries = _entries(node, what, ("type", "config"), report)
    if entries is None:
        return None
    kind = entries.get("type")
    if not isinstance(kind, Text) or kind.text != _EVENT_TYPE:
        report.problem(
            kind.place if kind is not None else node.place,
            f"{what}.type: expected {_EVENT_TYPE}, the one filter that Headgate knows; with filters of your own run"
            " `datahub actions` with `type: headgate`",
        )
        return None
    config = _entries(entries.get("config"), f"{what}.config", ("filter",), report, node.place)
    types = _entries(config.get("filter"), f"{what}.config.filter", None, report, node.place) if config else None
    if types is None:
        return None
    found: dict[str, Sequence[Body] | None] = {}
    for name, said in types.items():
        inside = {} if _nothing(said) else _entries(said, f"{what}.config.filter.{name}", ("event",), report)
        event = (inside or {}).get("event")
        bodies = (
            None if event is None or _nothing(event) else _bodies(event, f"{what}.config.filter.{name}.event", report)
        )
        found[name] = bodies
    return Filter(found)


def _bodies(node: Node, what: str, report: Report) -> Sequence[Body]:
    if not isinstance(node, Items):
        report.unexpected(node, what, "a list of mappings")
        return ()
    found: list[Body] = []
    for one in node.items:
        if isinstance(one, Table):
            found.append({name: _wanted(held, f"{what}.{name}", report) for name, held in one.entries.items()})
        else:
            report.unexpected(one, what, "a mapping of the event's fields")
    return found


def _wanted(node: Node, what: str, report: Report) -> Wanted:
    if isinstance(node, Table):
        return {name: _wanted(one, f"{what}.{name}", report) for name, one in node.entries.items()}
    if isinstance(node, Text):
        return None if node.null else node.text
    texts = _texts(node)
    if texts is None:
        report.unexpected(node, what, "a list of texts")
    return texts or ()


def _texts(node: Node | None) -> list[str] | None:
    """A text or a list of texts."""
    those = node.items if isinstance(node, Items) else (node,)
    found = [one.text for one in those if isinstance(one, Text) and not one.null and not one.broken]
    return found if found and len(found) == len(those) else None


def _entries(
    node: Node | None, what: str, known: Sequence[str] | None, report: Report, otherwise: Place | None = None
) -> Mapping[str, Node] | None:
    """A mapping's values; None where it is none, or has keys that are not known, which is noted."""
    if not isinstance(node, Table):
        expected = f"a mapping with {' and '.join(known)}" if known else "a mapping of events' types"
        if node is not None:
            report.unexpected(node, what, expected)
        elif otherwise is not None:
            report.problem(otherwise, f"{what}: expected {expected}")
        return None
    for name in node.entries:
        if known is not None and name not in known:
            report.problem(node.keys[name], f"{what}: there is no key {name!r}{did_you_mean(name, known)}")
            return None
    return node.entries


def _nothing(node: Node) -> bool:
    return isinstance(node, Text) and node.null
