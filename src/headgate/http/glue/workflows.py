"""This file is where workflows are made, started, looked at, stopped and resumed through Glue's API."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from headgate.errors import Conflict
from headgate.http.aws_wire import Call, Fault
from headgate.http.glue import graph, shapes
from headgate.http.glue.definitions import check_tags
from headgate.http.glue.jobs import paged
from headgate.http.glue.room import Room, invalid, missing, place_of, token
from headgate.ledger import glue, glue_runs, glue_workflows
from headgate.ledger.glue import Made, Told
from headgate.ledger.glue_workflows import KIND, AtLimit, Wish, Workflow, WorkflowRun
from headgate.ledger.store import wait_for
from headgate.ledger.writer import Batch
from headgate.model import DEMAND, Event, Json, RunState, Trigger, new_event_id
from headgate.shapes import trigger_state

DOOR: Final = "glue"
MOST_NAMES: Final = 25  #: of a page
MOST_RUNS: Final = 1_000
_LARGEST: Final = 65_536  #: characters of a property

Given = Mapping[str, Any]
Answer = Mapping[str, Json]


def create_workflow(room: Room, call: Call, given: Given) -> Answer:
    name: str = given["Name"]
    members = {key: value for key, value in given.items() if key not in ("Name", "Tags")}
    _check(members)
    check_tags(given.get("Tags", {}))
    told = Told(members=members, tags=given.get("Tags", {}), invocation=call.invocation)

    def work(batch: Batch) -> Made:
        if glue_workflows.find(batch.connection, name) is None:
            glue.tell(batch, KIND, name, told)
            glue.noted(batch, "workflow.create", name, actor=call.actor)
            return Made.NEW
        return glue.compared(batch, KIND, name, told)

    if room.write(work) in (Made.OTHER, Made.DECLARED):
        raise Fault("AlreadyExistsException", f"Workflow {name} already exists")
    return {"Name": name}


def update_workflow(room: Room, call: Call, given: Given) -> Answer:
    """Change what the call says; the rest stays. Runs that are under way go on as they began."""
    name = given["Name"]
    members = {key: value for key, value in given.items() if key != "Name"}
    _check(members)

    def work(batch: Batch) -> None:
        found = glue_workflows.find(batch.connection, name)
        if found is None:
            raise missing("Workflow", name)
        glue.retell(batch, KIND, name, {**found.members, **members})
        glue.noted(batch, "workflow.update", name, actor=call.actor)

    room.write(work)
    return {"Name": name}


def _check(members: Given) -> None:
    if members.get("MaxConcurrentRuns", 1) < 1:
        raise invalid(f"MaxConcurrentRuns: {members['MaxConcurrentRuns']}; expected at least 1, or none for no limit")
    _check_properties(members.get("DefaultRunProperties", {}))


def _check_properties(properties: Mapping[str, str]) -> None:
    for key, value in properties.items():
        if len(value) > _LARGEST:
            raise invalid(f"property {key[:40]!r}: {len(value):,} characters; at most {_LARGEST:,}")


def delete_workflow(room: Room, call: Call, given: Given) -> Answer:
    """A workflow that is not there is no error. Its runs go on; its triggers stay, and fire nothing any more."""
    name = given["Name"]

    def work(batch: Batch) -> None:
        if glue_workflows.find(batch.connection, name) is not None:
            glue.forget(batch, KIND, name)
            glue.noted(batch, "workflow.delete", name, actor=call.actor)

    room.write(work)
    return {"Name": name}


def get_workflow(room: Room, call: Call, given: Given) -> Answer:
    del call
    return {"Workflow": _shown(room, given["Name"], graph_too=bool(given.get("IncludeGraph")))}


def list_workflows(room: Room, call: Call, given: Given) -> Answer:
    del call
    size = {"MaxResults": given.get("MaxResults", MOST_NAMES)}
    names, rest = paged(room.read(glue_workflows.names), {**given, **size}, "workflows")
    return {"Workflows": names, **rest}


def batch_get_workflows(room: Room, call: Call, given: Given) -> Answer:
    del call
    names: list[str] = list(dict.fromkeys(given["Names"]))
    there = set(room.read(glue_workflows.names))
    return {
        "Workflows": [_shown(room, one, graph_too=bool(given.get("IncludeGraph"))) for one in names if one in there],
        "MissingWorkflows": [one for one in names if one not in there],
    }


def _shown(room: Room, name: str, *, graph_too: bool) -> shapes.Shape:
    found = _known(room, name)
    last = room.read(lambda connection: glue_workflows.page(connection, name, before=None, limit=1)).items
    shape: shapes.Shape = {
        "Name": name,
        **found.members,
        "CreatedOn": shapes.seconds(found.created_at),
        "LastModifiedOn": shapes.seconds(found.updated_at),
    }
    if last:
        shape["LastRun"] = _run_shape(last[0])
    if graph_too:
        shape["Graph"] = graph.of(_trigger_shapes(room, _triggers(room, name)), {})
    return shape


def _known(room: Room, name: str) -> Workflow:
    found = room.read(lambda connection: glue_workflows.find(connection, name))
    if found is None:
        raise missing("Workflow", name)
    return found


def _triggers(room: Room, name: str) -> list[Trigger]:
    return glue_workflows.triggers_of(room.gate.ledger.refresh(), name)


def _trigger_shapes(room: Room, triggers: Sequence[Trigger]) -> list[shapes.Shape]:
    untouched = room.gate.ledger.refresh().untouched
    return [shapes.trigger(one, {}, trigger_state(one, touched=one.name not in untouched)) for one in triggers]


# -- runs


def start_workflow_run(room: Room, call: Call, given: Given) -> Answer:
    """Start its run: the start trigger's jobs at once, what follows as it follows. A repeated call starts nothing."""
    name = given["Name"]
    properties: Mapping[str, str] = given.get("RunProperties", {})
    _check_properties(properties)
    _known(room, name)
    wish = Wish(workflow=name, event=_event(call, name), properties=properties, actor=call.actor)
    started = wait_for(
        room.gate.ledger.write_knowing(lambda batch, known: _begun(glue_workflows.start(batch, known, wish), name))
    )
    return {"RunId": started}


def _begun(answer: str | Exception, name: str) -> str | Exception:
    if isinstance(answer, AtLimit):
        return Fault("ConcurrentRunsExceededException", str(answer))
    if isinstance(answer, Exception):
        return invalid(f"Workflow {name} has no start trigger with jobs: an ON_DEMAND, SCHEDULED or EVENT one")
    return answer


def _event(call: Call, name: str) -> Event:
    own = f"glue:{call.actor}:{name}:{call.invocation}" if call.invocation else secrets.token_hex(16)
    return Event(
        id=new_event_id(),
        door=DOOR,
        kind=DEMAND,
        identity=f"{call.operation}:{own}",
        at=datetime.now(UTC),
        payload={"workflow": name, "actor": call.actor},
    )


def get_workflow_run(room: Room, call: Call, given: Given) -> Answer:
    del call
    found = _run(room, given)
    return {"Run": _run_with_graph(room, found) if given.get("IncludeGraph") else _run_shape(found)}


def get_workflow_runs(room: Room, call: Call, given: Given) -> Answer:
    """A page, newest first."""
    del call
    name = given["Name"]
    _known(room, name)
    before = place_of(given.get("NextToken"), f"workflow runs:{name}", int)
    page = room.read(
        lambda connection: glue_workflows.page(
            connection, name, before=before[0] if before else None, limit=given.get("MaxResults", MOST_RUNS)
        )
    )
    graph_too = bool(given.get("IncludeGraph"))
    shown = [_run_with_graph(room, one) if graph_too else _run_shape(one) for one in page.items]
    answer: dict[str, Json] = {"Runs": shown}
    if page.next is not None:
        answer["NextToken"] = token(f"workflow runs:{name}", page.next)
    return answer


def _run(room: Room, given: Given) -> WorkflowRun:
    found = room.read(lambda connection: glue_workflows.run(connection, given["Name"], given["RunId"]))
    if found is None:
        raise missing("Workflow run", given["RunId"])
    return found


def _run_with_graph(room: Room, found: WorkflowRun) -> shapes.Shape:
    runs = room.read(lambda connection: glue_runs.of_runs(connection, [one.run.id for one in found.done]))
    by_job: dict[str, list[shapes.Shape]] = {}
    for one in runs:
        by_job.setdefault(one.run.job, []).append(shapes.job_run(one))
    return {**_run_shape(found), "Graph": graph.of(_trigger_shapes(room, found.triggers), by_job)}


def _run_shape(found: WorkflowRun) -> shapes.Shape:
    shape: shapes.Shape = {
        "Name": found.workflow,
        "WorkflowRunId": found.id,
        "WorkflowRunProperties": _properties(found),
        "StartedOn": shapes.seconds(found.created_at),
        "Status": found.status,
        "Statistics": _statistics(found),
    }
    if found.events:
        first, last = found.events[0][1], found.events[-1][1]
        shape["StartingEventBatchCondition"] = {"BatchSize": len(found.events), "BatchWindow": round(last - first)}
    optional = {
        "PreviousRunId": found.previous,
        "CompletedOn": shapes.seconds(found.completed_at),
        "ErrorMessage": found.error,
    }
    shape.update({name: value for name, value in optional.items() if value is not None})
    return shape


#: What a run counts as; each state of a run has its place.
COUNTED: Final[Mapping[RunState, str]] = {
    RunState.WAITING: "WaitingActions",
    RunState.STARTING: "RunningActions",
    RunState.RUNNING: "RunningActions",
    RunState.STOPPING: "RunningActions",
    RunState.SUCCEEDED: "SucceededActions",
    RunState.FAILED: "FailedActions",
    RunState.STOPPED: "StoppedActions",
    RunState.TIMEOUT: "TimeoutActions",
    RunState.ERROR: "ErroredActions",
    RunState.EXPIRED: "ErroredActions",
}


def _statistics(found: WorkflowRun) -> shapes.Shape:
    counts = {"TotalActions": len(found.done), **dict.fromkeys(COUNTED.values(), 0)}
    for one in found.done:
        counts[COUNTED[one.run.state]] += 1
    return counts


def get_workflow_run_properties(room: Room, call: Call, given: Given) -> Answer:
    del call
    return {"RunProperties": _properties(_run(room, given))}


def _properties(found: WorkflowRun) -> dict[str, str]:
    """With the events that started it, written as AWS writes them."""
    batch = {"aws:eventIds": f"[{', '.join(id_ for id_, _ in found.events)}]"} if found.events else {}
    return {**batch, **found.properties}


def put_workflow_run_properties(room: Room, call: Call, given: Given) -> Answer:
    """They are over what the run has of the same names, and last as long as the run."""
    del call
    properties: Mapping[str, str] = given["RunProperties"]
    _check_properties(properties)
    name, id_ = given["Name"], given["RunId"]
    if not room.write(lambda batch: glue_workflows.put_properties(batch, name, id_, properties)):
        raise missing("Workflow run", id_)
    return {}


def stop_workflow_run(room: Room, call: Call, given: Given) -> Answer:
    """Nothing follows in it any more, and what is under way is stopped."""
    found = _run(room, given)
    if not found.live:
        once = call.invocation
        if once and room.read(lambda connection: glue_workflows.has_stopped(connection, found, once)):
            return {}  # this very call did it, and its answer was lost
        raise _illegal(f"Workflow run {found.id} is {found.status}; only one that is RUNNING can be stopped")
    if found.stopped_at is None:  # else it was asked before, and may not have come to all of its runs
        room.write(lambda batch: glue_workflows.stop(batch, found.id, actor=call.actor, invocation=call.invocation))
    for one in _run(room, given).live:
        try:
            room.gate.stop(one.id, actor=call.actor, reason="StopWorkflowRun")
        except Conflict:  # it ended meanwhile
            continue
    return {}


def resume_workflow_run(room: Room, call: Call, given: Given) -> Answer:
    """Run some jobs of a completed run again, and what follows from them, as a new run."""
    earlier = _run(room, given)
    if earlier.status != "COMPLETED":
        raise _illegal(f"Workflow run {earlier.id} is {earlier.status}; only one that is COMPLETED can be resumed")
    ran = {graph.node_id("JOB", one.run.job): one.run.job for one in earlier.done}
    unknown = [one for one in given["NodeIds"] if one not in ran]
    if unknown or not given["NodeIds"]:
        raise invalid(f"NodeIds: {', '.join(unknown)[:200] or 'none'}; expected nodes of jobs that ran in {earlier.id}")
    jobs = sorted({ran[one] for one in given["NodeIds"]})
    wish = Wish(
        workflow=earlier.workflow, event=_event(call, earlier.workflow), properties=_properties(earlier),
        actor=call.actor, previous=earlier.id, only=jobs,
    )  # fmt: skip
    id_ = wait_for(
        room.gate.ledger.write_knowing(
            lambda batch, known: _begun(glue_workflows.resume(batch, known, earlier, wish), earlier.workflow)
        )
    )
    return {"RunId": id_, "NodeIds": list(given["NodeIds"])}


def _illegal(message: str) -> Fault:
    return Fault("IllegalWorkflowStateException", message)
