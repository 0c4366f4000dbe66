"""This file is where it is tested which URN a dataset has (section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.errors import UnconvertibleEvent
from headgate.openlineage import LIBRARY, Connection, PathSpec, SharedAliases, Tally, convert
from headgate.openlineage.datasets import DatasetUrn, matching
from headgate.openlineage.java import scheme_of
from headgate.openlineage.options import FABRICS
from headgate.settings import openlineage as settings

from .events import NOW, aspect, columns, dataset, made, run_event, symlinks, urn, urns

GLUE = "arn:aws:glue:us-east-1:123456789012"


def one(namespace: str, name: str, **options: Any) -> str | None:
    found = urns(made(run_event(inputs=[dataset(namespace, name)]), **options))
    return found[0] if found else None


@pytest.mark.parametrize(
    ("namespace", "name", "platform", "expected"),
    [
        ("s3://b", "k/x/", "s3", "b/k/x"),
        ("s3a://b", "/k", "s3", "b/k"),
        ("s3n://b/", "k", "s3", "b/k"),
        ("gs://b", "k", "gcs", "b/k"),
        ("gcs://b", "k", "gcs", "b/k"),
        ("abfs://c@acc.dfs", "/p", "abs", "c@acc.dfs/p"),
        ("wasbs://c@a.blob", "x", "abs", "c@a.blob/x"),
        ("dbfs://x", "/a/", "dbfs", "x/a"),
        ("file://", "/tmp/a", "file", "/tmp/a"),
        ("file", "/tmp/a/", "file", "/tmp/a/"),
        ("dbfs", "/tmp/a", "dbfs", "/tmp/a"),
        ("hdfs://nn:8020", "/data/x/", "hdfs", "/data/x/"),
        ("bigquery", "p.d.t", "bigquery", "p.d.t"),
        ("snowflake://org-acct", "DB.SCH.T", "snowflake", "DB.SCH.T"),
        ("postgres://h:5432", "db.s.t", "postgres", "db.s.t"),
        ("awsathena://x", "a.b.c", "athena", "a.b.c"),
        ("sqlserver://h:1433", "a.b", "mssql", "a.b"),
        ("sqlserver", "a.b", "sqlserver", "a.b"),
        (GLUE, "table/db/t", GLUE, "table/db/t"),
        ("S3://b", "k", "S3", "k"),
        ("s3://a", "s3://b/c/", "hdfs", "s3://a/s3://b/c"),
        ("s3://", "/", "hdfs", "s3:"),
        ("hive", "größe/表", "hive", "größe/表"),
        ("s3://b", "größe/表", "s3", "b/größe/表"),
        ("s3://b", "a%20b", "s3", "b/a%20b"),
    ],
)
def test_namespace_and_name_make_the_urn(namespace: str, name: str, platform: str, expected: str) -> None:
    """File systems keep the bucket and lose slashes; everything else keeps its name, and loses its host."""
    assert one(namespace, name) == urn(platform, expected)


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("s3://b", f"a{c}b") for c in ' \t\n\x00"<>\\^{|}`\u00a0\u2028\x85'] +
    [("s3://b", "a%2"), ("s3://b", "100%"), ("s3://b", "a[0]"), ("my_db://h", "t"), ("://h", "t"), ("1s://h", "t"),
     ("s3://b", "a#b#c"), ("s3://", ""), ("", "t"), ("a/b://c", "t"), ("s3://[::zz]", "k")],
)  # fmt: skip
def test_what_is_no_legal_uri_is_dropped(namespace: str, name: str) -> None:
    """A path Java takes for no URI is left out everywhere, and counted; the event goes on."""
    tally = Tally()
    found = convert(run_event(inputs=[dataset(namespace, name), dataset("hive", "a")]), LIBRARY, now=NOW, tally=tally)

    assert urns(found) == [urn("hive", "a")]
    assert aspect(found, "dataProcessInstanceInput") == {"inputs": [urn("hive", "a")]}
    assert tally == {"datasets": 1}


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("http://[::1]:80/x", "http"), ("http://u@[fe80::1]/", "http"), ("http://h/x?a[1]#b[2]", "http"),
        ("mailto:a@b", "mailto"), ("a/b", ""), ("", ""), ("//h/x", ""), ("file:///x", "file"), ("s3:", None),
        ("s3:#x", None), (":x", None), ("http://h]/", None), ("http://h/[", None), ("a:b[c]", "a"), ("?a:b", ""),
    ],
)  # fmt: skip
def test_java_takes_these_uris(uri: str, scheme: str | None) -> None:
    """The corners of java.net.URI: brackets, no scheme, nothing after a scheme."""
    assert scheme_of(uri) == scheme


def test_a_dataset_needs_namespace_and_name() -> None:
    """Half a name is no dataset anyone meant."""
    with pytest.raises(UnconvertibleEvent, match=r"inputs\[0\] has no name"):
        made(run_event(inputs=[{"namespace": "hive"}]))


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        ([(GLUE, "table/db/t")], urn("glue", "db.t")),
        ([("aws:glue:us-east-1:1", "table/db/t")], urn("glue", "db.t")),
        ([("hive://metastore:9083", "db.t")], urn("hive", "db.t")),
        ([("file:/tmp/warehouse", "default.t1")], urn("hive", "default.t1")),
        ([("x", "a.b"), (GLUE, "table/c/d")], urn("glue", "c.d")),
        ([(GLUE, "table/c/d"), ("x", "a.b")], urn("hive", "a.b")),
        ([(GLUE, "table/c/d", "LOCATION")], urn("s3", "lake/t")),
        ([(GLUE, "table/c/d", "table")], urn("s3", "lake/t")),
        ([], urn("s3", "lake/t")),
    ],
)
def test_the_last_symlink_of_type_table_wins(identifiers: list[Any], expected: str) -> None:
    """A table's catalog name replaces its path: Glue by its ARN, everything else Hive."""
    assert urns(made(run_event(inputs=[dataset("s3://lake", "t", symlinks=symlinks(*identifiers))]))) == [expected]


def test_symlinks_may_be_switched_off_and_renamed() -> None:
    """Without them datasets stay where their bytes are; another word may stand for Hive."""
    event = run_event(inputs=[dataset("s3://lake", "t", symlinks=symlinks(("x", "a.b")))])

    assert urns(made(event, disable_symlink_resolution=True)) == [urn("s3", "lake/t")]
    assert urns(made(event, hive_platform_alias="iceberg")) == [urn("iceberg", "a.b")]


def test_a_schema_is_of_the_raw_platform() -> None:
    """A table over a path says in its schema where the bytes are."""
    linked = dataset("s3a://lake", "t", symlinks=symlinks((GLUE, "table/a/b")), schema={"fields": []})

    assert aspect(made(run_event(inputs=[linked])), "schemaMetadata")["platform"] == "urn:li:dataPlatform:s3"


def test_a_schema_needs_a_platform_of_its_own() -> None:
    """Where the raw namespace and name make no URI there is a table, but no schema of it."""
    facets: dict[str, Any] = {"symlinks": symlinks((GLUE, "table/a/b")), "schema": {"fields": []}}
    found = made(run_event(inputs=[dataset("s3://lake", "my table", **facets)]))
    twice = made(run_event(inputs=[dataset("s3://lake", "s3://t", **facets)]))

    assert urns(found) == urns(twice) == [urn("glue", "a.b")]
    assert [one for one in found if one["aspectName"] == "schemaMetadata"] == []
    assert aspect(twice, "schemaMetadata")["platform"] == "urn:li:dataPlatform:hdfs"


def test_an_alias_is_what_the_symlink_says_itself() -> None:
    """One step is gone, never two; a dataset that comes again without a table is itself again."""
    first = dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/a/b")))
    second = dataset("hive", "x", symlinks=symlinks(("x", "y")))
    third = dataset("hive", "w", symlinks=symlinks(("x", "x")))
    lineage = columns(f=[("hive", "w", "f"), ("hive", "x", "f"), ("s3://lake", "t", "f")])
    again = dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/c/d", "LOCATION")), columnLineage=lineage)
    found = made(run_event(inputs=[first, second, third], outputs=[again]))
    paths = [one["path"] for one in aspect(found, "dataJobInputOutput")]

    assert aspect(found, "dataProcessInstanceInput") == {"inputs": [urn("glue", "a.b"), urn("hive", "y")]}
    assert aspect(found, "dataProcessInstanceOutput") == {"outputs": [urn("s3", "lake/t")]}
    assert [path.rpartition("/NONE/")[2].replace("~1", "/") for path in paths if "/NONE/" in path] == [
        f"urn:li:schemaField:({one},f)" for one in (urn("hive", "x"), urn("hive", "y"), urn("s3", "lake/t"))
    ]


def test_column_lineage_meets_symlinks_of_inputs() -> None:
    """Inputs come first: what their symlinks say serves the lineage of outputs, which names paths."""
    out = dataset("hive", "out", columnLineage=columns(f=[("s3://lake", "t", "f")]))
    linked = dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/a/b")))
    paths = [one["path"] for one in aspect(made(run_event(inputs=[linked], outputs=[out])), "dataJobInputOutput")]

    assert paths[-1].endswith(f"/NONE/urn:li:schemaField:({urn('glue', 'a.b')},f)")


def test_what_comes_later_is_not_known_earlier() -> None:
    """A symlink of a later output serves no lineage before it."""
    first = dataset("hive", "one", columnLineage=columns(f=[("s3://lake", "t", "f")]))
    later = dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/a/b")))
    paths = [one["path"] for one in aspect(made(run_event(outputs=[first, later])), "dataJobInputOutput")]

    assert "dataPlatform:s3,lake~1t,PROD" in paths[-1]


def test_every_event_starts_anew_unless_a_memory_is_shared() -> None:
    """By default no event learns from another; a shared memory holds the last symlinks, and no more than it may."""
    linked = run_event(inputs=[dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/a/b")))])
    plain = run_event(inputs=[dataset("s3://lake", "t")])
    memory = SharedAliases(2)
    convert(linked, LIBRARY, now=NOW, aliases=memory)

    assert urns(convert(plain, LIBRARY, now=NOW)) == [urn("s3", "lake/t")]
    assert urns(convert(plain, LIBRARY, now=NOW, aliases=memory)) == [urn("glue", "a.b")]
    for n in range(5):
        memory[str(n)] = DatasetUrn("u", "p", "n", "PROD")
    assert len(memory) == 2
    assert urns(convert(plain, LIBRARY, now=NOW, aliases=memory)) == [urn("s3", "lake/t")]


def test_one_urn_is_written_once_a_side() -> None:
    """Of two datasets under one URN the first one counts; the other side has its own."""
    twice = [
        dataset("s3://b", "k", documentation={"description": "first"}),
        dataset("s3a://b", "k/", documentation={"description": "second"}),
    ]
    found = made(run_event(inputs=twice, outputs=twice[1:]))
    said = [one["aspect"][0]["value"] for one in found if one["aspectName"] == "datasetProperties"]

    assert said == ["first", "second"]


def test_datasets_are_written_in_urn_order() -> None:
    """By the text of the URN as Java compares it, inputs before outputs."""
    names = ["b", "a", "\ufb00", "\U0001f600", "Z"]
    found = made(run_event(inputs=[dataset("hive", one) for one in names], outputs=[dataset("hive", "A")]))

    assert urns(found) == [urn("hive", one) for one in ("Z", "a", "b", "\U0001f600", "\ufb00", "A")]


def test_lower_case_is_for_datasets() -> None:
    """With the option on, namespace and name are lowered before anything else."""
    connections = {"snowflake://x": Connection(platform_instance="acct")}

    assert one("SNOWFLAKE://X", "DB.T", lower_case_dataset_urns=True) == urn("snowflake", "db.t")
    assert one("Snowflake://X", "T", lower_case_dataset_urns=True, connections=connections) == urn(
        "snowflake", "acct.t"
    )
    linked = dataset("s3://lake", "T", symlinks=symlinks(("HIVE://H", "A.B")))
    options: dict[str, Any] = {"connections": {"hive://h": Connection(platform_instance="meta")}}
    assert urns(made(run_event(inputs=[linked]), lower_case_dataset_urns=True, **options)) == [urn("hive", "meta.a.b")]


def test_connections_say_instance_and_environment() -> None:
    """Found by the Glue catalog or the namespace, not for paths; the common instance is for all others."""
    options: dict[str, Any] = {
        "connections": {
            GLUE: Connection(platform_instance="acct", env="DEV"),
            "postgres://h:5432": Connection(platform_instance="pg"),
            "s3://b": Connection(platform_instance="no"),
        },
        "common_dataset_platform_instance": "common",
    }
    linked = dataset("s3://lake", "t", symlinks=symlinks((GLUE, "table/a/b")))

    assert urns(made(run_event(inputs=[linked]), **options)) == [urn("glue", "acct.a.b", "DEV")]
    assert one("postgres://h:5432", "a.b", **options) == urn("postgres", "pg.a.b")
    assert one("postgres://other", "a.b", **options) == urn("postgres", "common.a.b")
    assert one("s3://b", "k", **options) == urn("s3", "common.b/k")


def test_path_specs_say_where_a_table_is() -> None:
    """The path is cut at {table}, * is one folder; the spec's instance and environment are the dataset's."""
    spec = PathSpec(paths=["s3://b/*/x/{table}", "s3://b/{table}"], platform_instance="inst", env="qa")
    options: dict[str, Any] = {"path_specs": {"s3": [spec], "hive": [PathSpec(platform_instance="h", env="no")]}}

    assert one("s3://b", "any/x/t/day=1/f.parquet", **options) == urn("s3", "inst.b/any/x/t", "QA")
    assert one("s3://b", "t/day=1", **options) == urn("s3", "inst.b/t", "QA")
    assert one("s3://c", "t/day=1", **options) == urn("s3", "c/t/day=1", "QA")
    assert one("hive", "a.b", **options) == urn("hive", "h.a.b")


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("s3://b/t", "s3://b/{table}", "s3://b/t"),
        ("s3://b", "s3://b/{table}", None),
        ("s3://b/t/x", "s3://b/t", None),
        ("s3://b/t", "s3://b/x{table}", None),
        ("s3://b/t/u/v", "s3://*/*/{table}/y", "s3://b/t/u"),
    ],
)
def test_patterns_match_folder_by_folder(path: str, pattern: str, expected: str | None) -> None:
    """Only a whole folder may be a table's name."""
    assert matching(path, pattern) == expected


def test_partitions_are_cut_off_paths() -> None:
    """The expression and the end of the text go, then a slash; for bare file systems too, for tables not."""
    options: dict[str, Any] = {"file_partition_regexp": "year=.*"}

    assert one("s3://b", "t/year=1/month=2", **options) == urn("s3", "b/t")
    assert one("file", "/a/year=1", **options) == urn("file", "/a")
    assert one("hive", "a/year=1", **options) == urn("hive", "a/year=1")
    assert one("s3://b", "t/year=1", file_partition_regexp="^s3://b/t/.*") == urn("hdfs", "s3://b/t/year=1")


def test_the_fabric_words_are_the_settings_words() -> None:
    """What headgate.yaml takes for an environment is what the converter takes."""
    assert set(settings.FABRICS) == FABRICS
