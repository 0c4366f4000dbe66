"""This file is where what was seen in watched catalogs is kept, on every ledger, and what becomes of their events."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from headgate.app.parts import remembered_in
from headgate.doors.catalog import CatalogDoor, Look
from headgate.doors.catalog.reading import Change, event_of
from headgate.errors import LedgerUnavailable
from headgate.ledger import watches
from headgate.ledger.store import wait_for
from headgate.model import TABLE_CHANGES, Action, CatalogWatch, Event, JobName, Trigger, TriggerName, TriggerType

from .replica import Replica, Replicas, job

GLUE = CatalogWatch(kind="glue", region="eu-west-1", databases=("sales",))


def changed(table: str, version: str = "1", change: str = "updated", watch: CatalogWatch = GLUE) -> Event:
    return event_of(watch, Change(TABLE_CHANGES[change], table, version), datetime.now(UTC))


def watching(name: str = "t", watch: CatalogWatch = GLUE, **more: Any) -> Trigger:
    return Trigger(
        name=TriggerName(name), type=TriggerType.EVENT, catalog=watch, actions=[Action(job=JobName("a"))], **more
    )


def test_replicas_take_turns(replicas: Replicas) -> None:
    """One of them looks; the others are told when there is the next turn."""
    one, other = replicas.make().ledger, replicas.make().ledger
    first = wait_for(one.write(lambda batch: watches.take_turn(batch, "t", 60.0)))
    second = wait_for(other.write(lambda batch: watches.take_turn(batch, "t", 60.0)))
    wait_for(other.write(lambda batch: watches.put_off(batch, "t", -1.0)))
    third = wait_for(other.write(lambda batch: watches.take_turn(batch, "t", 60.0)))

    assert (first, third) == (0.0, 0.0)
    assert 0.0 < second <= 60.0


def test_what_was_seen_is_kept(ledger: Replica) -> None:
    """By trigger; and forgotten for those that are off, but for that there was a look."""
    write, read = ledger.ledger.write, ledger.ledger.read
    fresh = read(lambda connection: watches.seen(connection, "t"))
    for name in ("t", "u"):
        wait_for(write(lambda batch, name=name: watches.take_turn(batch, name, 60.0)))
        wait_for(write(lambda batch, name=name: watches.remember(batch, name, {"a.x": "1", "a.y": "1"}, [])))
    half = read(lambda connection: watches.seen(connection, "t"))
    wait_for(write(lambda batch: watches.remember(batch, "t", {"a.x": "2"}, ["a.y"])))
    wait_for(write(lambda batch: watches.looked(batch, "t")))
    whole = read(lambda connection: watches.seen(connection, "t"))
    wait_for(write(lambda batch: watches.keep_only(batch, ["u"])))

    assert fresh == (False, False, {})
    assert half == (False, False, {"a.x": "1", "a.y": "1"})
    assert whole == (True, True, {"a.x": "2"})
    assert read(lambda connection: watches.seen(connection, "t")) == (False, True, {})
    assert read(lambda connection: watches.seen(connection, "u"))[2] == {"a.x": "1", "a.y": "1"}


def test_changes_of_tables_make_one_run(ledger: Replica) -> None:
    """While it waits, further ones join it; its manifest names the tables; the same change again adds nothing."""
    ledger.declare([job("a")], [watching(settle=60.0)])
    receipts = ledger.accept(changed("sales.x"), changed("sales.y"), changed("sales.x"))
    (run,) = ledger.runs("a")
    manifest = ledger.ledger.manifest(run.id) or []

    assert [one.duplicate for one in receipts] == [False, False, True]
    assert [one.decisions[0].outcome for one in receipts] == ["fired", "joined", "fired"]
    assert receipts[0].decisions[0].reason == "TableUpdated glue:eu-west-1/sales.x"
    assert [(one.bucket, one.key, one.version) for one in manifest] == [
        ("glue:eu-west-1", "sales.x", "1"), ("glue:eu-west-1", "sales.y", "1"),
    ]  # fmt: skip


def test_two_replicas_tell_a_change_once(replicas: Replicas) -> None:
    """Both look at the same moment, as if each had the turn, and one of them has crashed before it remembered."""
    first, second = replicas.make(), replicas.make()
    first.declare([job("a")], [watching()])
    tables = {"sales.x": "1"}

    def read(_: CatalogWatch) -> Look:
        return Look(tables=dict(tables), databases=["sales"])

    doors = [CatalogDoor(remembered_in(one.ledger), read) for one in (first, second)]
    for one in (first, second):
        wait_for(one.ledger.write(lambda batch: watches.take_turn(batch, "t", 60.0)))
    base = [door.look(watching(), GLUE) for door in doors]
    tables["sales.x"] = "2"
    crashed = CatalogDoor(replace(remembered_in(first.ledger), remember=_killed, looked=_killed), read)
    with pytest.raises(LedgerUnavailable):
        crashed.look(watching(), GLUE)
    news = [door.look(watching(), GLUE) for door in doors]

    assert (base, news) == ([0, 0], [1, 0])
    assert (len(first.runs("a")), len(first.ledger.decisions(trigger="t").items)) == (1, 1)


def _killed(*_: object) -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(LedgerUnavailable("the process was killed here"))
    return future


def test_each_change_finds_the_triggers_that_want_it(ledger: Replica) -> None:
    """Every decision has its reason; a trigger that is kept and read again watches the same."""
    removed = replace(GLUE, databases=(), changes=("removed",))
    ledger.declare([job("a")], [watching(), watching("off", enabled=False), watching("removals", removed)])
    (receipt,) = ledger.accept(changed("sales.x"))
    (other,) = ledger.accept(changed("hr.x"))
    (nobody,) = ledger.accept(changed("sales.x", watch=replace(GLUE, region="us-east-1")))
    catalog = ledger.ledger.refresh()

    assert {one.trigger: (one.outcome, one.reason.split(":")[0]) for one in receipt.decisions} == {
        "t": ("fired", "TableUpdated glue"), "off": ("skipped", "disabled"), "removals": ("skipped", "change"),
    }  # fmt: skip
    assert [one.reason for one in other.decisions if one.trigger == "t"] == ["database: 'hr.x' is of none of sales"]
    assert nobody.decisions[0].reason == "catalog: no trigger watches 'glue:us-east-1'"
    assert sorted(one.name for one in catalog.watched) == ["off", "removals", "t"]
    assert catalog.triggers[TriggerName("removals")].catalog == replace(removed, databases=[], changes=["removed"])
