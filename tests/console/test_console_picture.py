"""This file is where the drawing is checked: everything in its column, nothing on top of each other, circles too."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from headgate.catalog import Catalog
from headgate.console.picture import HEIGHT, MOST_JOBS, MOST_TRIGGERS, WIDTH, Doing, Picture, draw, shown
from headgate.model import (
    Action,
    Cause,
    Condition,
    Job,
    JobName,
    ObjectFilter,
    Predicate,
    Run,
    RunId,
    RunState,
    Trigger,
    TriggerName,
    TriggerType,
)


def job(name: str) -> Job:
    return Job(name=JobName(name), engine="local", target={})


def after(name: str, watched: list[str], started: list[str]) -> Trigger:
    return Trigger(
        name=TriggerName(name),
        type=TriggerType.CONDITIONAL,
        actions=[Action(job=JobName(one)) for one in started],
        predicate=Predicate(conditions=[Condition(job=JobName(one), state=RunState.SUCCEEDED) for one in watched]),
    )


def uploaded(name: str, started: str, *, enabled: bool = True, bucket: str = "raw") -> Trigger:
    return Trigger(
        name=TriggerName(name),
        type=TriggerType.EVENT,
        actions=[Action(job=JobName(started))],
        objects=ObjectFilter(bucket=bucket),
        enabled=enabled,
    )


def running(name: str, trigger: str, state: RunState = RunState.RUNNING) -> Run:
    return Run(
        id=RunId("jr_1"), seq=1, job=JobName(name), engine="local", state=state, detail="", attempt=0,
        cause=Cause(trigger=TriggerName(trigger)), arguments={}, external_id=None, created_at=datetime.now(UTC),
        started_at=None, ended_at=None, error=None, result={},
    )  # fmt: skip


def columns(picture: Picture) -> dict[str, int]:
    return {box.key: box.column for box in picture.boxes}


def test_the_flow_goes_from_left_to_right() -> None:
    """Source, trigger, job, conditional trigger, its job: each one column further; a job nobody starts is with jobs."""
    picture = draw(
        [uploaded("up", "a"), after("then", ["a"], ["b"])], [job("a"), job("b"), job("alone")], Doing(), inboxes=["raw"]
    )

    assert columns(picture) == {
        "source bucket raw": 0, "trigger up": 1, "job a": 2, "job alone": 2, "trigger then": 3, "job b": 4,
    }  # fmt: skip
    assert next(box.line for box in picture.boxes if box.kind == "source") == "a folder of this machine"


def test_only_the_way_that_something_runs_on_is_lit() -> None:
    """The arrow of another trigger to the same job stays dark, and so does one whose run only waits."""
    triggers = [uploaded("one", "a"), uploaded("two", "a", bucket="other")]
    lit = draw(triggers, [job("a")], Doing(live=[running("a", "one")]))
    dark = draw(triggers, [job("a")], Doing(live=[running("a", "one", RunState.WAITING)]))

    assert {(arrow.start.key, arrow.end.key) for arrow in lit.arrows if arrow.lit} == {
        ("source bucket raw", "trigger one"), ("trigger one", "job a"),
    }  # fmt: skip
    assert not [arrow for arrow in dark.arrows if arrow.lit]


def test_a_disabled_trigger_is_drawn_as_such() -> None:
    """With its arrows."""
    picture = draw([uploaded("one", "a", enabled=False)], [job("a")], Doing())

    assert [box.key for box in picture.boxes if box.off] == ["trigger one"]
    assert all(arrow.off for arrow in picture.arrows)


def test_a_job_shows_its_busiest_state() -> None:
    """Running before waiting; with nothing under way how its newest run ended; else that it never ran."""
    over = running("b", "x", RunState.FAILED)
    doing = Doing(counts={"a": {"WAITING": 3, "RUNNING": 1}}, last={JobName("b"): over})
    looks = {box.title: (box.look.label if box.look else "", box.line) for box in draw(
        [], [job("a"), job("b"), job("c")], doing).boxes}  # fmt: skip

    assert looks["a"] == ("running", "▶ running 1, waiting 3 · local")
    assert looks["b"][0] == "failed"
    assert looks["c"][0] == "never ran"


def test_what_is_at_work_is_drawn_first_when_there_is_too_much() -> None:
    """Of ten thousand triggers the busy one is among those shown, and no more than can be taken in."""
    triggers = [uploaded(f"t{number:05}", f"j{number % 100}") for number in range(10_000)]
    catalog = Catalog.of(1, [job(f"j{number}") for number in range(100)], triggers)
    some, jobs = shown(catalog, [running("j99", "t09999")])

    assert len(some) == MOST_TRIGGERS
    assert len(jobs) == MOST_JOBS
    assert "t09999" in {one.name for one in some}
    assert "j99" in {one.name for one in jobs}


_NAMES = st.sampled_from(["a", "b", "c", "d"])


@given(
    st.lists(st.tuples(st.lists(_NAMES, min_size=1, max_size=3), st.lists(_NAMES, min_size=1, max_size=3)), max_size=8)
)
def test_any_flow_can_be_drawn(ways: list[tuple[list[str], list[str]]]) -> None:
    """Circles too: no box lies on another, all lie within the picture, and every way has its arrow."""
    triggers = [after(f"t{number}", watched, started) for number, (watched, started) in enumerate(ways)]
    picture = draw(triggers, [job(name) for name in "abcd"], Doing())
    places = [(box.x, box.y) for box in picture.boxes]

    assert len(set(places)) == len(places) == 4 + len(ways)
    assert all(0 <= x <= picture.width - WIDTH and 0 <= y <= picture.height - HEIGHT for x, y in places)
    assert {(arrow.start.title, arrow.end.title) for arrow in picture.arrows} == {
        way for one, (watched, started) in zip(triggers, ways, strict=True)
        for way in [*((name, one.name) for name in watched), *((one.name, name) for name in started)]
    }  # fmt: skip
