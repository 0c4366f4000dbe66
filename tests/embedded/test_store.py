"""This file is where what the catalog keeps is tested: versions, conditions, deletions, relationships."""

from __future__ import annotations

import pytest

from headgate.embedded.changes import Unmet
from headgate.embedded.reading import Criterion, Search
from headgate.errors import Invalid

from .world import ACTOR, DATASET, FLOW, JOB, World, change

REQUEST = "urn:li:dataHubExecutionRequest:r1"
RUN = "urn:li:dataProcessInstance:run-{}"


def test_the_first_aspect_makes_the_entity(anywhere: World) -> None:
    """Any aspect brings the key aspect with it, so that the entity is there."""
    anywhere.put(DATASET, "datasetProperties", {"customProperties": {"a": "b"}})

    assert anywhere.catalog.exists(DATASET)
    assert anywhere.catalog.value(DATASET, "datasetKey") == {
        "platform": "urn:li:dataPlatform:iceberg", "name": "sales.orders", "origin": "PROD",
    }  # fmt: skip


def test_each_change_is_a_version_and_the_same_again_is_none(anywhere: World) -> None:
    """Versions count up from 1, the newest is read as 0, and writing what is there already makes no version."""
    numbers = [
        anywhere.put(DATASET, "datasetProperties", {"customProperties": {}, "name": name}).number
        for name in ("one", "two", "two", "three")
    ]
    names = [
        found.value["name"] if (found := anywhere.catalog.aspect(DATASET, "datasetProperties", version)) else None
        for version in (0, 1, 2, 3, 4)
    ]

    assert numbers == [1, 2, 2, 3]
    assert names == ["three", "one", "two", "three", None]


def test_history_is_kept_small(anywhere: World) -> None:
    """Twenty versions are kept, the oldest go."""
    anywhere.catalog.write(
        [change(DATASET, "datasetProperties", {"customProperties": {}, "name": str(one)}) for one in range(30)], ACTOR
    )
    kept = [one for one in range(1, 31) if anywhere.catalog.aspect(DATASET, "datasetProperties", one)]

    assert kept == list(range(11, 31))


@pytest.mark.parametrize(
    ("there", "kind", "headers", "writes"),
    [
        (0, "UPSERT", {"If_Version_Match": "-1"}, True),
        (0, "UPSERT", {"If_Version_Match": "1"}, False),
        (1, "UPSERT", {"If_Version_Match": "-1"}, False),
        (2, "UPSERT", {"If_Version_Match": "2"}, True),
        (2, "UPSERT", {"If_Version_Match": "1"}, False),
        (0, "CREATE", {}, True),
        (1, "CREATE", {}, False),
        (1, "CREATE_ENTITY", {}, False),
        (0, "CREATE_ENTITY", {}, True),
        (0, "UPDATE", {}, False),
        (1, "UPDATE", {}, True),
        (1, "UPSERT", {"If_Unmodified_Since": "2001-01-01T00:00:00Z"}, False),
        (1, "UPSERT", {"If_Modified_Since": "2001-01-01T00:00:00Z"}, True),
    ],
)
def test_conditions(anywhere: World, there: int, kind: str, headers: dict[str, str], writes: bool) -> None:
    """A change whose condition does not hold is refused, and leaves what is there."""
    for number in range(there):
        anywhere.put(DATASET, "datasetProperties", {"customProperties": {}, "name": f"before {number}"})
    after = {"customProperties": {}, "name": "after"}

    if writes:
        assert anywhere.put(DATASET, "datasetProperties", after, kind, **headers).number == there + 1
    else:
        with pytest.raises(Unmet, match=r"(Expected version|already exists|does not exist|modified since)"):
            anywhere.put(DATASET, "datasetProperties", after, kind, **headers)
    assert (anywhere.catalog.value(DATASET, "datasetProperties").get("name") == "after") is writes


def test_create_that_may_lose_quietly(anywhere: World) -> None:
    """With If-None-Match: * a CREATE of what is there changes nothing and is no error."""
    anywhere.put(DATASET, "status", {"removed": False})

    assert anywhere.put(DATASET, "status", {"removed": True}, "CREATE", If_None_Match="*").value == {"removed": False}


def test_a_batch_is_written_whole_or_not_at_all(anywhere: World) -> None:
    """One bad change of a batch takes all of them with it."""
    with pytest.raises(Unmet):
        anywhere.catalog.write(
            [change(DATASET, "status", {"removed": False}), change(FLOW, "status", {}, If_Version_Match="7")], ACTOR
        )

    assert not anywhere.catalog.exists(DATASET)


@pytest.mark.parametrize("end", ["SUCCESS", "CANCELLED", "ABORTED", "DUPLICATE"])
def test_the_end_of_an_execution_request_stays(anywhere: World, end: str) -> None:
    """After a final status another is refused, the same one is ignored, and only a rollback may follow."""
    anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": "RUNNING"})
    anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": end, "report": "first"})
    anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": end, "report": "second"})
    with pytest.raises(Invalid, match="immutable state"):
        anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": "FAILURE"})

    assert anywhere.catalog.value(REQUEST, "dataHubExecutionRequestResult")["report"] == "first"
    anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": "ROLLING_BACK"})


def test_failure_is_not_final(anywhere: World) -> None:
    """A failed request may run again."""
    anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": "FAILURE"})

    assert anywhere.put(REQUEST, "dataHubExecutionRequestResult", {"status": "RUNNING"}).number == 2


def test_a_softly_deleted_entity_is_not_there_until_it_is_restored(anywhere: World) -> None:
    """Its aspects stay; existence and searches go by status."""
    anywhere.put(DATASET, "status", {"removed": True})
    gone = anywhere.catalog.exists(DATASET), anywhere.catalog.search(Search(kinds=["dataset"]))[0]
    anywhere.put(DATASET, "status", {"removed": False})

    assert gone == (False, 0)
    assert anywhere.catalog.exists(DATASET)
    assert anywhere.catalog.search(Search(kinds=["dataset"])) == (1, [DATASET])


def test_deleted_for_good(anywhere: World) -> None:
    """Every row of it is gone, and what it named is no longer named by it."""
    anywhere.put(JOB, "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": [DATASET]})
    rows, _ = anywhere.catalog.delete(JOB)

    assert rows == 2
    assert not anywhere.catalog.exists(JOB)
    assert anywhere.catalog.related(DATASET, ["Produces"], outgoing=False) == (0, [])
    assert anywhere.put(JOB, "status", {"removed": False}).number == 1


def test_delete_as_a_change(anywhere: World) -> None:
    """DELETE of an aspect takes the aspect; of the key aspect, the entity."""
    anywhere.put(DATASET, "globalTags", {"tags": []})
    anywhere.put(DATASET, "globalTags", {}, "DELETE")
    without = anywhere.catalog.aspect(DATASET, "globalTags"), anywhere.catalog.exists(DATASET)
    anywhere.put(DATASET, "datasetKey", {}, "DELETE")

    assert without == (None, True)
    assert not anywhere.catalog.exists(DATASET)


def test_a_series_keeps_every_point_once(anywhere: World) -> None:
    """Two points of one moment stay two, the same one told twice stays one, the newest comes first."""
    started = {"timestampMillis": 1000, "status": "STARTED"}
    complete = {"timestampMillis": 1000, "status": "COMPLETE", "result": {"type": "SUCCESS", "nativeResultType": "x"}}
    later = {"timestampMillis": 2000, "status": "STARTED"}
    for point in (started, complete, started, later):
        anywhere.put(RUN.format(1), "dataProcessInstanceRunEvent", point)
    points = anywhere.catalog.series(RUN.format(1), "dataProcessInstanceRunEvent")

    assert [one.at_ms for one in points] == [2000, 1000, 1000]


def test_runs_of_a_dataset_come_newest_first(anywhere: World) -> None:
    """By when they were created, whatever the order they were told in; counted whole, told by the page."""
    for number, time in ((1, 1000), (2, 3000), (3, 2000)):
        run = RUN.format(number)
        anywhere.put(run, "dataProcessInstanceOutput", {"outputs": [DATASET]})
        anywhere.put(run, "dataProcessInstanceProperties", {"name": "n", "created": {"time": time, "actor": ACTOR}})

    assert anywhere.catalog.runs_of(DATASET, "Produces") == (3, [RUN.format(2), RUN.format(3), RUN.format(1)])
    assert anywhere.catalog.runs_of(DATASET, "Produces", start=1, count=1) == (3, [RUN.format(3)])


def test_relationships_follow_the_newest_version(anywhere: World) -> None:
    """What an aspect no longer names is no longer related."""
    other = DATASET.replace("orders", "returns")
    anywhere.put(JOB, "dataJobInputOutput", {"inputDatasets": [other], "outputDatasets": [DATASET]})
    anywhere.put(JOB, "dataJobInputOutput", {"inputDatasets": [], "outputDatasets": [other]})

    assert anywhere.catalog.related(DATASET, ["Produces"], outgoing=False)[0] == 0
    assert [one.other for one in anywhere.catalog.related(JOB, ["Produces", "Consumes"], outgoing=True)[1]] == [other]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Search(kinds=["dataset"]), 3),
        (Search(kinds=["dataset", "dataFlow"]), 4),
        (Search(kinds=["dataset"], text="ORDERS"), 1),
        (Search(kinds=["dataset"], text="sales.*"), 2),
        (Search(any_of=[[Criterion(field="platform.keyword", values=["urn:li:dataPlatform:hive"])]]), 1),
        (Search(any_of=[[Criterion(field="origin", values=["DEV"])]]), 1),
        (Search(any_of=[[Criterion(field="origin", values=["DEV"], negated=True)]], kinds=["dataset"]), 2),
        (Search(any_of=[[Criterion(field="removed", values=["true"])]]), 1),
        (Search(any_of=[[Criterion(field="removed", values=["true"], negated=True)]], kinds=["dataset"]), 3),
        (Search(kinds=["dataset"], removed=True), 4),
        (Search(any_of=[[Criterion(field="_entityType", values=["DATA_FLOW"])]]), 1),
        (Search(kinds=["dataset"], text="100%_"), 0),
        (Search(any_of=[[Criterion(field="customProperties", values=["env=PROD"])]]), 1),
        (Search(any_of=[[Criterion(field="customProperties", values=["env=PR_D"])]]), 0),
        (Search(any_of=[[Criterion(field="urn", values=["orders", "x,DEV"], contains=True)]]), 2),
        (Search(any_of=[[Criterion(field="tags", values=["urn:li:tag:a"])]]), 1),
        (Search(any_of=[[Criterion(field="urn", values=[])]]), 0),
    ],
)
def test_search(anywhere: World, wanted: Search, found: int) -> None:
    """By kind, text, platform, environment and deletion, alone and together."""
    for urn in (
        DATASET,
        DATASET.replace("orders", "returns"),
        "urn:li:dataset:(urn:li:dataPlatform:hive,raw.x,DEV)",
        FLOW,
    ):
        anywhere.put(urn, "status", {"removed": False})
    anywhere.put(DATASET.replace("orders", "old"), "status", {"removed": True})
    anywhere.put(DATASET, "datasetProperties", {"name": "x", "customProperties": {"b": "c", "env": "PROD"}})
    anywhere.put(DATASET, "globalTags", {"tags": [{"tag": "urn:li:tag:a"}]})

    assert anywhere.catalog.search(wanted)[0] == found


def test_a_filter_that_is_not_known_is_refused(anywhere: World) -> None:
    """To leave it out would find, and let delete, too much."""
    with pytest.raises(Invalid, match="does not search by 'glossaryTerms'"):
        anywhere.catalog.search(Search(any_of=[[Criterion(field="glossaryTerms", values=["x"])]]))


@pytest.mark.parametrize(
    ("urn", "aspect", "value", "says"),
    [
        ("urn:li:dataset:x", "status", {}, "expected urn:li:dataset:"),
        ("urn:li:nothing:x", "status", {}, "no entity type 'nothing'"),
        (f"urn:li:tag:{'x' * 600}", "status", {}, "longer than 512 bytes"),
        (DATASET, "dataJobInfo", {}, "has no aspect 'dataJobInfo'"),
        (DATASET, "status", [1], "expected a JSON object"),
        (DATASET, "status", {"removed": "no"}, "expected true or false"),
        (JOB, "dataJobInfo", {"name": "x"}, "type: required, and missing"),
        (DATASET, "operation", {"operationType": "UPDATE", "lastUpdatedTimestamp": 1}, "timestampMillis"),
        (DATASET, "datasetKey", {"platform": "x", "name": "y", "origin": "PROD"}, "expected the key of"),
    ],
)
def test_refused_at_the_door(urn: str, aspect: str, value: object, says: str) -> None:
    """What can never be written is told before the database is asked."""
    with pytest.raises(Invalid, match=says):
        change(urn, aspect, value)
