"""This file is where AWS's own description of a service is read, as data, from the files that botocore brings along.

botocore itself is not loaded: what is wanted are names, types, lengths and patterns.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from headgate.errors import MissingExtra

Shape = Mapping[str, Any]

_SURROGATES: Final = re.compile(r"\\uD800\\uDC00-\\uDBFF\\uDFFF")


@lru_cache(maxsize=1)
def shapes(service: str) -> Mapping[str, Shape]:
    """The service's shapes by name, as in its newest model.

    Raises:
        MissingExtra: botocore is not installed.
    """
    found: Mapping[str, Shape] = description(service)["shapes"]
    return found


def description(service: str) -> Mapping[str, Any]:
    """The newest model of a service, without its prose, which is two thirds of it. It is read anew at every call.

    Raises:
        MissingExtra: botocore is not installed.
    """
    import msgspec  # noqa: PLC0415 -- a recipe with a DataHub of its own loads this package, and has no msgspec there

    found = find_spec("botocore")
    origin = found.origin if found is not None else None
    files = sorted(Path(origin).parent.joinpath("data", service).glob("*/service-2.json*")) if origin else []
    if not files:
        raise MissingExtra(f"AWS's description of {service}", "aws")
    text = files[-1].read_bytes()
    model: dict[str, Any] = msgspec.json.decode(gzip.decompress(text) if files[-1].suffix == ".gz" else text)
    for shape in model["shapes"].values():
        shape.pop("documentation", None)
        for member in shape.get("members", {}).values() if shape["type"] == "structure" else ():
            member.pop("documentation", None)
    return model


def translated(pattern: str) -> re.Pattern[str] | None:
    r"""A pattern of the model as Python's; None for none, and for one that Python has no words for (`\p{L}`).

    Java writes characters beyond the 16-bit range as two halves, and its \w, \s and \d are ASCII.
    """
    if not pattern or r"\p{" in pattern:
        return None
    return re.compile(_SURROGATES.sub(r"\\U00010000-\\U0010FFFF", pattern), re.ASCII)
