"""This file is where what a run leaves behind becomes the arguments of those it starts."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.flow.conditional import Skips, hand_on
from headgate.flow.targets import LONGEST_VALUE
from headgate.model import Action, JobName, RunId

FIRST, SECOND = RunId("jr_" + "1" * 64), RunId("jr_" + "2" * 64)


def action(**members: str) -> Action:
    return Action(job=JobName("refresh"), from_result={f"--{name}": member for name, member in members.items()})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("collections.staging", "collections.staging"),
        (["a.b", "c.d"], '["a.b", "c.d"]'),
        (7, "7"),
        (0, "0"),
        (False, "false"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_member_is_handed_on(value: Any, text: str) -> None:
    """A text as it is, anything else as JSON."""
    assert hand_on(action(tables="written"), {FIRST: {"written": value}}) == {"--tables": text}


def test_lists_of_several_runs_are_joined() -> None:
    """Each member once, in the order of the runs; of anything else the last one's counts."""
    results: Any = {FIRST: {"written": ["a", "b"], "at": "1"}, SECOND: {"written": ["b", "c"], "at": "2"}}

    assert hand_on(action(tables="written", at="at"), results) == {"--tables": '["a", "b", "c"]', "--at": "2"}


@pytest.mark.parametrize("result", [{}, {"written": []}, {"written": ""}, {"written": None}, {"other": 1}])
def test_nothing_to_hand_on_is_nothing_to_start_for(result: Any) -> None:
    """And the reason names the run and the member."""
    said = hand_on(action(tables="written"), {FIRST: result})

    assert isinstance(said, Skips)
    assert said.reason == "result: jr_11111111… has nothing under 'written', which --tables is made of"


def test_what_is_too_long_for_an_argument_is_skipped() -> None:
    """Rather than a run that nobody can start."""
    said = hand_on(action(tables="written"), {FIRST: {"written": "x" * (LONGEST_VALUE + 1)}})

    assert isinstance(said, Skips)
    assert "65,537 characters" in said.reason


def test_an_action_that_wants_nothing_gets_nothing() -> None:
    """The usual case."""
    assert hand_on(action(), {FIRST: {"written": ["a"]}}) == {}
