"""This file is where DataHub is told from the outbox: nothing is lost, nothing is stuck, an entity's order is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.gms import TOKEN, FakeGms
from services.tables import ledger_in
from structlog.testing import capture_logs

from headgate.datahub import GmsClient
from headgate.errors import Unavailable
from headgate.ledger.store import Ledger, wait_for
from headgate.ports import Proposal
from headgate.reports.datahub import CHANNEL, MOST, DataHubReporter, from_payload, messages_for
from headgate.runtime.deliver import Deliver

ONE = "urn:li:dataset:(urn:li:dataPlatform:glue,a.one,PROD)"
TWO = "urn:li:dataset:(urn:li:dataPlatform:glue,a.two,PROD)"
BAD = {"properties": [{"propertyUrn": "urn:li:structuredProperty:nowhere", "values": [{"string": "x"}]}]}


def named(urn: str, name: str) -> Proposal:
    return Proposal(entity_type="dataset", entity_urn=urn, aspect_name="datasetProperties", aspect={"name": name})


def refused(urn: str) -> Proposal:
    return Proposal(entity_type="dataset", entity_urn=urn, aspect_name="structuredProperties", aspect=BAD)


def client(gms: FakeGms) -> GmsClient:
    return GmsClient(gms.url, authorization=f"Bearer {TOKEN}")


def test_proposals_come_back_as_they_went_in() -> None:
    """Through JSON, as the outbox keeps them: patches and headers, too."""
    given = [
        named(ONE, "a"),
        Proposal(
            entity_type="dataset", entity_urn=ONE, aspect_name="globalTags", change_type="PATCH",
            aspect=[{"op": "add", "path": "/tags/urn:li:tag:x", "value": {"tag": "urn:li:tag:x"}}],
            headers={"If-Version-Match": "-1"},
        ),
    ]  # fmt: skip
    (message,) = messages_for(given)
    kept = json.loads(json.dumps(message.payload))

    assert (message.channel, message.subject) == (CHANNEL, ONE)
    assert from_payload(kept) == given


def test_a_message_is_about_one_entity() -> None:
    """So that the outbox keeps each entity's order, and one that is stuck holds up no other."""
    given = [named((ONE, TWO)[number % 2], str(number)) for number in range(2 * MOST + 3)]
    messages = messages_for(given)

    assert [message.subject for message in messages] == [ONE, ONE, TWO, TWO]
    found = [one for message in messages for one in from_payload(message.payload)]
    assert sorted(found, key=given.index) == given
    for urn in (ONE, TWO):
        assert [one for one in found if one.entity_urn == urn] == [one for one in given if one.entity_urn == urn]
    assert messages_for([]) == []


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(ledger_in(tmp_path), place="here")
    made.open()
    yield made
    made.close()


def delivered(ledger: Ledger, gms: FakeGms, seconds: float = 30.0) -> DataHubReporter:
    """Deliver until the outbox is empty; the reporter that did it."""
    hub = client(gms)
    reporter = DataHubReporter(hub)
    deliver = Deliver(ledger, {reporter.name: reporter})
    ledger.on_outbox = deliver.wake
    deliver.start()
    deliver.wake()
    until = time.monotonic() + seconds
    while ledger.outbox()[0] and time.monotonic() < until:
        time.sleep(0.01)
    deliver.close()
    hub.close()
    assert ledger.outbox()[0] == 0
    return reporter


def test_what_datahub_refuses_does_not_hold_up_what_follows(ledger: Ledger) -> None:
    """It is dropped and counted; what came with it, before it and after it, arrives."""
    with FakeGms() as gms:
        first = messages_for([named(ONE, "first"), refused(ONE), named(TWO, "two")])
        wait_for(ledger.tell([*first, *messages_for([refused(ONE)]), *messages_for([named(ONE, "last")])]))
        with capture_logs() as said:
            reporter = delivered(ledger, gms)

        assert reporter.dropped == 2
        errors = [one for one in said if one["log_level"] == "error"]
        assert [one["what"] for one in errors] == [f"structuredProperties of {ONE}"] * 2
        assert "no structured property" in errors[0]["why"]
        assert gms.aspects.get(ONE, "datasetProperties") == {"name": "last"}
        assert gms.aspects.get(TWO, "datasetProperties") == {"name": "two"}


def test_one_bad_proposal_is_found_in_few_calls() -> None:
    """By halves, whatever its place; all others are written, in their order."""
    for place in (0, 17, MOST - 1):
        with FakeGms() as gms:
            hub = client(gms)
            reporter = DataHubReporter(hub)
            given = [named(ONE, str(number)) for number in range(MOST)]
            given[place] = refused(ONE)
            (message,) = messages_for(given)
            with capture_logs():
                reporter.report("", message.payload)
            hub.close()

            assert reporter.dropped == 1
            assert len(gms.requests) <= 14
            assert gms.aspects.versions[ONE, "datasetProperties"] == MOST - 1
            assert gms.aspects.get(ONE, "datasetProperties") == {"name": str(MOST - (2 if place == MOST - 1 else 1))}


def test_datahub_away_delays_and_loses_nothing(ledger: Ledger) -> None:
    """An entity's changes arrive in their order, however often DataHub fails between them."""
    with FakeGms() as gms:
        gms.misbehave("/aspects", "500", times=6)
        for number in range(5):
            wait_for(ledger.tell(messages_for([named(ONE, str(number)), named(TWO, str(number))])))
        reporter = delivered(ledger, gms)

        assert reporter.dropped == 0
        for urn in (ONE, TWO):
            assert gms.aspects.get(urn, "datasetProperties") == {"name": "4"}
            seen = [json.loads(one["aspect"]["value"])["name"] for one in gms.proposals if one["entityUrn"] == urn]
            assert sorted(set(seen)) == ["0", "1", "2", "3", "4"]
            assert seen == sorted(seen)


def test_what_can_not_be_told_now_is_told_again() -> None:
    """The reporter raises, so that the outbox keeps the message."""
    with FakeGms() as gms:
        hub = client(gms)
        gms.misbehave("/aspects", "html")
        (message,) = messages_for([named(ONE, "a")])
        with pytest.raises(Unavailable):
            DataHubReporter(hub).report("", message.payload)
        hub.close()


@pytest.mark.parametrize(
    "payload",
    [
        {}, {"proposals": []}, {"proposals": "x"}, {"proposals": [1]}, {"proposals": [{"entity_urn": ONE}]},
        {"proposals": [{"entity_type": "dataset", "entity_urn": ONE, "aspect_name": "status", "aspect": "x"}]},
    ],
)  # fmt: skip
def test_a_message_that_holds_no_proposals_is_dropped(payload: dict[str, object]) -> None:
    """Nobody can ever tell it; it is counted, and DataHub is not asked."""
    with FakeGms() as gms:
        hub = client(gms)
        reporter = DataHubReporter(hub)
        with capture_logs():
            reporter.report("", payload)
        hub.close()

        assert reporter.dropped == 1
        assert gms.requests == []
