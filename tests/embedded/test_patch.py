"""This file is where JSON patches of aspects are tested: each form that a client sends, and what must not work."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.embedded.patch import apply, begin
from headgate.errors import Invalid

TAG = "urn:li:tag:{}"
DATASET = "urn:li:dataset:(urn:li:dataPlatform:s3,b/k/{},PROD)"
FIELD = "urn:li:schemaField:({},{})"
SEP = "\u241f"


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def test_a_tag_is_added_beside_others_and_once() -> None:
    """A list of operations uses the aspect's own keys."""
    before = {"tags": [{"tag": TAG.format("a")}]}
    patch = [add(f"/tags/{TAG.format('b')}", {"tag": TAG.format("b")})] * 2
    after = apply("globalTags", before, patch)

    assert after == {"tags": [{"tag": TAG.format("a")}, {"tag": TAG.format("b")}]}
    assert before == {"tags": [{"tag": TAG.format("a")}]}


def test_the_java_builders_tags_with_an_empty_key_part() -> None:
    """`/tags//URN`: the attribution's source is missing, which stands as an empty part."""
    patch = {
        "arrayPrimaryKeys": {"tags": [f"attribution{SEP}source", "tag"]},
        "patch": [add(f"/tags//{TAG.format('b')}", {"tag": TAG.format("b")})],
    }
    attributed = {"tag": TAG.format("b"), "attribution": {"source": "urn:li:x", "time": 1, "actor": "urn:li:y"}}
    after = apply("globalTags", {"tags": [{"tag": TAG.format("a")}, attributed]}, patch)

    assert after["tags"] == [{"tag": TAG.format("a")}, {"tag": TAG.format("b")}, attributed]


def test_the_java_builders_owners() -> None:
    """Four key parts, two of them empty at the end."""
    urn = "urn:li:corpuser:ann"
    keys = ["owner", "type", "typeUrn", f"attribution{SEP}source"]
    patch = {
        "arrayPrimaryKeys": {"owners": keys},
        "patch": [add(f"/owners/{urn}/DATAOWNER//", {"owner": urn, "type": "DATAOWNER"})],
    }
    first = {"owner": urn, "type": "DEVELOPER"}
    once = apply("ownership", {"owners": [first]}, patch)

    assert once["owners"] == [first, {"owner": urn, "type": "DATAOWNER"}]
    assert apply("ownership", once, patch) == once


def test_the_java_builders_structured_property_on_nothing() -> None:
    """`/properties/URN/` with the aspect not there yet: no error, one property."""
    urn = "urn:li:structuredProperty:awsStepFunctionArn"
    value = {"propertyUrn": urn, "values": [{"string": "arn:x"}]}
    patch = {
        "arrayPrimaryKeys": {"properties": ["propertyUrn", f"attribution{SEP}source"]},
        "patch": [add(f"/properties/{urn}/", value)],
    }

    assert apply("structuredProperties", begin("structuredProperties"), patch) == {"properties": [value]}


def test_lineage_of_a_job_as_openlineage_sends_it() -> None:
    """Edges by their URN with slashes escaped; column lineage as operation, downstream, query, upstream."""
    one, two = DATASET.format(1), DATASET.format(2)
    up, down = FIELD.format(one, "a"), FIELD.format(two, "b")
    stamp = {"time": 1, "actor": "urn:li:corpuser:UNKNOWN"}
    edges = [{"destinationUrn": urn, "lastModified": stamp, "created": stamp} for urn in (one, two)]
    patch = [
        add(f"/inputDatasetEdges/{pointer(one)}", edges[0]),
        add(f"/outputDatasetEdges/{pointer(two)}", edges[1]),
        add(f"/fineGrainedLineages/DIRECT:IDENTITY/{pointer(down)}/NONE/{pointer(up)}", {"confidenceScore": 0.5}),
    ]
    after = apply("dataJobInputOutput", begin("dataJobInputOutput"), patch)

    assert after["inputDatasets"] == after["outputDatasets"] == []
    assert after["inputDatasetEdges"] == [edges[0]]
    assert after["outputDatasetEdges"] == [edges[1]]
    assert after["fineGrainedLineages"] == [
        {
            "upstreamType": "FIELD_SET",
            "upstreams": [up],
            "downstreamType": "FIELD",
            "downstreams": [down],
            "confidenceScore": 0.5,
            "transformOperation": "DIRECT:IDENTITY",
        }
    ]
    assert apply("dataJobInputOutput", after, patch) == after


def test_lists_of_texts_are_their_own_keys() -> None:
    """`/inputDatasetFields/URN` with an empty object, as the Python builder has it."""
    field = FIELD.format(DATASET.format(1), "a")
    patch = [add(f"/inputDatasetFields/{pointer(field)}", {})]

    assert apply("dataJobInputOutput", {"inputDatasetFields": ["x"]}, patch)["inputDatasetFields"] == ["x", field]


def test_custom_properties_and_a_field() -> None:
    """Maps and plain fields are patched as they are."""
    before = {"customProperties": {"a": "1", "b": "2"}, "name": "x"}
    patch = [
        add("/description", "told"),
        add("/customProperties/c~1d", "3"),
        {"op": "remove", "path": "/customProperties/a"},
        {"op": "remove", "path": "/customProperties/nowhere"},
        {"op": "replace", "path": "/name", "value": "y"},
    ]
    after = apply("datasetProperties", before, patch)

    assert after == {"customProperties": {"b": "2", "c/d": "3"}, "name": "y", "description": "told"}


def test_tags_of_a_field() -> None:
    """A field's own tags lie one list deeper."""
    path = f"/editableSchemaFieldInfo/col/globalTags/tags/{TAG.format('pii')}"
    patch = [add("/editableSchemaFieldInfo/col/fieldPath", "col"), add(path, {"tag": TAG.format("pii")})]
    after = apply("editableSchemaMetadata", begin("editableSchemaMetadata"), patch)

    assert after["editableSchemaFieldInfo"] == [
        {"fieldPath": "col", "globalTags": {"tags": [{"tag": TAG.format("pii")}]}}
    ]


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ("x", "list of JSON patch operations"),
        ([1], "expected an object with op and path"),
        ([{"op": "move", "path": "/a", "from": "/b"}], "expected one of add"),
        ([{"op": "add", "path": "a", "value": 1}], "begins with /"),
        ([{"op": "add", "path": "/a"}], "needs a value"),
        ([{"op": "replace", "path": "/nothing", "value": 1}], "nothing at /nothing"),
        ([{"op": "test", "path": "/name", "value": "other"}], "does not hold"),
        ([{"op": "add", "path": "/name/deeper", "value": 1}], "is no object"),
        ({"arrayPrimaryKeys": {"tags": "tag"}, "patch": []}, "lists of texts"),
    ],
)
def test_refused_patches(patch: object, says: str) -> None:
    """What cannot be done is told, and the aspect is left alone."""
    before = {"name": "x", "customProperties": {}}
    with pytest.raises(Invalid, match=says):
        apply("datasetProperties", before, patch)
    assert before == {"name": "x", "customProperties": {}}


KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(
    st.lists(st.tuples(KEYS, KEYS), unique=True, max_size=6),
    st.lists(st.tuples(KEYS, KEYS, st.booleans()), max_size=6),
)
def test_adding_and_removing_is_that_of_a_map(there: list[tuple[str, str]], steps: list[tuple[str, str, bool]]) -> None:
    """Whatever the keys hold, elements are added once, removed when there, and the others stay in their order."""
    before = {"owners": [{"owner": owner, "type": kind} for owner, kind in there]}
    kept = copy.deepcopy(before)
    wanted = dict.fromkeys(there)
    patch: list[dict[str, Any]] = []
    for owner, kind, adds in steps:
        path = f"/owners/{pointer(owner)}/{pointer(kind)}"
        patch.append(add(path, {"owner": owner, "type": kind}) if adds else {"op": "remove", "path": path})
        if adds:
            wanted[owner, kind] = None
        else:
            wanted.pop((owner, kind), None)
    after = apply("ownership", before, patch)

    assert {(one["owner"], one["type"]) for one in after["owners"]} == set(wanted)
    assert len(after["owners"]) == len(wanted)
    assert before == kept
