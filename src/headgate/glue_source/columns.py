"""This file is where a column's type, as Hive writes it, becomes schema fields: those of DataHub's own Glue source.

That source writes an Avro schema for each column and walks it; the paths it comes to are kept by everybody who has
tags and lineage on columns, so they are made here just so, oddities included, but once for each type text: the
column's name is a hole in the paths. What is said about Avro below is what that detour does to a type.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from headgate.glue_source.hive import (
    Array,
    Leaf,
    Map,
    Node,
    NotAType,
    Struct,
    Union,
    is_null,
    kind_of,
    parse,
    sound,
    without_null,
)

#: Most column types are among a few hundred; a catalog with many different structs must not grow the process.
TYPES_KEPT: Final = 8192
COLUMNS_KEPT: Final = 16384

_VERSION: Final = "[version=2.0]"
_COMPLEX: Final = re.compile("^(struct|map|array|list|uniontype)")

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


_Last: TypeAlias = tuple[str, Node]  #: a column or member: its name as paths show it, and its type


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
    for path, rest in _Walk(nullable).of(sound(parse(text)), None):
        whole = ".".join(path)
        made.append(_Made((whole,) if made else (f"{whole}.", ""), rest))
    return tuple(made)


def _complex(text: str, nullable: bool, named: bool) -> tuple[_Made, ...]:
    """What has parts: a record with the column in it, whose name comes after all tags down to the first leaf."""
    if not named:
        raise NotAType("Avro wants a name for the column")
    node = sound(parse(text))
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
        real = without_null(node)
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
                    if not is_null(branch):
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
        real = without_null(node)
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
            return {"com.linkedin.schema.ArrayType": {"nestedType": [kind_of(node.item)]}}
        case Map():
            return {"com.linkedin.schema.MapType": {"keyType": "string", "valueType": kind_of(node.value)}}
        case _:
            return {f"com.linkedin.schema.{_CLASSES[kind_of(node)]}": {}}


def _props(node: Node) -> Mapping[str, Any]:
    match node:
        case Leaf():
            return node.props
        case Map():
            return {"key_type": _described(node.key), "key_native_data_type": node.key_native}
        case _:
            return {}


def _tag(node: Node) -> str:
    match node:
        case Leaf():
            return f"[type={node.tag}]"
        case Struct():
            return f"[type=struct{'' if node.number is None else node.number}]"
        case _:
            return f"[type={kind_of(node)}]"


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
