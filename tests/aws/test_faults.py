"""This file is where AWS's errors are sorted: what may work later, what was done perhaps, what never will."""

from __future__ import annotations

from typing import Any

import botocore.exceptions as wrong
import pytest

from headgate.aws import Fault, FaultKind, refuse
from headgate.aws.faults import fault_of
from headgate.errors import EngineRefused, EngineUnavailable


def said(code: str, status: int, *, message: str = "words", **headers: str) -> wrong.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return wrong.ClientError(response, "Operation")


@pytest.mark.parametrize(
    ("error", "kind", "maybe_done"),
    [
        (said("ThrottlingException", 400), FaultKind.THROTTLED, False),
        (said("SomethingNew", 429), FaultKind.THROTTLED, False),
        (said("ConcurrentRunsExceededException", 400), FaultKind.FULL, False),
        (said("ExecutionLimitExceeded", 400), FaultKind.FULL, False),
        (said("InternalServiceException", 500), FaultKind.AWAY, True),
        (said("502", 502), FaultKind.AWAY, True),
        (said("301", 301), FaultKind.AWAY, True),
        (said("ExpiredTokenException", 400), FaultKind.EXPIRED, False),
        (
            said("InvalidSignatureException", 403, message="Signature expired: it is now earlier"),
            FaultKind.CLOCK,
            False,
        ),
        (said("InvalidSignatureException", 403, message="The signature does not match"), FaultKind.DENIED, False),
        (said("RequestTimeTooSkewed", 403), FaultKind.CLOCK, False),
        (said("AccessDeniedException", 400), FaultKind.DENIED, False),
        (said("com.amazonaws#AccessDeniedException", 400), FaultKind.DENIED, False),
        (said("EntityNotFoundException", 400), FaultKind.MISSING, False),
        (said("InvalidArn", 400), FaultKind.REFUSED, False),
        (said("400", 400, message='{"__type": "ExecutionAlr'), FaultKind.AWAY, True),
        (said("403", 403, message="<html>Forbidden"), FaultKind.REFUSED, False),
        (wrong.ReadTimeoutError(endpoint_url="http://aws"), FaultKind.AWAY, True),
        (wrong.ConnectionClosedError(endpoint_url="http://aws"), FaultKind.AWAY, True),
        (wrong.EndpointConnectionError(endpoint_url="http://aws"), FaultKind.AWAY, False),
        (wrong.ConnectTimeoutError(endpoint_url="http://aws"), FaultKind.AWAY, False),
        (wrong.NoCredentialsError(), FaultKind.NO_CREDENTIALS, False),
        (wrong.NoRegionError(), FaultKind.REFUSED, False),
        (wrong.ParamValidationError(report="bad"), FaultKind.REFUSED, False),
        (wrong.ProfileNotFound(profile="p"), FaultKind.REFUSED, False),
    ],
)
def test_who_is_at_fault(error: Exception, kind: FaultKind, maybe_done: bool) -> None:
    """Every error has a kind, and whether the call may have been done."""
    fault = fault_of(error, "starting")
    assert (fault.kind, fault.maybe_done) == (kind, maybe_done)
    assert str(fault).startswith("starting: ")


def test_a_fault_is_raised_by_whether_it_may_pass() -> None:
    """What may pass is EngineUnavailable, what will not is EngineRefused."""
    with pytest.raises(EngineUnavailable):
        refuse(Fault(FaultKind.EXPIRED, "ExpiredToken", "words", "starting"))
    with pytest.raises(EngineRefused):
        refuse(Fault(FaultKind.NO_CREDENTIALS, "NoCredentialsError", "words", "starting"))


def test_a_garbled_answer_is_not_repeated() -> None:
    """botocore's text of an answer it cannot read repeats it, credentials and all; ours does not."""
    error: Any = __import__("botocore.parsers").parsers.ResponseParserError("<SecretAccessKey>s3cr3t</SecretAccessKey>")
    assert "s3cr3t" not in str(fault_of(error, "assuming"))


def test_aws_says_how_long_to_wait() -> None:
    """Retry-After is heard, up to five minutes; a date or nonsense is not."""
    assert fault_of(said("ThrottlingException", 400, **{"retry-after": "7"}), "").wait == 7
    assert fault_of(said("ThrottlingException", 400, **{"retry-after": "86400"}), "").wait == 300
    assert fault_of(said("ThrottlingException", 400, **{"retry-after": "soon"}), "").wait == 0
