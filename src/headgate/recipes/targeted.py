"""This file is where a recipe is narrowed to some tables, for a run that is to refresh just these.

A targeted run reads `database.table` names from its argument `--tables`. The recipe's own patterns go on counting: a
table that they leave out stays out. What looks at the catalog as a whole is switched off: stateful ingestion, which
would take every table that was not asked for as deleted, and the jobs and their scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from headgate.errors import Invalid
from headgate.recipes import text

#: The argument of a run that names its tables.
TABLES: Final = "--tables"
#: Sources whose `table_pattern` is matched against `database.table`.
SOURCES: Final = ("glue", "headgate-glue")
#: What is said in the log and in the result of every targeted run.
NOTE: Final = "stateful ingestion and jobs are switched off: tables that were not asked for are not taken as deleted"
_EVERYTHING: Final = (".*",)


def read_tables(given: str) -> tuple[str, ...]:
    """Read the argument: a JSON list, or names with commas between; each once, in their order.

    Raises:
        Invalid: it is neither, or a name has no database.
    """
    found: Any = given.split(",")
    if given.lstrip().startswith("["):
        try:
            found = json.loads(given)
        except ValueError as error:
            raise Invalid(f"{TABLES}: expected a JSON list of database.table names; it is no JSON") from error
    names = [one.strip() if isinstance(one, str) else "" for one in cast("list[Any]", found)]
    if not names:
        raise Invalid(f"{TABLES}: expected at least one database.table name")
    for name in names:
        database, _, table = name.partition(".")
        if not database or not table:
            raise Invalid(f"{TABLES}: expected database.table names, found {name[:200]!r}")
    return tuple(dict.fromkeys(names))


def fits(document: Mapping[str, Any]) -> bool:
    """Whether the recipe's source is one that can be asked for some tables only."""
    return bool(set(text.part_types(document)["source"]) & set(SOURCES))


def check(document: Mapping[str, Any]) -> None:
    """Raises Invalid: the recipe's source is none that can be asked for some tables only."""
    if not fits(document):
        kinds = text.part_types(document)["source"]
        raise Invalid(
            f"a run with {TABLES} needs a recipe with a source of type {' or '.join(SOURCES)}, found {', '.join(kinds)}"
        )


def narrowed(document: text.Document, tables: Sequence[str]) -> text.Document:
    """Return the recipe (its values put in) for these tables alone.

    Raises:
        Invalid: see `check`; or a pattern of the recipe's own is none.
    """
    check(document)
    source: text.Document = document["source"]
    config: text.Document = dict(cast("text.Document", source.get("config") or {}))
    config["table_pattern"] = _pattern(config.get("table_pattern"), tables)
    config["database_pattern"] = _pattern(config.get("database_pattern"), [one.partition(".")[0] for one in tables])
    config["stateful_ingestion"] = {"enabled": False}
    config["extract_transforms"] = False
    return {**document, "source": {**source, "config": config}}


def missing(result: Mapping[str, Any], tables: Sequence[str]) -> int:
    """How many of the tables a run did not come across, by what its source counted; 0 where that cannot be told."""
    try:
        counted: Any = result["source"]["report"]["aspects"]
        found = counted.get("dataset", {}).get("container", 0)  # each table and view has one, and nothing else does
        return max(0, len(tables) - int(found))
    except (KeyError, TypeError, ValueError, AttributeError):
        return 0  # another version's report


def _pattern(own: Any, names: Sequence[str]) -> text.Document:
    """Exactly these names, less those that the recipe's own pattern does not allow: deny wins over allow."""
    given: text.Document = cast("text.Document", own) if isinstance(own, dict) else {}
    ignore_case = given.get("ignoreCase", True) is not False
    allowed: list[str] = list(given.get("allow") or _EVERYTHING)
    exact = {name: f"^{re.escape(name)}$" for name in names}
    outside = [exact[name] for name in exact if not any(_matches(allowed, name, ignore_case))]
    return {"allow": list(exact.values()), "deny": [*(given.get("deny") or ()), *outside], "ignoreCase": ignore_case}


def _matches(patterns: Sequence[str], name: str, ignore_case: bool) -> Iterator[bool]:
    for pattern in patterns:
        try:
            yield re.match(pattern, name, re.IGNORECASE if ignore_case else 0) is not None
        except re.error as error:
            raise Invalid(f"the recipe's pattern {pattern!r} is no regular expression: {error}") from error
