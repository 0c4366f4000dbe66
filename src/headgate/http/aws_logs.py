"""This file is where CloudWatch Logs' read side is served: what runs and functions print, for `aws logs tail`.

Groups: `/aws-glue/jobs/output` has what runs print, one stream a run (or attempt), named by its id; also found as
`JOB/ID`, the way many pages say that Glue names them. `/aws-glue/jobs/error` has how runs failed. Both are there again
as `/aws-glue/python-jobs/…` for those runs whose LogGroupName is that. `/aws/lambda/NAME` has what a function of
`functions:` prints, one stream an invocation.
"""

from __future__ import annotations

import asyncio
import heapq
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headgate.engines.local.function import ACCOUNT, REGION, request_of, stream_of
from headgate.errors import HeadgateError, Invalid, NotFound, Unavailable
from headgate.gate import Gate
from headgate.http.aws_wire import Call, Fault, unknown_operation
from headgate.http.glue import model
from headgate.http.log_events import LogEvent, LogEvents, LogLines, Look, Span
from headgate.http.log_pattern import matcher
from headgate.ledger import glue
from headgate.model import Json, Run, attempt_id
from headgate.supervision import records

OUTPUT: Final = "/aws-glue/jobs/output"
ERROR: Final = "/aws-glue/jobs/error"
PYTHON_OUTPUT: Final = "/aws-glue/python-jobs/output"
PYTHON_ERROR: Final = "/aws-glue/python-jobs/error"
FUNCTIONS: Final = "/aws/lambda/"
_MOST_RUNS: Final = 1_000  #: looked through in one call
_MOST_EVENTS: Final = 10_000
_PIECE: Final = 1 << 20  #: bytes of a log that are read at a time
_RUN: Final = re.compile(r"jr_[0-9a-f]{64}(?:_attempt_\d+)?\Z")
_LAMBDA: Final = re.compile(r"\d{4}/\d\d/\d\d/\[\$LATEST\]([0-9a-f]{32})\Z")
_NO_GROUP: Final = "The specified log group does not exist."
_NO_STREAM: Final = "The specified log stream does not exist."

Answer = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Stream:
    """One attempt of a run, as a stream of a group."""

    name: str
    attempt: str
    run: Run
    begun: int  #: milliseconds since the epoch


class LogsService:
    """Logs_20140328.* of the AWS JSON protocol, what is read of it."""

    signing_name = "logs"
    faults: Sequence[tuple[type[HeadgateError], str, int]] = (
        (NotFound, "ResourceNotFoundException", 400),
        (Invalid, "InvalidParameterException", 400),
        (Unavailable, "ServiceUnavailableException", 500),
    )

    def __init__(self, gate: Gate, *, clock: Callable[[], float] = time.time) -> None:
        self._gate = gate
        self._lines = LogLines(self._piece, clock=clock)
        self._model: model.Model | None = None
        self._does: Mapping[str, Callable[[str, Mapping[str, Any]], Answer]] = {
            "DescribeLogGroups": self._groups,
            "DescribeLogStreams": self._streams,
            "GetLogEvents": self._get,
            "FilterLogEvents": self._filter,
        }

    async def answer(self, call: Call) -> Answer:
        """Raises Fault: also for operations that are not served here."""
        does = self._does.get(call.operation)
        if does is None:
            raise unknown_operation(f"Logs_20140328.{call.operation}")
        return await asyncio.to_thread(self._do, does, call)

    def _do(self, does: Callable[[str, Mapping[str, Any]], Answer], call: Call) -> Answer:
        if self._model is None:
            self._model = model.load("logs")
        return does(call.region, self._model.read(call.operation, call.body))

    # -- the operations

    def _groups(self, region: str, body: Mapping[str, Any]) -> Answer:
        prefix, part = body.get("logGroupNamePrefix", ""), body.get("logGroupNamePattern", "").lower()
        if prefix and part:
            raise Invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        names = sorted(
            [OUTPUT, ERROR, PYTHON_OUTPUT, PYTHON_ERROR, *(FUNCTIONS + name for name in self._gate.settings.functions)]
        )
        found = [name for name in names if name.startswith(prefix) and part in name.lower()]
        page, token = _page(found, body, most=50)
        return {"logGroups": [_group(name, region) for name in page], **token}

    def _streams(self, region: str, body: Mapping[str, Any]) -> Answer:
        group, prefix = self._group_of(body), body.get("logStreamNamePrefix", "")
        by_time = body.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise Invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        found = [one for one in self._of_group(group, prefix) if one.name.startswith(prefix)]
        found.sort(key=lambda one: (_last(one.run), one.name) if by_time else (0, one.name))
        if body.get("descending"):
            found.reverse()
        page, token = _page(found, body, most=50)
        return {"logStreams": [_described(one, group, region) for one in page], **token}

    def _get(self, region: str, body: Mapping[str, Any]) -> Answer:
        del region
        group, name = self._group_of(body), str(body["logStreamName"])
        stream = self._stream(group, name)
        first, last = body.get("startTime", 0), body.get("endTime", 1 << 62)
        look = self._lines.look()
        events = self._events(group, stream, look).between(first, last)
        limit = min(int(body.get("limit") or _MOST_EVENTS), _MOST_EVENTS)
        begin, end = _window(body.get("nextToken"), len(events), limit, from_head=bool(body.get("startFromHead")))
        return {
            "events": [
                {"timestamp": one.at, "message": one.text, "ingestionTime": one.at} for one in events[begin:end]
            ],
            "nextForwardToken": f"f/{end:056d}",
            "nextBackwardToken": f"b/{begin:056d}",
        }

    def _filter(self, region: str, body: Mapping[str, Any]) -> Answer:
        del region
        group, prefix = self._group_of(body), body.get("logStreamNamePrefix", "")
        names = body.get("logStreamNames") or ()
        if prefix and names:
            raise Invalid("logStreamNamePrefix and logStreamNames are mutually exclusive parameters.")
        fits = matcher(body.get("filterPattern", ""))
        first, last = body.get("startTime", 0), body.get("endTime", 1 << 62)
        since = _place(body.get("nextToken"))
        if names:
            streams = [self._stream(group, name) for name in names]
        else:
            streams = [one for one in self._of_group(group, prefix, since=first) if one.name.startswith(prefix)]
        look = self._lines.look()
        begin = max(first, since[0])
        found = heapq.merge(*(self._events(group, one, look).between(begin, last + 1) for one in streams))
        fitting = (one for one in found if _key(one) > since and fits(one.text))
        limit = min(int(body.get("limit") or _MOST_EVENTS), _MOST_EVENTS)
        page = [one for one, _ in zip(fitting, range(limit + 1), strict=False)]
        more = {"nextToken": _token(page[limit - 1])} if len(page) > limit else {}
        return {"events": [_filtered(one) for one in page[:limit]], "searchedLogStreams": [], **more}

    # -- groups and streams

    def _group_of(self, body: Mapping[str, Any]) -> str:
        """The group that is meant, by its name or its ARN. Raises Fault: there is none of that name."""
        given = str(body.get("logGroupIdentifier") or body.get("logGroupName") or "")
        name = given.partition(":log-group:")[2].removesuffix(":*") if given.startswith("arn:") else given
        if not name:
            raise Invalid("expected logGroupName or logGroupIdentifier")
        known = name in (OUTPUT, ERROR, PYTHON_OUTPUT, PYTHON_ERROR) or (
            name.startswith(FUNCTIONS) and name[len(FUNCTIONS) :] in self._gate.settings.functions
        )
        if not known:
            raise Fault("ResourceNotFoundException", _NO_GROUP)
        return name

    def _of_group(self, group: str, prefix: str, *, since: int = 0) -> list[Stream]:
        """The streams of a group that may hold something since then, of the newest thousand runs."""
        if _RUN.match(prefix):
            try:
                return [self._stream(group, prefix)]
            except Fault:
                return []
        by_job = bool(prefix) and not "jr_".startswith(prefix[:3])
        found: list[Stream] = []
        for run in self._runs(group):
            if run.started_at is None or (run.ended_at is not None and _ms(run.ended_at) < since):
                continue
            found += _streams_of(group, run, by_job=by_job)
        return found

    def _runs(self, group: str) -> Iterator[Run]:
        ledger, fits = self._gate.ledger, self._belongs(group)
        job = _job_of(group)
        given: set[str] = set()
        for run in ledger.live_runs():
            if fits(run):
                given.add(run.id)
                yield run
        before: int | None = None
        for _ in range(_MOST_RUNS // 200):
            page = ledger.runs(job=job, before=before, limit=200)
            for run in page.items:
                if run.id not in given and fits(run):
                    yield run
            if page.next is None:
                return
            before = page.next

    def _belongs(self, group: str) -> Callable[[Run], bool]:
        """Whether a run is one of the group's."""
        job = _job_of(group)
        if job is not None:
            return lambda run: run.job == job
        if group in (PYTHON_OUTPUT, PYTHON_ERROR):
            shells = self._gate.ledger.read(glue.python_shells)
            return lambda run: run.job in shells
        return lambda run: not run.job.startswith("function:")

    def _stream(self, group: str, name: str) -> Stream:
        """Raises Fault: there is none of that name."""
        invoked, own = _LAMBDA.match(name), _RUN.search(name)
        wanted = f"jr_{invoked[1]}" if invoked else own[0] if own else ""
        try:
            run = self._gate.ledger.run(wanted) if wanted else None
        except NotFound:
            run = None
        streams = _streams_of(group, run, by_job=not name.startswith("jr_")) if run is not None else []
        found = next((one for one in streams if one.name == name), None)
        if found is None or not self._belongs(group)(found.run):
            raise Fault("ResourceNotFoundException", _NO_STREAM)
        return found

    def _events(self, group: str, stream: Stream, look: Look) -> LogEvents:
        run = stream.run
        if group in (ERROR, PYTHON_ERROR):
            ended = run.ended_at is not None and run.error and stream.attempt == attempt_id(run.id, run.attempt)
            return LogEvents(stream.name, [_last(run)], [str(run.error)], range(1 if ended else 0))
        return self._lines.of(stream.attempt, stream.name, Span(stream.begun, self._written(stream)), look)

    def _written(self, stream: Stream) -> int:
        """When the log was written last."""
        file = self._gate.settings.home / "logs" / stream.attempt / records.LOG
        try:
            return max(int(file.stat().st_mtime * 1000), stream.begun)
        except OSError:
            return max(_last(stream.run), stream.begun)

    def _piece(self, attempt: str, offset: int) -> tuple[str, int, bool]:
        part = self._gate.log(attempt, offset=offset, limit=_PIECE)
        return part.text, part.next, part.complete


def _job_of(group: str) -> str | None:
    """The job whose runs a function's group has; None for a group of Glue's."""
    return f"function:{group[len(FUNCTIONS) :]}" if group.startswith(FUNCTIONS) else None


def _streams_of(group: str, run: Run, *, by_job: bool = False) -> list[Stream]:
    """The streams of a run, one an attempt; `by_job`: under the names that begin with the job's."""
    if run.started_at is None:
        return []
    begun = _ms(run.started_at)
    if group.startswith(FUNCTIONS):
        return [Stream(stream_of(run.created_at, request_of(run.id)), run.id, run, begun)]
    names = [attempt_id(run.id, number) for number in range(run.attempt + 1)]
    return [Stream(f"{run.job}/{name}" if by_job else name, name, run, begun) for name in names]


# -- shapes


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _last(run: Run) -> int:
    return _ms(run.ended_at or run.started_at or run.created_at)


def _group(name: str, region: str) -> dict[str, Json]:
    arn = f"arn:aws:logs:{region or REGION}:{ACCOUNT}:log-group:{name}"
    return {
        "logGroupName": name, "creationTime": 0, "metricFilterCount": 0, "arn": f"{arn}:*", "logGroupArn": arn,
        "storedBytes": 0, "logGroupClass": "STANDARD",
    }  # fmt: skip


def _described(one: Stream, group: str, region: str) -> dict[str, Json]:
    return {
        "logStreamName": one.name,
        "creationTime": one.begun,
        "firstEventTimestamp": one.begun,
        "lastEventTimestamp": _last(one.run),
        "lastIngestionTime": _last(one.run),
        "arn": f"arn:aws:logs:{region or REGION}:{ACCOUNT}:log-group:{group}:log-stream:{one.name}",
        "storedBytes": 0,
    }


def _filtered(one: LogEvent) -> dict[str, Json]:
    return {
        "logStreamName": one.stream,
        "timestamp": one.at,
        "message": one.text,
        "ingestionTime": one.at,
        "eventId": one.id,
    }


# -- pages


def _page(found: Sequence[Any], body: Mapping[str, Any], *, most: int) -> tuple[Sequence[Any], dict[str, Json]]:
    limit = min(int(body.get("limit") or most), most)
    token = str(body.get("nextToken") or "n/0")
    number = token.removeprefix("n/")
    if not (token.startswith("n/") and number.isascii() and number.isdigit() and len(number) < 10):
        raise Invalid("The specified nextToken is invalid.")
    first = int(number)
    more: dict[str, Json] = {"nextToken": f"n/{first + limit}"} if first + limit < len(found) else {}
    return found[first : first + limit], more


def _window(token: object, total: int, limit: int, *, from_head: bool) -> tuple[int, int]:
    """Which events of a stream are given: from the head, from the end, or on from a token either way."""
    if token is None:
        return (0, min(limit, total)) if from_head else (max(total - limit, 0), total)
    way, _, number = str(token).partition("/")
    if way not in ("f", "b") or not (number.isascii() and number.isdigit() and len(number) <= 56):
        raise Invalid("The specified nextToken is invalid.")
    at = min(int(number), total)
    return (at, min(at + limit, total)) if way == "f" else (max(at - limit, 0), at)


def _key(one: LogEvent) -> tuple[int, str, int]:
    return one.at, one.stream, one.number


def _token(one: LogEvent) -> str:
    return f"e/{one.at}/{one.number}/{one.stream}"


def _place(token: object) -> tuple[int, str, int]:
    """The event a page ended with."""
    if token is None:
        return 0, "", -1
    parts = str(token).split("/", 3)
    if (
        len(parts) != 4
        or parts[0] != "e"
        or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in parts[1:3])
    ):
        raise Invalid("The specified nextToken is invalid.")
    return int(parts[1]), parts[3], int(parts[2])
