"""This file is where it is kept what was applied on Glue, on each database."""

from __future__ import annotations

from dataclasses import replace

from headgate.ledger import glue_applied
from headgate.ledger.glue_applied import Applied
from headgate.ledger.store import wait_for

from .replica import Replica

JOB = Applied(place="p", kind="job", name="a", said=("Role",), digests={"Role": "d"}, made=True)
TRIGGER = Applied(place="p", kind="trigger", name="a", enabled=False)


def test_what_was_applied_is_kept_replaced_and_forgotten(ledger: Replica) -> None:
    """One of each place, kind and name; what is forgotten twice is no error."""
    there = replace(JOB, place="q")
    for those in ([JOB, TRIGGER, there], [replace(JOB, made=False)]):
        wait_for(ledger.ledger.write(lambda batch, those=those: glue_applied.put(batch, those)))
    found = ledger.ledger.read(glue_applied.read)
    assert found == [replace(JOB, made=False), TRIGGER, there]
    for _ in range(2):
        wait_for(ledger.ledger.write(lambda batch: glue_applied.forget(batch, [JOB, there])))
    assert ledger.ledger.read(glue_applied.read) == [TRIGGER]
