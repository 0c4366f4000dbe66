r"""This file is where a recipe is text: read, the `${…}` in it found, and the values put in.

Our own forms are `${NAME}`, `${NAME:-default}` and `${NAME:?message}` (see `headgate.variables`). DataHub's own
recipes are taken as they are: only a text with `${…}` in it, or one that begins with `$`, is looked into; there a bare
`$NAME` counts, too, and `\$` is a dollar sign; a text that only begins with `$` and names nothing known stays.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml

from headgate.errors import Invalid
from headgate.variables import Variable, parse

Document = dict[str, Any]

#: DataHub writes the value of such a key to a file and gives the source its path.
TO_FILE: Final = "__DATAHUB_TO_FILE_"
_HOLDS: Final = re.compile(r"\$\{.+\}")
_BARE: Final = re.compile(r"\\\$|\$([A-Za-z_][A-Za-z0-9_]*)")
_LARGEST: Final = 1 << 20  #: bytes
#: Characters that a recipe may come to when its aliases are followed: a few lines of them can mean billions.
_MOST: Final = 4 << 20
_VALUE: Final = 16  #: characters that a value counts for beside its own
_MOST_MERGED: Final = 10_000  #: keys that `<<` brings into one mapping
_KINDS: Final[Mapping[type, str]] = {type(None): "nothing", list: "a list", str: "a text"}


class _Loader(yaml.SafeLoader):
    """YAML's own, for texts that others have written."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_MERGED:
            raise yaml.YAMLError(f"its merges (<<) bring more than {_MOST_MERGED:,} keys into one mapping")


def read_recipe(file: Path) -> Document:
    """Read a recipe's file: TOML by its name, else YAML (which JSON is).

    Raises:
        Invalid: it cannot be read, or is no recipe.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Invalid(f"the recipe {file} cannot be read: {error.strerror}") from error
    return parse_recipe(data, str(file))


def parse_recipe(data: bytes | str, name: str) -> Document:
    """Read a recipe's text; `name` is what errors call it. Raises Invalid."""
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    if len(text) > _LARGEST:
        raise Invalid(f"{name}: the recipe has {len(text):,} characters; at most {_LARGEST:,} are read")
    try:
        found: Any = tomllib.loads(text) if name.endswith(".toml") else yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(f"{name}: this is no recipe: {' '.join(str(error).split())[:500]}") from error
    if not isinstance(found, dict):
        raise Invalid(
            f"{name}: expected a recipe, a mapping with `source` and `sink`; found {_KINDS.get(type(found), 'a value')}"
        )
    source: Any = cast("Document", found).get("source")
    kind: Any = cast("Document", source).get("type") if isinstance(source, dict) else None
    if not isinstance(kind, str) or not kind.strip():
        raise Invalid(f"{name}: expected `source: {{type: …, config: …}}`; there is no source with a type")
    return _plain(cast("Document", found), name)


def part_types(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """The plugins a recipe names: {"source": [type], "sink": [type] or [], "transformers": [types]}."""

    def kind(part: Any) -> list[str]:
        found: Any = cast("Document", part).get("type") if isinstance(part, dict) else None
        return [found] if isinstance(found, str) else []

    transformers: Any = document.get("transformers")
    listed = cast("list[Any]", transformers) if isinstance(transformers, list) else []
    return {
        "source": kind(document.get("source")),
        "sink": kind(document.get("sink")),
        "transformers": [name for one in listed for name in kind(one)],
    }


def variables(document: Mapping[str, Any]) -> dict[str, bool]:
    """The names a recipe asks for, and whether it can not do without: one with a default, or a bare `$NAME`, can.

    Raises:
        Invalid: a `${…}` is none of the three forms.
    """
    found: dict[str, bool] = {}

    def note(text: str) -> str:
        for name, needed in _names(text):
            found[name] = found.get(name, False) or needed
        return text

    _mapped(document, note)
    return found


def fill(document: Mapping[str, Any], values: Mapping[str, str]) -> Document:
    """The recipe with the values put in, as texts: what they mean is for those who read them to say.

    Raises:
        Invalid: a value is missing, by name; a `${…}` is none of the three forms.
    """
    return cast("Document", _mapped(document, lambda text: _filled(text, values)))


def fill_known(document: Mapping[str, Any], values: Mapping[str, str]) -> Document:
    """The recipe with the values put in that are there; a text that wants another one stays as it is."""

    def filled(one: str) -> str:
        try:
            return _filled(one, values)
        except Invalid:
            return one

    return cast("Document", _mapped(document, filled))


def unknown(document: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Where the texts are that `fill_known` leaves, by their keys with dots between."""
    filled = dict(texts(fill_known(document, values)))
    return [".".join(path) for path, one in filled.items() if _HOLDS.search(one) and _wants(one, values)]


def messages(document: Mapping[str, Any]) -> dict[str, str]:
    """What a recipe says of names that are missing: the messages of its `${NAME:?message}`, by name.

    Raises:
        Invalid: a `${…}` is none of the three forms.
    """
    found: dict[str, str] = {}

    def note(part: str | Variable) -> str:
        if isinstance(part, str):
            return part
        rest = "".join(map(note, part.rest))
        if part.operator == ":?" and rest.strip():
            found.setdefault(part.name, rest.strip())
        return f"${{{part.name}}}"

    for _, one in texts(document):
        if _HOLDS.search(one):
            for part in parse(one):
                note(part)
    return found


def where(document: Mapping[str, Any], name: str) -> str:
    """The keys, with dots between, of the first text that asks for a name; "" where none does."""
    return next((".".join(path) for path, one in texts(document) if name in variables({"": one})), "")


def in_files(document: Mapping[str, Any], keep: Callable[[str], str]) -> Document:
    """The recipe with DataHub's directive obeyed: `keep` is given each value to hold, and answers its path."""

    def obeyed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value  # DataHub looks into mappings only
        found: Document = {}
        for key, one in cast("Document", value).items():
            if key.startswith(TO_FILE):
                found[key.removeprefix(TO_FILE)] = keep(one if isinstance(one, str) else json.dumps(one))
            else:
                found[key] = obeyed(one)
        return found

    return obeyed(dict(document))


def in_memory(value: str) -> str:
    """Hold a text in a file that is on no disk, and answer its path, good in this process as long as it lives."""
    fd = os.memfd_create("headgate-recipe")
    with os.fdopen(os.dup(fd), "w", encoding="utf-8") as file:
        file.write(value)
    return f"/proc/{os.getpid()}/fd/{fd}"


def texts(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a recipe with the keys that lead to it; places in lists count from 0."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in cast("Document", document).items():
            yield from texts(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(cast("list[Any]", document)):
            yield from texts(value, (*path, str(number)))


def _wants(text: str, values: Mapping[str, str]) -> bool:
    try:
        _filled(text, values)
    except Invalid:
        return True
    return False


def _names(text: str) -> Iterator[tuple[str, bool]]:
    if not _HOLDS.search(text):
        if text.startswith("$"):
            yield from ((name, False) for name in _bare_names(text))
        return
    yield from _of_parts(parse(text), needed=True)


def _of_parts(parts: tuple[str | Variable, ...], *, needed: bool) -> Iterator[tuple[str, bool]]:
    for part in parts:
        if isinstance(part, str):
            yield from ((name, needed) for name in _bare_names(part))
            continue
        yield part.name, needed and part.operator != ":-"
        if part.operator == ":-":
            # a default is only wanted where the variable is not there, so what it names may be missing, too
            yield from _of_parts(part.rest, needed=False)


def _bare_names(text: str) -> list[str]:
    return [found[1] for found in _BARE.finditer(text) if found[1]]


def _filled(text: str, values: Mapping[str, str]) -> str:
    if not _HOLDS.search(text):
        if not text.startswith("$") or any(name not in values for name in _bare_names(text)):
            return text
        return _bare(text, values)
    return _together(parse(text), values)


def _together(parts: tuple[str | Variable, ...], values: Mapping[str, str]) -> str:
    return "".join(_bare(part, values) if isinstance(part, str) else _value(part, values) for part in parts)


def _bare(text: str, values: Mapping[str, str]) -> str:
    return _BARE.sub(lambda found: _value(Variable(name=found[1]), values) if found[1] else "$", text)


def _value(variable: Variable, values: Mapping[str, str]) -> str:
    value = values.get(variable.name)
    if value or (value is not None and not variable.operator):
        return value
    if variable.operator == ":-":
        return _together(variable.rest, values)
    message = _together(variable.rest, values) if variable.operator else ""
    state = "is empty" if value == "" else "has no value"
    raise Invalid(f"the recipe needs ${{{variable.name}}}, which {state}{f': {message}' if message else ''}")


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A copy with each text changed; keys stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(one, change) for key, one in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list):
        return [_mapped(one, change) for one in cast("list[Any]", value)]
    return value


def _plain(document: Document, name: str) -> Document:
    """The recipe as JSON can say it: dates as texts (as YAML wrote them), keys as texts."""
    try:
        return json.loads(json.dumps(_with_text_keys(document, [_MOST]), default=str))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{name}: this is no recipe: {error}") from error


def _with_text_keys(value: Any, left: list[int]) -> Any:
    """A copy with keys as texts; `left` is how many characters and values it may have, and takes what it has."""
    left[0] -= _VALUE + (len(value) if isinstance(value, str) else 0)
    if left[0] < 0:
        raise ValueError(
            f"with its aliases followed it means more than {_MOST:,} characters, each value counting as {_VALUE}"
        )
    if isinstance(value, dict):
        found = cast("dict[Any, Any]", value)
        return {
            key if isinstance(key, str) else json.dumps(key, default=str): _with_text_keys(one, left)
            for key, one in found.items()
        }
    if isinstance(value, list):
        return [_with_text_keys(one, left) for one in cast("list[Any]", value)]
    return value
