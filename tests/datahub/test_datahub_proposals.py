"""This file is where proposals take their wire form, in portions, and are judged safe to send twice or not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fakes.gms import FakeGms
from hypothesis import given
from hypothesis import strategies as st
from worlds import DATASET, dataset, job, proposal

from headgate.datahub import GmsClient
from headgate.datahub.proposals import LARGEST, MOST, portions, repeatable, wire_form
from headgate.ports import Proposal


def patch(aspect: Any) -> Proposal:
    return Proposal(
        entity_type="dataJob",
        entity_urn=job("a"),
        aspect_name="structuredProperties",
        aspect=aspect,
        change_type="PATCH",
    )


def test_one_proposal_is_sent_alone(gms: FakeGms, hub: GmsClient) -> None:
    """The aspect is a text that holds JSON, and `async` a text: DataHub answers when it has it."""
    hub.emit([proposal(DATASET, "status", {"removed": False}, headers={"If-Version-Match": "-1"})])

    (asked,) = gms.requests
    assert (asked.path, asked.query) == ("/aspects", "action=ingestProposal")
    assert asked.headers["x-restli-protocol-version"] == "2.0.0"
    assert asked.body["async"] == "false"
    sent = asked.body["proposal"]
    assert json.loads(sent["aspect"].pop("value")) == {"removed": False}
    assert sent == {
        "entityType": "dataset", "entityUrn": DATASET, "changeType": "UPSERT", "aspectName": "status",
        "aspect": {"contentType": "application/json"}, "headers": {"If-Version-Match": "-1"},
    }  # fmt: skip


def test_many_are_sent_in_batches(gms: FakeGms, hub: GmsClient) -> None:
    """At most MOST at a time, in their order, each batch when the one before was taken."""
    hub.emit([proposal(DATASET, "datasetProperties", {"name": str(number)}) for number in range(2 * MOST + 1)])

    assert [one.query.partition("=")[2] for one in gms.requests] == [
        "ingestProposalBatch",
        "ingestProposalBatch",
        "ingestProposal",
    ]
    names = [json.loads(one["aspect"]["value"])["name"] for one in gms.proposals]
    assert names == [str(number) for number in range(2 * MOST + 1)]


def test_a_deletion_has_no_aspect(gms: FakeGms, hub: GmsClient) -> None:
    """DELETE names what is to go."""
    hub.emit(dataset(DATASET))
    hub.emit([proposal(DATASET, "status", {}, change_type="DELETE")])

    assert gms.aspects.get(DATASET, "status") is None
    assert gms.aspects.get(DATASET, "datasetProperties") is not None


@pytest.mark.parametrize("aspect", [[{"op": "add", "path": "/a", "value": 1}], {"patch": [], "arrayPrimaryKeys": {}}])
def test_a_patch_is_a_list_or_an_envelope(aspect: Any) -> None:
    """Both go as they are, under the type of JSON patches."""
    form: Any = wire_form(patch(aspect))["aspect"]

    assert form["contentType"] == "application/json-patch+json"
    assert json.loads(form["value"]) == aspect


@given(sizes=st.lists(st.integers(0, LARGEST // 3), max_size=30), many=st.integers(0, 2 * MOST))
def test_portions_lose_nothing(sizes: list[int], many: int) -> None:
    """Put together they are what was given; none is too long, and only a single proposal can be too large."""
    small = [proposal(DATASET, "status", {}) for _ in range(many)]
    given = small + [proposal(DATASET, "blob", {"text": "x" * size}) for size in sizes]
    found = list(portions(given))

    assert [one for portion in found for one in portion] == given
    assert all(0 < len(portion) <= MOST for portion in found)
    for portion in found:
        size = sum(len(json.dumps(one.aspect)) for one in portion)
        assert len(portion) == 1 or size <= LARGEST + 100 * len(portion)


@pytest.mark.parametrize(
    ("one", "safe"),
    [
        (proposal(DATASET, "status", {}), True),
        (proposal(DATASET, "status", {}, change_type="DELETE"), True),
        (proposal(DATASET, "status", {}, headers={"X-DataHub-Sync-Index-Update": "true"}), True),
        (proposal(DATASET, "status", {}, headers={"If-Version-Match": "-1"}), False),
        (proposal(DATASET, "status", {}, headers={"if-version-match": "3"}), False),
        (proposal(DATASET, "status", {}, headers={"If-Unmodified-Since": "x"}), False),
        (proposal(DATASET, "status", {}, change_type="CREATE"), False),
        (proposal(DATASET, "status", {}, change_type="CREATE", headers={"If-None-Match": "*"}), True),
        (proposal(DATASET, "status", {}, change_type="CREATE_ENTITY"), False),
        (patch([{"op": "add", "path": "/properties/x", "value": 1}]), True),
        (patch([{"op": "add", "path": "/elements/-", "value": 1}]), False),
        (patch({"patch": [{"op": "add", "path": "/elements/-", "value": 1}], "arrayPrimaryKeys": {}}), False),
    ],
)
def test_what_may_be_sent_twice(one: Proposal, safe: bool) -> None:
    """Not what has a condition, which the first would make untrue, and not what appends."""
    assert repeatable(one) is safe
