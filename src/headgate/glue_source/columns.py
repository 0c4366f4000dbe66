"""This file is where a column's type, as Hive writes it, becomes schema fields: those of DataHub's own Glue source.

That source writes an Avro schema for each column and walks it; the paths it comes to are kept by everybody who has
tags and lineage on columns, so they are made here just so, oddities included, but once for each type text: the
column's name is a hole in the paths. What is said about Avro below is what that detour does to a type.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

#: Most column types are among a few hundred; a catalog with many different structs must not grow the process.
TYPES_KEPT: Final = 8192
COLUMNS_KEPT: Final = 16384

_VERSION: Final = "[version=2.0]"
_COMPLEX: Final = re.compile("^(struct|map|array|list|uniontype)")
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
_CLASSES: Final[Mapping[str, str]] = {
    "null": "NullType",
    "boolean": "BooleanType",
    "bytes": "BytesType",
    "string": "StringType",
    **dict.fromkeys(("int", "long", "float", "double", "decimal"), "NumberType"),
    "date": "DateType",
    "timestamp-millis": "TimeType",
    "record": "RecordType",
    "union": "UnionType",
}

_HOLE: Final = "\0column"  #: where the column's name comes in; known by identity, not by what it is
_FIELD_BYTES: Final = 320  #: of a field's JSON, without its texts

Field: TypeAlias = dict[str, Any]  #: a SchemaField as DataHub's JSON has it; shared by many tables, never changed


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
_Last: TypeAlias = tuple[str, Node]  #: a column or member: its name as paths show it, and its type


class NotAType(ValueError):
    """A text that reads like no type; the column becomes one field without a type. Never leaves this file."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A field whose path has holes for the column's name, between these parts."""

    parts: tuple[str, ...]
    rest: Field  #: the field without its path


@dataclass(frozen=True, slots=True)
class _Template:
    bare: bool  #: whether the name is put in just as it is, and not as paths show names
    made: tuple[_Made, ...]


@dataclass(frozen=True, slots=True)
class Column:
    fields: tuple[Field, ...]  #: the column's own first
    bytes_at_most: int  #: what these fields take as JSON, never less


@lru_cache(maxsize=COLUMNS_KEPT)
def column(name: str, type_text: str, comment: str, nullable: bool) -> Column:
    """Return a column's fields. `nullable` is what a complex type is, as Hive does not say; "" is no comment."""
    template = _template(type_text, nullable, bool(name))
    shown = name if template.bare else _shown(name)
    fields: list[Field] = [{"fieldPath": shown.join(made.parts), **made.rest} for made in template.made]
    if comment:
        fields[0]["description"] = comment
    texts = (len(one["fieldPath"]) + len(one["nativeDataType"]) + len(one.get("jsonProps", "")) for one in fields)
    return Column(tuple(fields), 6 * (sum(texts) + len(comment)) + _FIELD_BYTES * len(fields))


def _shown(name: str) -> str:
    """A name as paths have it: Avro takes what is before the last dot for a namespace."""
    last = name.rsplit(".", maxsplit=1)[-1]
    if last.startswith("__struct_"):
        return "struct"
    if last.startswith("__structn_"):
        return f"struct{last.split('_')[3]}"
    return last


@lru_cache(maxsize=TYPES_KEPT)
def _template(text: str, nullable: bool, named: bool) -> _Template:
    simple = not _COMPLEX.match(text)
    try:
        made = _simple(text, nullable) if simple else _complex(text, nullable, named)
    except (NotAType, RecursionError):  # one nested past all sense is no type either
        rest = _field({"com.linkedin.schema.NullType": {}}, text, nullable=False, props={})
        return _Template(bare=True, made=(_Made(("", ".", "") if simple else ("", ""), rest),))
    return _Template(bare=simple, made=made)


def _simple(text: str, nullable: bool) -> tuple[_Made, ...]:
    """What stands alone: the name is put behind the first path. A text with a colon is a struct without a column."""
    made: list[_Made] = []
    for path, rest in _Walk(nullable).of(_sound(_parse(text)), None):
        whole = ".".join(path)
        made.append(_Made((whole,) if made else (f"{whole}.", ""), rest))
    return tuple(made)


def _complex(text: str, nullable: bool, named: bool) -> tuple[_Made, ...]:
    """What has parts: a record with the column in it, whose name comes after all tags down to the first leaf."""
    if not named:
        raise NotAType("Avro wants a name for the column")
    node = _sound(_parse(text))
    walk = _Walk(nullable)
    walk.path.append("[type=struct]")
    made: list[_Made] = []
    for path, rest in walk.of(node, (_HOLE, node)):
        holes = [place for place, part in enumerate(path) if part is _HOLE]
        at = holes[0]
        before = "".join(f"{part}." for part in path[:at])
        made.append(_Made((before, "".join(f".{part}" for part in path[at + 1 :])), rest))
    return tuple(made)


class _Walk:
    """Goes down a type as DataHub goes down an Avro schema, with the path to where it is."""

    def __init__(self, nullable: bool) -> None:
        self.path = [_VERSION]
        self._nullable = nullable

    def of(self, node: Node, last: _Last | None) -> Iterator[tuple[list[str], Field]]:
        """Yield (path, field) of what is below; `last` is the column or member that this is the type of, or a part."""
        real = _without_null(node)
        self.path.append(_tag(real))
        if isinstance(real, Leaf | Union):
            yield from self._last(last) if last else self._made(node)
        if isinstance(real, Struct) and last:
            yield from self._last(last, real)
        else:
            yield from self._below(real, last)
        self.path.pop()

    def _below(self, node: Node, last: _Last | None) -> Iterator[tuple[list[str], Field]]:
        match node:
            case Leaf():
                return
            case Array():
                yield from self.of(node.item, last)
            case Map():
                yield from self.of(node.value, last)
            case Union():
                for branch in node.branches:
                    if not _is_null(branch):
                        yield from self.of(branch, last)
            case Struct():
                for name, member in node.members:
                    yield from self.of(member, (_shown(name), member))

    def _last(self, last: _Last, below: Struct | None = None) -> Iterator[tuple[list[str], Field]]:
        name, node = last
        self.path.append(name)
        yield from self._made(node)
        if below:
            yield from self._below(below, last)
        self.path.pop()

    def _made(self, node: Node) -> Iterator[tuple[list[str], Field]]:
        real = _without_null(node)
        if isinstance(real, Union):  # Avro keeps no text of its own for a union; its last tag stands in
            native = self.path[-2]
            native = native[6:-1] if native.startswith("[type=") else native
        else:
            native = real.native
        yield list(self.path), _field(_type(real), native, nullable=self._may_be_null(node), props=_props(real))

    def _may_be_null(self, node: Node) -> bool:
        if isinstance(node, Union):
            return any(self._may_be_null(branch) for branch in node.branches)
        return True if isinstance(node, Leaf) else self._nullable


def _field(kind: Mapping[str, Any], native: str, *, nullable: bool, props: Mapping[str, Any]) -> Field:
    field: Field = {"nullable": nullable, "type": {"type": kind}, "nativeDataType": native}
    field |= {"recursive": False, "isPartOfKey": False}
    if props:
        field["jsonProps"] = json.dumps(props)
    return field


def _type(node: Node) -> Mapping[str, Any]:
    match node:
        case Array():
            return {"com.linkedin.schema.ArrayType": {"nestedType": [_kind(node.item)]}}
        case Map():
            return {"com.linkedin.schema.MapType": {"keyType": "string", "valueType": _kind(node.value)}}
        case _:
            return {f"com.linkedin.schema.{_CLASSES[_kind(node)]}": {}}


def _props(node: Node) -> Mapping[str, Any]:
    match node:
        case Leaf():
            return node.props
        case Map():
            return {"key_type": _described(node.key), "key_native_data_type": node.key_native}
        case _:
            return {}


def _kind(node: Node) -> str:
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


def _tag(node: Node) -> str:
    match node:
        case Leaf():
            return f"[type={node.tag}]"
        case Struct():
            return f"[type=struct{'' if node.number is None else node.number}]"
        case _:
            return f"[type={_kind(node)}]"


def _is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.tag == "null"


def _without_null(node: Node) -> Node:
    """Of a union of something and null, the something; Avro's way to say that it may be missing."""
    if isinstance(node, Union) and len(node.branches) == 2:
        first, second = node.branches
        if _is_null(first):
            return second
        if _is_null(second):
            return first
    return node


def _described(node: Node) -> Any:
    """A map's key as DataHub's source describes it in the map's properties, where nobody reads it."""
    match node:
        case Leaf():
            return {"type": node.tag, **node.props, "native_data_type": node.native, "_nullable": True}
        case Array():
            return {"type": "array", "items": _described(node.item), "native_data_type": node.native}
        case Map():
            return {
                "type": "map",
                "values": _described(node.value),
                "native_data_type": node.native,
                "key_type": _described(node.key),
                "key_native_data_type": node.key_native,
            }
        case Union():
            return [_described(branch) for branch in node.branches]
        case Struct():
            # there the name is a random one; ours is the same in every run, so that nothing changes when nothing did
            start = "__struct_" if node.number is None else f"__structn_{node.number}_"
            return {
                "type": "record",
                "name": start + hashlib.md5(node.native.encode("utf-8", "replace"), usedforsecurity=False).hexdigest(),
                "fields": [{"name": name, "type": _described(member)} for name, member in node.members],
                "native_data_type": node.native,
            }


def _sound(node: Node) -> Node:
    """Return the node if Avro takes it: names are not empty, unions hold no union and no two branches of one type.

    Raises:
        NotAType: it does not.
    """
    match node:
        case Leaf():
            pass
        case Array():
            _sound(node.item)
        case Map():
            _sound(node.value)  # the key is but described
        case Struct():
            for name, member in node.members:
                if not name:
                    raise NotAType("a member without a name")
                _sound(member)
        case Union():
            seen = set[str]()
            for branch in node.branches:
                _sound(branch)
                kind = branch.tag if isinstance(branch, Leaf) else _kind(branch)
                if kind == "union" or kind in seen:
                    raise NotAType(f"a union with {kind} in it twice, or with a union")
                if kind != "record":
                    seen.add(kind)
    return node


def _parse(text: str, number: int | None = None) -> Node:
    """Read a type. `number` is what a struct directly in a union is called by.

    Raises:
        NotAType: brackets do not match, or a map, struct or union is not what it should be.
    """
    text = text.strip()
    if text.startswith(("array<", "list<")):
        return Array(_parse(_inside(text, text.index("<") + 1)), text)
    if text.startswith("map<"):
        parts = _split(_inside(text, 4), ",")
        if len(parts) != 2:
            raise NotAType("a map that has not a key and a value")
        return Map(_parse(parts[0]), parts[0], _parse(parts[1]), text)
    if text.startswith("uniontype<"):
        branches: list[Node] = []
        structs = 0
        for part in _split(_inside(text, 10), ","):
            counted = part.startswith("struct<")  # and not where a space comes first
            branches.append(_parse(part, structs if counted else None))
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
        node = _parse(halves[1])
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
