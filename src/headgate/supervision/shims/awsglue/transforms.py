"""This file is where `awsglue.transforms` is, which most scripts begin with: none of its transforms is here."""

from __future__ import annotations

__all__: tuple[str, ...] = ()


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"the transform {name} needs AWS Glue; here a script has Spark's own DataFrames")
