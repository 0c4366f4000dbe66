"""This file is where what exists on AWS Glue is written down as a headgate.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.printing import note, say
from headgate.errors import Conflict, Unavailable


def glue(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Jobs and triggers; all there are without a name.")
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
    from headgate.adopt.writing import DOUBTFUL, written  # noqa: PLC0415 - `--help` needs none
    from headgate.aws import Clients  # noqa: PLC0415 - as above

    if write is not None and write.exists():
        raise Conflict(f"{write} is there already; name another file, or leave --write out and put it together by hand")
    text = written(Clients(environ=os.environ), name or [], region=region)
    secrets = text.count(DOUBTFUL)
    if write is None:
        say(text.rstrip("\n"))
    else:
        try:  # made for its owner alone: who may read Glue's definitions is AWS's affair until somebody shares the file
            with open(write, "x", opener=lambda path, flags: os.open(path, flags, 0o600), encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise Unavailable(f"{write} cannot be written: {error.strerror}; name another file") from error
        note(f"{write} is written; `headgate validate` checks it, `headgate plan` compares it with Glue")
    if secrets:
        values = "a value that may be a secret is" if secrets == 1 else f"{secrets} values that may be secrets are"
        note(f"{values} in it in plain text (search it for `{DOUBTFUL}`); take that out before you share or commit it")
