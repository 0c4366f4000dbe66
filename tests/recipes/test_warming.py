"""This file is where it is tested what the process that recipes are forked from leaves for all of its runs."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, os, sys, threading
from headgate.recipes import warming

for wanted in warming.wanted({"source": ["headgate-glue"], "sink": ["file"]}):
    module, _, name = wanted.partition(":")
    assert getattr(importlib.import_module(module), name), wanted
import boto3
from datahub.telemetry import telemetry
print(boto3.DEFAULT_SESSION, telemetry.ENV_ENABLED, threading.active_count(), len(os.listdir("/proc/self/task")))
reads = []
import botocore.loaders
plain = open
import builtins
builtins.open = lambda file, *more, **named: (reads.append(str(file)), plain(file, *more, **named))[1]
boto3.Session().client("glue", region_name="us-east-1")
print([read for read in reads if "service-2" in read])


def parsing():
    return {name for name in sys.modules if name.startswith(("sqlglot.", "datahub.sql_parsing."))}

before = parsing()
from headgate.glue_source import views
from headgate.glue_source.options import GlueOptions
found = views.Views(GlueOptions(), None)
urn = "urn:li:dataset:(urn:li:dataPlatform:glue,db.{},PROD)".format
found.table(urn("t"), "t", [{"fieldPath": "id", "nativeDataType": "bigint"}])
for dialect in ("trino", "spark"):
    found.view(urn(dialect), "db", views.Definition("SELECT id FROM db.t", dialect))
found.start()
assert sum(one.aspectName == "upstreamLineage" for one in found.lineage()) == 2
found.close()
print(sorted(parsing() - before))
"""


def test_what_is_loaded_ahead_is_whole_and_nobodys_in_particular() -> None:
    """No session of AWS's for runs to share, no telemetry, no thread; no model and no SQL dialect is left to load."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, timeout=100, check=False
    )

    assert (done.returncode, done.stdout) == (0, "None False 1 1\n[]\n[]\n"), done.stderr
