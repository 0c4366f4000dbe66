"""This file is where the options that many commands share are, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headgate.cli import completion
from headgate.cli.printing import Output


def _inherit(context: typer.Context, value: Path | None) -> Path | None:
    """An option before the subcommand counts for it, too."""
    if value is not None or context.parent is None:
        return value
    given = context.find_root().params.get("config")
    return given if isinstance(given, Path) else None


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        callback=_inherit,
        help="The configuration file, or its folder. Default: HEADGATE_CONFIG, else headgate.yaml here.",
    ),
]
AsOutput = Annotated[Output, typer.Option("--output", "-o", help="A table for people, or one JSON document.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with it for ever.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it, and every run that follows from it, has ended.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many, the newest.")]

JobName = Annotated[str, typer.Argument(metavar="JOB", help="A job's name.", autocompletion=completion.jobs)]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id, the beginning of one, or the id its engine gave it.",
        autocompletion=completion.runs,
    ),
]
RunOrJob = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id, the beginning of one, or the id its engine gave it; of a job's name its newest run.",
        autocompletion=completion.runs,
    ),
]
TriggerName = Annotated[
    str, typer.Argument(metavar="TRIGGER", help="A trigger's name.", autocompletion=completion.triggers)
]

Prefix = Annotated[
    str | None,
    typer.Option("--prefix", metavar="PREFIX", help="Only of objects under it: s3://bucket/key, bucket/key, or key."),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Only what arrived since: 2026-01-31T08:00:00Z, or how long ago: 2h."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only what arrived until then.")]
OnlyFailed = Annotated[
    bool, typer.Option("--failed", help="Only events of which a run ended FAILED, TIMEOUT or ERROR.")
]
