"""This file is where the button's endpoint is held to its contract: every status, every body, and what was started."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from clicking import (
    ACCOUNT,
    AIRFLOW,
    ALIKE,
    ANN,
    EARNINGS,
    MACHINE,
    PICKY,
    POLYGON,
    RUN,
    RUNNABLE,
    STOCKS,
    STRANGER,
    UNKNOWN,
    UNMAPPED,
    Clicks,
    accepts,
    is_away,
    keeps_silent,
    refuses,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import serving, until

from headgate.flow.click import Why
from headgate.http.ingestion import MAX_BODY, REFUSED
from headgate.model import RunState


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Clicks]:
    made = Clicks(tmp_path)
    yield made
    made.close()


def failed(answer: httpx.Response, status: int, said: str = "") -> str:
    """A refusal has the endpoint's shape, names nothing of AWS, and says why."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) <= {"runId", "status", "message"}
    assert body["status"] == "failed"
    assert said in body["message"]
    assert ACCOUNT not in body["message"]
    assert "arn:" not in body["message"]
    assert "polygon" not in body["message"].replace("AwsDataCatalog.polygon", "")
    return str(body["message"])


# -- started


def test_an_accepted_run_is_200_with_the_engines_id(world: Clicks) -> None:
    """The body is the seed's: runId (the execution's ARN) and status, and nothing else."""
    answer = world.click(body={"jobUrn": AIRFLOW, "reason": "numbers look old", "metadata": {"ticket": 7}})

    [run] = world.runs()
    assert answer.status_code == 200
    assert answer.json() == {"runId": run.external_id, "status": "started"}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert (run.job, run.cause.actor, run.cause.reason) == ("earnings", ANN, "numbers look old")
    assert run.arguments == {"--datasetUrn": EARNINGS, "--jobUrn": AIRFLOW, "--metadata": '{"ticket":7}'}
    [entry] = [one for one in world.ledger.audit().items if one.action == "dataset.run"]
    assert (entry.actor, entry.subject, entry.reason) == (ANN, EARNINGS, "numbers look old")
    assert entry.detail == {"run": run.id, "job": "earnings"}


def test_a_local_run_is_named_by_our_id(world: Clicks) -> None:
    """Its engine's id is a process on our machine, which tells nobody anything."""
    answer = world.click(STOCKS)

    assert answer.json() == {"runId": world.runs()[0].id, "status": "started"}


def test_ids_may_be_opaque(tmp_path: Path) -> None:
    """With `opaque_run_ids` no id holds an account or a name."""
    world = Clicks(tmp_path, opaque_run_ids=True)
    try:
        answer = world.click()

        assert answer.json()["runId"] == world.runs()[0].id
        assert ACCOUNT not in world.call("GET", RUNNABLE, params={"datasetUrn": EARNINGS}).text
    finally:
        world.close()


def test_a_function_of_the_mapping_is_started_as_a_job_of_its_own(world: Clicks) -> None:
    """The job is made with the first run, and its name, which has the function's, is told to nobody."""
    run_id = world.click(POLYGON).json()["runId"]

    [run] = world.runs()
    assert (run.engine, run.external_id) == ("lambda", run_id)
    for path in (f"/api/ingestion/runs/{run.id}", f"{RUNNABLE}?datasetUrn={quote(POLYGON)}"):
        text = world.call("GET", path, headers={"authorization": "Bearer ann"}).text
        assert "polygon-lambda" not in text
    assert world.click(POLYGON).status_code == 200


@pytest.mark.parametrize("play", [keeps_silent, is_away], ids=["silent", "away"])
def test_a_run_that_is_not_taken_yet_is_202_with_our_id(world: Clicks, play: Any) -> None:
    """Recorded and durable; the message says why it waits, without what the engine's message names."""
    world.engine, world.door.patience = play, 0.3
    answer = world.click()

    [run] = world.runs()
    assert answer.status_code == 202
    assert answer.json() == {"runId": run.id, "status": "started", "message": answer.json()["message"]}
    assert answer.json()["message"].startswith("recorded; it")
    assert MACHINE not in answer.text
    assert ACCOUNT not in answer.text


def test_a_queued_run_is_202(world: Clicks) -> None:
    """The job is at its limit, and queues."""
    world.engine, world.door.patience = keeps_silent, 0.3
    world.click(STOCKS)
    answer = world.click(STOCKS)

    assert (answer.status_code, answer.json()["status"]) == (202, "started")
    assert "waits for its turn" in answer.json()["message"]
    assert len(world.claimed) == 1


@pytest.mark.parametrize(
    "why",
    [
        f"AccessDeniedException: User: arn:aws:sts::{ACCOUNT}:assumed-role/x is not authorized on {MACHINE}",
        "ThrottlingException: Rate exceeded for account 123456789012",
        "StateMachineDoesNotExist: State Machine Does Not Exist: 'earnings-ingest'",
    ],
)
def test_a_run_the_engine_refuses_is_502(world: Clicks, why: str) -> None:
    """Each cause has a message of its own, without the names in it; the run is there to look at."""
    world.engine = refuses(why)
    answer = world.click()

    message = failed(answer, 502, why.partition(":")[0])
    assert "earnings-ingest" not in message
    assert answer.json()["runId"] == world.runs()[0].id


def test_names_are_told_where_they_may_be(tmp_path: Path) -> None:
    """`reveal_targets` shows operators what AWS said."""
    world = Clicks(tmp_path, reveal_targets=True)
    try:
        world.engine = refuses(f"no such machine {MACHINE}")
        assert MACHINE in world.click().json()["message"]
    finally:
        world.close()


def test_a_run_that_was_stopped_before_it_began_is_502(world: Clicks) -> None:
    """Somebody stops it while its clicker waits."""

    def stopped(world: Clicks, run: Any) -> None:
        threading.Thread(target=lambda: _stop(world, run), daemon=True).start()

    world.engine = stopped
    failed(world.click(), 502, "stopped before it started")


def _stop(world: Clicks, run: Any) -> None:
    world.gate.stop(run.id, actor="boss")
    world.end(run, RunState.STOPPED)


# -- refused: nothing is started


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: is empty"),
        (b"{", "body: expected JSON"),
        (b"\xff\xfe", "body: expected JSON"),
        (b"[" * 60_000, "body:"),
        (b"[]", "body: expected a JSON object"),
        (b"{}", "datasetUrn: is missing"),
        (b'{"datasetUrn": null}', "datasetUrn: is missing"),
        (b'{"datasetUrn": 5}', "datasetUrn: expected a URN as text"),
        (b'{"datasetUrn": "urn:li:foo"}', "datasetUrn:"),
        (json.dumps({"datasetUrn": EARNINGS[:-1]}).encode(), "datasetUrn:"),
        (json.dumps({"datasetUrn": EARNINGS.replace("earnings", "x" * 10_000)}).encode(), "datasetUrn: 10,"),
        (json.dumps({"datasetUrn": EARNINGS, "jobUrn": "nonsense"}).encode(), "jobUrn:"),
        (json.dumps({"datasetUrn": EARNINGS, "reason": "x" * 3_000}).encode(), "reason: 3,000 characters"),
        (json.dumps({"datasetUrn": EARNINGS, "metadata": []}).encode(), "metadata: expected a JSON object"),
    ],
)
def test_a_malformed_body_is_400(world: Clicks, body: bytes, said: str) -> None:
    """The message names the field."""
    answer = world.call("POST", RUN, content=body, headers={"authorization": "Bearer ann"})

    failed(answer, 400, said)
    assert world.runs() == []


def test_a_compressed_body_is_400(world: Clicks) -> None:
    """Nobody who clicks compresses, and nobody may send a bomb."""
    failed(world.click(headers={"content-encoding": "gzip"}), 400, "must not be compressed")


def test_an_oversized_body_is_413(world: Clicks) -> None:
    """By what it says it is, and by what comes when it says nothing."""
    whole = json.dumps({"datasetUrn": EARNINGS, "x": "x" * MAX_BODY}).encode()

    async def pieces() -> Any:
        for at in range(0, len(whole), 1_000):
            yield whole[at : at + 1_000]

    for content in (whole, pieces()):
        answer = world.call("POST", RUN, content=content, headers={"authorization": "Bearer ann"})
        failed(answer, 413, "larger than 65,536 bytes")
    assert world.runs() == []


@pytest.mark.parametrize(
    ("body", "bearer", "status", "said"),
    [
        ({"datasetUrn": UNKNOWN}, "ann", 404, "DataHub knows no dataset"),
        ({}, "vic", 403, "EXECUTE_ENTITY"),
        ({"jobUrn": STRANGER}, "ann", 403, "does not produce"),
        ({"datasetUrn": UNMAPPED}, "ann", 422, "no rule says what refreshes"),
    ],
)
def test_what_may_not_be_started_is_refused(
    world: Clicks, body: dict[str, str], bearer: str, status: int, said: str
) -> None:
    """By the issue's statuses, and with no run."""
    failed(world.click(body=body, bearer=bearer), status, said)
    assert world.runs() == []


def test_a_job_nobody_knows_is_not_looked_at(world: Clicks) -> None:
    """The dataset's rule decides, as the seed says of a job without an ARN."""
    unknown = AIRFLOW.replace("example_job", "never_heard_of")

    assert world.click(body={"jobUrn": unknown}).status_code == 200
    assert world.runs()[0].job == "earnings"


def test_an_arn_that_is_not_allowed_is_409(tmp_path: Path) -> None:
    """A DataJob's property is metadata that many may edit; the allow-list is not."""
    world = Clicks(tmp_path, arns=[f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:earnings-*"])
    try:
        elsewhere = "arn:aws:states:us-east-1:999999999999:stateMachine:earnings-ingest"
        prop = "urn:li:structuredProperty:awsStepFunctionArn"
        world.catalog.properties[AIRFLOW, prop] = elsewhere
        failed(world.click(body={"jobUrn": AIRFLOW}), 409, "datahub.allow.arns")
        failed(world.click(), 409, "datahub.allow.arns")
        assert world.runs() == []

        world.catalog.properties[AIRFLOW, prop] = MACHINE
        assert world.click(body={"jobUrn": AIRFLOW}).status_code == 200
    finally:
        world.close()


def test_a_job_at_its_limit_that_does_not_queue_is_409(world: Clicks) -> None:
    """The second click is refused by policy, in words."""
    world.engine, world.door.patience = keeps_silent, 0.1
    world.click(PICKY)

    failed(world.click(PICKY), 409, "does not queue")
    assert len(world.runs()) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_another_method_is_405(world: Clicks, method: str) -> None:
    """In the endpoint's shape, with the method it takes."""
    answer = world.call(method, RUN)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        failed(answer, 405, "it takes POST")


@pytest.mark.parametrize("path", ["", "/", "/none", "/run/x", "/runs", "/runs/", "/runnable/x"])
def test_another_path_is_404(world: Clicks, path: str) -> None:
    """In the endpoint's shape; nothing below /api/ingestion is anybody else's."""
    failed(world.call("GET", f"/api/ingestion{path}"), 404, "there is nothing at")


def test_a_datahub_that_is_away_is_503(world: Clicks) -> None:
    """Whatever it fails at; nothing is started, and the browser may try again."""
    world.catalog.away = "DataHub answers 500"
    answer = world.click()

    failed(answer, 503, "DataHub answers 500; nothing was started, try again later")
    assert answer.headers["retry-after"]
    assert world.runs() == []


def test_what_came_in_place_of_an_answer_is_for_the_log(world: Clicks, capsys: pytest.CaptureFixture[str]) -> None:
    """Pages and errors of whoever stands at DataHub's address are quoted to nobody who calls."""
    world.catalog.away = (
        "DataHub at gms:8080 answered a page (200 text/html, “<title>inner</title>” inner ”): is that DataHub's?"
    )
    message = failed(world.click(), 503, "answered a page (200 text/html): is that DataHub's? Nothing was started")
    reason = ask(world, EARNINGS)["reason"]

    assert "inner" not in message + reason
    assert reason.startswith("DataHub at gms:8080 answered a page")
    lines = [line for line in capsys.readouterr().out.splitlines() if "click" in line]
    assert len([line for line in lines if "<title>inner" in line]) == 2


def test_a_question_of_datahubs_client_stays_one(world: Clicks) -> None:
    """What ends in a question mark is not run on with a semicolon."""
    world.catalog.away = "it answered a page: is that address DataHub's?"

    failed(world.click(), 503, "is that address DataHub's? Nothing was started; try again later")


def test_a_datahub_that_hangs_is_503_and_starts_nothing_later(world: Clicks) -> None:
    """The answer comes in time, and a late answer of DataHub's is not acted upon."""
    world.catalog.hold = threading.Event()
    world.door.callers.patience = 0.2
    assert failed(world.click(), 503, "did not answer within").count("nothing was started") == 1

    world.catalog.hold.set()
    until(lambda: len(world.catalog.asked) >= 1, "the hanging call ends")
    assert world.click().status_code == 200
    assert len(world.runs()) == 1


def test_a_ledger_that_is_away_is_503(world: Clicks) -> None:
    """Nothing was recorded, so nothing will start."""
    world.ledger.close()

    failed(world.click(), 503)


def test_a_bug_of_ours_is_500_in_the_same_shape(world: Clicks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a trace of what failed; the log has it under the request's id."""

    def broken(*_: object) -> None:
        raise ValueError("secret of the inside")

    monkeypatch.setattr(world.gate.datasets, "consider", broken)
    answer = world.click(headers={"x-request-id": "mine-1"})

    message = failed(answer, 500, "server's log")
    assert "secret" not in message
    assert answer.headers["x-request-id"] == "mine-1"


def test_every_refusal_has_a_status() -> None:
    """A new reason must be given one."""
    assert set(REFUSED) == set(Why)


# -- several clicks


def test_clicks_within_the_window_share_a_run(tmp_path: Path) -> None:
    """On the same dataset, when the setting says so; both are in the audit."""
    world = Clicks(tmp_path, click_window=3_600.0)
    try:
        first, second, other = world.click(), world.click(body={"reason": "me too"}), world.click(STOCKS)

        assert first.json() == second.json()
        assert other.json()["runId"] != first.json()["runId"]
        assert len(world.runs()) == 2
        entries = [one.action for one in world.ledger.audit().items if one.subject == EARNINGS]
        assert entries == ["dataset.run.joined", "dataset.run"]
    finally:
        world.close()


def test_without_a_window_every_click_is_a_run(world: Clicks) -> None:
    """The default: nobody's click is swallowed."""
    world.door.patience = 0.3  # the job runs one at a time
    assert world.click().json() != world.click().json()
    assert len(world.runs()) == 2


def _client() -> httpx.Client:
    return httpx.Client(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=300))


def test_many_waiting_clicks_hold_up_nobody(world: Clicks) -> None:
    """200 clicks wait for an engine that is silent, and the server goes on answering; all are told when it speaks."""
    world.engine = keeps_silent
    answers: list[httpx.Response] = []

    def click(url: str) -> None:
        answers.append(client.post(url + RUN, json={"datasetUrn": POLYGON}, headers={"authorization": "Bearer ann"}))

    with serving(world) as url, _client() as client:
        threads = [threading.Thread(target=click, args=(url,), daemon=True) for _ in range(200)]
        for thread in threads:
            thread.start()
        until(lambda: len(world.runs_waiting()) == 200, "all clicks are recorded")
        looks = world.door.waiting.looks
        for _ in range(5):
            assert client.get(url + "/healthz", timeout=5).status_code == 200
            assert client.get(url + "/readyz", timeout=5).status_code == 200
        until(lambda: world.door.waiting.looks > looks, "the waiting ones are looked after")
        assert not answers
        for run in list(world.claimed):
            accepts(world, run)
        until(lambda: len(answers) >= 100, "those whose engine has spoken are told")
        world.door.close()
        for thread in threads:
            thread.join(60)

    assert {answer.status_code for answer in answers} == {200, 202}
    assert len(answers) == 200
    assert sum(answer.status_code == 200 for answer in answers) == 100


def test_a_hanging_datahub_holds_up_nobody_else(world: Clicks) -> None:
    """More clicks than there are threads for DataHub; the rest of the server is as quick as ever."""
    world.catalog.hold = threading.Event()
    world.door.callers.patience = 2.0
    answers: list[int] = []

    def click(url: str) -> None:
        headers = {"authorization": "Bearer ann"}
        answers.append(client.post(url + RUN, json={"datasetUrn": STOCKS}, headers=headers).status_code)

    with serving(world) as url, _client() as client:
        threads = [threading.Thread(target=click, args=(url,), daemon=True) for _ in range(60)]
        for thread in threads:
            thread.start()
        until(lambda: len(world.catalog.asked) >= 16, "every thread for DataHub hangs")
        assert client.get(url + "/healthz", timeout=5).status_code == 200
        assert client.get(url + "/readyz", timeout=5).status_code == 200
        for thread in threads:
            thread.join(60)
        world.catalog.hold.set()

    assert answers == [503] * 60
    assert world.runs() == []


def test_a_server_that_stops_keeps_no_clicker_waiting(world: Clicks) -> None:
    """Those whose run is recorded are told so; those who wait for DataHub are told to try again; nothing hangs."""
    world.engine, world.door.patience = keeps_silent, 60.0
    world.door.callers.patience = 60.0
    answers: list[tuple[int, str]] = []

    def click(url: str, dataset: str) -> None:
        headers = {"authorization": "Bearer ann"}
        answer = client.post(url + RUN, json={"datasetUrn": dataset}, headers=headers)
        answers.append((answer.status_code, answer.json()["status"]))

    with serving(world) as url, _client() as client:
        recorded = threading.Thread(target=click, args=(url, EARNINGS), daemon=True)
        recorded.start()
        until(lambda: world.claimed, "a click is recorded, and waits")
        world.catalog.hold = threading.Event()
        asking = [threading.Thread(target=click, args=(url, STOCKS), daemon=True) for _ in range(20)]
        for thread in asking:
            thread.start()
        until(lambda: world.catalog.asked.count("identify") >= 16, "every thread for DataHub hangs")
        world.port.close()
        recorded.join(10)
        assert (202, "started") in answers
        until(lambda: answers.count((503, "failed")) >= 4, "those that had not begun are told")
        world.catalog.hold.set()
        for thread in asking:
            thread.join(30)

    assert len(answers) == 21
    assert {status for status, _ in answers} == {202, 503}
    assert len(world.runs()) == 1


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


_PATHS = ["/run", "/runnable", "/runs/x", "/runs/jr_", "/", "/run/../x", "/runnable?datasetUrn=%ff%00"]
_BODIES = (
    st.binary(max_size=60).map(bytes)
    | _ANY.map(lambda one: json.dumps(one).encode())
    | st.fixed_dictionaries(
        {"datasetUrn": st.just(EARNINGS) | _ANY}, optional={"jobUrn": _ANY, "reason": _ANY, "metadata": _ANY, "x": _ANY}
    ).map(lambda one: json.dumps(one).encode())
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "BREW"]), path=st.sampled_from(_PATHS), body=_BODIES)
def test_whatever_is_sent_is_answered_in_the_endpoints_shape(
    world: Clicks, method: str, path: str, body: bytes
) -> None:
    """Never a 500, never a framework's own body."""
    answer = world.call(method, f"/api/ingestion{path}", content=body, headers={"authorization": "Bearer ann"})

    assert answer.status_code in {200, 204, 400, 404, 405}
    if answer.status_code >= 400:
        assert answer.json().keys() == {"status", "message"}
        assert answer.json()["status"] == "failed"


# -- what the button asks


def ask(world: Clicks, dataset: str, bearer: str = "ann") -> dict[str, Any]:
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    answer = world.call("GET", RUNNABLE, params={"datasetUrn": dataset}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_what_would_start_is_told(world: Clicks) -> None:
    """The job in human words, what to confirm, and no last run yet."""
    assert ask(world, EARNINGS) == {
        "runnable": True,
        "allowed": True,
        "code": "ok",
        "reason": None,
        "job": {"name": "earnings", "description": "Reads what was earned.", "engine": "step_functions"},
        "confirm": "This starts the job earnings for the dataset AwsDataCatalog.financial_data.earnings.",
        "lastRun": None,
    }


def test_a_job_that_is_called_as_its_state_machine_is_named(world: Clicks) -> None:
    """Its name is what one confirms, and it is no secret; what it starts is told nowhere."""
    found = ask(world, ALIKE)

    assert found["job"]["name"] == "earnings-ingest"
    assert found["confirm"] == "This starts the job earnings-ingest for the dataset is.alike."
    assert "arn:" not in json.dumps(found)


def test_the_last_run_is_told(world: Clicks) -> None:
    """By the id its clicker got, with who and why it ended."""
    run_id = world.click().json()["runId"]
    world.end(world.claimed[0], RunState.FAILED, error=f"{MACHINE} failed")

    last = ask(world, EARNINGS)["lastRun"]
    assert (last["runId"], last["state"], last["actor"]) == (run_id, "FAILED", ANN)
    assert last["startedAt"] < last["endedAt"]
    assert last["message"] == "[hidden] failed"


def test_the_last_run_of_another_dataset_is_not_told(world: Clicks) -> None:
    """One job may refresh many datasets, however many; a run that was for all of them counts."""
    world.gate.start("stocks", arguments={"--datasetUrn": EARNINGS}, actor="x")
    assert ask(world, STOCKS)["lastRun"] is None

    ours = world.gate.start("stocks", arguments={"--datasetUrn": STOCKS}, actor="x")
    others = [{"--datasetUrn": f"{EARNINGS}{number}"} for number in range(250)]  # as under a default rule
    for asked in [world.gate.ask("stocks", arguments=one, actor="x") for one in others]:
        asked.result(30)
    assert ask(world, STOCKS)["lastRun"]["runId"] == ours.id

    everything = world.gate.start("stocks", arguments={}, actor="x")
    assert ask(world, STOCKS)["lastRun"]["runId"] == everything.id


@pytest.mark.parametrize(
    ("dataset", "bearer", "code", "allowed"),
    [
        (EARNINGS, "", "not_authenticated", False),
        (EARNINGS, "forged", "not_authenticated", False),
        (EARNINGS, "vic", "no_right", False),
        (UNMAPPED, "ann", "no_job", True),
        (UNKNOWN, "ann", "unknown_dataset", True),
    ],
)
def test_why_nothing_would_start_is_told(world: Clicks, dataset: str, bearer: str, code: str, allowed: bool) -> None:
    """As an answer the button can show, not as an error."""
    found = ask(world, dataset, bearer)

    assert (found["runnable"], found["allowed"], found["code"]) == (False, allowed, code)
    assert found["reason"]
    assert found["job"] is None


def test_a_datahub_that_is_away_is_told(world: Clicks) -> None:
    """The button says so, and asks again later."""
    world.catalog.away = "it is down"

    assert ask(world, EARNINGS)["code"] == "unavailable"


def test_a_malformed_question_is_400(world: Clicks) -> None:
    """As for a click."""
    for query in ("", "?datasetUrn=", "?datasetUrn=urn:li:foo"):
        failed(world.call("GET", RUNNABLE + query, headers={"authorization": "Bearer ann"}), 400, "datasetUrn")


def test_a_run_is_found_by_every_id(world: Clicks) -> None:
    """Ours, an attempt's, and the execution's ARN, written plainly or percent-encoded."""
    arn = world.click().json()["runId"]
    run = world.runs()[0]

    for name in (run.id, f"{run.id}_attempt_1", arn, quote(arn, safe="")):
        answer = world.call("GET", f"/api/ingestion/runs/{name}", headers={"authorization": "Bearer ann"})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert list(body) == ["runId", "state", "startedAt", "endedAt", "message", "job"]
        assert (body["runId"], body["state"], body["job"], body["message"]) == (arn, "RUNNING", "earnings", None)


def test_a_run_nobody_knows_is_404(world: Clicks) -> None:
    """And without a credential nobody is told even that."""
    path = "/api/ingestion/runs/lambda-2025-01-01T12:34:56Z"
    failed(world.call("GET", path, headers={"authorization": "Bearer ann"}), 404, "there is no run")
    failed(world.call("GET", path), 401)


def test_the_schema_lists_the_endpoint(world: Clicks) -> None:
    """With its body, and every status it answers with."""
    paths = world.port.app.openapi()["paths"]

    assert set(paths[RUN]["post"]["responses"]) >= {
        "200", "202", "400", "401", "403", "404", "409", "413", "422", "502", "503",
    }  # fmt: skip
    schema = paths[RUN]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["datasetUrn"]
    assert {RUNNABLE, "/api/ingestion/runs/{run_id}"} <= set(paths)
