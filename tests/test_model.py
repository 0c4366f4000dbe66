"""This file is where the nouns themselves are tested: states, sequencers, ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.model import (
    NEXT,
    OCCUPYING,
    TERMINAL,
    WATCHABLE,
    RunId,
    RunState,
    StoredObject,
    attempt_id,
    new_event_id,
    new_run_id,
    sequencer_order,
)


def test_the_table_knows_every_state_and_reaches_each_from_waiting() -> None:
    """Every state has its moves, every one can be reached, and from every one there is an end."""
    assert set(NEXT) == set(RunState)
    reached, ahead = {RunState.WAITING}, [RunState.WAITING]
    while ahead:
        for following in NEXT[ahead.pop()] - reached:
            reached.add(following)
            ahead.append(following)
    assert reached == set(RunState)
    assert all(NEXT[state] & TERMINAL for state in RunState if state not in TERMINAL)


@given(moves=st.lists(st.sampled_from(RunState), max_size=30))
def test_an_ended_run_stays_ended(moves: list[RunState]) -> None:
    """Whatever is asked in whatever order, following the table: no move leads out of an end."""
    state = RunState.WAITING
    ended: RunState | None = None
    for wanted in moves:
        if wanted in NEXT[state]:
            assert ended is None
            state = wanted
            ended = state if state in TERMINAL else None
    assert ended in (None, state)


def test_places_are_held_by_what_is_neither_waiting_nor_over() -> None:
    """Each state waits, holds a place, or is an end; conditions watch ends only."""
    assert {RunState.WAITING} | OCCUPYING | TERMINAL == set(RunState)
    assert not OCCUPYING & TERMINAL
    assert WATCHABLE < TERMINAL


@given(
    one=st.text("0123456789ABCDEF", min_size=1, max_size=32), other=st.text("0123456789ABCDEF", min_size=1, max_size=32)
)
def test_sequencers_compare_as_s3_says(one: str, other: str) -> None:
    """The shorter is padded with zeros on the right, and case does not matter."""
    width = max(len(one), len(other))
    expected = one.ljust(width, "0") < other.ljust(width, "0")

    assert (sequencer_order(one.lower()) < sequencer_order(other)) == expected


def test_the_same_bytes_under_the_same_key_have_the_same_id() -> None:
    """A version counts before an etag; nothing of one field can run into the next."""
    base = StoredObject(bucket="b", key="k", etag="e", version="v")
    assert base.source_id == StoredObject(bucket="b", key="k", etag="other", version="v", sequencer="1").source_id
    others = [
        StoredObject(bucket="b", key="k", etag="e"),
        StoredObject(bucket="bk", key="", etag="e", version="v"),
        StoredObject(bucket="b", key="k", version="w"),
    ]
    assert len({one.source_id for one in (base, *others)}) == 4


def test_ids_look_as_promised() -> None:
    """`jr_` and 64 hex digits for a run; an attempt's after the first has its number."""
    run = new_run_id()
    assert (run[:3], len(run), set(run[3:]) <= set("0123456789abcdef")) == ("jr_", 67, True)
    assert new_event_id().startswith("ev_")
    assert attempt_id(RunId("jr_x"), 0) == "jr_x"
    assert attempt_id(RunId("jr_x"), 2) == "jr_x_attempt_2"
