"""This file is where every ledger keeps sealed secrets: one a name, audited, seen by every replica."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.errors import NotFound
from headgate.ledger import secrets
from headgate.ledger.secrets import KeptSecret
from headgate.ledger.store import wait_for

from .replica import Replica, Replicas


def put(ledger: Replica, name: str, text: bytes, actor: str = "ann", reason: str | None = None) -> KeptSecret:
    return wait_for(ledger.ledger.write(lambda batch: secrets.put(batch, name, text, actor=actor, reason=reason)))


def texts(ledger: Replica) -> dict[str, bytes]:
    return dict(ledger.ledger.read(secrets.sealed))


def test_one_of_a_name_is_kept(ledger: Replica) -> None:
    """The newest, with who set it; its first time stays. Asked for by name, or all of them."""
    first = put(ledger, "DB", b"hg1.k.one")
    second = put(ledger, "DB", b"hg1.k.two", actor="bob")
    put(ledger, "AB", b"hg1.k.three")

    assert second.created_at == first.created_at
    assert second.updated_at >= first.updated_at
    assert [(one.name, one.actor) for one in ledger.ledger.read(secrets.read)] == [("AB", "ann"), ("DB", "bob")]
    assert texts(ledger) == {"AB": b"hg1.k.three", "DB": b"hg1.k.two"}
    found = ledger.ledger.read(lambda connection: secrets.sealed(connection, ["DB", "NONE"]))
    assert found == {"DB": b"hg1.k.two"}
    assert ledger.ledger.read(lambda connection: secrets.sealed(connection, [])) == {}


def test_what_is_not_there_cannot_be_deleted(ledger: Replica) -> None:
    """And nothing of the try is in the audit."""
    with pytest.raises(NotFound, match="NONE"):
        wait_for(ledger.ledger.write(lambda batch: secrets.delete(batch, "NONE", actor="ann", reason=None)))
    assert ledger.ledger.audit().items == []


def test_a_secret_set_while_it_is_sealed_again_stays(ledger: Replica) -> None:
    """Rotation replaces what it has read, and nothing that came meanwhile."""
    put(ledger, "A", b"old-a")
    put(ledger, "B", b"old-b")
    put(ledger, "B", b"newer-b")
    again = {"A": (b"old-a", b"new-a"), "B": (b"old-b", b"new-b"), "GONE": (b"x", b"y")}

    done = wait_for(
        ledger.ledger.write(lambda batch: secrets.reseal(batch, again, key="k", actor="ann", reason="yearly"))
    )

    assert done == ["A"]
    assert texts(ledger) == {"A": b"new-a", "B": b"newer-b"}
    entry = ledger.ledger.audit().items[0]
    assert (entry.action, entry.subject, entry.reason, dict(entry.detail)) == (
        "secret.rotate", "k", "yearly", {"key": "k", "names": ["A"]},
    )  # fmt: skip


def test_replicas_see_each_others_and_may_set_the_same_at_once(replicas: Replicas) -> None:
    """One of them is kept, and each set is in the audit."""
    those = [replicas.make() for _ in range(2)]
    begin = threading.Barrier(2)

    def work(number: int) -> None:
        begin.wait(10)
        for turn in range(10):
            put(those[number], "SAME", f"{number}-{turn}".encode())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))

    assert texts(those[0]) == texts(those[1])
    assert texts(those[0])["SAME"] in (b"0-9", b"1-9")
    assert len(those[0].ledger.audit(limit=50).items) == 20
