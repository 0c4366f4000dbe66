"""This file is where both sources read tables that nobody would make: nulls, gaps, odd names, members nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datahub.emitter.mce_builder import make_dataset_urn
from fakes.glue_catalog import FakeGlue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.moto import CREDENTIALS

from .world import OURS, STOCK, ingest, presto

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own

words = st.sampled_from(
    [
        "a",
        "B_c",
        "ü",
        "a.b",
        "a b",
        "x,y",
        "(z)",
        "%",
        "\u241f",
        "'",
        '"',
        "\\",
        "名",
        "🎉",
        "\n",
        "null",
        "-1",
        "a/b:c",
    ]
)
texts = st.none() | st.just("") | st.lists(words, max_size=3).map("".join)
_KINDS = """string int decimal(10,2) date timestamp array<int> struct<a:int,b:struct<c:date>> STRING struct< a:int
 map<string,struct<x:int>> uniontype<int,string> map<struct<a:int>,int>"""
kinds = st.sampled_from([*_KINDS.split(), ""])


def object_of(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these members, sometimes with one that nobody knows."""
    return st.fixed_dictionaries({}, optional={**members, "Unknown": st.just({"a": 1})})


columns = st.lists(
    st.fixed_dictionaries(
        {
            "Name": st.lists(words, min_size=1, max_size=2).map("".join),
            "Type": st.one_of(kinds, kinds, kinds, st.none()),
        },
        optional={"Comment": texts, "Parameters": st.just({"p": "q"})},
    ),
    max_size=4,
)
maps = st.none() | st.dictionaries(words, words, max_size=3)
storages = st.none() | st.fixed_dictionaries(
    {"Columns": st.one_of(columns, columns, columns, st.none())},
    optional={
        "Location": texts | st.sampled_from(["s3://b/x y/", "s3a://b", "hdfs://x", "s3://b/x.csv"]),
        "AdditionalLocations": st.none() | st.lists(words, max_size=2),
        "InputFormat": texts,
        "Compressed": st.none() | st.booleans(),
        "NumberOfBuckets": st.none() | st.integers(-1, 9),
        "SerdeInfo": st.none() | object_of(Parameters=maps, Name=texts, SerializationLibrary=texts),
        "SortColumns": st.none() | st.lists(object_of(SortOrder=st.integers(0, 1), Column=words), max_size=2),
        "SkewedInfo": st.none()
        | object_of(SkewedColumnValueLocationMaps=maps, SkewedColumnNames=st.lists(words, max_size=2)),
        "SchemaReference": object_of(SchemaVersionNumber=st.integers(1, 9), SchemaId=object_of(RegistryName=words)),
        "StoredAsSubDirectories": st.booleans(),
        "Parameters": maps,
        "Unknown": st.just([1]),
    },
)
times = st.none() | st.sampled_from([0, 1.5, 1_700_000_000.9999, 1_700_000_000])
sql = st.none() | st.sampled_from(["", "select c from x.y", presto("select 1 a"), presto(""), "/* Presto View: zz */"])
tables = st.fixed_dictionaries(
    {"Name": st.lists(words, min_size=1, max_size=3).map("".join), "StorageDescriptor": storages},
    optional={
        "Parameters": maps | st.just({"table_type": "ICEBERG", "Location": "l"}),
        "PartitionKeys": st.none() | columns,
        "Description": texts,
        "Owner": texts | st.sampled_from(["urn:li:corpuser:a b", "urn:li:corpGroup:g"]),
        "CreateTime": times,
        "UpdateTime": times,
        "TableType": st.sampled_from([None, "VIRTUAL_VIEW", "EXTERNAL_TABLE"]),
        "ViewOriginalText": sql,
        "ViewExpandedText": sql,
        "CatalogId": st.sampled_from(["1", "1", "1", None]),
    },
)
databases = object_of(
    Description=texts, LocationUri=texts, Parameters=maps, CreateTime=times, CatalogId=st.none() | words
)
options = st.fixed_dictionaries(
    {},
    optional={
        "emit_storage_lineage": st.just(True),
        "glue_storage_lineage_direction": st.just("downstream"),
        "platform_instance": st.sampled_from(["p", "p (eu)"]),
        "domain": st.just({"d": {"allow": [".*a"]}}),
    },
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(tables, min_size=5, max_size=40, unique_by=lambda one: one["Name"]), databases, options)
def test_any_table(tmp_path_factory: pytest.TempPathFactory, given_tables: list[Any], database: Any, said: Any) -> None:
    """Whatever Glue says, both say the same of it, and fail at the same tables. Of those, ours says nothing at all."""
    folder: Path = tmp_path_factory.mktemp("any")
    with FakeGlue({"d ü": database}, {"d ü": given_tables}) as fake, pytest.MonkeyPatch.context() as environ:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_GLUE": fake.url}.items():
            environ.setenv(name, value)
        flags = {"flags": {"report_failure_sample_size": 1000, "progress_report_max_failures": 1000}}
        theirs, stock = ingest(STOCK, folder / "theirs.json", more=flags, **said)
        ours, own = ingest(OURS, folder / "ours.json", more=flags, **said)

    failed = [{context for one in run.source.get_report().failures for context in one.context} for run in (stock, own)]
    assert failed[0] == failed[1]
    lost = {
        make_dataset_urn(
            "glue", f"{said['platform_instance']}.d ü.{name}" if "platform_instance" in said else f"d ü.{name}"
        )
        for name in (one["Name"] for one in given_tables)
        if any(text.startswith(f"Table: {name} <class") for text in failed[1])
    }
    assert sorted(ours - theirs) == []
    assert [one for one in theirs - ours if one[0] not in lost] == []
    assert lost.isdisjoint(urn for urn, *_ in ours)
