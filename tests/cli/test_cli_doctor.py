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
