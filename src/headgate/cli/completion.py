"""This file is where a shell is told which names could be meant.

Best effort: what cannot be known completes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import typer

from headgate.cli import session
from headgate.cli.client import RunsWanted
from headgate.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.settings import Settings

_MOST = 50


def jobs(context: typer.Context, incomplete: str) -> list[str]:
    settings = _settings(context)
    return _beginning(incomplete, settings.jobs if settings else ())


def triggers(context: typer.Context, incomplete: str) -> list[str]:
    settings = _settings(context)
    return _beginning(incomplete, settings.triggers if settings else ())


def runs(context: typer.Context, incomplete: str) -> list[str]:
    settings = _settings(context)
    if settings is None:
        return []
    try:
        with session.reading(settings) as client:
            return _beginning(incomplete, [run["id"] for run in islice(client.runs(RunsWanted()), _MOST)])
    except (HeadgateError, OSError):
        return []


def _settings(context: typer.Context) -> Settings | None:
    try:
        return session.settings(context.find_root().params.get("config") or context.params.get("config"))
    except (HeadgateError, OSError):
        return None


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
