"""This file is where what is on Glue is written down, read back as headgate.yaml, and held against what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headgate.adopt.compare import Situation, compare, seen_job, seen_trigger
from headgate.adopt.words import declared
from headgate.adopt.writing import document
from headgate.errors import NotFound
from headgate.settings import load
from headgate.settings.record import AwsPlace
from headgate.settings.service_model import shapes

from .world import VIEWS, line

Shown = dict[str, Any]
KNOWN = list(shapes("glue")["JobUpdate"]["members"])
COMMAND = {"Name": "glueetl", "ScriptLocation": "s3://b/x.py", "PythonVersion": "3"}


def differences(
    folder: Path, text: str, jobs: Sequence[Shown], triggers: Sequence[Shown], region: str = ""
) -> list[str]:
    """What `plan` of the text finds where these are there; the text is a configuration without a problem."""
    (folder / "headgate.yaml").write_text(text, "utf-8")
    place = AwsPlace(region=region)
    seen = [*(seen_job(one, KNOWN) for one in jobs), *map(seen_trigger, triggers)]
    flows = {one.workflow for one in seen if one.workflow}
    situation = Situation(place=place, seen={(one.kind, one.name): one for one in seen})
    found = compare(declared(load(folder, {}), place), situation)
    return [line(one) for one in found if one.name not in flows or one.kind != "workflow"]


def job(name: str, **members: Any) -> Shown:
    return {"Name": name, "Role": "arn:aws:iam::1:role/r", "Command": COMMAND, "MaxRetries": 0, "Timeout": 480,
            "AllocatedCapacity": 10, "MaxCapacity": 10.0, "ExecutionProperty": {"MaxConcurrentRuns": 1},
            **members}  # fmt: skip


def trigger(name: str, kind: str = "ON_DEMAND", state: str = "CREATED", **members: Any) -> Shown:
    return {"Name": name, "Type": kind, "State": state, "Actions": [{"JobName": "a"}], **members}


def when(*jobs: str, logical: str | None = None) -> Shown:
    conditions = [{"LogicalOperator": "EQUALS", "JobName": one, "State": "SUCCEEDED"} for one in jobs]
    return {"Conditions": conditions, **({"Logical": logical} if logical else {})}


@pytest.mark.parametrize(
    "members",
    [
        {"JobRunQueuingEnabled": True}, {"MaxRetries": 3}, {"Timeout": 2880, "GlueVersion": "4.0"},
        {"WorkerType": "G.1X", "NumberOfWorkers": 2, "MaxCapacity": 2.0}, {"ExecutionClass": "FLEX"},
        {"DefaultArguments": {"--conf": "a=${b} --conf c=$${d}", "--n": "007", "--on": "yes", "--empty": ""}},
        {"DefaultArguments": {"no-dashes": "1", "--x": "2"}}, {"NonOverridableArguments": {"--z": "9"}},
        {"Connections": {"Connections": ["c1", "c2"]}, "SecurityConfiguration": "sc", "LogUri": "s3://logs/"},
        {"NotificationProperty": {"NotifyDelayAfter": 5}, "MaintenanceWindow": "Sun:3", "JobMode": "SCRIPT"},
        {"Description": "Zeilen:\n- eins # zwei\n\t${HOME} über"}, {"Command": {"Name": "gluestreaming",
         "ScriptLocation": "s3://b/s.py"}, "Timeout": None}, {"Timeout": 20_000},
        {"SourceControlDetails": {"Provider": "GITHUB", "Repository": "r", "AuthToken": "ghp_hush"}},
        {"ExecutionProperty": {"MaxConcurrentRuns": 20}}, {"Role": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_job_comes_back_as_it_is(tmp_path: Path, members: Shown) -> None:
    """Written, read and compared there is no difference; no secret of Glue's is written."""
    shown = {name: value for name, value in job("a", **members).items() if value is not None}
    text = document([shown], [])
    assert differences(tmp_path, text, [shown], []) == []
    assert "ghp_hush" not in text


@pytest.mark.parametrize(
    "shown",
    [
        trigger("t"), trigger("t", Description="${x}"), trigger("t", WorkflowName="w $${x}"),
        trigger("t", "SCHEDULED", "ACTIVATED", Schedule="cron(0/15 * * * ? *)"),
        trigger("t", "SCHEDULED", "DEACTIVATED", Schedule="cron(0 3 ? * MON-FRI *)"),
        trigger("t", "CONDITIONAL", "ACTIVATED", Predicate=when("b")),
        trigger("t", "CONDITIONAL", "ACTIVATED", Predicate=when("b", logical="ANY")),
        trigger("t", "CONDITIONAL", "CREATED", Predicate=when("b", "c", logical="ANY"), WorkflowName="w"),
        trigger("t", Actions=[{"JobName": "a", "Arguments": {"--x": "${y}"}, "Timeout": 7}, {"JobName": "c"}]),
        trigger("t", Actions=[{"JobName": "a", "NotificationProperty": {"NotifyDelayAfter": 3}, "Arguments": {}}]),
        trigger("no: \"y\" [x] #'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_trigger_comes_back_as_it_is(tmp_path: Path, shown: Shown) -> None:
    """With its workflow and its state; the jobs it names are named, and not taken over."""
    text = document([], [shown])
    assert differences(tmp_path, text, [], [shown]) == []
    assert len(load(tmp_path, {}).glue.triggers) == 1
    assert not load(tmp_path, {}).glue.jobs


NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(str.strip)
TEXTS = st.text(st.sampled_from("ab ${}:-#'\"\n\t|>é,&*!%@`[]?yesno01~"), max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NAMES, min_size=1, max_size=3, unique=True),
    arguments=st.dictionaries(TEXTS.map("--x{}".format), TEXTS, max_size=3),
    described=TEXTS,
)
@example(names=["${", "$${a}", "${HOME}", "<<"], arguments={"--x${y}": "1", "--x": "${y}"}, described="")
def test_whatever_its_texts_are_it_comes_back(
    tmp_path: Path, names: list[str], arguments: dict[str, str], described: str
) -> None:
    """Names, arguments and descriptions may be anything that Glue takes: YAML's and our own signs among them."""
    jobs = [job(name, DefaultArguments=arguments, Description=described) for name in names]
    actions = [{"JobName": name, "Arguments": arguments} for name in names]
    triggers = [trigger("t", Actions=actions, Description=described)]
    assert differences(tmp_path, document(jobs, triggers), jobs, triggers) == []


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (trigger("t", "EVENT", "ACTIVATED", WorkflowName="w"), "of type EVENT"),
        (trigger("t", Actions=[{"CrawlerName": "c"}]), "crawler"),
        (trigger("t", "CONDITIONAL", Predicate={"Conditions": [{"CrawlerName": "c"}]}), "crawler"),
        (trigger("t", "CONDITIONAL"), "no job"), (trigger("t", Actions=[]), "no job"),
        (trigger("t", Actions=[{"JobName": "a"}, {"JobName": "a"}]), "twice"),
        (trigger("t", Actions=[{"JobName": "a", "Arguments": {"x": "1"}}]), "do not begin with --"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_what_has_no_words_is_said_in_a_comment(tmp_path: Path, shown: Shown, why: str) -> None:
    """And the file is one that is valid, and leaves the trigger alone."""
    text = document([], [shown])
    [comment] = [one for one in text.splitlines() if "left out" in one]
    assert comment.startswith("  # the trigger 't' is left out: ")
    assert why in comment
    assert differences(tmp_path, text, [], [shown]) == ["unmanaged trigger t"]


def test_what_stays_beside_the_file_is_said_there() -> None:
    """What Glue keeps for itself, and what had better not stand in a file."""
    action = {"JobName": "a", "SecurityConfiguration": "sc"}
    text = document(
        [job("a", SourceControlDetails={"AuthToken": "x"}, DefaultArguments={"--db-password": "y"})],
        [trigger("t", Actions=[action])],
    )
    assert "# SourceControlDetails.AuthToken is a secret" in text
    assert "# --db-password may be a secret: write ${A_VARIABLE}" in text
    assert "# SecurityConfiguration of the action a stay as they are on Glue" in text


def test_some_are_written_by_name(tmp_path: Path) -> None:
    """A job alone; a trigger with its jobs named; a region for all; a name that nothing has is told."""
    jobs, triggers = [job("a"), job("b", **VIEWS)], [trigger("t", Actions=[{"JobName": "b"}])]
    assert "jobs:\n  a:\n" in document(jobs, triggers, ["a"])
    text = document(jobs, triggers, ["t"], region="eu-west-1")
    assert differences(tmp_path, text, jobs, triggers, "eu-west-1") == ["unmanaged job a"]
    with pytest.raises(NotFound, match="'none'"):
        document(jobs, triggers, ["a", "none"])


def test_where_there_is_nothing_there_is_an_empty_file(tmp_path: Path) -> None:
    """Which says so."""
    assert differences(tmp_path, document([], []), [], []) == []
    assert "There are none" in document([], [])
