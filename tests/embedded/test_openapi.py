"""This file is where OpenAPI v3's paths are called by hand: what the reference says of their shapes and statuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .world import DATASET, World

ENTITY = "/openapi/v3/entity/dataset"
ENCODED = quote(DATASET, safe="")
STATUS = f"{ENTITY}/{ENCODED}/status"


def item(urn: str = DATASET, **aspects: Any) -> dict[str, Any]:
    return {"urn": urn, **{name: {"value": value} for name, value in aspects.items()}}


@pytest.mark.parametrize(("query", "status"), [("", 202), ("?async=true", 202), ("?async=false", 200)])
def test_a_list_is_upserted(world: World, query: str, status: int) -> None:
    """The status says how it was asked for; it is durable all the same. The type's case does not matter."""
    answer = world.call("POST", f"/openapi/v3/entity/DataSet{query}", json=[item(status={"removed": False})])

    assert answer.status_code == status
    assert answer.json()[0]["status"]["value"] == {"removed": False}
    assert world.catalog.exists(DATASET)


def test_read_in_three_ways(world: World) -> None:
    """HEAD, the entity with its aspects, one aspect of one version."""
    before = world.call("HEAD", f"{ENTITY}/{ENCODED}").status_code, world.call("GET", STATUS).status_code
    world.put(DATASET, "status", {"removed": True})
    world.put(DATASET, "status", {"removed": False})
    whole = world.call("GET", f"{ENTITY}/{ENCODED}?aspects=status&systemMetadata=true").json()

    assert before == (404, 404)
    assert world.call("HEAD", f"{ENTITY}/{ENCODED}").status_code == 204
    assert whole["urn"] == DATASET
    assert set(whole) == {"urn", "status"}
    assert whole["status"]["systemMetadata"]["version"] == "2"
    assert world.call("GET", STATUS).json() == {"value": {"removed": False}}
    assert world.call("GET", f"{STATUS}?version=1").json() == {"value": {"removed": True}}


def test_a_urn_that_was_not_encoded(world: World) -> None:
    """The SDK deletes by a URN as it is; slashes in it are its own."""
    urn = "urn:li:dataset:(urn:li:dataPlatform:s3,bucket/folder/file,PROD)"
    world.put(urn, "status", {"removed": False})

    assert world.call("HEAD", f"{ENTITY}/{urn}").status_code == 204
    assert world.call("GET", f"{ENTITY}/{urn}/status").json() == {"value": {"removed": False}}
    assert world.call("GET", f"{ENTITY}/{quote(urn, safe='')}/status").status_code == 200
    assert world.call("DELETE", f"{ENTITY}/{urn}").status_code == 200
    assert not world.catalog.exists(urn)


def test_one_aspect_is_created_once_unless_told_otherwise(world: World) -> None:
    """createIfNotExists is true by default, which means CREATE."""
    path, body = f"{STATUS}?async=false", {"value": {"removed": False}}
    answers = [
        world.call("POST", path, json=body).status_code,
        world.call("POST", path, json=body).status_code,
        world.call("POST", f"{path}&createIfNotExists=false", json={"value": {"removed": True}}).status_code,
        world.call("POST", f"{path}&createIfEntityNotExists=true", json=body).status_code,
    ]

    assert answers == [200, 412, 200, 412]
    assert world.catalog.value(DATASET, "status") == {"removed": True}


def test_a_version_that_does_not_match_is_412(world: World) -> None:
    """With both versions in the message, as clients parse them."""
    world.put(DATASET, "status", {"removed": False})
    body = [{"urn": DATASET, "status": {"value": {"removed": True}, "headers": {"If-Version-Match": "-1"}}}]
    answer = world.call("POST", f"{ENTITY}?async=false", json=body)

    assert answer.status_code == 412
    assert answer.json()["error"] == "Precondition Error"
    assert "Expected version -1, actual version 1" in answer.json()["message"]


def test_patches(world: World) -> None:
    """Of one aspect, and of a list of entities' aspects."""
    patch = {"patch": [{"op": "add", "path": "/customProperties/a", "value": "1"}]}
    world.call("PATCH", f"{ENTITY}/{ENCODED}/datasetProperties", json=patch)
    other = {"patch": [{"op": "add", "path": "/customProperties/b", "value": "2"}]}
    answer = world.call("PATCH", f"{ENTITY}?async=false", json=[item(datasetProperties=other)])

    assert answer.status_code == 200
    assert world.catalog.value(DATASET, "datasetProperties")["customProperties"] == {"a": "1", "b": "2"}


def test_delete(world: World) -> None:
    """An aspect, then the entity; what is not there is 404."""
    world.put(DATASET, "status", {"removed": False})
    answers = [
        world.call("DELETE", path).status_code
        for path in (STATUS, STATUS, f"{ENTITY}/{ENCODED}", f"{ENTITY}/{ENCODED}")
    ]

    assert answers == [200, 404, 200, 404]


def test_batch_get_tells_of_those_that_are_there(world: World) -> None:
    """With the aspects asked for at each."""
    world.put(DATASET, "status", {"removed": False})
    body = [{"urn": DATASET, "status": {}}, {"urn": DATASET.replace("orders", "x"), "status": {}}]

    assert world.call("POST", f"{ENTITY}/batchGet", json=body).json() == [item(status={"removed": False})]


def test_scrolling_comes_to_an_end(world: World) -> None:
    """Every entity once, by type and by several types, whatever the size of a page."""
    urns = [DATASET.replace("orders", f"t{number}") for number in range(7)]
    for urn in urns:
        world.put(urn, "status", {"removed": False})
    seen: list[str] = []
    after = ""
    for _ in range(10):
        page = world.call("GET", f"{ENTITY}?count=3&query=*&aspects=status{after}").json()
        seen += [one["urn"] for one in page["entities"]]
        if "scrollId" not in page:
            break
        after = f"&scrollId={quote(page['scrollId'], safe='')}"
    several = world.call("POST", "/openapi/v3/entity/scroll?count=50", json={"entities": ["dataset", "tag"]}).json()

    assert seen == urns
    assert several["totalCount"] == 7


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/openapi/v3/entity/nothing", None, 404),
        ("GET", f"{ENTITY}/urn%3Ali%3Atag%3Ax", None, 400),
        ("GET", f"{ENTITY}/{ENCODED}/nothing", None, 400),
        ("GET", f"{ENTITY}/{ENCODED}/dataJobInfo", None, 400),
        ("GET", f"{ENTITY}/{ENCODED}?aspects=nothing", None, 400),
        ("GET", f"{ENTITY}?count=0", None, 400),
        ("GET", f"{ENTITY}?sortCriteria=name", None, 400),
        ("POST", ENTITY, {"urn": DATASET}, 400),
        ("POST", ENTITY, [{"urn": DATASET, "status": {"removed": False}}], 400),
        ("POST", ENTITY, [item("urn:li:tag:x", status={"removed": False})], 400),
        ("POST", f"{ENTITY}?async=maybe", [], 400),
        ("POST", f"{ENTITY}/{ENCODED}", {"value": {}}, 400),
        ("POST", "/openapi/v3/entity/scroll", {"entities": ["nothing"]}, 404),
        ("DELETE", ENTITY, None, 400),
    ],
)
def test_refusals_say_what_was_expected(world: World, method: str, path: str, body: Any, status: int) -> None:
    """In OpenAPI's own shape, and nothing is written."""
    answer = world.call(method, path, **({} if body is None else {"json": body}))

    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert answer.json()["message"]
    assert not world.catalog.exists(DATASET)


def test_writing_needs_the_token(guarded: World) -> None:
    """Every method that writes, and none that reads."""
    answers = [
        guarded.call("POST", f"{ENTITY}?async=false", json=[item(status={"removed": False})]).status_code,
        guarded.call("PATCH", STATUS, json={"patch": []}).status_code,
        guarded.call("DELETE", STATUS).status_code,
        guarded.call("GET", STATUS).status_code,
        guarded.call("POST", f"{ENTITY}/batchGet", json=[]).status_code,
    ]

    assert answers == [401, 401, 401, 404, 200]
