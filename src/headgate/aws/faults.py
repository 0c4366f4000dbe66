"""This file is where what AWS answers instead of an answer is sorted: who is at fault, and does trying again help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, cast

from headgate.errors import EngineRefused, EngineUnavailable


class FaultKind(StrEnum):
    THROTTLED = "throttled"  #: too many calls; nothing was done
    FULL = "full"  #: a limit on what runs at a time; nothing was done
    AWAY = "away"  #: no answer, or a 5xx: it may have been done all the same
    EXPIRED = "expired"  #: the credentials ran out; nothing was done
    CLOCK = "clock"  #: this machine's clock is not AWS's; nothing was done
    NO_CREDENTIALS = "no credentials"
    DENIED = "denied"
    MISSING = "missing"  #: there is no such thing
    EXISTS = "exists"  #: there is one of that name
    REFUSED = "refused"  #: anything else that will be said again


#: What is worth another try, later.
LATER: Final = frozenset({FaultKind.THROTTLED, FaultKind.FULL, FaultKind.AWAY, FaultKind.EXPIRED, FaultKind.CLOCK})

#: AWS's code -> what it means for us. What is not here goes by its HTTP status: 429, 5xx, the rest.
CODES: Final[Mapping[str, FaultKind]] = {
    **dict.fromkeys(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "BandwidthLimitExceeded",
            "SlowDown",
            "PriorRequestNotComplete",
            "KMSThrottlingException",
            "KmsThrottlingException",
            "EC2ThrottledException",
        ),
        FaultKind.THROTTLED,
    ),
    **dict.fromkeys(
        (
            "ExecutionLimitExceeded",
            "ConcurrentRunsExceededException",
            "ResourceNumberLimitExceededException",
            "LimitExceededException",
            "ENILimitReachedException",
            "SubnetIPAddressLimitReachedException",
        ),
        FaultKind.FULL,
    ),
    **dict.fromkeys(
        (
            "InternalServiceException",
            "InternalFailure",
            "InternalError",
            "ServiceException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "OperationTimeoutException",
            "ConcurrentModificationException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ResourceConflictException",  # a function being updated
            "ResourceNotReadyException",
            "EFSMountTimeoutException",
            "EFSMountConnectivityException",
            "EC2UnexpectedException",
            "SnapStartNotReadyException",
            "SnapStartTimeoutException",
        ),
        FaultKind.AWAY,
    ),
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"), FaultKind.EXPIRED
    ),
    **dict.fromkeys(
        (
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "MissingAuthenticationTokenException",
            "IncompleteSignatureException",
            "NotAuthorized",
        ),
        FaultKind.DENIED,
    ),
    **dict.fromkeys(
        (
            "ResourceNotFoundException",
            "ExecutionDoesNotExist",
            "StateMachineDoesNotExist",
            "EntityNotFoundException",
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        FaultKind.MISSING,
    ),
    "ExecutionAlreadyExists": FaultKind.EXISTS,
    "RequestTimeTooSkewed": FaultKind.CLOCK,
}

#: How AWS begins to say that a signature's time is not its own; the code is that of any bad signature.
_SKEWED: Final = ("Signature expired", "Signature not yet current")

_NO_ANSWER: Final = "what came is no answer of AWS's"
_HINTS: Final[Mapping[FaultKind, str]] = {
    FaultKind.DENIED: "give the credentials in use the permission, or name a role_arn that has it",
    FaultKind.NO_CREDENTIALS: "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run where there is a role",
    FaultKind.EXPIRED: "the credentials ran out; renew them where they come from",
    FaultKind.CLOCK: "the clock of this machine is wrong: compare `date -u`, and have it set by NTP",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A call to AWS that gave no answer. `doing` says in words what was tried, and with which thing."""

    kind: FaultKind
    code: str  #: AWS's word, or the name of what went wrong on the way
    message: str
    doing: str
    wait: float = 0.0  #: seconds AWS asked us to wait
    answered: bool = True  #: AWS said so itself; else nobody heard an answer of it

    @property
    def later(self) -> bool:
        """Whether the same call may work later."""
        return self.kind in LATER

    @property
    def maybe_done(self) -> bool:
        """Whether AWS may have done it all the same: there was no answer, or one that leaves it open."""
        return self.kind is FaultKind.AWAY and self.code not in _NEVER_SENT

    def __str__(self) -> str:
        hint = _HINTS.get(self.kind)
        return f"{self.doing}: {self.code}: {self.message}" + (f" ({hint})" if hint else "")


def refuse(fault: Fault) -> NoReturn:
    """Raise what an engine raises for it.

    Raises:
        EngineUnavailable: the same call may work later. EngineRefused: it will not.
    """
    raise EngineUnavailable(str(fault)) if fault.later else EngineRefused(str(fault))


def _answered(response: Mapping[str, Any], doing: str) -> Fault:
    """Sort what botocore read of an answer that is an error."""
    said = response.get("Error") or {}
    meta = response.get("ResponseMetadata") or {}
    code = str(said.get("Code") or "Unknown").rpartition("#")[2]
    status = int(meta.get("HTTPStatusCode") or 0)
    message = str(said.get("Message") or f"HTTP {status}")[:1000]
    kind = FaultKind.CLOCK if message.startswith(_SKEWED) else CODES.get(code) or _by_status(status)
    if code == str(status) and message.startswith("{"):  # botocore's way with an error of which half has come
        return no_answer(doing)
    return Fault(kind, code, message, doing, _asked_to_wait(meta))


def fault_of(error: Exception, doing: str) -> Fault:
    """Sort an exception of botocore."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return _answered(cast("dict[str, Any]", response), doing)
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return Fault(FaultKind.NO_CREDENTIALS, name, "no AWS credentials", doing)
    if name == "NoRegionError":
        message = "no AWS region: give the job a region, or set AWS_REGION"
        return Fault(FaultKind.REFUSED, name, message, doing)
    if name == "ResponseParserError":  # its text repeats the answer, and that may hold credentials
        return no_answer(doing)
    if name in _OURS:
        return Fault(FaultKind.REFUSED, name, str(error)[:1000], doing)
    return Fault(FaultKind.AWAY, name, str(error)[:1000], doing, answered=False)


def no_answer(doing: str) -> Fault:
    """What came is not from AWS, or not whole."""
    return Fault(FaultKind.AWAY, "ResponseParserError", _NO_ANSWER, doing, answered=False)


#: Said when nobody was there to send it to.
_NEVER_SENT: Final = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError"})

#: Said by botocore before anything was sent: it will say so again.
_OURS: Final = frozenset(
    {"ParamValidationError", "InvalidRegionError", "UnknownServiceError", "UnknownEndpointError", "ProfileNotFound",
     "InvalidConfigError", "ConfigParseError"}
)  # fmt: skip


def _by_status(status: int) -> FaultKind:
    if status == 429:
        return FaultKind.THROTTLED
    # a 2xx or 3xx that is an error is no answer of AWS: something between us and it spoke
    return FaultKind.AWAY if status >= 500 or status < 400 else FaultKind.REFUSED


def _asked_to_wait(meta: Mapping[str, Any]) -> float:
    headers: Mapping[str, str] = meta.get("HTTPHeaders") or {}
    text = headers.get("retry-after", "")
    return min(float(text), 300.0) if text.isdecimal() else 0.0
