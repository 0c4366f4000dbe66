"""This file is where a trigger has its one first start on every ledger, and results are handed on in the same batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from headgate.doors.schedule import first_starts
from headgate.ledger.store import wait_for
from headgate.model import Event, Logical, RunState, Trigger, TriggerName, TriggerType

from .replica import Replica, Replicas, after, job, now

NAME = TriggerName("nightly")


def nightly(**more: Any) -> Trigger:
    actions = after("x", "ingest", when={}).actions
    given: dict[str, Any] = {"at_first_start": True, **more}
    return Trigger(name=NAME, type=TriggerType.SCHEDULED, schedule="cron(0 0 1 1 ? 2099)", actions=actions, **given)


def owed(ledger: Replica) -> list[Event]:
    """What a sweep would hand over now."""
    catalog = ledger.ledger.refresh()
    return list(first_starts(catalog.scheduled, ledger.ledger.not_begun(), datetime.now(UTC)))


def test_a_new_trigger_has_one_first_start(ledger: Replica) -> None:
    """It fires, with a decision that says why; afterwards nothing is owed, whatever is declared again or switched."""
    ledger.declare([job("ingest")], [nightly()])
    (event,) = owed(ledger)
    (receipt,) = ledger.accept(event)
    wait_for(ledger.ledger.set_enabled(NAME, enabled=False, actor="ann", reason=""))
    wait_for(ledger.ledger.set_enabled(NAME, enabled=True, actor="ann", reason=""))
    ledger.declare([job("ingest")], [nightly(description="changed")])
    ledger.declare([job("ingest")], [])
    ledger.declare([job("ingest")], [nightly()])

    assert [(one.trigger, one.outcome, one.job) for one in receipt.decisions] == [(NAME, "fired", "ingest")]
    assert receipt.decisions[0].reason == "the trigger is active for the first time here (at_first_start)"
    assert (owed(ledger), len(ledger.runs("ingest"))) == ([], 1)


def test_a_disabled_trigger_has_its_first_start_when_it_is_enabled(ledger: Replica) -> None:
    """Not before, and then once."""
    ledger.declare([job("ingest")], [nightly(enabled=False)])
    before = owed(ledger)
    wait_for(ledger.ledger.set_enabled(NAME, enabled=True, actor="ann", reason=""))
    ledger.accept(*owed(ledger))

    assert before == []
    assert (owed(ledger), len(ledger.runs("ingest"))) == ([], 1)


def test_one_that_was_just_disabled_keeps_its_first_start(ledger: Replica) -> None:
    """The event came too late: it is skipped, and the trigger starts when it is enabled again."""
    ledger.declare([job("ingest")], [nightly()])
    late = owed(ledger)
    wait_for(ledger.ledger.set_enabled(NAME, enabled=False, actor="ann", reason=""))
    (skipped,) = ledger.accept(*late)
    wait_for(ledger.ledger.set_enabled(NAME, enabled=True, actor="ann", reason=""))
    ledger.accept(*owed(ledger))

    assert skipped.decisions[0].reason.startswith("disabled:")
    assert len(ledger.runs("ingest")) == 1


def test_without_the_key_there_is_none(ledger: Replica) -> None:
    """A schedule alone starts at its times."""
    ledger.declare([job("ingest")], [nightly(at_first_start=False)])

    assert owed(ledger) == []


def test_replicas_share_one_first_start(replicas: Replicas) -> None:
    """Both find it, even with different events for it; one run is made, and the other decision says why not."""
    first, second = replicas.make(), replicas.make()
    first.declare([job("ingest")], [nightly()])
    (event,) = owed(first)
    other = replace(owed(second)[0], identity="another activation")
    receipts = [first.accept(event)[0], second.accept(event)[0], second.accept(other)[0]]

    assert [one.duplicate for one in receipts] == [False, True, False]
    assert receipts[2].decisions[0].reason == "begun: the trigger had its first start before"
    assert len(first.runs("ingest")) == 1


def test_what_a_run_has_written_is_handed_on(ledger: Replica) -> None:
    """The result of the run that ends is in the arguments of the run it starts, over the job's own."""
    trigger = after("t", "refresh", when={"load": RunState.SUCCEEDED})
    action = replace(trigger.actions[0], from_result={"--tables": "written"})
    ledger.declare(
        [job("load"), job("refresh", arguments={"--tables": "all", "--x": "1"})], [replace(trigger, actions=[action])]
    )
    ledger.ask("load")
    ledger.end(ledger.taken()[0], result={"written": ["a.b", "a.c"]})
    (refresh,) = ledger.taken()

    assert refresh.arguments == {"--tables": '["a.b", "a.c"]', "--x": "1"}


def test_nothing_written_is_nothing_to_refresh(ledger: Replica) -> None:
    """The other actions start; this one's decision says which run had nothing under which name."""
    trigger = after("t", "refresh", "always", when={"load": RunState.SUCCEEDED})
    refresh, always = trigger.actions
    actions = [replace(refresh, from_result={"--tables": "written"}), always]
    ledger.declare([job("load"), job("refresh"), job("always")], [replace(trigger, actions=actions)])
    ledger.ask("load")
    (load,) = ledger.taken()
    ledger.end(load, result={"written": []})

    assert (len(ledger.runs("refresh")), len(ledger.runs("always"))) == (0, 1)
    assert f"skipped: result: {load.id[:11]}… has nothing under 'written', which --tables is made of" in (
        ledger.reasons("t")
    )


def test_results_of_all_that_were_waited_for_are_joined(ledger: Replica) -> None:
    """With AND, also that of the run that ended earlier."""
    trigger = after("t", "refresh", when={"a": RunState.SUCCEEDED, "b": RunState.SUCCEEDED}, logical=Logical.AND)
    action = replace(trigger.actions[0], from_result={"--tables": "written"})
    ledger.declare([job("a"), job("b"), job("refresh")], [replace(trigger, actions=[action])])
    for name in ("b", "a"):
        ledger.ask(name)
        ledger.end(ledger.taken()[0], result={"written": [f"of.{name}"]})
    (refresh,) = ledger.taken()

    assert refresh.arguments == {"--tables": '["of.a", "of.b"]'}
    assert now() >= refresh.created_at
