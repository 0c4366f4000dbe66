"""This file is where AWS's services that are served here are listed, by what stands before the dot in X-Amz-Target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from headgate.gate import Gate
from headgate.http.aws_logs import LogsService
from headgate.http.aws_wire import Service
from headgate.http.glue import GlueService

#: One line for each service. They are made with the port, and load what is heavy with their first call.
SERVICES: Final[Mapping[str, Callable[[Gate], Service]]] = {
    "AWSGlue": GlueService,
    "Logs_20140328": LogsService,
}


def services(gate: Gate) -> dict[str, Service]:
    return {prefix: make(gate) for prefix, make in SERVICES.items()}
