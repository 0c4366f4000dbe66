"""This file is where definitions of Glue's jobs and triggers on Glue are read, refused and warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.model import JobName, TriggerName
from headgate.settings import InvalidSettings, Settings, again, load

JOB = "Role: r, Command: {Name: glueetl, ScriptLocation: s3://b/x.py}"
GLUE = "engine: glue, job_name"


def read(folder: Path, text: str) -> Settings:
    (folder / "headgate.yaml").write_text(text, "utf-8")
    return load(folder, {})


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        read(folder, text)
    return [str(one).rpartition("headgate.yaml:")[2] for one in caught.value.problems]


def test_texts_become_what_the_model_says(tmp_path: Path) -> None:
    """Numbers, booleans, lists and maps; what the job's own keys say is not among them; tags are apart."""
    found = read(
        tmp_path,
        f"""
jobs:
  a:
    {{{GLUE}: x, region: eu-west-1, definition: {{{JOB}, GlueVersion: 5.0, NumberOfWorkers: 2, MaxCapacity: 0.5,
      Connections: {{Connections: [c]}}, NonOverridableArguments: {{--z: 9}}, Tags: {{team: 7}},
      NotificationProperty: {{NotifyDelayAfter: 3}}}}}}
""".replace("NumberOfWorkers: 2, ", ""),
    )
    one = found.glue.jobs[JobName("a")]
    assert one.members == {
        "Role": "r", "Command": {"Name": "glueetl", "ScriptLocation": "s3://b/x.py"}, "GlueVersion": "5.0",
        "MaxCapacity": 0.5, "Connections": {"Connections": ["c"]}, "NonOverridableArguments": {"--z": "9"},
        "NotificationProperty": {"NotifyDelayAfter": 3},
    }  # fmt: skip
    assert (one.name, one.tags, one.place.region) == ("x", {"team": "7"}, "eu-west-1")
    assert "definition" not in found.jobs[JobName("a")].target


A_DEFINITION = """
{Role: r}
    2:46: jobs.a.definition: expected the member 'Command'
{Rol: r, Command: {}}
    2:47: there is no member 'Rol' in jobs.a.definition; did you mean 'Role'?
{JOB, Command2: x}
    there is no member 'Command2' in jobs.a.definition; did you mean 'Command'?
{JOB, Timeout: 5}
    there is no member 'Timeout' in jobs.a.definition; it is `timeout` of the job
{JOB, DefaultArguments: {}}
    it is `arguments` of the job
{JOB, WorkerType: G.1}
    jobs.a.definition.WorkerType: expected one of Standard
{JOB, WorkerType: G.1}
    found 'G.1'; did you mean 'G.1X'?
{JOB, NumberOfWorkers: two}
    jobs.a.definition.NumberOfWorkers: expected a whole number, found 'two'
{JOB, MaxCapacity: lots}
    jobs.a.definition.MaxCapacity: expected a number, found 'lots'
{JOB, NotificationProperty: {NotifyDelayAfter: 0}}
    expected a whole number of at least 1, found '0'
{JOB, GlueVersion: five}
    jobs.a.definition.GlueVersion: expected a text of the form
{JOB, Connections: [a]}
    jobs.a.definition.Connections: expected a mapping, found a list
{JOB, Connections: {Connections: a}}
    jobs.a.definition.Connections.Connections: expected a list, found 'a'
{JOB, NonOverridableArguments: [a]}
    expected a mapping, found a list
{JOB, SecurityConfiguration: ''}
    expected a length of 1 to 255, found 0
{JOB, JobMode: ~}
    expected a text, found nothing
{JOB, MaxRetries: 11}
    expected a whole number from 0 to 10, found 11
{JOB, MaxRetries: 1}
    Glue takes no retries of its own where runs queue; say max_retries of the job
{JOB, ExecutionClass: FLEX}
    Glue does not queue runs of the class FLEX; say queueing: false
{JOB, MaxCapacity: 2, WorkerType: G.1X}
    Glue takes either this or WorkerType and NumberOfWorkers
[]
    jobs.a.definition: expected a mapping of Glue's own members, such as Role and Command, found a list
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        tuple(one.split("\n    "))
        for one in A_DEFINITION.strip().replace("\n{", "\0{").replace("\n[", "\0[").split("\0")
    ],
)
def test_what_is_wrong_in_a_definition_has_its_place(tmp_path: Path, written: str, said: str) -> None:
    """By AWS's own model, offline; near misses are told."""
    text = f"jobs:\n  a: {{{GLUE}: x, definition: {written.replace('JOB', JOB)}}}\n"
    problems = refused(tmp_path, text)
    assert any(said in one for one in problems), problems
    assert all(one.split(":")[0] == "2" for one in problems), problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{GLUE}: x, max_retries: 1, queueing: false, definition: {{{JOB}, MaxRetries: 2}}", "both Glue and we"),
        (f"{GLUE}: x, timeout: 8d, definition: {{{JOB}}}", "longest timeout is 10080 minutes"),
        (f"{GLUE}: x, max_concurrent_runs: 1001, definition: {{{JOB}}}", "at most 1000 times at a time"),
        (f"engine: local, run: m.f, definition: {{{JOB}}}", "'definition' in jobs.a; it is for engine glue"),
        (f"{GLUE}: x, definition: {{{JOB}}}}}\n  b: {{{GLUE}: x, definition: {{{JOB}}}", "defines the Glue job 'x'"),
    ],
)  # fmt: skip
def test_what_a_job_and_its_definition_say_fits(tmp_path: Path, text: str, said: str) -> None:
    """What Glue would refuse is refused here."""
    assert any(said in one for one in refused(tmp_path, f"jobs:\n  a: {{{text}}}\n"))


JOBS = f"""
jobs:
  a: {{{GLUE}: a, definition: {{{JOB}}}}}
  b: {{{GLUE}: b}}
  far: {{{GLUE}: far, region: eu-west-1}}
  here: {{engine: local, run: m.f}}
triggers:
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{type: EVENT, on: glue, s3: {bucket: x}, actions: [a]}", "EVENT triggers fire here"),
        ("{type: ON_DEMAND, on: glue, actions: [here]}", "the job 'here' has the engine local"),
        ("{type: ON_DEMAND, on: glue, actions: [a, far]}", "its jobs are in different places"),
        ("{type: ON_DEMAND, on: glue, actions: [x]}", "there is no job 'x'"),
        ("{type: SCHEDULED, on: glue, schedule: 'rate(5 minutes)', actions: [a]}", "Glue triggers take no rate()"),
        ("{type: SCHEDULED, on: glue, schedule: 'cron(* * * * ? *)', actions: [a]}", "more often than every 5 minutes"),
        ("{type: SCHEDULED, on: glue, schedule: 'cron(0 3 * * ? *)', timezone: UTC, actions: [a]}",
         "timezone is for triggers that fire here"),
        ("{type: ON_DEMAND, on: gleu, actions: [a]}", "expected one of here, glue, found 'gleu'; did you mean 'glue'"),
        ("{type: ON_DEMAND, workflow: w, actions: [a]}", "'workflow' in triggers.t; it is for triggers on: glue"),
        ("{type: ON_DEMAND, on: glue, actoins: [a]}", "did you mean 'actions'"),
        ("{type: ON_DEMAND, on: glue, actions: [{job: a, timeout: 8d}]}", "Glue's longest is 10080 minutes"),
        ("{type: ON_DEMAND, on: glue, workflow: w, actions: [a]}\n"
         "  u: {type: ON_DEMAND, on: glue, workflow: w, actions: [b]}", "Glue allows one start"),
        ("{type: CONDITIONAL, on: glue, predicate: {conditions: [{job: a, state: SUCCEEDED}]}, actions: [b]}\n"
         "  u: {type: CONDITIONAL, on: glue, predicate: {conditions: [{job: b, state: FAILED}]}, actions: [a]}",
         "in a circle"),
    ],
)  # fmt: skip
def test_a_trigger_that_cannot_be_on_glue_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Once each, with its place."""
    problems = refused(tmp_path, f"{JOBS}  t: {text}\n")
    assert len([one for one in problems if said in one]) == 1, problems


def test_a_trigger_on_glue_is_none_of_ours(tmp_path: Path) -> None:
    """It never comes into the ledger, so nothing fires twice; on: here is what goes without saying."""
    found = read(
        tmp_path,
        f"{JOBS}  t: {{type: ON_DEMAND, on: glue, workflow: w, actions: [a]}}\n"
        "  u: {type: ON_DEMAND, on: here, actions: [a]}\n",
    )
    assert (list(found.triggers), list(found.glue.triggers)) == (["u"], ["t"])
    one = found.glue.triggers[TriggerName("t")]
    assert (one.workflow, one.named) == ("w", {"a": "a"})


WATCHES = "{type: CONDITIONAL, on: glue, WORKFLOW predicate: {conditions: [{job: a, state: SUCCEEDED}]}, actions: [b]}"


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "runs that StartJobRun starts"),
        ("  s: {type: ON_DEMAND, on: glue, actions: [a]}\n", ""),
        ("  s: {type: ON_DEMAND, on: here, actions: [a]}\n", "runs that StartJobRun starts"),
        ("  s: {type: ON_DEMAND, on: glue, workflow: w, actions: [a]}\n", "runs that StartJobRun starts"),
    ],
)
def test_a_conditional_trigger_that_would_not_fire_is_warned_of(tmp_path: Path, before: str, said: str) -> None:
    """X-01: outside a workflow, watching a job that only StartJobRun starts. No mistake, so the file is valid."""
    found = read(tmp_path, f"{JOBS}{before}  t: {WATCHES.replace('WORKFLOW', '')}\n")
    warned = [one.message for one in found.warnings]
    assert (len(warned), said in "".join(warned)) == (1 if said else 0, True)
    assert all(one.line and one.file for one in found.warnings)


def test_in_a_workflow_the_watched_job_has_to_be_started_there(tmp_path: Path) -> None:
    """And one that runs once at a time, does not queue, and is started by a trigger, loses runs."""
    once = f"{JOBS}  t: {WATCHES.replace('WORKFLOW', 'workflow: w,')}\n"
    assert "no trigger of the workflow 'w' starts 'a'" in read(tmp_path, once).warnings[0].message
    text = JOBS.replace("job_name: a,", "job_name: a, queueing: false,")
    found = read(tmp_path, f"{text}  s: {{type: ON_DEMAND, on: glue, actions: [a]}}\n")
    assert "'a' runs once at a time and does not queue" in found.warnings[0].message


def _nowhere(_module: str) -> None:
    """As find_spec is where the module is not installed."""


def test_without_botocore_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A definition cannot be checked without AWS's model."""
    from headgate.settings import service_model

    service_model.shapes.cache_clear()
    monkeypatch.setattr(service_model, "find_spec", _nowhere)
    [problem] = refused(tmp_path, f"jobs:\n  a: {{{GLUE}: x, definition: {{{JOB}}}}}\n")
    service_model.shapes.cache_clear()
    assert "needs the extra [aws]" in problem


def test_an_edit_of_a_definition_needs_no_restart(tmp_path: Path) -> None:
    """Beside a running server it is in the next plan."""
    text = f"jobs:\n  a: {{{GLUE}: x, definition: {{{JOB}}}}}\n"
    before = read(tmp_path, text)
    after = read(
        tmp_path, text.replace("Role: r", "Role: s") + "triggers: {t: {type: ON_DEMAND, on: glue, actions: [a]}}"
    )
    assert again.needs_restart(before, after) == []
    assert again.with_definitions(before, after).glue == after.glue != before.glue
