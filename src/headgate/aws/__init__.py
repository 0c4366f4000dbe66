"""This package is where what all of AWS's services have in common is: clients, faults, budgets, following from afar.

Nothing here imports boto3 before the first call is made: a server without AWS jobs never loads it. Its parts are loaded
when they are asked for: the processes that run recipes want to know faults, and have none of our libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from headgate.aws.clients import Clients, Place
    from headgate.aws.faults import Fault, FaultKind, refuse
    from headgate.aws.files import RunFiles
    from headgate.aws.following import Begun, Follower, Looked
    from headgate.aws.payload import payload_of, payload_text

__all__ = [
    "Begun",
    "Clients",
    "Fault",
    "FaultKind",
    "Follower",
    "Looked",
    "Place",
    "RunFiles",
    "payload_of",
    "payload_text",
    "refuse",
]

_PLACES: Final = {
    "Begun": "following",
    "Clients": "clients",
    "Fault": "faults",
    "FaultKind": "faults",
    "Follower": "following",
    "Looked": "following",
    "Place": "clients",
    "RunFiles": "files",
    "payload_of": "payload",
    "payload_text": "payload",
    "refuse": "faults",
}


def __getattr__(name: str) -> object:
    """Load the part that has this name."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
