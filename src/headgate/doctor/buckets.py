"""This file is where a bucket on AWS is asked whom it tells of new objects, and whether that reaches the triggers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_plus

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.doctor import deliveries
from headgate.doctor.finding import Finding, Rank, unseen
from headgate.doctor.records import Doc, word
from headgate.settings import Settings

_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "queue": ("QueueConfigurations", "QueueArn"),
    "function": ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
    "topic": ("TopicConfigurations", "TopicArn"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """One notification: who is told of which objects."""

    kind: str  #: queue, function or topic
    arn: str
    events: Sequence[str]
    prefix: str = ""
    suffix: str = ""

    @property
    def of_creations(self) -> bool:
        return any(one.removeprefix("s3:").startswith("ObjectCreated:") for one in self.events)

    def __str__(self) -> str:
        return f"{self.kind} {self.arn.rpartition(':')[2]} of {self.prefix or 'any key'}…{self.suffix}"


def examine(
    bucket: str, triggers: Sequence[Doc], settings: Settings, clients: Clients, now: datetime, *, served: bool
) -> Iterator[Finding]:
    """Whether the bucket tells of what each trigger waits for, of nothing twice, and whether those told can hear it."""
    doing = f"asking whom bucket {bucket} tells"
    answer = clients.call(
        Place(), "s3", "get_bucket_notification_configuration", {"Bucket": bucket}, doing=doing, attempts=2
    )
    if isinstance(answer, Fault):
        yield _fault(bucket, answer)
        return
    config = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    told = list(read(config))
    rules = deliveries.rules_of(bucket, clients)
    bridged = "EventBridgeConfiguration" in config
    for trigger in triggers:
        yield from _trigger(
            bucket, trigger, config=config, told=told, rules=rules, settings=settings, bridged=bridged,
            region=clients.region(),
        )  # fmt: skip
    if bridged:
        yield from deliveries.of_rules(bucket, rules, settings, clients, told=bool(told))
    for one in dict.fromkeys((one.kind, one.arn) for one in told if one.of_creations):
        if one[0] == "queue":
            yield from deliveries.of_queue(one[1], bucket, settings, clients, served=served)
        elif one[0] == "function":
            yield from deliveries.of_function(one[1], bucket, clients, now)


def read(config: Mapping[str, Any]) -> Iterator[Told]:
    """The notifications of get-bucket-notification-configuration. Filters are URL-encoded there."""
    for kind, (listed, arn) in _LISTS.items():
        for one in config.get(listed) or ():
            rules = {
                str(rule["Name"]).lower(): unquote_plus(str(rule["Value"]))
                for rule in one.get("Filter", {}).get("Key", {}).get("FilterRules") or ()
            }
            yield Told(kind, str(one[arn]), tuple(one["Events"]), rules.get("prefix", ""), rules.get("suffix", ""))


def _fault(bucket: str, fault: Fault) -> Finding:
    if fault.code == "NoSuchBucket" or fault.kind is FaultKind.MISSING:
        mend = f"aws s3 mb s3://{bucket}; or name another at s3.bucket in headgate.yaml (inboxes: for a folder)"
        return Finding(Rank.BROKEN, f"there is no bucket {bucket!r}", str(fault), mend)
    mend = "give us s3:GetBucketNotification on it" if fault.kind is FaultKind.DENIED else "headgate doctor aws"
    return unseen(f"the notifications of bucket {bucket!r}", str(fault), mend)


def _trigger(
    bucket: str,
    trigger: Doc,
    *,
    config: Mapping[str, Any],
    told: Sequence[Told],
    rules: Sequence[deliveries.Rule] | Fault,
    settings: Settings,
    bridged: bool,
    region: str,
) -> Iterator[Finding]:
    """Whether anybody is told of what this trigger waits for, and nobody twice."""
    wanted = trigger["objects"]
    creations = [one for one in told if one.of_creations]
    whole = [one for one in creations if _covers(one, wanted)]
    name = f"the trigger {trigger['name']!r}"
    by_rule = [one for one in rules if one.enabled] if bridged and not isinstance(rules, Fault) else []
    if len(whole) + len(by_rule) > 1:
        both = [*(str(one) for one in whole), *(f"EventBridge rule {one.name}" for one in by_rule)]
        yield Finding(
            Rank.POSSIBLE,
            f"{len(both)} notifications tell of what {name} waits for, so each upload is told {len(both)} times",
            f"{'; '.join(both)}; Headgate takes the same event once, whoever else is told starts twice",
            f"leave one of them: aws s3api get-bucket-notification-configuration --bucket {word(bucket)}",
        )
    if whole or bridged:
        return
    put = _put(bucket, config, wanted, settings, region)
    if not told:
        waiting = rules[0].name if not isinstance(rules, Fault) and rules else ""
        yield Finding(
            Rank.BROKEN,
            f"EventBridge is off for bucket {bucket!r}, and a rule waits for its events"
            if waiting
            else f"bucket {bucket!r} tells nobody of new objects",
            f"rule {waiting} takes them" if waiting else "its notification configuration is empty",
            _write(bucket, {**config, "EventBridgeConfiguration": {}}) if waiting else put,
        )
    elif not creations:
        yield Finding(
            Rank.BROKEN,
            f"bucket {bucket!r} tells of other things than new objects",
            "; ".join(f"{one}: {', '.join(one.events)}" for one in told),
            put,
        )
    else:
        yield _other(bucket, name, wanted, creations, put)


def _other(bucket: str, name: str, wanted: Doc, creations: Sequence[Told], put: str) -> Finding:
    part = [
        one for one in creations if one.prefix.startswith(wanted["prefix"]) or _covers(one, {**wanted, "suffix": []})
    ]
    evidence = f"{name} waits for {wanted['prefix'] or 'any key'}…{'|'.join(wanted['suffix'])}; told are: " + "; ".join(
        map(str, creations)
    )
    if part:
        return Finding(Rank.LIKELY, f"bucket {bucket!r} tells of a part only of what {name} waits for", evidence, put)
    return Finding(Rank.BROKEN, f"bucket {bucket!r} tells of another prefix than {name} waits for", evidence, put)


def _covers(one: Told, wanted: Doc) -> bool:
    """Whether everything the trigger takes is told."""
    if not str(wanted["prefix"]).startswith(one.prefix):
        return False
    return not one.suffix or (
        bool(wanted["suffix"]) and all(str(each).endswith(one.suffix) for each in wanted["suffix"])
    )


def _put(bucket: str, config: Mapping[str, Any], wanted: Doc, settings: Settings, region: str) -> str:
    """The command that lets the bucket tell our queue, too. It replaces the whole configuration, so it repeats it."""
    queue = deliveries.arn_of(settings.sqs[0], region) if settings.sqs else ""
    if not queue:
        return (
            f"aws sqs create-queue --queue-name {word(bucket + '-events')}; name its URL under sqs: in headgate.yaml"
            " (docs/events-from-aws.md), then: headgate doctor s3"
        )
    rules = [{"Name": "prefix", "Value": wanted["prefix"]}] if wanted["prefix"] else []
    if len(wanted["suffix"]) == 1:
        rules.append({"Name": "suffix", "Value": wanted["suffix"][0]})
    ours: dict[str, Any] = {"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}
    if rules:
        ours["Filter"] = {"Key": {"FilterRules": rules}}
    others = [one for one in config.get("QueueConfigurations") or () if one["QueueArn"] != queue]
    return _write(bucket, {**config, "QueueConfigurations": [*others, ours]})


def _write(bucket: str, config: Mapping[str, Any]) -> str:
    text = shlex.quote(json.dumps(config, separators=(",", ":")))
    return (
        f"aws s3api put-bucket-notification-configuration --bucket {word(bucket)} --notification-configuration {text}"
    )
