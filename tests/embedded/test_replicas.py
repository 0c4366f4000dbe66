"""This file is where several write the same aspects at the same time: one wins, and none is half written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from headgate.embedded.catalog import Catalog
from headgate.embedded.changes import Unmet
from headgate.errors import LedgerUnavailable
from headgate.ledger.store import Ledger

from .world import ACTOR, DATASET, World, change

REQUEST = "urn:li:dataHubExecutionRequest:raced"


def test_of_many_who_claim_one_wins(anywhere: World, url: str) -> None:
    """If-Version-Match: -1 from two replicas and eight threads: exactly one has it, everybody else is told so."""
    other = Ledger(url)
    other.open()
    catalogs = [anywhere.catalog, Catalog(other)]

    def claim(number: int) -> bool:
        try:
            value = {"status": "RUNNING", "report": str(number)}
            wanted = change(REQUEST, "dataHubExecutionRequestResult", value, If_Version_Match="-1")
            catalogs[number % 2].write([wanted], ACTOR)
        except Unmet:
            return False
        return True

    try:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(claim, range(24)))
    finally:
        other.close()

    assert won.count(True) == 1
    assert anywhere.catalog.value(REQUEST, "dataHubExecutionRequestResult")["report"] == str(won.index(True))


def test_patches_of_many_all_arrive(anywhere: World, url: str) -> None:
    """Forty additions from two replicas at once: none is lost, and each is a version of its own."""
    other = Ledger(url)
    other.open()
    catalogs = [anywhere.catalog, Catalog(other)]

    def add(number: int) -> Any:
        patch = [{"op": "add", "path": f"/customProperties/k{number}", "value": "v"}]
        return catalogs[number % 2].write([change(DATASET, "datasetProperties", patch, "PATCH")], ACTOR)[0].number

    try:
        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(add, range(40)))
    finally:
        other.close()

    assert sorted(anywhere.catalog.value(DATASET, "datasetProperties")["customProperties"]) == sorted(
        f"k{number}" for number in range(40)
    )
    assert sorted(numbers) == list(range(1, 41))


def test_a_catalog_whose_database_is_away_says_so(world: World) -> None:
    """Over HTTP it is 503 in rest.li's shape, and the next call may work."""
    world.ledger.close()

    with pytest.raises(LedgerUnavailable):
        world.catalog.write([change(DATASET, "status", {"removed": False})], ACTOR)
    body = {"entityType": "dataset", "entityUrn": DATASET, "aspectName": "status", "changeType": "UPSERT",
            "aspect": {"contentType": "application/json", "value": '{"removed": false}'}}  # fmt: skip
    answer = world.call("POST", "/aspects?action=ingestProposal", json={"proposal": body})
    assert answer.status_code == 503
    assert answer.json()["status"] == 503
    assert answer.headers["retry-after"]
