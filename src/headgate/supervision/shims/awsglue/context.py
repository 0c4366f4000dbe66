"""This file is where `awsglue.context.GlueContext` is: a wrapper of the Spark session, if the script has one."""

from __future__ import annotations

import logging
from typing import Any


class GlueContext:
    """Glue's context without Glue: hands on to the Spark context it was given, and logs to the run's log.

    What needs Glue itself (dynamic frames, its catalog) is not here; asking for it says so.
    """

    def __init__(self, spark_context: Any = None, **_options: object) -> None:
        self._spark_context = spark_context

    @property
    def spark_session(self) -> Any:
        """The Spark session of the context; a script without Spark has none.

        Raises:
            RuntimeError: GlueContext was made without a Spark context.
        """
        if self._spark_context is None:
            raise RuntimeError("this GlueContext has no Spark: it was made without a SparkContext")
        from pyspark.sql import SparkSession  # type: ignore[import-not-found] # noqa: PLC0415 -- only scripts with Spark

        return SparkSession(self._spark_context)

    def get_logger(self) -> logging.Logger:
        logging.basicConfig(level=logging.INFO)
        return logging.getLogger("glue")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"GlueContext.{name} needs AWS Glue; run by the local engine a script has only Spark and boto3"
        )
