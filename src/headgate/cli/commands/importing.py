"""This file is where what exists on AWS Glue is written down as a headgate.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.printing import note, say
from headgate.errors import Conflict


def glue(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Jobs and triggers; all there are without a name.")
    ] = None,
    region: Annotated[
        str, typer.Option("--region", metavar="REGION", help="By default the one that AWS's own settings name.")
    ] = "",
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Into a file that is not there yet.")
    ] = None,
) -> None:
    """Write jobs and triggers of AWS Glue down as they are, for headgate.yaml; the plan of that is empty.

    It reads (glue:GetJobs, glue:GetTriggers) and changes nothing. What cannot be expressed is said in comments, and
    stays on Glue as it is.
    """
    from headgate.adopt.writing import written  # noqa: PLC0415 - `--help` needs none
    from headgate.aws import Clients  # noqa: PLC0415 - as above

    if write is not None and write.exists():
        raise Conflict(f"{write} is there already; name another file, or leave --write out and put it together by hand")
    text = written(Clients(environ=os.environ), name or [], region=region)
    if write is None:
        say(text.rstrip("\n"))
        return
    write.write_text(text, "utf-8")
    note(f"{write} is written; `headgate validate` checks it, `headgate plan` compares it with Glue")
