"""This file is where a call is held against AWS's own service model, which is read as data from botocore's files.

SDKs check little before they send (required members, types and minima), so lengths, ranges, patterns and enumerations
are checked here, and answered as AWS does: all that is wrong at once, each with its value and its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, cast

from headgate.http.aws_wire import Fault
from headgate.settings.service_model import description, translated

_SHOWN: Final = 100  #: characters of a wrong value that are said
#: Numbers after booleans, which are numbers to Python.
_KINDS: Final[Sequence[tuple[type, str]]] = (
    (str, "STRING_VALUE"), (bool, "BOOLEAN_VALUE"), (int, "NUMBER_VALUE"), (float, "NUMBER_VALUE"),
    (dict, "START_OBJECT"), (list, "START_ARRAY"),
)  # fmt: skip

#: Checks a value at a place, appends what is wrong, and gives the value back, without members the model does not know.
Check = Callable[[Any, str, list[str]], Any]
Shape = Mapping[str, Any]


class Model:
    """The inputs of one service's operations."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._shapes: Mapping[str, Shape] = description["shapes"]
        self._operations: Mapping[str, Any] = description["operations"]
        self._checks: dict[str, Check] = {}

    @property
    def operations(self) -> frozenset[str]:
        return frozenset(self._operations)

    def errors(self, operation: str) -> frozenset[str]:
        """The errors the operation is known to answer."""
        return frozenset(one["shape"] for one in self._operations[operation].get("errors", ()))

    def read(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The call's members, as far as the model knows them.

        Raises:
            Fault: SerializationException for a value of another type, ValidationException for one out of bounds.
        """
        given = self._operations[operation].get("input")
        if given is None:
            return {}
        problems: list[str] = []
        found = self._check(given["shape"])(body, "", problems)
        if problems:
            count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
            raise Fault("ValidationException", count + "; ".join(problems))
        return found

    def _check(self, name: str) -> Check:
        """The shape's check, made when it is first met (shapes may contain themselves)."""
        found = self._checks.get(name)
        if found is None:
            shape = self._shapes[name]
            made = _MAKERS.get(shape["type"], _anything)
            found = self._checks[name] = made(self, shape)
        return found

    def later(self, name: str) -> Check:
        """The check of a shape that is looked up with its first value."""

        def check(value: Any, place: str, problems: list[str]) -> Any:
            return self._check(name)(value, place, problems)

        return check


def _structure(model: Model, shape: Shape) -> Check:
    members = {name: (model.later(one["shape"]), _camel(name)) for name, one in shape["members"].items()}
    required: Sequence[str] = shape.get("required", ())

    def check(value: Any, place: str, problems: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _unfit(value, place, "a structure")
        given = cast("dict[str, Any]", value)
        prefix = f"{place}." if place else ""
        found: dict[str, Any] = {}
        for name, one in given.items():
            if one is not None and name in members:
                inner, camel = members[name]
                found[name] = inner(one, prefix + camel, problems)
        for name in required:
            if name not in found:
                at = prefix + members[name][1]
                problems.append(f"Value null at '{at}' failed to satisfy constraint: Member must not be null")
        return found

    return check


def _list(model: Model, shape: Shape) -> Check:
    inner = model.later(shape["member"]["shape"])
    bounds = _length(shape)

    def check(value: Any, place: str, problems: list[str]) -> list[Any]:
        if not isinstance(value, list):
            raise _unfit(value, place, "a list")
        given = cast("list[Any]", value)
        bounds(given, len(given), place, problems)
        return [inner(one, f"{place}.{number}.member", problems) for number, one in enumerate(given, 1)]

    return check


def _map(model: Model, shape: Shape) -> Check:
    key, inner = model.later(shape["key"]["shape"]), model.later(shape["value"]["shape"])
    bounds = _length(shape)

    def check(value: Any, place: str, problems: list[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _unfit(value, place, "a map")
        given = cast("dict[str, Any]", value)
        bounds(given, len(given), place, problems)
        found: dict[str, Any] = {}
        for name, one in given.items():
            key(name, f"{place}.key", problems)
            found[name] = inner(one, f"{place}.{name[:_SHOWN]}.member", problems)
        return found

    return check


def _string(model: Model, shape: Shape) -> Check:
    del model
    bounds = _length(shape)
    pattern, text = translated(shape.get("pattern", "")), shape.get("pattern", "")
    enumeration = frozenset(shape.get("enum", ()))
    allowed = ", ".join(shape.get("enum", ()))

    def check(value: Any, place: str, problems: list[str]) -> str:
        if not isinstance(value, str):
            raise _unfit(value, place, "a String")
        bounds(value, len(value), place, problems)
        if pattern is not None and not pattern.fullmatch(value):
            problems.append(_failed(value, place, f"satisfy regular expression pattern: {text}"))
        if enumeration and value not in enumeration:
            problems.append(_failed(value, place, f"satisfy enum value set: [{allowed}]"))
        return value

    return check


def _integer(model: Model, shape: Shape) -> Check:
    del model
    bounds = _range(shape)
    most = 2**63 if shape["type"] == "long" else 2**31

    def check(value: Any, place: str, problems: list[str]) -> int:
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        if not whole or not -most <= value < most:
            raise _unfit(value, place, "a Long" if most > 2**31 else "an Integer")
        bounds(value, place, problems)
        return int(value)

    return check


def _double(model: Model, shape: Shape) -> Check:
    del model
    bounds = _range(shape)

    def check(value: Any, place: str, problems: list[str]) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _unfit(value, place, "a Double")
        bounds(value, place, problems)
        return value

    return check


def _boolean(model: Model, shape: Shape) -> Check:
    del model, shape

    def check(value: Any, place: str, problems: list[str]) -> bool:
        del problems
        if not isinstance(value, bool):
            raise _unfit(value, place, "a Boolean")
        return value

    return check


def _timestamp(model: Model, shape: Shape) -> Check:
    del model, shape

    def check(value: Any, place: str, problems: list[str]) -> Any:
        del problems
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise _unfit(value, place, "a Timestamp")
        return value

    return check


def _anything(model: Model, shape: Shape) -> Check:
    del model, shape
    return lambda value, _place, _problems: value


_MAKERS: Final[Mapping[str, Callable[[Model, Shape], Check]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _double,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _length(shape: Shape) -> Callable[[Any, int, str, list[str]], None]:
    least, most = shape.get("min", 0), shape.get("max")

    def check(value: Any, length: int, place: str, problems: list[str]) -> None:
        if length < least:
            problems.append(_failed(value, place, f"have length greater than or equal to {least}"))
        if most is not None and length > most:
            problems.append(_failed(value, place, f"have length less than or equal to {most}"))

    return check


def _range(shape: Shape) -> Callable[[float, str, list[str]], None]:
    least, most = shape.get("min"), shape.get("max")

    def check(value: float, place: str, problems: list[str]) -> None:
        if least is not None and value < least:
            problems.append(_failed(value, place, f"have value greater than or equal to {least}"))
        if most is not None and value > most:
            problems.append(_failed(value, place, f"have value less than or equal to {most}"))

    return check


def _failed(value: object, place: str, constraint: str) -> str:
    shown = str(value) if isinstance(value, str | int | float) else json.dumps(value, default=str)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return f"Value '{shown}' at '{place}' failed to satisfy constraint: Member must {constraint}"


def _unfit(value: object, place: str, wanted: str) -> Fault:
    kind = next((name for type_, name in _KINDS if isinstance(value, type_)), "NULL_VALUE")
    return Fault("SerializationException", f"'{place or 'body'}': {kind} can not be converted to {wanted}")


def _camel(name: str) -> str:
    """As AWS writes members in its messages: `JobName` is jobName."""
    return name[:1].lower() + name[1:]


@lru_cache(maxsize=8)
def load(service: str) -> Model:
    """The newest model of a service that botocore brings along; botocore itself is not loaded.

    Raises:
        MissingExtra: botocore is not installed.
    """
    return Model(_needed(description(service)))


def _needed(description: Any) -> Mapping[str, Any]:
    """What checking needs of the operations, and the shapes."""
    operations = {
        name: {key: one[key] for key in ("input", "errors") if key in one}
        for name, one in description["operations"].items()
    }
    return {"shapes": description["shapes"], "operations": operations}
