"""This file is where jobs and triggers of Glue's API are held to AWS's rules: what is taken, shown and refused."""

from __future__ import annotations

from typing import Any

import pytest
from gluing import refused
from served import World

from headgate.ledger.catalogs import Does
from headgate.ledger.store import wait_for
from headgate.model import Origin, RunState

COMMAND = {"Name": "glueetl", "ScriptLocation": "jobs/x.py", "PythonVersion": "3"}
CRON = "cron(0/15 * * * ? *)"


def when(job: str, state: str = "SUCCEEDED") -> dict[str, str]:
    return {"LogicalOperator": "EQUALS", "JobName": job, "State": state}


def conditional(*conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "Type": "CONDITIONAL",
        "Predicate": {"Conditions": list(conditions), **more},
        "Actions": [{"JobName": "views"}],
    }


def state(glue: Any, name: str) -> str:
    return str(glue.get_trigger(Name=name)["Trigger"]["State"])


def told(world: World, name: str) -> str:
    """The state that the REST API tells, alone and among all, and the console."""
    alone = world.call("GET", f"/headgate/api/v1/triggers/{name}").json()["state"]
    among = world.call("GET", "/headgate/api/v1/triggers").json()["items"]
    assert [one["state"] for one in among if one["name"] == name] == [alone]
    assert f"<b>{name}</b></a> <small>{alone}</small>" in world.call("GET", "/headgate/").text
    return str(alone)


# -- jobs


def test_all_members_of_a_job_come_back(glue: Any) -> None:
    """Word for word, with what Glue adds; tags are asked for apart."""
    members: dict[str, Any] = {
        "Description": "Loads.", "Role": "arn:aws:iam::123456789012:role/glue", "Command": COMMAND,
        "DefaultArguments": {"--a": "1", "--TempDir": "s3://t/"}, "NonOverridableArguments": {"--z": "9"},
        "ExecutionProperty": {"MaxConcurrentRuns": 3}, "MaxRetries": 2, "Timeout": 7, "GlueVersion": "5.0",
        "NumberOfWorkers": 2, "WorkerType": "G.1X", "ExecutionClass": "STANDARD", "LogUri": "s3://logs/",
        "Connections": {"Connections": ["c1"]}, "SecurityConfiguration": "sc", "MaintenanceWindow": "Sun:3",
        "NotificationProperty": {"NotifyDelayAfter": 5}, "JobMode": "SCRIPT",
        "SourceControlDetails": {"Provider": "GITHUB", "Repository": "r"},
    }  # fmt: skip
    glue.create_job(Name="all", Tags={"team": "a"}, **members)
    found = glue.get_job(JobName="all")["Job"]
    assert {name: found[name] for name in members} == members
    assert set(found) - set(members) == {"Name", "CreatedOn", "LastModifiedOn"}
    assert glue.get_tags(ResourceArn="arn:aws:glue:eu-west-1:1:job/all")["Tags"] == {"team": "a"}


def test_a_job_has_glues_defaults(world: World, glue: Any) -> None:
    """One run at a time, no retries, 480 minutes (2,880 up to Glue 4.0); at its limit a trigger's run fails."""
    glue.create_job(Name="new", Role="r", Command=COMMAND)
    glue.create_job(Name="old", Role="r", Command=COMMAND, GlueVersion="4.0")
    new, old = (glue.get_job(JobName=name)["Job"] for name in ("new", "old"))
    assert (new["ExecutionProperty"], new["MaxRetries"], new["Timeout"]) == ({"MaxConcurrentRuns": 1}, 0, 480)
    assert old["Timeout"] == 2_880
    assert world.ledger.catalog.jobs[world.ledger.refresh().jobs["old"].name].timeout == 2_880 * 60.0  # type: ignore[index] # a name
    glue.create_trigger(Name="go", Type="ON_DEMAND", Actions=[{"JobName": "new"}])
    for _ in range(2):
        glue.start_trigger(Name="go")
    runs = glue.get_job_runs(JobName="new")["JobRuns"]
    assert [one["JobRunState"] for one in runs] == ["FAILED", "STARTING"]
    assert "Max concurrent runs exceeded" in runs[0]["ErrorMessage"]


def test_the_same_job_may_be_made_again_and_another_of_its_name_may_not(glue: Any) -> None:
    """The two errors that AWS has for it."""
    for _ in range(2):
        assert glue.create_job(Name="j", Role="r", Command=COMMAND)["Name"] == "j"
    assert (
        refused(glue.create_job, Name="j", Role="other", Command=COMMAND)[0] == "IdempotentParameterMismatchException"
    )
    assert refused(glue.create_job, Name="ingest", Role="r", Command=COMMAND)[0] == "AlreadyExistsException"


def test_an_update_overwrites_the_whole_definition(world: World, glue: Any) -> None:
    """What it does not say goes back to its default; what must be said must be."""
    glue.create_job(Name="j", Role="r", Command=COMMAND, MaxRetries=3, Description="old", DefaultArguments={"--a": "1"})
    glue.update_job(JobName="j", JobUpdate={"Role": "r2", "Command": {**COMMAND, "ScriptLocation": "y.py"}})
    found = glue.get_job(JobName="j")["Job"]
    assert (found["Role"], found["MaxRetries"], "Description" in found) == ("r2", 0, False)
    run = glue.start_job_run(JobName="j")["JobRunId"]
    assert world.ledger.run(run).arguments == {}
    assert refused(glue.update_job, JobName="j", JobUpdate={"Role": "r"})[0] == "InvalidInputException"
    assert refused(glue.update_job, JobName="none", JobUpdate={"Role": "r", "Command": COMMAND})[0] == (
        "EntityNotFoundException"
    )


def test_a_declared_job_is_shown_and_may_be_changed(world: World, glue: Any) -> None:
    """With a Command that stands for what it runs; given back as it was, it runs that still. The file sees drift."""
    shown = glue.get_job(JobName="ingest")["Job"]
    assert shown["Command"]["ScriptLocation"] == "true"
    assert (shown["DefaultArguments"], shown["MaxRetries"]) == ({"--table": "t"}, 1)
    update = {key: value for key, value in shown.items() if key not in ("Name", "CreatedOn", "LastModifiedOn")}
    glue.update_job(JobName="ingest", JobUpdate={**update, "Timeout": 7})
    job = world.ledger.refresh().jobs[world.start("ingest").job]
    assert (dict(job.target), job.timeout, job.queue, job.origin) == ({"command": ["true"]}, 420.0, True, Origin.API)
    assert glue.get_job(JobName="ingest")["Job"]["Timeout"] == 7
    assert [(one.name, one.does, one.drift) for one in world.gate.definitions.plan()] == [("ingest", Does.UPDATE, True)]
    world.gate.definitions.apply(everything=True, actor="ann")
    assert glue.get_job(JobName="ingest")["Job"]["Timeout"] == 480
    given = {key: value for key, value in update.items() if key != "Timeout"}
    assert refused(glue.create_job, Name="ingest", Timeout=7, **given)[0] == "AlreadyExistsException"


def test_a_deleted_job_leaves_its_history(world: World, glue: Any) -> None:
    """Its waiting runs end; deleting it again is no error; made anew it has its runs again; the file can restore it."""
    first = glue.start_job_run(JobName="ingest")["JobRunId"]
    waiting = glue.start_job_run(JobName="ingest", JobRunQueuingEnabled=True)["JobRunId"]
    for _ in range(2):
        assert glue.delete_job(JobName="ingest")["JobName"] == "ingest"
    assert refused(glue.get_job, JobName="ingest")[0] == "EntityNotFoundException"
    assert refused(glue.start_job_run, JobName="ingest")[0] == "EntityNotFoundException"
    assert world.ledger.run(waiting).state is RunState.ERROR
    assert world.ledger.run(first).job == "ingest"
    assert ("ingest", Does.RESTORE) in [(one.name, one.does) for one in world.gate.definitions.plan()]
    glue.create_job(Name="ingest", Role="r", Command=COMMAND)
    assert len(glue.get_job_runs(JobName="ingest")["JobRuns"]) == 2


def test_jobs_are_listed_in_pages(glue: Any) -> None:
    """All of them once, whatever the page; by tags; by names, with those that are not there."""
    glue.create_job(Name="tagged", Role="r", Command=COMMAND, Tags={"team": "a", "x": "y"})
    names = ["a/b <i>&", "ingest", "picky", "tagged", "views"]
    for size in (1, 2, 5, 1000):
        pages = glue.get_paginator("get_jobs").paginate(PaginationConfig={"PageSize": size})
        assert [one["Name"] for page in pages for one in page["Jobs"]] == names
    assert glue.list_jobs()["JobNames"] == names
    assert glue.list_jobs(Tags={"team": "a"})["JobNames"] == ["tagged"]
    assert glue.list_jobs(Tags={"team": "b"})["JobNames"] == []
    found = glue.batch_get_jobs(JobNames=["views", "none", "ingest"])
    assert ([one["Name"] for one in found["Jobs"]], found["JobsNotFound"]) == (["views", "ingest"], ["none"])
    assert refused(glue.get_jobs, MaxResults=1001)[0] == "ValidationException"
    assert refused(glue.get_jobs, NextToken="x")[0] == "InvalidInputException"


@pytest.mark.parametrize(
    "wrong",
    [
        {"MaxRetries": 11}, {"MaxRetries": -1}, {"Timeout": 10_081}, {"ExecutionProperty": {"MaxConcurrentRuns": 0}},
        {"JobRunQueuingEnabled": True, "MaxRetries": 1}, {"JobRunQueuingEnabled": True, "ExecutionClass": "FLEX"},
        {"WorkerType": "G.1X", "MaxCapacity": 2.0}, {"Command": {"Name": "glueray", "ScriptLocation": "x.py"}},
        {"Command": {"Name": "glueetl"}}, {"Command": {"Name": "glueetl", "ScriptLocation": "s3://only-a-bucket"}},
        {"Command": {"Name": "glueetl", "ScriptLocation": "s3://raw-data/../../x.py"}},
        {"DefaultArguments": {"--a": "x" * 65_537}}, {"NumberOfWorkers": 0},
        {"NonOverridableArguments": {"--a": "x\0y"}}, {"MaxCapacity": -1.0}, {"MaxCapacity": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_a_job_that_cannot_be_is_refused(glue: Any, wrong: dict[str, Any]) -> None:
    """As InvalidInputException, in a create and in an update; nothing of it is kept."""
    assert refused(glue.create_job, **{"Name": "bad", "Role": "r", "Command": COMMAND, **wrong})[0] == (
        "InvalidInputException"
    )
    assert refused(glue.update_job, JobName="views", JobUpdate={"Role": "r", "Command": COMMAND, **wrong})[0] == (
        "InvalidInputException"
    )
    assert "bad" not in glue.list_jobs()["JobNames"]
    assert glue.get_job(JobName="views")["Job"]["Command"]["ScriptLocation"] == "true"


def test_where_scripts_may_lie(world: World, glue: Any) -> None:
    """A path, a file of an inbox that stands for its bucket, or S3 itself, from which the run fetches it."""
    places = {"a": "jobs/x.py", "b": "file:///jobs/x.py", "c": "s3://raw-data/scripts/x.py", "d": "s3://elsewhere/x.py"}
    for name, place in places.items():
        glue.create_job(Name=name, Role="r", Command={"Name": "pythonshell", "ScriptLocation": place})
    targets: Any = {str(name): dict(job.target) for name, job in world.ledger.refresh().jobs.items()}
    assert targets["a"] == {"script": "jobs/x.py"}
    assert targets["b"] == {"script": "/jobs/x.py"}
    assert targets["c"] == {"script": str((world.settings.inboxes["raw-data"] / "scripts/x.py").resolve())}
    assert targets["d"]["command"][-2:] == ["headgate.engines.local.from_s3", "s3://elsewhere/x.py"]


def test_tags_are_added_and_taken_away(glue: Any) -> None:
    """Of declared jobs and triggers, too; at most fifty; by ARN, of things that there are."""
    job, trigger = (f"arn:aws:glue:us-east-1:123456789012:{one}" for one in ("job/ingest", "trigger/asked"))
    glue.tag_resource(ResourceArn=job, TagsToAdd={"a": "1", "b": "2"})
    glue.tag_resource(ResourceArn=job, TagsToAdd={"b": "3"})
    glue.untag_resource(ResourceArn=job, TagsToRemove=["a", "none"])
    glue.tag_resource(ResourceArn=trigger, TagsToAdd={"t": "1"})
    assert glue.get_tags(ResourceArn=job)["Tags"] == {"b": "3"}
    assert glue.list_triggers(Tags={"t": "1"})["TriggerNames"] == ["asked"]
    assert glue.get_job(JobName="ingest")["Job"]["Command"]["ScriptLocation"] == "true"
    more = {str(number): "x" for number in range(50)}
    assert refused(glue.tag_resource, ResourceArn=job, TagsToAdd=more)[0] == "InvalidInputException"
    assert "which AWS keeps for itself" in refused(glue.tag_resource, ResourceArn=job, TagsToAdd={"aws:x": "1"})[1]
    assert refused(glue.get_tags, ResourceArn=job + "x")[0] == "EntityNotFoundException"
    assert refused(glue.get_tags, ResourceArn="arn:aws:glue:us-east-1:1:table/a/b")[0] == "InvalidInputException"
    assert refused(glue.get_tags, ResourceArn="arn:aws:s3:::x")[0] == "ValidationException"


def test_a_bookmark_is_where_the_successful_runs_came_to(world: World, glue: Any) -> None:
    """Only runs with bookmarks enabled count; a reset takes them out, to the beginning or to a run."""
    assert refused(glue.get_job_bookmark, JobName="ingest")[0] == "EntityNotFoundException"
    runs: list[str] = []
    for number in range(4):
        option = "job-bookmark-disable" if number == 1 else "job-bookmark-enable"
        run = glue.start_job_run(JobName="ingest", Arguments={"--job-bookmark-option": option})["JobRunId"]
        world.end(world.begin(world.ledger.run(run)))
        runs.append(run)
    entry = glue.get_job_bookmark(JobName="ingest")["JobBookmarkEntry"]
    assert (entry["Run"], entry["RunId"], entry["PreviousRunId"], entry["Version"]) == (3, runs[3], runs[2], 0)
    assert glue.get_job_bookmark(JobName="ingest", RunId=runs[2])["JobBookmarkEntry"]["Run"] == 2
    assert refused(glue.get_job_bookmark, JobName="ingest", RunId=runs[1])[0] == "EntityNotFoundException"
    back = glue.reset_job_bookmark(JobName="ingest", RunId=runs[2])["JobBookmarkEntry"]
    assert (back["Version"], back["Run"], back["RunId"]) == (1, 2, runs[2])
    gone = glue.reset_job_bookmark(JobName="ingest")["JobBookmarkEntry"]
    assert (gone["Version"], gone["Run"], "RunId" in gone) == (2, 0, False)
    assert refused(glue.reset_job_bookmark, JobName="views")[0] == "EntityNotFoundException"
    assert refused(glue.get_job_bookmark, JobName="none")[0] == "EntityNotFoundException"


# -- triggers


def test_a_trigger_is_created_activated_and_deactivated(world: World, glue: Any) -> None:
    """CREATED is not live; StartOnCreation makes it so; ends before it was are not made up; the audit says who."""
    glue.create_trigger(Name="t", **conditional(when("picky")))
    glue.create_trigger(Name="at-once", StartOnCreation=True, **conditional(when("picky")))
    assert (state(glue, "t"), state(glue, "at-once")) == ("CREATED", "ACTIVATED")
    world.end(world.begin(world.start("picky")))
    assert [one.cause.trigger for one in world.ledger.runs(job="views").items] == ["at-once"]
    glue.start_trigger(Name="t")
    assert state(glue, "t") == "ACTIVATED"
    glue.stop_trigger(Name="at-once")
    assert state(glue, "at-once") == "DEACTIVATED"
    world.end(world.begin(world.start("picky")))
    assert [one.cause.trigger for one in world.ledger.runs(job="views").items] == ["t", "at-once"]
    done = [(one.action, one.subject, one.actor) for one in world.ledger.audit(limit=50).items]
    assert ("trigger.disable", "at-once", "urn:li:corpuser:local") in done
    glue.create_trigger(Name="never", **conditional(when("picky")))
    assert [told(world, name) for name in ("never", "t", "at-once")] == ["CREATED", "ACTIVATED", "DEACTIVATED"]
    glue.stop_trigger(Name="never")
    assert state(glue, "never") == told(world, "never") == "DEACTIVATED"


def test_an_on_demand_trigger_fires_and_stays_created(world: World, glue: Any) -> None:
    """All its actions start, with its arguments over the jobs'; StopTrigger changes nothing; a repeat fires once."""
    glue.create_trigger(
        Name="go", Type="ON_DEMAND",
        Actions=[{"JobName": "ingest", "Arguments": {"--table": "u", "--x": "1"}, "Timeout": 5}, {"JobName": "views"}],
    )  # fmt: skip
    glue.start_trigger(Name="go")
    glue.stop_trigger(Name="go")
    assert state(glue, "go") == "CREATED"
    run = glue.get_job_runs(JobName="ingest")["JobRuns"][0]
    assert (run["TriggerName"], run["Arguments"], run["Timeout"]) == ("go", {"--table": "u", "--x": "1"}, 5)
    assert len(world.ledger.runs(job="views").items) == 1
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSGlue.StartTrigger",
               "amz-sdk-invocation-id": "one"}  # fmt: skip
    for _ in range(3):
        assert world.call("POST", "/", content=b'{"Name": "go"}', headers=headers).status_code == 200
    assert len(world.ledger.runs(job="views").items) == 2


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (conditional(when("views")), "InvalidInputException", "Job cannot be a Predicate and Action"),
        (conditional({"JobName": "ingest", "State": "SUCCEEDED"}), "InvalidInputException",
         "Logical operator cannot be null or empty"),
        (conditional(when("ingest"), when("picky")), "InvalidInputException", "Logical"),
        (conditional(when("ingest"), when("ingest", "FAILED"), Logical="ANY"), "InvalidInputException", "one state"),
        (conditional(when("ingest", "RUNNING")), "InvalidInputException", "SUCCEEDED"),
        (conditional(when("ingest", "ERROR")), "InvalidInputException", "SUCCEEDED"),
        (conditional(when("none")), "EntityNotFoundException", "none"),
        (conditional({"LogicalOperator": "EQUALS", "CrawlerName": "c", "State": "SUCCEEDED"}), "InvalidInputException",
         "choose from one of the following crawler state: [SUCCEEDED, FAILED, CANCELLED]"),
        (conditional({"LogicalOperator": "EQUALS", "CrawlerName": "c", "CrawlState": "FAILED"}),
         "EntityNotFoundException", "Crawler c"),
        ({"Type": "CONDITIONAL", "Actions": [{"JobName": "views"}]}, "InvalidInputException", "Predicate"),
        (conditional(), "InvalidInputException", "Predicate"),
        ({"Type": "ON_DEMAND", "Actions": [{"JobName": "none"}]}, "EntityNotFoundException", "Job none not found"),
        ({"Type": "ON_DEMAND", "Actions": []}, "InvalidInputException", "Actions"),
        ({"Type": "ON_DEMAND", "Actions": [{"JobName": "views"}] * 51}, "InvalidInputException", "50"),
        ({"Type": "ON_DEMAND", "Actions": [{"CrawlerName": "c"}]}, "EntityNotFoundException", "Crawler c"),
        ({"Type": "ON_DEMAND", "Actions": [{"JobName": "views"}], "StartOnCreation": True}, "InvalidInputException",
         "StartOnCreation"),
        ({"Type": "ON_DEMAND", "Actions": [{"JobName": "views"}], "Schedule": CRON}, "InvalidInputException",
         "Schedule"),
        ({"Type": "SCHEDULED", "Actions": [{"JobName": "views"}]}, "InvalidInputException", "Schedule"),
        ({"Type": "BANANA", "Actions": [{"JobName": "views"}]}, "ValidationException", "BANANA"),
        ({"Type": "SCHEDULED", "Schedule": CRON, "Actions": [{"JobName": "views"}],
          "EventBatchingCondition": {"BatchSize": 2}}, "InvalidInputException", "EventBatchingCondition"),
    ],
)  # fmt: skip
def test_a_trigger_that_cannot_be_is_refused(glue: Any, given: dict[str, Any], code: str, words: str) -> None:
    """In AWS's own words, where they are known."""
    found, message = refused(glue.create_trigger, Name="bad", **given)
    assert (found, words in message) == (code, True), message
    assert "bad" not in glue.list_triggers()["TriggerNames"]


@pytest.mark.parametrize(
    ("schedule", "taken"),
    [
        (CRON, True), ("cron(0 12 ? * MON-FRI *)", True), ("cron(0 8 1W * ? 2030)", True), ("cron(0 8 L * ? *)", True),
        ("cron(0 8 ? * 2#1 *)", True), ("cron(* * * * * *)", False), ("cron(0 0 * * * *)", False),
        ("cron(0/4 * * * ? *)", False), ("cron(* * * * ? *)", False), ("rate(5 minutes)", False),
        ("0 0 * * *", False), ("banana", False), ("cron(0 0 30 2 ? *)", False), ("cron(0 24 * * ? *)", False),
    ],
)  # fmt: skip
def test_schedules_are_glues(glue: Any, schedule: str, taken: bool) -> None:
    """Six fields, one of the days a question mark, no rate, not faster than every five minutes."""
    given: dict[str, Any] = {"Name": "s", "Type": "SCHEDULED", "Schedule": schedule, "Actions": [{"JobName": "views"}]}
    if taken:
        glue.create_trigger(**given)
        assert glue.get_trigger(Name="s")["Trigger"]["Schedule"] == schedule
    else:
        assert refused(glue.create_trigger, **given)[0] == "InvalidInputException"


def test_an_update_overwrites_what_a_trigger_does(world: World, glue: Any) -> None:
    """Not whether it is live; a predicate that is left out is missing."""
    glue.create_trigger(Name="t", StartOnCreation=True, Description="old", **conditional(when("picky")))
    update = {key: value for key, value in conditional(when("picky", "FAILED")).items() if key != "Type"}
    shown = glue.update_trigger(Name="t", TriggerUpdate=update)["Trigger"]
    assert (shown["State"], shown["Type"], "Description" in shown) == ("ACTIVATED", "CONDITIONAL", False)
    assert shown["Predicate"]["Conditions"][0]["State"] == "FAILED"
    world.end(world.begin(world.start("picky")), RunState.FAILED)
    assert [one.cause.trigger for one in world.ledger.runs(job="views").items] == ["t"]
    assert refused(glue.update_trigger, Name="t", TriggerUpdate={"Actions": [{"JobName": "views"}]})[0] == (
        "InvalidInputException"
    )
    assert refused(glue.update_trigger, Name="none", TriggerUpdate=update)[0] == "EntityNotFoundException"


def test_a_deleted_trigger_is_gone_and_can_be_restored_from_the_file(world: World, glue: Any) -> None:
    """Start, stop and get do not find it; to delete it again is no error; plan offers it."""
    for _ in range(2):
        assert glue.delete_trigger(Name="after-ingest")["Name"] == "after-ingest"
    for call in (glue.get_trigger, glue.start_trigger, glue.stop_trigger):
        assert refused(call, Name="after-ingest")[0] == "EntityNotFoundException"
    assert [(one.name, one.does) for one in world.gate.definitions.plan()] == [("after-ingest", Does.RESTORE)]
    world.end(world.begin(world.start("ingest")))
    assert world.ledger.runs(job="views").items == []
    wait_for(world.ledger.apply(world.gate.definitions.declaration, everything=True, actor="ann"))
    assert state(glue, "after-ingest") == "ACTIVATED"


def test_triggers_are_listed(glue: Any) -> None:
    """In pages; by the job they start; where none starts it, all of them, as AWS documents."""
    names = ["after-ingest", "asked", "nightly", "uploaded"]
    pages = glue.get_paginator("get_triggers").paginate(PaginationConfig={"PageSize": 3})
    assert [one["Name"] for page in pages for one in page["Triggers"]] == names
    picky = glue.get_triggers(DependentJobName="picky")["Triggers"]
    assert [one["Name"] for one in picky] == ["asked", "nightly"]
    assert glue.list_triggers(DependentJobName="none")["TriggerNames"] == names
    found = glue.batch_get_triggers(TriggerNames=["nightly", "none"])
    assert (found["Triggers"][0]["State"], found["TriggersNotFound"]) == ("DEACTIVATED", ["none"])
    assert refused(glue.get_triggers, MaxResults=201)[0] == "ValidationException"


def test_a_trigger_may_be_made_again_in_the_same_words_only(glue: Any) -> None:
    """As jobs."""
    for _ in range(2):
        glue.create_trigger(Name="t", **conditional(when("picky")))
    other = conditional(when("picky", "FAILED"))
    assert refused(glue.create_trigger, Name="t", **other)[0] == "IdempotentParameterMismatchException"
    assert refused(glue.create_trigger, Name="asked", **other)[0] == "AlreadyExistsException"
