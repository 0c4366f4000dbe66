"""This file is where it is tested who may click: credentials, forgeries, other sites' pages, the console's callers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from clicking import (
    ANN,
    BOSS,
    EARNINGS,
    LISTED,
    OURS,
    RUN,
    RUNNABLE,
    SESSION,
    STOCKS,
    Clicks,
)
from served import API

JSON = {"content-type": "application/json"}
PAGE = {**JSON, "x-headgate-request": "1", "origin": OURS, "sec-fetch-site": "same-origin", "cookie": SESSION}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Clicks]:
    made = Clicks(tmp_path, cors_origins=[LISTED, "https://Other.example.com/"])
    yield made
    made.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Clicks]:
    """Without DataHub, on loopback."""
    made = Clicks(tmp_path, configured=False, cors_origins=[LISTED])
    yield made
    made.close()


def post(world: Clicks, headers: Mapping[str, str], dataset: str = STOCKS) -> httpx.Response:
    return world.call("POST", RUN, content=json.dumps({"datasetUrn": dataset}), headers=headers)


def without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def refused(world: Clicks, answer: httpx.Response, status: int, said: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == "failed"
    assert said in answer.json()["message"]
    assert world.runs() == []


# -- a bearer token


@pytest.mark.parametrize("headers", [{}, JSON, {"content-type": "text/plain"}, {"origin": "https://evil.example.com"}])
def test_a_bearer_token_of_datahubs_is_enough(world: Clicks, headers: dict[str, str]) -> None:
    """No page knows one, so nothing else is asked for."""
    answer = post(world, {**headers, "authorization": "Bearer ann"})

    assert answer.status_code == 200
    assert world.runs()[0].cause.actor == ANN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer forged"},
        {"authorization": "Bearer "},
        {"authorization": "Basic __datahub_system:JohnSnowKnowsNothing"},
        {"authorization": "ann"},
        {"x-datahub-actor": ANN},
        {"x-datahub-actor": ANN, "authorization": "Bearer forged"},
        {"authorization": "Bearer forged", "cookie": SESSION},
    ],
)
def test_who_shows_no_credential_of_datahubs_is_401(world: Clicks, headers: dict[str, str]) -> None:
    """Whatever else is claimed; a wrong token is not made good by a cookie."""
    answer = post(world, headers)

    refused(world, answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


def test_who_one_is_comes_from_the_credential_alone(world: Clicks) -> None:
    """The header that DataHub's own services use is not looked at, nor is the `actor` cookie."""
    post(world, {"authorization": "Bearer ann", "x-datahub-actor": BOSS, "x-forwarded-user": BOSS})

    assert world.runs()[0].cause.actor == ANN


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("authorization", ("Bearer ann", "Bearer forged")),
        ("authorization", ("Bearer forged", "Bearer ann")),
        ("origin", ("https://evil.example.com", OURS)),
        ("host", ("localhost:8090", "evil.example.com")),
        ("content-type", ("text/plain", "application/json")),
        ("x-headgate-request", ("0", "1")),
        ("sec-fetch-site", ("cross-site", "same-origin")),
    ],
)
def test_what_decides_comes_once(world: Clicks, name: str, values: tuple[str, str]) -> None:
    """Two that differ are 400: a proxy before us may have gone by the other one. Nobody is asked, nothing starts."""
    base = {"authorization": "Bearer ann"} if name == "host" else PAGE
    twice = [*without(base, name).items(), *((name, value) for value in values)]
    answer = world.call("POST", RUN, content=json.dumps({"datasetUrn": STOCKS}), headers=twice)
    console = world.call("GET", API + "/jobs", headers=twice)

    refused(world, answer, 400, f"the header {name} was sent twice")
    assert console.status_code == 400
    assert world.catalog.asked == []


def test_what_came_twice_alike_is_once(world: Clicks) -> None:
    """And cookies of several lines are one header, as HTTP/2 sends them."""
    play, _, actor = SESSION.partition("; ")
    alike = [*without(PAGE, "cookie").items(), ("cookie", play), ("cookie", actor), ("origin", OURS)]
    answer = world.call("POST", RUN, content=json.dumps({"datasetUrn": STOCKS}), headers=alike)

    assert answer.status_code == 200, answer.text
    assert world.runs()[0].cause.actor == ANN


def test_our_own_token_is_its_holders(tmp_path: Path) -> None:
    """HEADGATE_TOKEN may start everything, and is not shown to DataHub."""
    world = Clicks(tmp_path, token="ours")
    try:
        assert post(world, {"authorization": "Bearer ours"}).status_code == 200
        assert world.runs()[0].cause.actor == "urn:li:corpuser:headgate"
        assert "identify" not in world.catalog.asked
        assert post(world, {"authorization": "Bearer ours2"}).status_code == 401
    finally:
        world.close()


# -- DataHub's session


def test_a_session_of_datahubs_is_enough_from_our_own_page(world: Clicks) -> None:
    """As the button sends it."""
    assert post(world, PAGE).status_code == 200
    assert world.runs()[0].cause.actor == ANN


@pytest.mark.parametrize("cookie", ["PLAY_SESSION=forged; actor=urn:li:corpuser:ann", f"actor={ANN}", "theme=dark"])
def test_a_forged_session_is_401(world: Clicks, cookie: str) -> None:
    """DataHub is asked, and does not know it."""
    refused(world, post(world, {**PAGE, "cookie": cookie}), 401)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (without(PAGE, "x-headgate-request"), "X-Headgate-Request"),
        ({**PAGE, "x-headgate-request": "true"}, "X-Headgate-Request"),
        ({**PAGE, "content-type": "text/plain"}, "application/json"),
        ({**PAGE, "content-type": "application/x-www-form-urlencoded"}, "application/json"),
        (without(PAGE, "content-type"), "application/json"),
        ({**PAGE, "origin": "https://evil.example.com"}, "another site"),
        ({**PAGE, "origin": "null"}, "another site"),
        ({**PAGE, "origin": OURS.replace("http:", "ftp:")}, "another site"),
        ({**PAGE, "origin": OURS + ".evil.example.com"}, "another site"),
        ({**PAGE, "origin": LISTED + ".evil.example.com"}, "another site"),
        ({**PAGE, "sec-fetch-site": "cross-site"}, "another site"),
        ({**PAGE, "sec-fetch-site": "same-site"}, "another site"),
        (without({**PAGE, "sec-fetch-site": "none"}, "origin"), "another site"),
    ],
)
def test_another_sites_page_cannot_use_a_session(world: Clicks, headers: dict[str, str], said: str) -> None:
    """A cookie comes with whatever page makes the call; DataHub is not even asked."""
    refused(world, post(world, headers), 403, said)
    assert world.catalog.asked == []


def test_a_call_that_changes_nothing_needs_no_header(world: Clicks) -> None:
    """A GET with a session; but another site's page may not read it."""
    query = {"params": {"datasetUrn": STOCKS}}
    own = world.call("GET", RUNNABLE, headers={"cookie": SESSION}, **query)
    foreign = world.call("GET", RUNNABLE, headers={"cookie": SESSION, "origin": "https://evil.example.com"}, **query)

    assert own.json()["code"] == "ok"
    assert foreign.status_code == 403
    assert "access-control-allow-origin" not in foreign.headers


# -- pages of other origins


def preflight(world: Clicks, origin: str, path: str = RUN) -> httpx.Response:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    return world.call("OPTIONS", path, headers={"origin": origin, **asked})


@pytest.mark.parametrize("origin", [LISTED, "https://other.example.com"])
def test_a_listed_origin_may_call_with_a_session(world: Clicks, origin: str) -> None:
    """Asked first, then called; both answers name the origin, and let it send credentials."""
    asked = preflight(world, origin)
    called = post(world, {**PAGE, "origin": origin, "sec-fetch-site": "same-site"})

    assert asked.status_code == 204
    assert asked.content == b""
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert {"content-type", "x-headgate-request"} <= set(asked.headers["access-control-allow-headers"].split(", "))
    assert called.status_code == 200
    for answer in (asked, called):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    assert post(world, without({**PAGE, "origin": origin}, "x-headgate-request")).status_code == 403


def test_a_listed_origin_can_read_why_it_was_refused(world: Clicks) -> None:
    """The errors, too, carry the headers; else the button could only say `network error`."""
    for answer in (
        post(world, {**PAGE, "origin": LISTED, "cookie": "PLAY_SESSION=old"}),
        post(world, {"origin": LISTED}),
        world.call("GET", "/api/ingestion/none", headers={"origin": LISTED}),
    ):
        assert answer.status_code >= 400
        assert answer.headers["access-control-allow-origin"] == LISTED


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", LISTED + ":8443", "*", ""])
def test_another_origin_is_told_nothing(world: Clicks, origin: str) -> None:
    """No header that would let its page call, or read the answer."""
    answer = preflight(world, origin)

    refused(world, answer, 403, "cors_origins")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "Origin" in answer.headers["vary"]


def test_options_without_an_origin_says_what_there_is(world: Clicks) -> None:
    """For the curious."""
    answer = world.call("OPTIONS", RUN)

    assert (answer.status_code, answer.headers["allow"]) == (204, "POST, OPTIONS")


# -- without DataHub


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer any-token-at-all"}, {"x-datahub-actor": BOSS}])
def test_without_datahub_whoever_sits_here_may_click(alone: Clicks, headers: dict[str, str]) -> None:
    """As the seeds' example is posted, with whatever token."""
    assert post(alone, headers).status_code == 200
    assert alone.runs()[0].cause.actor == "urn:li:corpuser:local"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.com"},
        {"origin": LISTED, "x-headgate-request": "1"},
        {"host": "rebound.example.com"},
        {"origin": OURS},
        {"sec-fetch-site": "cross-site", "x-headgate-request": "1"},
    ],
)
def test_without_datahub_no_other_page_may_click(alone: Clicks, headers: dict[str, str]) -> None:
    """Nobody shows a credential, so the Host, the Origin and the header must be right, and no origin is let in."""
    refused(alone, post(alone, headers), 403)
    answer = preflight(alone, LISTED)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_without_datahub_our_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    """Who sets HEADGATE_TOKEN wants it asked for."""
    world = Clicks(tmp_path, configured=False, token="ours")
    try:
        refused(world, post(world, {}), 401)
        refused(world, post(world, {"authorization": "Bearer any"}), 401)
        assert post(world, {"authorization": "Bearer ours"}).status_code == 200
        assert world.runs()[0].cause.actor == "urn:li:corpuser:headgate"
    finally:
        world.close()


# -- the console's callers, with DataHub


def look(world: Clicks, headers: Mapping[str, str], method: str = "GET", path: str = "/jobs", **more: Any) -> int:
    return world.call(method, API + path, headers=headers, **more).status_code


def test_the_console_is_for_those_who_manage_ingestion(world: Clicks) -> None:
    """Jobs show the names of what they start, and runs can be stopped there: a right on one dataset is not enough."""
    assert look(world, {}) == 401
    assert look(world, {"authorization": "Bearer forged"}) == 401
    assert look(world, {"authorization": "Bearer ann"}) == 403
    assert look(world, {"authorization": "Bearer boss"}) == 200

    started = world.call("POST", API + "/runs", json={"job": "stocks"}, headers={"authorization": "Bearer boss"})
    assert started.json()["cause"]["actor"] == BOSS


def test_the_consoles_pages_cannot_be_used_by_another_site(world: Clicks) -> None:
    """The session of someone who manages ingestion starts nothing from elsewhere."""
    world.catalog.add_user("PLAY_SESSION=boss", BOSS, "MANAGE_INGESTION")
    page = {**PAGE, "cookie": "PLAY_SESSION=boss"}
    body = {"json": {"job": "stocks"}}

    assert look(world, {**page, "origin": "https://evil.example.com"}, "POST", "/runs", **body) == 403
    assert look(world, without(page, "x-headgate-request"), "POST", "/runs", **body) == 403
    assert world.runs() == []
    assert look(world, page, "POST", "/runs", **body) == 200


def test_the_console_takes_our_token_though_datahub_is_away(tmp_path: Path) -> None:
    """Operators get in when DataHub cannot be asked; its users are told so."""
    world = Clicks(tmp_path, token="ours")
    try:
        world.catalog.away = "it is down"
        assert look(world, {"authorization": "Bearer ours"}) == 200
        assert look(world, {"authorization": "Bearer boss"}) == 503
        login = world.call("POST", "/headgate/login", data={"token": "ours"}, headers={"origin": OURS})
        cookie = login.headers["set-cookie"].partition(";")[0]
        assert look(world, {"cookie": cookie}) == 200
        assert look(world, {"cookie": cookie}, "POST", "/runs", json={"job": "stocks"}) == 403
    finally:
        world.close()


def test_nothing_secret_is_logged(world: Clicks, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a click, with who, what, which run and how it went; no token, no cookie."""
    world.click(EARNINGS, bearer="ann")
    post(world, PAGE)
    post(world, {**PAGE, "cookie": "PLAY_SESSION=very-secret"})
    world.click(EARNINGS, bearer="vic")

    lines = [line for line in capsys.readouterr().out.splitlines() if "click" in line]
    assert len(lines) == 4
    assert all("request=" in line and "status=" in line for line in lines)
    assert all(word in lines[0] for word in (ANN, "earnings", world.runs()[-1].id, "outcome=accepted"))
    assert "outcome=no_right" in lines[3]
    assert not [line for line in lines if "Bearer" in line or "PLAY_SESSION" in line or "very-secret" in line]
