"""This file is where the doctor is asked as people ask it: typed, with a server and without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from .world import DEADLINE, Project, until

KEYS = {"about", "rank", "kind", "what", "evidence", "mend"}


@pytest.fixture(params=["alone", "served"])
def either(request: pytest.FixtureRequest) -> Project:
    """A project that no server serves, and one that a server does."""
    found: Project = request.getfixturevalue("project" if request.param == "alone" else "served")
    return found


def test_a_disabled_trigger_is_found_first_and_mended_by_what_it_says(either: Project) -> None:
    """Exit 1, one JSON document, ranked; the command it names makes the finding go away."""
    either.ok("triggers", "disable", "after-first", "--reason", "test")
    done = either.type("doctor", "trigger", "after-first", "-o", "json")
    assert done.code == 1, done
    assert all(set(one) == KEYS for one in done.json)
    assert [one["rank"] for one in done.json] == sorted(one["rank"] for one in done.json)
    assert done.json[0]["mend"] == "headgate triggers enable after-first"
    either.ok(*str(done.json[0]["mend"]).split()[1:])

    again = either.type("doctor", "trigger", "after-first", "-o", "json")
    assert all("disabled" not in one["what"] for one in again.json)


def test_a_trigger_that_is_declared_off_is_no_fault(project: Project) -> None:
    """In the whole it is a note with the command that switches it on; who asks for it by name is told it is off."""
    file = project.folder / "headgate.yaml"
    file.write_text(file.read_text("utf-8").replace("  after-first: {", "  after-first: {enabled: false, "), "utf-8")
    found = [one for one in project.type("doctor", "-o", "json").json if one["about"] == "trigger after-first"]
    asked = project.type("doctor", "trigger", "after-first", "-o", "json")

    assert [(one["kind"], one["mend"]) for one in found] == [
        ("note", "headgate triggers enable after-first, to switch it on")
    ]
    assert (asked.code, asked.json[0]["mend"]) == (1, "headgate triggers enable after-first")


def test_it_is_told_in_lines_for_people(either: Project) -> None:
    """What it is, how one knows, what mends it; on standard output."""
    done = either.type("doctor", "trigger", "after-first")

    assert done.code == 1, done
    assert "1. LIKELY · trigger after-first: it waits for first to end SUCCEEDED, and first never ran" in done.out
    assert "   mend: headgate run first" in done.out
    assert done.err == ""


def test_all_is_well_after_a_run(served: Project) -> None:
    """Exit 0, and only notes."""
    served.ok("run", "first", "--wait")
    until(lambda: _ended(served), f"what follows ends within {DEADLINE} s")
    done = served.type("doctor", "trigger", "after-first", "-o", "json")

    assert done.code == 0, done
    assert {one["kind"] for one in done.json} == {"note"}


def _ended(served: Project) -> bool:
    [newest] = served.json("runs", "list", "--job", "second", "--limit", "1")
    return newest["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("trigger",), 2, "name the trigger"),
        (("s3", "uploaded"), 2, "name the trigger"),
        (("trigger", "uplaoded"), 1, "did you mean 'uploaded'?"),
        (("everything",), 2, "'everything' is not one of"),
    ],
)
def test_a_wrong_question_is_answered_in_words(project: Project, words: tuple[str, ...], code: int, said: str) -> None:
    """With the exit code that says whose mistake it was."""
    assert said in project.fails(code, "doctor", *words)


def test_a_server_that_is_not_there_is_no_good_health(project: Project) -> None:
    """Exit 3: nobody knows."""
    gone = {"HEADGATE_URL": "http://127.0.0.1:9"}

    assert "nobody answers" in project.fails(3, "doctor", "trigger", "after-first", env=gone)


def test_without_a_project_it_says_so(tmp_path: Path) -> None:
    assert "there is no headgate.yaml" in Project(tmp_path / "empty", None).fails(2, "doctor")


def test_the_folder_of_a_bucket_is_found_missing_and_made_by_what_it_says(project: Project) -> None:
    """The whole asks for everything, and each finding says what it is about."""
    done = project.type("doctor", "s3", "-o", "json")
    assert done.code == 1, done
    assert (done.json[0]["about"], done.json[0]["kind"]) == ("s3", "broken")
    word, *rest = str(done.json[0]["mend"]).split()
    assert (word, rest) == ("mkdir", ["-p", str(project.folder / "inbox")])
    (project.folder / "inbox").mkdir()
    whole = project.type("doctor", "-o", "json", env={"AWS_EC2_METADATA_DISABLED": "true"})

    assert whole.code == 1, whole
    assert not any("is not there" in one["what"] for one in whole.json)
    assert {"s3", "aws", "datahub", "trigger after-first"} <= {one["about"] for one in whole.json}


def test_a_datahub_that_is_away_is_exit_3(project: Project) -> None:
    """Nobody knows whether all is well, and no token is shown."""
    away = {
        "DATAHUB_GMS_URL": "http://127.0.0.1:9",
        "DATAHUB_GMS_TOKEN": "hush-hush",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = project.type("doctor", "datahub", env=away)

    assert done.code == 3, done
    assert "UNSEEN · datahub: DataHub could not be looked at" in done.out
    assert "nobody knows whether all is well" in done.err
    assert "hush" not in done.out + done.err


def test_where_to_look_is_told_with_the_command(project: Project) -> None:
    """A crontab, a folder, a log group nobody can be asked about; exit 3 for what could not be looked at."""
    (project.folder / "sync.sh").write_text("datahub ingest -c glue.yml --token hush\n", "utf-8")
    words = ["doctor", "datahub", "--look-in", str(project.folder), "--look-in", "gone", "--log-group", "/ecs/x"]
    away = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}  # fmt: skip
    done = project.type(*words, env=away)

    assert done.code == 3, done
    assert f"NOTE · datahub: {project.folder}/sync.sh:1 may ingest: a command" in done.out
    assert "the folder gone could not be looked at" in done.out
    assert "the log group /ecs/x could not be looked at" in done.out
    assert "hush" not in done.out + done.err


def test_the_executors_file_is_validated_too(project: Project) -> None:
    """With its own name, line and column."""
    text = (project.folder / "headgate.yaml").read_text("utf-8")
    (project.folder / "headgate.yaml").write_text(text + "datahub: {executor: executor.yml}\n", "utf-8")
    missing = project.type("validate", "-o", "json")
    (project.folder / "executor.yml").write_text("name: p\naction: {type: executer}\ntransform: [{type: x}]\n", "utf-8")
    wrong = project.type("validate")
    (project.folder / "executor.yml").write_text("name: p\naction: {type: executor}\n", "utf-8")

    assert (missing.code, wrong.code) == (2, 2)
    assert "cannot be read: No such file" in missing.json[0]["message"]
    assert "executor.yml:2:16: action.type: unsupported action type 'executer'" in wrong.out
    assert "executor.yml:3:20: transform[0].type: `headgate executor` runs no transformers" in wrong.out
    assert "2 problems" in wrong.err
    assert project.type("validate").code == 0
