"""This file is where the REST API is held to its shapes: what can be read, what can be done, how errors are told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import API, DATASET, PROJECT, World

from headgate.errors import HeadgateError
from headgate.http.answers import STATUS, status_of
from headgate.model import RunState

RUN_KEYS = {
    "id", "job", "engine", "state", "detail", "attempt", "cause", "arguments", "external_id", "created_at",
    "started_at", "ended_at", "error", "result", "predecessors", "objects", "progress", "not_before",
}  # fmt: skip
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def test_a_run_has_the_shape_of_the_design(world: World) -> None:
    """Every key, times in UTC with microseconds, the cause with its four parts."""
    run = world.post("/runs", {"job": "ingest", "arguments": {"--x": "1"}, "reason": "because"})

    assert set(run) >= RUN_KEYS
    assert run["cause"] == {
        "event": run["cause"]["event"], "trigger": None, "actor": "urn:li:corpuser:local", "reason": "because",
    }  # fmt: skip
    assert run["arguments"] == {"--table": "t", "--x": "1"}
    assert re.fullmatch(TIME, run["created_at"])
    assert world.get(f"/runs/{run['id']}")["id"] == run["id"]


def test_the_whole_of_a_chain_can_be_read(world: World) -> None:
    """Event, decisions, runs, attempts, objects and predecessors of an upload that succeeded."""
    event = world.drop("in/a.csv")["events"][0]
    first = world.begin(world.claimed[0])
    world.end(first, result={"rows": 3})
    second = world.claimed[1]

    views = world.get(f"/runs/{second.id}")
    assert views["predecessors"] == [{"job": "ingest", "run": first.id}]
    assert world.get(f"/runs/{first.id}")["result"] == {"rows": 3}
    [stored] = world.get(f"/runs/{first.id}/objects")["items"]
    assert (stored["uri"], stored["size"]) == ("s3://raw-data/in/a.csv", 5)
    [attempt] = world.get(f"/runs/{first.id}/attempts")["items"]
    assert (attempt["number"], attempt["state"]) == (0, "SUCCEEDED")
    [decision] = world.get("/decisions", params={"run": first.id})["items"]
    assert decision == world.get(f"/decisions/{decision['id']}")
    assert world.get(f"/events/{event['id']}")["decisions"][0]["run"] == first.id


def test_a_run_is_found_by_any_of_its_ids(world: World) -> None:
    """Its own, an attempt's, the beginning of it, the engine's."""
    run = world.begin(world.start("views"))
    for name in (run.id, f"{run.id}_attempt_1", run.id[:12], run.external_id):
        assert world.get(f"/runs/{name}")["id"] == run.id


def test_pages_follow_each_other_without_gap_or_repeat(world: World) -> None:
    """`next` leads through all of them, newest first, also while new ones come."""
    made = [world.start("views").id for _ in range(7)]
    seen: list[str] = []
    following: str | None = ""
    while following is not None:
        page = world.get("/runs", params={"limit": 3, **({"before": following} if following else {})})
        seen += [run["id"] for run in page["items"]]
        following = page["next"]
        world.start("picky") if len(seen) == 3 else None

    assert seen == made[::-1]


def test_runs_are_filtered(world: World) -> None:
    """By job, state and trigger."""
    world.drop("in/a.csv")
    failed = world.end(world.begin(world.start("views")), RunState.FAILED, retryable=False)

    assert [run["id"] for run in world.get("/runs", params={"state": "FAILED"})["items"]] == [failed.id]
    assert [run["job"] for run in world.get("/runs", params={"trigger": "uploaded"})["items"]] == ["ingest"]
    assert [run["job"] for run in world.get("/runs", params={"job": "views"})["items"]] == ["views"]


def test_events_are_filtered(world: World) -> None:
    """By prefix, door, time, and whether a run of theirs failed."""
    world.drop("in/a.csv", "in/b.txt")
    world.end(world.begin(world.claimed[0]), RunState.ERROR, retryable=False)

    def keys(**params: Any) -> list[str]:
        return [one["object"]["key"] for one in world.get("/events", params=params)["items"] if one["object"]]

    assert keys(prefix="s3://raw-data/in/b") == ["in/b.txt"]
    assert keys(failed="true") == ["in/a.csv"]
    assert keys(until="2020-01-01T00:00:00Z") == []
    assert len(keys(door="s3", since="2020-01-01")) == 2
    assert keys(door="inbox") == []


def test_jobs_and_triggers_are_told_with_what_they_do(world: World) -> None:
    """A job has its policy, newest run and counts; a trigger its Glue state and next tick."""
    run = world.start("views")
    jobs = {one["name"]: one for one in world.get("/jobs")["items"]}
    triggers = {one["name"]: one for one in world.get("/triggers")["items"]}

    assert jobs["views"]["runs"] == {"STARTING": 1}
    assert jobs["views"]["last_run"]["id"] == run.id
    assert jobs["ingest"]["max_retries"] == 1
    assert world.get("/jobs/a%2Fb%20%3Ci%3E&")["name"] == "a/b <i>&"
    assert {name: one["state"] for name, one in triggers.items()} == {
        "uploaded": "ACTIVATED", "after-ingest": "ACTIVATED", "nightly": "DEACTIVATED", "asked": "CREATED",
    }  # fmt: skip
    assert triggers["uploaded"]["objects"]["prefix"] == "in/"
    assert triggers["after-ingest"]["predicate"]["conditions"] == [{"job": "ingest", "state": "SUCCEEDED"}]
    assert triggers["nightly"]["next_tick"] is None


def test_a_trigger_is_switched_with_its_reason_kept(world: World) -> None:
    """Enable and disable, and the audit knows who and why."""
    on = world.post("/triggers/nightly/enable", {"reason": "go"})
    off = world.post("/triggers/nightly/disable")

    assert (on["state"], on["next_tick"][10:19]) == ("ACTIVATED", "T03:00:00")
    assert off["state"] == "DEACTIVATED"
    kept = [one for one in world.get("/audit")["items"] if one["subject"] == "nightly"]
    assert ("trigger.enable", "go", "urn:li:corpuser:local") in {
        (one["action"], one["reason"], one["actor"]) for one in kept
    }


def test_a_run_is_stopped_and_retried(world: World) -> None:
    """A waiting run is STOPPED at once; a retry is a new run with the same arguments."""
    first = world.start("views")
    waiting = world.start("views")
    stopped = world.post(f"/runs/{waiting.id}/stop", {"reason": "enough"})
    again = world.post(f"/runs/{waiting.id}/retry")

    assert (stopped["id"], stopped["state"]) == (waiting.id, "STOPPED")
    assert again["id"] not in (waiting.id, first.id)
    assert world.call("POST", f"{API}/runs/{waiting.id}/stop").status_code == 409


def test_a_job_at_its_limit_that_does_not_queue_is_a_conflict(world: World) -> None:
    """409 in words."""
    world.post("/runs", {"job": "picky"})
    answer = world.call("POST", f"{API}/runs", json={"job": "picky"})

    assert answer.status_code == 409
    assert "picky" in answer.json()["message"]


def test_the_same_key_is_the_same_run(world: World) -> None:
    """A caller that did not hear the answer may ask again."""
    asked = {"job": "views", "key": "k1"}

    assert world.post("/runs", asked)["id"] == world.post("/runs", asked)["id"]


def test_a_datasets_job_is_explained_and_started(world: World) -> None:
    """The rule that wins, and a run of its job."""
    explained = world.get("/explain", params={"urn": DATASET})

    assert (explained["job"], explained["rule"]["kind"]) == ("ingest", "urn")
    assert world.post("/runs", {"dataset": DATASET})["job"] == "ingest"
    assert world.call("POST", f"{API}/runs", json={"dataset": DATASET.replace("c.d.t", "x")}).status_code == 404
    assert world.call("POST", f"{API}/runs", json={"dataset": "urn:li:nonsense"}).status_code == 400


def test_events_are_replayed(world: World) -> None:
    """A dry run lists them, the real one starts their runs again."""
    event = world.drop("in/a.csv")["events"][0]
    dry = world.post("/events/replay", {"prefix": "s3://raw-data/in/", "dry_run": True})
    done = world.post("/events/replay", {"events": [event["id"]], "downstream": False, "reason": "again"})

    assert [(one["replay_of"], one["receipt"]) for one in dry["items"]] == [(event["id"], None)]
    assert done["items"][0]["receipt"]["decisions"][0]["outcome"] == "fired"
    assert world.call("POST", f"{API}/events/replay", json={}).status_code == 400


def test_the_plan_and_the_status_are_told(world: World) -> None:
    """Nothing to change after the start; the status has replicas, counts, outbox and readiness."""
    world.start("views")

    assert world.get("/plan")["items"] == []
    world.post("/triggers/nightly/enable")
    assert world.get("/plan")["items"] != []
    assert world.post("/apply")["items"] != []
    status = world.get("/status")
    assert (status["runs"], status["outbox"]["waiting"]) == ({"STARTING": 1}, 0)
    assert status["readiness"]["ready"] is True


def test_a_log_is_read_in_pieces(world: World) -> None:
    """`next` is where to go on; an attempt has its own."""
    run = world.begin(world.start("views"))
    assert world.get(f"/runs/{run.id}/log") == {"text": "", "next": 0, "complete": False}
    world.write_log(run.id, "one\ntwo\n")
    piece = world.get(f"/runs/{run.id}/log", params={"limit": 4})
    assert piece == {"text": "one\n", "next": 4, "complete": False}
    world.write_log(run.id, "", over=True)
    world.end(run)
    assert world.get(f"/runs/{run.id}/log", params={"offset": 4}) == {"text": "two\n", "next": 8, "complete": True}


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "/runs?limit=501", None, "limit: "),
        ("GET", "/runs?limit=x", None, "limit: "),
        ("GET", "/runs?before=zzz", None, "before: "),
        ("GET", "/runs?before=p" + "f" * 40, None, "before: "),
        ("GET", "/runs?state=DONE", None, "state: "),
        ("GET", "/runs?job=%00", None, "job: "),
        ("GET", "/events?since=yesterday", None, "since: "),
        ("GET", "/events?since=2026", None, "2026-01-31T12:00:00Z"),
        ("GET", "/events?until=1e9", None, "until: "),
        ("POST", "/events/replay", {"since": 1_700_000_000}, "since: "),
        ("POST", "/events/replay", {"prefix": "in/", "dry_run": "no"}, "dry_run: "),
        ("POST", "/apply", {"everything": 0}, "everything: "),
        ("POST", "/keys", {"lasts": "3600"}, "lasts: "),
        ("POST", "/keys", {"session": "yes"}, "session: "),
        ("PUT", "/rules", {"default": 1, "job": "views"}, "default: "),
        ("GET", "/decisions/99999999999999999999", None, "seq: "),
        ("GET", "/explain", None, "urn: "),
        ("GET", "/runs/jr_1/log?offset=-1", None, "offset: "),
        ("POST", "/runs", {}, "exactly one of job and dataset"),
        ("POST", "/runs", {"job": "views", "dataset": "x"}, "exactly one of job and dataset"),
        ("POST", "/runs", {"job": "views", "jbo": "x"}, "jbo: "),
        ("POST", "/runs", {"job": "views", "arguments": {"--x": 1}}, "arguments.--x: "),
        ("POST", "/runs", {"job": "views", "arguments": {"--x": "\ud800"}}, "surrogate"),
        ("POST", "/runs", {"job": "views", "reason": "x" * 2001}, "reason: "),
        ("POST", "/runs", [1], "body: "),
        ("POST", "/runs/jr_1/stop", {"why": "x"}, "why: "),
    ],
)
def test_bad_input_names_the_field(world: World, method: str, path: str, body: object, words: str) -> None:
    """400, and one knows where to look."""
    answer = world.call(method, API + path, **({} if body is None else {"json": body}))

    assert answer.status_code == 400, answer.text
    assert words in answer.json()["message"]
    assert world.ledger.runs().items == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"job=views", b"[" * 4000])
def test_a_body_that_is_no_json_is_told(world: World, content: bytes) -> None:
    """Also one that is cut short, no UTF-8, a form, or nested without end."""
    answer = world.call("POST", f"{API}/runs", content=content, headers={"content-type": "application/json"})
    form = world.call("POST", f"{API}/runs", content=content)

    assert (answer.status_code, form.status_code) == (400, 400)
    assert "body" in answer.json()["message"]
    assert "Content-Type: application/json" in form.json()["message"]


def test_a_body_without_end_is_refused(world: World) -> None:
    """The limit holds for every route."""
    answer = world.call("POST", f"{API}/runs", content=b" " * (9 << 20), headers={"content-type": "application/json"})

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/runs/jr_none", "/jobs/none", "/triggers/none", "/events/none", "/decisions/1", "/runs/x/log", "/none"]
)
def test_what_is_not_there_is_404_with_a_message(world: World, path: str) -> None:
    """Naming what was looked for."""
    answer = world.call("GET", API + path)

    assert answer.status_code == 404
    assert answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", f"{API}/runs", {"GET", "POST"}),
        ("PUT", f"{API}/jobs", {"GET"}),
        ("PATCH", "/headgate/", {"GET"}),
        ("POST", "/metrics", {"GET"}),
        ("PUT", "/readyz", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_405_with_the_right_ones(world: World, method: str, path: str, allowed: set[str]) -> None:
    """All of a path's methods are named."""
    answer = world.call(method, path)

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json", "/headgate/none", "/openapi/openlineage/x"])
def test_nothing_else_is_here(world: World, path: str) -> None:
    """404 as JSON, and no framework's own pages anywhere."""
    answer = world.call("GET", path)

    assert answer.status_code == 404
    assert list(answer.json()) == ["message"]


def test_a_bug_is_answered_in_our_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 as JSON without a traceback."""

    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(world.ledger, "workers", broken)
    answer = world.call("GET", f"{API}/status")

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "log" in answer.json()["message"]


def test_every_error_of_ours_has_a_status() -> None:
    """A class that is added to errors.py is decided about here too; engines' refusals are no caller's business."""
    undecided: set[str] = set()
    todo = [HeadgateError]
    while todo:
        one = todo.pop()
        todo += [
            kind for kind in one.__subclasses__() if kind.__module__.startswith(("headgate.errors", "headgate.http"))
        ]
        if one is not HeadgateError and not issubclass(one, tuple(kind for kind, _ in STATUS)):
            undecided.add(one.__name__)

    assert undecided <= {"EngineError", "EngineRefused"}
    assert status_of(HeadgateError("x")) == 500


_TEXT = st.text(max_size=20)
_PARAMS = st.dictionaries(
    st.sampled_from(
        ["limit", "before", "job", "state", "trigger", "prefix", "since", "until", "failed", "door", "run", "outcome",
         "offset", "attempt", "urn"]
    ),
    _TEXT | st.integers().map(str) | st.sampled_from(["p1", "FAILED", "2026-01-01", "0001-01-01T00:00+23:00", "true"]),
    max_size=4,
)  # fmt: skip
_PATHS = st.sampled_from(
    ["/jobs", "/triggers", "/events", "/decisions", "/runs", "/audit", "/plan", "/status", "/explain", "/runs/{}",
     "/runs/{}/log", "/runs/{}/attempts", "/jobs/{}", "/triggers/{}", "/events/{}", "/decisions/{}"]
)  # fmt: skip


@given(path=_PATHS, name=_TEXT.filter(lambda text: text not in (".", "..")), params=_PARAMS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_is_a_server_error(world: World, path: str, name: str, params: dict[str, str]) -> None:
    """Whatever is asked is answered or refused in words."""
    answer = world.call("GET", API + path.format(quote(name, safe="", errors="replace")), params=params)

    assert answer.status_code in (200, 400, 404), answer.text
    assert answer.status_code == 200 or answer.json()["message"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_ASKED = st.dictionaries(
    st.sampled_from(
        ["job", "dataset", "arguments", "reason", "key", "events", "prefix", "since", "dry_run", "everything"]
    ),
    _JSON | st.sampled_from(["views", "picky", DATASET, "2026-01-01T00:00:00Z"]),
    max_size=4,
)


@given(
    path=st.sampled_from(["/runs", "/events/replay", "/runs/x/stop", "/triggers/asked/enable", "/apply"]),
    body=_ASKED | _JSON,
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_is_a_server_error(world: World, path: str, body: object) -> None:
    """Whatever is wanted is done or refused in words."""
    answer = world.call("POST", API + path, json=body)

    assert answer.status_code in (200, 400, 404, 409), answer.text
    assert answer.status_code == 200 or answer.json()["message"]


def test_a_job_says_what_its_past_suggests_for_its_time_limit(world: World) -> None:
    """Nothing before five successes; then three times the longest, in whole minutes."""
    before = world.get("/jobs/views")["durations"]
    for _ in range(5):
        world.end(world.begin(world.start("views")))
    after = world.get("/jobs/views")["durations"]

    assert before is None
    assert after["runs"] == 5
    assert after["suggested_timeout"] == 60.0


@pytest.mark.parametrize("described", [True, False])
def test_the_api_need_not_describe_itself(tmp_path: Path, *, described: bool) -> None:
    """`api_docs: false`: neither the page nor the document; everything else is as it was."""
    world = World(tmp_path, project=f"{PROJECT}api_docs: {str(described).lower()}\n")
    try:
        statuses = [world.call("GET", f"{API}/{name}").status_code for name in ("docs", "openapi.json", "jobs")]
        run = world.start("views").id
        paths = ["/headgate/", f"/headgate/runs/{run}", "/headgate/rules", "/headgate/nothing"]
        paths.append(f"/headgate/dataset/{DATASET}")
        found = [world.call("GET", path, headers={"accept": "text/html"}).text for path in paths]
    finally:
        world.close()

    assert statuses == ([200, 200, 200] if described else [404, 404, 200])
    assert ["/headgate/api/v1/docs" in one for one in found] == [described] * len(paths), "no link leads nowhere"
