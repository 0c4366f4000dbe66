"""This file is where every ledger's definitions, outbox, audit and retention are held to their promises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from headgate.errors import NotFound
from headgate.flow.announce import Announcer, Subscription
from headgate.ledger.catalogs import Does
from headgate.ledger.housekeeping import Letter
from headgate.ledger.store import wait_for
from headgate.model import FiresFor, Origin, Run, RunState, Trigger, TriggerName

from .replica import Replica, Replicas, after, dropped, job, on_object

T = TriggerName("t")


def _switch(ledger: Replica, *, enabled: bool, name: str = "t") -> Trigger:
    return wait_for(ledger.ledger.set_enabled(TriggerName(name), enabled=enabled, actor="ann", reason="because"))


# -- definitions


def test_what_is_declared_is_made_changed_and_left_alone(ledger: Replica) -> None:
    """First create, then nothing, then update; each told in order, jobs before triggers."""
    declared = [job("a"), job("b")], [on_object("t", "a")]
    first = ledger.declare(*declared, everything=False)
    assert [(one.kind, one.name, one.does) for one in first] == [
        ("job", "a", Does.CREATE),
        ("job", "b", Does.CREATE),
        ("trigger", "t", Does.CREATE),
    ]
    assert ledger.declare(*declared, everything=False) == []
    (changed,) = ledger.declare([job("a", max_concurrent_runs=5), job("b")], [on_object("t", "a")], everything=False)

    assert (changed.does, changed.drift) == (Does.UPDATE, False)
    assert ledger.ledger.catalog.jobs[job("a").name].max_concurrent_runs == 5


def test_a_definition_comes_back_as_it_was_declared(ledger: Replica) -> None:
    """Every field of jobs and triggers survives the ledger."""
    wanted = job("a", arguments={"--x": "ü"}, timeout=None, notify=[{"on": ["FAILED"]}], queue=False, max_retries=3)
    triggers = [
        on_object("t", "a", prefix="p/", settle=1.5, max_objects=7, description="d"),
        after("c", "a", when={"b": RunState.FAILED}, enabled=False),
    ]
    ledger.declare([wanted, job("b")], triggers)
    catalog = ledger.ledger.refresh()

    assert replace(catalog.jobs[wanted.name], notify=tuple(wanted.notify)) == replace(
        wanted, notify=tuple(wanted.notify)
    )
    for trigger in triggers:
        found = catalog.triggers[trigger.name]
        assert (found.enabled, found.settle, found.max_objects, found.description) == (
            trigger.enabled,
            trigger.settle,
            trigger.max_objects,
            trigger.description,
        )
        assert [one.job for one in found.actions] == [one.job for one in trigger.actions]
    assert catalog.triggers[triggers[1].name].predicate is not None


def test_a_trigger_that_was_disabled_stays_so_over_a_restart(ledger: Replica) -> None:
    """What a person switched is drift: `serve` leaves it, `plan` shows it, `apply` mends it."""
    declared = [job("a")], [on_object("t", "a")]
    ledger.declare(*declared)
    _switch(ledger, enabled=False)

    assert ledger.declare(*declared, everything=False) == []
    assert not ledger.ledger.refresh().triggers[T].enabled
    (mended,) = ledger.declare(*declared, everything=True)
    assert (mended.does, mended.drift) == (Does.ENABLE, True)
    assert ledger.ledger.refresh().triggers[T].enabled


def test_what_the_file_no_longer_says_is_drift(ledger: Replica) -> None:
    """A definition that vanished from the file is deleted by `apply` only, and restored by it only."""
    ledger.declare([job("a"), job("b")])
    assert ledger.declare([job("a")], everything=False) == []
    assert set(ledger.ledger.refresh().jobs) == {"a", "b"}
    assert [one.does for one in ledger.declare([job("a")], everything=True)] == [Does.DELETE]
    assert set(ledger.ledger.refresh().jobs) == {"a"}
    assert ledger.declare([job("a"), job("b")], everything=False) == [], "what was deleted was brought back"
    assert [one.does for one in ledger.declare([job("a"), job("b")], everything=True)] == [Does.RESTORE]
    assert set(ledger.ledger.refresh().jobs) == {"a", "b"}


def test_what_an_api_made_is_not_touched(ledger: Replica) -> None:
    """The file neither deletes it nor silently wins over it."""
    ledger.declare([job("a", origin=Origin.API, max_concurrent_runs=4)])

    assert ledger.declare([], everything=True) == []
    assert ledger.declare([job("a")], everything=False) == []
    assert ledger.ledger.refresh().jobs[job("a").name].max_concurrent_runs == 4


def test_switching_names_what_is_not_there(ledger: Replica) -> None:
    """An unknown trigger is NotFound with what to do next."""
    with pytest.raises(NotFound, match="headgate triggers list"):
        _switch(ledger, enabled=False, name="nothing")


def test_the_audit_says_who_did_what_to_what_why_and_when(ledger: Replica) -> None:
    """Definitions, switches and stops are in it, newest first, in pages."""
    ledger.declare([job("a")], [on_object("t", "a")])
    _switch(ledger, enabled=False)
    ledger.stop(ledger.ask("a"), "wrong")
    page = ledger.ledger.audit(limit=2)

    assert [(one.actor, one.action, one.reason) for one in page.items] == [
        ("ann", "run.stop", "wrong"),
        ("ann", "trigger.disable", "because"),
    ]
    assert page.next is not None
    older = ledger.ledger.audit(before=page.next, limit=50)
    assert [(one.action, one.subject) for one in older.items] == [("trigger.create", "t"), ("job.create", "a")]
    assert older.next is None


# -- the outbox


def _fail_and_recover(ledger: Replica, name: str, *states: RunState) -> list[Run]:
    ended: list[Run] = []
    for state in states:
        ledger.ask(name)
        (run,) = ledger.taken()
        ledger.end(run, state)
        ended.append(run)
    return ended


def _told(replicas: Replicas) -> Replica:
    ledger = replicas.make()
    ledger.ledger.announce = Announcer.of([Subscription(channel="c", on=frozenset({"FAILED", "TIMEOUT", "RECOVERED"}))])
    ledger.declare([job("a"), job("b")])
    return ledger


def _take(ledger: Replica, most: int = 32) -> list[Letter]:
    return wait_for(ledger.ledger.take_letters(most=most, hold=60.0))


def _kinds(letters: Sequence[Letter]) -> list[tuple[str, str]]:
    return [(letter.subject, str(letter.payload["kind"])) for letter in letters]


def test_each_failure_and_one_recovery_are_told(replicas: Replicas) -> None:
    """The first success after failures is a recovery; successes before and after say nothing."""
    ledger = _told(replicas)
    ok, bad = RunState.SUCCEEDED, RunState.FAILED
    _fail_and_recover(ledger, "a", ok, bad, RunState.TIMEOUT, ok, ok)
    kinds: list[tuple[str, str]] = []
    while letters := _take(ledger):
        kinds += _kinds(letters)
        for letter in letters:
            wait_for(ledger.ledger.delivered(letter))

    assert kinds == [("a", "FAILED"), ("a", "TIMEOUT"), ("a", "RECOVERED")]
    assert ledger.ledger.outbox() == (0, None, None)


def test_a_stopped_run_is_neither_a_failure_nor_a_recovery(replicas: Replicas) -> None:
    """STOPPED leaves a failing job failing: the success after it is the recovery."""
    ledger = _told(replicas)
    _fail_and_recover(ledger, "a", RunState.FAILED, RunState.STOPPED, RunState.SUCCEEDED)

    assert ledger.sql("select count(*) from outbox")[0][0] == 2


def test_messages_of_one_subject_keep_their_order(replicas: Replicas) -> None:
    """A recovery is not told while the failure before it is under way or waits for its retry; others are."""
    ledger = _told(replicas)
    _fail_and_recover(ledger, "a", RunState.FAILED, RunState.SUCCEEDED)
    _fail_and_recover(ledger, "b", RunState.FAILED)
    first = _take(ledger)
    assert _kinds(first) == [("a", "FAILED"), ("b", "FAILED")]
    assert _take(ledger) == []
    wait_for(ledger.ledger.not_delivered(first[0], "503", time.time() + 60))
    assert _take(ledger) == [], "the recovery overtook the failure"
    ledger.sql("update outbox set not_before = 1 where seq = :seq", seq=first[0].seq)
    (again,) = _take(ledger)
    assert (again.seq, again.tries) == (first[0].seq, 1)
    assert ledger.ledger.outbox()[2] == "503"
    wait_for(ledger.ledger.delivered(again))
    assert _kinds(_take(ledger)) == [("a", "RECOVERED")]


def test_a_letter_is_held_by_one_and_given_back_by_a_crash(replicas: Replicas) -> None:
    """Two deliverers never have the same letter; one that died loses it when its hold ends."""
    ledger, other = _told(replicas), replicas.make(claims=False)
    _fail_and_recover(ledger, "a", RunState.FAILED)
    assert len(_take(ledger)) == 1
    assert _take(other) == []
    ledger.sql("update outbox set claimed_until = 1")
    assert len(_take(other)) == 1


# -- retention


def _old(ledger: Replica) -> None:
    ledger.sql("update event set received_at = received_at - 1000")
    ledger.sql("update history set ended_at = ended_at - 1000")
    ledger.sql("update audit set at = at - 1000")


def _forget(ledger: Replica) -> list[str]:
    gone: list[str] = []
    while True:
        count, runs = wait_for(ledger.ledger.forget(time.time() - 500))
        gone += runs
        if not count:
            return gone


def _count(ledger: Replica, table: str) -> int:
    return int(ledger.sql(f"select count(*) from {table}")[0][0])


def test_retention_takes_what_is_over_with_all_that_belongs_to_it(ledger: Replica) -> None:
    """Runs that ended long ago go with events, decisions and attempts; the ids of their logs are answered."""
    ledger.declare([job("a", max_retries=1)], [on_object("t", "a")])
    ledger.accept(dropped("1", sequencer="1"), dropped("nowhere", bucket="other", sequencer="1"))
    ledger.end(ledger.taken()[0], RunState.FAILED)
    ledger.claim("a")
    (run,) = ledger.taken() or ledger.claimed
    ledger.end(run)
    _old(ledger)

    assert _forget(ledger) == [run.id]
    kept = ("event", "decision", "history", "attempt", "audit", "newest")
    assert {name: _count(ledger, name) for name in kept} == {
        "event": 0,
        "newest": 0,
        "decision": 0,
        "history": 0,
        "attempt": 0,
        "audit": 0,
    }


def test_retention_keeps_what_is_live_or_young(ledger: Replica) -> None:
    """A waiting run keeps its events, however old; what ended lately stays; an event stays as long as a run of it."""
    ledger.declare([job("a"), job("b")], [on_object("t", "a", "b")])
    ledger.accept(dropped("1"))
    ends = {str(run.job): run for run in ledger.taken()}
    ledger.end(ends["a"])
    _old(ledger)
    ledger.accept(dropped("2"))

    assert _forget(ledger) == [ends["a"].id]
    assert _count(ledger, "event") == 2
    assert len(ledger.ledger.manifest(ends["b"].id) or ()) >= 1
    assert ledger.end(ends["b"]) is RunState.SUCCEEDED


def test_retention_remembers_the_order_of_objects_that_still_have_events(ledger: Replica) -> None:
    """What was seen of an object goes with its last event, so that the table does not grow with every key."""
    ledger.declare([job("a")], [on_object("t", "a")])
    ledger.accept(dropped("1", sequencer="01"), dropped("2", sequencer="01"))
    for run in ledger.taken():
        ledger.end(run)
    _old(ledger)
    ledger.accept(dropped("2", sequencer="99"))
    assert _count(ledger, "newest") == 2
    _forget(ledger)

    assert _count(ledger, "newest") == 1
    assert "late: a newer event of this object has been seen" in " ".join(
        one.reason for one in ledger.accept(dropped("2", etag="2", sequencer="02"))[0].decisions
    )


def test_retention_takes_latches_that_no_run_can_complete_any_more(ledger: Replica) -> None:
    """In mode `triggered` a latch is of one firing: an old one is of no use to anyone."""
    ledger.declare([job("a"), job("b"), job("c")], [on_object("up", "a"), _both()])
    ledger.accept(dropped("1"))
    ledger.end(ledger.taken()[0])
    assert _count(ledger, "latch") == 1
    assert _forget(ledger) == []
    assert _count(ledger, "latch") == 1
    ledger.sql("update latch set at = at - 1000")
    _forget(ledger)

    assert _count(ledger, "latch") == 0


def _both() -> Trigger:
    return after("t", "c", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED}, fires_for=FiresFor.TRIGGERED)
