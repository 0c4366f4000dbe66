"""This file is where every ledger is looked into: pages, ids of every shape, filters, while others write."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from headgate.errors import NotFound
from headgate.ledger.reading import EventFilter
from headgate.model import RunState

from .replica import Replica, dropped, job, now, on_object


def test_pages_are_complete_and_without_doubles_while_runs_are_added_and_end(ledger: Replica) -> None:
    """Whoever pages from newest to oldest sees each run that was there at the start exactly once."""
    ledger.declare([job("a", max_concurrent_runs=5)])
    there = {ledger.ask("a").id for _ in range(60)}
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            ledger.ask("a")
            for run in ledger.taken():
                ledger.end(run)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(5):
        seen: list[str] = []
        before = None
        while True:
            page = ledger.ledger.runs(before=before, limit=7)
            seen += [run.id for run in page.items]
            if page.next is None:
                break
            before = page.next
        assert len(seen) == len(set(seen)), "a run was on two pages"
        assert there <= set(seen), "a run was on no page"
    over.set()
    thread.join()


def test_a_page_says_whether_there_is_another(ledger: Replica) -> None:
    """`next` is None exactly on the last page, also when it is full."""
    ledger.declare([job("a")])
    for _ in range(4):
        ledger.ask("a")

    assert ledger.ledger.runs(limit=4).next is None
    first = ledger.ledger.runs(limit=3)
    assert first.next == first.items[-1].seq
    assert len(ledger.ledger.runs(before=first.next, limit=3).items) == 1


def test_a_run_is_found_by_every_shape_of_its_id(ledger: Replica) -> None:
    """Its own, an attempt's, the engine's, and a beginning that fits one alone; under way and over."""
    ledger.declare([job("a", max_concurrent_runs=2)])
    ledger.ask("a")
    ledger.ask("a")
    for over in (False, True):
        for number, run in enumerate(list(ledger.claimed)):
            if over:
                ledger.end(run)
            else:
                ledger.start(run, handle=f"arn:aws:states:x:{number}")
            for name in (run.id, f"{run.id}_attempt_3", f"arn:aws:states:x:{number}", run.id[:20], run.id[:-1]):
                assert ledger.run(name).id == run.id
    assert ledger.run("arn:aws:states:x:1").state is RunState.SUCCEEDED


def test_a_beginning_that_fits_several_or_none_is_not_found(ledger: Replica) -> None:
    """The error says whether more of the id is needed."""
    ledger.declare([job("a")])
    one, other = ledger.ask("a"), ledger.ask("a")
    ledger.sql("update run set id = :new where id = :old", new="jr_" + "ab" * 32, old=one.id)
    ledger.sql("update run set id = :new where id = :old", new="jr_" + "ab" * 31 + "ff", old=other.id)
    assert ledger.run("jr_" + "ab" * 31 + "f").id.endswith("ff")
    with pytest.raises(NotFound, match="several ids begin like that"):
        ledger.run("jr_abab")
    for name in ("jr_abb", "jr_", "nothing", "jr_abab_attempt_x%"):
        with pytest.raises(NotFound):
            ledger.run(name if name != "jr_abab_attempt_x%" else "jr_%")


def test_runs_are_filtered_by_job_state_and_trigger(ledger: Replica) -> None:
    """Each filter alone and together, live and over."""
    ledger.declare([job("a"), job("b")], [on_object("t", "a")])
    ledger.accept(dropped())
    ledger.end(ledger.taken()[0], RunState.FAILED)
    ledger.ask("a")
    ledger.ask("b")

    assert [run.state.value for run in ledger.ledger.runs(job="a").items] == ["STARTING", "FAILED"]
    assert [run.job for run in ledger.ledger.runs(state=RunState.STARTING).items] == ["b", "a"]
    assert [run.state.value for run in ledger.ledger.runs(trigger="t", state=RunState.FAILED).items] == ["FAILED"]
    assert ledger.ledger.runs(job="c").items == []
    assert ledger.ledger.counts() == {"a": {"STARTING": 1}, "b": {"STARTING": 1}}
    assert {name: run.state.value for name, run in ledger.ledger.last_runs([job("a").name]).items()} == {
        "a": "STARTING"
    }


def test_events_are_filtered_by_prefix_time_door_and_failure(ledger: Replica) -> None:
    """A prefix is bucket and key, an s3 URL, or a key's beginning; odd characters in it are themselves."""
    ledger.declare([job("a", max_concurrent_runs=9)], [on_object("t", "a", max_objects=1)])
    keys = ["in/a.csv", "in/ä_%.csv", "in/ä_%2.csv", "other.csv", "in2/x"]
    ledger.accept(*[dropped(key) for key in keys])
    failing = ledger.taken()[0]
    ledger.end(failing, RunState.FAILED)

    def found(**wanted: object) -> list[str]:
        page = ledger.ledger.events(EventFilter(**wanted))  # type: ignore[arg-type]
        return [one.event.object.key for one in page.items if one.event.object][::-1]

    assert found() == keys
    assert found(prefix="raw/in/") == found(prefix="s3://raw/in/") == found(prefix="in/") == keys[:3]
    assert found(prefix="in/ä_%") == keys[1:3]
    assert found(prefix="IN/") == found(prefix="s3://other/") == []
    assert found(prefix="s3://raw") == keys
    assert found(only_failed=True) == ["in/a.csv"]
    assert found(door="inbox") == []
    assert found(until=now() - timedelta(hours=1)) == []
    assert found(since=now() - timedelta(hours=1)) == keys
    first = ledger.ledger.events(EventFilter(), limit=2)
    assert first.items[0].decisions[0].outcome == "fired"
    assert ledger.ledger.event(first.items[0].event.id).event.object == first.items[0].event.object


@pytest.mark.postgres
@pytest.mark.parametrize("collation", ["en-US-x-icu", "C"])
def test_a_prefix_is_found_whatever_the_database_sorts_by(postgres_url: str, collation: str) -> None:
    """A server that sorts as a language does finds the same events and ids."""
    ledger = Replica(postgres_url)
    ledger.sql(f'alter table event alter column key type text collate "{collation}"')
    ledger.sql(f'alter table run alter column id type varchar collate "{collation}"')
    ledger.declare([job("a", max_concurrent_runs=9)], [on_object("t", "a", max_objects=1)])
    ledger.accept(dropped("in/a"), dropped("in/Z"), dropped("in/_"), dropped("io"))
    page = ledger.ledger.events(EventFilter(prefix="in/"))

    assert sorted(one.event.object.key for one in page.items if one.event.object) == ["in/Z", "in/_", "in/a"]
    run = ledger.taken()[0]
    assert ledger.run(run.id[:30]).id == run.id
    ledger.close()


def test_decisions_are_listed_and_found_one_by_one(ledger: Replica) -> None:
    """By trigger, run and outcome, newest first; each has a number of its own."""
    ledger.declare([job("a")], [on_object("t", "a"), on_object("u", "a", prefix="no")])
    ledger.accept(dropped("1"), dropped("2"))
    skipped = ledger.ledger.decisions(outcome="skipped")
    (run,) = ledger.taken()[:1]

    assert {one.decision.trigger for one in skipped.items} == {"u"}
    assert [one.decision.run for one in ledger.ledger.decisions(run=run.id, trigger="t").items][-1] == run.id
    assert ledger.ledger.decision(skipped.items[0].seq).decision == skipped.items[0].decision
    page = ledger.ledger.decisions(limit=3)
    assert page.next is not None
    assert len(ledger.ledger.decisions(before=page.next, limit=3).items) == 1
    with pytest.raises(NotFound):
        ledger.ledger.decision(10**9)


def test_a_run_that_no_object_caused_has_no_manifest(ledger: Replica) -> None:
    """None, not an empty list: a job started by hand looks for itself."""
    ledger.declare([job("a")])

    assert ledger.ledger.manifest(ledger.ask("a").id) is None
