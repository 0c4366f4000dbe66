"""This file is where a pipeline file's filters are read, and let through what the framework's own let through."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.execution_requests import RequestGms
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys.world import until

from headgate.errors import InvalidConfiguration
from headgate.executor.filters import TYPE, Filters
from headgate.executor.pipeline_file import PipelineFile, read_pipeline_file
from headgate.executor.requests import Ignored, as_change, read_change

from .test_requests import INPUT, URN, change
from .world import executing, file, reporting, runs, until_status

PIPELINE = """\
name: p
action: {type: executor, config: {poll_every: 100ms}}
"""


def read(folder: Path, text: str) -> PipelineFile:
    (folder / "executor.yml").write_text(PIPELINE + text, "utf-8")
    return read_pipeline_file(folder / "executor.yml", {})


def filters(folder: Path, **said: Any) -> Filters:
    return read(folder, yaml.safe_dump(said) if said else "").options.filters


def newer(*bodies: Any, kind: str = TYPE) -> list[dict[str, Any]]:
    return [{"type": "event_type", "config": {"filter": {kind: {"event": list(bodies)} if bodies else None}}}]


def older(kind: Any, **event: Any) -> dict[str, Any]:
    return {"event_type": kind, **({"event": event} if event else {})}


@pytest.mark.parametrize(
    ("said", "takes"),
    [
        ({}, True),
        ({"filter": older(TYPE)}, True),
        ({"filter": older(["EntityChangeEvent_v1", TYPE])}, True),
        ({"filter": older("EntityChangeEvent_v1")}, False),
        ({"filter": older(TYPE, entityType="dataHubExecutionRequest", changeType="UPSERT")}, True),
        ({"filter": older(TYPE, changeType=["CREATE", "UPSERT"])}, True),
        ({"filter": older(TYPE, changeType="RESTATE")}, False),
        ({"filters": newer()}, True),
        ({"filters": newer(kind="EntityChangeEvent_v1")}, False),
        ({"filters": newer({"aspectName": "status"}, {"aspect": {"value": {"executorId": "default"}}})}, True),
        ({"filters": newer({"aspect": {"value": {"executorId": "sidecar"}}})}, False),
        ({"filters": newer({"aspect": {"value": {"source": {"type": ["A", "MANUAL_INGESTION_SOURCE"]}}}})}, True),
        ({"filters": newer({"aspect": {"value": {"requestedAt": 1_760_000_000_000}}})}, True),
        ({"filters": newer({"nothing": None})}, True),
        ({"filters": [*newer(), *newer({"changeType": "DELETE"})]}, False),
        ({"filters": newer({"changeType": "UPSERT"}), "filter": older("other")}, False),
        ({"transform": [{"type": "__filter", "config": older(TYPE, changeType="UPSERT")}]}, True),
        ({"transform": [{"type": "__filter", "config": older(TYPE, changeType="DELETE")}]}, False),
    ],
)
def test_a_change_is_let_through_as_the_framework_has_it(tmp_path: Path, said: Any, takes: bool) -> None:
    """Types, any of several bodies, all keys of one, values inside the aspect; of several filters each."""
    found = filters(tmp_path, **said)
    forms = [
        change(),
        change(aspect={"contentType": "application/json", "value": json.dumps(INPUT, ensure_ascii=False).encode()}),
        change(changeType={"string": "UPSERT"}, entityType={"string": "dataHubExecutionRequest"}),
        as_change(URN, "dataHubExecutionRequestInput", INPUT),
    ]

    assert [found.take(one) for one in forms] == [takes] * 4
    assert isinstance(read_change(change(), found.take), Ignored) == (not takes)


NAMES = ("entityType", "changeType", "aspectName", "aspect", "gone")
LEAVES = st.sampled_from(["dataHubExecutionRequest", "UPSERT", "default", "RUN_INGEST", "x"])
WANTED = st.recursive(
    LEAVES | st.lists(LEAVES, min_size=1, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(["value", "contentType", "executorId", "task"]), inner, max_size=2),
    max_leaves=4,
)
BODIES = st.lists(st.dictionaries(st.sampled_from(NAMES), WANTED, max_size=3), max_size=3)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_the_framework_decides_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Made-up bodies, held against the framework's own filter over the same event."""
    from datahub_actions.event.event_envelope import EventEnvelope
    from datahub_actions.event.event_registry import MetadataChangeLogEvent
    from datahub_actions.plugin.filter.event_type_filter import EventTypeFilter
    from datahub_actions.plugin.transform.filter.filter_transformer import FilterTransformer

    bodies = data.draw(BODIES)
    config = {"filter": {TYPE: {"event": bodies}}}
    aspect = {"task": "RUN_INGEST", "executorId": "default"}
    event = as_change(URN, "dataHubExecutionRequestInput", aspect)
    stock: Any = EventTypeFilter.create(config, None)  # type: ignore[arg-type] - it looks at no context
    envelope: Any = EventEnvelope(TYPE, MetadataChangeLogEvent.from_json(json.dumps(event)), {})
    folder = tmp_path_factory.getbasetemp()

    assert filters(folder, filters=[{"type": "event_type", "config": config}]).take(event) == stock.matches(envelope)
    for body in bodies:
        transformer: Any = FilterTransformer.create(older(TYPE, **body), None)  # type: ignore[arg-type] - as above
        assert filters(folder, filter=older(TYPE, **body)).take(event) == (transformer.transform(envelope) is not None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filter: {event: {a: b}}\n", "3:9: filter.event_type: expected the type of an event"),
        ("filter: {event_type: X, evnt: {}}\n", "did you mean 'event'?"),
        ("filter: {event_type: X, event: [a]}\n", "filter.event: expected a mapping of the event's fields"),
        ("filters: {type: event_type}\n", "3:10: filters: expected a list of filters"),
        (
            "filters:\n  - type: mine\n",
            "4:11: filters[0].type: expected event_type, the one filter that Headgate knows",
        ),
        ("filters:\n  - type: event_type\n", "filters[0].config: expected a mapping with filter"),
        ("filters:\n  - {type: event_type, config: {filter: {X: {event: {a: b}}}}}\n", "expected a list of mappings"),
        ("transform:\n  - type: mine\n", "4:11: transform[0].type: `headgate executor` runs no transformers but"),
        ("transform: {type: x}\n", "3:12: transform: expected a list of transformers"),
        ("transform: [{type: __filter}]\n", "3:13: transform[0].config.event_type: expected the type of an event"),
    ],
)
def test_what_is_wrong_or_would_not_be_done_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With its place, and where it can be done."""
    with pytest.raises(InvalidConfiguration) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def test_an_empty_transform_is_none(tmp_path: Path) -> None:
    """As the framework has it."""
    assert read(tmp_path, "transform: []\nfilter:\n").options.filters == Filters([])


@pytest.mark.parametrize("events", [True, False], ids=["events", "lists"])
def test_what_a_filter_leaves_out_is_not_run(tmp_path: Path, events: bool) -> None:
    """Wherever the request is heard of; the others are run."""
    wanted = {"aspect": {"value": {"source": {"ingestionSource": "urn:li:dataHubIngestionSource:ours"}}}}
    pipeline = read(tmp_path, yaml.safe_dump({"filters": newer(wanted)}))
    with RequestGms(events=events) as gms, executing(tmp_path / "p", gms, pipeline) as app:
        theirs = gms.ask(reporting(), source="theirs")
        ours = gms.ask(reporting(), source="ours")
        until_status(gms, ours, "SUCCESS")

        assert gms.status(theirs) == ""
        assert [run.arguments["--request"] for run in runs(app)] == [ours]


def test_a_source_that_is_not_here_is_a_warning_of_readiness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's library is not installed: requests are found in the lists, and /readyz says what is missing."""
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    pipeline = read(tmp_path, "source: {type: kafka, config: {connection: {bootstrap: '127.0.0.1:9'}}}\n")
    with RequestGms(events=False) as gms, executing(tmp_path / "p", gms, pipeline) as app:
        urn = gms.ask(reporting())
        until_status(gms, urn, "SUCCESS")
        until(lambda: "headgate[kafka]" in str(app.readiness()["warnings"]), "the warning")

        assert app.readiness()["ready"] is True
        assert "executor 'default': Kafka: " in str(app.readiness()["warnings"])
        assert "requests are looked for in DataHub's lists every 0.1 s" in str(app.readiness()["warnings"])


def test_a_large_recipe_of_a_request_is_run(tmp_path: Path) -> None:
    """More than any other argument may hold."""
    large = {**reporting(), "pipeline_name": "x" * 300_000}
    with RequestGms(events=False) as gms, executing(tmp_path, gms) as app:
        urn = gms.ask(large)
        until_status(gms, urn, "SUCCESS")

        assert len(runs(app)[0].arguments["--recipe_json"]) > 300_000


def test_only_the_executors_own_requests_are_asked_for(tmp_path: Path) -> None:
    """DataHub's list is filtered there, so that others' requests crowd ours out of no page; an older one's here."""
    with RequestGms(events=False) as gms, executing(tmp_path, gms, file("mine")):
        urn = gms.ask(reporting(), executor="mine")
        until_status(gms, urn, "SUCCESS")
        assert _filters_of(gms)[-1] == [{"field": "executorId", "values": ["mine"]}]
        gms.misbehave("/api/graphql", "graphql_error", code=400, operation="listExecutionRequests")
        until(lambda: [] in _filters_of(gms), "the list to be asked for as a whole")
        urn = gms.ask(reporting(), executor="mine")
        until_status(gms, urn, "SUCCESS")
        asked = _filters_of(gms)

        assert not any(asked[asked.index([]) :]), "it is not tried again with each look"


def _filters_of(gms: RequestGms) -> list[Any]:
    bodies: list[Any] = [one.body for one in gms.asked("listExecutionRequests")]
    return [one["variables"]["filters"] for one in bodies]
