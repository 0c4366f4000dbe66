"""This file is where `arguments:` of a job or of a trigger's action is read."""

from __future__ import annotations

from typing import Final

from headgate.settings.kinds import ANY_TEXT, Kind
from headgate.settings.reading import Part, Section, shown_as, source

ARGUMENTS: Final = Part(
    name="arguments",
    expected="a mapping of --names to texts",
    description="Arguments by their `--` name. Numbers and booleans are handed over as they are written. A job's are"
    " its defaults; a trigger's action and a call override them key by key.",
)


def read_arguments(owner: Section) -> dict[str, str]:
    return read_named(owner, ARGUMENTS, ANY_TEXT)


def read_named(owner: Section, part: Part, kind: Kind[str]) -> dict[str, str]:
    """A mapping whose keys are names of arguments."""
    section = owner.section(part)
    arguments: dict[str, str] = {}
    for name, node in section.node.entries.items() if section else ():
        if not name.startswith("--") or len(name) == 2:
            place = section.node.keys[name] if section else node.place
            owner.report.problem(
                place, f"{owner.path(part.name)}: a name begins with two dashes; did you mean '--{name.lstrip('-')}'?"
            )
            continue
        value = owner.value(node, kind, owner.path(f"{part.name}.{name}"))
        if value is not None:
            arguments[name] = value[0]
            owner.report.note(owner.path(f"{part.name}.{name}"), shown_as(name, value[0]), source(node))
    return arguments
