"""This file is where AWS is asked whether what a job would start is there. Nothing is started.

It takes `lambda:GetFunction`, `states:DescribeStateMachine` (of an alias `states:DescribeStateMachineAlias`) and
`glue:GetJob`, which the engines themselves do without: that these are denied says nothing about a start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from headgate.aws.clients import Clients, place_of
from headgate.aws.faults import Fault, FaultKind
from headgate.model import Json

ENGINES: Final = ("step_functions", "lambda", "glue")  #: whose targets are on AWS


class Presence(StrEnum):
    """What came of asking."""

    THERE = "there"
    MISSING = "missing"
    UNUSABLE = "unusable"  #: it is there, and AWS says that it cannot be started
    DENIED = "denied"  #: we may not ask, so nobody knows
    UNKNOWN = "unknown"  #: there was no answer


@dataclass(frozen=True, slots=True)
class Found:
    """`said` tells a person why, where it is not simply there."""

    presence: Presence
    said: str = ""
    retries: int = 0  #: how often AWS itself starts again what failed: a Glue job's `MaxRetries`


def look(clients: Clients, engine: str, target: Mapping[str, Json], *, region: str = "") -> Found:
    """Ask about the target of a job of one of ENGINES; `region` is that of functions which say none themselves."""
    service, operation, asked, name = _question(engine, target)
    parts = name.split(":")
    otherwise = region if engine == "lambda" else ""  # as the engines have it
    where = parts[3] if name.startswith("arn:") and len(parts) > 4 else str(target.get("region") or otherwise)
    doing = f"looking for {name}"
    answer = clients.call(place_of(target, region=where), service, operation, asked, doing=doing, attempts=2)
    if isinstance(answer, Fault):
        return _not_there(answer)
    state = _broken(answer)
    if state:
        return Found(Presence.UNUSABLE, f"AWS says that it is {state}")
    return Found(Presence.THERE, retries=int((answer.get("Job") or {}).get("MaxRetries") or 0))


def _question(engine: str, target: Mapping[str, Json]) -> tuple[str, str, dict[str, Any], str]:
    """Service, operation, arguments; and what is asked about."""
    if engine == "step_functions":
        arn = str(target.get("state_machine_arn") or "")
        qualifier = arn.split(":")[7:8]
        if qualifier and not qualifier[0].isdecimal():
            return "stepfunctions", "describe_state_machine_alias", {"stateMachineAliasArn": arn}, arn
        return "stepfunctions", "describe_state_machine", {"stateMachineArn": arn}, arn
    if engine == "lambda":
        function = str(target.get("function") or target.get("function_name") or "")
        qualified = {"Qualifier": str(target["qualifier"])} if target.get("qualifier") else {}
        return "lambda", "get_function", {"FunctionName": function, **qualified}, function
    job = str(target.get("job_name") or "")
    return "glue", "get_job", {"JobName": job}, job


def _not_there(fault: Fault) -> Found:
    match fault.kind:
        case FaultKind.MISSING:
            return Found(Presence.MISSING, fault.message)
        case FaultKind.DENIED:
            return Found(Presence.DENIED, str(fault))
        case _:
            return Found(Presence.UNKNOWN, str(fault))


def _broken(answer: Mapping[str, Any]) -> str:
    """The state that keeps it from being started; "" where there is none."""
    if answer.get("status") == "DELETING":
        return "DELETING"
    function: Mapping[str, Any] = answer.get("Configuration") or {}
    if function.get("State") != "Failed":
        return ""
    return ": ".join(one for one in ("Failed", str(function.get("StateReason") or "")) if one)
