"""This file is where triggers are made, changed, switched and fired through Glue's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.http.aws_wire import Call, Fault
from headgate.http.glue import shapes
from headgate.http.glue.definitions import check_tags, trigger_of
from headgate.http.glue.jobs import having_tags, paged, refuse_made
from headgate.http.glue.room import Room, invalid, missing
from headgate.ledger import glue, glue_workflows
from headgate.ledger.accepting import Receipt
from headgate.ledger.glue import Made, Told, TriggerRow
from headgate.ledger.writer import Batch
from headgate.model import Json, Outcome, Trigger, TriggerName, TriggerType
from headgate.shapes import trigger_state

DOOR: Final = "glue"

Given = Mapping[str, Any]
Answer = Mapping[str, Json]


def create_trigger(room: Room, call: Call, given: Given) -> Answer:
    """New triggers are CREATED, and fire when they are started; StartOnCreation starts them at once."""
    name: str = given["Name"]
    members = {key: value for key, value in given.items() if key not in ("Name", "Tags")}
    check_tags(given.get("Tags", {}))
    trigger = trigger_of(name, members, tags=given.get("Tags", {}))
    told = Told(members=members, tags=given.get("Tags", {}), invocation=call.invocation)

    def work(batch: Batch) -> Made:
        _check_jobs(batch, trigger)
        _check_workflow(room, batch, trigger)
        return glue.create_trigger(batch, trigger, told, actor=call.actor)

    refuse_made(room.write(work), "Trigger", name)
    return {"Name": name}


def update_trigger(room: Room, call: Call, given: Given) -> Answer:
    """Overwrite what it does; its name, its type and its workflow stay."""
    name, members = given["Name"], {key: value for key, value in given["TriggerUpdate"].items() if key != "Name"}

    def work(batch: Batch) -> TriggerRow:
        found = glue.triggers(batch.connection, [name]).get(name)
        if found is None:
            raise missing("Trigger", name)
        trigger = trigger_of(name, members, before=found.trigger)
        _check_jobs(batch, trigger)
        glue.update_trigger(batch, trigger, members, actor=call.actor)
        return glue.triggers(batch.connection, [name])[name]

    return {"Trigger": shown(room.write(work))}


def _check_jobs(batch: Batch, trigger: Trigger) -> None:
    """Jobs that it starts or watches must be there. Raises Fault."""
    watched = [one.job for one in trigger.predicate.conditions] if trigger.predicate else []
    absent = glue.absent_jobs(batch, [*(one.job for one in trigger.actions), *watched])
    if absent:
        raise missing("Job", absent[0])


def _check_workflow(room: Room, batch: Batch, trigger: Trigger) -> None:
    """The workflow must be there, and have no other start trigger. Raises Fault."""
    if trigger.workflow is None:
        return
    if glue_workflows.find(batch.connection, trigger.workflow) is None:
        raise missing("Workflow", trigger.workflow)
    others = [
        one.name
        for one in glue_workflows.triggers_of(room.gate.ledger.refresh(), trigger.workflow)
        if one.type in glue_workflows.STARTS and one.name != trigger.name
    ]
    if others and trigger.type in glue_workflows.STARTS:
        raise invalid(f"Workflow {trigger.workflow} has a start trigger: {others[0]}; it may have one")


def delete_trigger(room: Room, call: Call, given: Given) -> Answer:
    """A trigger that is not there is no error. What it led to stays in the history."""
    room.write(lambda batch: glue.delete(batch, "trigger", given["Name"], actor=call.actor))
    return {"Name": given["Name"]}


def start_trigger(room: Room, call: Call, given: Given) -> Answer:
    """Switch it on; an ON_DEMAND trigger fires at once, and stays CREATED."""
    name = given["Name"]
    known = _known(room, name)
    if known.type is TriggerType.ON_DEMAND:
        key = f"glue:{call.actor}:{name}:{call.invocation}" if call.invocation else None
        _must_have_fired(room, known, room.gate.fire(name, actor=call.actor, door=DOOR, key=key))
    else:
        room.gate.switch(name, enabled=True, actor=call.actor, reason="StartTrigger")
    return {"Name": name}


def _must_have_fired(room: Room, trigger: Trigger, receipt: Receipt) -> None:
    """Raises Fault where a workflow's start trigger started nothing: its workflow is gone, or has all its runs."""
    skipped = [one.reason for one in receipt.decisions if one.outcome is Outcome.SKIPPED]
    if trigger.workflow is None or not skipped or len(skipped) < len(receipt.decisions):
        return
    workflow = trigger.workflow
    if room.read(lambda connection: glue_workflows.find(connection, workflow)) is None:
        raise missing("Workflow", workflow)
    raise Fault("ConcurrentRunsExceededException", skipped[0])


def stop_trigger(room: Room, call: Call, given: Given) -> Answer:
    """Switch it off; runs that it started go on. An ON_DEMAND trigger has nothing to switch off."""
    name = given["Name"]
    if _known(room, name).type is not TriggerType.ON_DEMAND:
        room.write(lambda batch: glue.stop_trigger(batch, TriggerName(name), actor=call.actor))
    return {"Name": name}


def _known(room: Room, name: str) -> Trigger:
    found = room.gate.ledger.refresh().triggers.get(TriggerName(name))
    if found is None:
        raise missing("Trigger", name)
    return found


def get_trigger(room: Room, call: Call, given: Given) -> Answer:
    del call
    name = given["Name"]
    found = room.read(lambda connection: glue.triggers(connection, [name])).get(name)
    if found is None:
        raise missing("Trigger", name)
    return {"Trigger": shown(found)}


def shown(row: TriggerRow) -> shapes.Shape:
    return shapes.trigger(row.trigger, row.members, trigger_state(row.trigger, touched=row.touched))


def get_triggers(room: Room, call: Call, given: Given) -> Answer:
    del call
    names, rest = paged(_dependent(room, given), given, "triggers")
    found = room.read(lambda connection: glue.triggers(connection, names))
    return {"Triggers": [shown(found[name]) for name in names if name in found], **rest}


def list_triggers(room: Room, call: Call, given: Given) -> Answer:
    del call
    tagged = having_tags(room, "trigger", given.get("Tags"))
    names, rest = paged(_dependent(room, given), given, "trigger names", tagged)
    return {"TriggerNames": names, **rest}


def _dependent(room: Room, given: Given) -> list[str]:
    """Triggers that start the job; where none does, all of them, as AWS documents it."""
    every = room.gate.ledger.refresh().triggers
    job = given.get("DependentJobName")
    starting = [str(name) for name, one in every.items() if any(action.job == job for action in one.actions)]
    return starting if job and starting else [str(name) for name in every]


def batch_get_triggers(room: Room, call: Call, given: Given) -> Answer:
    del call
    names: list[str] = list(dict.fromkeys(given["TriggerNames"]))
    found = room.read(lambda connection: glue.triggers(connection, names))
    return {
        "Triggers": [shown(found[name]) for name in names if name in found],
        "TriggersNotFound": [name for name in names if name not in found],
    }
