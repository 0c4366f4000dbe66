"""This file is where a Lambda invocation is answered: each object it tells of starts what it should, once.

An invocation may come again with the same event: Lambda retries one that failed, SQS hands a message out twice, S3
tells twice. What an earlier one started is found by the event's identity, which is planted in what is started.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from headgate.aws_lambda.marking import Marks
from headgate.aws_lambda.messages import Malformed, Message, Record, read
from headgate.aws_lambda.objects import family_of, identity_of, unwanted
from headgate.aws_lambda.starting import NotStarted, Started, Starter, marks_of, post, starter

_log: Final = logging.getLogger("headgate.aws_lambda")
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which objects start something. Empty texts take every one."""

    bucket: str = ""
    prefix: str = ""
    suffix: tuple[str, ...] = ()  #: any of these, without regard to case


class Failed(Exception):
    """Something of the invocation was not done; Lambda is to try again. The text says what, and why."""


def handler(event: Mapping[str, Json], context: object) -> dict[str, Json]:
    """Answer an invocation by S3, SNS, SQS, EventBridge, or by hand.

    For SQS: `{"batchItemFailures": [{"itemIdentifier": id}]}` with the messages that are to come again. Else:
    `{"events": [{bucket, key, outcome, run, reason}]}`, where outcome is `started`, `found` (an earlier invocation had
    started it) or `skipped`.

    Raises:
        Failed: it is no batch of SQS, and not everything of it was done.
        Misconfigured: HEADGATE_START and what belongs to it are not set as they should be.
    """
    _log.setLevel(logging.INFO)
    once = Invocation(os.environ, request=str(getattr(context, "aws_request_id", "") or ""))
    messages = _of_sqs(event)
    if messages is None:
        return once.one(event)
    return once.batch(messages)


class Invocation:
    """One invocation, with what the environment says is to be started."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        request: str,
        make: Callable[[Mapping[str, str], Marks | None], Starter | None] = starter,
    ) -> None:
        self._environ = environ
        self._request = request
        self._marks = marks_of(environ)
        self._start = make(environ, self._marks)  #: None: messages are handed to Headgate as they are
        self._wanted = Wanted(
            bucket=environ.get("HEADGATE_BUCKET", ""),
            prefix=environ.get("HEADGATE_PREFIX", ""),
            suffix=tuple(one.strip().lower() for one in environ.get("HEADGATE_SUFFIX", "").split(",") if one.strip()),
        )

    def one(self, event: object) -> dict[str, Json]:
        """Do what the event asks for. Raises Failed."""
        try:
            if self._start is None:
                return post(self._environ, json.dumps(event).encode())
            done, wrong = self._objects(read(cast("dict[str, object]", event)))
        except (Malformed, NotStarted) as error:
            raise Failed(str(error)) from error
        if wrong:
            raise Failed("; ".join(wrong))
        return {"events": done}

    def batch(self, messages: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
        """Do what each message of SQS asks for; answers those that are to come again."""
        failures: list[dict[str, str]] = []
        for message in messages:
            name = str(message.get("messageId") or "")
            try:
                if self._start is None:
                    post(self._environ, str(message.get("body") or "").encode())
                    continue
                _, wrong = self._objects(read(str(message.get("body") or "")))
            except (Malformed, NotStarted) as error:
                wrong = [str(error)]
            if wrong:
                _log.error(json.dumps({"message": name, "failed": wrong}))
                if not name:
                    raise Failed("; ".join(wrong))  # nobody could be told which one it was: all of them come again
                failures.append({"itemIdentifier": name})
        return {"batchItemFailures": failures}

    def _objects(self, message: Message) -> tuple[list[dict[str, Json]], list[str]]:
        """Start what each record asks for; answers what became of each, and what is to be tried again."""
        done: list[dict[str, Json]] = [
            {"outcome": "skipped", "place": place, "run": None, "reason": reason} for place, reason in message.ignored
        ]
        wrong: list[str] = []
        for record in message.records:
            about = {"bucket": record.bucket, "key": record.key}
            try:
                done.append({**about, **self._object(record)})
            except NotStarted as error:
                wrong.append(f"s3://{record.bucket}/{record.key}: {error}")
        for one in done:
            _log.info(json.dumps(one))
        return done, wrong

    def _object(self, record: Record) -> dict[str, Json]:
        reason = self._skip(record)
        if reason is not None or self._start is None:
            return {"outcome": "skipped", "run": None, "reason": reason}
        at = record.at.isoformat() if record.at else ""
        mark = identity_of(
            bucket=record.bucket, key=record.key, version=record.version, etag=record.etag,
            sequencer=record.sequencer, kind=record.kind, fallback=f"{at} {record.request or self._request}",
        )  # fmt: skip
        found: Started = self._start(record, mark)
        return {"outcome": "found" if found.found else "started", "run": found.run, "reason": found.what}

    def _skip(self, record: Record) -> str | None:
        """Why nothing starts for it; None where something does."""
        if family_of(record.kind) != "created":
            return f"event: {record.kind!r} does not say that there is a new object"
        reason = unwanted(record.key, record.size)
        if reason is None and self._marks is not None and self._marks.ours(record.bucket, record.key):
            reason = "marker: one of our own (HEADGATE_MARKS); better no notification covers them"
        if reason is not None:
            return reason
        wanted = self._wanted
        if wanted.bucket and record.bucket != wanted.bucket:
            return f"bucket: {record.bucket!r} is not {wanted.bucket!r}"
        if not record.key.startswith(wanted.prefix):
            return f"prefix: key {record.key!r} does not start with {wanted.prefix!r}"
        if wanted.suffix and not record.key.lower().endswith(wanted.suffix):
            return f"suffix: key {record.key!r} ends with none of {', '.join(wanted.suffix)}"
        return None


def _of_sqs(event: object) -> list[Mapping[str, Json]] | None:
    """The messages of a batch of SQS; None for any other event."""
    records: object = cast("dict[str, object]", event).get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        return None
    found = [cast("Mapping[str, Json]", one) for one in cast("list[object]", records) if isinstance(one, dict)]
    return found if len(found) == len(records) and all(one.get("eventSource") == "aws:sqs" for one in found) else None
