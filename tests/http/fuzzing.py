"""This file is where made-up calls of the REST API come from: schemathesis makes them from our own OpenAPI document.

Every answer is held against the document and against our promises: no 500, no page, no hang, and a call that is refused
has started nothing. The calls go over a real connection, some with names of things that are there.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

import hypothesis
import hypothesis.errors
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi import checks
from served import API, DATASET, World, record, serving

from headgate.embedded.port import EmbeddedDataHub
from headgate.http import build
from headgate.ledger.dead import DeadLetter
from headgate.ledger.store import wait_for
from headgate.model import Run, RunState
from headgate.ports import Started
from headgate.runtime.dead_letters import DeadLetters

LINEAGE: Final[Mapping[str, Any]] = {
    "eventType": "COMPLETE",
    "eventTime": "2026-01-02T03:04:05.678Z",
    "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.0/integration/spark",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "01234567-89ab-cdef-0123-456789abcdef"},
    "job": {"namespace": "ns", "name": "app.job"},
    "inputs": [{"namespace": "s3://b", "name": "k"}],
    "outputs": [{"namespace": "hive", "name": "db.t"}],
}
HANG: Final = 15.0  #: seconds; a click may wait for ten
MODES: Final = {"fitting": schemathesis.GenerationMode.POSITIVE, "unfit": schemathesis.GenerationMode.NEGATIVE}
#: To make unfit data takes time, and throws much of it away.
SLOW: Final = (
    hypothesis.HealthCheck.too_slow,
    hypothesis.HealthCheck.filter_too_much,
    hypothesis.HealthCheck.data_too_large,
    hypothesis.HealthCheck.large_base_example,
)
#: What is held against the document. (That unfit data is refused is looked at for bodies and queries alone.)
CHECKS: Final[Sequence[Any]] = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A gate that is served, whose engine takes every run at once, and the names of what is in it."""

    world: World
    url: str
    schema: Any
    names: Mapping[str, Sequence[str]]  #: by the path parameter
    session: requests.Session

    @property
    def operations(self) -> dict[str, Any]:
        """Schemathesis' operations, by what they are called in the document: `GET /healthz`."""
        found = (one.ok() for one in self.schema.get_all_operations())
        return {one.label: one for one in found}


@contextmanager
def target(folder: Path) -> Generator[Target]:
    world = World(folder)
    ledger = world.ledger

    def take(run: Run) -> None:
        ledger.started(Started(run.id, run.attempt, f"pid-{run.seq}", datetime.now(UTC), None))

    ledger.on_claimed = take
    world.gate.datahub = EmbeddedDataHub(ledger, rules=world.gate.datasets.rules)
    world.port = build(world.gate, readiness=lambda: world.ready, host="127.0.0.1", port=8090)
    world.port.app.state.ingestion.patience = 0.05  # else a click waits ten seconds for a run that has to queue
    document = json.loads(json.dumps(world.port.app.openapi()))
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config())
    try:
        with serving(world) as url, requests.Session() as session:
            yield Target(world, url, schema, _fill(world), session)
    finally:
        world.close()


def _bury(world: World, number: int) -> str:
    """A message of a queue that can be read by now."""
    body = json.dumps({"Records": [record(f"in/{number}.csv")]})
    letter = DeadLetter(source="https://sqs.us-east-1.amazonaws.com/123456789012/uploads", message=f"m{number}",
                        body=body, error="expected JSON", receives=3, sent_at=datetime.now(UTC))  # fmt: skip
    return wait_for(DeadLetters(world.ledger).bury(letter))


def _fill(world: World) -> Mapping[str, Sequence[str]]:
    """Something of everything, so that calls find it."""
    ended = world.start("ingest")
    world.write_log(ended.id, "a line\n")
    world.end(world.begin(ended))
    failed = world.start("views")
    world.end(world.begin(failed), RunState.FAILED, error="no such bucket", retryable=False)
    under_way = world.start("ingest")
    dropped = world.drop("in/a.csv", "elsewhere/b.csv")["events"]
    rule = world.call("PUT", f"{API}/rules", json={"prefix": "athena:c", "job": "views"}).json()["id"]
    key = world.post("/keys", {"name": "ann"})["id"]
    assert world.call("PUT", f"{API}/secrets/password", json={"value": "s"}).status_code == 200
    runs = [ended.id, failed.id, under_way.id, f"{ended.id}_attempt_1", "pid-1"]
    return {
        "run": runs,
        "run_id": runs,
        "name": ["asked", "ingest", "picky", "a/b <i>&", "uploaded", "nightly"],
        "event": [one["id"] for one in dropped],
        "seq": ["1", "2", "3"],
        "rule": [rule],
        "secret": ["password"],
        "key": [key],
        "letter": [_bury(world, number) for number in range(3)],
    }


#: Of each operation that takes a body, or whose path is of no list above: its path, query and body, so that it is done.
DONE: Final[Mapping[str, tuple[Mapping[str, str], Mapping[str, str], Any]]] = {
    "POST /api/ingestion/events": ({}, {}, {"Records": [record("in/b.csv")]}),
    "POST /openapi/openlineage/api/v1/lineage": ({}, {}, LINEAGE),
    "POST /openapi/openlineage/api/v1/lineage/batch": ({}, {}, [LINEAGE]),
    "POST /api/ingestion/run": ({}, {}, {"datasetUrn": DATASET}),
    "GET /api/ingestion/runnable": ({}, {"datasetUrn": DATASET}, NOT_SET),
    "POST /headgate/api/v1/runs": ({}, {}, {"job": "views", "arguments": {"--a": "b"}}),
    "POST /headgate/api/v1/events/replay": ({}, {}, {"prefix": "in/", "dry_run": True}),
    "GET /headgate/api/v1/jobs/{name}": ({"name": "ingest"}, {}, NOT_SET),
    "GET /headgate/api/v1/explain": ({}, {"urn": DATASET}, NOT_SET),
    "PUT /headgate/api/v1/rules": ({}, {}, {"tag": "urn:li:tag:a", "job": "views"}),
    "PUT /headgate/api/v1/secrets/{secret}": ({"secret": "password"}, {}, {"value": "s"}),
    "POST /headgate/api/v1/keys": ({}, {}, {"name": "bob"}),
}
#: What is refused however it is called here, and why.
NEVER: Final[Mapping[str, int]] = {
    "POST /headgate/api/v1/callbacks": 404,  # no function waits for a token
}


def done(target: Target, operation: Any) -> int:
    """Send a call that means something that is there, and is to be done; answers its status."""
    path, query, body = DONE.get(operation.label, ({}, {}, NOT_SET))
    parameters = {one.name for one in operation.path_parameters}
    found = {name: target.names[name][0] for name in parameters} | dict(path)
    if "letter" in parameters:
        found["letter"] = _bury(target.world, 10 + len(operation.label))
    if operation.label.endswith("/{run}/stop"):
        found["run"] = target.names["run"][2]
    if operation.label == "POST /headgate/api/v1/rules/{rule}/delete":
        rule = {"prefix": "athena:d", "job": "views"}
        found["rule"] = target.world.call("PUT", f"{API}/rules", json=rule).json()["id"]
    if operation.body and body is NOT_SET:
        body = {"token": "t", "state": "FAILED"} if operation.label in NEVER else {}
    media = "application/json" if body is not NOT_SET else None
    case = operation.Case(path_parameters=found, query=dict(query), body=body, media_type=media)
    return int(send(target, case).status_code)


#: Values of the body and of the query that lead somewhere, where the document only says "text".
KNOWN: Final[Mapping[str, Sequence[Any]]] = {
    "job": ["ingest", "views", "picky"],
    "dataset": [DATASET],
    "datasetUrn": [DATASET, "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.u,PROD)"],
    "urn": [DATASET],
    "tag": ["urn:li:tag:a"],
    "prefix": ["athena:c", "s3://raw-data/"],
    "trigger": ["uploaded", "asked"],
    "before": ["p1", "p7fffffffffffffff"],
}


@st.composite
def calls(draw: st.DrawFn, operation: Any, names: Mapping[str, Sequence[str]], mode: str) -> Any:
    """A call, which half of the time means something that is there."""
    case = draw(operation.as_strategy(generation_mode=MODES[mode]))
    # a log that is followed ends with its run, which here goes on for ever
    if isinstance(case.query, dict):
        case.query.pop("follow", None)
    if mode == "fitting" and draw(st.booleans()):
        for parameter in case.path_parameters:
            case.path_parameters[parameter] = draw(st.sampled_from(list(names[parameter])))
        for place in (case.query, case.body):
            if isinstance(place, dict):
                _mean_it(draw, cast("dict[str, Any]", place))
    return case


def _mean_it(draw: st.DrawFn, place: dict[str, Any]) -> None:
    for name in KNOWN.keys() & place.keys():
        if isinstance(place[name], str):
            place[name] = draw(st.sampled_from(list(KNOWN[name])))


def send(target: Target, case: Any) -> Any:
    """One call. Raises AssertionError (or schemathesis' own, which is one) where the answer is none of ours."""
    before = _newest(target.world)
    answer = case.call(base_url=target.url, session=target.session, timeout=HANG)
    if answer.status_code == 400 and answer.content == b"Invalid HTTP request received.":
        assert len(str(answer.request.url)) > 60_000, case.as_curl_command()  # what uvicorn's parser says of them
        return answer
    names = [name for name, _ in parse_qsl(urlsplit(str(answer.request.url)).query)]
    # of a parameter that is sent several times the last counts, and that may be a fitting one
    held = [one for one in CHECKS if len(set(names)) == len(names) or one is not checks.negative_data_rejection]
    case.validate_response(answer, checks=held, transport_kwargs={"base_url": target.url})
    said = " ".join(answer.headers.get("content-type", []))
    assert "html" not in said, f"{case.as_curl_command()}: {said}"
    if answer.status_code >= 400:
        assert answer.json()["message"], case.as_curl_command()
        assert _newest(target.world) == before, f"{case.as_curl_command()}: refused, and yet a run was started"
    return answer


def _newest(world: World) -> int:
    """The number of the newest run."""
    return next((run.seq for run in world.ledger.runs(limit=1).items), 0)


def attack(
    target: Target, operation: Any, mode: str, settings: hypothesis.settings, *, seed: int = 0
) -> dict[int, int]:
    """Send calls of one operation, as many as the settings say; answers how many came to which status.

    One that is to be done comes first, where they are to fit.
    """
    seen: dict[int, int] = {}
    if mode == "fitting":
        status = done(target, operation)
        assert status == NEVER.get(operation.label, status)
        assert status < 300 or operation.label in NEVER, f"{operation.label}: {status}"
        seen[status] = 1

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(case=calls(operation, target.names, mode))
    def each(case: Any) -> None:
        status = send(target, case).status_code
        seen[status] = seen.get(status, 0) + 1

    try:
        each()
    except hypothesis.errors.Unsatisfiable:
        # nothing can be unfit for an operation that takes nothing, or any text
        assert mode == "unfit"
        assert not seen
    return seen
