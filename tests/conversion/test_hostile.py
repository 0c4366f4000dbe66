"""This file is where events nobody would send are converted or refused: never an unhandled error, never without end."""

from __future__ import annotations

import copy
import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage import LIBRARY, Limits, Options, PathSpec, convert, rest_defaults

from .events import NOW, columns, dataset, dataset_event, made, run_event, symlinks

DATA = Path(__file__).parent / "data"
RICH = [json.loads(path.read_bytes()) for path in sorted((DATA / "examples").glob("*.event.json"))] + [
    json.loads((DATA / "events" / "OpenLineage__proxy__fluentd__events__event_full.json").read_bytes())
]
EVERYTHING = Options(
    materialize_dataset=True, include_schema_metadata=True, include_indirect_column_lineage=False, use_patch=False,
    enhanced_merge_into_extraction=True, remove_legacy_lineage=True, lower_case_dataset_urns=True, is_spark=True,
    orchestrator_from_producer=True, field_descriptions=True, file_partition_regexp="/[a-z]+=.*",
    path_specs={"s3": [PathSpec(paths=["s3://b/{table}"])]},
)  # fmt: skip
OPTIONS = [LIBRARY, rest_defaults(), rest_defaults(released=True), EVERYTHING]

hostile = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20),
    st.sampled_from(
        [10**40, -(10**40), 2**63, 1e308, "", " ", ".", "/", "~ ", "://", "s3://", "s3://[", "%", "\x00", "\ud800",
         "TABLE",
         [], {}, [None], [[]], {"": None}, "9" * 5000, 1e-320, "urn:li:x:(,)", "array<" * 100, "<", ">", ",", "[0]"]
    ),
)  # fmt: skip
anything = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def outcome(event: Any, options: Options = LIBRARY) -> list[dict[str, Any]] | str:
    """What is made of it, or why it is refused; any other error is the test's failure."""
    reason, found = "", list[dict[str, Any]]()
    try:
        found = convert(event, options, now=NOW)
    except (MalformedEvent, UnconvertibleEvent) as refused:
        reason = str(refused) or "refused without a word"
    assert len(reason) < 1000
    assert reason != "refused without a word"
    if reason:
        return reason
    json.dumps(found, allow_nan=False).encode()
    return found


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member and element of an event: (its owner, its key)."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one))) if isinstance(one, list) else []
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    event=st.sampled_from(RICH),
    seed=st.integers(0, 10**9),
    values=st.lists(anything, min_size=1, max_size=4),
    options=st.sampled_from(OPTIONS),
)
def test_a_mutated_event_converts_or_is_refused(event: Any, seed: int, values: list[Any], options: Options) -> None:
    """Any member of a real event may be anything at all."""
    chosen = random.Random(seed)
    mutated = copy.deepcopy(event)
    for value in values:
        owner, key = chosen.choice(places(mutated) or [(mutated, "run")])
        owner[key] = copy.deepcopy(value)  # else two draws of one list could make a circle

    outcome(mutated, options)


@settings(max_examples=150, deadline=None)
@given(event=st.sampled_from(RICH), cut=st.floats(0, 1), extra=st.binary(max_size=8))
def test_truncated_and_garbled_bytes_are_refused_or_converted(event: Any, cut: float, extra: bytes) -> None:
    """Text that ends too early, or has bytes in it that do not belong there."""
    data = json.dumps(event).encode()
    at = int(len(data) * cut)

    outcome(data[:at])
    outcome(data[:at] + extra + data[at:])


@settings(max_examples=150, deadline=None)
@given(
    event=st.dictionaries(
        st.sampled_from(["run", "job", "dataset", "inputs", "outputs", "schemaURL", "eventTime", "producer"]), anything
    )
    | anything
)
def test_anything_at_all_is_refused_or_converted(event: Any) -> None:
    """Not even the form of an event."""
    outcome(event if isinstance(event, dict) else json.dumps(event).encode("utf-8", "replace"))


@pytest.mark.parametrize("depth", [50, 150, 900, 5_000, 200_000])
@pytest.mark.parametrize("place", ["schema", "airflow", "list", "plan", "unread", "property"])
def test_deep_nesting_is_bounded(place: str, depth: int) -> None:
    """However deep a facet is, and whoever reads it: converted or refused, at once."""
    opened = {"schema": '{"name":"f","fields":[', "list": "["}.get(place, '{"a":')
    closed = {"schema": "]}", "list": "]"}.get(place, "}")
    core = "" if place == "schema" else "1"
    nested = opened * depth + core + closed * depth
    data = {
        "schema": json.dumps(dataset_event("hive", "a", schema={"fields": ["X"]})),
        "airflow": json.dumps(run_event(run={"airflow": {"dag": "X"}})),
        "list": json.dumps(run_event(run={"airflow": {"dag": {"a": "X"}}})),
        "plan": json.dumps(run_event(run={"spark.logicalPlan": {"plan": "X", "null": None}})),
        "unread": json.dumps(run_event(run={"whatever": "X"})),
        "property": json.dumps(run_event(job={"aws": {"stepFunctionArn": "X"}})),
    }[place].replace('"X"', nested)
    begin = time.process_time()
    found = outcome(data.encode())

    assert time.process_time() - begin < 5
    assert isinstance(found, list) or "nested" in found


def test_a_large_event_is_refused_by_its_size() -> None:
    """Before anything is read of it."""
    with pytest.raises(MalformedEvent, match="at most 1,000 are taken"):
        made(run_event(name="x" * 2000), limits=Limits(event_bytes=1000))


def test_many_datasets_are_refused() -> None:
    """And as many as are allowed are converted."""
    some = [dataset("hive", f"t{n}") for n in range(20)]

    assert len(made(run_event(inputs=some), limits=Limits(datasets=20)))
    with pytest.raises(UnconvertibleEvent, match="20 inputs; 19 are taken"):
        made(run_event(inputs=some), limits=Limits(datasets=19))


def test_many_fields_are_refused() -> None:
    """In a flat schema and in a nested one."""
    flat = [{"name": str(n), "type": "int"} for n in range(20)]

    for fields in (flat, [{"name": "s", "fields": flat[1:]}]):
        assert made(dataset_event("hive", "a", schema={"fields": fields}), limits=Limits(fields=20))
        with pytest.raises(UnconvertibleEvent, match="more than 19 fields"):
            made(dataset_event("hive", "a", schema={"fields": fields}), limits=Limits(fields=19))


def test_field_paths_that_repeat_long_names_are_refused() -> None:
    """Deep fields below a long name would write that name over and over."""
    inner: dict[str, Any] = {"name": "x", "type": "array"}
    for _ in range(90):
        inner = {"name": "n" * 1000, "type": "struct", "fields": [inner]}

    assert "more than 1,000,000 characters" in str(
        outcome(
            dataset_event("hive", "a", schema={"fields": [inner]}),
            Options(materialize_dataset=True, include_schema_metadata=True, limits=Limits(characters=1_000_000)),
        )
    )


def test_lineage_that_repeats_long_sql_is_refused() -> None:
    """The SQL stands in every pair's path: a megabyte of it times a thousand pairs is refused before it is written."""
    facet = columns(**{f"c{n}": [("hive", "a", "b")] for n in range(1000)})
    event = run_event(outputs=[dataset("hive", "out", columnLineage=facet)], job={"sql": {"query": "x" * 10**6}})
    begin = time.process_time()

    assert "column lineage" in str(outcome(event))
    assert time.process_time() - begin < 5


def test_lineage_that_repeats_many_words_is_refused() -> None:
    """Words of a column that only filters join every other pair: they are not put in order for all of them."""
    inputs = [("hive", "a", "f", *[f"INDIRECT:{n}" for n in range(5_000)]), *[("hive", "a", "b")] * 10_000]
    event = run_event(outputs=[dataset("hive", "out", columnLineage=columns(x=inputs))])
    begin = time.process_time()

    for options in (EVERYTHING, replace(LIBRARY, include_indirect_column_lineage=False)):
        assert "column lineage" in str(outcome(event, replace(options, limits=Limits(characters=2_000_000))))
    assert time.process_time() - begin < 5


def test_many_pairs_are_refused() -> None:
    """All pairs of an event count together."""
    facet = columns(**{f"c{n}": [("hive", "a", "b")] for n in range(20)})
    event = run_event(outputs=[dataset("hive", "o", columnLineage=facet), dataset("hive", "p", columnLineage=facet)])

    assert made(event, limits=Limits(pairs=40))
    with pytest.raises(UnconvertibleEvent, match="more than 39 pairs"):
        made(event, limits=Limits(pairs=39))


@pytest.mark.parametrize(
    "event",
    [
        dataset_event("hive", "a", schema={"fields": [{"name": "f", "type": "array<" * 300_000 + ">"}]}),
        dataset_event("hive", "a", schema={"fields": [{"name": "f", "type": "map<" + "a<b>," * 300_000 + ">"}]}),
        dataset_event("hive", "a", schema={"fields": [{"name": "f", "type": "map<" * 300_000 + ",>" * 300_000}]}),
        run_event(inputs=[dataset("s3://b", "/" * 2_000_000)]),
        run_event(inputs=[dataset("s3://b", "s3://" * 300_000)]),
        run_event(inputs=[dataset("s3://b", "a", symlinks=symlinks(*[("x", f"t{n}") for n in range(30_000)]))]),
        run_event(inputs=[dataset("hive", "a")] * 10_000),
        run_event(job={"sql": {"query": "MERGE INTO\n" * 200_000}}, name="execute_merge_into_command_edge"),
        run_event(name="." * 1_000_000),
        run_event(producer="https://github.com/OpenLineage/OpenLineage/" + "/" * 500_000),
        run_event(run={"spark_properties": {"properties": {str(n): n for n in range(100_000)}}}),
        run_event(run={"airflow": {"dag": {"tags": "[" + "'a'," * 200_000 + "'a']"}}}),
        run_event(outputs=[dataset("hive", "o", columnLineage=columns(x=[("hive", "a", "b", *["A:B"] * 50_000)]))]),
    ],
    ids=range(13),
)  # fmt: skip
def test_long_values_cost_no_more_than_their_length(event: dict[str, Any]) -> None:
    """Texts and lists that tempt a converter into going over them again and again."""
    begin = time.process_time()
    for options in (LIBRARY, EVERYTHING):
        outcome(event, options)

    assert time.process_time() - begin < 10
