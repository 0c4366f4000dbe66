"""The ingestion as a Glue-style script; this file is where Glue's job arguments become those of `csv_to_iceberg`.

    --JOB_NAME csv-to-iceberg-ingestion --raw_data_bucket raw-data --raw_data_prefix collections-data/
    --database_name collections --table_name collections_data_staging [--max_rejects 1000]

It runs in a process that Headgate's local engine started: what to ingest (the manifest) and where the lake is come
from there. On Glue itself it does not run yet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from awsglue.utils import getResolvedOptions

from headgate.job import Context
from headgate.lake import csv_to_iceberg

DEFAULTS = {
    "raw_data_bucket": "raw-data",
    "raw_data_prefix": "collections-data/",
    "database_name": "collections",
    "table_name": "collections_data_staging",
    "max_rejects": "1000",
}


def main(argv: Sequence[str]) -> None:
    given = [name for name in DEFAULTS if any(one.split("=")[0] == f"--{name}" for one in argv)]
    options = {**DEFAULTS, **getResolvedOptions(list(argv), ["JOB_NAME", *given])}
    context = Context.from_environment()
    arguments = {
        **context.arguments,
        "--source": f"s3://{options['raw_data_bucket']}/{options['raw_data_prefix']}",
        "--table": f"{options['database_name']}.{options['table_name']}",
        "--max_rejects": options["max_rejects"],
    }
    csv_to_iceberg(replace(context, arguments=arguments))


if __name__ == "__main__":
    main(sys.argv)
