"""The views as a Glue-style script; this file is where Glue's job arguments become those of `dual_engine_views`.

    --JOB_NAME create-views-dual-engine --database_name collections --table_name collections_data_staging
    [--series FRY9C,FRY15]

It runs in a process that Headgate's local engine started, which says where the lake is. On Glue itself it does not
run yet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from awsglue.utils import getResolvedOptions

from headgate.job import Context
from headgate.lake import dual_engine_views

DEFAULTS = {"database_name": "collections", "table_name": "collections_data_staging", "series": ""}


def main(argv: Sequence[str]) -> None:
    given = [name for name in DEFAULTS if any(one.split("=")[0] == f"--{name}" for one in argv)]
    options = {**DEFAULTS, **getResolvedOptions(list(argv), ["JOB_NAME", *given])}
    context = Context.from_environment()
    arguments = {
        **context.arguments,
        "--table": f"{options['database_name']}.{options['table_name']}",
        "--series": options["series"],
    }
    dual_engine_views(replace(context, arguments=arguments))


if __name__ == "__main__":
    main(sys.argv)
