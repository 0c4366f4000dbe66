"""This file is where `sqs:` is read: the queues that events are taken from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from headgate.settings.datasets import REGION as AN_AWS_REGION
from headgate.settings.kinds import ANY_TEXT, pattern, whole
from headgate.settings.nodes import Place, Table
from headgate.settings.reading import Key, Named, Part, Section
from headgate.settings.record import Queue

SQS: Final = Part(
    name="sqs",
    expected="a list of queues, {queue_url, region, role_arn, endpoint_url}",
    description="SQS queues that events are taken from: S3 notifications, EventBridge events, either inside SNS.",
)
QUEUE_URL: Final = Key(
    name="queue_url",
    kind=pattern(
        "a queue's URL such as https://sqs.us-east-1.amazonaws.com/123456789012/uploads", r"https?://[^\s/]+/\S+"
    ),
    default="",
    shown="required",
    description="The queue. A FIFO queue is no target of S3 notifications.",
)
REGION: Final = Key(
    name="region",
    kind=AN_AWS_REGION.kind,
    default="",
    shown="the URL's own, else `AWS_REGION`",
    description="The AWS region the queue is in.",
)
ROLE_ARN: Final = Key(
    name="role_arn",
    kind=pattern("a role's ARN such as arn:aws:iam::123456789012:role/NAME", r"arn:aws[a-z-]*:iam::\d{12}:role/\S+|"),
    default="",
    description="A role to assume for this queue.",
)
EXTERNAL_ID: Final = Key(
    name="external_id", kind=ANY_TEXT, default="", description="The external id the role's trust policy asks for."
)
ENDPOINT_URL: Final = Key(
    name="endpoint_url",
    kind=pattern("an http or https URL", r"https?://[^\s/]\S*|"),
    default="",
    shown="`AWS_ENDPOINT_URL_SQS`, else AWS's own",
    description="Where SQS is, if not at AWS.",
)
POISON_AFTER: Final = Key(
    name="poison_after",
    kind=whole(1, 1000),
    default=3,
    description="After so many receives a message that cannot be read is kept in the dead-letter list and deleted from"
    " the queue.",
)
POLLERS: Final = Key(
    name="pollers",
    kind=whole(1, 32),
    default=1,
    description="How many polls of this queue may be under way at a time: more where ten messages a round trip are too"
    " slow. Each one that waits is a request every 20 s.",
)
QUEUE: Final[Sequence[Named]] = (QUEUE_URL, REGION, ROLE_ARN, EXTERNAL_ID, ENDPOINT_URL, POISON_AFTER, POLLERS)

_REGION_OF: Final = re.compile(r"https?://(?:sqs\.([a-z0-9-]+)|([a-z]{2}(?:-[a-z]+)+-\d)\.queue)\.")


def read_queues(top: Section) -> list[Queue]:
    """Read `sqs:`."""
    queues: list[Queue] = []
    first: dict[str, Place] = {}
    for index, node in enumerate(top.items(SQS)):
        name = f"sqs[{index}]"
        if not isinstance(node, Table):
            top.report.unexpected(node, name, "a mapping")
            continue
        section = Section(node, name, top.report)
        section.only(QUEUE)
        url = section.required(QUEUE_URL)
        if url is None:
            continue
        before = first.setdefault(url, node.place)
        if before is not node.place:
            top.report.problem(node.place, f"{name}: this queue is read already, by the entry at {before}")
        queues.append(
            Queue(
                url=url,
                region=section.get(REGION) or _region(url),
                role_arn=section.get(ROLE_ARN),
                external_id=section.get(EXTERNAL_ID),
                endpoint_url=section.get(ENDPOINT_URL),
                poison_after=section.get(POISON_AFTER),
                pollers=section.get(POLLERS),
            )
        )
    return queues


def _region(url: str) -> str:
    found = _REGION_OF.match(url)
    return (found[1] or found[2]) if found else ""
