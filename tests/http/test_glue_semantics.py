"""This file is where those of Glue's rules are tested that concern jobs, triggers and runs together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from gluing import Stand, refused
from served import World

from headgate.doors.schedule import due
from headgate.model import TICK, WATCHABLE, Event, JobName, Run, RunState, TriggerName, new_event_id

SHELL = {"Name": "pythonshell", "ScriptLocation": "x.py"}


def when(job: str, state: str = "SUCCEEDED") -> dict[str, str]:
    return {"LogicalOperator": "EQUALS", "JobName": job, "State": state}


@pytest.fixture
def jobs(glue: Any) -> Any:
    """Jobs a, b and c, of which c has an argument that nobody overrides."""
    for name in "abc":
        glue.create_job(Name=name, Role="r", Command=SHELL, DefaultArguments={"--x": "job", "--y": "job"},
                        NonOverridableArguments={"--fixed": "job"}, JobRunQueuingEnabled=True)  # fmt: skip
    return glue


def watch(glue: Any, *conditions: dict[str, str], name: str = "t", **more: Any) -> None:
    glue.create_trigger(
        Name=name, Type="CONDITIONAL", StartOnCreation=True, Actions=[{"JobName": "c", **more.pop("Action", {})}],
        Predicate={"Conditions": list(conditions), **more},
    )  # fmt: skip


def runs(world: World, job: str) -> list[Run]:
    return list(world.ledger.runs(job=job).items)


def test_four_states_can_be_watched(jobs: Any) -> None:
    """SUCCEEDED, STOPPED, FAILED and TIMEOUT; every other is refused, in a new trigger and in a change of one."""
    taken: set[str] = set()
    for state in RunState:
        try:
            watch(jobs, when("a", state.value), name=state.value)
        except jobs.exceptions.InvalidInputException:
            continue
        taken.add(state.value)
    assert taken == WATCHABLE == {"SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT"}
    change = {"Predicate": {"Conditions": [when("a", "EXPIRED")]}, "Actions": [{"JobName": "c"}]}
    assert refused(jobs.update_trigger, Name="FAILED", TriggerUpdate=change)[0] == "InvalidInputException"


@pytest.mark.parametrize("state", ["SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT"])
def test_a_trigger_fires_for_its_state_alone(world: World, jobs: Any, state: str) -> None:
    """For each of the four: the run it starts says which trigger that was, and, when asked, after which run."""
    watch(jobs, when("a", state))
    ends = ("SUCCEEDED", "STOPPED", "FAILED", "TIMEOUT")
    ended = {end: world.end(world.begin(world.start("a")), RunState(end)) for end in ends}
    [run] = jobs.get_job_runs(JobName="c")["JobRuns"]
    assert run["TriggerName"] == "t"
    shown = jobs.get_job_run(JobName="c", RunId=run["Id"], PredecessorsIncluded=True)["JobRun"]
    assert shown["PredecessorRuns"] == [{"JobName": "a", "RunId": ended[state].id}]
    assert "PredecessorRuns" not in jobs.get_job_run(JobName="c", RunId=run["Id"])["JobRun"]


def test_all_or_any_of_its_conditions(world: World, jobs: Any) -> None:
    """AND waits for each of them and starts once; ANY starts for each."""
    watch(jobs, when("a"), when("b", "FAILED"), Logical="AND", name="both", Action={"Arguments": {"--x": "both"}})
    watch(jobs, when("a"), when("b", "FAILED"), Logical="ANY", name="either", Action={"Arguments": {"--x": "either"}})
    world.end(world.begin(world.start("a")))
    assert [one.cause.trigger for one in runs(world, "c")] == ["either"]
    world.end(world.begin(world.start("b")))
    assert [one.cause.trigger for one in runs(world, "c")] == ["either"]
    world.end(world.begin(world.start("b")), RunState.FAILED)
    started = [(one.cause.trigger, one.arguments["--x"], len(one.predecessors)) for one in runs(world, "c")]
    assert sorted(map(str, started)) == sorted(map(str, [("either", "either", 1)] * 2 + [("both", "both", 2)]))


def test_a_triggers_arguments_are_between_the_jobs_two(world: World, jobs: Any) -> None:
    """Over the defaults key by key, more are added, and those that nobody may override stay."""
    watch(jobs, when("a"), Action={"Arguments": {"--x": "trigger", "--z": "trigger", "--fixed": "trigger"}})
    world.end(world.begin(world.start("a")))
    [run] = jobs.get_job_runs(JobName="c")["JobRuns"]
    assert run["Arguments"] == {"--x": "trigger", "--y": "job", "--z": "trigger", "--fixed": "job"}


def test_a_run_that_stops_still_takes_its_place(world: World, glue: Any) -> None:
    """At the limit of one: STARTING, RUNNING and STOPPING count; STOPPED does not."""
    run = glue.start_job_run(JobName="picky")["JobRunId"]
    code = "ConcurrentRunsExceededException"
    assert refused(glue.start_job_run, JobName="picky")[0] == code
    held = world.begin(world.ledger.run(run))
    assert refused(glue.start_job_run, JobName="picky")[0] == code
    glue.batch_stop_job_run(JobName="picky", JobRunIds=[run])
    assert glue.get_job_run(JobName="picky", RunId=run)["JobRun"]["JobRunState"] == "STOPPING"
    assert refused(glue.start_job_run, JobName="picky")[0] == code
    world.end(world.ledger.run(held.id), RunState.STOPPED)
    assert glue.start_job_run(JobName="picky")["JobRunId"] != run
    assert len(runs(world, "picky")) == 2


def test_failures_are_tried_again_and_other_ends_are_not(world: World, glue: Any) -> None:
    """`MaxRetries` is for FAILED: what was stopped or took too long stays as it ended, in one job run."""
    glue.create_job(Name="again", Role="r", Command=SHELL, MaxRetries=2)
    for state in (RunState.TIMEOUT, RunState.STOPPED, RunState.SUCCEEDED):
        world.end(world.begin(world.start("again")), state)
    assert [one["Attempt"] for one in glue.get_job_runs(JobName="again")["JobRuns"]] == [0, 0, 0]
    failed = world.end(world.begin(world.start("again")), RunState.FAILED)
    shown = glue.get_job_runs(JobName="again", MaxResults=2)["JobRuns"]
    assert [(one["Attempt"], one["JobRunState"]) for one in shown] == [(1, "WAITING"), (0, "FAILED")]
    assert shown[0]["PreviousRunId"] == shown[1]["Id"] == failed.id


def test_what_a_stopped_trigger_started_goes_on(world: World, jobs: Any) -> None:
    """And what it would have started meanwhile is not made up."""
    watch(jobs, when("a"))
    world.end(world.begin(world.start("a")))
    jobs.stop_trigger(Name="t")
    [run] = runs(world, "c")
    assert world.end(world.begin(run)).state is RunState.SUCCEEDED
    world.end(world.begin(world.start("a")))
    jobs.start_trigger(Name="t")
    jobs.start_trigger(Name="t")
    assert len(runs(world, "c")) == 1


def test_a_tick_that_was_missed_is_not_made_up(world: World, jobs: Any) -> None:
    """As on AWS; a schedule of headgate.yaml says what it wants. A tick for a job that is gone is a run in ERROR."""
    jobs.create_trigger(Name="tick", Type="SCHEDULED", Schedule="cron(0 * * * ? *)", StartOnCreation=True,
                        Actions=[{"JobName": "a"}])  # fmt: skip
    trigger = world.ledger.refresh().triggers[TriggerName("tick")]
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    minute = timedelta(minutes=1)
    assert due([trigger], {trigger.name: now - timedelta(days=1)}, now, minute).events == ()
    [event] = due([trigger], {trigger.name: now - timedelta(days=1)}, now.replace(minute=0), minute).events
    jobs.delete_job(JobName="a")
    world.gate.accept([Event(id=new_event_id(), door="schedule", kind=TICK, identity="t", at=event.at,
                             payload=event.payload)])  # fmt: skip
    [run] = runs(world, JobName("a"))
    assert (run.state, "does not exist" in str(run.error)) == (RunState.ERROR, True)


def test_a_python_shells_log_is_where_its_run_says(world: World, jobs: Any, stand: Stand) -> None:
    """LogGroupName with /output and /error; a Spark job's is not there, and all of them are under /aws-glue/jobs."""
    jobs.create_job(Name="spark", Role="r", Command={"Name": "glueetl", "ScriptLocation": "x.py"})
    ended = {job: world.end(world.begin(world.start(job)), RunState.FAILED, error="no luck") for job in ("a", "spark")}
    for run in ended.values():
        world.write_log(run.id, f"{run.job} says\n", over=True)
    logs: Any = boto3.client("logs", endpoint_url=stand.url, region_name="us-east-1", aws_access_key_id="any",
                             aws_secret_access_key="any")  # fmt: skip
    told = jobs.get_job_run(JobName="a", RunId=ended["a"].id)["JobRun"]
    group = told["LogGroupName"]
    assert group == "/aws-glue/python-jobs"

    def said(group: str, **more: Any) -> list[str]:
        return [one["message"] for one in logs.filter_log_events(logGroupName=group, **more)["events"]]

    assert said(f"{group}/output") == ["a says"]
    assert said(f"{group}/error", logStreamNames=[told["Id"]]) == ["no luck"]
    assert sorted(said("/aws-glue/jobs/output")) == ["a says", "spark says"]
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName=f"{group}/output", logStreamName=ended["spark"].id)
    logs.close()
