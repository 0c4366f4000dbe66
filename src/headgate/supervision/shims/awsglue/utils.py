"""This file is where a script's own arguments are read, as `awsglue.utils` does it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

# what Glue itself puts into argv; given back when it is there, never asked for
_RESERVED = (
    *("job-bookmark-option", "job-bookmark-from", "job-bookmark-to", "JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION"),
    *("encryption-type", "enable-data-lineage", "RedshiftTempDir", "TempDir", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"),
)


class GlueArgumentError(Exception):
    """An option the script needs is missing from its arguments."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, str]:  # noqa: N802 -- Glue's name
    """Return the values of `options` (without dashes) in `args` (usually sys.argv), unknown arguments being ignored.

    An option may be written with `-` in argv; its key in the result has `_`. Options Glue adds by itself are in the
    result when they are in `args`.

    Raises:
        GlueArgumentError: an option has no value in `args`.
    """
    parser = _Parser(allow_abbrev=False, add_help=False)
    wanted = dict.fromkeys(option.replace("-", "_") for option in options)
    for name in wanted:
        parser.add_argument(*_spellings(name), dest=name, required=True)
    for name in _RESERVED:
        if (key := name.replace("-", "_")) not in wanted:
            parser.add_argument(*_spellings(name), dest=key, required=False)
    known, _ = parser.parse_known_args(_joined(args[1:]))
    return {key: value for key, value in vars(known).items() if value is not None}


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}", f"--{name.replace('-', '_')}")))


def _joined(args: Sequence[str]) -> list[str]:
    """Join `--key` and its value by `=`, so that a value that begins with a dash is still a value."""
    joined: list[str] = []
    rest = iter(args)
    for one in rest:
        if one.startswith("--") and "=" not in one:
            value = next(rest, None)
            joined.append(one if value is None else f"{one}={value}")
        else:
            joined.append(one)
    return joined
