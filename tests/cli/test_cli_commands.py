"""This file is where the commands are typed with no server running: they use the ledger themselves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from .world import CAUSE, DATASET, DECISION, PROJECT, RUN, TOKEN, Project, states

# -- the configuration


def test_init_writes_a_project_that_is_valid(tmp_path: Path) -> None:
    """`init DIR` writes an example, says what to do next, changes nothing the second time, and `validate` likes it."""
    typing = Project(tmp_path, None)

    assert "headgate serve" in typing.ok("init", "hub")
    assert "is in hub already" in typing.ok("init", "hub")
    assert "no problems" in typing.ok("validate", "-c", "hub")


def test_validate_counts_what_is_declared(project: Project) -> None:
    """A configuration without problems exits 0; in JSON it is an empty list of problems."""
    assert "5 jobs, 3 triggers, 2 dataset rules; no problems" in project.ok("validate")
    assert project.json("validate") == []


def test_broken_yaml_is_shown_where_it_breaks(project: Project) -> None:
    """YAML that does not parse exits 2, with file, line and column."""
    (project.folder / "headgate.yaml").write_text("jobs:\n  first: {engine: local\n  second: [\n", "utf-8")

    done = project.type("validate")

    assert done.code == 2, done
    assert "headgate.yaml:3:9: " in done.out, done


def test_every_problem_has_its_place(project: Project) -> None:
    """A key nobody knows exits 2, names what was meant, and all problems are told in one go, in JSON too."""
    (project.folder / "headgate.yaml").write_text(
        "jobs:\n  first: {engine: local, command: [x], max_retrys: 2}\n  second: {engine: lokal}\n", "utf-8"
    )

    shown, done = project.type("validate"), project.type("validate", "-o", "json")

    assert (shown.code, done.code) == (2, 2)
    assert "headgate.yaml:2:40: " in shown.out, shown
    assert "did you mean 'max_retries'" in shown.out, shown
    assert [set(one) for one in done.json] == [{"file", "line", "column", "message"}] * 2
    assert [one["line"] for one in done.json] == [2, 3]


def test_any_command_tells_a_broken_configuration(project: Project) -> None:
    """Other commands refuse a broken file with the same words and exit 2, and do nothing."""
    (project.folder / "headgate.yaml").write_text("jobs: [\n", "utf-8")

    assert "headgate.yaml:2:1" in project.fails(2, "runs", "list")
    assert not project.home.exists()


def test_config_show_masks_secrets_and_says_where_from(project: Project) -> None:
    """Each setting has a value and a source; a secret's value is nowhere."""
    env = {"HEADGATE_TOKEN": TOKEN, "HEADGATE_PORT": "9999"}
    table, done = project.type("config", "show", env=env), project.type("config", "show", "-o", "json", env=env)

    found = {one["name"]: one for one in done.json}
    assert {name for one in done.json for name in one} == {"name", "value", "source"}
    assert found["auth.token"]["source"] == "HEADGATE_TOKEN"
    assert found["jobs.first.engine"]["source"] == "headgate.yaml:2:19"
    assert TOKEN not in table.out + done.out
    assert "****" in table.out


def test_plan_shows_what_apply_does(project: Project) -> None:
    """A changed job is in the plan until it is applied; without --yes and without a person nothing is applied."""
    project.ok("jobs", "list")
    text = PROJECT.replace('"echo second runs"]', '"echo second runs"], max_retries: 2')
    (project.folder / "headgate.yaml").write_text(text, "utf-8")

    assert "max_retries: 0 -> 2" in project.ok("plan")
    [change] = project.json("plan")
    assert set(change) == {"kind", "name", "does", "drift", "before", "after"}
    assert (change["kind"], change["name"]) == ("job", "second")
    assert "--yes" in project.fails(2, "apply")
    assert len(project.json("plan")) == 1
    assert len(project.json("apply", "--yes")) == 1
    assert "Nothing to change" in project.ok("plan")
    with closing(sqlite3.connect(project.home / "ledger.db")) as ledger:
        who = set(ledger.execute("select actor from audit where action = 'job.update' and subject = 'second'"))
    assert who == {("urn:li:corpuser:local",)}, "what a person applied is the person's, not the system's"


def test_explain_names_the_rule_and_the_losers(project: Project) -> None:
    """`explain URN` says which job a click would start, by which line, and starts nothing."""
    found = project.json("explain", DATASET)

    assert found["job"] == "first"
    assert found["rule"]["place"] == "headgate.yaml:12"
    assert [one["job"] for one in found["losers"]] == ["second"]
    assert all(one["reason"] for one in found["losers"])
    assert "RULE THAT LOST" in project.ok("explain", DATASET)
    assert project.json("runs", "list") == []


def test_explain_of_a_dataset_nobody_makes_is_a_negative_answer(project: Project) -> None:
    """No rule: exit 1 and why, with the whole answer in JSON."""
    urn = "urn:li:dataset:(urn:li:dataPlatform:hive,x,PROD)"

    done = project.type("explain", urn, "-o", "json")

    assert done.code == 1
    assert (done.json["job"], done.json["rule"]) == (None, None)
    assert "urn" in project.fails(2, "explain", "not-a-urn")


# -- jobs and triggers


def test_jobs_are_listed_with_their_policy(project: Project) -> None:
    """A new project's jobs are listed although nothing ran."""
    found = project.json("jobs", "list")

    assert [one["name"] for one in found] == ["broken", "far", "first", "long", "second"]
    assert found[2].keys() >= {"name", "engine", "target", "arguments", "max_concurrent_runs", "max_retries", "timeout"}
    assert project.ok("jobs", "list").startswith("JOB ")


def test_a_trigger_stays_switched_and_says_why(project: Project) -> None:
    """`triggers disable --reason` outlives the command; `plan` calls it drift; `enable` ends it."""
    switched = project.json("triggers", "disable", "uploaded", "--reason", "quarter end")

    assert (switched["name"], switched["state"], switched["enabled"]) == ("uploaded", "DEACTIVATED", False)
    listed = {one["name"]: one["state"] for one in project.json("triggers", "list")}
    assert listed == {"after-first": "ACTIVATED", "uploaded": "DEACTIVATED", "uploaded-bad": "ACTIVATED"}
    assert "drift" in project.ok("plan")
    assert project.ok("triggers", "enable", "uploaded").split() == ["uploaded", "ACTIVATED"]
    assert "no trigger 'uplaoded'" in project.fails(1, "triggers", "disable", "uplaoded")


# -- runs in this process


def test_a_run_in_this_process_ends_with_all_that_follows(project: Project) -> None:
    """`run JOB` waits for the run and for the run its success fires; both are recorded with why."""
    done = project.type("run", "first", "--arg", "table=u", "--arg", "--day=monday", "--reason", "a try", "-o", "json")

    assert done.code == 0, done
    assert done.json.keys() >= RUN
    assert done.json["cause"].keys() == CAUSE
    assert done.json["arguments"] == {"--table": "u", "--day": "monday"}
    assert (done.json["cause"]["reason"], done.json["state"]) == ("a try", "SUCCEEDED")
    runs = project.json("runs", "list")
    assert states(runs) == [("first", "SUCCEEDED"), ("second", "SUCCEEDED")]
    assert runs[0]["predecessors"] == [{"job": "first", "run": done.json["id"]}]
    assert runs[0]["cause"]["trigger"] == "after-first"


def test_progress_is_a_line_a_change(project: Project) -> None:
    """Without a terminal each change of state is one plain line."""
    lines = project.ok("run", "first").splitlines()

    assert any(" first " in line and " SUCCEEDED" in line for line in lines)
    assert any(" second " in line and " SUCCEEDED" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_a_failed_run_exits_1_and_says_why(project: Project) -> None:
    """The message has the job, the state, the last line of the log, and where to look; the log is there."""
    done = project.type("run", "broken")

    assert done.code == 1, done
    assert "broken jr_" in done.err
    assert "FAILED: exit 3: no luck" in done.err
    assert project.ok("runs", "logs", project.json("runs", "list")[0]["id"][:15]) == "no luck\n"


def test_a_job_nobody_knows_is_told_with_the_near_one(project: Project) -> None:
    """A misspelt job exits 1 and names the one that was meant; nothing is recorded."""
    assert "no job 'frist'; did you mean first?" in project.fails(1, "run", "frist")
    assert project.json("events", "list") == []


def test_a_run_for_a_dataset_starts_the_job_of_its_rule(project: Project) -> None:
    """`run --dataset URN` runs what `explain` says, with the dataset as the reason."""
    started = project.json("run", "--dataset", DATASET)

    assert (started["job"], started["cause"]["reason"]) == ("first", f"dataset {DATASET}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "name either a job or"),
        (("run", "first", "--dataset", DATASET), "name either a job or"),
        (("run", "first", "--arg", "novalue"), "expected KEY=VALUE"),
        (("run", "first", "--arg", "a=1", "--arg", "--a=2"), "given twice"),
        (("runs", "list", "--state", "TIRED"), "expected one of WAITING"),
        (("runs", "list", "--output", "xml"), "'table', 'json'"),
        (("events", "list", "--since", "soonish"), "is no time"),
        (("events", "replay"), "name events, or choose"),
        (("events", "replay", "--failed"), "--dry-run"),
        (("nonsense",), "No such command"),
        (("runs", "list", "--limit", "0"), "greater than or equal to 1"),
    ],
)
def test_wrong_usage_exits_2(project: Project, words: tuple[str, ...], said: str) -> None:
    """What cannot be meant exits 2 with what was expected."""
    assert said in project.fails(2, *words)


def test_a_run_nobody_knows_exits_1(project: Project) -> None:
    """Looking at, stopping or retrying what is not there exits 1 and names it."""
    for words in (("show",), ("logs",), ("stop",), ("retry",)):
        assert "'jr_nowhere'" in project.fails(1, "runs", *words, "jr_nowhere")


def test_a_run_is_named_as_far_as_it_is_the_only_one(project: Project) -> None:
    """By the beginning of its id; by its job's name, where it is the newest; several that fit are told as several."""
    first = project.json("run", "second")["id"]
    assert project.json("runs", "show", "jr_")["id"] == first
    second = project.json("run", "second")["id"]

    assert "no single run 'jr_'; several ids begin like that" in project.fails(1, "runs", "show", "jr_")
    named = project.type("runs", "logs", "second")
    assert (named.out, f"{second} is the newest run of second" in named.err) == ("second runs\n", True)
    assert "there is no run of the job 'long'" in project.fails(1, "runs", "show", "long")


def test_what_is_told_steers_no_terminal(project: Project) -> None:
    """A name with control characters in it is repeated by an error with these made visible."""
    done = project.type("runs", "show", "jr_\x1b[31mred")
    assert (done.code, "\x1b" in done.err, "x1b[31mred" in done.err) == (1, False, True)


def test_a_list_of_nothing_says_whether_the_name_is_wrong(project: Project) -> None:
    """A job or trigger that nobody has is told with the near one; one that never ran has no runs that fit."""
    assert project.ok("runs", "list", "--job", "long") == "No runs fit.\n"
    assert "no job 'lnog'; did you mean 'long'?" in project.fails(1, "runs", "list", "--job", "lnog")
    for words in (("runs", "list", "--trigger"), ("triggers", "disable")):
        assert "no trigger 'uplaoded'; did you mean 'uploaded'?" in project.fails(1, *words, "uplaoded")


def test_the_plan_of_a_new_project_has_all_of_it_and_makes_none(tmp_path: Path) -> None:
    """Whoever asks first what `apply` would do is told everything, as often as they ask."""
    project = Project(tmp_path / "new")
    planned = [project.json("plan") for _ in range(2)]
    assert planned[0] == planned[1]
    assert sorted({one["does"] for one in planned[0]}) == ["create"]
    assert {one["name"] for one in planned[0]} >= {"first", "second", "uploaded", "after-first"}


def test_a_trigger_on_glue_is_listed_and_is_not_ours_to_switch(tmp_path: Path) -> None:
    """What is declared is seen; its state, which only AWS knows, is not made up."""
    glue = "jobs: {far: {engine: glue, job_name: f}}\ntriggers: {there: {type: ON_DEMAND, on: glue, actions: [far]}}\n"
    project = Project(tmp_path / "new", glue)
    [listed] = project.json("triggers", "list")
    assert (listed["name"], listed["on"], listed["state"]) == ("there", "glue", None)
    assert "on AWS Glue" in project.ok("triggers", "list")
    for words in ("enable", "start"):
        assert "aws glue start-trigger --name there" in project.fails(1, "triggers", words, "there")


def test_a_folder_without_a_project_is_not_made_one(tmp_path: Path) -> None:
    """Without headgate.yaml a command says how to get one, exits 2, and leaves nothing behind."""
    typing = Project(tmp_path, None)

    assert "headgate init DIR" in typing.fails(2, "runs", "list")
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_shown_whole(project: Project) -> None:
    """`runs show` has the run's fields, its attempts, the decisions that led to it and its objects."""
    run = project.json("run", "first")
    follower = project.json("runs", "list", "--job", "second")[0]

    shown = project.json("runs", "show", follower["id"][:15])

    assert shown.keys() >= RUN | {"attempts", "decisions", "objects_list"}
    assert [(one["number"], one["state"]) for one in shown["attempts"]] == [(0, "SUCCEEDED")]
    [decision] = shown["decisions"]
    assert decision.keys() >= DECISION
    assert (decision["outcome"], decision["trigger"]) == ("fired", "after-first")
    assert f"first {run['id']}" in project.ok("runs", "show", follower["id"])


def test_a_run_is_retried_as_a_new_one(project: Project) -> None:
    """`runs retry` is a new run with the same arguments and the reason."""
    first = project.type("run", "broken", "--arg", "a=1", "-o", "json").json

    again = project.type("runs", "retry", first["id"], "--reason", "once more", "-o", "json")

    assert again.code == 1
    assert again.json["id"] != first["id"]
    assert again.json["arguments"] == {"--a": "1"}
    assert again.json["cause"]["reason"] == "once more"


# -- the lake


def test_an_empty_lake_says_so(project: Project) -> None:
    """No table yet is an answer, not an error; a table that is not there is one, in words."""
    assert "The lake is empty" in project.ok("lake", "tables")
    assert project.json("lake", "tables") == []
    assert "no table or view 'a.b'" in project.fails(1, "lake", "query", "SELECT * FROM a.b")


def test_a_query_answers_rows_with_decimals_as_text(project: Project) -> None:
    """In JSON a row is an object and a decimal is text, so that no cent is lost; - reads standard input."""
    sql = "SELECT 1 AS n, CAST(0.10 AS DECIMAL(9, 2)) AS money, NULL AS nothing"

    assert project.json("lake", "query", sql) == [{"n": 1, "money": "0.10", "nothing": None}]
    assert project.ok("lake", "query", "-", stdin=sql).splitlines()[1].split() == ["1", "0.10"]


@pytest.mark.parametrize("sql", ["SELEC 1", "DROP TABLE a.b", ""])
def test_a_query_that_is_none_exits_2(project: Project, sql: str) -> None:
    """Bad SQL and SQL that writes are refused in words."""
    project.fails(2, "lake", "query", sql)


def test_an_on_demand_trigger_is_started(project: Project) -> None:
    """`triggers start` runs all its jobs to their end; one that is none, or does not start, exits 1."""
    text = PROJECT.replace("triggers:", "triggers:\n  both: {type: ON_DEMAND, actions: [first, second]}", 1)
    (project.folder / "headgate.yaml").write_text(text, "utf-8")

    fired = project.json("triggers", "start", "both", "--reason", "try")
    assert [one["job"] for one in fired["decisions"]] == ["first", "second"]
    found = project.json("runs", "list", "--trigger", "both")
    assert {one["id"] for one in found} == {one["run"] for one in fired["decisions"]}
    assert [(one["state"], one["cause"]["reason"]) for one in found] == [("SUCCEEDED", "try")] * 2
    assert "is EVENT" in project.fails(1, "triggers", "start", "uploaded")


def test_the_audit_says_who_did_what_to_what_when_and_why(project: Project) -> None:
    """Newest first, by the words it is asked with, as a table and as JSON; entries are only added."""
    begun = datetime.now(UTC)
    project.ok("triggers", "disable", "after-first", "--reason", "quarter end")
    project.ok("triggers", "enable", "after-first")
    found = project.json("audit", "--subject", "after-first", "--action", "trigger.")

    assert [one["action"] for one in found] == ["trigger.enable", "trigger.disable", "trigger.create"]
    assert found[1].keys() == {"at", "actor", "action", "subject", "reason", "detail"}
    assert (found[1]["actor"], found[1]["reason"]) == ("urn:li:corpuser:local", "quarter end")
    assert datetime.fromisoformat(found[1]["at"]) >= begun
    table = project.ok("audit", "--since", "1h", "--action", "trigger.disable", "--actor", "local", "--limit", "1")
    assert "after-first  quarter end" in table
    assert "trigger.enable" not in table
    assert project.json("audit", "--since", "2999-01-01") == []
