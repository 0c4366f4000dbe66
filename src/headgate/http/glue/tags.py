"""This file is where tags of jobs, triggers and workflows are read and set, by their ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from headgate.http.aws_wire import Call
from headgate.http.glue.definitions import check_tags, watched
from headgate.http.glue.room import Room, invalid
from headgate.ledger import glue
from headgate.ledger.writer import Batch
from headgate.model import Json, TriggerType

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
    check_tags(given["TagsToAdd"])

    def work(batch: Batch) -> None:
        wanted = {**glue.tags(batch.connection, kind, name), **given["TagsToAdd"]}
        if len(wanted) > MOST:
            raise invalid(f"TagsToAdd: {name} would have {len(wanted)} tags; at most {MOST}")
        _set(batch, kind, name, wanted, call)

    room.write(work)
    return {}


def untag_resource(room: Room, call: Call, given: Given) -> Answer:
    kind, name = _named(given["ResourceArn"])
    gone = set(given["TagsToRemove"])

    def work(batch: Batch) -> None:
        kept = {key: value for key, value in glue.tags(batch.connection, kind, name).items() if key not in gone}
        _set(batch, kind, name, kept, call)

    room.write(work)
    return {}


def _set(batch: Batch, kind: str, name: str, wanted: Mapping[str, str], call: Call) -> None:
    """Let it have these tags; those of a workflow's EVENT trigger say which objects it takes. Raises Fault."""
    glue.set_tags(batch, kind, name, wanted, actor=call.actor)
    if kind != "trigger":
        return
    found = glue.triggers(batch.connection, [name])[name]
    if found.trigger.type is TriggerType.EVENT and found.trigger.workflow is not None:
        trigger = replace(found.trigger, objects=watched(wanted))
        glue.update_trigger(batch, trigger, found.members, actor=call.actor)


def _named(arn: str) -> tuple[str, str]:
    found = _ARN.fullmatch(arn)
    if found is None:
        expected = "expected arn:aws:glue:<region>:<account>:job/<name>, or …:trigger/<name>, or …:workflow/<name>"
        raise invalid(f"ResourceArn: {arn[:200]!r}; {expected}")
    return found[1], found[2]
