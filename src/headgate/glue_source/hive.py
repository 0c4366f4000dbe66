"""This file is where a type, as Hive writes it, is read: what it has for parts, and whether Avro would take it.

DataHub's own Glue source makes an Avro schema of it. What that reading accepts, oddly or not, is accepted here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

_CHARS: Final = re.compile(r"(var)?char\(\s*(\d+)\s*\)")
_DECIMAL: Final = re.compile(r"(decimal|numeric)(\(\s*(\d+)\s*,\s*(\d+)\s*\))?")
_MARKS: Final = re.compile(r"[(\[{<)\]}>,:]")

#: Hive's word -> Avro's. Exact and case-sensitive; anything else is Avro's null, with its own text kept.
_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("string", "binary", "varchar", "char"), "string"),
    **dict.fromkeys(("int", "integer", "tinyint", "smallint", "byteint"), "int"),
    **dict.fromkeys(("bigint", "long", "int64", "bignumeric"), "long"),
    **dict.fromkeys(("double", "double precision", "float64", "bigdecimal"), "double"),
    "float": "float",
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    "bytes": "bytes",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    tag: str  #: Avro's type
    native: str
    props: Mapping[str, Any]  #: the logical type, and precision and scale


@dataclass(frozen=True, slots=True)
class Array:
    item: Node
    native: str


@dataclass(frozen=True, slots=True)
class Map:
    key: Node
    key_native: str  #: as it was written, spaces included
    value: Node
    native: str


@dataclass(frozen=True, slots=True)
class Struct:
    members: Sequence[tuple[str, Node]]
    native: str
    number: int | None = None  #: counted from 0, directly in a union


@dataclass(frozen=True, slots=True)
class Union:
    branches: Sequence[Node]


Node: TypeAlias = Leaf | Array | Map | Struct | Union


class NotAType(ValueError):
    """A text that reads like no type. It never leaves this package: such a column is one field without a type."""


def sound(node: Node) -> Node:
    """Return the node if Avro takes it: names are not empty, unions hold no union and no two branches of one type.

    Raises:
        NotAType: it does not.
    """
    match node:
        case Leaf():
            pass
        case Array():
            sound(node.item)
        case Map():
            sound(node.value)  # the key is but described
        case Struct():
            for name, member in node.members:
                if not name:
                    raise NotAType("a member without a name")
                sound(member)
        case Union():
            seen = set[str]()
            for branch in node.branches:
                sound(branch)
                kind = branch.tag if isinstance(branch, Leaf) else kind_of(branch)
                if kind == "union" or kind in seen:
                    raise NotAType(f"a union with {kind} in it twice, or with a union")
                if kind != "record":
                    seen.add(kind)
    return node


def parse(text: str, number: int | None = None) -> Node:
    """Read a type. `number` is what a struct directly in a union is called by.

    Raises:
        NotAType: brackets do not match, or a map, struct or union is not what it should be.
    """
    text = text.strip()
    if text.startswith(("array<", "list<")):
        return Array(parse(_inside(text, text.index("<") + 1)), text)
    if text.startswith("map<"):
        parts = _split(_inside(text, 4), ",")
        if len(parts) != 2:
            raise NotAType("a map that has not a key and a value")
        return Map(parse(parts[0]), parts[0], parse(parts[1]), text)
    if text.startswith("uniontype<"):
        branches: list[Node] = []
        structs = 0
        for part in _split(_inside(text, 10), ","):
            counted = part.startswith("struct<")  # and not where a space comes first
            branches.append(parse(part, structs if counted else None))
            structs += counted
        return Union(branches)
    if text.startswith("struct<"):
        return _struct(_inside(text, 7), number)
    if ":" in text:
        return _struct(text, number)
    return _leaf(text)


def _inside(text: str, start: int) -> str:
    if text[-1] != ">":
        raise NotAType("it does not end with >")
    return text[start:-1]


def _struct(inside: str, number: int | None) -> Struct:
    members: dict[str, Node] = {}
    for part in _split(inside, ","):
        halves = _split(part.strip(), ":")
        if len(halves) != 2:
            raise NotAType("a member that has not a name and a type")
        name = halves[0].strip()
        if name.startswith("`"):
            if name[-1] != "`":
                raise NotAType("a back-tick without its other")
            name = name[1:-1]
        node = parse(halves[1])
        members.setdefault(name, node)  # of two of one name the first counts; the other must only be readable
    return Struct(tuple(members.items()), f"struct<{inside}>", number)


def _leaf(text: str) -> Leaf:
    word = _WORDS.get(text)
    if word:
        return Leaf(word, text, {})
    if _CHARS.match(text):
        return Leaf("string", text, {})
    found = _DECIMAL.match(text)
    if found:
        try:
            digits = {"precision": int(found[3]), "scale": int(found[4])} if found[2] else {}
        except ValueError as error:  # more digits than Python reads
            raise NotAType("a precision beyond measure") from error
        return Leaf("bytes", text, {"logicalType": "decimal", **digits})
    if text == "date":
        return Leaf("int", text, {"logicalType": "date"})
    if text in ("timestamp", "datetime"):
        return Leaf("int", text, {"logicalType": "timestamp-millis"})
    return Leaf("null", text, {})


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator stands outside of all brackets. What is opened last need not be closed.

    Raises:
        NotAType: something is closed that was not opened, or nothing comes after the last separator.
    """
    parts: list[str] = []
    start = level = 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark in "([{<":
            level += 1
        elif mark in ")]}>":
            if not level:
                raise NotAType("brackets do not match")
            level -= 1
        elif mark == separator and not level:
            parts.append(text[start : found.start()])
            start = found.end()
    if start == len(text):
        raise NotAType("it ends too early")
    parts.append(text[start:])
    return parts


def kind_of(node: Node) -> str:
    """The logical type where there is one, else Avro's."""
    match node:
        case Leaf():
            return str(node.props.get("logicalType", node.tag))
        case Array():
            return "array"
        case Map():
            return "map"
        case Struct():
            return "record"
        case Union():
            return "union"


def is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.tag == "null"


def without_null(node: Node) -> Node:
    """Of a union of something and null, the something; Avro's way to say that it may be missing."""
    if isinstance(node, Union) and len(node.branches) == 2:
        first, second = node.branches
        if is_null(first):
            return second
        if is_null(second):
            return first
    return node
