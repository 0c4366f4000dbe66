"""This package is where what all of AWS's services have in common is: clients, faults, budgets, following from afar.

Nothing here imports boto3 before the first call is made: a server without AWS jobs never loads it.
"""

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
