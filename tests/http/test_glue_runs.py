"""This file is where job runs of Glue's API are held to what AWS does with them, spoken to by boto3."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import httpx
import pytest
from gluing import Stand, refused
from served import World

from headgate.ledger import schema
from headgate.ledger.store import wait_for
from headgate.model import RunState

JOB = "ingest"
TARGET = {"content-type": "application/x-amz-json-1.1"}


def ids(glue: Any, **given: Any) -> list[str]:
    return [one["Id"] for one in glue.get_job_runs(JobName=JOB, **given)["JobRuns"]]


def test_a_run_is_started_and_looked_at(world: World, glue: Any) -> None:
    """The id is ours; the arguments are the job's with the call's over them; timestamps are numbers."""
    run = glue.start_job_run(JobName=JOB, Arguments={"--day": "1"})["JobRunId"]
    world.begin(world.ledger.run(run))
    found = glue.get_job_run(JobName=JOB, RunId=run)["JobRun"]

    assert (found["Id"], found["Attempt"], found["JobRunState"]) == (run, 0, "RUNNING")
    assert found["Arguments"] == {"--table": "t", "--day": "1"}
    assert found["Timeout"] == 480
    assert "CompletedOn" not in found
    assert "PreviousRunId" not in found
    world.end(world.ledger.run(run))
    over = glue.get_job_run(JobName=JOB, RunId=run)["JobRun"]
    assert over["JobRunState"] == "SUCCEEDED"
    assert over["CompletedOn"] >= over["StartedOn"]
    assert isinstance(over["ExecutionTime"], int)


def test_a_call_that_is_sent_again_starts_nothing(world: World, glue: Any, stand: Stand) -> None:
    """Every attempt of one SDK call has the same invocation id, and gets the same run; another call gets another."""
    same = str(uuid.uuid4())

    def start(invocation: str, job: str = "a/b <i>&") -> str:
        answer = httpx.post(
            stand.url, json={"JobName": job, "JobRunQueuingEnabled": True}, trust_env=False,
            headers={**TARGET, "x-amz-target": "AWSGlue.StartJobRun", "amz-sdk-invocation-id": invocation},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return str(answer.json()["JobRunId"])

    first = start(same)
    assert [start(same), start(same)] == [first, first]
    assert start(str(uuid.uuid4())) != first
    assert start(same, JOB) != first
    assert len(world.ledger.runs(job="a/b <i>&").items) == 2


def test_at_the_limit_a_call_that_does_not_queue_is_refused(world: World, glue: Any) -> None:
    """Without a word, or with false, as AWS: no run is left. With true it waits, and says why."""
    first = glue.start_job_run(JobName=JOB)["JobRunId"]
    assert refused(glue.start_job_run, JobName=JOB)[0] == "ConcurrentRunsExceededException"
    assert refused(glue.start_job_run, JobName=JOB, JobRunQueuingEnabled=False)[0] == "ConcurrentRunsExceededException"
    assert ids(glue) == [first]

    waiting = glue.start_job_run(JobName=JOB, JobRunQueuingEnabled=True)["JobRunId"]
    found = glue.get_job_run(JobName=JOB, RunId=waiting)["JobRun"]
    assert (found["JobRunState"], found["JobRunQueuingEnabled"]) == ("WAITING", True)
    assert found["StateDetail"]


def test_the_definition_says_whether_its_runs_queue(glue: Any) -> None:
    """The call's word wins over the job's."""
    command = {"Name": "pythonshell", "ScriptLocation": "x.py"}
    glue.create_job(Name="q", Role="r", Command=command, JobRunQueuingEnabled=True)
    first = glue.start_job_run(JobName="q")["JobRunId"]
    assert glue.start_job_run(JobName="q")["JobRunId"] != first
    assert refused(glue.start_job_run, JobName="q", JobRunQueuingEnabled=False)[0] == "ConcurrentRunsExceededException"


def test_arguments_that_nobody_may_override(glue: Any) -> None:
    """DefaultArguments, the call's over them, NonOverridableArguments over both."""
    glue.create_job(
        Name="fixed", Role="r", Command={"Name": "glueetl", "ScriptLocation": "x.py"},
        DefaultArguments={"--a": "job", "--b": "job", "--c": "job"}, NonOverridableArguments={"--c": "fixed"},
    )  # fmt: skip
    run = glue.start_job_run(JobName="fixed", Arguments={"--b": "call", "--c": "call", "--d": "call"})["JobRunId"]
    arguments = glue.get_job_run(JobName="fixed", RunId=run)["JobRun"]["Arguments"]
    assert arguments == {"--a": "job", "--b": "call", "--c": "fixed", "--d": "call"}


def test_what_a_call_says_of_its_run_is_shown_of_it(glue: Any) -> None:
    """Workers, timeout and the like are the call's, else the definition's."""
    glue.create_job(
        Name="sized", Role="r", Command={"Name": "glueetl", "ScriptLocation": "x.py"}, WorkerType="G.1X",
        NumberOfWorkers=2, GlueVersion="5.0", ExecutionProperty={"MaxConcurrentRuns": 3},
    )  # fmt: skip
    plain = glue.start_job_run(JobName="sized")["JobRunId"]
    other = glue.start_job_run(JobName="sized", NumberOfWorkers=5, Timeout=7)["JobRunId"]
    first, second = (glue.get_job_run(JobName="sized", RunId=one)["JobRun"] for one in (plain, other))
    assert (first["WorkerType"], first["NumberOfWorkers"], first["Timeout"]) == ("G.1X", 2, 480)
    assert (second["WorkerType"], second["NumberOfWorkers"], second["Timeout"]) == ("G.1X", 5, 7)
    assert second["GlueVersion"] == "5.0"


def test_every_attempt_is_a_job_run(world: World, glue: Any) -> None:
    """A failed attempt stays FAILED; the next has an id, a number and a predecessor of its own; newest first."""
    run = glue.start_job_run(JobName=JOB)["JobRunId"]
    world.begin(world.ledger.run(run))
    world.end(world.ledger.run(run), RunState.FAILED, error="no luck")
    again = f"{run}_attempt_1"
    assert ids(glue) == [again, run]
    first = glue.get_job_run(JobName=JOB, RunId=run)["JobRun"]
    second = glue.get_job_run(JobName=JOB, RunId=again)["JobRun"]
    assert (first["JobRunState"], first["ErrorMessage"], first["Attempt"]) == ("FAILED", "no luck", 0)
    assert (second["JobRunState"], second["Attempt"], second["PreviousRunId"]) == ("WAITING", 1, run)
    assert "ErrorMessage" not in second


def test_an_attempt_that_is_over_is_not_stopped_in_place_of_its_runs_newest(world: World, glue: Any) -> None:
    """Its own id is refused, and says which attempt is left; the first one's id is the run's, and stops that."""
    glue.create_job(Name="again", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "x.py"}, MaxRetries=5)
    run = glue.start_job_run(JobName="again")["JobRunId"]
    for _ in range(2):
        due = schema.run.update().where(schema.run.c.not_before.is_not(None)).values(not_before=1.0)
        wait_for(world.ledger.write(lambda batch, due=due: batch.connection.execute(due).rowcount))
        wait_for(world.ledger.claim(["again"]))
        world.begin(world.ledger.run(run))
        world.end(world.ledger.run(run), RunState.FAILED)
    [error] = glue.batch_stop_job_run(JobName="again", JobRunIds=[f"{run}_attempt_1"])["Errors"]
    assert error["ErrorDetail"]["ErrorCode"] == "InvalidInputException"
    assert f"ended FAILED; {run}_attempt_2 is what is left" in error["ErrorDetail"]["ErrorMessage"]
    assert world.ledger.run(run).state is RunState.WAITING
    assert glue.batch_stop_job_run(JobName="again", JobRunIds=[run])["Errors"] == []
    assert world.ledger.run(run).state is RunState.STOPPED


@pytest.mark.parametrize("arguments", [{"--a": "x\0y"}, {"--\0": "v"}])
def test_what_no_process_can_be_handed_starts_nothing(world: World, glue: Any, arguments: dict[str, str]) -> None:
    """An argument with a NUL character, at the door and not when the process is to begin."""
    code, message = refused(glue.start_job_run, JobName=JOB, Arguments=arguments)
    assert (code, "has a NUL character" in message) == ("InvalidInputException", True)
    assert world.ledger.runs().items == []


@pytest.mark.parametrize(
    "forged",
    [
        f'["runs:{JOB}",{10**30},0]',
        f'["runs:{JOB}",-1,0]',
        f'["runs:{JOB}",true,0]',
        '["runs:views",1,0]',
        "[" * 5_000,
        "{}",
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_a_token_nobody_gave_out_is_refused(glue: Any, forged: str) -> None:
    """Whatever it holds: no number is too large, no list too deep, for a refusal."""
    token = base64.urlsafe_b64encode(forged.encode()).decode()
    assert refused(glue.get_job_runs, JobName=JOB, NextToken=token)[0] == "InvalidInputException"


@pytest.mark.parametrize(
    "wrong", [{"NumberOfWorkers": 0}, {"MaxCapacity": -1.0}, {"MaxCapacity": 2.0, "WorkerType": "G.1X"}], ids=str
)
def test_sizes_of_a_run_are_checked_like_its_jobs(world: World, glue: Any, wrong: dict[str, Any]) -> None:
    """Before anything starts."""
    assert refused(glue.start_job_run, JobName=JOB, **wrong)[0] == "InvalidInputException"
    assert world.ledger.runs().items == []


def test_pages_are_newest_first_and_cut_between_attempts(world: World, glue: Any) -> None:
    """Every page size gives the same list, whatever starts meanwhile; the last page has no token."""
    runs: list[str] = []
    for number in range(4):
        run = glue.start_job_run(JobName=JOB)["JobRunId"]
        if number == 2:
            world.begin(world.ledger.run(run))
            world.end(world.ledger.run(run), RunState.FAILED)
            runs.insert(0, run)
            run = f"{run}_attempt_1"
        glue.batch_stop_job_run(JobName=JOB, JobRunIds=[run])
        held = world.ledger.run(run)
        if held.ended_at is None:
            world.end(held, RunState.STOPPED)
        runs.insert(0, run)
    assert ids(glue) == runs
    for size in (1, 2, 3, 4, 5):
        pages = glue.get_paginator("get_job_runs").paginate(JobName=JOB, PaginationConfig={"PageSize": size})
        assert [one["Id"] for page in pages for one in page["JobRuns"]] == runs, size
    first = glue.get_job_runs(JobName=JOB, MaxResults=2)
    glue.start_job_run(JobName=JOB)
    assert ids(glue, NextToken=first["NextToken"]) == runs[2:]


@pytest.mark.parametrize(
    "token", ["x", "", "W10=", "WyJydW5zOmluZ2VzdCIsMSwxLDFd", "WyJydW5zOm90aGVyIiwxLDFd", "\u00e9"]
)
def test_a_token_that_is_not_ours_is_refused(glue: Any, token: str) -> None:
    """No matter what it holds; nor does one of another job's list fit."""
    assert refused(glue.get_job_runs, JobName=JOB, NextToken=token)[0] == "InvalidInputException"


def test_a_retry_by_id_is_a_new_run_with_the_same_arguments(world: World, glue: Any) -> None:
    """It names the run before; the call's arguments go over that run's."""
    first = glue.start_job_run(JobName=JOB, Arguments={"--a": "1", "--b": "1"})["JobRunId"]
    world.begin(world.ledger.run(first))
    world.end(world.ledger.run(first))
    second = glue.start_job_run(JobName=JOB, JobRunId=first, Arguments={"--b": "2"})["JobRunId"]
    found = glue.get_job_run(JobName=JOB, RunId=second)["JobRun"]
    assert second != first
    assert found["PreviousRunId"] == first
    assert found["Arguments"] == {"--table": "t", "--a": "1", "--b": "2"}
    assert refused(glue.start_job_run, JobName="views", JobRunId=first)[0] == "EntityNotFoundException"


def test_stopping_answers_for_each_id(world: World, glue: Any) -> None:
    """200 whatever happens: those that stop, and those that cannot, each with its reason; to ask again is harmless."""
    running = glue.start_job_run(JobName=JOB)["JobRunId"]
    waiting = glue.start_job_run(JobName=JOB, JobRunQueuingEnabled=True)["JobRunId"]
    world.begin(world.ledger.run(running))
    answer = glue.batch_stop_job_run(JobName=JOB, JobRunIds=[running, waiting, "jr_none"])
    assert answer["SuccessfulSubmissions"] == [{"JobName": JOB, "JobRunId": one} for one in (running, waiting)]
    assert [one["ErrorDetail"]["ErrorCode"] for one in answer["Errors"]] == ["EntityNotFoundException"]
    states = [glue.get_job_run(JobName=JOB, RunId=one)["JobRun"]["JobRunState"] for one in (running, waiting)]
    assert states == ["STOPPING", "STOPPED"]

    again = glue.batch_stop_job_run(JobName=JOB, JobRunIds=[running, waiting])
    assert [one["JobRunId"] for one in again["SuccessfulSubmissions"]] == [running]
    assert [one["JobRunId"] for one in again["Errors"]] == [waiting]
    world.end(world.ledger.run(running), RunState.STOPPED)
    assert glue.get_job_run(JobName=JOB, RunId=running)["JobRun"]["JobRunState"] == "STOPPED"


@pytest.mark.parametrize(
    ("call", "given", "code"),
    [
        ("start_job_run", {"JobName": "none"}, "EntityNotFoundException"),
        ("start_job_run", {"JobName": JOB, "Timeout": 10_081}, "InvalidInputException"),
        ("start_job_run", {"JobName": JOB, "JobRunQueuingEnabled": True, "ExecutionClass": "FLEX"},
         "InvalidInputException"),
        ("start_job_run", {"JobName": JOB, "JobRunId": "jr_none"}, "EntityNotFoundException"),
        ("start_job_run", {"JobName": JOB, "Arguments": {"--a": "x" * 65_537}}, "InvalidInputException"),
        ("get_job_run", {"JobName": JOB, "RunId": "jr_none"}, "EntityNotFoundException"),
        ("get_job_runs", {"JobName": "none"}, "EntityNotFoundException"),
        ("get_job_runs", {"JobName": JOB, "MaxResults": 201}, "ValidationException"),
        ("start_job_run", {"JobName": "x" * 256}, "ValidationException"),
        ("start_job_run", {"JobName": "line\nbreak"}, "ValidationException"),
        ("start_job_run", {"JobName": JOB, "ExecutionClass": "BANANA"}, "ValidationException"),
        ("batch_stop_job_run", {"JobName": JOB, "JobRunIds": ["jr_x"] * 26}, "ValidationException"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_refused_and_starts_nothing(
    world: World, glue: Any, call: str, given: dict[str, Any], code: str
) -> None:
    """By an error that Glue has, with status 400."""
    assert refused(getattr(glue, call), **given)[0] == code
    assert world.ledger.runs().items == []


def test_a_run_of_another_job_is_not_found(glue: Any) -> None:
    """An id is looked for under its job, byte for byte."""
    run = glue.start_job_run(JobName=JOB)["JobRunId"]
    assert refused(glue.get_job_run, JobName="views", RunId=run)[0] == "EntityNotFoundException"
    assert refused(glue.get_job_run, JobName="Ingest", RunId=run)[0] == "EntityNotFoundException"
    assert refused(glue.get_job_run, JobName=JOB, RunId=run[:20])[0] == "EntityNotFoundException"


def test_a_ledger_that_is_away_is_no_answer_that_a_run_was_started(world: World) -> None:
    """500 for a call that is recognised when it is sent again; else a modelled 400, which SDKs do not send again."""
    world.ledger.close()
    headers = {**TARGET, "x-amz-target": "AWSGlue.StartJobRun"}
    body = json.dumps({"JobName": JOB})
    blind = world.call("POST", "/", content=body, headers=headers)
    known = world.call("POST", "/", content=body, headers={**headers, "amz-sdk-invocation-id": "1"})
    assert (blind.status_code, blind.json()["__type"]) == (400, "OperationTimeoutException")
    assert (known.status_code, known.json()["__type"]) == (500, "InternalServiceException")


def test_names_may_hold_anything_but_control_characters(glue: Any) -> None:
    """Spaces, tabs, quotes, characters of every plane; they are compared byte for byte."""
    name = 'T\u00e4glich "1" \U0001f600\t&'
    glue.create_job(Name=name, Role="r", Command={"Name": "glueetl", "ScriptLocation": "x.py"})
    run = glue.start_job_run(JobName=name)["JobRunId"]
    assert glue.get_job_run(JobName=name, RunId=run)["JobRun"]["JobName"] == name
    assert refused(glue.get_job, JobName=name.upper())[0] == "EntityNotFoundException"
