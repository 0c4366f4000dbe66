"""This file is where a catalog of Glue's is filled, and read by either source as `datahub ingest` would do it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
from datahub.emitter.mcp_builder import mcps_from_mce
from datahub.ingestion.run.pipeline import Pipeline
from datahub.metadata.schema_classes import MetadataChangeEventClass
from services.moto import REGION

STOCK: Final = "glue"
OURS: Final = "headgate-glue"
_RANDOM: Final = re.compile(r"(__structn?_(?:\d+_)?)[0-9a-f]{32}")

#: (URN, aspect, kind of change, what it says, about the run) -> how often.
Said = Counter[tuple[str, str, str, str, str]]


def columns(*types: str, comment: str = "") -> list[dict[str, str]]:
    more = {"Comment": comment} if comment else {}
    return [{"Name": f"c{number}", "Type": one, **more} for number, one in enumerate(types)]


def presto(sql: str) -> str:
    body = json.dumps({"originalSql": sql, "catalog": "awsdatacatalog", "columns": []})
    return f"/* Presto View: {base64.b64encode(body.encode()).decode()} */"


SERDE: Final = {
    "Name": "näme",
    "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "Parameters": {"serialization.format": "1", "quote": "it's", "back": "a\\b"},
}
EVERYTHING: Final = {
    "Columns": columns("string"),
    "Location": "s3://bucket/a path/ünïcode/",
    "AdditionalLocations": ["s3://more/1", "s3://more/2"],
    "InputFormat": "in",
    "OutputFormat": "out",
    "Compressed": True,
    "NumberOfBuckets": -1,
    "SerdeInfo": SERDE,
    "BucketColumns": ["c0"],
    "SortColumns": [{"SortOrder": 1, "Column": "c0"}],
    "Parameters": {"of": "the descriptor"},
    "SkewedInfo": {
        "SkewedColumnValueLocationMaps": {"z": "s3://z", "a": "s3://a"},
        "SkewedColumnValues": ["z"],
        "SkewedColumnNames": ["c0"],
    },
    "StoredAsSubDirectories": False,
    "SchemaReference": {"SchemaVersionNumber": 3, "SchemaId": {"RegistryName": "r", "SchemaName": "s"}},
}
_NESTED: Final = (
    "array<string>",
    "map<string,array<struct<a:int,b:decimal(10,2)>>>",
    "struct<a:int,`b.c`:struct<d:date,e:timestamp>,f:uniontype<int,struct<g:string>>>",
    "map<struct<a:int>,string>",
    "struct<broken",
    "a:int,b:string",
)


def table(name: str, storage: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"Name": name, **({} if storage is None else {"StorageDescriptor": storage}), **more}


def view(name: str, text: str, *types: str, **more: Any) -> dict[str, Any]:
    storage = {"Columns": columns(*types)}
    return table(name, storage, TableType="VIRTUAL_VIEW", ViewOriginalText=text, **more)


ODD_NAMES: Final = ["a,b", "a(b)", "a b", "a%b", "größe", "名前", "a/b", "a\"b'c", "a.b", "UPPER", "x" * 250]

#: database -> (what it is, its tables)
CATALOG: Final[Mapping[str, tuple[Mapping[str, Any], list[dict[str, Any]]]]] = {
    "plain": (
        {"Description": "d", "LocationUri": "s3://there/", "Parameters": {"LocationUri": "no", "b": "2", "a": "1"}},
        [table(f"t{number}", {**EVERYTHING, "Columns": columns("int", "string")}) for number in range(3)],
    ),
    "größen ü": (
        {},
        [
            table("nested", {"Columns": columns(*_NESTED, comment="näh")}),
            table(
                "partitioned",
                {"Columns": columns("bigint", "array<int>"), "Location": "s3://b/p"},
                PartitionKeys=[
                    {"Name": "dt", "Type": "date", "Comment": "day"},
                    {"Name": "untyped"},
                    {"Name": "s", "Type": "struct<a:int>"},
                ],
            ),
            table(
                "iceberg",
                {"Columns": columns("string", "map<string,int>"), "Location": "s3://b/i"},
                TableType="EXTERNAL_TABLE",
                Parameters={"table_type": "ICEBERG", "metadata_location": "s3://b/i/m.json", "Location": "x"},
            ),
            table("everything", EVERYTHING, Owner="ann (a)", Description="", Retention=3),
            table("owned by urn", {"Columns": []}, Owner="urn:li:corpGroup:team"),
            table("no descriptor", None, Description="some"),
            table("empty descriptor", {}),
            table("without columns", {"Location": "s3://b/none"}),
            table(
                "twice",
                {"Columns": [{"Name": "a", "Type": "int"}, {"Name": "a", "Type": "int", "Comment": "second"}]},
                PartitionKeys=[{"Name": "a", "Type": "int"}, {"Name": "a", "Type": "string"}],
            ),
            table(
                "untyped column",
                {"Columns": [{"Name": "a"}]},
            ),
            table(
                "delta",
                {"Columns": [{"Name": "col", "Type": "array<string>"}]},
                Parameters={
                    "spark.sql.sources.provider": "delta",
                    "spark.sql.sources.schema.numParts": "2",
                    "spark.sql.sources.schema.part.0": '{"fields": [{"name": "id", "type": "int", "nullable": false}',
                    "spark.sql.sources.schema.part.1": ', {"name": "s", "description": "x", "type": {"type": "struct", '
                    '"fields": [{"name": "a", "type": {"type": "array", "elementType": "date"}}]}}]}',
                },
            ),
            table(
                "broken delta",
                {"Columns": [{"Name": "col", "Type": "array<string>"}]},
                Parameters={"spark.sql.sources.provider": "delta", "spark.sql.sources.schema.numParts": "1"},
            ),
            *(table(name, {"Columns": [{"Name": name, "Type": "struct<a:int>"}]}) for name in ODD_NAMES),
        ],
    ),
    "views": (
        {},
        [
            table(
                "orders", {"Columns": [{"Name": "id", "Type": "bigint"}, {"Name": "Amount", "Type": "decimal(9,2)"}]}
            ),
            table("odd name", {"Columns": [{"Name": "a b", "Type": "string"}]}),
            view("athena", presto("SELECT id, sum(amount) total FROM views.orders GROUP BY 1"), "bigint", "double"),
            view(
                "spark", "SELECT o.id AS c0, p.c0 AS c1 FROM orders o JOIN plain.t1 p ON p.c0 = o.id", "bigint", "int"
            ),
            view("shouted", presto("SELECT ID FROM VIEWS.ORDERS"), "bigint"),
            view("over", presto('SELECT * FROM "athena"'), "bigint", "double"),
            view("quoted", presto('SELECT "a b" c0 FROM views."odd name"'), "string"),
            view("unreadable", "SELECT FROM WHERE ((", "string"),
            view("not base64", "/* Presto View: ?? */", "string"),
            view("no sql in it", "/* Presto View: e30= */", "string"),
            table("without text", {"Columns": columns("int")}, TableType="VIRTUAL_VIEW"),
            table("expanded", {"Columns": columns("int")}, TableType="VIRTUAL_VIEW", ViewExpandedText="SELECT 1 AS c0"),
        ],
    ),
    "nothing": ({}, []),
}


#: Of `lake`.
DATABASES: Final = 4


def lake(many: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (database, TableInput) of a lake: 30 columns each; nested, partitioned, Iceberg ones, and views."""
    plain = [
        "bigint",
        "string",
        "decimal(38,6)",
        "date",
        "timestamp",
        "double",
        "boolean",
        "int",
        "varchar(40)",
        "string",
    ]
    for number in range(many):
        kinds = [*plain, *plain, *plain]
        if number % 10 < 3:
            kinds[27:] = [
                "array<struct<sku:string,quantity:int,price:decimal(10,2)>>",
                "map<string,array<bigint>>",
                f"struct<id:bigint,at:timestamp,of{number % 50}:struct<name:string,tags:array<string>>>",
            ]
        columns = [{"Name": f"column_{place}", "Type": kind} for place, kind in enumerate(kinds)]
        for place in range(0, 30, 4):
            columns[place]["Comment"] = f"what column {place} says"
        table: dict[str, Any] = {
            "Name": f"table_{number:05d}",
            "Owner": f"owner{number % 7}",
            "Description": f"the table of number {number}",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet", "recordCount": str(number), "compressionType": "none"},
            "StorageDescriptor": {
                "Columns": columns,
                "Location": f"s3://bucket/lake/table_{number:05d}/",
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "Compressed": False,
                "NumberOfBuckets": -1,
                "SerdeInfo": SERDE,
            },
        }
        if number % 4 == 0:
            table["PartitionKeys"] = [{"Name": "year", "Type": "int"}, {"Name": "day", "Type": "date"}]
        if number % 7 == 0:
            table["Parameters"] |= {"table_type": "ICEBERG", "metadata_location": f"s3://bucket/{number}.metadata.json"}
        if number % 50 == 49:
            below = f"table_{number - DATABASES:05d}"
            table |= {
                "TableType": "VIRTUAL_VIEW",
                "ViewOriginalText": presto(f"SELECT column_0, column_1 FROM {below}"),
            }
            table["StorageDescriptor"] = {"Columns": columns[:2]}
        yield f"database_{number % DATABASES}", table


def fill(url: str, catalog: Mapping[str, tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]] = CATALOG) -> None:
    glue = boto3.client("glue", endpoint_url=url, region_name=REGION)
    for database, (what, tables) in catalog.items():
        glue.create_database(DatabaseInput={"Name": database, **what})
        for one in tables:
            glue.create_table(DatabaseName=database, TableInput=one)
    if "plain" in catalog:  # one that was changed later
        glue.update_table(DatabaseName="plain", TableInput=catalog["plain"][1][0])  # type: ignore[index]
    glue.close()


def recipe_of(kind: str, out: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe of this source into a file."""
    return {
        "source": {"type": kind, "config": {"aws_region": REGION, "extract_transforms": False, **options}},
        "sink": {"type": "file", "config": {"filename": str(out)}},
    }


def ingest(kind: str, out: Path, *, more: Mapping[str, Any] | None = None, **options: Any) -> tuple[Said, Pipeline]:
    """Run a recipe of this source into a file. Returns what was said and the pipeline that ran."""
    recipe = {**recipe_of(kind, out, options), "run_id": "the-run", **(more or {})}
    pipeline = Pipeline.create(recipe, report_to=None)
    pipeline.run()
    return said(json.loads(out.read_text("utf-8"))), pipeline


def said(records: Iterable[dict[str, Any]]) -> Said:
    """What a file of records says, aspect by aspect, without what is never twice the same."""
    return Counter(one for record in records for one in _parts(record))


def _parts(record: dict[str, Any]) -> Iterable[tuple[str, str, str, str, str]]:
    if "proposedSnapshot" in record:
        event = MetadataChangeEventClass.from_obj(record)
        return [part for mcp in mcps_from_mce(event) for part in _parts(mcp.to_obj(simplified_structure=True))]
    system = {key: value for key, value in (record.get("systemMetadata") or {}).items() if key != "lastObserved"}
    body = record["aspect"]["json"]
    if record["aspectName"] == "queryProperties":
        body["created"] = body["lastModified"] = None
    for one in body.get("upstreams", []) if isinstance(body, dict) else []:
        one["auditStamp"]["time"] = one.get("created", one["auditStamp"])["time"] = 0
    text = _RANDOM.sub(r"\1random", json.dumps(body, sort_keys=True))
    return [(record["entityUrn"], record["aspectName"], record["changeType"], text, json.dumps(system, sort_keys=True))]


def stripped(records: Iterable[dict[str, Any]]) -> list[str]:
    """Records as they were written, less run ids, times of seeing and DataHub's random names."""
    return [_RANDOM.sub(r"\1random", json.dumps(_timeless(record))) for record in records]


def differing(ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    """Records that only one side has, marked; views' queries come in the order that DataHub's parser has them in."""
    here, there = Counter(ours), Counter(theirs)
    return [*(f"+ {one}" for one in (here - there)), *(f"- {one}" for one in (there - here))]


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    seen = {"lastObserved", "runId", "lastRunId"}
    system = {key: value for key, value in (record.get("systemMetadata") or {}).items() if key not in seen}
    aspect: Any = (record.get("aspect") or {}).get("json")
    if record.get("aspectName") == "queryProperties":
        aspect["created"] = aspect["lastModified"] = None
    if record.get("aspectName") == "upstreamLineage" and isinstance(aspect, dict):
        for one in aspect["upstreams"]:
            one["auditStamp"]["time"] = one.get("created", one["auditStamp"])["time"] = 0
    return {**record, "systemMetadata": system}


def told(pipeline: Pipeline) -> dict[str, list[tuple[str, list[str]]]]:
    """The failures and warnings of a source's report."""
    report = pipeline.source.get_report()
    return {
        kind: [(one.message, sorted(one.context)) for one in getattr(report, kind)] for kind in ("failures", "warnings")
    }
