"""This file is where what boto3 builds on the API is tested: paginators, waiters, and errors that have a class."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.waiter import WaiterModel, create_waiter_with_client
from served import World

from headgate.model import Run, RunState

#: Glue's model has no waiters, so users write their own; this is how.
WAITERS = WaiterModel({
    "version": 2,
    "waiters": {
        "JobRunSucceeded": {
            "operation": "GetJobRun", "delay": 0, "maxAttempts": 5,
            "acceptors": [
                {"matcher": "path", "argument": "JobRun.JobRunState", "expected": "SUCCEEDED", "state": "success"},
                *(
                    {"matcher": "path", "argument": "JobRun.JobRunState", "expected": state, "state": "failure"}
                    for state in ("FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED")
                ),
                {"matcher": "error", "expected": "EntityNotFoundException", "state": "failure"},
            ],
        }
    },
})  # fmt: skip
COMMAND = {"Name": "pythonshell", "ScriptLocation": "x.py"}


@pytest.fixture
def much(glue: Any) -> Any:
    """Three of everything that is listed."""
    for number in range(3):
        glue.create_job(Name=f"j{number}", Role="r", Command=COMMAND, ExecutionProperty={"MaxConcurrentRuns": 9})
        glue.create_workflow(Name=f"w{number}")
        glue.create_trigger(Name=f"t{number}", Type="ON_DEMAND", Actions=[{"JobName": f"j{number}"}])
    glue.create_trigger(Name="start", WorkflowName="w0", Type="ON_DEMAND", Actions=[{"JobName": "j1"}])
    for _ in range(3):
        glue.start_job_run(JobName="j0")
        glue.start_workflow_run(Name="w0")
    return glue


def name(one: Any) -> str:
    return str(one["Name"])


LISTED: list[tuple[str, dict[str, Any], Callable[[Any], str]]] = [
    ("get_jobs", {}, name),
    ("list_jobs", {}, str),
    ("get_job_runs", {"JobName": "j0"}, lambda one: str(one["Id"])),
    ("get_triggers", {}, name),
    ("list_triggers", {}, str),
    ("get_workflow_runs", {"Name": "w0"}, lambda one: str(one["WorkflowRunId"])),
    ("list_workflows", {}, str),
]


def items_of(page: Any) -> list[Any]:
    """What a page lists, whatever that is called."""
    [items] = [value for value in page.values() if isinstance(value, list)]
    return items


@pytest.mark.parametrize(("operation", "given", "key"), LISTED)
def test_every_paginator_brings_each_item_once(
    much: Any, operation: str, given: dict[str, Any], key: Callable[[Any], str]
) -> None:
    """In pages of one and of two what one call without paging brings; a page beyond the end is not asked for."""
    whole = getattr(much, operation)(**given)
    items = items_of(whole)
    assert "NextToken" not in whole
    assert len(items) >= 3
    for size in (1, 2):
        pages = list(much.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": size}))
        found = [key(one) for page in pages for one in items_of(page)]
        assert found == [key(one) for one in items]
        assert len(pages) == -(-len(items) // size)
    some = much.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": 1, "MaxItems": 2})
    assert len([one for page in some for one in items_of(page)]) == 2


def test_job_runs_come_newest_first(much: Any) -> None:
    """By when they were started, which is a time in UTC to boto3."""
    runs = much.get_job_runs(JobName="j0")["JobRuns"]
    assert all(later["StartedOn"] >= earlier["StartedOn"] for later, earlier in pairwise(runs))
    assert {one["StartedOn"].utcoffset().total_seconds() for one in runs} == {0}


REFUSED: list[tuple[str, Callable[[Any], Any]]] = [
    ("EntityNotFoundException", lambda glue: glue.get_job(JobName="none")),
    ("EntityNotFoundException", lambda glue: glue.start_trigger(Name="none")),
    ("InvalidInputException", lambda glue: glue.create_job(Name="n", Role="r", Command={"Name": "gluespark"})),
    ("IdempotentParameterMismatchException", lambda glue: glue.create_job(Name="j0", Role="else", Command=COMMAND)),
    ("AlreadyExistsException", lambda glue: glue.create_job(Name="ingest", Role="r", Command=COMMAND)),
    ("ConcurrentRunsExceededException", lambda glue: (glue.start_job_run(JobName="picky"),
                                                      glue.start_job_run(JobName="picky"))),
    ("IllegalWorkflowStateException", lambda glue: glue.resume_workflow_run(
        Name="w0", RunId=glue.get_workflow_runs(Name="w0")["Runs"][0]["WorkflowRunId"], NodeIds=["x"])),
]  # fmt: skip


@pytest.mark.parametrize(("code", "call"), REFUSED)
def test_an_error_has_its_class(much: Any, code: str, call: Callable[[Any], Any]) -> None:
    """`client.exceptions.X`, which is also a ClientError; its message is there under boto3's usual name."""
    with pytest.raises(getattr(much.exceptions, code)) as caught:
        call(much)
    assert isinstance(caught.value, ClientError)
    error: Any = caught.value.response
    assert error["Error"]["Code"] == code
    assert error["Error"]["Message"]
    assert error["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.fixture
def looked(world: World, glue: Any) -> Callable[[Run, RunState], Any]:
    """A waiter for a run that ends between the first and the second look."""

    def make(run: Run, state: RunState) -> Any:
        looks: list[str] = []

        def after(**_: Any) -> None:
            looks.append("look")
            if len(looks) == 1:
                world.end(world.ledger.run(run.id), state, error="no luck" if state is RunState.FAILED else None)

        glue.meta.events.register("after-call.glue.GetJobRun", after, unique_id="ends")
        waiter = create_waiter_with_client("JobRunSucceeded", WAITERS, glue)
        try:
            waiter.wait(JobName=str(run.job), RunId=run.id)
        finally:
            glue.meta.events.unregister("after-call.glue.GetJobRun", after, unique_id="ends")
        return looks

    return make


def test_a_waiter_of_ones_own_waits_for_a_run(world: World, looked: Callable[[Run, RunState], Any]) -> None:
    """It comes back with the run's success, and raises with its failure, or where there is no such run."""
    assert len(looked(world.begin(world.start("views")), RunState.SUCCEEDED)) == 2
    with pytest.raises(WaiterError, match="terminal failure state") as caught:
        looked(world.begin(world.start("picky")), RunState.FAILED)
    said: Any = caught.value.last_response
    assert (said["JobRun"]["JobRunState"], said["JobRun"]["ErrorMessage"]) == ("FAILED", "no luck")


def test_a_waiter_for_no_run_ends_at_once(glue: Any) -> None:
    """The error is one of those that it knows."""
    with pytest.raises(WaiterError, match="EntityNotFoundException"):
        create_waiter_with_client("JobRunSucceeded", WAITERS, glue).wait(JobName="views", RunId="jr_none")
