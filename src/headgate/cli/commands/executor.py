"""This file is where DataHub's execution requests are carried out from the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from headgate.cli import logs, session
from headgate.cli.printing import note
from headgate.errors import InUse


def executor(
    file: Annotated[
        Path,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="A pipeline file of DataHub Actions whose action is `executor`, as it is.",
        ),
    ],
    project: Annotated[
        Path | None,
        typer.Option("--project", metavar="FILE", help="headgate.yaml, or its folder. Default: as everywhere."),
    ] = None,
) -> None:
    """Carry out DataHub's execution requests: what its UI and its schedules ask to be ingested.

    Runs until SIGTERM or Ctrl-C; ingestions go on, and are taken up again at the next start. Takes the place of
    `datahub actions -c FILE` with the stock executor.
    """
    from headgate.executor.pipeline_file import read_pipeline_file  # noqa: PLC0415 - `--help` needs none
    from headgate.executor.sources import with_datahub  # noqa: PLC0415 - httpx

    pipeline = read_pipeline_file(file, os.environ)
    settings = with_datahub(session.settings(project or pipeline.project), pipeline)
    logs.of_server(settings)
    from headgate.app import work  # noqa: PLC0415 - the ledger is half a second of imports

    where = urlsplit(settings.datahub.gms_url or settings.datahub.frontend_url)
    whose = (
        f"DataHub at {where.netloc.rpartition('@')[2]}"
        if where.netloc
        else "the embedded catalog (no DataHub is named)"
    )
    name = pipeline.options.executor_id
    said = f"executor {name!r} carries out the requests of {whose}; Ctrl-C stops it, not its runs"
    try:
        code = work(settings, on_ready=lambda _: note(said), requests=pipeline)
    except InUse as error:
        raise InUse(
            f"{settings.home} is held by a Headgate that runs jobs itself. Set `datahub.executor: {file}` in its"
            " headgate.yaml and it carries the requests out, too; or give this executor a project of its own"
            " (HEADGATE_HOME)"
        ) from error
    raise typer.Exit(code)
