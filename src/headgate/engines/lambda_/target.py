"""This file is where the target of a Lambda job is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headgate.errors import EngineRefused
from headgate.model import Job


class Invocation(StrEnum):
    """AWS's words for it."""

    EVENT = "Event"  #: Lambda takes it and answers at once; its end is not known
    REQUEST_RESPONSE = "RequestResponse"  #: the answer is the function's


#: Bytes of a payload. AWS takes 1 MB of an event since late 2025 and took 256 KB before: what always worked, holds.
LARGEST: Final = {Invocation.EVENT: 262_144, Invocation.REQUEST_RESPONSE: 6_291_456}

#: A name, `account:function:name`, or an ARN, each perhaps with a version or an alias.
_FUNCTION: Final = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):\d{12}:function:|\d{12}:function:|function:)?"
    r"[A-Za-z0-9_-]{1,140}(?::(?:\$LATEST|[A-Za-z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which function, where, and how it is invoked."""

    function: str
    qualifier: str
    region: str  #: "" where neither job nor ARN says one
    invocation: Invocation
    callback: bool  #: the function says how it ended, by the token in its payload


def read_target(job: Job) -> Target:
    """Raises EngineRefused: the job names no function, or none that can be."""
    target = job.target
    function = target.get("function") or target.get("function_name")
    if not isinstance(function, str):
        raise EngineRefused(f"job {job.name!r} cannot start: it names no function")
    found = _FUNCTION.fullmatch(function)
    if found is None:
        raise EngineRefused(f"job {job.name!r} cannot start: {function!r} is neither a function's name nor its ARN")
    invocation = Invocation(str(target.get("invocation_type") or Invocation.EVENT))
    callback = bool(target.get("callback"))
    if callback and invocation is not Invocation.EVENT:
        raise EngineRefused(
            f"job {job.name!r} cannot start: its answer is waited for, so there is nothing to call back"
        )
    return Target(
        function=function,
        qualifier=str(target.get("qualifier") or ""),
        region=found["region"] or str(target.get("region") or ""),
        invocation=invocation,
        callback=callback,
    )
