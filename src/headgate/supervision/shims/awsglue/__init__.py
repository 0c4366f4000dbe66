"""This file is where Glue-style scripts find `awsglue` on a machine without Glue: options, a Job, a context.

And where one that needs Spark is told that there is none.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec


class _NoSpark(MetaPathFinder):
    """The last that is asked where a module is, so that pyspark is found by the others where it is installed."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != "pyspark":
            return None
        raise ModuleNotFoundError(
            "No module named 'pyspark': this is a Spark script, and Spark is not installed here; install it beside"
            " Headgate (pip install pyspark, and a Java), or make the job a pythonshell script",
            name=fullname,
        )


sys.meta_path.append(_NoSpark())
