"""This file is where a function of `functions:` is called, in its own process, as Lambda calls a handler.

The event is the argument `--payload` (JSON). Where a trigger starts it the objects of the run's manifest are the event,
in the shape S3 tells a function of them. What it returns is the run's result, under `payload`; what it raises, under
`error`, in Lambda's shape.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

from headgate.engines.local.entry import SaidAlready
from headgate.job import Context
from headgate.model import Json, StoredObject
from headgate.processes.ending import LARGEST_RESULT

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"  #: nobody's, as stand-ins for AWS have it
_MOST_ANSWER: Final = LARGEST_RESULT - 1024  #: bytes of JSON; the rest of the result has to fit beside it
_MOST_WORDS: Final = 32_768  #: characters of an error's message
_MOST_FRAMES: Final = 100  #: of an error's stack
#: Where a process finds credentials; without any of these, those that any caller of this machine may use are set.
_CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


class LambdaContext:
    """What a handler is given beside the event, under Lambda's names."""

    function_version = "$LATEST"
    identity = None
    client_context = None

    def __init__(self, name: str, request: str, *, seconds: float) -> None:
        self.function_name = name
        self.aws_request_id = request
        self.memory_limit_in_mb = "128"
        self.invoked_function_arn = arn_of(name)
        self.log_group_name = f"/aws/lambda/{name}"
        self.log_stream_name = stream_of(datetime.now(UTC), request)
        self._until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._until - time.monotonic()) * 1000))


def arn_of(name: str, region: str = REGION) -> str:
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"


def request_of(run: str) -> str:
    """Return the request id of a run: its id's first 32 hex digits, as a UUID is written."""
    digits = run.removeprefix("jr_")[:32].ljust(32, "0")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def stream_of(at: datetime, request: str) -> str:
    """Return the name of an invocation's log stream, in Lambda's form."""
    return f"{at:%Y/%m/%d}/[$LATEST]{request.replace('-', '')}"


def call(context: Context) -> None:
    """Call the handler that the run's arguments name, and leave behind what it returned or raised."""
    arguments = context.arguments
    name, request = arguments["--function"], request_of(context.run_id)
    _prepare(name, json.loads(arguments.get("--variables") or "{}"))
    event = _event(context)
    begun = time.monotonic()
    _say(f"START RequestId: {request} Version: $LATEST")
    try:
        handler = _find(arguments["--handler"])
        answer = handler(event, LambdaContext(name, request, seconds=float(arguments.get("--timeout") or 60)))
        context.result(payload=_plain(answer))
    except Exception as error:  # noqa: BLE001 - whatever the handler raises is the invocation's answer
        kind, message, stack = _told(error)
        words: dict[str, Json] = {
            "errorMessage": message, "errorType": kind, "requestId": request, "stackTrace": [*stack],
        }  # fmt: skip
        context.result(error=words)
        # as Lambda prints it, so what looks for [ERROR] there finds it here
        _say(f"[ERROR] {kind}: {message}")
        if stack:
            _say("Traceback (most recent call last):\n" + "".join(stack).rstrip())
        # an invocation that failed is the caller's to make again, as it is with Lambda
        raise SaidAlready(f"{kind}: {message}") from None
    finally:
        _say(f"END RequestId: {request}")
        took = (time.monotonic() - begun) * 1000
        _say(f"REPORT RequestId: {request}\tDuration: {took:.2f} ms\tBilled Duration: {int(took) + 1} ms")


class _TooLarge(Exception):
    """The answer is larger than what is kept of it."""


def _told(error: Exception) -> tuple[str, str, list[str]]:
    """An error's type, message and stack as Lambda tells them: from the handler on, without what called it."""
    kind = "Function.ResponseSizeTooLarge" if isinstance(error, _TooLarge) else type(error).__name__
    message = str(error)
    stack = [
        text
        for frame, text in zip(
            traceback.extract_tb(error.__traceback__), traceback.format_tb(error.__traceback__), strict=True
        )
        if frame.filename != __file__
    ]
    return kind, message if len(message) <= _MOST_WORDS else f"{message[:_MOST_WORDS]}…", stack[:_MOST_FRAMES]


def _prepare(name: str, variables: Mapping[str, str]) -> None:
    """Make the environment what it is on Lambda, with this Headgate in AWS's place where nothing else is said."""
    os.environ.update(variables)
    region = os.environ.setdefault("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", REGION))
    os.environ.setdefault("AWS_DEFAULT_REGION", region)
    os.environ["AWS_LAMBDA_FUNCTION_NAME"] = name
    os.environ["AWS_LAMBDA_FUNCTION_VERSION"] = "$LATEST"
    server = _server()
    if server and not any(one.startswith("AWS_ENDPOINT_URL") for one in os.environ):
        os.environ["AWS_ENDPOINT_URL"] = server
        if not any(one in os.environ for one in _CREDENTIALS):
            os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106 - of nobody


def _server() -> str:
    """Where the server of this home listens; "" where none does."""
    try:
        return str(json.loads(Path(os.environ["HEADGATE_HOME"], "server.json").read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _event(context: Context) -> Any:
    if context.manifest is not None:
        return {"Records": [_record(one) for one in context.manifest]}
    return json.loads(context.arguments.get("--payload") or "{}")


def _record(one: StoredObject) -> dict[str, Json]:
    about: dict[str, Json] = {"key": quote_plus(one.key, safe="/"), "eTag": one.etag}
    if one.size is not None:
        about["size"] = one.size
    if one.version:
        about["versionId"] = one.version
    if one.sequencer:
        about["sequencer"] = one.sequencer
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": one.bucket, "arn": f"arn:aws:s3:::{one.bucket}"},
            "object": about,
        },
    }


def _find(handler: str) -> Callable[[Any, LambdaContext], Any]:
    module, _, function = handler.rpartition(".")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise TypeError(f"module {module!r} has no function {function!r}")
    return found


def _plain(answer: Any) -> Json:
    """What was returned, as the JSON it must be."""
    try:
        text = json.dumps(answer)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Unable to marshal response: {error}") from error
    if len(text) > _MOST_ANSWER:
        raise _TooLarge(
            f"Response payload size ({len(text)} bytes) exceeded maximum allowed payload size ({_MOST_ANSWER} bytes)."
        )
    return json.loads(text)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
