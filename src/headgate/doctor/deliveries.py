"""This file is where those a bucket tells are asked whether they can hear it: queues, functions, EventBridge."""

from __future__ import annotations

import fnmatch
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.aws.present import Presence, look
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import word
from headgate.settings import Settings
from headgate.settings.record import Queue

_PAGES: Final = 20  #: of EventBridge's rules, 100 each
_S3: Final = "s3.amazonaws.com"
_NO_QUEUE: Final = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
#: What functions write when something went wrong.
_ERRORS: Final = '?ERROR ?Exception ?"timed out"'


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of EventBridge that takes the events of a bucket."""

    name: str
    enabled: bool
    targets: Sequence[str]  #: ARNs


def lets(policy: str, service: str, action: str, source: str) -> bool:
    """Whether a policy allows a service of AWS to do this for a source (a bucket's ARN). Deny is not looked at."""
    try:
        statements: Any = json.loads(policy or "{}").get("Statement") or []
    except ValueError:
        return False
    for one in statements if isinstance(statements, list) else [statements]:
        named = one.get("Principal")
        who = ["*"] if named == "*" else _listed((named or {}).get("Service")) + _listed((named or {}).get("AWS"))
        may = any(fnmatch.fnmatchcase(action.lower(), each.lower()) for each in _listed(one.get("Action")))
        if one.get("Effect") == "Allow" and may and (service in who or "*" in who) and _meant(one, source):
            return True
    return False


def _meant(statement: Mapping[str, Any], source: str) -> bool:
    """Whether the conditions on the source hold; others (the account's) are taken to."""
    for condition in (statement.get("Condition") or {}).values():
        for key, values in condition.items():
            if key.lower() == "aws:sourcearn" and not any(
                fnmatch.fnmatchcase(source, each) for each in _listed(values)
            ):
                return False
    return True


def _listed(value: object) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in cast("list[object]", value)] if isinstance(value, list) else [str(value)]


# -- queues


def arn_of(queue: Queue, here: str = "") -> str:
    """The queue's ARN, as far as its URL and settings tell, else in the region `here`: it may be missing."""
    parts = urlsplit(queue.url)
    account, _, name = parts.path.strip("/").partition("/")
    labels = (parts.hostname or "").split(".")
    region = queue.region or (labels[1] if labels[0] == "sqs" and len(labels) > 3 else here)
    return f"arn:aws:sqs:{region}:{account}:{name}" if name and account.isdecimal() else ""


def _same(queue: Queue, arn: str) -> bool:
    """Whether they are one queue."""
    ours, theirs = arn_of(queue).split(":"), arn.split(":")
    return len(ours) == len(theirs) and ours[4:] == theirs[4:] and ours[3] in ("", theirs[3])


def of_queue(arn: str, bucket: str, settings: Settings, clients: Clients, *, served: bool) -> Iterator[Finding]:
    """Whether we read the queue, whether the bucket may send to it, and whether messages lie there."""
    queue = next((one for one in settings.sqs if _same(one, arn)), None)
    if queue is None:
        yield Finding(
            Rank.LIKELY,
            f"bucket {bucket!r} tells a queue that Headgate does not read",
            f"{arn} is not among the {len(settings.sqs)} queues of sqs:",
            "name the queue's URL under sqs: in headgate.yaml, then restart: headgate serve",
        )
        return
    place = Place.of(queue, session="headgate-doctor", endpoint=queue.endpoint_url)
    asked = {"QueueUrl": queue.url, "AttributeNames": ["All"]}
    answer = clients.call(place, "sqs", "get_queue_attributes", asked, doing=f"looking at {queue.url}", attempts=2)
    if isinstance(answer, Fault):
        yield _no_answer(queue, answer)
        return
    said: Mapping[str, str] = answer.get("Attributes") or {}
    source = f"arn:aws:s3:::{bucket}"
    if not lets(said.get("Policy", ""), _S3, "sqs:SendMessage", source):
        yield Finding(
            Rank.BROKEN,
            f"bucket {bucket!r} may not send to the queue {arn.rpartition(':')[2]}",
            f"the queue's policy lets {_S3} send nothing for {source}"
            if said.get("Policy")
            else "the queue has no policy",
            _let_send(queue, arn, source),
        )
    count = int(said.get("ApproximateNumberOfMessages") or 0)
    if count:
        yield Finding(
            Rank.POSSIBLE if served else Rank.LIKELY,
            f"{count} messages wait in the queue {arn.rpartition(':')[2]}",
            "nobody has taken them yet" if served else "no server runs to take them",
            "see /readyz: it says what hinders the queue" if served else "headgate serve",
        )


def _no_answer(queue: Queue, fault: Fault) -> Finding:
    if fault.code in _NO_QUEUE or fault.kind is FaultKind.MISSING:
        name = queue.url.rpartition("/")[2]
        mend = f"aws sqs create-queue --queue-name {word(name)}"
        return Finding(Rank.BROKEN, f"there is no queue {queue.url}", str(fault), mend)
    mend = "give us sqs:GetQueueAttributes on it" if fault.kind is FaultKind.DENIED else "headgate doctor aws"
    return unseen(f"the queue {queue.url}", str(fault), mend)


def _let_send(queue: Queue, arn: str, source: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": _S3},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    attributes = shlex.quote(json.dumps({"Policy": policy}, separators=(",", ":")))
    return f"aws sqs set-queue-attributes --queue-url {word(queue.url)} --attributes {attributes}"


# -- functions


def of_function(arn: str, bucket: str, clients: Clients, now: datetime) -> Iterator[Finding]:
    """Whether the function is there, whether the bucket may call it, and what it last wrote of errors."""
    name = arn.split(":")[6] if arn.count(":") >= 6 else arn
    there = look(clients, "lambda", {"function": arn})
    if there.presence in (Presence.MISSING, Presence.UNUSABLE):
        mend = "deploy it (docs/events-from-aws.md), or tell a queue of sqs: instead"
        yield Finding(Rank.BROKEN, f"the function {name!r} cannot be called", there.said, mend)
        return
    if there.presence is not Presence.THERE:
        yield unseen(f"the function {name!r}", there.said, "headgate doctor aws")
    yield from _may_call(arn, name, bucket, clients)
    yield from _wrote(arn, name, clients, now)


def _may_call(arn: str, name: str, bucket: str, clients: Clients) -> Iterator[Finding]:
    place = Place(region=arn.split(":")[3] if arn.count(":") >= 6 else "")
    doing = f"reading the policy of the function {name}"
    answer = clients.call(place, "lambda", "get_policy", {"FunctionName": arn}, doing=doing, attempts=2)
    if isinstance(answer, Fault) and answer.kind is not FaultKind.MISSING:
        mend = "give us lambda:GetPolicy on it" if answer.kind is FaultKind.DENIED else "headgate doctor aws"
        yield unseen(f"who may call the function {name!r}", str(answer), mend)
        return
    source = f"arn:aws:s3:::{bucket}"
    policy = "" if isinstance(answer, Fault) else str(answer.get("Policy") or "")
    if not lets(policy, _S3, "lambda:InvokeFunction", source):
        yield Finding(
            Rank.BROKEN,
            f"bucket {bucket!r} may not call the function {name!r}",
            f"its policy lets {_S3} call nothing for {source}" if policy else "the function has no policy",
            f"aws lambda add-permission --function-name {word(name)} --statement-id s3-{word(bucket)}"
            f" --action lambda:InvokeFunction --principal {_S3} --source-arn {source}",
        )


def _wrote(arn: str, name: str, clients: Clients, now: datetime) -> Iterator[Finding]:
    """What its log says of errors within the last day."""
    group = f"/aws/lambda/{name}"
    place = Place(region=arn.split(":")[3] if arn.count(":") >= 6 else "")
    since = int((now - timedelta(days=1)).timestamp() * 1000)
    asked = {"logGroupName": group, "filterPattern": _ERRORS, "startTime": since, "limit": 50}
    answer = clients.call(place, "logs", "filter_log_events", asked, doing=f"reading {group}", attempts=2)
    tail = f"aws logs tail {group} --follow"
    if isinstance(answer, Fault):
        if answer.kind is FaultKind.MISSING:
            yield Finding(Rank.POSSIBLE, f"the function {name!r} never ran", f"there is no log group {group}", tail)
        else:
            yield unseen(f"the log of the function {name!r}", str(answer), tail)
        return
    lines = [str(one["message"]).strip() for one in answer.get("events") or ()]
    if lines:
        yield Finding(
            Rank.LIKELY,
            f"the function {name!r} told of {len(lines)} errors within the last day",
            " ".join(lines[-1].split())[:300],
            tail,
        )


# -- EventBridge


def rules_of(bucket: str, clients: Clients) -> list[Rule] | Fault:
    """The rules of the default bus that take S3's events of this bucket; the fault where they cannot be listed."""
    found: list[Rule] = []
    doing = "listing EventBridge's rules"
    for answer in clients.pages(Place(), "events", "list_rules", {}, doing=doing, attempts=2, most=_PAGES):
        if isinstance(answer, Fault):
            return answer
        for one in answer.get("Rules") or ():
            if not _takes(str(one.get("EventPattern") or ""), bucket):
                continue
            asked = {"Rule": one["Name"]}
            doing = f"listing the targets of the rule {one['Name']}"
            targets = clients.call(Place(), "events", "list_targets_by_rule", asked, doing=doing, attempts=2)
            if isinstance(targets, Fault):
                return targets
            arns = [str(each["Arn"]) for each in targets.get("Targets") or ()]
            found.append(Rule(str(one["Name"]), one.get("State") != "DISABLED", arns))
    return found


def _takes(pattern: str, bucket: str) -> bool:
    try:
        wanted: Any = json.loads(pattern or "{}")
    except ValueError:
        return False
    if "aws.s3" not in _listed(wanted.get("source")):
        return False
    named = wanted.get("detail", {}).get("bucket", {}).get("name")
    return (
        named is None
        or bucket in _listed(named)
        or (
            isinstance(named, list)
            and any(
                isinstance(one, dict) and bucket.startswith(str(cast("Mapping[str, object]", one).get("prefix", "\0")))
                for one in cast("list[object]", named)
            )
        )
    )


def of_rules(
    bucket: str, rules: Sequence[Rule] | Fault, settings: Settings, clients: Clients, *, told: bool
) -> Iterator[Finding]:
    """EventBridge is on for the bucket: whether a rule takes its events, and hands them on."""
    if isinstance(rules, Fault):
        mend = "give us events:ListRules and events:ListTargetsByRule"
        yield unseen("EventBridge's rules", str(rules), mend)
        return
    pattern = json.dumps(
        {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {"bucket": {"name": [bucket]}}}
    )
    queue = arn_of(settings.sqs[0], clients.region()) if settings.sqs else ""
    if not rules:
        yield Finding(
            Rank.POSSIBLE if told else Rank.BROKEN,
            f"bucket {bucket!r} tells EventBridge, and no rule takes it",
            "no rule of the default bus has the source aws.s3 and this bucket",
            f"aws events put-rule --name {word(bucket + '-uploads')} --event-pattern {shlex.quote(pattern)}",
        )
    for one in rules:
        if not one.enabled:
            yield Finding(
                Rank.POSSIBLE if told else Rank.BROKEN,
                f"EventBridge's rule {one.name!r} is disabled",
                f"it takes the events of bucket {bucket!r}",
                f"aws events enable-rule --name {word(one.name)}",
            )
        elif not one.targets:
            yield Finding(
                Rank.POSSIBLE if told else Rank.BROKEN,
                f"EventBridge's rule {one.name!r} has no target",
                f"it takes the events of bucket {bucket!r} and hands them to nobody",
                f"aws events put-targets --rule {word(one.name)} --targets Id=headgate,Arn={queue}"
                if queue
                else "name a queue under sqs: in headgate.yaml (docs/events-from-aws.md), then: headgate doctor s3",
            )
