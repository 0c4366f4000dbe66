"""Names for what pyarrow leaves untyped; this file is where its dynamic parts are called."""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow.compute as pc

Array: TypeAlias = Any  #: pyarrow.Array
Batch: TypeAlias = Any  #: pyarrow.RecordBatch
ArrowSchema: TypeAlias = Any  #: pyarrow.Schema


def call(function: str, *arguments: Array, options: Any = None) -> Array:
    """One of Arrow's compute functions; they exist at run time only."""
    return pc.call_function(function, list(arguments), options)
