"""This file is where words are checked: every state has its look, every cause its sentence."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headgate.console import words
from headgate.console.pages import assets
from headgate.model import (
    Cause,
    Condition,
    JobName,
    Logical,
    Predecessor,
    Predicate,
    Run,
    RunId,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
)

RUN = Run(
    id=RunId("jr_1"), seq=1, job=JobName("j"), engine="local", state=RunState.RUNNING, detail="", attempt=0,
    cause=Cause(actor="urn:li:corpuser:ann"), arguments={}, external_id=None, created_at=datetime.now(UTC),
    started_at=None, ended_at=None, error=None, result={},
)  # fmt: skip


@pytest.mark.parametrize("state", RunState)
def test_every_state_has_a_colour_a_sign_and_a_word(state: RunState) -> None:
    """A state that is added to the model is given its look, with a light and a dark colour, in the style sheet."""
    look = words.LOOKS[state]
    css = assets()["console.css"].content.decode()
    colour = look.css.removeprefix("state-")

    assert look.label
    assert look.sign
    assert f".{look.css} {{ --state: var(--{colour}); }}" in css
    assert len(re.findall(rf"--{colour}: #", css)) == 2


def test_no_two_states_look_the_same() -> None:
    """Neither by sign, nor by word."""
    looks = [*words.LOOKS.values(), words.NEVER]

    assert len({look.label for look in looks}) == len({look.sign for look in looks}) == len(looks)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (RUN, "by hand, ann"),
        (replace(RUN, cause=Cause(actor="bob", reason="because")), "by hand, bob: because"),
        (replace(RUN, cause=Cause(trigger=TriggerName("t"))), "by t"),
        (replace(RUN, cause=Cause(trigger=TriggerName("t")), objects=1), "by t, 1 object"),
        (replace(RUN, cause=Cause(trigger=TriggerName("t")), objects=2500), "by t, 2,500 objects"),
        (
            replace(
                RUN,
                cause=Cause(trigger=TriggerName("t")),
                predecessors=[Predecessor(job=JobName(one), run=RunId("jr_0")) for one in ("b", "a")],
            ),
            "after a and b, by t",
        ),
    ],
)
def test_a_cause_is_told_in_words(run: Run, expected: str) -> None:
    """Who or what made the run."""
    assert words.cause_words(run) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 ms"), (0.0451, "45 ms"), (1.25, "1.2 s"), (61, "1 min 1 s"), (3600, "1 h"), (7500, "2 h 5 min"),
     (90_000, "1 d 1 h"), (864_000, "10 d")],
)  # fmt: skip
def test_durations_are_short(seconds: float, expected: str) -> None:
    """Two units at most."""
    assert words.duration_words(seconds) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, "size unknown"), (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_500_000, "1.5 MB"),
     (769_000_000, "769 MB"), (5 * 10**12, "5 TB"), (5 * 10**16, "5e+04 TB")],
)  # fmt: skip
def test_sizes_are_short(size: int | None, expected: str) -> None:
    """In powers of a thousand."""
    assert words.size_words(size) == expected


def test_a_result_shows_what_people_look_for_first() -> None:
    """Rows and rejects lead, ids keep their digits, structures are left to the run's page."""
    result = {"a": 1, "snapshot_id": 1234567, "nested": {"x": 1}, "rejects": 7, "rows": 99993, "empty": ""}

    assert words.values_words(result, 3) == "rows 99,993 · rejects 7 · a 1"
    assert words.value_words("snapshot_id", 1234567) == "1234567"
    assert words.value_words("nested", {"x": "ü"}) == '{"x": "ü"}'


def test_an_error_is_its_first_line() -> None:
    """Before any result; a run that waits says why."""
    assert words.outcome_words(replace(RUN, error="\nfirst\nsecond", result={"rows": 1})) == "first"
    assert words.outcome_words(replace(RUN, detail="queued")) == "queued"
    assert words.outcome_words(replace(RUN, error=" ")) == ""


def test_a_trigger_says_what_makes_it_fire() -> None:
    """For each type there is."""
    conditions = [Condition(job=JobName(one), state=RunState.SUCCEEDED) for one in ("a", "b")]
    trigger = Trigger(name=TriggerName("t"), type=TriggerType.CONDITIONAL, actions=[])

    for logical, joint in ((Logical.AND, "and"), (Logical.ANY, "or")):
        predicate = Predicate(conditions=conditions, logical=logical)
        assert words.trigger_words(replace(trigger, predicate=predicate)) == (
            f"when a is SUCCEEDED {joint} b is SUCCEEDED"
        )
    for kind in TriggerType:
        assert words.trigger_words(replace(trigger, type=kind, schedule="rate(1 day)"))
