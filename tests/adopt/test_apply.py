"""This file is where a Glue that throttles, loses replies, takes its time and refuses is made what is declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fakes.glue_definitions import FakeGlue

from headgate.adopt.far import Far
from headgate.adopt.writing import written
from headgate.aws import Clients
from headgate.errors import Invalid, Unavailable
from headgate.settings.record import AwsPlace

from .world import CREATED, ENVIRON, PROJECT, VIEWS, Near, near


@pytest.fixture(scope="module")
def served() -> Iterator[FakeGlue]:
    fake = FakeGlue()
    with fake:
        yield fake


@pytest.fixture(scope="module")
def clients() -> Clients:
    """To make one takes boto3 a quarter of a second, so all tests share them."""
    return Clients(environ=ENVIRON)


@pytest.fixture
def far(served: FakeGlue, monkeypatch: pytest.MonkeyPatch) -> FakeGlue:
    """As good as new."""
    for name, value in {**ENVIRON, "AWS_ENDPOINT_URL": served.url}.items():
        monkeypatch.setenv(name, value)
    served.forget()
    served.jobs["views"] = dict(VIEWS)
    return served


@pytest.fixture
def here(tmp_path: Path, far: FakeGlue, clients: Clients) -> Iterator[Near]:
    del far
    with near(tmp_path / "project", clients) as made:
        yield made


def edit(here: Near, old: str, new: str) -> None:
    text = (here.folder / "headgate.yaml").read_text("utf-8")
    assert old in text
    here.says(text.replace(old, new))


def test_what_is_declared_is_made_in_an_order_that_works(here: Near, far: FakeGlue) -> None:
    """Workflow, job, triggers; each tagged; by what the job's own keys say; then there is nothing left to do."""
    assert here.plan() == CREATED
    assert far.changes() == []
    assert here.apply() == CREATED
    assert far.changes() == ["CreateWorkflow", "CreateJob", "CreateTrigger", "CreateTrigger"]
    assert far.jobs["nightly"] == {
        "Role": "arn:aws:iam::123456789012:role/glue", "Command": {"Name": "glueetl", "ScriptLocation": "s3://b/x.py"},
        "WorkerType": "G.1X", "NumberOfWorkers": 2, "Timeout": 30, "DefaultArguments": {"--table": "t"},
        "ExecutionProperty": {"MaxConcurrentRuns": 1}, "JobRunQueuingEnabled": True, "MaxRetries": 0,
    }  # fmt: skip
    assert far.tags["job/nightly"] == far.tags["trigger/after"] == {"headgate:managed": "true"}
    after = far.triggers["after"]
    assert (after["State"], after["WorkflowName"], far.triggers["start"]["State"]) == ("ACTIVATED", "w", "CREATED")
    assert after["Actions"] == [{"JobName": "views", "Arguments": {"--fast": "1"}, "Timeout": 5}]
    assert after["Predicate"]["Conditions"] == [
        {"LogicalOperator": "EQUALS", "JobName": "nightly", "State": "SUCCEEDED"}
    ]
    assert (here.plan(), here.apply()) == ([], [])
    assert [(one.actor, one.action, one.subject) for one in here.ledger.audit().items][::-1] == [
        ("ann", "glue.workflow.create", "w"), ("ann", "glue.job.create", "nightly"),
        ("ann", "glue.trigger.create", "after"), ("ann", "glue.trigger.create", "start"),
    ]  # fmt: skip


def test_an_update_keeps_what_the_file_does_not_mention(here: Near, far: FakeGlue) -> None:
    """Glue overwrites the whole definition; of both ways to say a size it is told one."""
    far.jobs["nightly"] = {
        "Role": "old", "Command": {"Name": "glueetl", "ScriptLocation": "s3://b/x.py", "PythonVersion": "3"},
        "GlueVersion": "5.0", "SecurityConfiguration": "sc", "MaxCapacity": 4.0, "DefaultArguments": {"--own": "x"},
    }  # fmt: skip
    [_, change, *_] = here.adoption.plan(here.settings)
    assert (change.does, change.drift, list(change.kept)) == ("update", False, ["SecurityConfiguration", "GlueVersion"])
    here.apply()
    made = far.jobs["nightly"]
    assert (made["SecurityConfiguration"], made["GlueVersion"], made["WorkerType"]) == ("sc", "5.0", "G.1X")
    assert made["Command"] == {"Name": "glueetl", "ScriptLocation": "s3://b/x.py", "PythonVersion": "3"}
    assert made["DefaultArguments"] == {"--table": "t"}
    assert not {"MaxCapacity", "AllocatedCapacity", "CreatedOn"} & set(made)
    assert here.plan() == []


def test_what_the_file_said_once_and_says_no_more_is_taken_out(here: Near, far: FakeGlue) -> None:
    """Only then: what it never said is somebody else's."""
    here.apply()
    far.jobs["nightly"]["Description"] = "by hand"
    edit(here, "    arguments: {--table: t}\n", "")
    assert here.plan() == ["update job nightly"]
    here.apply()
    assert ("DefaultArguments" in far.jobs["nightly"], far.jobs["nightly"]["Description"]) == (False, "by hand")
    assert here.plan() == []


def test_who_changed_it_is_told_apart(here: Near, far: FakeGlue) -> None:
    """The file's edit is an update, a hand's on AWS is drift, also of a trigger's state and of what is gone."""
    here.apply()
    edit(here, "timeout: 30m", "timeout: 40m")
    assert here.plan() == ["update job nightly"]
    far.jobs["nightly"]["Timeout"] = 7
    far.triggers["after"]["State"] = "DEACTIVATED"
    del far.triggers["start"]
    assert here.plan() == ["update job nightly !", "enable trigger after !", "restore trigger start !"]
    here.apply()
    assert (far.jobs["nightly"]["Timeout"], far.triggers["after"]["State"]) == (40, "ACTIVATED")
    edit(here, "    workflow: w\n    predicate", "    enabled: false\n    workflow: w\n    predicate")
    assert here.plan() == ["disable trigger after"]
    here.apply()
    assert (far.triggers["after"]["State"], here.plan()) == ("DEACTIVATED", [])


def test_a_trigger_is_stopped_changed_and_started(here: Near, far: FakeGlue) -> None:
    """Glue changes no trigger that fires or is under way; nothing is told before the last change is through."""
    here.apply()
    far.slow = 3
    edit(here, "timeout: 5m", "timeout: 6m")
    far.triggers["after"]["Actions"][0]["SecurityConfiguration"] = "sc"
    far.triggers["after"]["State"] = "ACTIVATING"
    far.looks["after"] = 3
    before = len(far.changes())
    assert here.apply() == ["update trigger after !"]
    assert far.changes()[before:] == ["StopTrigger", "UpdateTrigger", "StartTrigger"]
    assert far.triggers["after"]["State"] == "ACTIVATED"
    [action] = far.triggers["after"]["Actions"]
    assert (action["Timeout"], action["SecurityConfiguration"]) == (6, "sc")


def test_another_type_or_workflow_makes_a_trigger_anew(here: Near, far: FakeGlue) -> None:
    """Glue changes neither; the old one is gone before the new one is made."""
    here.apply()
    edit(here, "{type: ON_DEMAND, on: glue, workflow: w,", '{type: SCHEDULED, schedule: "cron(0 3 * * ? *)", on: glue,')
    assert here.plan() == ["replace trigger start"]
    here.apply()
    found = far.triggers["start"]
    assert (found["Type"], found["State"], "WorkflowName" in found) == ("SCHEDULED", "ACTIVATED", False)
    assert here.plan() == []


def test_only_what_we_made_is_deleted(here: Near, far: FakeGlue) -> None:
    """Triggers before jobs. What others made, or made anew without our tag, stays and is shown."""
    far.triggers["theirs"] = {"Name": "theirs", "Type": "ON_DEMAND", "State": "CREATED", "Actions": []}
    here.apply()
    far.tags["trigger/start"] = {}
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert here.plan() == [
        "delete trigger after", "delete job nightly", "unmanaged job views", "unmanaged trigger start",
        "unmanaged trigger theirs",
    ]  # fmt: skip
    assert here.apply() == ["delete trigger after", "delete job nightly"]
    assert (sorted(far.jobs), sorted(far.triggers)) == (["views"], ["start", "theirs"])
    before = len(far.calls)
    assert (here.plan(), len(far.calls)) == (["unmanaged job views", "unmanaged trigger start",
                                              "unmanaged trigger theirs"], before + 2 + 1)  # fmt: skip


def test_nothing_is_asked_where_nothing_is_declared(here: Near, far: FakeGlue) -> None:
    """Jobs that only name a Glue job are left as they are, and AWS is left alone."""
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert (here.plan(), here.apply(), far.calls) == ([], [], [])


def test_listings_are_read_to_their_end(here: Near, far: FakeGlue) -> None:
    """However small the pages are."""
    far.page = 1
    here.apply()
    assert here.plan() == []


@pytest.mark.parametrize(
    "operation", ["CreateWorkflow", "CreateJob", "CreateTrigger", "UpdateJob", "StopTrigger", "UpdateTrigger"]
)
@pytest.mark.parametrize("kind", ["lost", "throttle", "error", "html", "busy"])
def test_a_call_that_fails_for_a_while_is_made_again(here: Near, far: FakeGlue, operation: str, kind: str) -> None:
    """Whatever was done by the call whose answer was lost: each thing is there once, as declared."""
    if not operation.startswith("Create"):
        here.apply()
        edit(here, "timeout: 30m", "timeout: 31m")
        edit(here, "timeout: 5m", "timeout: 6m")
    if kind == "busy":  # ConcurrentModificationException
        far.busy[operation] = 3
    else:
        far.fault(operation, kind, times=3)
    here.apply()
    assert here.plan() == []
    assert far.jobs["nightly"]["Timeout"] in (30, 31)
    assert far.triggers["after"]["State"] == "ACTIVATED"
    assert len([one for one in here.pauses if one > 0]) >= 3


@pytest.mark.parametrize("operation", ["CreateJob", "CreateTrigger"])
def test_another_apply_goes_on_after_a_failure(here: Near, far: FakeGlue, operation: str) -> None:
    """What was done before stays done, is named in the error, and is ours: deleted when it is declared no more."""
    far.fault(operation, "denied")
    with pytest.raises(Unavailable) as caught:
        here.apply()
    assert f"glue:{operation}" in str(caught.value)
    assert "workflow w (create)" in str(caught.value)
    left = CREATED[1:] if operation == "CreateJob" else CREATED[2:]
    assert here.plan() == left
    assert here.apply() == left
    assert here.plan() == []
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert here.plan()[:3] == ["delete trigger after", "delete trigger start", "delete job nightly"]


ALL_AT_ONCE = """
jobs:
  load:
    engine: glue
    job_name: nightly
    timeout: 31m
    definition: {Role: r, Command: {Name: glueetl, ScriptLocation: "s3://b/y.py"}}
  more: {engine: glue, job_name: more, definition: {Role: r, Command: {Name: glueetl, ScriptLocation: "s3://b/m.py"}}}
  views: {engine: glue, job_name: views}
triggers:
  after:
    type: CONDITIONAL
    on: glue
    workflow: w
    predicate: {conditions: [{job: load, state: FAILED}]}
    actions: [views]
  other: {type: SCHEDULED, on: glue, workflow: v, schedule: "cron(0 3 * * ? *)", actions: [more]}
"""


def test_wherever_it_fails_another_apply_goes_on(here: Near, far: FakeGlue) -> None:
    """A trigger deleted, one changed, one made with its job and its workflow: stopped before each call in turn."""
    number, failed = 0, True
    while failed:
        far.forget()
        far.jobs["views"] = dict(VIEWS)
        here.says(PROJECT)
        here.apply()
        here.says(ALL_AT_ONCE)
        far.denied_from = len(far.changes()) + number
        with suppress(Unavailable):
            here.apply()
            failed = False
        far.denied_from, number = None, number + 1
        here.apply()
        assert here.plan() == []
        assert (sorted(far.jobs), sorted(far.triggers)) == (["more", "nightly", "views"], ["after", "other"])
        assert {one["State"] for one in far.triggers.values()} == {"ACTIVATED"}
    assert number == 9, "what is to be done has changed: look whether the test still does what it says"


def test_a_trigger_that_fires_on_both_sides_is_told(here: Near, far: FakeGlue) -> None:
    """Of a name that fires here, and on Glue by somebody else's doing: it is not ours to stop."""
    far.triggers["local"] = {"Name": "local", "Type": "SCHEDULED", "State": "ACTIVATED", "Actions": []}
    here.says(f'{PROJECT}  local: {{type: SCHEDULED, schedule: "cron(0 3 * * ? *)", actions: [views]}}\n')
    assert [(one.name, one.twice) for one in here.adoption.plan(here.settings) if one.does == "unmanaged"] == [
        ("local", True)
    ]
    far.triggers["local"]["State"] = "DEACTIVATED"
    assert not any(one.twice for one in here.adoption.plan(here.settings))


def test_a_stop_in_the_middle_of_an_update_is_made_good(here: Near, far: FakeGlue) -> None:
    """The trigger was stopped and not yet changed: the next apply changes it and starts it."""
    here.apply()
    edit(here, "timeout: 5m", "timeout: 6m")
    far.fault("UpdateTrigger", "denied")
    with pytest.raises(Unavailable):
        here.apply()
    assert far.triggers["after"]["State"] == "DEACTIVATED"
    here.apply()
    assert (far.triggers["after"]["State"], here.plan()) == ("ACTIVATED", [])


@pytest.mark.parametrize("kind", ["denied", "error"])
def test_who_cannot_look_changes_nothing(here: Near, far: FakeGlue, kind: str) -> None:
    """And says which call failed, and why."""
    far.fault("GetTriggers", kind, times=20)
    for call in (here.plan, here.apply):
        with pytest.raises(Unavailable, match=r"glue:GetTriggers"):
            call()
    assert far.changes() == []


def test_what_was_made_and_never_answered_is_known_to_be_ours(here: Near, far: FakeGlue) -> None:
    """As after a kill right behind the call: it is deleted when it is declared no more."""
    far.fault("CreateJob", "lost", times=8)
    with pytest.raises(Unavailable):
        here.apply()
    assert "nightly" in far.jobs
    here.says("jobs: {views: {engine: glue, job_name: views}}\n")
    assert here.apply() == ["delete job nightly"]
    assert "nightly" not in far.jobs


def test_what_glue_refuses_is_told_in_its_words(here: Near, far: FakeGlue) -> None:
    """It would refuse it again, so nobody tries."""
    far.refused["CreateJob"] = "The role cannot be assumed"
    with pytest.raises(Invalid, match="The role cannot be assumed"):
        here.apply()
    assert far.count("CreateJob") == 1


def test_what_is_there_is_written_down_through_throttles(here: Near, far: FakeGlue) -> None:
    """In pages, with a workflow and states; who may not look is told which right is missing."""
    here.apply()
    far.page = 1
    far.fault("GetJobs", "throttle")
    here.says(written(here.clients, []))
    assert here.plan() == []
    assert "workflow: w" in written(here.clients, ["after"], region="us-east-1")
    far.fault("GetTriggers", "denied")
    with pytest.raises(Unavailable, match="glue:GetTriggers"):
        written(here.clients, [])


def test_a_trigger_that_never_stops_is_not_waited_for_for_ever(here: Near, far: FakeGlue) -> None:
    """A minute, by the pauses that were made."""
    here.apply()
    far.slow = 10_000
    edit(here, "timeout: 5m", "timeout: 6m")
    with pytest.raises(Unavailable, match="within 60 s"):
        here.apply()
    assert 60 < sum(here.pauses) < 80


def test_each_place_has_its_own_calls(here: Near, far: FakeGlue) -> None:
    """By region, and by the role that is assumed for them; what was made there is deleted there."""
    here.says(PROJECT.replace("job_name: nightly", "job_name: nightly\n    region: eu-west-1").split("triggers:")[0])
    here.apply()
    assert {one.region for one in far.calls} == {"eu-west-1"}
    here.says("jobs: {}\n")
    assert here.apply() == ["delete job nightly"]
    assert {one.region for one in far.calls} == {"eu-west-1"}
    role = "arn:aws:iam::123456789012:role/other"
    here.says(PROJECT.replace("job_name: nightly", f"job_name: nightly\n    role_arn: {role}").split("triggers:")[0])
    here.plan()
    assumed: Any = next(one.body for one in far.calls if one.operation == "AssumeRole")
    assert (assumed["RoleArn"], assumed["RoleSessionName"]) == (role, "headgate-apply")
    assert far.calls[-1].token.startswith("token-")


class _Endless(Clients):
    """Glue's lists a thing a page: `last` pages, or without an end, the same token again and again."""

    def __init__(self, last: int | None) -> None:
        super().__init__(environ=ENVIRON)
        self.last, self.asked = last, 0

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride] - what is asked does not matter
        self.asked += 1
        token = "again" if self.last is None else str(self.asked)
        return {"Jobs": [{"Name": f"j{self.asked}"}], "NextToken": token if self.asked != self.last else ""}


def test_a_part_of_a_list_is_never_taken_for_all_of_it() -> None:
    """2,000 pages are read to the last; a list that goes in circles is an error, and nothing is taken for deleted."""
    assert len(Far(_Endless(2000), AwsPlace()).every("get_jobs", "Jobs", 200, "looking")) == 2000
    circle = _Endless(None)
    with pytest.raises(Unavailable, match="looking: the list goes on without an end"):
        Far(circle, AwsPlace()).every("get_jobs", "Jobs", 200, "looking")
    assert circle.asked < 5
