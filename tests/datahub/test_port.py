"""This file is where the port `DataHub` keeps its promises, whoever fills it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from worlds import (
    ARN,
    DATASET,
    FLOW,
    OTHER,
    PROPERTY,
    WORLDS,
    assigned,
    dataset,
    defined,
    job,
    proposal,
    run,
)

from headgate.errors import Invalid
from headgate.model import RunState
from headgate.ports import DataHub, Proposal

OF_OTHER = "urn:li:structuredProperty:other"


@pytest.fixture(params=WORLDS)
def hub(request: pytest.FixtureRequest) -> Iterator[DataHub]:
    with WORLDS[request.param]() as made:
        yield made


def test_a_dataset_nobody_wrote_is_not_there(hub: DataHub) -> None:
    """Existence is never taken from an answer that is merely not null."""
    facts = hub.dataset(DATASET)

    assert (facts.urn, facts.exists, list(facts.tags)) == (DATASET, False, [])


def test_a_dataset_has_its_tags(hub: DataHub) -> None:
    """As URNs, in the order they were given."""
    hub.emit(dataset(DATASET, "urn:li:tag:layer.raw", "urn:li:tag:a"))
    facts = hub.dataset(DATASET)

    assert facts.exists
    assert list(facts.tags) == ["urn:li:tag:layer.raw", "urn:li:tag:a"]


def test_a_dataset_without_tags_is_there(hub: DataHub) -> None:
    """No tag is no error."""
    hub.emit(dataset(DATASET))

    assert hub.dataset(DATASET).exists
    assert list(hub.dataset(DATASET).tags) == []


def test_a_dataset_that_was_deleted_softly_is_not_there(hub: DataHub) -> None:
    """It still has its aspects, and nobody may start a job for it; restored, it is back."""
    hub.emit(dataset(DATASET, "urn:li:tag:a", removed=True))
    assert not hub.dataset(DATASET).exists

    hub.emit([proposal(DATASET, "status", {"removed": False})])
    assert hub.dataset(DATASET).exists


def test_the_newest_runs_job_comes_first(hub: DataHub) -> None:
    """Runs in the order of their creation, not of their writing; then jobs of the lineage; each job once."""
    hub.emit(dataset(DATASET))
    for name, parent, at in (
        ("r2", job("b"), 2000),
        ("r3", job("c"), 3000),
        ("r1", job("a"), 1000),
        ("r0", job("c"), 1),
    ):
        hub.emit(run(name, parent=parent, of=DATASET, at=at))
    for name in ("lineage", "b"):
        hub.emit([proposal(job(name), "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": [DATASET]})])

    assert list(hub.producers(DATASET)) == [job("c"), job("b"), job("a"), job("lineage")]


def test_only_datajobs_produce(hub: DataHub) -> None:
    """A run may be one of a whole flow: there is no job to start then."""
    hub.emit(run("r1", parent=FLOW, of=DATASET, at=1000))

    assert list(hub.producers(DATASET)) == []


def test_a_dataset_nobody_produces_has_no_producers(hub: DataHub) -> None:
    """The runs of another dataset are not its own."""
    hub.emit([*dataset(DATASET), *run("r1", parent=job("a"), of=OTHER, at=1000)])

    assert list(hub.producers(DATASET)) == []
    assert not hub.produces(job("a"), DATASET)


def test_a_job_produces_by_run_or_by_lineage(hub: DataHub) -> None:
    """Any one of: a run of it, its list of outputs, its edges to outputs. Inputs do not count."""
    hub.emit(run("r1", parent=job("by-run"), of=DATASET, at=1000))
    hub.emit([
        proposal(job("by-list"), "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": [DATASET]}),
        proposal(job("by-edge"), "dataJobInputOutput",
                 {"inputDatasets": [], "outputDatasets": [], "outputDatasetEdges": [{"destinationUrn": DATASET}]}),
        proposal(job("reader"), "dataJobInputOutput", {"inputDatasets": [DATASET], "outputDatasets": [OTHER]}),
    ])  # fmt: skip

    found = {name: hub.produces(job(name), DATASET) for name in ("by-run", "by-list", "by-edge", "reader", "unknown")}
    assert found == {"by-run": True, "by-list": True, "by-edge": True, "reader": False, "unknown": False}


def test_a_property_of_a_job_is_its_one_text(hub: DataHub) -> None:
    """The others on the job are ignored."""
    hub.emit([defined(), defined("urn:li:structuredProperty:other")])
    hub.emit([assigned(job("a"), other="something", awsStepFunctionArn=ARN)])

    assert hub.property_of(job("a"), PROPERTY) == ARN


@pytest.mark.parametrize("name", ["no-such-job", "without", "with-another"])
def test_a_property_that_is_not_set_is_none(hub: DataHub, name: str) -> None:
    """Whether the job, all its properties, or only this one is missing."""
    hub.emit([defined("urn:li:structuredProperty:other")])
    hub.emit([
        proposal(job("without"), "dataJobInfo", {"name": "without", "type": {"string": "COMMAND"}}),
        assigned(job("with-another"), other="something"),
    ])  # fmt: skip

    assert hub.property_of(job(name), PROPERTY) is None


def test_an_aspect_is_read_as_it_was_written(hub: DataHub) -> None:
    """In any script, nested; one that nobody wrote is None."""
    value = {"name": "цена 価格", "customProperties": {"a": "b"}, "externalUrl": None}
    hub.emit([proposal(DATASET, "datasetProperties", {name: one for name, one in value.items() if one})])
    found = hub.aspect(DATASET, "datasetProperties")

    assert found is not None
    assert found["name"] == value["name"]
    assert found["customProperties"] == value["customProperties"]
    assert hub.aspect(DATASET, "ownership") is None
    assert hub.aspect(OTHER, "datasetProperties") is None


def test_proposals_are_written_in_their_order(hub: DataHub) -> None:
    """More than one batch of them; of one aspect the last stays."""
    hub.emit([proposal(DATASET, "datasetProperties", {"name": str(number)}) for number in range(450)])

    found = hub.aspect(DATASET, "datasetProperties")
    assert found is not None
    assert found["name"] == "449"


def test_nothing_to_write_is_no_error(hub: DataHub) -> None:
    """An empty list is taken."""
    hub.emit([])


def test_a_patch_keeps_what_it_does_not_name(hub: DataHub) -> None:
    """The ARN is added beside another property, changed, and taken away."""
    hub.emit([defined(), defined("urn:li:structuredProperty:other")])
    hub.emit([assigned(job("a"), other="something")])

    def patch(op: str, text: str) -> Proposal:
        entry = {"propertyUrn": PROPERTY, "values": [{"string": text}]}
        operation = {"op": op, "path": f"/properties/{PROPERTY}", "value": entry}
        return Proposal(
            entity_type="dataJob", entity_urn=job("a"), aspect_name="structuredProperties", aspect=[operation],
            change_type="PATCH",
        )  # fmt: skip

    seen: list[tuple[str | None, str | None]] = []
    for one in (patch("add", "first"), patch("add", ARN), patch("remove", "")):
        hub.emit([one])
        seen.append((hub.property_of(job("a"), PROPERTY), hub.property_of(job("a"), OF_OTHER)))
    assert seen == [("first", "something"), (ARN, "something"), (None, "something")]


def test_what_is_refused_for_good_is_invalid(hub: DataHub) -> None:
    """A value of a property that nobody defined; the text names the aspect and the entity."""
    with pytest.raises(Invalid, match="structuredProperties") as caught:
        hub.emit([assigned(job("a"), nowhere="x")])

    assert job("a") in str(caught.value)


def test_a_create_of_what_is_there_is_refused(hub: DataHub) -> None:
    """CREATE wants the aspect not to be there."""
    hub.emit([proposal(DATASET, "status", {"removed": False})])

    with pytest.raises(Invalid):
        hub.emit([proposal(DATASET, "status", {"removed": True}, change_type="CREATE")])
    assert hub.aspect(DATASET, "status") == {"removed": False}


def test_of_many_who_claim_one_wins(hub: DataHub) -> None:
    """If-Version-Match: -1 is a claim: it is taken from exactly one."""
    urn = "urn:li:dataHubExecutionRequest:one"

    def claim(number: int) -> bool:
        value = {"status": f"RUNNING {number}", "startTimeMs": 1}
        try:
            hub.emit([proposal(urn, "dataHubExecutionRequestResult", value, headers={"If-Version-Match": "-1"})])
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))
    assert won.count(True) == 1
    assert hub.aspect(urn, "dataHubExecutionRequestResult") == {
        "status": f"RUNNING {won.index(True)}",
        "startTimeMs": 1,
    }


def _asked(number: int, status: str | None = None) -> list[Proposal]:
    """An execution request that `datahub ingest` reported, asked for at `number` seconds."""
    urn = f"urn:li:dataHubExecutionRequest:run-{number}"
    given = {
        "task": "CLI Ingestion",
        "args": {"recipe": "{}", "version": "1.7.0"},
        "executorId": "__datahub_cli_",
        "source": {"type": "CLI_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:cli-1"},
        "requestedAt": 1_760_000_000_000 + number * 1000,
        "actorUrn": "urn:li:corpuser:cron",
    }
    made = [proposal(urn, "dataHubExecutionRequestInput", given)]
    if status:
        result = {"status": status, "startTimeMs": 1_760_000_000_000 + number * 1000, "durationMs": 1500}
        made.append(proposal(urn, "dataHubExecutionRequestResult", result))
    return made


def test_ingestions_are_listed_newest_first(hub: DataHub) -> None:
    """With their state in our words, whoever ran them; no more than asked for."""
    hub.emit([*_asked(1, "SUCCESS"), *_asked(3), *_asked(2, "RUNNING")])
    found = hub.ingestions(most=10)

    assert [one.urn.rpartition(":")[2] for one in found] == ["run-3", "run-2", "run-1"]
    assert [one.state for one in found] == [RunState.WAITING, RunState.RUNNING, RunState.SUCCEEDED]
    last = found[2]
    assert (last.name, last.executor, last.actor) == ("cli-1", "__datahub_cli_", "urn:li:corpuser:cron")
    assert last.started_at is not None
    assert last.ended_at is not None
    assert (last.ended_at - last.started_at).total_seconds() == 1.5
    assert [one.urn for one in hub.ingestions(most=2)] == [one.urn for one in found[:2]]


def test_without_ingestions_none_is_listed(hub: DataHub) -> None:
    """An empty DataHub has none."""
    assert list(hub.ingestions(most=10)) == []


def test_ingestions_of_one_executor_are_listed(hub: DataHub) -> None:
    """As many of its own as are asked for, however many others there are."""
    hub.emit([one for number in range(1, 4) for one in _asked(number)])

    assert len(hub.ingestions(most=2, executor="__datahub_cli_")) == 2
    assert list(hub.ingestions(most=10, executor="default")) == []


def test_who_wrote_last_is_told(hub: DataHub) -> None:
    """Of what ingestions write, each dataset once, and when; what people edit is no write of that kind."""
    begun = datetime.now(UTC) - timedelta(seconds=1)
    hub.emit(dataset(DATASET, "urn:li:tag:a"))
    hub.emit([proposal(OTHER, "globalTags", {"tags": [{"tag": "urn:li:tag:a"}]})])
    [found] = hub.last_writes(most=10)

    assert (found.dataset, found.run) == (DATASET, "")
    assert found.aspect in ("datasetProperties", "status")
    assert begun <= found.at <= datetime.now(UTC) + timedelta(seconds=1)
    hub.emit([proposal(OTHER, "datasetProperties", {"name": "orders"})])
    assert len(hub.last_writes(most=10)) == 2
    assert len(hub.last_writes(most=1)) == 1
