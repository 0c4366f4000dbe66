"""This file is where an AWS that misbehaves is played: Step Functions, Lambda, Glue, its logs and STS, on one port.

Written from AWS's own description of the five APIs. What a state machine, a job or a function is called says what
becomes of it: `succeeds`, `fails`, `lasts` (until `let_go` or a stop), `stuck` (stays RUNNING, whatever is asked),
`slow` (a function that answers once let go), `express` (a state machine of that kind); anything else is not there.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

FATES: Final = ("succeeds", "fails", "lasts", "stuck", "slow", "express")
ACCOUNT: Final = "123456789012"
WAIT: Final = 20.0  #: seconds a slow function is held at most


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as it came."""

    operation: str
    body: Mapping[str, Any]
    key: str  #: the access key it was signed with
    region: str
    token: str


@dataclass(slots=True)
class Work:
    """One execution or one job run."""

    fate: str
    began: float
    body: Mapping[str, Any]
    stopped: float | None = None
    ended: float | None = None
    shown_after: float = 0.0


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next calls of an operation."""

    kind: str  #: lost | cut | throttle | error | html | expired | denied | hang
    left: int


@dataclass(slots=True)
class FakeAws:
    """The whole of it. Use as a context: it serves on loopback while it lasts."""

    calls: list[Call] = field(default_factory=list[Call])
    executions: dict[str, Work] = field(default_factory=dict[str, Work])
    runs: dict[str, Work] = field(default_factory=dict[str, Work])
    invocations: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    lag: float = 0.0  #: seconds before what was started is shown
    good_keys: set[str] | None = None  #: None: every key is good; others are expired
    container_key: str = ""  #: what a container's role gets
    full: bool = False  #: the Glue job is at its limit
    log_group: str = "/aws-glue/jobs"  #: as Glue's runs say it
    log_page: int = 10_000  #: lines of a log that are handed out at a time
    _faults: dict[str, Fault] = field(default_factory=dict[str, Fault])
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _go: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> FakeAws:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body go out apart, and nobody is to wait 40 ms for the second

            def do_POST(self) -> None:
                fake.serve(self)

            def do_GET(self) -> None:
                fake.hand_out_keys(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake-aws", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def machine(self, fate: str) -> str:
        return f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{fate}"

    def fault(self, operation: str, kind: str, times: int = 1) -> None:
        """Let the next calls of an operation go wrong.

        `lost`: it is done, and nobody hears the answer; `cut`: it is done, and half of the answer comes;
        `whole half`: the same, and the answer says that it is whole.
        """
        with self._lock:
            self._faults[operation] = Fault(kind, times)

    def no_faults(self) -> None:
        """From now on all goes well."""
        with self._lock:
            self._faults.clear()

    def let_go(self) -> None:
        """What lasts ends, as a success."""
        self._go.set()

    def count(self, operation: str) -> int:
        with self._lock:
            return sum(one.operation == operation for one in self.calls)

    # -- the wire

    def hand_out_keys(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as a container's credentials endpoint does."""
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        keys = {"AccessKeyId": self.container_key, "SecretAccessKey": "s", "Token": "t", "Expiration": ends}
        self._answer(request, 200, keys)

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        text = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        operation, body = self._read(request, text)
        scope = request.headers.get("Authorization", "").partition("Credential=")[2].partition(",")[0].split("/")
        key, region = (scope[0], scope[2]) if len(scope) > 2 else ("", "")
        with self._lock:
            self.calls.append(Call(operation, body, key, region, request.headers.get("X-Amz-Security-Token", "")))
            fault = self._faults.get(operation)
            if fault is not None:
                fault.left -= 1
                if fault.left <= 0:
                    del self._faults[operation]
            bad_key = self.good_keys is not None and operation != "AssumeRole" and key not in self.good_keys
        kind = "expired" if bad_key else fault.kind if fault is not None else ""
        if kind == "hang":
            self._go.wait(WAIT)
            request.close_connection = True
            return
        if kind in _INSTEAD:
            status, instead = _INSTEAD[kind]
            html = {"Content-Type": "text/html"} if kind == "page" else None
            self._answer(request, status, _as_xml(instead) if operation in _OF_STS else instead, html)
            return
        status, answer, headers = self._do(operation, body)
        if kind == "lost":
            request.close_connection = True
            request.connection.close()
            return
        if kind == "cut":
            request.close_connection = True
            self._answer(request, status, answer, headers, cut=True)
            return
        if kind == "whole half":  # a proxy between that says it is all there is
            text = json.dumps(answer).encode()
            answer = text[: len(text) // 2]
        self._answer(request, status, answer, headers)

    def _read(self, request: BaseHTTPRequestHandler, text: bytes) -> tuple[str, dict[str, Any]]:
        target = request.headers.get("X-Amz-Target")
        if target:
            return target.partition(".")[2], json.loads(text)
        path = unquote(urlsplit(request.path).path)
        if path.startswith("/2015-03-31/functions/"):
            query = parse_qs(urlsplit(request.path).query)
            return "Invoke", {
                "FunctionName": path.split("/")[3],
                "Qualifier": query.get("Qualifier", [""])[0],
                "InvocationType": request.headers.get("X-Amz-Invocation-Type", "RequestResponse"),
                "Payload": json.loads(text or b"null"),
            }
        form = parse_qs(text.decode())
        return form["Action"][0], {name: values[0] for name, values in form.items()}

    @staticmethod
    def _answer(
        request: BaseHTTPRequestHandler,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            request.send_response(status)
            request.send_header("x-amzn-RequestId", str(uuid.uuid4()))
            if isinstance(body, dict) and "__type" in body:
                request.send_header("x-amzn-ErrorType", body["__type"])
            for name, value in (headers or {}).items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text[: len(text) // 2] if cut else text)
        except OSError:
            request.close_connection = True  # whoever asked has gone

    # -- what is done

    def _do(self, operation: str, body: dict[str, Any]) -> _Answer:
        does: Mapping[str, Callable[[dict[str, Any]], _Answer]] = {
            "StartExecution": self._start_execution,
            "DescribeExecution": self._describe_execution,
            "StopExecution": self._stop_execution,
            "StartJobRun": self._start_job_run,
            "GetJobRun": self._get_job_run,
            "GetJobRuns": self._get_job_runs,
            "BatchStopJobRun": self._batch_stop_job_run,
            "GetLogEvents": self._get_log_events,
            "AssumeRole": self._assume_role,
            "GetCallerIdentity": self._get_caller_identity,
            "GetDatabases": lambda _: (200, {"DatabaseList": []}, {}),
        }
        if operation == "Invoke":  # may take its time
            return self._invoke(body)
        if operation not in does:
            return _error(400, "UnknownOperationException", operation)
        with self._lock:
            return does[operation](body)

    def _start_execution(self, body: dict[str, Any]) -> _Answer:
        fate = body["stateMachineArn"].split(":")[6]
        if fate not in FATES:
            return _error(400, "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{body['stateMachineArn']}'")
        arn = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:{fate}:{body['name']}"
        now = time.time()
        if fate == "express":  # no name is ever taken, and nothing can be asked about it
            arn = f"{arn.replace(':execution:', ':express:')}:{uuid.uuid4()}"
        found = self.executions.get(arn)
        if found is not None:
            if self._status(found) != "RUNNING" or found.body["input"] != body["input"]:
                return _error(400, "ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
            return 200, {"executionArn": arn, "startDate": found.began}, {}
        self.executions[arn] = Work(fate, now, body, shown_after=now + self.lag)
        return 200, {"executionArn": arn, "startDate": now}, {}

    def _describe_execution(self, body: dict[str, Any]) -> _Answer:
        if ":express:" in body["executionArn"]:
            return _error(400, "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'")
        found = self._shown(self.executions.get(body["executionArn"]))
        if found is None:
            return _error(400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{body['executionArn']}'")
        status = self._status(found)
        answer: dict[str, Any] = {
            "executionArn": body["executionArn"],
            "stateMachineArn": found.body["stateMachineArn"],
            "name": found.body["name"],
            "status": status,
            "startDate": found.began,
            "input": found.body["input"],
        }
        if status != "RUNNING":
            answer["stopDate"] = found.ended
        if status == "SUCCEEDED":
            answer["output"] = '{"rows": 3}'
        if status == "FAILED":
            answer |= {"error": "Ingest.Broken", "cause": '{"errorMessage": "no such column", "errorType": "KeyError"}'}
        return 200, answer, {}

    def _stop_execution(self, body: dict[str, Any]) -> _Answer:
        found = self._shown(self.executions.get(body["executionArn"]))
        if found is None:
            return _error(400, "ExecutionDoesNotExist", f"Execution Does Not Exist: '{body['executionArn']}'")
        if self._status(found) == "RUNNING":
            found.stopped = time.time()
        return 200, {"stopDate": time.time()}, {}

    def _start_job_run(self, body: dict[str, Any]) -> _Answer:
        if body["JobName"] not in FATES:
            return _error(400, "EntityNotFoundException", "Failed to start job run due to missing metadata")
        if self.full:
            return _error(400, "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {body['JobName']}")
        run = f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}"
        now = time.time()
        self.runs[run] = Work(body["JobName"], now, body, shown_after=now + self.lag)
        return 200, {"JobRunId": run}, {}

    def _get_job_run(self, body: dict[str, Any]) -> _Answer:
        found = self._shown(self.runs.get(body["RunId"]))
        if found is None:
            return _error(400, "EntityNotFoundException", "JobRun not found.")
        return 200, {"JobRun": self._job_run(body["RunId"], found)}, {}

    def _get_job_runs(self, body: dict[str, Any]) -> _Answer:
        if body["JobName"] not in FATES:
            return _error(400, "EntityNotFoundException", "Entity not found")
        runs = [
            self._job_run(name, one)
            for name, one in reversed(self.runs.items())
            if one.fate == body["JobName"] and self._shown(one)
        ]
        first = int(body.get("NextToken") or 0)
        last = first + min(int(body.get("MaxResults") or 100), 200)
        more = {"NextToken": str(last)} if last < len(runs) else {}
        return 200, {"JobRuns": runs[first:last], **more}, {}

    def _batch_stop_job_run(self, body: dict[str, Any]) -> _Answer:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for name in body["JobRunIds"]:
            found = self._shown(self.runs.get(name))
            which = {"JobName": body["JobName"], "JobRunId": name}
            if found is None:
                bad.append({**which, "ErrorDetail": {"ErrorCode": "EntityNotFoundException", "ErrorMessage": "gone"}})
            elif self._status(found) != "RUNNING":
                said = {"ErrorCode": "InvalidInputException", "ErrorMessage": "Job Run is in terminal state"}
                bad.append({**which, "ErrorDetail": said})
            else:
                found.stopped = time.time()
                good.append(which)
        return 200, {"SuccessfulSubmissions": good, "Errors": bad}, {}

    def _get_log_events(self, body: dict[str, Any]) -> _Answer:
        lines = self.logs.get((body["logGroupName"], body["logStreamName"]))
        if lines is None:
            return _error(400, "ResourceNotFoundException", "The specified log stream does not exist.")
        first = int(str(body.get("nextToken") or "f/0").partition("/")[2])
        page = lines[first : first + self.log_page]
        events = [{"timestamp": 0, "message": line, "ingestionTime": 0} for line in page]
        return 200, {"events": events, "nextForwardToken": f"f/{first + len(page)}", "nextBackwardToken": "b/0"}, {}

    def _invoke(self, body: dict[str, Any]) -> _Answer:
        fate = body["FunctionName"].partition(":")[0]
        if fate not in FATES:
            return _error(404, "ResourceNotFoundException", f"Function not found: {body['FunctionName']}")
        with self._lock:
            self.invocations.append(body)
        if body["InvocationType"] == "Event":
            return 202, b"", {}
        if fate == "slow":
            self._go.wait(WAIT)
        tail = {"X-Amz-Log-Result": base64.b64encode(b"START\nhello from the function\nEND\n").decode()}
        if fate == "fails":
            said = {"errorMessage": "no such column", "errorType": "KeyError", "stackTrace": []}
            return 200, said, {"X-Amz-Function-Error": "Unhandled", **tail}
        return 200, {"given": body["Payload"]}, tail

    def _get_caller_identity(self, _: dict[str, Any]) -> _Answer:
        who = f"<Arn>arn:aws:iam::{ACCOUNT}:user/tests</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        result = f"<GetCallerIdentityResult>{who}</GetCallerIdentityResult>"
        space = "https://sts.amazonaws.com/doc/2011-06-15/"
        return 200, f'<GetCallerIdentityResponse xmlns="{space}">{result}</GetCallerIdentityResponse>'.encode(), {}

    def _assume_role(self, _body: dict[str, Any]) -> _Answer:
        key = f"ASIA{uuid.uuid4().hex[:16].upper()}"
        if self.good_keys is not None:
            self.good_keys.add(key)
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return 200, (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
            f"<SessionToken>token-{key}</SessionToken><Expiration>{ends}</Expiration></Credentials>"
            "</AssumeRoleResult></AssumeRoleResponse>"
        ).encode(), {"Content-Type": "text/xml"}  # fmt: skip

    # -- what becomes of it

    @staticmethod
    def _shown(work: Work | None) -> Work | None:
        return work if work is not None and time.time() >= work.shown_after else None

    def _status(self, work: Work) -> str:
        if work.fate == "stuck":
            return "RUNNING"
        if work.stopped is not None:
            work.ended = work.ended or work.stopped
            return "ABORTED"
        if work.fate == "lasts" and not self._go.is_set():
            return "RUNNING"
        work.ended = work.ended or time.time()
        return "FAILED" if work.fate == "fails" else "SUCCEEDED"

    def _job_run(self, name: str, work: Work) -> dict[str, Any]:
        status = self._status(work)
        state = {"ABORTED": "STOPPED"}.get(status, status)
        run: dict[str, Any] = {
            "Id": name, "Attempt": 0, "JobName": work.fate, "StartedOn": work.began, "JobRunState": state,
            "Arguments": work.body.get("Arguments", {}), "GlueVersion": "5.0", "LogGroupName": self.log_group,
        }  # fmt: skip
        if status != "RUNNING":
            run |= {"CompletedOn": work.ended, "ExecutionTime": 7, "DPUSeconds": 14.0}
        if status == "FAILED":
            run["ErrorMessage"] = "KeyError: no such column"
        return run


_Answer = tuple[int, Any, Mapping[str, str]]


def _error(status: int, code: str, message: str) -> _Answer:
    return status, {"__type": code, "message": message, "Message": message}, {}


def _as_xml(error: Any) -> bytes:
    """The error as STS, which speaks the query protocol, has it."""
    if not isinstance(error, dict):
        return bytes(error)
    said = cast("dict[str, str]", error)
    text = f"<Error><Type>Sender</Type><Code>{said['__type']}</Code><Message>{said['message']}</Message></Error>"
    return f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{text}</ErrorResponse>'.encode()


#: What is answered as STS answers, in XML.
_OF_STS: Final = frozenset({"AssumeRole", "GetCallerIdentity"})

_INSTEAD: Final[Mapping[str, tuple[int, Any]]] = {
    "throttle": (400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
    "error": (500, {"__type": "InternalServiceException", "message": "we are sorry"}),
    "page": (200, b"<html><body>Please sign in</body></html>"),
    "html": (502, b"<html><body>Bad Gateway</body></html>"),
    "expired": (400, {"__type": "ExpiredTokenException", "message": "The security token included has expired"}),
    "denied": (400, {"__type": "AccessDeniedException", "message": "User is not authorized to perform this"}),
}
