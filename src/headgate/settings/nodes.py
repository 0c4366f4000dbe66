"""This file is where YAML text becomes values that know their line and column.

Only what configuration needs is taken: texts, lists, mappings with text keys, anchors, aliases and `<<` merges. What a
text means (number, boolean, duration) is decided where it is wanted, so that an expanded variable and a literal are the
same thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from headgate.errors import Invalid, InvalidConfiguration
from headgate.variables import expand, parse

_TAGS: Final = frozenset(
    "tag:yaml.org,2002:" + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
)
_MERGE: Final = "tag:yaml.org,2002:merge"
_NULL: Final = "tag:yaml.org,2002:null"
_DEEPEST: Final = 40
_LARGEST: Final = 500_000  #: values after aliases are followed; a few lines of nested aliases can mean billions


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1; 0 means the file (or variable) as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def problem(self, message: str) -> InvalidConfiguration:
        return InvalidConfiguration(message, file=self.file, line=self.line, column=self.column)


@dataclass(frozen=True, slots=True)
class Text:
    place: Place
    text: str
    null: bool = False  #: `~`, `null`, or nothing at all after the colon
    variables: tuple[str, ...] = ()  #: the environment variables its value came from
    broken: bool = False  #: what is wrong with it was said already


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Table:
    place: Place
    entries: Mapping[str, Node]
    keys: Mapping[str, Place]


Node = Text | Items | Table


def read(
    text: str, file: str, *, environ: Mapping[str, str] | None, problems: list[InvalidConfiguration]
) -> Node | None:
    """Read one YAML (or JSON) document. What is wrong is added to `problems`; the rest is still given back.

    Args:
        text: the document.
        file: how places name it.
        environ: where `${…}` is looked up; None leaves texts as they are.
        problems: takes what is wrong.

    Returns:
        The document, or None when it is empty or no YAML at all.
    """
    try:
        # The C loader is ten times as fast and gives the same places; a PyYAML built without it reads the same.
        node = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        problems.append(_syntax(error, text, file))
        return None
    except yaml.YAMLError as error:
        problems.append(Place(file, *_unreadable(error, text)).problem(f"this is not YAML: {_one_line(str(error))}"))
        return None
    except RecursionError:
        problems.append(Place(file).problem("the values are nested too deeply"))
        return None
    if node is None:
        return None
    try:
        return _Converter(file, environ, problems).convert(node, 0)
    except InvalidConfiguration as error:
        problems.append(error)
        return None


class _Converter:
    def __init__(self, file: str, environ: Mapping[str, str] | None, problems: list[InvalidConfiguration]) -> None:
        self._file = file
        self._environ = environ
        self._problems = problems
        self._done: dict[int, tuple[Node, int]] = {}  # an aliased node is converted once
        self._open: set[int] = set()
        self._count = 0

    def convert(self, node: yaml.Node, depth: int) -> Node:
        known = self._done.get(id(node))
        if known is None:
            before = self._count
            fresh = self._fresh(node, depth)
            known = (fresh, self._count - before)
            self._done[id(node)] = known
        else:
            self._count += known[1]
        if self._count > _LARGEST:
            raise self._place(node).problem("the aliases in this file stand for more values than anyone can mean")
        return known[0]

    def _fresh(self, node: yaml.Node, depth: int) -> Node:
        self._count += 1
        place = self._place(node)
        if id(node) in self._open or depth > _DEEPEST:
            reason = "an alias stands inside its own anchor" if id(node) in self._open else "nested too deeply"
            self._problems.append(place.problem(f"this value can not be read: {reason}"))
            return Text(place, "", broken=True)
        if node.tag not in _TAGS:
            self._problems.append(place.problem(f"the tag {_tag(node.tag)} is not known here; write plain values"))
            return Text(place, "", broken=True)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._table(node, depth)
            if isinstance(node, yaml.SequenceNode):
                return Items(place, tuple(self.convert(item, depth + 1) for item in node.value))
            return self._text(node)
        finally:
            self._open.discard(id(node))

    def _text(self, node: yaml.Node) -> Text:
        place, value = self._place(node), str(node.value)
        if node.tag == _NULL:
            return Text(place, "", null=True)
        if self._environ is None or "${" not in value:
            return Text(place, value)
        try:
            expanded = expand(value, self._environ)
        except Invalid as error:
            self._problems.append(place.problem(str(error)))
            return Text(place, value, broken=True)
        return Text(place, expanded.text, variables=expanded.variables)

    def _table(self, node: yaml.MappingNode, depth: int) -> Table:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        merged: list[Table] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged.extend(self._merged(value, depth))
                continue
            place = self._place(key)
            name = self._key(key)
            if name is None:
                self._problems.append(place.problem("a key must be plain text, without ${...}; $${ is the text ${"))
                continue
            if name in keys:
                where = f"{keys[name].line}:{keys[name].column}"
                self._problems.append(place.problem(f"{name!r} is given twice in one mapping: first at {where}"))
                continue
            keys[name] = place
            entries[name] = self.convert(value, depth + 1)
        for table in merged:  # what stands in the mapping itself wins, then the first one merged in
            for name, value in table.entries.items():
                if name not in keys:
                    keys[name], entries[name] = table.keys[name], value
        return Table(self._place(node), entries, keys)

    def _key(self, node: yaml.Node) -> str | None:
        """The key's text; None where it is none, or names a variable."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _TAGS:
            return None
        name = str(node.value)
        if self._environ is None or "${" not in name:
            return name
        try:
            [only] = parse(name)
        except Invalid:
            return None
        return only if isinstance(only, str) else None

    def _merged(self, node: yaml.Node, depth: int) -> Iterator[Table]:
        for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            table = self.convert(one, depth + 1)
            if isinstance(table, Table):
                yield table
            elif not (isinstance(table, Text) and table.broken):
                self._problems.append(self._place(one).problem("only mappings can be merged with <<"))

    def _place(self, node: yaml.Node) -> Place:
        mark = node.start_mark
        return Place(self._file, mark.line + 1, mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> InvalidConfiguration:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    words = ", ".join(part for part in (error.context, error.problem) if part)
    lines = text.splitlines()
    about = "\n".join(lines[max(0, line - 1) : line + 1])
    if "${" in about:
        words += "; a value with ${...} inside { } or [ ] must be in quotes"
    elif "\t" in about:
        words += "; YAML is indented with spaces, never with tabs"
    return Place(file, line + 1, column + 1).problem(f"this is not YAML: {_one_line(words)}")


def _unreadable(error: yaml.YAMLError, text: str) -> tuple[int, int]:
    """The place of a character YAML does not allow; such an error carries only an offset."""
    position = getattr(error, "position", None)
    if not isinstance(position, int) or not 0 <= position <= len(text):
        return (0, 0)
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
