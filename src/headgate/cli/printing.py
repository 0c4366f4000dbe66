"""This file is where results are written: one JSON document, or a table for people.

On a terminal tables are Rich's; elsewhere they are plain aligned text without colour. What other people chose (keys of
objects, reasons) is shown with its control characters made visible, so that no file name can steer a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

COLOUR = {
    "WAITING": "yellow",
    "STARTING": "cyan",
    "RUNNING": "cyan",
    "STOPPING": "magenta",
    "STOPPED": "magenta",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "TIMEOUT": "red",
    "ERROR": "red",
    "EXPIRED": "red",
    "fired": "green",
    "joined": "cyan",
    "skipped": "yellow",
}


class Output(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"


def say(text: str = "") -> None:
    """One line of the answer itself."""
    sys.stdout.write(visible(text) + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """One line beside the answer: progress, advice."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def print_json(value: object) -> None:
    """The one JSON document of a command."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8, indent=2 if sys.stdout.isatty() else None)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a file name that is no text: only escapes can hold it
        text = json.dumps(value)
    sys.stdout.write(text + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = "") -> None:
    """A table of texts; `empty` is said in its place when there is no row."""
    cells = [[cell(value) for value in row] for row in rows]
    if not cells and empty:
        say(empty)
    elif sys.stdout.isatty():
        _rich_table(columns, cells)
    else:
        _plain_table(columns, cells)


def print_fields(fields: Mapping[str, object]) -> None:
    """One thing: a name and a value a line; what is empty is left out."""
    kept = {name: cell(value) for name, value in fields.items() if value not in (None, "", [], {})}
    width = max((len(name) for name in kept), default=0)
    for name, value in kept.items():
        first, *more = value.split("\n")
        say(f"{name.ljust(width)}  {first}")
        for line in more:
            say(f"{' ' * width}  {line}")


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple):
        return visible(json.dumps(value, ensure_ascii=False))
    return visible(str(value))


def visible(text: str) -> str:
    r"""The text with control characters, line ends aside, as `\x1b`."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def short(name: str | None) -> str:
    """A run's id as a table on a terminal shows it: its beginning, which every command takes for the whole."""
    if not name:
        return ""
    return name[:15] if sys.stdout.isatty() and name.startswith("jr_") else name


def console(*, stderr: bool = False) -> Console:
    """Rich's console on our output. NO_COLOR and a terminal that cannot are honoured by Rich."""
    from rich.console import Console  # noqa: PLC0415 - 80 ms that only a terminal needs

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False)


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table  # noqa: PLC0415 - see `console`
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one, style=COLOUR.get(one, "")) for one in row))
    console().print(table)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [list(columns), *([one.replace("\n", "\\n").replace("\t", "\\t") for one in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        say("  ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)).rstrip())


def interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def confirm(question: str) -> bool:
    """Ask on stderr; anything but y or yes is no."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def picked(items: Sequence[Mapping[str, Any]], *names: str) -> list[list[object]]:
    """The values of these names, a row an item."""
    return [[item.get(name) for name in names] for item in items]
