"""This file is where it is decided whether a recipe calls AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.recipes import text

_SOURCES: Final = frozenset({"glue", "headgate-glue", "s3", "athena", "dynamodb", "sagemaker", "redshift", "kinesis"})


def uses_aws(document: Mapping[str, Any]) -> bool:
    """By its source, or by a key of its settings."""
    if any(name in _SOURCES for names in text.part_types(document).values() for name in names):
        return True
    return any(key.startswith("aws_") for path, _ in text.texts(document) for key in path)
