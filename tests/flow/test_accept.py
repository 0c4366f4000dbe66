"""This file is where an event meets triggers: what fires, what does not, and that every event has an answer."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from headgate.catalog import Catalog
from headgate.flow.accept import EACH_UP_TO, Fire, Skip, match
from headgate.model import (
    TICK,
    Action,
    Event,
    EventId,
    JobName,
    ObjectFilter,
    StoredObject,
    Trigger,
    TriggerName,
    TriggerType,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def trigger(name: str, prefix: str = "", *, enabled: bool = True, bucket: str = "b") -> Trigger:
    return Trigger(
        name=TriggerName(name),
        type=TriggerType.EVENT,
        actions=[Action(job=JobName("a"))],
        enabled=enabled,
        objects=ObjectFilter(bucket=bucket, prefix=prefix),
    )


def event(key: str | None, *, bucket: str = "b", kind: str = "ObjectCreated:Put", **payload: str) -> Event:
    stored = None if key is None else StoredObject(bucket=bucket, key=key, size=1)
    return Event(id=EventId("e"), door="s3", kind=kind, identity="i", at=NOW, object=stored, payload=payload)


def test_each_of_a_few_triggers_answers_for_itself() -> None:
    """Fired, skipped by its prefix, skipped because it is off: one answer each, with its reason."""
    catalog = Catalog.of(1, [], [trigger("t"), trigger("other", "x/"), trigger("off", enabled=False)])
    answers = {one.trigger if isinstance(one, Skip) else one.trigger.name: one for one in match(event("k"), catalog)}

    assert isinstance(answers["t"], Fire)
    assert isinstance(answers["other"], Skip)
    assert answers["other"].reason.startswith("prefix")
    assert answers["off"] == Skip("off", "disabled: the trigger is DEACTIVATED")


def test_of_many_triggers_those_that_do_not_match_answer_together() -> None:
    """A bucket with many triggers: one line for all that did not match, not thousands of decisions."""
    many = [trigger(f"t{number}", f"p{number}/") for number in range(EACH_UP_TO + 5)]
    catalog = Catalog.of(1, [], many)

    assert match(event("p3/x"), catalog) == [Fire(many[3])]
    (nobody,) = match(event("q/x"), catalog)
    assert isinstance(nobody, Skip)
    assert "none of the 25 triggers" in nobody.reason


def test_what_no_trigger_can_want_says_so() -> None:
    """An unwatched bucket, a folder marker, an event without an object."""
    catalog = Catalog.of(1, [], [trigger("t")])
    for unwanted in (event("k", bucket="other"), event("folder/"), event("x.tmp"), event(None)):
        (answer,) = match(unwanted, catalog)
        assert isinstance(answer, Skip)
        assert answer.reason


def test_a_tick_fires_its_own_trigger_or_says_why_not() -> None:
    """Fired; off; deleted meanwhile."""
    on = Trigger(name=TriggerName("on"), type=TriggerType.SCHEDULED, actions=[])
    off = Trigger(name=TriggerName("off"), type=TriggerType.SCHEDULED, actions=[], enabled=False)
    catalog = Catalog.of(1, [], [on, off])

    assert match(event(None, kind=TICK, trigger="on"), catalog) == [Fire(on)]
    assert match(event(None, kind=TICK, trigger="off"), catalog) == [
        Skip("off", "disabled: the trigger is DEACTIVATED")
    ]
    assert match(event(None, kind=TICK, trigger="gone"), catalog) == [
        Skip("gone", "deleted: there is no such trigger any more")
    ]


_PREFIXES = st.lists(st.text("ab/", max_size=4), max_size=60)


@given(prefixes=_PREFIXES, key=st.text("ab/", min_size=1, max_size=6), bucket=st.sampled_from("bc"))
def test_the_index_finds_what_looking_at_each_would_find(prefixes: list[str], key: str, bucket: str) -> None:
    """However many triggers there are, those fire whose prefix the key begins with; and nothing stays unanswered."""
    triggers = [trigger(f"t{number}", prefix) for number, prefix in enumerate(prefixes)]
    answers = match(event(key, bucket=bucket), Catalog.of(1, [], triggers))
    fired = {one.trigger.name for one in answers if isinstance(one, Fire)}
    marker = key.endswith("/")
    wanted = {one.name for one in triggers if one.objects and key.startswith(one.objects.prefix)}

    assert answers
    assert fired == (wanted if bucket == "b" and not marker else set())
