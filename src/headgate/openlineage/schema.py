"""This file is where a schema facet becomes `schemaMetadata`: types, and field paths in DataHub's second form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from headgate.errors import UnconvertibleEvent
from headgate.openlineage import wire
from headgate.openlineage.options import LIMITS, Limits, Options
from headgate.openlineage.scalars import text
from headgate.openlineage.wire import Field

_WORDS: Final = {
    "String": "string varchar char nvarchar nchar character,varying text uuid",
    "Number": "int integer long bigint smallint tinyint short byte double float decimal numeric number real money",
    "Boolean": "boolean bool",
    "Date": "date",
    "Time": "timestamp timestamp_ntz timestamp_tz timestamptz datetime time",
    "Bytes": "binary varbinary bytes blob",
    "Array": "array list",
    "Map": "map struct record row",
    "Union": "union",
    "Enum": "enum",
}
#: The type of a word. The objects are shared by all answers: nobody may change what `convert` gives.
_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    word.replace(",", " "): {"type": {f"com.linkedin.schema.{name}Type": {}}}
    for name, words in _WORDS.items()
    for word in words.split()
}
_NULL_TYPE: Final[Mapping[str, Any]] = {"type": {"com.linkedin.schema.NullType": {}}}
#: What the released converter knows, letter by letter.
_RELEASED: Final = {word: _TYPES[word] for word in ("string", "long", "int", "timestamp", "struct")}

_TOKEN_WORDS: Final = {
    "string": "varchar char nvarchar nchar character,varying text uuid",
    "int": "integer smallint tinyint short byte",
    "long": "bigint",
    "float": "real",
    "decimal": "numeric number money",
    "boolean": "bool",
    "bytes": "varbinary binary blob",
    "struct": "record row",
    "array": "list",
    "union": "uniontype",
    "timestamp": "timestamp_ntz timestamp_tz timestamptz datetime",
}
_TOKENS: Final[Mapping[str, str]] = {
    word.replace(",", " "): token for token, words in _TOKEN_WORDS.items() for word in words.split()
} | {"": "unknown"}

_ROOT: Final = "[version=2.0].[type=struct]"
_WORD: Final = re.compile(r"[^<>(),]*")
_MARK: Final = re.compile(r"[<>(),]")
_MOST_TOKENS: Final = 64
_CACHED: Final = 200  #: characters of a type that is worth remembering
_CACHED_SCHEMA: Final = 2048  #: bytes of a schema that is
_USUAL: Final = Options()
_CONTROL: Final = re.compile(r"(\\\\)|\\u00([01][0-9a-f])")


class _Shape(NamedTuple):
    """What a type says, with and without children."""

    type: Mapping[str, Any]
    alone: str  #: tokens joined by dots
    parent: str  #: the same for a field that has children
    shows: bool  #: whether the tokens may be seen in a field path: arrays, unions, words with dots


class _Row(NamedTuple):
    field: Field
    name: str
    shape: _Shape
    tokens: str
    parent: int  #: the index of its parent's row; -1 at the top


def schema_metadata(schema: bytes, platform: str, options: Options) -> Mapping[str, Any] | None:
    """The aspect; None without a list of fields.

    Args:
        schema: the facet, as JSON.
        platform: the bare word, of the dataset's own namespace.
        options: whether as released, and with descriptions.

    Raises:
        MalformedEvent: it is not what the specification says.
        UnconvertibleEvent: more fields, deeper ones or longer paths than `options.limits` allow.
    """
    usual = options.limits is LIMITS and not (options.released or options.field_descriptions)
    written = _remembered(schema) if usual and len(schema) <= _CACHED_SCHEMA else _written(schema, options)
    if written is None:
        return None
    return {
        "schemaName": "",
        "version": 1,
        "hash": "",
        "platform": f"urn:li:dataPlatform:{platform}",
        "platformSchema": written[0],
        "fields": written[1],
    }


def _written(schema: bytes, options: Options) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]] | None:
    """The schema as text, and its fields. What Jackson would print differently is put right on the way."""
    fields = wire.fields(schema)
    if fields is None:
        return None
    made = _flat(fields, options) or _deep(fields, options)
    return {"com.linkedin.schema.MySqlDDL": {"tableSchema": _table_schema(fields)}}, made


@lru_cache(maxsize=1024)
def _remembered(schema: bytes) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]] | None:
    """As usual. A dataset has the same schema in every event of every run. Shared by all answers, as types are."""
    return _written(schema, _USUAL)


def _flat(fields: list[Field | None], options: Options) -> list[Mapping[str, Any]] | None:
    """The short way for what most schemas are, a plain list of columns; None for any other."""
    if options.released or options.field_descriptions or len(fields) > options.limits.fields:
        return None
    made: list[Mapping[str, Any]] = []
    for field in fields:
        if field is None or field.fields is not None:
            return None
        name, kind, description = field.name, field.type, field.description
        if type(name) is not str or type(kind) is not str or len(name) + len(kind) > _CACHED:
            return None
        if description is not None and type(description) is not str:
            return None
        column = _column(name, kind)
        if column is None:
            return None
        made.append(column)
    return made


@lru_cache(maxsize=8192)
def _column(name: str, kind: str) -> Mapping[str, Any] | None:
    """A column whose path is its name; None where that depends on others. Shared by all answers, as types are."""
    shape = _cached_shape(kind)
    if "[" in name or "]" in name or shape.shows:
        return None
    return {"fieldPath": name, "nativeDataType": kind, "type": shape.type}


def _deep(fields: list[Field | None], options: Options) -> list[Mapping[str, Any]]:
    rows: list[_Row] = []
    _collect(fields, -1, 0, rows, options.limits)
    if options.released:
        top = [row for row in rows if row.parent < 0]
        return [_field(row, row.name, _RELEASED.get(text(row.field.type) or "", _NULL_TYPE), options) for row in top]
    paths = _paths(rows, options.limits)
    return [_field(row, path, row.shape.type, options) for row, path in zip(rows, paths, strict=True)]


def _field(row: _Row, path: str, kind: Mapping[str, Any], options: Options) -> Mapping[str, Any]:
    made = {"fieldPath": path, "nativeDataType": row.field.type or "", "type": kind}
    if options.field_descriptions and row.field.description:
        made["description"] = row.field.description
    return made


def _collect(fields: list[Field | None], parent: int, depth: int, rows: list[_Row], limits: Limits) -> None:
    """A row a field, children after their parent."""
    if depth > limits.depth:
        raise UnconvertibleEvent(f"a schema is nested more than {limits.depth} levels deep")
    if None in fields:
        fields[:] = [field for field in fields if field is not None]
    if len(rows) + len(fields) > limits.fields:
        raise UnconvertibleEvent(f"a schema has more than {limits.fields:,} fields")
    for field in fields:
        if field is None:
            continue
        name, kind = field.name, field.type
        if type(name) is not str:
            name = field.name = text(name)
        if type(kind) is not str:
            kind = field.type = text(kind)
        if field.description is not None and type(field.description) is not str:
            field.description = text(field.description)
        shape = _cached_shape(kind) if kind is None or len(kind) <= _CACHED else _shape(kind)
        children = field.fields
        rows.append(_Row(field, name or "", shape, shape.parent if children else shape.alone, parent))
        if children is not None:
            _collect(children, len(rows) - 1, depth + 1, rows, limits)


def _shape(kind: str | None) -> _Shape:
    kind = (kind or "").strip().lower()
    word = _word(kind, 0)
    token = _TOKENS.get(word, word)
    tokens = _expanded(kind)
    parent = f"[type={token}].[type=struct]" if token in ("array", "map") else f"[type={token}]"
    if token not in ("array", "map", "union", "struct"):
        parent = "[type=struct]"
    alone = ".".join(tokens)
    shows = any(_shows(one) for one in (alone, parent))
    return _Shape(_TYPES.get(word, _NULL_TYPE), alone, parent, shows)


def _shows(tokens: str) -> bool:
    if "[type=array]" in tokens or "[type=union]" in tokens:
        return True
    return not all(part.startswith("[") or part.endswith("]") for part in tokens.split("."))


_cached_shape: Final = lru_cache(maxsize=4096)(_shape)


def _word(kind: str, at: int) -> str:
    """The word of a type that begins there. Only a bracket ends the outermost one; inside, a comma does, too."""
    if at:
        found = _WORD.match(kind, at)
        return found[0].strip() if found else ""
    return re.split(r"[<(]", kind, maxsplit=1)[0].strip()


def _expanded(kind: str) -> list[str]:
    """The tokens of a type without children. It is read once from left to right, however deep it is nested."""
    tokens: list[str] = []
    at, closed = 0, ">" in kind
    while True:
        word = _word(kind, at)
        token = _TOKENS.get(word, word)
        tokens.append(f"[type={token}]")
        if token not in {"array", "map"}:
            return tokens
        found = _MARK.search(kind, at)
        if found is None or found[0] != "<" or not closed or len(tokens) >= _MOST_TOKENS:
            return [*tokens, "[type=unknown]"]
        inner = found.end()
        if token == "map":  # noqa: S105 - no password
            inner = _after_comma(kind, inner)
            if inner < 0:
                return [*tokens, "[type=unknown]"]
        at = inner


def _after_comma(kind: str, at: int) -> int:
    """Where the second parameter begins; -1 where there is none."""
    open_ = 0
    for mark in _MARK.finditer(kind, at):
        if mark[0] in "<(":
            open_ += 1
        elif mark[0] in ">)":
            if open_ == 0:
                return -1
            open_ -= 1
        elif open_ == 0:
            return mark.end()
    return -1


def _paths(rows: list[_Row], limits: Limits) -> list[str]:
    """The field paths, plain where the schema knows neither arrays nor unions."""
    if not any(row.shape.shows or "[" in row.name or "]" in row.name for row in rows):
        return _joined(rows, limits, plain=True)
    paths = _joined(rows, limits, plain=False)
    if any("[type=array]" in path or "[type=union]" in path for path in paths):
        return paths
    return [
        ".".join(part for part in path.split(".") if not (part.startswith("[") or part.endswith("]"))) for path in paths
    ]


def _joined(rows: list[_Row], limits: Limits, *, plain: bool) -> list[str]:
    paths: list[str] = []
    total = 0
    for row in rows:
        if plain:
            path = row.name if row.parent < 0 else f"{paths[row.parent]}.{row.name}"
        else:
            path = f"{_ROOT if row.parent < 0 else paths[row.parent]}.{row.tokens}.{row.name}"
        total += len(path)
        if total > limits.characters:
            raise UnconvertibleEvent(f"the field paths of a schema take more than {limits.characters:,} characters")
        paths.append(path)
    return paths


def _table_schema(fields: list[Field | None]) -> str:
    written = msgspec.json.encode(fields).decode()
    return _CONTROL.sub(_as_jackson, written) if "\\u00" in written else written


def _as_jackson(found: re.Match[str]) -> str:
    """Control characters with capital hex digits."""
    return found[1] or f"\\u00{found[2].upper()}"
