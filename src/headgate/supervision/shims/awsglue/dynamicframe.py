"""This file is where `awsglue.dynamicframe` is: Spark's DataFrame by Glue's name, and no more than that."""

from __future__ import annotations

from typing import Any


class DynamicFrame:
    """What `fromDF` was given, and `toDF` gives back."""

    def __init__(self, frame: Any, glue_ctx: object = None, name: str = "") -> None:
        self._frame = frame
        self.glue_ctx = glue_ctx
        self.name = name

    @classmethod
    def fromDF(cls, dataframe: Any, glue_ctx: object, name: str) -> DynamicFrame:  # noqa: N802 -- Glue's name
        return cls(dataframe, glue_ctx, name)

    def toDF(self, *_options: object) -> Any:  # noqa: N802 -- Glue's name
        return self._frame

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"DynamicFrame.{name} needs AWS Glue; here it has toDF(), and that all of Spark's")
