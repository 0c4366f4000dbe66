"""This file is where a chain of runs is shown while it goes on: a live table on a terminal, else a line a change."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headgate.cli.chain import Tell
from headgate.cli.client import Doc
from headgate.cli.printing import COLOUR, cell, console, note, say, short
from headgate.cli.times import seconds, span

if TYPE_CHECKING:
    from rich.table import Table

_SAID = ("rows", "rejects", "refused", "views", "files", "bytes", "records", "missing", "warnings")


@contextmanager
def telling(*, beside: bool) -> Generator[Tell]:
    """Somebody to tell of a chain. `beside`: standard output is for something else, so progress goes to stderr."""
    stream = sys.stderr if beside else sys.stdout
    if not stream.isatty():
        yield lines(beside=beside)
        return
    from rich.live import Live  # noqa: PLC0415 - only a terminal needs it

    with Live(console=console(stderr=beside), refresh_per_second=8, auto_refresh=True) as live:
        yield lambda chain: live.update(_table(chain))


def lines(*, beside: bool) -> Tell:
    """A line for each change of a run's state."""
    seen: dict[str, tuple[str, int]] = {}

    def tell(chain: Sequence[Doc]) -> None:
        for run in chain:
            state = (run["state"], run["attempt"])
            if seen.get(run["id"]) != state:
                seen[run["id"]] = state
                (note if beside else say)(_line(run))

    return tell


def outcome(run: Doc) -> str:
    """What a run says of itself: its error, or the numbers of its result, or how far it is."""
    if run.get("error"):
        return cell(run["error"])
    result = run.get("result") or run.get("progress") or {}
    said = [f"{name} {cell(_number(result[name]))}" for name in _SAID if name in result]
    return ", ".join(said) or str(run.get("detail") or "")


def length(run: Doc) -> str:
    """How long it has run, or ran."""
    if not run.get("started_at"):
        return ""
    return span(seconds(run["started_at"], run.get("ended_at") or datetime.now(UTC).isoformat()))


def _number(value: object) -> object:
    if isinstance(value, list):
        return len(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value


def _line(run: Doc) -> str:
    at = datetime.now(UTC).strftime("%H:%M:%SZ")
    attempt = f" (attempt {run['attempt']})" if run["attempt"] else ""
    words = [at, run["job"], short(run["id"]), f"{run['state']}{attempt}", length(run) if run.get("ended_at") else ""]
    return "  ".join(one for one in [*words, outcome(run)] if one)


def _table(chain: Sequence[Doc]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - see `telling`
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "run", "state", "time", ""):
        table.add_column(name, overflow="fold")
    for run in chain:
        state = Text(run["state"], style=COLOUR.get(run["state"], ""))
        table.add_row(Text(run["job"]), run["id"][:15], state, length(run), Text(outcome(run)))
    return table
