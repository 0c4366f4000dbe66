"""This file is where what stands in the configuration in AWS's own words is held against AWS's own model of it.

Every text becomes what the model says its member is; what it does not know, or what is out of bounds, is a problem
with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from headgate.model import Json
from headgate.settings.kinds import BOOLEAN, whole
from headgate.settings.nodes import Items, Node, Table, Text
from headgate.settings.reading import Report, did_you_mean, found
from headgate.settings.service_model import Shape, shapes, translated

_Reader = Callable[["Reading", Node, Shape, str], "Json | None"]


class Reading:
    """Nodes of the configuration as values of one service's shapes. Raises MissingExtra where there is no model."""

    def __init__(self, service: str, report: Report) -> None:
        self._shapes = shapes(service)
        self.report = report

    def members(
        self, node: Table, shape: str, what: str, *, elsewhere: Mapping[str, str], given: Sequence[str] = ()
    ) -> dict[str, Json]:
        """The members of a structure that stand there.

        Args:
            node: what stands there.
            shape: the structure's name in the model.
            what: how messages name it.
            elsewhere: members that are said in other words, and in which.
            given: members that are said elsewhere, and so are not missed here.
        """
        return self._structure(node, self._shapes[shape], what, elsewhere, given)

    def value(self, node: Node, name: str, what: str) -> Json | None:
        """One value; None where it is none, which is noted as a problem."""
        shape = self._shapes[name]
        return _READERS.get(shape["type"], _text)(self, node, shape, what)

    def structure(self, node: Node, shape: Shape, what: str) -> Json | None:
        if not isinstance(node, Table):
            self.report.unexpected(node, what, "a mapping")
            return None
        return self._structure(node, shape, what, {}, ())

    def _structure(
        self, node: Table, shape: Shape, what: str, elsewhere: Mapping[str, str], given: Sequence[str]
    ) -> dict[str, Json]:
        members: Mapping[str, Any] = shape["members"]
        known = [name for name in members if name not in elsewhere]
        values: dict[str, Json] = {}
        for name, one in node.entries.items():
            if name not in known:
                hint = f"; it is {elsewhere[name]}" if name in elsewhere else did_you_mean(name, known)
                self.report.problem(
                    node.keys[name], f"there is no member {name!r} in {what}{hint or '; expected ' + ', '.join(known)}"
                )
                continue
            value = self.value(one, members[name]["shape"], f"{what}.{name}")
            if value is not None:
                values[name] = value
        for name in shape.get("required", ()):
            if name not in node.entries and name not in given:
                near = did_you_mean(name, [one for one in node.keys if one not in known])
                self.report.problem(node.place, f"{what}: expected the member {name!r}{near}")
        return values


def _list(reading: Reading, node: Node, shape: Shape, what: str) -> Json | None:
    if not isinstance(node, Items):
        reading.report.unexpected(node, what, "a list")
        return None
    _length(reading, node, shape, what, len(node.items))
    values = [reading.value(one, shape["member"]["shape"], f"{what}[{at}]") for at, one in enumerate(node.items)]
    return [one for one in values if one is not None]


def _map(reading: Reading, node: Node, shape: Shape, what: str) -> Json | None:
    if not isinstance(node, Table):
        reading.report.unexpected(node, what, "a mapping")
        return None
    _length(reading, node, shape, what, len(node.entries))
    inner = shape["value"]["shape"]
    values = {name: reading.value(one, inner, f"{what}.{name}") for name, one in node.entries.items()}
    return {name: one for name, one in values.items() if one is not None}


def _text(reading: Reading, node: Node, shape: Shape, what: str) -> Json | None:
    text = _written(reading, node, what, "a text")
    if text is None:
        return None
    choices: Sequence[str] = shape.get("enum", ())
    if choices and text not in choices:
        reading.report.problem(
            node.place,
            f"{what}: expected one of {', '.join(choices)}, found {found(node)}{did_you_mean(text, choices)}",
        )
        return None
    pattern = translated(shape.get("pattern", ""))
    if pattern is not None and not choices and not pattern.fullmatch(text):
        reading.report.problem(
            node.place, f"{what}: expected a text of the form {shape['pattern']}, found {found(node)}"
        )
        return None
    _length(reading, node, shape, what, len(text))
    return text


def _number(reading: Reading, node: Node, shape: Shape, what: str) -> Json | None:
    text = _written(reading, node, what, "a number")
    if text is None:
        return None
    integer = shape["type"] in ("integer", "long")
    try:
        value = whole(-(2**31), 2**31 - 1).parse(text) if integer else float(text)
    except ValueError:
        value = float("nan")
    least, most = shape.get("min", float("-inf")), shape.get("max", float("inf"))
    if not least <= value <= most:
        limits = f" of at least {least}" if "min" in shape else ""
        kind = "a whole number" if integer else "a number"
        reading.report.problem(node.place, f"{what}: expected {kind}{limits}, found {found(node)}")
        return None
    return value


def _boolean(reading: Reading, node: Node, shape: Shape, what: str) -> Json | None:
    del shape
    text = _written(reading, node, what, BOOLEAN.expected)
    if text is None:
        return None
    try:
        return BOOLEAN.parse(text)
    except ValueError:
        reading.report.unexpected(node, what, BOOLEAN.expected)
        return None


def _written(reading: Reading, node: Node, what: str, expected: str) -> str | None:
    if not isinstance(node, Text) or node.null or node.broken:
        reading.report.unexpected(node, what, expected)
        return None
    return node.text


def _length(reading: Reading, node: Node, shape: Shape, what: str, length: int) -> None:
    least, most = shape.get("min", 0), shape.get("max")
    if length < least or (most is not None and length > most):
        bounds = f"{least} to {most}" if most is not None else f"at least {least}"
        reading.report.problem(node.place, f"{what}: expected a length of {bounds}, found {length}")


_READERS: Final[Mapping[str, _Reader]] = {
    "structure": Reading.structure,
    "list": _list,
    "map": _map,
    "string": _text,
    "integer": _number,
    "long": _number,
    "double": _number,
    "float": _number,
    "boolean": _boolean,
}
