"""This file is where a mapping of the configuration is read key by key, and everything wrong with it is noted.

A key is described once: its kind, default and meaning. Reading, the "did you mean", `headgate config show` and the
generated reference all go by that description.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from headgate.errors import InvalidConfiguration
from headgate.model import Json
from headgate.settings.kinds import Kind, is_name
from headgate.settings.nodes import Items, Node, Place, Table, Text
from headgate.settings.record import MASK, Effective, Secret

T = TypeVar("T")

_PRIVATE: Final = re.compile(r"password|passwd|secret|token|credential|api[-_]?key|private[-_]?key", re.IGNORECASE)
#: Who a URL names, and the password: up to the last @ before a slash, else (as SQLAlchemy reads it) up to the first.
_USER: Final = re.compile(r"(?<=://)([^/@:\s]*):(?:[^/\s]*(?=@)|[^@\s]*(?=@))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Generic[T]):
    """A key whose value is one text. A dotted name is a key of the section before the dot."""

    name: str
    kind: Kind[T]
    default: T
    description: str
    shown: str = ""  #: the default as the reference writes it, where its plain form would not do
    variables: tuple[str, ...] = ()  #: environment variables that win over the file, the first one first
    secret: bool = False

    @property
    def expected(self) -> str:
        return self.kind.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A key whose value is a list or a mapping."""

    name: str
    expected: str
    description: str


Named = Key[Any] | Part  # Any: only the name is of interest where a key of whatever kind may stand


@dataclass(slots=True)
class Report:
    """What was found while reading: everything wrong, and every setting in force."""

    problems: list[InvalidConfiguration] = field(default_factory=list[InvalidConfiguration])
    warnings: list[InvalidConfiguration] = field(default_factory=list[InvalidConfiguration])
    effective: dict[str, Effective] = field(default_factory=dict[str, Effective])

    def problem(self, place: Place, message: str) -> None:
        """Note what is wrong; what is looked at twice is wrong once."""
        if not any(str(one) == str(place.problem(message)) for one in self.problems):
            self.problems.append(place.problem(message))

    def warn(self, place: Place, message: str) -> None:
        """Note what is no mistake, and perhaps not what was meant."""
        self.warnings.append(place.problem(message))

    def unexpected(self, node: Node, what: str, expected: str) -> None:
        """Note that a value is not what was expected; once is enough."""
        if not (isinstance(node, Text) and node.broken):
            self.problem(node.place, f"{what}: expected {expected}, found {found(node)}")

    def note(self, name: str, value: Json, source: str) -> None:
        self.effective[name] = Effective(name=name, value=value, source=source)

    def becomes(self, name: str, value: Json) -> None:
        """Show what a value that was noted came to be (a path made absolute); its source stays."""
        self.note(name, value, self.effective[name].source)


class Section:
    """One mapping of the file, under its full name (`jobs.csv-to-iceberg-ingestion`)."""

    def __init__(self, node: Table, name: str, report: Report) -> None:
        self.node = node
        self.name = name
        self.place = node.place
        self.report = report

    def path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def has(self, part: Named) -> bool:
        return part.name in self.node.keys

    def place_of(self, part: Named) -> Place:
        """Where the value stands; the section itself when it is not given."""
        value = self.node.entries.get(part.name)
        return value.place if value is not None else self.node.keys.get(part.name, self.place)

    def get(self, key: Key[T]) -> T:
        """The value of a key, its default when it is not given or (noted as a problem) wrong."""
        value = self.node.entries.get(key.name)
        if value is None:
            self.report.note(self.path(key.name), shown(key.default, key.secret), "default")
            return key.default
        parsed = self.value(value, key.kind, self.path(key.name))
        result = key.default if parsed is None else parsed[0]
        self.report.note(self.path(key.name), shown(result, key.secret), source(value))
        return result

    def required(self, key: Key[T]) -> T | None:
        """The value of a key that must be given; None when it is not or is wrong, which is noted as a problem."""
        value = self.node.entries.get(key.name)
        if value is None:
            near = did_you_mean(key.name, self.node.keys)
            self.report.problem(self.place, f"{self.name}: expected the key {key.name!r}, {key.expected}{near}")
            return None
        parsed = self.value(value, key.kind, self.path(key.name))
        if parsed is None:
            return None
        self.report.note(self.path(key.name), shown(parsed[0], key.secret), source(value))
        return parsed[0]

    def value(self, node: Node, kind: Kind[T], what: str) -> tuple[T] | None:
        """One value of a kind; None when it is something else, which is noted as a problem."""
        if not isinstance(node, Text) or node.null or node.broken:
            self.report.unexpected(node, what, kind.expected)
            return None
        try:
            return (kind.parse(node.text),)
        except ValueError:
            # What came from a variable may be a secret given in the wrong place: its name is enough to mend it.
            origin = f"the value of {' and '.join(node.variables)}" if node.variables else found(node)
            hint = did_you_mean(node.text, kind.choices)
            self.report.problem(node.place, f"{what}: expected {kind.expected}, found {origin}{hint}")
            return None

    def section(self, part: Part) -> Section | None:
        node = self.node.entries.get(part.name)
        if node is None or (isinstance(node, Text) and node.null):
            return None
        if not isinstance(node, Table):
            self.report.unexpected(node, self.path(part.name), part.expected)
            return None
        return Section(node, self.path(part.name), self.report)

    def section_or_empty(self, part: Part) -> Section:
        """The same; an empty one where it is not given, whose keys then have their defaults."""
        return self.section(part) or Section(Table(self.place, {}, {}), self.path(part.name), self.report)

    def sections(self, part: Part) -> dict[str, Section]:
        """A mapping of mappings: the sections in it by name. What is no mapping is noted as a problem."""
        outer = self.section(part)
        sections: dict[str, Section] = {}
        if outer is None:
            return sections
        for name, node in outer.node.entries.items():
            if not is_name(name):
                expected = "a name of 1 to 255 characters, none of them a control character"
                self.report.problem(outer.node.keys[name], f"{part.name}: expected {expected}, found {name!r}")
            if isinstance(node, Table):
                sections[name] = Section(node, f"{part.name}.{name}", self.report)
            else:
                self.report.unexpected(node, f"{part.name}.{name}", "a mapping")
        return sections

    def items(self, part: Part) -> Sequence[Node]:
        node = self.node.entries.get(part.name)
        if node is None or (isinstance(node, Text) and node.null):
            return ()
        if not isinstance(node, Items):
            self.report.unexpected(node, self.path(part.name), part.expected)
            return ()
        return node.items

    def filled(self, part: Part) -> bool:
        """Whether anything stands there: if nothing could be read all the same, that was noted as a problem."""
        match self.node.entries.get(part.name):
            case None:
                return False
            case Text(null=null):
                return not null
            case Items(items=items):
                return bool(items)
            case Table(entries=entries):
                return bool(entries)

    def texts(
        self, part: Part, kind: Kind[str], default: Sequence[str] = (), *, alone: bool = False
    ) -> tuple[str, ...]:
        """A list of texts. With `alone` a single text stands for a list of one."""
        node = self.node.entries.get(part.name)
        if node is None:
            self.report.note(self.path(part.name), list(default), "default")
            return tuple(default)
        nodes = (node,) if alone and isinstance(node, Text) and not node.null else self.items(part)
        values = [value[0] for one in nodes if (value := self.value(one, kind, self.path(part.name))) is not None]
        self.report.note(self.path(part.name), list(values), source(node))
        return tuple(values)

    def only(self, known: Iterable[Named], *, elsewhere: Mapping[str, str] | None = None, free: str = "") -> None:
        """Note every key that is none of these; `elsewhere` says where one is at home, `free` begins the user's own."""
        names = [key.name for key in known]
        for name, place in self.node.keys.items():
            if name in names or (free and name.startswith(free)):
                continue
            where = (elsewhere or {}).get(name)
            hint = f"; it is for {where}" if where else did_you_mean(name, names)
            what = f"in {self.name}" if self.name else "at the top of the file"
            self.report.problem(place, f"there is no key {name!r} {what}{hint or '; expected ' + ', '.join(names)}")


def found(node: Node) -> str:
    """A value, in words for an error message."""
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    text = mask_url(node.text)
    return "nothing" if node.null else repr(text if len(text) <= 80 else text[:77] + "...")


def source(node: Node) -> str:
    variables = node.variables if isinstance(node, Text) else ()
    return f"{node.place} ({', '.join(variables)})" if variables else str(node.place)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when one of the known words is near, without regard to case; else nothing."""
    by_folded = {one.lower().replace("-", "_"): one for one in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""


def shown(value: object, secret: bool = False) -> Json:
    """A value as `headgate config show` prints it."""
    if secret or isinstance(value, Secret):
        return MASK if value else ""
    return mask_url(value) if isinstance(value, str) else value


def shown_as(name: str, value: str) -> Json:
    """A value under a name of the user's own choice: masked when the name says that it is private."""
    return shown(value, secret=bool(_PRIVATE.search(name)))


def mask_url(text: str) -> str:
    """A URL without its password."""
    return _USER.sub(rf"\1:{MASK}", text) if "://" in text else text
