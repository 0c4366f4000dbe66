"""This file is where executions get their names, and ARNs are taken apart and put together."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from headgate.aws.console import console_of
from headgate.errors import EngineRefused

_LONGEST: Final = 80
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_-]")
_MACHINE: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):states:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):stateMachine:(?P<name>[^:\s]+)"
    r"(?::(?P<version>[^:\s]+))?"
)


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine's ARN, taken apart."""

    partition: str
    region: str
    account: str
    name: str
    version: str  #: or an alias; "" for neither


def read_machine(arn: str) -> Machine:
    """Raises EngineRefused: it is no state machine's ARN."""
    found = _MACHINE.fullmatch(arn)
    if found is None:
        raise EngineRefused(
            f"{arn!r} is no state machine's ARN; expected arn:aws:states:REGION:ACCOUNT:stateMachine:NAME"
        )
    return Machine(**{**found.groupdict(), "version": found["version"] or ""})


def execution_name(attempt_id: str) -> str:
    """Return a name Step Functions takes (80 characters of A-Z, a-z, 0-9, - and _), a different one for every id."""
    if len(attempt_id) <= _LONGEST and not _ILLEGAL.search(attempt_id):
        return attempt_id
    digest = hashlib.sha256(attempt_id.encode()).hexdigest()[:24]
    return f"{_ILLEGAL.sub('_', attempt_id)[: _LONGEST - 25]}-{digest}"


def execution_arn(machine_arn: str, attempt_id: str) -> str:
    """Return the ARN of a STANDARD execution, which follows from its name. A version or an alias is no part of it."""
    machine = read_machine(machine_arn)
    return (
        f"arn:{machine.partition}:states:{machine.region}:{machine.account}:execution:{machine.name}:"
        f"{execution_name(attempt_id)}"
    )


def console_link(execution: str) -> str:
    """Return the page of an execution in the AWS console; "" for what is no execution's ARN."""
    parts = execution.split(":")
    if len(parts) < 8 or parts[2] != "states":
        return ""
    region = parts[3]
    page = "express-executions" if parts[5] == "express" else "v2/executions"
    host = console_of(region)
    return f"{host}/states/home?region={region}#/{page}/details/{quote(execution, safe=':')}" if host else ""
