"""This file is where changes of DataHub's are read: every form they come in, and everything that they may not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.executor.requests import Ignored, Kill, arguments_of, cause_of, implicit_job_of, read_change, read_input
from headgate.ledger import rows
from headgate.ledger.executions import Request

URN = "urn:li:dataHubExecutionRequest:3f2c"
RECIPE = '{"source": {"type": "glue", "config": {"password": "${SECRET}"}}, "run_id": "' + URN + '"}'
INPUT: dict[str, Any] = {
    "task": "RUN_INGEST", "executorId": "default", "requestedAt": 1_760_000_000_000,
    "args": {"recipe": RECIPE, "version": "1.7.0.3", "debug_mode": "false", "extra_env_vars": '{"K":"ü"}',
             "extra_pip_plugins": ""},
    "source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:one"},
    "actorUrn": "urn:li:corpuser:alice", "cliVersionAudit": {"source": "APPLICATION_DEFAULT"},
}  # fmt: skip
SIGNAL = {"signal": "KILL", "executorId": "default", "createdAt": {"time": 1, "actor": "urn:li:corpuser:bob"}}


def change(name: str = "dataHubExecutionRequestInput", value: Any = None, **others: Any) -> dict[str, Any]:
    text = json.dumps(INPUT if value is None else value, ensure_ascii=False)
    return {
        "entityType": "dataHubExecutionRequest", "entityUrn": URN, "changeType": "UPSERT", "aspectName": name,
        "aspect": {"contentType": "application/json", "value": text}, **others,
    }  # fmt: skip


def asked(value: Any = None) -> Request:
    found = read_change(change(value=value))
    assert isinstance(found, Request), found
    return found


def test_a_request_is_read() -> None:
    """Who is to do what, for which source, asked when."""
    found = asked()
    assert (found.urn, found.executor, found.task, found.job) == (URN, "default", "RUN_INGEST", "ingestion:one")
    assert found.requested_at == 1_760_000_000.0
    assert cause_of(found.given) == ("urn:li:corpuser:alice", "DataHub: urn:li:dataHubIngestionSource:one")


@pytest.mark.parametrize(
    "form",
    [
        change(aspect={"contentType": "application/json", "value": json.dumps(INPUT, ensure_ascii=False).encode()}),
        change(aspect={"contentType": "application/json",
                       "value": json.dumps(INPUT, ensure_ascii=False).encode().decode("latin-1")}),
        change(aspect={"com.linkedin.mxe.GenericAspect": {"contentType": "application/json",
                                                          "value": json.dumps(INPUT)}}),
        change(entityUrn={"string": URN}, aspectName={"string": "dataHubExecutionRequestInput"}),
        change(entityUrn=None, entityKeyAspect={"contentType": "application/json", "value": b'{"id":"3f2c"}'}),
        change(changeType="CREATE"),
        change(somethingNew={"a": 1}),
    ],
    ids=["avro", "latin-1", "union", "wrapped", "key", "create", "unknown-fields"],
)  # fmt: skip
def test_every_form_means_the_same(form: dict[str, Any]) -> None:
    """Avro's bytes, JSON's text of bytes, wrapped unions, a key in place of the URN."""
    assert read_change(form) == asked()


def test_a_stop_is_read() -> None:
    """KILL, by whom."""
    found = read_change(change("dataHubExecutionRequestSignal", SIGNAL))
    assert found == Kill(URN, "default", "urn:li:corpuser:bob")


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (change(changeType="RESTATE"), "RESTATE"),
        (change(changeType="DELETE"), "DELETE"),
        (change(entityUrn="urn:li:dataset:x"), "no execution request"),
        (change(aspect=None), "no JSON object"),
        (change(aspect={"contentType": "application/json", "value": "["}), "no JSON object"),
        (change(aspect={"contentType": "text/plain", "value": "{}"}), "no JSON object"),
        (change(value={**INPUT, "task": None}), "no task"),
        (change("dataHubExecutionRequestSignal", {**SIGNAL, "signal": "NUDGE"}), "'NUDGE'"),
    ],
)
def test_what_asks_for_nothing_is_ignored_with_a_reason(form: dict[str, Any], why: str) -> None:
    """An old request restated, another entity's, one that is no JSON, a signal nobody knows."""
    found = read_change(form)
    assert isinstance(found, Ignored)
    assert why in found.why


def test_other_aspects_are_none_of_our_business() -> None:
    """Results (our own), keys and other entities."""
    assert read_change(change("dataHubExecutionRequestResult")) is None
    assert read_change(change(entityType="dataset")) is None
    assert read_change({}) is None


def test_arguments_are_what_the_recipe_engine_takes() -> None:
    """The recipe keeps its ${…} and is named by the request's bare id; what is empty is left out."""
    found = arguments_of(asked())
    recipe = json.loads(found.pop("--recipe_json"))
    assert recipe == {**json.loads(RECIPE), "run_id": "3f2c"}
    assert found == {
        "--executor_id": "default", "--request": URN, "--task": "RUN_INGEST", "--version": "1.7.0.3",
        "--debug_mode": "false", "--extra_env_vars": '{"K":"ü"}',
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({}, "holds no recipe"),
        ({"recipe": "[]"}, "no JSON object"),
        ({"recipe": "{"}, "no JSON object"),
        ({"recipe": json.dumps({"x": "y" * 1_100_000})}, "at most 1,048,576"),
        ({"recipe": RECIPE, "extra_env_vars": "x" * 70_000}, "extra_env_vars has 70,000"),
        ({"recipe": '{"source": {"name": "\\ud800"}}'}, "its recipe holds half a character"),
        (None, "holds no recipe"),
    ],
)
def test_what_can_not_be_run_says_why(args: object, why: str) -> None:
    """No recipe, one that is none, one that is too long."""
    with pytest.raises(ValueError, match=why):
        arguments_of(asked({**INPUT, "args": args}))


@pytest.mark.parametrize(
    "odd",
    [{"task": "RUN\ud800"}, {"task": "RUN\0"}, {"actorUrn": "urn:li:corpuser:\0\ud800"}, {"executorId": "\udfff"}],
)
def test_what_no_database_holds_is_made_harmless(odd: dict[str, Any]) -> None:
    """Half a surrogate pair, and NUL: JSON can say them, and one such request must not hold up all that follow it."""
    found = asked({**INPUT, **odd})
    for text in (found.task, found.executor, found.job, *map(str, cause_of(found.given))):
        assert text.isprintable()
    assert rows.loads(rows.dumps(found.given))
    kill = read_change(change("dataHubExecutionRequestSignal", {**SIGNAL, "createdAt": {"actor": "b\0\ud800"}}))
    assert isinstance(kill, Kill)
    assert kill.actor.isprintable()
    nobody = read_change(change(entityUrn=URN + "\0"))
    assert isinstance(nobody, Ignored)
    assert nobody.urn.isprintable()


def test_a_schedules_request_says_so() -> None:
    """It has no actor, and the reason names DataHub's schedule."""
    given = {**INPUT, "source": {**INPUT["source"], "type": "SCHEDULED_INGESTION_SOURCE"}}
    del given["actorUrn"]
    assert cause_of(given) == (None, "DataHub's schedule: urn:li:dataHubIngestionSource:one")


def test_tests_of_connections_have_a_job_of_their_own() -> None:
    """Many at a time, where one source's ingestions queue."""
    test = implicit_job_of({**INPUT, "task": "TEST_CONNECTION"})
    assert (test.name, test.max_concurrent_runs, test.engine) == ("ingestion:test-connection", 10, "recipe")
    assert implicit_job_of(INPUT).max_concurrent_runs == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted([*change(), *INPUT, *SIGNAL, "recipe", "value", "contentType", "id", "string"]))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=8), st.dictionaries(NAMES, JSON, max_size=8))
def test_nothing_that_comes_breaks_the_reader(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    """Whatever DataHub (or somebody in its place) says, it is a request, a stop, or ignored."""
    read_change(outer)
    read_change({**change(), **outer})
    found = read_input(URN, {**INPUT, **inner})
    assert isinstance(found, Ignored) or len(found.job) <= 255
