"""This file is where the Lambda function starts things: a workflow run, a job run, or a Headgate that decides itself.

Glue's starts know no names, so the event's identity is planted in what is started (a run property, an argument), and a
start first looks for it among what was started since the event. A start whose answer was lost is not made again: the
invocation fails, and the next one looks. Of two that look at the same moment, a marker decides (see `marking`).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from headgate.aws_lambda import marking
from headgate.aws_lambda.answers import whole
from headgate.aws_lambda.marking import Marks, Unmarked
from headgate.aws_lambda.messages import Record

#: The run property, and the argument, that holds the event's identity.
PLANTED: Final = "headgate_event"
_CONNECT: Final = 3.0  #: seconds
_READ: Final = 10.0  #: seconds
_CLOCKS: Final = timedelta(minutes=10)  #: the clocks of S3 and of Glue may differ by so much
_MOST_PAGES: Final = 10
_REMEMBERED: Final = 1_000
#: Faults of a start that leave open whether it was made.
_OPEN: Final = frozenset({"InternalServiceException", "OperationTimeoutException", "InternalFailure"})


class Misconfigured(Exception):
    """An environment variable is missing or wrong. The text names it, and says what is expected."""


class NotStarted(Exception):
    """It was not started, or nobody knows whether it was; it is to be tried again."""


class _Doubtful(NotStarted):
    """Nobody knows whether it was started."""


class _Unknown(NotStarted):
    """Headgate does not know the token."""


@dataclass(frozen=True, slots=True)
class Started:
    """What was started; `found`: an earlier invocation had started it."""

    run: str
    what: str
    found: bool


#: Starts what an object asks for; `mark` is the event's identity. Raises NotStarted.
Starter = Callable[[Record, str], Started]

#: What this container started, by the mark: what Glue shows may lag behind.
_recent: OrderedDict[tuple[str, str], str] = OrderedDict()
_clients: dict[int, Any] = {}
_tokens: dict[str, str] = {}


def forget() -> None:
    """Forget what this container knows, as a new one does."""
    _recent.clear()
    _clients.clear()
    _tokens.clear()
    marking.forget()


def marks_of(environ: Mapping[str, str]) -> Marks | None:
    """Where markers are kept, by HEADGATE_MARKS. Raises Misconfigured."""
    place = environ.get("HEADGATE_MARKS", "")
    if not place:
        return None
    parts = urlsplit(place)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise Misconfigured(f"HEADGATE_MARKS: expected a place such as s3://bucket/prefix/, found {place!r}")
    prefix = parts.path.strip("/")
    return Marks(parts.netloc, f"{prefix}/" if prefix else "")


def starter(environ: Mapping[str, str], marks: Marks | None = None) -> Starter | None:
    """Return who starts, by HEADGATE_START: `workflow` (default), `job`, or None for `headgate`.

    Raises:
        Misconfigured: there is no such way, or what it needs is not set.
    """
    way = environ.get("HEADGATE_START") or "workflow"
    if way == "headgate":
        if urlsplit(environ.get("HEADGATE_URL", "")).scheme not in ("http", "https"):
            raise Misconfigured(
                "HEADGATE_URL: expected the http or https URL of a Headgate, for HEADGATE_START=headgate"
            )
        return None
    if way == "workflow":
        name = _needed(environ, "HEADGATE_GLUE_WORKFLOW", "the name of a Glue workflow, for HEADGATE_START=workflow")
        return lambda record, mark: _workflow(name, record, mark, marks)
    if way == "job":
        name = _needed(environ, "HEADGATE_GLUE_JOB", "the name of a Glue job, for HEADGATE_START=job")
        queueing = environ.get("HEADGATE_QUEUEING", "true").lower() != "false"
        return lambda record, mark: _job(name, record, mark, marks, queueing=queueing)
    raise Misconfigured(f"HEADGATE_START: expected workflow, job or headgate, found {way!r}")


def _needed(environ: Mapping[str, str], name: str, what: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise Misconfigured(f"{name}: expected {what}")
    return value


# -- Glue


def _workflow(name: str, record: Record, mark: str, marks: Marks | None) -> Started:
    """Start a run of the workflow, with the object in its run properties."""
    found = _recent.get((name, mark))
    if found is None:
        # nothing says in which order Glue lists them, so all there are are looked at
        for run in _runs("get_workflow_runs", {"Name": name, "MaxResults": 1000}, "Runs"):
            properties: Mapping[str, Any] = run.get("WorkflowRunProperties") or {}
            if properties.get(PLANTED) == mark:
                found = str(run["WorkflowRunId"])
                break
    if found is not None:
        return Started(found, f"workflow {name}", found=True)
    asked = {"Name": name, "RunProperties": {**_about(record), PLANTED: mark}}
    said = _begin("start_workflow_run", asked, name, mark, marks)
    return Started(_remember(name, mark, str(said["RunId"])), f"workflow {name}", found=False)


def _job(name: str, record: Record, mark: str, marks: Marks | None, *, queueing: bool) -> Started:
    """Start a run of the job, with the object in its arguments."""
    found = _recent.get((name, mark))
    if found is None:
        # nothing was started of an event before it happened; one that does not say when was sent by hand, just now
        since = (record.at or datetime.now(UTC)) - _CLOCKS
        for run in _runs("get_job_runs", {"JobName": name, "MaxResults": 200}, "JobRuns", since):
            arguments: Mapping[str, Any] = run.get("Arguments") or {}
            if arguments.get(f"--{PLANTED}") == mark:
                found = str(run["Id"])
                break
    if found is not None:
        return Started(found, f"job {name}", found=True)
    given = {f"--{key}": value for key, value in {**_about(record), PLANTED: mark}.items()}
    asked = {"JobName": name, "Arguments": given, "JobRunQueuingEnabled": queueing}
    said = _begin("start_job_run", asked, name, mark, marks)
    return Started(_remember(name, mark, str(said["JobRunId"])), f"job {name}", found=False)


def _begin(operation: str, asked: Mapping[str, Any], name: str, mark: str, marks: Marks | None) -> dict[str, Any]:
    """Start it, unless another invocation is doing so at this moment. Raises NotStarted."""
    if marks is None:
        return _call(operation, asked, once=True)
    try:
        mine = marks.claim(name, mark)
    except Unmarked as error:
        raise NotStarted(f"HEADGATE_MARKS: {error}") from error
    if not mine:
        raise NotStarted(f"{operation}: another invocation is starting it; what that started is found by the next try")
    try:
        return _call(operation, asked, once=True)
    except _Doubtful:
        raise
    except NotStarted:
        marks.give_back(name, mark)
        raise


def _about(record: Record) -> dict[str, str]:
    """The object, in texts; what is not known is left out."""
    about = {
        "bucket": record.bucket,
        "key": record.key,
        "size": "" if record.size is None else str(record.size),
        "etag": record.etag,
        "version": record.version,
    }
    return {name: value for name, value in about.items() if value}


def _remember(name: str, mark: str, run: str) -> str:
    _recent[name, mark] = run
    while len(_recent) > _REMEMBERED:
        _recent.popitem(last=False)
    return run


def _runs(
    operation: str, asked: Mapping[str, Any], listed: str, since: datetime | None = None
) -> Iterator[Mapping[str, Any]]:
    """Runs page by page. With `since` (Glue lists the newest first): until a page holds none that began after it."""
    more: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        said = _call(operation, {**asked, **more}, once=False)
        page: list[Mapping[str, Any]] = said.get(listed) or []
        yield from page
        token = said.get("NextToken")
        if not token or (since is not None and not any(_began(run) >= since for run in page)):
            return
        more = {"NextToken": token}


def _began(run: Mapping[str, Any]) -> datetime:
    at = run.get("StartedOn")
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.max.replace(tzinfo=UTC)


def _call(operation: str, asked: Mapping[str, Any], *, once: bool) -> dict[str, Any]:
    """Call Glue. `once`: boto3 is not to send it again by itself.

    Raises:
        NotStarted: with Glue's own words.
    """
    import botocore.exceptions  # noqa: PLC0415 - it is there on Lambda; who reads messages elsewhere does without
    import botocore.parsers  # noqa: PLC0415

    attempts = 1 if once else 4
    what = f"{operation} of {asked.get('JobName') or asked.get('Name')}"
    try:
        return getattr(_client(attempts), operation)(**asked)
    except botocore.exceptions.ClientError as error:
        said: Mapping[str, Any] = error.response.get("Error") or {}
        status = int((error.response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0)
        code = str(said.get("Code") or f"HTTP {status}")
        doubt = once and (code in _OPEN or status >= 500)
        raise _not_started(what, f"{code}: {said.get('Message') or ''}", doubt=doubt) from error
    except botocore.parsers.ResponseParserError as error:  # its text repeats the answer, and that may be anything
        raise _not_started(what, "what came is no answer of AWS's", doubt=once) from error
    except (botocore.exceptions.BotoCoreError, OSError) as error:
        never = isinstance(error, botocore.exceptions.EndpointConnectionError | botocore.exceptions.ConnectTimeoutError)
        words = f"{type(error).__name__}: {str(error)[:500]}"
        raise _not_started(what, words, doubt=once and not never) from error


def _not_started(operation: str, said: str, *, doubt: bool) -> NotStarted:
    if doubt:
        return _Doubtful(f"{operation}: {said}; it may have been done all the same, and is looked for by the next try")
    return NotStarted(f"{operation}: {said}")


def _client(attempts: int) -> Any:
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415

    found = _clients.get(attempts)
    if found is None:
        settings = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "standard", "total_max_attempts": attempts},
            user_agent_extra="headgate-lambda",
        )
        found = _clients[attempts] = boto3.client("glue", config=settings)
        found.meta.events.register("after-call", whole)
    return found


# -- Headgate


def post(environ: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Hand a message to the Headgate at HEADGATE_URL; answers what it answered.

    Raises:
        NotStarted: it did not take it. What it did take is known there when it comes again.
    """
    kept = environ.get("HEADGATE_EVENTS_TOKEN_SECRET", "") in _tokens
    try:
        return _post(environ, body)
    except _Unknown:
        if not kept:
            raise
        _tokens.clear()  # the secret may have been rotated since this container read it
        return _post(environ, body)


def _post(environ: Mapping[str, str], body: bytes) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - `starter` has seen that it is http or https
        environ["HEADGATE_URL"].rstrip("/") + "/api/ingestion/events",
        data=body,
        headers={"Content-Type": "application/json", **_bearer(environ)},
        method="POST",
    )
    try:
        with _opener.open(request, timeout=_READ) as answer:
            found: Any = json.loads(answer.read(1 << 24))
    except urllib.error.HTTPError as error:
        said = error.read(2_000).decode("utf-8", "replace")
        error.close()
        kind = _Unknown if error.code == 401 else NotStarted
        raise kind(f"Headgate answered {error.code}: {said}") from error
    except (OSError, ValueError) as error:
        raise NotStarted(f"Headgate did not answer as it should: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise NotStarted("Headgate answered with something else than an object; is HEADGATE_URL its own?")
    return found


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for one host, and a POST that is redirected is no POST any more."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_opener: Final = urllib.request.build_opener(_Stay)


def _bearer(environ: Mapping[str, str]) -> dict[str, str]:
    """The token of HEADGATE_EVENTS_TOKEN, or of the secret that HEADGATE_EVENTS_TOKEN_SECRET names; or none."""
    token, secret = environ.get("HEADGATE_EVENTS_TOKEN", ""), environ.get("HEADGATE_EVENTS_TOKEN_SECRET", "")
    if not token and secret:
        token = _tokens.get(secret) or _fetched(secret)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _fetched(secret: str) -> str:
    import boto3  # noqa: PLC0415 - as above
    import botocore.exceptions  # noqa: PLC0415

    try:
        found = boto3.client("secretsmanager").get_secret_value(SecretId=secret)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise NotStarted(f"the secret {secret} of HEADGATE_EVENTS_TOKEN_SECRET cannot be read: {error}") from error
    _tokens[secret] = str(found["SecretString"])
    return _tokens[secret]
