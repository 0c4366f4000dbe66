"""This file is where workflows are held to AWS's rules: isolation, snapshots, properties, statistics, resuming."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import pytest
from gluing import refused
from served import World

from headgate.ledger import glue_workflows
from headgate.ledger.store import wait_for
from headgate.model import TICK, Event, Run, RunState, StoredObject, new_event_id

FLOW = "nightly"


@pytest.fixture
def flow(glue: Any) -> Any:
    """a -> b and c; b and c -> d."""
    for name in "abcd":
        glue.create_job(Name=name, Role="r", Command={"Name": "pythonshell", "ScriptLocation": "x.py"},
                        DefaultArguments={"--job": name}, ExecutionProperty={"MaxConcurrentRuns": 5})  # fmt: skip
    glue.create_workflow(Name=FLOW, DefaultRunProperties={"bucket": "raw", "day": "0"}, Description="Every night.")
    glue.create_trigger(Name="go", WorkflowName=FLOW, Type="ON_DEMAND", Actions=[{"JobName": "a"}])
    then(glue, "fork", ["a"], ["b", "c"])
    then(glue, "join", ["b", "c"], ["d"])
    return glue


def then(glue: Any, name: str, watched: list[str], started: list[str], **more: Any) -> None:
    conditions = [{"LogicalOperator": "EQUALS", "JobName": one, "State": "SUCCEEDED"} for one in watched]
    glue.create_trigger(
        Name=name, Type="CONDITIONAL", Predicate={"Logical": "AND", "Conditions": conditions},
        Actions=[{"JobName": one} for one in started], **{"WorkflowName": FLOW, "StartOnCreation": True, **more},
    )  # fmt: skip


def newest(world: World, job: str) -> Run:
    return world.ledger.runs(job=job).items[0]


def end(world: World, *jobs: str, state: RunState = RunState.SUCCEEDED) -> None:
    for job in jobs:
        world.end(world.begin(newest(world, job)), state)


def count(world: World) -> dict[str, int]:
    return {job: len(world.ledger.runs(job=job).items) for job in "abcd"}


def run_of(glue: Any, run: str, **more: Any) -> Any:
    return glue.get_workflow_run(Name=FLOW, RunId=run, **more)["Run"]


def test_a_run_goes_from_its_start_to_its_end(world: World, flow: Any) -> None:
    """Its jobs know whose they are; it is RUNNING as long as one is under way, then COMPLETED, and counts them."""
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    assert run.startswith("wr_")
    first = newest(world, "a")
    assert first.arguments == {"--job": "a", "--WORKFLOW_NAME": FLOW, "--WORKFLOW_RUN_ID": run}
    assert first.cause.trigger == "go"
    assert run_of(flow, run)["Status"] == "RUNNING"
    end(world, "a")
    assert newest(world, "c").arguments["--WORKFLOW_RUN_ID"] == run
    end(world, "b")
    assert count(world)["d"] == 0
    end(world, "c")
    shown = run_of(flow, run)
    assert (shown["Status"], shown["Statistics"]["RunningActions"]) == ("RUNNING", 1)
    assert "CompletedOn" not in shown
    end(world, "d")

    shown = run_of(flow, run)
    assert shown["Status"] == "COMPLETED"
    assert shown["CompletedOn"] >= shown["StartedOn"]
    assert (shown["Statistics"]["TotalActions"], shown["Statistics"]["SucceededActions"]) == (4, 4)
    assert {one.job for one in world.ledger.runs(job="d").items[0].predecessors} == {"b", "c"}


def test_a_run_with_failed_jobs_still_ends_completed(world: World, flow: Any) -> None:
    """As on AWS: what failed is in its statistics."""
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    end(world, "a", state=RunState.FAILED)
    shown = run_of(flow, run)
    assert (shown["Status"], shown["Statistics"]["FailedActions"]) == ("COMPLETED", 1)
    assert count(world) == {"a": 1, "b": 0, "c": 0, "d": 0}


def test_inside_and_outside_do_not_fire_each_other(world: World, flow: Any) -> None:
    """A job started outside fires no trigger of the workflow; one started inside fires only the workflow's."""
    flow.create_job(Name="outside", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "x.py"})
    conditions = [{"LogicalOperator": "EQUALS", "JobName": "a", "State": "SUCCEEDED"}]
    flow.create_trigger(Name="out", Type="CONDITIONAL", StartOnCreation=True, Predicate={"Conditions": conditions},
                        Actions=[{"JobName": "outside"}])  # fmt: skip
    flow.start_job_run(JobName="a")
    end(world, "a")
    assert (count(world)["b"], len(world.ledger.runs(job="outside").items)) == (0, 1)
    flow.start_workflow_run(Name=FLOW)
    end(world, "a")
    assert (count(world)["b"], len(world.ledger.runs(job="outside").items)) == (1, 1)


def test_two_runs_keep_their_ends_apart(world: World, flow: Any) -> None:
    """b of one and c of the other are no pair."""
    runs = [flow.start_workflow_run(Name=FLOW)["RunId"] for _ in range(2)]
    for one in list(world.ledger.runs(job="a").items):
        world.end(world.begin(one))
    mine = {run: {str(one.job): one for one in world.ledger.live_runs() if one.root == run} for run in runs}
    world.end(world.begin(mine[runs[0]]["b"]))
    world.end(world.begin(mine[runs[1]]["c"]))
    assert count(world)["d"] == 0
    world.end(world.begin(mine[runs[0]]["c"]))
    assert [one.root for one in world.ledger.runs(job="d").items] == [runs[0]]


def test_a_run_follows_the_graph_it_started_with(world: World, flow: Any) -> None:
    """What is changed or deleted meanwhile is for the next run."""
    flow.start_workflow_run(Name=FLOW)
    flow.delete_trigger(Name="fork")
    end(world, "a")
    assert count(world)["b"] == 1
    flow.start_workflow_run(Name=FLOW)
    end(world, "a")
    assert count(world)["b"] == 1


def test_properties_are_the_defaults_with_the_runs_own(world: World, flow: Any) -> None:
    """What is put later lasts for that run, and changes no default."""
    run = flow.start_workflow_run(Name=FLOW, RunProperties={"day": "1", "key": "a.csv"})["RunId"]
    assert flow.get_workflow_run_properties(Name=FLOW, RunId=run)["RunProperties"] == {
        "bucket": "raw", "day": "1", "key": "a.csv",
    }  # fmt: skip
    flow.put_workflow_run_properties(Name=FLOW, RunId=run, RunProperties={"day": "2", "rows": "7"})
    assert run_of(flow, run)["WorkflowRunProperties"] == {"bucket": "raw", "day": "2", "key": "a.csv", "rows": "7"}
    other = flow.start_workflow_run(Name=FLOW)["RunId"]
    assert run_of(flow, other)["WorkflowRunProperties"] == {"bucket": "raw", "day": "0"}
    assert refused(flow.put_workflow_run_properties, Name=FLOW, RunId="wr_x", RunProperties={})[0] == (
        "EntityNotFoundException"
    )
    assert len(world.ledger.runs(job="a").items) == 2


def test_it_has_as_many_runs_as_it_may(world: World, flow: Any) -> None:
    """Over the limit a call is refused; a run that is over holds no place; without a limit there is none."""
    flow.update_workflow(Name=FLOW, MaxConcurrentRuns=1)
    flow.start_workflow_run(Name=FLOW)
    assert refused(flow.start_workflow_run, Name=FLOW)[0] == "ConcurrentRunsExceededException"
    end(world, "a", state=RunState.FAILED)
    assert flow.start_workflow_run(Name=FLOW)["RunId"]
    workflow = flow.get_workflow(Name=FLOW)["Workflow"]
    assert (workflow["MaxConcurrentRuns"], workflow["Description"]) == (1, "Every night.")


def test_a_stopped_run_goes_no_further(world: World, flow: Any) -> None:
    """What runs is stopped, what would follow does not; stopping twice is an illegal state."""
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    held = world.begin(newest(world, "a"))
    flow.stop_workflow_run(Name=FLOW, RunId=run)
    assert run_of(flow, run)["Status"] == "STOPPING"
    assert world.ledger.run(held.id).state is RunState.STOPPING
    world.end(world.ledger.run(held.id))
    assert run_of(flow, run)["Status"] == "STOPPED"
    assert count(world)["b"] == 0
    assert refused(flow.stop_workflow_run, Name=FLOW, RunId=run)[0] == "IllegalWorkflowStateException"
    assert refused(flow.resume_workflow_run, Name=FLOW, RunId=run, NodeIds=["x"])[0] == "IllegalWorkflowStateException"


def test_a_completed_run_is_resumed_from_some_of_its_jobs(world: World, flow: Any) -> None:
    """A new run of those and what follows; what the others came to counts in it."""
    run = flow.start_workflow_run(Name=FLOW, RunProperties={"day": "9"})["RunId"]
    end(world, "a", "b")
    end(world, "c", state=RunState.FAILED)
    graph = run_of(flow, run, IncludeGraph=True)["Graph"]
    nodes = {one["Name"]: one for one in graph["Nodes"]}
    assert [one["JobRunState"] for one in nodes["c"]["JobDetails"]["JobRuns"]] == ["FAILED"]
    assert nodes["go"]["TriggerDetails"]["Trigger"]["Type"] == "ON_DEMAND"
    shown = nodes["join"]["TriggerDetails"]["Trigger"]
    assert (shown["State"], shown["WorkflowName"]) == ("ACTIVATED", FLOW)
    edges = {(one["SourceId"], one["DestinationId"]) for one in graph["Edges"]}
    assert (nodes["go"]["UniqueId"], nodes["a"]["UniqueId"]) in edges
    assert (nodes["c"]["UniqueId"], nodes["join"]["UniqueId"]) in edges
    assert len(edges) == 7

    for bad in (["none"], [nodes["d"]["UniqueId"]], [nodes["go"]["UniqueId"]]):
        assert refused(flow.resume_workflow_run, Name=FLOW, RunId=run, NodeIds=bad)[0] == "InvalidInputException"
    again = flow.resume_workflow_run(Name=FLOW, RunId=run, NodeIds=[nodes["c"]["UniqueId"]])["RunId"]
    shown = run_of(flow, again)
    assert (shown["PreviousRunId"], shown["WorkflowRunProperties"]["day"]) == (run, "9")
    assert count(world) == {"a": 1, "b": 1, "c": 2, "d": 0}
    end(world, "c")
    assert newest(world, "d").root == again
    assert run_of(flow, run)["Statistics"]["TotalActions"] == 3


def test_a_schedule_starts_runs_of_the_workflow(world: World, glue: Any) -> None:
    """Each tick one run; a tick over the limit leaves a run that never started, and says why."""
    glue.create_job(Name="a", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "x.py"})
    glue.create_workflow(Name=FLOW, MaxConcurrentRuns=1)
    glue.create_trigger(Name="tick", WorkflowName=FLOW, Type="SCHEDULED", Schedule="cron(0 3 * * ? *)",
                        StartOnCreation=True, Actions=[{"JobName": "a"}])  # fmt: skip
    for number in range(2):
        world.gate.accept([
            Event(id=new_event_id(), door="schedule", kind=TICK, identity=f"tick:{number}", at=datetime.now(UTC),
                  payload={"trigger": "tick"})
        ])  # fmt: skip
    runs = glue.get_workflow_runs(Name=FLOW)["Runs"]
    assert [one["Status"] for one in runs] == ["ERROR", "RUNNING"]
    assert runs[0]["ErrorMessage"] == f"Concurrent runs exceeded for workflow: {FLOW}."
    assert len(world.ledger.runs(job="a").items) == 1


def test_starting_the_start_trigger_starts_the_workflow(world: World, flow: Any) -> None:
    """The on-demand trigger of a workflow is one of its starts."""
    flow.start_trigger(Name="go")
    [run] = flow.get_workflow_runs(Name=FLOW)["Runs"]
    assert newest(world, "a").root == run["WorkflowRunId"]


def test_a_start_trigger_that_starts_nothing_says_why(world: World, flow: Any) -> None:
    """Its workflow has all its runs, or is gone: an error, the same for a call that is sent again."""
    flow.update_workflow(Name=FLOW, MaxConcurrentRuns=1)
    flow.start_trigger(Name="go")
    code, message = refused(flow.start_trigger, Name="go")
    assert (code, message) == ("ConcurrentRunsExceededException", f"Concurrent runs exceeded for workflow: {FLOW}.")
    assert [one["Status"] for one in flow.get_workflow_runs(Name=FLOW)["Runs"]] == ["ERROR", "RUNNING"]
    flow.delete_workflow(Name=FLOW)
    assert refused(flow.start_trigger, Name="go") == ("EntityNotFoundException", f"Workflow {FLOW} not found")
    assert count(world)["a"] == 1


def test_a_stop_that_is_sent_again_is_the_same_stop(world: World, flow: Any) -> None:
    """Its first answer was lost, and all is over by now: no error, but for another call."""
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    world.begin(newest(world, "a"))
    call = {
        "content": json.dumps({"Name": FLOW, "RunId": run}),
        "headers": {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSGlue.StopWorkflowRun",
                    "amz-sdk-invocation-id": "once"},
    }  # fmt: skip
    said = [world.call("POST", "/", **call).status_code]
    world.end(newest(world, "a"), RunState.STOPPED)
    said.append(world.call("POST", "/", **call).status_code)

    assert (said, run_of(flow, run)["Status"]) == ([200, 200], "STOPPED")
    assert refused(flow.stop_workflow_run, Name=FLOW, RunId=run)[0] == "IllegalWorkflowStateException"


def test_a_stop_that_did_not_come_to_every_run_is_asked_again(world: World, flow: Any) -> None:
    """The server may die between the two: while runs are left, StopWorkflowRun stops them."""
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    held = world.begin(newest(world, "a"))
    wait_for(world.ledger.write(lambda batch: glue_workflows.stop(batch, run, actor="ann")))
    assert (run_of(flow, run)["Status"], world.ledger.run(held.id).state) == ("STOPPING", RunState.RUNNING)
    flow.stop_workflow_run(Name=FLOW, RunId=run)
    assert world.ledger.run(held.id).state is RunState.STOPPING


def watching(glue: Any, **more: Any) -> None:
    """A workflow with one job, whose start is an EVENT trigger for CSV files below in/."""
    glue.create_job(Name="a", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "x.py"},
                    JobRunQueuingEnabled=True)  # fmt: skip
    glue.create_workflow(Name=FLOW, DefaultRunProperties={"day": "0"})
    glue.create_trigger(
        Name="files", WorkflowName=FLOW, Type="EVENT", StartOnCreation=True, Actions=[{"JobName": "a"}],
        Tags={"headgate:s3": "s3://raw-data/flow/", "headgate:suffix": ".csv .csv.gz"}, **more,
    )  # fmt: skip


def put(world: World, *keys: str) -> list[tuple[str, str]]:
    """Outcome and reason of what each of these objects led to at the trigger `files`."""
    events = [
        Event(id=new_event_id(), door="s3", kind="ObjectCreated:Put", identity=key, at=datetime.now(UTC),
              object=StoredObject(bucket="raw-data", key=key, size=1, etag=key))
        for key in keys
    ]  # fmt: skip
    receipts = world.gate.accept(events)
    return [(str(d.outcome), d.reason) for one in receipts for d in one.decisions if d.trigger == "files"]


def test_an_objects_event_starts_the_workflow(world: World, glue: Any) -> None:
    """One run for each of the objects that the trigger's tags name; the run knows its event, its job the object."""
    watching(glue)
    assert put(world, "flow/1.csv", "flow/2.CSV.gz", "flow/3.txt", "else/4.csv") == [
        ("fired", ANY), ("fired", ANY), ("skipped", ANY), ("skipped", ANY),
    ]  # fmt: skip
    newest_first = glue.get_workflow_runs(Name=FLOW)["Runs"]
    assert [one["Status"] for one in newest_first] == ["RUNNING"] * 2
    assert [one["StartingEventBatchCondition"]["BatchSize"] for one in newest_first] == [1, 1]
    first = newest_first[-1]["WorkflowRunId"]
    run = next(one for one in world.ledger.runs(job="a").items if one.root == first)
    [stored] = world.gate.objects(run.id)
    assert (stored.key, run.cause.trigger, run.arguments["--WORKFLOW_RUN_ID"]) == ("flow/1.csv", "files", first)
    properties = glue.get_workflow_run_properties(Name=FLOW, RunId=first)["RunProperties"]
    assert properties == {"day": "0", "aws:eventIds": f"[{run.cause.event}]"}
    assert put(world, "flow/1.csv") == [("fired", ANY)]  # the same event again, and what it led to before
    assert len(glue.get_workflow_runs(Name=FLOW)["Runs"]) == 2


def test_events_start_a_workflow_in_batches(world: World, glue: Any) -> None:
    """As many as BatchSize start one run at once; fewer, when BatchWindow is over since the first of them."""
    watching(glue, EventBatchingCondition={"BatchSize": 3, "BatchWindow": 60})
    assert put(world, "flow/1.csv", "flow/2.csv") == [("fired", ANY), ("joined", "event 2 of 3 of its batch")]
    [run] = world.ledger.runs(job="a").items
    assert run.not_before is not None
    assert (run.state, (run.not_before - run.created_at).total_seconds()) == (RunState.WAITING, 60)
    [shown] = glue.get_workflow_runs(Name=FLOW)["Runs"]
    assert (shown["Status"], shown["Statistics"]["WaitingActions"]) == ("RUNNING", 1)
    # in a later delivery: the third makes it full, the fourth is the first of another
    assert [outcome for outcome, _ in put(world, "flow/3.csv", "flow/4.csv")] == ["joined", "fired"]
    assert [one.id for one in world.claimed] == [run.id]
    assert [one.key for one in world.gate.objects(run.id)] == ["flow/1.csv", "flow/2.csv", "flow/3.csv"]
    both = glue.get_workflow_runs(Name=FLOW)["Runs"]
    assert [one["StartingEventBatchCondition"]["BatchSize"] for one in both] == [1, 3]
    assert both[1]["WorkflowRunProperties"]["aws:eventIds"].count("ev_") == 3
    glue.update_trigger(Name="files", TriggerUpdate={"Actions": [{"JobName": "a"}]})
    assert [outcome for outcome, _ in put(world, "flow/5.csv", "flow/6.csv")] == ["fired", "fired"]


def test_a_resumed_run_keeps_the_events_it_came_from(world: World, glue: Any) -> None:
    """As a property of its own; what started it now is no batch of events."""
    watching(glue)
    put(world, "flow/1.csv")
    end(world, "a", state=RunState.FAILED)
    [first] = glue.get_workflow_runs(Name=FLOW, IncludeGraph=True)["Runs"]
    [node] = [one["UniqueId"] for one in first["Graph"]["Nodes"] if one["Name"] == "a"]
    again = run_of(glue, glue.resume_workflow_run(Name=FLOW, RunId=first["WorkflowRunId"], NodeIds=[node])["RunId"])
    assert again["WorkflowRunProperties"] == first["WorkflowRunProperties"]
    assert "StartingEventBatchCondition" not in again


def test_an_event_trigger_takes_what_its_tags_name(world: World, glue: Any) -> None:
    """Off, or without the tag, it takes nothing, and a decision says so; tags that name no bucket are refused."""
    watching(glue)
    glue.stop_trigger(Name="files")
    assert put(world, "flow/1.csv") == [("skipped", "disabled: the trigger is DEACTIVATED")]
    glue.start_trigger(Name="files")
    told = world.call("GET", "/raw-data?notification").text
    assert told.count("<EventBridgeConfiguration/>") == told.count("<CloudFunctionConfiguration>") == 1
    arn = "arn:aws:glue:us-east-1:123456789012:trigger/files"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"headgate:s3": "s3://raw-data"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["headgate:suffix"])
    assert put(world, "elsewhere") == [("fired", ANY)]
    assert refused(glue.tag_resource, ResourceArn=arn, TagsToAdd={"headgate:s3": "raw-data"})[0] == (
        "InvalidInputException"
    )
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"headgate:s3": "s3://raw-data"}
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["headgate:s3"])
    assert put(world, "flow/2.csv") == []
    for bad in ("", "s3://", "s3:///key"):
        given: dict[str, Any] = {"Type": "EVENT", "WorkflowName": "w", "Actions": [{"JobName": "a"}]}
        assert refused(glue.create_trigger, Name="t", Tags={"headgate:s3": bad}, **given)[0] == "InvalidInputException"


def test_an_event_over_the_limit_leaves_a_run_that_says_so(world: World, glue: Any) -> None:
    """As a tick does: in ERROR, with the reason, and the decision has it."""
    watching(glue)
    glue.update_workflow(Name=FLOW, MaxConcurrentRuns=1)
    said = f"Concurrent runs exceeded for workflow: {FLOW}."
    assert put(world, "flow/1.csv", "flow/2.csv") == [("fired", ANY), ("skipped", said)]
    runs = glue.get_workflow_runs(Name=FLOW)["Runs"]
    assert [(one["Status"], one.get("ErrorMessage")) for one in runs] == [("ERROR", said), ("RUNNING", None)]


def test_a_deleted_job_is_an_error_in_the_run(world: World, flow: Any) -> None:
    """A run in state ERROR, counted as such."""
    flow.delete_job(JobName="a")
    run = flow.start_workflow_run(Name=FLOW)["RunId"]
    shown = run_of(flow, run)
    assert (shown["Status"], shown["Statistics"]["ErroredActions"]) == ("COMPLETED", 1)


def test_runs_are_listed_in_pages_newest_first(world: World, flow: Any) -> None:
    """The whole list, whatever the page's size; tokens of other lists do not fit."""
    runs = [flow.start_workflow_run(Name=FLOW)["RunId"] for _ in range(3)][::-1]
    pages = flow.get_paginator("get_workflow_runs").paginate(Name=FLOW, PaginationConfig={"PageSize": 2})
    assert [one["WorkflowRunId"] for page in pages for one in page["Runs"]] == runs
    assert flow.get_workflow(Name=FLOW)["Workflow"]["LastRun"]["WorkflowRunId"] == runs[0]
    strange = flow.get_jobs(MaxResults=1)["NextToken"]
    assert refused(flow.get_workflow_runs, Name=FLOW, NextToken=strange)[0] == "InvalidInputException"


def test_workflows_are_listed_and_deleted(glue: Any) -> None:
    """At most 25 a page; deleting one that is not there is no error; the rest is not found."""
    for number in range(3):
        glue.create_workflow(Name=f"w{number}", Tags={"team": "a"})
    glue.create_workflow(Name="w0", Tags={"team": "a"})
    assert refused(glue.create_workflow, Name="w0", Description="other")[0] == "AlreadyExistsException"
    first = glue.list_workflows(MaxResults=2)
    assert first["Workflows"] == ["w0", "w1"]
    assert glue.list_workflows(NextToken=first["NextToken"])["Workflows"] == ["w2"]
    assert refused(glue.list_workflows, MaxResults=26)[0] == "ValidationException"
    found = glue.batch_get_workflows(Names=["w2", "none"], IncludeGraph=True)
    assert ([one["Name"] for one in found["Workflows"]], found["MissingWorkflows"]) == (["w2"], ["none"])
    assert glue.get_tags(ResourceArn="arn:aws:glue:us-east-1:123456789012:workflow/w1")["Tags"] == {"team": "a"}
    for _ in range(2):
        assert glue.delete_workflow(Name="w0")["Name"] == "w0"
    for call in (glue.get_workflow, glue.start_workflow_run, glue.update_workflow, glue.get_workflow_runs):
        assert refused(call, Name="w0")[0] == "EntityNotFoundException"
    assert refused(glue.start_workflow_run, Name="w1")[0] == "InvalidInputException"


def test_a_workflow_has_one_start(flow: Any) -> None:
    """A second start trigger is refused; so is one of a workflow that is not there, and an EVENT one without any."""
    given: dict[str, Any] = {"Type": "ON_DEMAND", "Actions": [{"JobName": "a"}]}
    assert refused(flow.create_trigger, Name="two", WorkflowName=FLOW, **given)[0] == "InvalidInputException"
    assert refused(flow.create_trigger, Name="two", WorkflowName="none", **given)[0] == "EntityNotFoundException"
    assert refused(flow.create_trigger, Name="e", **{**given, "Type": "EVENT"})[0] == "InvalidInputException"
    then(flow, "later", ["d"], ["a"], StartOnCreation=False)
    nodes = flow.get_workflow(Name=FLOW, IncludeGraph=True)["Workflow"]["Graph"]["Nodes"]
    states = {one["Name"]: one["TriggerDetails"]["Trigger"]["State"] for one in nodes if one["Type"] == "TRIGGER"}
    assert states == {"go": "CREATED", "fork": "ACTIVATED", "join": "ACTIVATED", "later": "CREATED"}
    assert [one["WorkflowName"] for one in flow.get_triggers()["Triggers"] if one["Name"] in ("go", "join")] == [
        FLOW
    ] * 2
