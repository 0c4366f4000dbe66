"""This file is where somebody nobody knows writes datasets, in a DataHub and in the embedded catalog, and is found."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from doctor_world import World, world
from fakes.gms import ADMIN, TOKEN, FakeGms
from test_doctor_datahub import QUICK, request

from headgate.datahub import GmsClient
from headgate.datahub.writes import last_writes
from headgate.doctor import Finding, Rank, versions
from headgate.doctor.unmanaged import examine
from headgate.embedded.changes import make
from headgate.embedded.port import EmbeddedDataHub

DATASET = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.{},PROD)"
PROJECT = "jobs:\n  first: {engine: local, command: ['true']}\n  far: {engine: recipe, recipe: r.yml}\n"
BOB = "urn:li:corpuser:bob"
NONE = "no-run-id-provided"


def now_ms() -> int:
    return int(time.time() * 1000)


def by(run: str = NONE, *, at: int | None = None, actor: str = BOB, **more: Any) -> dict[str, Any]:
    """System metadata as a writer leaves it."""
    seen = at if at is not None else now_ms()
    return {"runId": run, "lastObserved": seen, "aspectModified": {"time": seen, "actor": actor}, **more}


@pytest.fixture
def gms() -> Generator[FakeGms]:
    with FakeGms() as fake:
        yield fake


@pytest.fixture
def here(tmp_path: Path, gms: FakeGms) -> Generator[World]:
    with world(tmp_path, PROJECT) as made:
        client = GmsClient(gms.url, authorization=f"Bearer {TOKEN}", limits=QUICK)
        made.gate.datahub = client
        yield made
        client.close()


def write(gms: FakeGms, table: str, system: dict[str, Any], aspect: str = "datasetProperties") -> str:
    urn = DATASET.format(table)
    gms.aspects.put(urn, aspect, {}, system)
    return urn


def look(here: World) -> list[Finding]:
    return list(examine(here.records, ADMIN, of_datahub=True))


def test_a_dataset_fresher_than_any_run_is_unmanaged(here: World, gms: FakeGms) -> None:
    """With its URN, when, by whom, by which run and pipeline, and how to find out more."""
    said: dict[str, Any] = {
        "pipelineName": "legacy-sync",
        "properties": {"clientId": "acryl-datahub", "clientVersion": "1.7.0.17"},
    }
    urn = write(gms, "orders", by("glue-2026_01_01-00_00_00-abc", at=1_767_225_600_000, **said))
    [found] = look(here)

    assert found.rank is Rank.POSSIBLE
    assert found.what == f"unmanaged ingestion: {urn} was written at 2026-01-01 00:00:00 UTC by no run that is known"
    assert found.evidence.startswith(
        "datasetProperties: run id glue-2026_01_01-00_00_00-abc, pipeline legacy-sync,"
        f" written by {BOB}, with acryl-datahub 1.7.0.17;"
    )
    assert found.mend.startswith("datahub ingest show --run-id glue-2026_01_01-00_00_00-abc; headgate doctor datahub")


def test_several_datasets_of_one_writer_are_one_finding(here: World, gms: FakeGms) -> None:
    """Named up to three, the others counted."""
    for number in range(5):
        write(gms, f"t{number}", by("r1"))
    [found] = look(here)

    assert "and 2 more were written at" in found.what


def test_what_a_known_run_wrote_is_none(here: World, gms: FakeGms) -> None:
    """DataHub's request by its id, bare or whole, and by its source's pipeline; our own run by its report."""
    request(gms, "nightly")
    write(gms, "a", by("nightly"))
    write(gms, "b", by("urn:li:dataHubExecutionRequest:nightly"))
    write(gms, "c", by("other", pipelineName="urn:li:dataHubIngestionSource:nightly"))
    run = here.started("far")
    here.ended(run, result={"run_id": "far-1"})
    write(gms, "d", by("far-1"))

    assert look(here) == []
    write(gms, "e", by("far-2"))
    assert ["far-2" in one.evidence for one in look(here)] == [True]


def test_without_a_run_id_it_is_when_that_tells(here: World, gms: FakeGms) -> None:
    """While a run of ours was under way it may have been that; an hour before nothing ran."""
    here.started("first")
    write(gms, "a", by())

    assert look(here) == []
    write(gms, "b", by(at=now_ms() - 3_600_000))
    [found] = look(here)
    assert "sales.b" in found.what
    assert "no run id" in found.evidence
    assert found.mend.startswith("headgate doctor datahub --look-in")


def test_a_recipe_under_way_may_have_any_run_id(here: World, gms: FakeGms) -> None:
    """It says which only at its end."""
    here.started("far")
    write(gms, "a", by("glue-now"))

    assert look(here) == []


def test_what_people_edit_and_what_headgate_writes_is_no_ingestion(here: World, gms: FakeGms) -> None:
    """Tags and owners by hand; what DataHub adds; lineage and tables of our own."""
    write(gms, "a", by(), "globalTags")
    write(gms, "a", by(), "editableDatasetProperties")
    write(gms, "a", by(), "dataPlatformInstance")
    write(gms, "b", by(actor=ADMIN))

    assert look(here) == []


def test_the_questions_are_bounded(here: World, gms: FakeGms) -> None:
    """However many runs and datasets there are; and so is what is told."""
    for number in range(130):
        write(gms, f"t{number}", by(f"run-{number}", at=now_ms() - number * 1000))
    gms.requests.clear()
    found = look(here)

    assert len(gms.requests) <= 20
    assert len(found) == 11
    assert "more writers" in found[-1].what
    assert "run-0," in found[0].evidence, "the newest first"


def test_a_slow_datahub_is_asked_for_so_long_only(gms: FakeGms) -> None:
    """What was found until then is told."""
    for number in range(12):
        write(gms, f"t{number}", by(f"run-{number}"))
    asked: list[str] = []
    ticks = iter(range(0, 1000, 9))

    def ask(method: str, path: str, body: object = None) -> object:
        del body
        asked.append(f"{method} {path.partition('?')[0]}")
        return {"entities": [], "value": [{"runId": f"run-{number}"} for number in range(12)]}

    assert last_writes(ask, most=10, clock=lambda: float(next(ticks))) == []
    assert asked == ["GET /openapi/v3/entity/dataset", "POST /runs", "POST /runs", "POST /runs"]


def test_an_older_datahub_that_lists_no_runs_is_searched(here: World, gms: FakeGms) -> None:
    """What the search shows is enough for a finding."""
    write(gms, "orders", by("r1"))
    gms.misbehave("/runs", "404", times=50)

    assert len(look(here)) == 1


def test_a_datahub_that_answers_nonsense_is_said(here: World, gms: FakeGms) -> None:
    """Nobody knows then; and system metadata that is none is no writer."""
    write(gms, "odd", {"runId": 7, "lastObserved": "soon", "aspectModified": "x"})
    assert look(here) == []
    gms.misbehave("/openapi/v3/entity/dataset", "500", times=50)
    [found] = look(here)

    assert found.rank is Rank.UNSEEN


def test_the_embedded_catalog_tells_the_same(tmp_path: Path) -> None:
    """Of writers of its own doors; what Headgate writes itself is none, and what is removed neither."""
    with world(tmp_path, PROJECT) as here:
        datahub = here.gate.datahub
        assert isinstance(datahub, EmbeddedDataHub)

        def put(table: str, run: str | None, actor: str, aspect: str = "datasetProperties") -> None:
            value = {"removed": True} if aspect == "status" else {"name": table}
            system = {"runId": run, "lastObserved": now_ms()} if run else None
            made = make(
                entity="dataset", urn=DATASET.format(table), aspect=aspect, kind="UPSERT", value=value, system=system
            )
            datahub.catalog.write([made], actor)

        put("mine", None, "urn:li:corpuser:__datahub_system")
        put("gone", "r0", "urn:li:corpuser:local")
        put("gone", None, "urn:li:corpuser:local", "status")
        put("orders", "r1", "urn:li:corpuser:local")
        found = list(examine(here.records, "urn:li:corpuser:__datahub_system", of_datahub=False))

    assert ["sales.orders" in one.what for one in found] == [True]
    assert "run id r1, written by urn:li:corpuser:local" in found[0].evidence
    assert found[0].mend.startswith("headgate doctor datahub --look-in"), "it lists no runs"


@pytest.mark.parametrize(
    ("version", "rank", "said"),
    [
        ("v1.7.0", Rank.NOTE, "a version Headgate was made for"),
        ("v1.4.0.3", Rank.NOTE, "a version Headgate was made for"),
        ("1.6.0rc2", Rank.NOTE, "a version Headgate was made for"),
        ("v1.3.1", Rank.POSSIBLE, "is older than what Headgate was made for"),
        ("v0.14.1", Rank.POSSIBLE, "is older than"),
        ("v1.8.0", Rank.POSSIBLE, "is newer than"),
        ("v2.0.0", Rank.POSSIBLE, "is newer than"),
        ("v0.3.17-acryl", Rank.NOTE, "DataHub Cloud"),
        ("head", Rank.NOTE, "nobody can say"),
        ("", Rank.NOTE, "nobody can say"),
    ],
)
def test_what_is_supported_is_said(version: str, rank: Rank, said: str) -> None:
    """And warned of outside of that; what cannot be read is not claimed to be well."""
    found = versions.judged(version)

    assert found.rank is rank
    assert said in found.what
