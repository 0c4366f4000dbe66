"""This file is where tags of jobs, triggers and workflows are read and set, by their ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from headgate.http.aws_wire import Call
from headgate.http.glue.room import Room, invalid
from headgate.ledger import glue
from headgate.ledger.writer import Batch
from headgate.model import Json

MOST: Final = 50  #: tags of one thing
#: Any region and account will do: there is one of each here.
_ARN: Final = re.compile(r"arn:[a-z0-9-]+:glue:[^:]*:[^:]*:(job|trigger|workflow)/([^\x00-\x08\x0a-\x1f]+)")

Given = Mapping[str, Any]
Answer = Mapping[str, Json]


def get_tags(room: Room, call: Call, given: Given) -> Answer:
    del call
    kind, name = _named(given["ResourceArn"])
    return {"Tags": room.read(lambda connection: glue.tags(connection, kind, name))}


def tag_resource(room: Room, call: Call, given: Given) -> Answer:
    kind, name = _named(given["ResourceArn"])

    def work(batch: Batch) -> None:
        wanted = {**glue.tags(batch.connection, kind, name), **given["TagsToAdd"]}
        if len(wanted) > MOST:
            raise invalid(f"TagsToAdd: {name} would have {len(wanted)} tags; at most {MOST}")
        glue.set_tags(batch, kind, name, wanted, actor=call.actor)

    room.write(work)
    return {}


def untag_resource(room: Room, call: Call, given: Given) -> Answer:
    kind, name = _named(given["ResourceArn"])
    gone = set(given["TagsToRemove"])

    def work(batch: Batch) -> None:
        kept = {key: value for key, value in glue.tags(batch.connection, kind, name).items() if key not in gone}
        glue.set_tags(batch, kind, name, kept, actor=call.actor)

    room.write(work)
    return {}


def _named(arn: str) -> tuple[str, str]:
    found = _ARN.fullmatch(arn)
    if found is None:
        expected = "expected arn:aws:glue:<region>:<account>:job/<name>, or …:trigger/<name>, or …:workflow/<name>"
        raise invalid(f"ResourceArn: {arn[:200]!r}; {expected}")
    return found[1], found[2]
