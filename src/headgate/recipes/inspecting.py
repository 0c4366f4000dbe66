"""This file is where DataHub's SDK is asked what it thinks of a recipe, in a process of its own; nothing is run.

Standard input: {"recipe": {…}, "open": [keys with dots between, whose texts hold values nobody knows]}. The last line
of standard output: [{"severity", "at", "message"}], JSON. No message holds a value.
"""

from __future__ import annotations

import difflib
import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from headgate.recipes import text
from headgate.recipes.findings import Severity

Found = dict[str, str]

_REGISTRIES: Final = {
    "source": ("datahub.ingestion.source.source_registry", "source_registry"),
    "sink": ("datahub.ingestion.sink.sink_registry", "sink_registry"),
    "transformers": ("datahub.ingestion.transformer.transform_registry", "transform_registry"),
}


def main() -> None:
    asked = json.load(sys.stdin)
    sys.stdout.write(json.dumps(list(inspected(asked["recipe"], set(asked["open"])))) + "\n")


def inspected(recipe: text.Document, unknown: set[str]) -> Iterator[Found]:
    try:
        importlib.import_module("datahub")
    except ImportError:
        yield _found("", "DataHub's SDK is not installed: pip install 'headgate[datahub]'")
        return
    for part in _REGISTRIES:
        listed: Any = recipe.get(part)
        if part == "transformers":
            for number, one in enumerate(listed if isinstance(listed, list) else ()):  # pyright: ignore[reportUnknownArgumentType] -- JSON
                yield from _part(part, f"{part}.{number}", one, unknown)
        elif listed:
            yield from _part(part, part, listed, unknown)


def _part(part: str, at: str, given: Any, unknown: set[str]) -> Iterator[Found]:
    kind: Any = given.get("type") if isinstance(given, dict) else None  # pyright: ignore[reportUnknownMemberType] -- JSON
    if not isinstance(kind, str):
        yield _found(at, f"expected a mapping with `type` and `config`; found {type(given).__name__}")
        return
    module, name = _REGISTRIES[part]
    registry: Any = getattr(importlib.import_module(module), name)
    try:
        plugin: Any = registry.get(kind)
    except KeyError:
        near = difflib.get_close_matches(kind, list(registry.mapping), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield _found(f"{at}.type", f"there is no {part.removesuffix('s')} of type {kind!r}{hint}")
        return
    except Exception as error:  # noqa: BLE001 -- a plugin's own modules are loaded, and may raise what they like
        yield _found(f"{at}.type", f"the plugin {kind!r} cannot be loaded: {_line(error)}")
        return
    yield from _config(plugin, f"{at}.config", given.get("config") or {}, unknown)  # pyright: ignore[reportUnknownMemberType] -- JSON


def _config(plugin: Any, at: str, config: Any, unknown: set[str]) -> Iterator[Found]:
    """Have a plugin's own class of settings look at its settings. Plugins without one are not judged."""
    asked = getattr(plugin, "get_config_class", None)
    model: Any = asked() if callable(asked) else None
    if model is None or not hasattr(model, "model_validate"):
        return
    if not isinstance(config, dict):
        yield _found(at, f"expected a mapping; found {type(config).__name__}")
        return
    errors: list[Any] = []
    try:
        model.model_validate(config)
    except Exception as error:  # noqa: BLE001 -- validators are people's own code
        errors = error.errors(include_url=False, include_input=False) if hasattr(error, "errors") else [error]  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- pydantic's
    for one in errors:
        yield from _judged(one, at, unknown)
    if str(model.model_config.get("extra", "ignore")) != "forbid":
        yield from _ignored(model, at, list(config))  # pyright: ignore[reportUnknownArgumentType] -- JSON


def _judged(error: Any, at: str, unknown: set[str]) -> Iterator[Found]:
    if not isinstance(error, dict):
        if not any(one.startswith(f"{at}.") for one in unknown):
            yield _found(at, _line(error))
        return
    place = ".".join([at, *(str(one) for one in error["loc"])])  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- pydantic's
    if any(one == place or one.startswith(f"{place}.") for one in unknown) and error["type"] != "extra_forbidden":
        return  # the value will be another one
    words = "nobody knows this field" if error["type"] == "extra_forbidden" else str(error["msg"])  # pyright: ignore[reportUnknownArgumentType] -- as above
    yield _found(place, words)


def _ignored(model: Any, at: str, keys: list[str]) -> Iterator[Found]:
    """Fields that are neither known nor refused: DataHub would go on as if they were not there."""
    known = set(model.model_fields) | {field.alias for field in model.model_fields.values() if field.alias}
    for key in keys:
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        yield _found(
            f"{at}.{key}", f"this field is not among the known ones, and may be ignored{hint}", Severity.WARNING
        )


def _found(at: str, message: str, severity: Severity = Severity.ERROR) -> Found:
    return {"severity": severity.value, "at": at, "message": message}


def _line(error: object) -> str:
    """An error's kind, and its words where they cannot be a value's."""
    if isinstance(error, ImportError):
        return f"{type(error).__name__}: {error}"
    cause = getattr(error, "__cause__", None)
    if type(error).__name__ == "ConfigurationError":
        return " ".join(str(error).split())[:500] + (f" ({cause})" if isinstance(cause, ImportError) else "")
    return type(error).__name__
