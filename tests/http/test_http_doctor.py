"""This file is where what the doctor asks of a server is served: who wrote last, and the logs of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from served import API, World, serving
from services.moto import CREDENTIALS

from headgate.aws import Clients
from headgate.doctor import Rank, log_groups
from headgate.embedded.port import EmbeddedDataHub
from headgate.ports import Proposal

DATASET = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.orders,PROD)"


@pytest.fixture
def cataloged(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.gate.datahub = EmbeddedDataHub(made.ledger)
    yield made
    made.close()


def test_who_wrote_last_is_served(cataloged: World) -> None:
    """Of the catalog that stands for DataHub, newest first, as many as asked for."""
    datahub = cataloged.gate.datahub
    assert datahub is not None
    for table in ("orders", "items"):
        urn, named = DATASET.replace("orders", table), {"name": table}
        datahub.emit([Proposal(entity_type="dataset", entity_urn=urn, aspect_name="datasetProperties", aspect=named)])
    [newest] = cataloged.get("/last-writes?limit=1")["items"]

    assert newest["dataset"] == DATASET.replace("orders", "items")
    assert newest.keys() == {"dataset", "aspect", "at", "run", "pipeline", "actor", "client"}
    assert (newest["aspect"], newest["run"]) == ("datasetProperties", "")
    assert len(cataloged.get("/last-writes")["items"]) == 2
    assert cataloged.call("GET", f"{API}/last-writes?limit=0").status_code == 400


def test_without_a_catalog_nobody_wrote(world: World) -> None:
    """An empty list, and no error."""
    assert world.get("/last-writes")["items"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_audit_is_only_added_to(world: World, method: str) -> None:
    """There is no call that changes or removes an entry."""
    answer = world.call(method, f"{API}/audit", json={}, headers={"x-headgate-request": "1"})

    assert answer.status_code == 405


def test_a_log_group_of_our_own_is_searched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read side of CloudWatch Logs that Headgate serves takes the doctor's pattern as AWS does."""
    run = world.begin(world.start("views"))
    world.write_log(run.id, "quiet\n+ datahub ingest -c glue.yml\n", over=True)
    world.end(run)
    with serving(world) as url:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        group, missing = log_groups.examine(["/aws-glue/jobs/output", "/gone"], Clients(), datetime.now(UTC))

    assert group.what.startswith("the log group /aws-glue/jobs/output speaks of `datahub ingest`, last at ")
    assert group.evidence.startswith("1 line in 14 days")
    assert missing.rank is Rank.UNSEEN
