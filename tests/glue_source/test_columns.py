"""This file is where our fields of a column are held against those that DataHub's own code makes of it."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import pytest
from datahub.emitter.serialization_helper import pre_json_transform
from datahub.utilities.hive_schema_to_avro import get_schema_fields_for_hive_column
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.glue_source.columns import column

#: DataHub's code names a struct in a map's key at random; and Avro grumbles at what that code gives it.
_RANDOM = re.compile(r"(__structn?_(?:\d+_)?)[0-9a-f]{32}")
pytestmark = pytest.mark.filterwarnings("ignore::avro.errors.IgnoredLogicalType")


def theirs(name: str, type_text: str, comment: str = "", *, nullable: bool = True) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where warnings are errors, theirs would take another way
        fields = get_schema_fields_for_hive_column(name, type_text, comment, nullable)
    return [steady(pre_json_transform(field.to_obj())) for field in fields]


def ours(name: str, type_text: str, comment: str = "", *, nullable: bool = True) -> list[dict[str, Any]]:
    return [steady(json.loads(json.dumps(field))) for field in column(name, type_text, comment, nullable).fields]


def steady(field: dict[str, Any]) -> dict[str, Any]:
    if "jsonProps" in field:
        field["jsonProps"] = _RANDOM.sub(r"\1random", field["jsonProps"])
    return field


_WORDS = """string int integer double binary boolean float tinyint smallint bigint varchar char long bytes bool decimal
 numeric bignumeric bigdecimal float64 int64 byteint date timestamp datetime uuid json time void interval STRING x *"""
WORDS = [*_WORDS.split(), "double precision", "timestamp with time zone", "Decimal(3,2)", "", " "]
TEXTS = [
    *WORDS,
    *("decimal(38,6)", "decimal( 3 , 2 )", "decimal(5)", "numeric(4,5)", "decimal(0,0)", "decimals", "decimal(10,2)x"),
    *("varchar(20)", "char( 3 )", "varchar()", "varchar(2)y"),
    *("array<string>", "array<>", "array<int", "array", "list<date>", "arrays", "array<array<array<bigint>>>"),
    *("map<string,int>", "map<int>", "map<>", "map<a,b,c>", "map<date,array<struct<a:int>>>", "map< string , date >"),
    *("map<struct<a:int>,string>", "map<array<int>,uniontype<int,string>>", "map<map<int,date>,decimal(3,1)>"),
    *("struct<a:int>", "struct<>", "struct<a>", "struct<a:int,>", "struct<a:int,a:uniontype<int,int>>", "structx"),
    *("struct<`a.b`:int,c:struct<d:string>>", "struct<`a:int>", "struct<:int>", "struct<a:b:int>", "struct< a : int >"),
    *("struct<__struct_x:int,__structn_7_y:date>", "struct<a:array<struct<b:map<string,struct<c:date>>>>>"),
    *("uniontype<int,string>", "uniontype<int,smallint>", "uniontype<int,foo>", "uniontype<foo,array<int>>"),
    *("uniontype<foo,bar>", "uniontype<foo>", "uniontype<struct<a:int>,struct<b:int>, struct<c:int>>", "uniontype<>"),
    *("struct<a:uniontype<int,struct<b:date>>>", "array<uniontype<int,string>>", "uniontype<uniontype<int>>"),
    *("array<uniontype<struct<a:int>,int>>", "a:int", "a:int,b:struct<c:date>", "a:", ":", " struct<a:int>"),
    *(" array<int>", " uniontype<int,string>", " uniontype<int,foo>", "array<int>>", "array<(int>", "map<[a,b],c>"),
    *("struct<名:string>", "struct<a\u241fb:int>", 'struct<"q":int>', "decimal(٣,٢)"),
]
NAMES = ["a", "a.b", "a b", "名", "__struct_1", "__structn_2_z", "", ".", "a,(b)", '"', "x" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_known_types(name: str) -> None:
    """Every kind of type, well or badly written, gives the same fields under every kind of name."""
    for text in TEXTS:
        for nullable in (True, False):
            assert ours(name, text, nullable=nullable) == theirs(name, text, nullable=nullable), (name, text, nullable)


def test_a_comment_is_on_the_columns_own_field() -> None:
    """And on none of what is below it."""
    for text in ("int", "struct<a:int,b:date>", "array<struct<a:int>>", "struct<", "a:int,b:int"):
        assert ours("c", text, "näh") == theirs("c", text, "näh"), text


leaves = st.sampled_from(WORDS) | st.builds("decimal({},{})".format, st.integers(0, 40), st.integers(0, 40))
names = st.sampled_from(["a", "b", "`c d`", "e.f", "", "`", "__struct_", " g "]) | st.text(max_size=4)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}:{}".format, names, inner)
    return st.one_of(
        st.builds("array<{}>".format, inner),
        st.builds("list<{}>".format, inner),
        st.builds("map<{},{}>".format, inner, inner),
        st.lists(member, max_size=4).map(lambda parts: f"struct<{','.join(parts)}>"),
        st.lists(inner, max_size=4).map(lambda parts: f"uniontype<{','.join(parts)}>"),
        st.lists(member, min_size=1, max_size=3).map(",".join),
        inner.map(" {} ".format),
    )


types = st.recursive(leaves, nested, max_leaves=12)
scraps = st.lists(
    st.sampled_from(
        ["struct<", "map<", "array<", "uniontype<", "list<", ">", ",", ":", "(", ")", "a", "int", " ", "`", "date"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(names, types | scraps | st.text(max_size=20), st.booleans())
@example("c", "struct<a:struct<a:struct<a:map<struct<b:int>,uniontype<int,foo>>>>>", False)
def test_any_type(name: str, text: str, nullable: bool) -> None:
    """Whatever is written there, the fields are theirs."""
    assert ours(name, text, nullable=nullable) == theirs(name, text, nullable=nullable)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=6), types, st.text(max_size=9))
def test_the_size_is_never_underrated(name: str, text: str, comment: str) -> None:
    """What keeps an aspect below DataHub's limit may be too careful, not too bold."""
    made = column(name, text, comment, nullable=True)

    assert len(json.dumps(made.fields)) <= made.bytes_at_most


def test_depth_beyond_sense() -> None:
    """A type nested thousands deep is a column without a type, not the end of the run."""
    text = "array<" * 5000 + "int" + ">" * 5000

    assert [field["fieldPath"] for field in ours("c", text)] == ["c"]
