"""This file is where the list `Is it done?` is gone through, item by item, before and after each is done."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from doctor_world import World, world
from fakes.gms import TOKEN, FakeGms
from test_doctor_datahub import KNOWN, PROPERTY, QUICK, OnAws

from headgate.aws import Clients, Fault, FaultKind
from headgate.datahub import GmsClient
from headgate.doctor import Finding, Rank
from headgate.doctor.done import ITEMS, diagnose
from headgate.flow.click import DATASET

PROJECT = f"""\
jobs:
  first: {{engine: local, command: ["true"]}}
datasets:
  - {{urn: "{KNOWN}", job: first}}
  - {{prefix: "athena:x", lambda: polygon-lambda, region: us-east-1}}
"""


class There(OnAws):
    """AWS, where everything that is looked for is there, or `missing`, or nobody answers."""

    def __init__(self, kind: FaultKind | None = None) -> None:
        super().__init__({})
        self.kind = kind

    def call(self, *args: Any, doing: str, **more: Any) -> Any:
        del args, more
        return Fault(self.kind, "X", "no", doing) if self.kind else {"Configuration": {"State": "Active"}}


@pytest.fixture
def gms() -> Generator[FakeGms]:
    with FakeGms() as fake:
        fake.define_property(PROPERTY)
        fake.add_dataset(KNOWN)
        yield fake


def look(
    folder: Path, gms: FakeGms, text: str = PROJECT, clients: Clients | None = None, *, click: bool = True,
    broken: str = "", **status: Any,
) -> Mapping[str, Finding]:  # fmt: skip
    """What is found of each item, by its words."""
    with world(folder, text, DATAHUB_GMS_URL=gms.url, DATAHUB_GMS_TOKEN=TOKEN) as here:
        client = GmsClient(gms.url, authorization=f"Bearer {TOKEN}", limits=QUICK)
        here.gate.datahub = client
        if click:
            here.gate.start("first", arguments={DATASET: KNOWN}, actor="urn:li:corpuser:ann")
        _served(here, status)
        try:
            found = diagnose(here.records, here.settings, client, clients or There(), broken=broken)
        finally:
            client.close()
    assert len(found) == len(ITEMS)
    return {one.what.partition(": ")[2]: one for one in found}


def _served(here: World, status: Mapping[str, Any]) -> None:
    here.records.served = bool(status.get("served", True))
    here.records.says = {"readiness": status.get("readiness", {"problems": [], "warnings": []})}


def test_the_list_is_the_pages() -> None:
    """docs/datahub.md has these items in this order, with how to see them."""
    page = (Path(__file__).parents[2] / "docs" / "datahub.md").read_text("utf-8")
    part = page.partition("## Is it done?")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", part, re.MULTILINE)

    assert rows[1:] == [(what, how) for what, how, _ in ITEMS]


def test_all_of_it_done_is_only_notes(tmp_path: Path, gms: FakeGms) -> None:
    """Each with what it was seen by."""
    found = look(tmp_path, gms)

    assert {one.rank for one in found.values()} == {Rank.NOTE}
    assert all(one.what.startswith("done: ") for one in found.values())
    assert "by urn:li:corpuser:ann at" in found["a click starts it"].evidence
    assert TOKEN not in repr(found)


def test_what_is_not_done_yet_says_how(tmp_path: Path, gms: FakeGms) -> None:
    """Each by itself: a dataset that is gone, a function that is missing, no click, a server with a warning."""
    gms.aspects.values.pop(KNOWN)
    warned = {"problems": [], "warnings": ["AWS: no credentials"]}
    found = look(tmp_path, gms, clients=There(FaultKind.MISSING), click=False, readiness=warned, broken="x.yml:1:1: no")
    open_items = {what: one for what, one in found.items() if one.rank is Rank.POSSIBLE}

    assert set(open_items) == {
        "the configuration holds", "each rule's dataset is there", "what it starts is there", "a click starts it",
        "it is healthy",
    }  # fmt: skip
    assert all(one.what.startswith("not yet: ") and one.mend for one in open_items.values())
    assert KNOWN in open_items["each rule's dataset is there"].evidence
    assert open_items["it is healthy"].evidence == "AWS: no credentials"


def test_no_rules_and_a_wrong_token_are_not_done(tmp_path: Path, gms: FakeGms) -> None:
    """Nothing is found without a rule; DataHub's refusal is told."""
    gms.forget_user(TOKEN)
    found = look(tmp_path, gms, 'jobs:\n  first: {engine: local, command: ["true"]}\n')

    assert found["the right job is found"].evidence.startswith("there is no rule")
    assert found["DataHub is reached, with a right to write"].rank is Rank.POSSIBLE
    assert "does not take Headgate's own token" in found["DataHub is reached, with a right to write"].evidence


def test_what_cannot_be_asked_is_unknown(tmp_path: Path, gms: FakeGms) -> None:
    """DataHub and AWS away, and no server: never to be taken for done."""
    gms.close()
    found = look(tmp_path, gms, clients=There(FaultKind.AWAY), served=False)
    unknown = {what for what, one in found.items() if one.rank is Rank.UNSEEN}

    assert unknown == {
        "DataHub is reached, with a right to write", "each rule's dataset is there",
        "what it starts is there", "it is healthy",
    }  # fmt: skip
    assert all(found[what].what.startswith("unknown: ") for what in unknown)
