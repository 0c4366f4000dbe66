"""This file is where a script's own arguments are read, as `awsglue.utils` does it."""

from __future__ import annotations

from collections.abc import Sequence

# what Glue itself puts into argv; given back when it is there, never asked for
_RESERVED = (
    *("job-bookmark-option", "job-bookmark-from", "job-bookmark-to", "JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION"),
    *("encryption-type", "enable-data-lineage", "RedshiftTempDir", "TempDir", "WORKFLOW_NAME", "WORKFLOW_RUN_ID"),
)


class GlueArgumentError(Exception):
    """An option the script needs is missing from its arguments."""


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, str]:  # noqa: N802 -- Glue's name
    """Return the values of `options` (without dashes) in `args` (usually sys.argv), unknown arguments being ignored.

    An option may be written with `-` in argv; its key in the result has `_`. Options Glue adds by itself are in the
    result when they are in `args`.

    Raises:
        GlueArgumentError: an option has no value in `args`.
    """
    # not argparse, which Glue uses: it takes a value such as `--` or `-1` for an option
    given = _pairs(args[1:])
    wanted = [option.replace("-", "_") for option in options]
    if missing := [name for name in wanted if name not in given]:
        raise GlueArgumentError("the following arguments are required: " + ", ".join(f"--{name}" for name in missing))
    known = {*wanted, *(name.replace("-", "_") for name in _RESERVED)}
    return {name: value for name, value in given.items() if name in known}


def _pairs(args: Sequence[str]) -> dict[str, str]:
    """Return what `--key value` and `--key=value` say, keys with `_`; the last of several counts."""
    pairs: dict[str, str] = {}
    rest = iter(args)
    for one in rest:
        if one.startswith("--"):
            key, equals, value = one[2:].partition("=")
            found = value if equals else next(rest, None)
            if found is not None:
                pairs[key.replace("-", "_")] = found
    return pairs
