"""This file is where `headgate openlineage convert` is tested as it is typed: input, output, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .world import Project

DATA = Path(__file__).parent.parent / "conversion" / "data"
EVENT = DATA / "examples" / "08_step_function_arn.event.json"
GOOD = json.dumps(json.loads(EVENT.read_bytes()))
BAD = '{"eventTime": "2025-01-01T00:00:00Z"}'


def expected() -> object:
    return json.loads(EVENT.with_name("08_step_function_arn.expected.json").read_bytes())


def test_one_event_gives_one_list(project: Project) -> None:
    """From a file or standard input, on one line or many, with blank lines around."""
    command = ("openlineage", "convert")

    assert json.loads(project.ok(*command, str(EVENT))) == expected()
    assert json.loads(project.ok(*command, stdin=GOOD)) == expected()
    assert (
        json.loads(project.ok(*command, "-", stdin=f"\n\n{json.dumps(json.loads(GOOD), indent=1)}\n\n")) == expected()
    )


def test_several_events_give_a_list_of_lists(project: Project) -> None:
    """A list, even of one; lines, even with blanks between them; a list may be empty."""
    command = ("openlineage", "convert")

    assert json.loads(project.ok(*command, stdin=f"[{GOOD}]")) == [expected()]
    assert json.loads(project.ok(*command, stdin=f"[\n {GOOD},\n {GOOD}\n]\n")) == [expected(), expected()]
    assert json.loads(project.ok(*command, stdin=f"{GOOD}\n\n{GOOD}\n")) == [expected(), expected()]
    assert json.loads(project.ok(*command, stdin="[]")) == []


def test_a_mark_before_the_text_does_no_harm(project: Project) -> None:
    """Some editors put it there, whatever follows."""
    command = ("openlineage", "convert")

    assert json.loads(project.ok(*command, stdin=f"\ufeff{GOOD}\n")) == expected()
    assert json.loads(project.ok(*command, stdin=f"\ufeff[{GOOD}]")) == [expected()]
    assert json.loads(project.ok(*command, stdin=f"\ufeff{GOOD}\n{GOOD}\n")) == [expected(), expected()]


@pytest.mark.parametrize(
    "text", [f"{GOOD}\n{BAD}\nnonsense\n{GOOD}", f"{BAD}\n{GOOD}", '{"cut": \n' + GOOD, f"[{GOOD},3]"]
)
def test_a_refused_event_is_an_error_in_its_place(project: Project, text: str) -> None:
    """The others are converted, the exit code is 1, and people are told how many."""
    done = project.type("openlineage", "convert", stdin=text)
    good = [one for one in done.json if isinstance(one, list)]
    bad = [one for one in done.json if isinstance(one, dict)]

    assert done.code == 1
    assert good
    assert good == [expected()] * len(good)
    assert bad
    assert all(list(one) == ["error"] and one["error"] for one in bad)
    assert f"{len(bad)} of {len(done.json)} events refused" in done.err


@pytest.mark.parametrize("text", [BAD, "{", "nonsense", '{\n "eventTime": 3\n}', "[{"])
def test_one_refused_event_is_an_error(project: Project, text: str) -> None:
    """Where there was one event, or nothing that could be told apart, there is one error."""
    done = project.type("openlineage", "convert", stdin=text)
    found = done.json if isinstance(done.json, dict) else done.json[0]

    assert (done.code, list(found)) == (1, ["error"])


def test_what_is_not_there_is_said(project: Project) -> None:
    """No file, and no event."""
    assert "there is no file nowhere.json" in project.fails(2, "openlineage", "convert", "nowhere.json")
    assert "there is no event in the input" in project.fails(2, "openlineage", "convert")


def test_as_served_the_settings_count(project: Project) -> None:
    """By default headgate.yaml changes nothing; the endpoint goes by it, and by DataHub's variables."""
    (project.folder / "headgate.yaml").write_text("openlineage: {orchestrator: ours}\n", "utf-8")
    env = {"DATAHUB_OPENLINEAGE_ENV": "QA"}
    done = project.type("openlineage", "convert", "--as-served", str(EVENT), env=env)

    assert json.loads(project.ok("openlineage", "convert", str(EVENT))) == expected()
    assert done.json[0]["entityUrn"] == "urn:li:dataFlow:(ours,a,qa)"


def test_every_file_of_events_is_gone_through(project: Project) -> None:
    """Other projects' events, some of them refused on purpose, give one answer each."""
    for path in sorted((DATA / "events").glob("*.json")):
        given = json.loads(path.read_bytes())
        done = project.type("openlineage", "convert", str(path))

        assert done.code in (0, 1)
        if isinstance(given, list):
            assert len(done.json) == len(given)
