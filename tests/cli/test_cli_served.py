"""This file is where the commands are typed beside a running server: they ask it, and it goes on without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from .world import DATASET, DECISION, PROJECT, RUN, TOKEN, Project, address, environment, serving, states, until


def release(project: Project) -> Path:
    """The file that lets the job `long` end."""
    return project.folder / "release"


def test_run_answers_at_once_and_the_server_goes_on(served: Project) -> None:
    """Without --wait `run` says which run it started; it and what follows happen in the server."""
    started = served.json("run", "first", "--reason", "asked")

    assert started.keys() >= RUN
    assert started["state"] in ("WAITING", "STARTING", "RUNNING", "SUCCEEDED")
    until(lambda: "SUCCEEDED" in served.ok("runs", "show", started["id"]), "the server ran it")
    assert "runs logs -f" in served.type("run", "second").err


def test_run_waits_for_all_that_follows(served: Project) -> None:
    """With --wait it follows the run and those its end fires; the exit code is the verdict."""
    run = served.json("run", "--wait", "first")
    following = served.json("runs", "list", "--trigger", "after-first", "--limit", "1")[0]

    assert run["state"] == "SUCCEEDED"
    assert (following["predecessors"][0]["run"], following["state"]) == (run["id"], "SUCCEEDED")
    assert "ended FAILED: exit 3: no luck" in served.fails(1, "run", "broken", "--wait")


def test_a_dataset_is_refreshed_by_the_server(served: Project) -> None:
    """`explain` and `run --dataset` give the server's answer."""
    assert served.json("explain", DATASET)["job"] == "first"
    assert served.json("run", "--dataset", DATASET, "--wait")["job"] == "first"


def test_the_near_name_is_told_beside_a_server_too(served: Project) -> None:
    """A misspelt job exits 1 with the same advice as without a server; so does a run that is not there."""
    assert "no job 'frist'; did you mean first?" in served.fails(1, "run", "frist")
    assert "jr_nowhere" in served.fails(1, "runs", "show", "jr_nowhere")
    assert "WAITING" in served.fails(2, "runs", "list", "--state", "TIRED")


def test_a_log_is_followed_until_the_run_is_over(served: Project) -> None:
    """`runs logs -f` shows lines as they come, and ends by itself with the run."""
    release(served).unlink(missing_ok=True)
    run = served.json("run", "long")

    follower = subprocess.Popen(
        [sys.executable, "-m", "headgate", "runs", "logs", "-f", run["id"]],
        cwd=served.folder, env=environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with follower:
        assert follower.stdout is not None
        begun = follower.stdout.readline()
        alive = follower.poll() is None
        release(served).touch()
        rest = follower.stdout.read()

    assert (begun, alive, rest, follower.returncode) == ("begun\n", True, "over\n", 0)
    assert served.ok("runs", "logs", run["id"]) == "begun\nover\n"


def test_a_run_is_stopped_and_retried(served: Project) -> None:
    """`runs stop --wait` ends it STOPPED with the reason kept; stopping it again is refused; `runs retry` is new."""
    release(served).unlink(missing_ok=True)
    run = served.json("run", "long")
    until(lambda: "begun" in served.ok("runs", "logs", run["id"]), "it runs")

    stopped = served.json("runs", "stop", run["id"], "--reason", "enough", "--wait")
    again = served.type("runs", "stop", run["id"])
    release(served).touch()
    retried = served.json("runs", "retry", run["id"], "--wait")

    assert (stopped["id"], stopped["state"]) == (run["id"], "STOPPED")
    assert again.code == 1, again
    assert "STOPPED" in again.err
    assert (retried["state"], retried["cause"]["reason"]) == ("SUCCEEDED", f"retry of {run['id']}")


def test_an_engine_that_is_not_there_fails_its_runs(served: Project) -> None:
    """A job of an engine this installation has not is listed, and its run ends FAILED naming the engine."""
    assert "far" in served.ok("jobs", "list")
    refused = served.fails(1, "run", "far", "--wait")
    assert "r.yml cannot be read" in refused
    command = refused.rpartition("See `headgate ")[2].partition("`")[0].split()
    assert command[:2] == ["runs", "show"], "what never started has no log to look at"
    assert "There is no output; the run ended FAILED: " in served.type("runs", "logs", command[2]).err


def test_events_say_what_they_led_to_and_happen_again(served: Project) -> None:
    """A file's event has its decisions; it is found by prefix, time and failure, and replayed with or without more."""
    served.drop("in/a.csv")
    served.drop("bad/b.csv")
    until(lambda: len(served.json("events", "list", "--prefix", "s3://raw-data/")) == 2, "both files are events")
    until(
        lambda: len(served.json("events", "list", "--failed", "--prefix", "bad/")) == 1, "the bad one's run has failed"
    )

    [good] = served.json("events", "list", "--prefix", "in/", "--since", "1h")
    [bad] = served.json("events", "list", "--failed", "--prefix", "bad/")

    assert (good["object"]["uri"], good["door"]) == ("s3://raw-data/in/a.csv", "inbox")
    assert good["decisions"][0].keys() >= DECISION
    assert (good["decisions"][0]["outcome"], good["decisions"][0]["trigger"]) == ("fired", "uploaded")
    assert bad["object"]["uri"] == "s3://raw-data/bad/b.csv"
    assert served.json("events", "list", "--prefix", "in/", "--until", "1h") == []
    until(lambda: _runs(served, good["id"]), "its run is over")

    would = served.json("events", "replay", "--failed", "--prefix", "bad/", "--dry-run")
    assert [(one["replay_of"], one["receipt"]) for one in would] == [(bad["id"], None)]
    assert len(served.json("events", "list", "--prefix", "raw-data/")) == 2  # nothing was replayed

    [again] = served.json("events", "replay", "--prefix", "in/", "--yes", "--no-downstream", "--reason", "once more")
    run = again["receipt"]["decisions"][0]["run"]
    until(lambda: served.json("runs", "show", run)["state"] == "SUCCEEDED", "the replayed run is over")
    assert again["replay_of"] == good["id"]
    assert not _followers(served, run)

    [more] = served.json("events", "replay", good["id"])
    following = more["receipt"]["decisions"][0]["run"]
    until(lambda: _followers(served, following), "what follows is fired")


def _runs(project: Project, event: str) -> bool:
    """Whether each run of the event is over."""
    [found] = [one for one in project.json("events", "list", "--prefix", "in/") if one["id"] == event]
    shown = [project.json("runs", "show", one["run"]) for one in found["decisions"] if one["run"]]
    return all(one["state"] == "SUCCEEDED" for one in shown)


def _followers(project: Project, run: str) -> list[str]:
    listed = project.json("runs", "list", "--trigger", "after-first")
    return [one["id"] for one in listed if run in [before["run"] for before in one["predecessors"]]]


def test_an_event_nobody_knows_cannot_be_replayed(served: Project) -> None:
    """Its id is named and the exit code is 1."""
    assert "ev_nowhere" in served.fails(1, "events", "replay", "ev_nowhere")


def test_lists_show_what_the_server_says(served: Project) -> None:
    """Jobs, triggers and the plan come from the server, in the shapes they have without one."""
    assert "Nothing to change" in served.ok("plan")
    assert served.json("plan") == []
    assert [one["name"] for one in served.json("triggers", "list")] == ["after-first", "uploaded", "uploaded-bad"]
    assert [one["engine"] for one in served.json("jobs", "list") if one["name"] == "far"] == ["recipe"]


def test_another_file_than_the_servers_is_noticed(served: Project) -> None:
    """The server answers by its own file; a command that was given another says so, and on standard error only."""
    (served.folder / "other.yaml").write_text("jobs: {}\n", "utf-8")
    other, same = served.type("plan", "-c", "other.yaml", "-o", "json"), served.type("plan", "-c", "headgate.yaml")
    assert (other.json, same.err) == ([], "")
    assert f"goes by {served.folder / 'headgate.yaml'}" in other.err


def test_a_switched_trigger_stays_so_over_a_restart(tmp_path: Path) -> None:
    """What a person switched off is off in the next server too, and its events are kept with why they were skipped."""
    project = Project(tmp_path / "project")
    with serving(project):
        project.ok("triggers", "disable", "uploaded", "--reason", "quarter end")
    with serving(project):
        project.drop("in/a.csv")
        [event] = until(lambda: project.json("events", "list", "--prefix", "in/"), "the file is an event")
        listed = {one["name"]: one["state"] for one in project.json("triggers", "list")}
        runs = project.json("runs", "list")

    assert listed["uploaded"] == "DEACTIVATED"
    assert {one["trigger"]: one["outcome"] for one in event["decisions"]}["uploaded"] == "skipped"
    assert all(one["reason"] for one in event["decisions"])
    assert runs == []


def test_a_changed_file_is_applied_by_the_next_server(tmp_path: Path) -> None:
    """The server that runs keeps its definitions; the next one has the file's, and what was removed is gone."""
    project = Project(tmp_path / "project")
    with serving(project):
        names = [one["name"] for one in project.json("jobs", "list")]
    text = PROJECT.replace("first runs", "first walks")
    (project.folder / "headgate.yaml").write_text(text, "utf-8")
    with serving(project):
        run = project.json("run", "first", "--wait")
        said = project.ok("runs", "logs", run["id"])

    assert names == ["broken", "far", "first", "long", "second"]
    assert said == "first walks\n"


def test_a_guarded_server_wants_the_token(tmp_path: Path) -> None:
    """With a token set the command sends it; a wrong one is refused with exit 1, named as what to set."""
    project = Project(tmp_path / "project")
    env = {"HEADGATE_TOKEN": TOKEN}
    with serving(project, env=env):
        right = project.type("jobs", "list", env=env)
        wrong = project.type("jobs", "list", env={"HEADGATE_TOKEN": "another-token"})
        elsewhere = Project(tmp_path / "elsewhere", None).type(
            "runs", "list", "-o", "json", env={**env, "HEADGATE_URL": address(project)}
        )

    assert right.code == 0, right
    assert wrong.code == 1, wrong
    assert "HEADGATE_TOKEN" in wrong.err
    assert TOKEN not in wrong.err
    assert (elsewhere.code, elsewhere.json) == (0, []), elsewhere


def test_listed_runs_are_newest_first(served: Project) -> None:
    """`runs list` filters by job and state, newest first, at most --limit."""
    served.ok("run", "second", "--wait")
    found = served.json("runs", "list", "--job", "second", "--state", "succeeded", "-n", "2")

    assert 1 <= len(found) <= 2
    assert set(states(found)) == {("second", "SUCCEEDED")}
    assert found == sorted(found, key=lambda one: one["created_at"], reverse=True)


def test_plan_and_apply_go_by_the_file_as_it_is_now(served: Project) -> None:
    """The server reads its file again: the new job can be run at once, and what needs a restart is said."""
    file = served.folder / "headgate.yaml"
    before = file.read_text("utf-8")
    more = (
        "  added: {engine: local, command: [sh, -c, 'echo added runs']}\n"
        "triggers:\n  both: {type: ON_DEMAND, actions: [first, added]}"
    )
    try:
        file.write_text(before.replace("triggers:", more, 1) + "lease: 9s\n", "utf-8")
        planned = served.ok("plan")
        assert "+ job added: create" in planned
        assert "~ setting lease: restart  (only a restart of the server puts it in force)" in planned
        done = [(one["kind"], one["name"], one["does"]) for one in served.json("apply", "--yes")]
        assert done == [("job", "added", "create"), ("trigger", "both", "create"), ("setting", "lease", "restart")]
        warned = httpx.get(f"{address(served)}/readyz", trust_env=False).json()["warnings"]
        assert any("only a restart puts in force: lease" in one for one in warned)
        fired = served.json("triggers", "start", "both", "--wait")  # exit 0: both ended SUCCEEDED
        assert [one["job"] for one in fired["decisions"]] == ["first", "added"]
    finally:
        file.write_text(before, "utf-8")
        assert [one["does"] for one in served.json("apply", "--yes")] == ["delete", "delete"]
