"""This file is where it is tested how the schemas of datasets are written (section 9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage import Limits

from .events import aspect, dataset, dataset_event, made, proposals, run_event


def schema(*fields: Any, **options: Any) -> Any:
    return aspect(made(dataset_event("hive", "a", schema={"fields": list(fields)}), **options), "schemaMetadata")


def paths(*fields: Any) -> list[str]:
    return [one["fieldPath"] for one in schema(*fields)["fields"]]


def kinds(*types: str | None) -> list[str]:
    written = schema(*({"name": "f", "type": kind} for kind in types))["fields"]
    return [
        next(iter(one["type"]["type"])).removeprefix("com.linkedin.schema.").removesuffix("Type") for one in written
    ]


def test_a_schema_needs_a_list_of_fields() -> None:
    """An empty list makes one, no list does not."""
    assert schema()["fields"] == []
    assert schema()["platformSchema"] == {"com.linkedin.schema.MySqlDDL": {"tableSchema": "[]"}}
    for facet in ({}, {"fields": None}, None):
        assert proposals(made(dataset_event("hive", "a", schema=facet)), "schemaMetadata") == []


def test_a_schema_that_comes_again_is_written_as_is_asked() -> None:
    """What is remembered of one conversion is not given to one with other options, or on another platform."""
    fields = [{"name": "a", "type": "bigint", "description": "d"}, {"name": "b", "type": "array<int>"}]
    usual = schema(*fields)
    event = run_event(inputs=[dataset("postgres://h", "a", schema={"fields": fields})])

    assert schema(*fields) == usual
    assert schema(*fields, field_descriptions=True)["fields"][0]["description"] == "d"
    assert [one["fieldPath"] for one in aspect(made(event, released=True), "schemaMetadata")["fields"]] == ["a", "b"]
    assert aspect(made(event), "schemaMetadata") == usual | {"platform": "urn:li:dataPlatform:postgres"}
    with pytest.raises(UnconvertibleEvent, match="more than 1 fields"):
        schema(*fields, limits=Limits(fields=1))


def test_a_long_schema_is_written_as_a_short_one() -> None:
    """Schemas of any length have all their fields in their order."""
    fields = [{"name": f"column_{n}", "type": "int" if n % 2 else "string"} for n in range(500)]
    written = schema(*fields)

    assert [(one["fieldPath"], one["nativeDataType"]) for one in written["fields"]] == [
        (one["name"], one["type"]) for one in fields
    ]
    assert json.loads(written["platformSchema"]["com.linkedin.schema.MySqlDDL"]["tableSchema"]) == fields


@pytest.mark.parametrize("facet", [{"fields": "x"}, {"fields": [3]}, [], "x", {"fields": [{"name": []}]}])
def test_a_schema_of_another_form_is_malformed(facet: object) -> None:
    """Again and again: nothing is remembered of it."""
    for _ in range(2):
        with pytest.raises(MalformedEvent, match="the facet schema: "):
            made(dataset_event("hive", "a", schema=facet))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("String", "string|varchar(10)|CHAR|nvarchar|nchar|character varying(3)|text| UUID "),
        ("Number", "int integer long bigint smallint tinyint short byte double float decimal(10,2) numeric number real money"),  # noqa: E501 - a table
        ("Boolean", "boolean bool"), ("Date", "date"),
        ("Time", "timestamp timestamp_ntz timestamp_tz timestamptz datetime time timestamp(6)"),
        ("Bytes", "binary varbinary bytes blob"), ("Array", "array list array<int>"), ("Map", "map struct record row struct<a:int>"),  # noqa: E501 - a table
        ("Union", "union"), ("Enum", "enum"), ("Null", "int64 geometry uniontype|double precision|"),
    ],
)  # fmt: skip
def test_types_are_known_by_their_word(kind: str, words: str) -> None:
    """In any case, with or without parameters; what is not known is no type at all."""
    given = words.split("|") if "|" in words else words.split()

    assert kinds(*given) == [kind] * len(given)
    assert kinds(None) == ["Null"]


def test_the_table_schema_is_the_fields_as_jackson_writes_them() -> None:
    """Name, type, description, fields; nulls left out, empty lists kept, unknown members dropped, no blanks."""
    fields = [
        {"description": "dé/\u0001\x1f\n", "type": "struct", "name": "a", "ordinal": 1, "fields": [{"name": "b", "type": None}]},  # noqa: E501 - as it is sent
        {"name": "c", "fields": []}, None, {"name": 5, "type": True},
    ]  # fmt: skip
    written = schema(*fields)["platformSchema"]["com.linkedin.schema.MySqlDDL"]["tableSchema"]

    assert written == (
        '[{"name":"a","type":"struct","description":"dé/\\u0001\\u001F\\n","fields":[{"name":"b"}]},'
        '{"name":"c","fields":[]},{"name":"5","type":"true"}]'
    )
    assert (
        schema({"name": "a\\u001f", "type": "int"})["platformSchema"]["com.linkedin.schema.MySqlDDL"]["tableSchema"]
        == '[{"name":"a\\\\u001f","type":"int"}]'
    )


def test_plain_paths_unless_there_are_arrays_or_unions() -> None:
    """The form is chosen once for the whole schema."""
    struct = {"name": "s", "type": "struct", "fields": [{"name": "x", "type": "int", "fields": [{"name": "y"}]}]}

    assert paths(struct, {"name": "m", "type": "map<string,int>"}) == ["s", "s.x", "s.x.y", "m"]
    assert paths(struct, {"name": "u", "type": "uniontype<int>"}) == [
        "[version=2.0].[type=struct].[type=struct].s",
        "[version=2.0].[type=struct].[type=struct].s.[type=struct].x",
        "[version=2.0].[type=struct].[type=struct].s.[type=struct].x.[type=unknown].y",
        "[version=2.0].[type=struct].[type=union].u",
    ]


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        ("array<array<bigint>>", "[type=array].[type=array].[type=long]"),
        ("array", "[type=array].[type=unknown]"),
        ("array<>", "[type=array].[type=unknown]"),
        ("array<struct<a:int,b:string>>", "[type=array].[type=struct]"),
        ("array<map<string,array<decimal(10,2)>>>", "[type=array].[type=map].[type=array].[type=decimal]"),
        ("list< Varchar(3) >", "[type=array].[type=string]"),
        ("map<struct<a:int,b:int>,array<real>>", "[type=map].[type=array].[type=float]"),
        ("array<map<int>>", "[type=array].[type=map].[type=unknown]"),
        ("array<uniontype<int,string>>", "[type=array].[type=union]"),
    ],
)
def test_type_parameters_become_tokens(kind: str, tokens: str) -> None:
    """Elements and values are entered; commas count only at the top."""
    first = {"name": "z", "type": "array<int>"}  # so that the full form is chosen

    assert paths(first, {"name": "f", "type": kind})[1] == f"[version=2.0].[type=struct].{tokens}.f"


def test_children_say_what_elements_are() -> None:
    """An array or a map with children is one of structs, whatever its parameters say."""
    child = [{"name": "c", "type": "tinyint"}]

    assert paths(
        {"name": "a", "type": "array<int>", "fields": child}, {"name": "m", "type": "map", "fields": child}
    ) == [
        "[version=2.0].[type=struct].[type=array].[type=struct].a",
        "[version=2.0].[type=struct].[type=array].[type=struct].a.[type=int].c",
        "[version=2.0].[type=struct].[type=map].[type=struct].m",
        "[version=2.0].[type=struct].[type=map].[type=struct].m.[type=int].c",
    ]


def test_names_with_brackets_lose_parts_as_in_java() -> None:
    """Cutting back to a plain path takes every part in brackets, even one of a name."""
    assert paths({"name": "a.[b].c"}, {"name": "d", "type": "x.y.z"}, {"name": "e[0]"}) == ["a.c", "y.d", ""]


def test_descriptions_of_fields_are_written_on_demand() -> None:
    """Java forgets them."""
    field = {"name": "a", "type": "int", "description": "d"}

    assert "description" not in schema(field)["fields"][0]
    assert schema(field, field_descriptions=True)["fields"][0]["description"] == "d"
