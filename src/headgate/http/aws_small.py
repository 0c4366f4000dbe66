"""This file is where the rest of AWS is served that the seeds' commands need: Lambda's functions, S3's notifications.

`/2015-03-31/functions…`: the functions of `functions:`, each invocation a run of the job `function:NAME`.
`GET /{bucket}?notification`: what the EVENT triggers of a bucket are, as S3 tells what a bucket's notifications are.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final, cast
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import structlog
from starlette.types import Receive, Scope, Send

from headgate.engines.local.function import ACCOUNT, REGION, arn_of, request_of
from headgate.errors import HeadgateError, Invalid, NotFound, TooManyRuns, Unavailable
from headgate.gate import Gate
from headgate.http.answers import SECURITY_HEADERS, TooLarge, encode
from headgate.http.auth import Headers
from headgate.http.aws_wire import INVOCATION, Admission, Fault
from headgate.http.events import ClientGone, read_body
from headgate.model import Json, Run, RunState, Trigger, TriggerType
from headgate.settings.record import Function
from headgate.supervision import logs

FUNCTIONS: Final = "/2015-03-31/functions"
#: Characters of a payload: it is handed over as an argument of the run, and kept with it.
MOST_PAYLOAD: Final = 60_000
_PATIENCE: Final = 930.0  #: seconds an invocation is waited for; Lambda's own limit is 900
_MOST_LISTED, _MOST_ITEMS = 50, 10_000  #: functions of a page, and what may be asked for, as with Lambda
_TICK: Final = 0.01  #: seconds between two looks at whether this process has written anything
_LOOK_ANYWAY: Final = 0.5  #: seconds; other replicas write, too
_TAIL: Final = 4096  #: bytes of the log that come with an answer, as with Lambda
_PATH: Final = re.compile(r"/2015-03-31/functions(?:/(?:([^/]+)(?:/(invocations|configuration))?)?)?\Z")
_BUCKET: Final = re.compile(r"/[^/]{3,255}/?\Z")
_NAME: Final = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:|\d{12}:function:|function:)?([^:]+)(?::[^:]+)?\Z"
)
_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_S3: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
_FIXED: Final = [(k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_Answer = tuple[int, bytes, dict[str, str]]


class SmallAws:
    """What is served of Lambda and S3."""

    def __init__(self, gate: Gate, admission: Admission) -> None:
        self._gate = gate
        self._admission = admission

    def takes(self, scope: Scope) -> bool:
        """Whether the request is one of those. A bucket nobody here knows is S3's business only when S3 is meant."""
        path = str(scope["path"])
        if path == FUNCTIONS or path.startswith(FUNCTIONS + "/"):
            return True
        if scope["method"] != "GET" or not _BUCKET.match(path) or not _asks_notification(scope):
            return False
        headers: Headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        signed = b"/s3/aws4_request" in headers.get(b"authorization", b"")
        return signed or path.strip("/") in self._gate.settings.inboxes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
        request = str(uuid.uuid4())
        is_lambda = str(scope["path"]).startswith(FUNCTIONS)
        try:
            body = await read_body(headers, receive)
            actor, region = await self._admission.admit(scope, headers, body, "lambda" if is_lambda else "s3")
            if is_lambda:
                status, text, more = await self._functions(scope, headers, body, actor, region)
            else:
                status, text, more = await asyncio.to_thread(self._notifications, str(scope["path"]).strip("/"), region)
        except ClientGone:
            return
        except HeadgateError as error:
            fault = _fault(error)
            status, text, more = _lambda_fault(fault) if is_lambda else _s3_fault(fault, request)
        except asyncio.CancelledError:
            # the server stops. What runs goes on, and the next server answers whoever asks again, as SDKs do
            fault = Fault("ServiceException", "the server is stopping; the same call sent again finds its answer", 503)
            status, text, more = _lambda_fault(fault) if is_lambda else _s3_fault(fault, request)
        except Exception:  # noqa: BLE001 - a bug is answered in AWS's form too; the log has it
            _log.exception("an AWS call failed", path=scope["path"])
            fault = Fault("ServiceException", "the call failed by a defect of the server; its log says why", 500)
            status, text, more = _lambda_fault(fault) if is_lambda else _s3_fault(fault, request)
        told = {"content-type": "application/json", "x-amzn-requestid": request, "x-amz-request-id": request, **more}
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in told.items()]
        raw += [*_FIXED, (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text})

    # -- Lambda

    async def _functions(self, scope: Scope, headers: Headers, body: bytes, actor: str, region: str) -> _Answer:
        found = _PATH.match(str(scope["path"]))
        method = str(scope["method"])
        if found is None or method not in ("GET", "POST") or (method == "POST") != (found[2] == "invocations"):
            raise Fault("UnknownOperationException", f"{method} {str(scope['path'])[:200]} is not served here", 404)
        if found[1] is None:
            return 200, encode(self._listed(_query(scope), region)), {}
        function = self._function(unquote(found[1]))
        if found[2] == "invocations":
            return await self._invoke(function, headers, body, actor)
        if found[2] == "configuration":
            return 200, encode(_configuration(function, region)), {}
        code: dict[str, Json] = {"RepositoryType": "Headgate", "Location": f"headgate.yaml: functions.{function.name}"}
        return 200, encode({"Configuration": _configuration(function, region), "Code": code}), {}

    def _listed(self, query: Mapping[str, str], region: str) -> dict[str, Json]:
        """A page of the functions, by name; the marker is the name the page before ended with. Raises Fault."""
        most, marker = query.get("MaxItems", str(_MOST_LISTED)), query.get("Marker", "")
        if not (most.isascii() and most.isdigit() and 0 < int(most[:9]) <= _MOST_ITEMS):
            message = f"MaxItems: {most[:40]!r}; expected 1 to {_MOST_ITEMS:,}"
            raise Fault("InvalidParameterValueException", message)
        functions = self._gate.settings.functions
        if marker and marker not in functions:
            raise Fault("InvalidParameterValueException", f"Marker: {marker[:40]!r} is none that was given out here")
        names = sorted(name for name in functions if name > marker)
        page = names[: min(int(most), _MOST_LISTED)]
        more: dict[str, Json] = {"NextMarker": page[-1]} if len(names) > len(page) else {}
        return {"Functions": [_configuration(functions[name], region) for name in page], **more}

    def _function(self, given: str) -> Function:
        """The function of that name or ARN. Raises Fault."""
        found = _NAME.match(given)
        function = self._gate.settings.functions.get(found[1]) if found else None
        if function is None:
            raise Fault("ResourceNotFoundException", f"Function not found: {given[:200]}", 404)
        return function

    async def _invoke(self, function: Function, headers: Headers, body: bytes, actor: str) -> _Answer:
        kind = headers.get(b"x-amz-invocation-type", b"RequestResponse").decode("latin-1")
        payload = _payload(body)
        if kind == "DryRun":
            return 204, b"", {}
        if kind not in ("Event", "RequestResponse"):
            raise Fault(
                "InvalidParameterValueException", f"Value '{kind[:40]}' at 'invocationType' is none Lambda knows"
            )
        # every attempt of one SDK call carries the same value: the second one gets the first one's run
        once = headers.get(INVOCATION, b"").decode("latin-1")[:200]
        run = await asyncio.wrap_future(
            self._gate.ask(
                function.job.name,
                arguments={"--payload": payload, "--timeout": str(function.job.timeout or 60)},
                actor=actor,
                reason="aws lambda invoke",
                door="lambda",
                key=f"invoke:{function.name}:{once}" if once else None,
            )
        )
        more = {"x-amzn-requestid": request_of(run.id), "x-amz-executed-version": "$LATEST"}
        if kind == "Event":
            return 202, b"", more
        ended = await self._ended(run)
        text, failed = _outcome(ended)
        if failed:
            more["x-amz-function-error"] = "Unhandled"
        if headers.get(b"x-amz-log-type", b"") == b"Tail":
            tail = await asyncio.to_thread(logs.tail, self._gate.settings.home / "logs", ended.id, _TAIL)
            more["x-amz-log-result"] = base64.b64encode(tail.encode()).decode()
        return 200, text, more

    async def _ended(self, run: Run) -> Run:
        """The run once it is over; as it was seen last where that takes too long."""
        until, seen, looked = monotonic() + _PATIENCE, None, 0.0
        while run.ended_at is None and monotonic() < until:
            await asyncio.sleep(_TICK)
            now, written = monotonic(), self._gate.ledger.written
            if written != seen or now - looked >= _LOOK_ANYWAY:
                seen, looked = written, now
                run = await asyncio.to_thread(self._gate.ledger.run, run.id)
        return run

    # -- S3

    def _notifications(self, bucket: str, region: str) -> _Answer:
        triggers = [
            one
            for one in sorted(self._gate.ledger.refresh().triggers.values(), key=lambda one: one.name)
            if one.type is TriggerType.EVENT and one.enabled and one.objects and one.objects.bucket == bucket
        ]
        if not triggers and bucket not in self._gate.settings.inboxes:
            raise Fault("NoSuchBucket", "The specified bucket does not exist", 404)
        inner = "".join(_notified(one, region) for one in triggers if one.workflow is None)
        if any(one.workflow is not None for one in triggers):  # AWS has a rule there, between the bucket and a workflow
            inner += "<EventBridgeConfiguration/>"
        text = f'<NotificationConfiguration xmlns="{_S3}">{inner}</NotificationConfiguration>'
        return 200, (_XML + text).encode(), {"content-type": "application/xml"}


def _asks_notification(scope: Scope) -> bool:
    names = bytes(scope.get("query_string") or b"").split(b"&")
    return any(one.partition(b"=")[0] == b"notification" for one in names)


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(bytes(scope.get("query_string") or b"").decode("latin-1")))


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _payload(body: bytes) -> str:
    """The event, as it was sent. Raises Fault: no JSON, or more of it than can be kept with a run."""
    try:
        text = body.decode() or "{}"
        json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Fault("InvalidRequestContentException", f"Could not parse request body into json: {error}") from error
    if "\0" in text or len(text) > MOST_PAYLOAD:
        raise Fault("RequestTooLargeException", f"a payload of at most {MOST_PAYLOAD:,} characters is taken here", 413)
    return text


def _outcome(run: Run) -> tuple[bytes, bool]:
    """What the function answered, and whether it is an error."""
    if run.state is RunState.SUCCEEDED and "payload" in run.result:
        return encode(run.result.get("payload")), False
    error = run.result.get("error")
    if isinstance(error, dict):
        return encode(cast("Mapping[str, Json]", error)), True
    request = request_of(run.id)
    if run.state is RunState.TIMEOUT:
        words = f"RequestId: {request} Error: Task timed out after {run.timeout or 0:.2f} seconds"
        return encode({"errorType": "Sandbox.Timedout", "errorMessage": words}), True
    if run.state is RunState.SUCCEEDED:  # its process ended itself
        return encode(
            {
                "errorType": "Runtime.ExitError",
                "errorMessage": f"RequestId: {request} Error: Runtime exited without providing a reason",
            }
        ), True
    words = f"RequestId: {request} Error: {run.error or run.detail or run.state.value}"
    return encode({"errorType": "Runtime.ExitError", "errorMessage": words}), True


def _configuration(function: Function, region: str) -> dict[str, Json]:
    job = function.job
    variables: dict[str, Any] = json.loads(job.arguments["--variables"])
    return {
        "FunctionName": function.name,
        "FunctionArn": arn_of(function.name, region or REGION),
        "Runtime": "python3.11",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/headgate",
        "Handler": function.handler,
        "CodeSize": 0,
        "Description": job.description,
        "Timeout": int(job.timeout or 60),
        "MemorySize": 128,
        "LastModified": "1970-01-01T00:00:00.000+0000",
        "Version": "$LATEST",
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": variables},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.name}"},
    }


def _notified(trigger: Trigger, region: str) -> str:
    """A trigger as S3 has a notification: one for each suffix, since S3 knows one at a time."""
    objects = trigger.objects
    if objects is None:
        return ""
    parts: list[str] = []
    for number, suffix in enumerate(objects.suffix or ("",)):
        rules = [("Prefix", objects.prefix), ("Suffix", suffix)]
        told = "".join(
            f"<FilterRule><Name>{name}</Name><Value>{escape(value)}</Value></FilterRule>"
            for name, value in rules
            if value
        )
        events = "".join(f"<Event>s3:{escape(one.removeprefix('s3:'))}</Event>" for one in objects.events)
        parts.append(
            "<CloudFunctionConfiguration>"
            f"<Id>{escape(trigger.name)}{f'-{number + 1}' if len(objects.suffix) > 1 else ''}</Id>"
            f"<CloudFunction>{escape(arn_of(_target(trigger), region or REGION))}</CloudFunction>{events}"
            + (f"<Filter><S3Key>{told}</S3Key></Filter>" if told else "")
            + "</CloudFunctionConfiguration>"
        )
    return "".join(parts)


def _target(trigger: Trigger) -> str:
    """What the bucket tells: the function that the trigger starts, else the trigger in a function's place."""
    first = trigger.actions[0].job if trigger.actions else ""
    return first.removeprefix("function:") if first.startswith("function:") else trigger.name


def _fault(error: HeadgateError) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, TooLarge):
        return Fault("RequestTooLargeException", str(error), 413)
    kinds: list[tuple[type[HeadgateError], str, int]] = [
        (TooManyRuns, "TooManyRequestsException", 429),
        (NotFound, "ResourceNotFoundException", 404),
        (Invalid, "InvalidParameterValueException", 400),
        (Unavailable, "ServiceException", 500),
    ]
    return next(
        (Fault(code, str(error), status) for kind, code, status in kinds if isinstance(error, kind)),
        Fault("AccessDeniedException", str(error), 403),
    )


#: Who may not is told so with 403 here; in AWS's JSON protocol (`aws_wire`) that is 400. S3 has names of its own.
_MAY_NOT: Final[Mapping[str, str]] = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "AuthorizationHeaderMalformed",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "AccessDenied",
    "UnrecognizedClientException": "InvalidAccessKeyId",
}


def _lambda_fault(fault: Fault) -> _Answer:
    side = "Service" if fault.status >= 500 else "User"
    return (
        403 if fault.code in _MAY_NOT else fault.status,
        encode({"Type": side, "Message": str(fault)}),
        {"x-amzn-errortype": fault.code},
    )


def _s3_fault(fault: Fault, request: str) -> _Answer:
    code = _MAY_NOT.get(fault.code, fault.code)
    said = f"<Code>{escape(code)}</Code><Message>{escape(str(fault))}</Message><RequestId>{request}</RequestId>"
    text = f"{_XML}<Error>{said}</Error>"
    return 403 if fault.code in _MAY_NOT else fault.status, text.encode(), {"content-type": "application/xml"}
