"""This file is where those who may not enter are turned away: other machines' pages, wrong tokens, forged cookies."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from served import API, EVENTS, World, record

from headgate.http.auth import COOKIE, Guard, is_loopback

BEARER = {"authorization": "Bearer secret"}


def test_on_this_machine_no_token_is_needed(world: World) -> None:
    """A call without one is the local user's."""
    run = world.post("/runs", {"job": "views"})

    assert run["cause"]["actor"] == "urn:li:corpuser:local"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8090", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
@pytest.mark.parametrize("path", [f"{API}/runs", "/headgate/", "/metrics", EVENTS, "/nowhere"])
def test_a_foreign_host_is_refused(world: World, host: str, path: str) -> None:
    """A name that was bound to this address later (DNS rebinding) gets nothing."""
    answer = world.call("POST" if path == EVENTS else "GET", path, headers={"host": host})

    assert answer.status_code == 403
    assert "this machine" in answer.json()["message"]


def test_where_callers_are_known_the_console_has_any_name(guarded: World) -> None:
    """A proxy on this machine may have given it one; who shows no token is sent to log in, and events stay guarded."""
    headers = {"host": "datahub.example.com"}
    page = guarded.call("GET", "/headgate/", headers={**headers, "accept": "text/html"})
    login = guarded.call("POST", "/headgate/login", content="token=secret", headers=headers)
    cookie = {"cookie": login.headers["set-cookie"].partition(";")[0]}

    assert (page.status_code, page.headers["location"]) == (303, "/headgate/login?next=/headgate/")
    assert guarded.call("GET", "/headgate/", headers={**headers, **cookie}).status_code == 200
    foreign = {**headers, **cookie, "origin": "https://evil.example", "x-headgate-request": "1"}
    assert guarded.call("POST", f"{API}/runs", headers=foreign, json={"job": "views"}).status_code == 403
    assert guarded.call("GET", "/metrics", headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8090", "[::1]:8090", "LOCALHOST:8090"])
def test_our_own_names_are_taken(world: World, host: str) -> None:
    """Any port: it may be forwarded."""
    assert world.call("GET", f"{API}/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "file://localhost:8090"])
def test_another_sites_page_is_refused(world: World, origin: str) -> None:
    """An Origin that is not ours may neither read nor write, and no preflight is answered."""
    headers = {"origin": origin, "x-headgate-request": "1"}

    assert world.call("GET", f"{API}/runs", headers=headers).status_code == 403
    assert world.call("POST", f"{API}/runs", headers=headers, json={"job": "views"}).status_code == 403
    assert world.call("POST", EVENTS, headers=headers, json={"Records": [record("in/a.csv")]}).status_code == 403
    preflight = world.call("OPTIONS", f"{API}/runs", headers=headers)
    assert "access-control-allow-origin" not in preflight.headers
    assert world.ledger.runs().items == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://localhost:8090"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site", "x-headgate-request": "1"},
        {"sec-fetch-site": "same-site", "x-headgate-request": "1"},
    ],
)
def test_a_browser_must_say_that_it_means_it(world: World, headers: dict[str, str]) -> None:
    """A form of any page can post; only our script can add the header, and only on our own page."""
    assert world.call("POST", f"{API}/runs", headers=headers, json={"job": "views"}).status_code == 403


def test_our_own_page_may_act(world: World) -> None:
    """Same origin and the header."""
    headers = {"origin": "http://localhost:8090", "sec-fetch-site": "same-origin", "x-headgate-request": "1"}

    assert world.call("POST", f"{API}/runs", headers=headers, json={"job": "views"}).status_code == 200


@pytest.mark.parametrize("sent", [None, "Bearer wrong", "Bearer ", "Basic secret", "secret", "Bearer sécret"])
def test_with_a_token_nobody_enters_without(guarded: World, sent: str | None) -> None:
    """401 in words, with what is needed."""
    headers = {"authorization": sent.encode()} if sent else {}
    for answer in (
        guarded.call("GET", f"{API}/runs", headers=headers),
        guarded.call("POST", EVENTS, headers=headers, json={"Records": [record("in/a.csv")]}),
    ):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "token" in answer.json()["message"]
    assert list(guarded.ledger.runs().items) == []


def test_the_right_token_opens_its_own_door_only(guarded: World) -> None:
    """The token of events starts no runs, and the console's takes no events."""
    events = {"authorization": "bearer events"}

    assert guarded.call("GET", f"{API}/runs", headers=BEARER).status_code == 200
    assert guarded.call("POST", EVENTS, headers=events, json={}).status_code == 400
    assert guarded.call("GET", f"{API}/runs", headers=events).status_code == 401
    assert guarded.call("POST", EVENTS, headers=BEARER, json={}).status_code == 401


def test_a_bearer_needs_no_known_host(guarded: World) -> None:
    """Behind a proxy the Host is the proxy's; no page of a browser knows the token."""
    headers = {**BEARER, "host": "headgate.example.com", "origin": "https://elsewhere.example"}

    assert guarded.call("POST", f"{API}/runs", headers=headers, json={"job": "views"}).status_code == 200


def test_from_afar_nothing_is_open(tmp_path: Path) -> None:
    """Bound to another address without tokens, it answers nobody; liveness aside."""
    world = World(tmp_path, host="0.0.0.0")
    try:
        assert world.call("GET", f"{API}/runs").status_code == 401
        assert world.call("POST", EVENTS, json={}).status_code == 401
        assert world.call("GET", "/healthz").status_code == 200
    finally:
        world.close()


def test_logging_in_gives_a_cookie_that_is_not_the_token(guarded: World) -> None:
    """The cookie is HttpOnly, Strict, ours alone, opens the console, and leads back to where one wanted to go."""
    away = guarded.call("GET", "/headgate/runs/jr_1", headers={"accept": "text/html"})
    form = guarded.call("GET", away.headers["location"])
    answer = guarded.call("POST", "/headgate/login", data={"token": "secret", "next": "/headgate/runs/jr_1"})
    cookie = answer.headers["set-cookie"]

    assert (away.status_code, away.headers["location"]) == (303, "/headgate/login?next=/headgate/runs/jr_1")
    assert 'value="/headgate/runs/jr_1"' in form.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/headgate/runs/jr_1")
    assert "secret" not in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/headgate"} <= set(cookie.split("; "))
    sent = {"cookie": cookie.partition(";")[0]}
    assert guarded.call("GET", f"{API}/runs", headers=sent).status_code == 200
    assert "Log out" in guarded.call("GET", "/headgate/", headers=sent).text
    assert "Max-Age=0" in guarded.call("POST", "/headgate/logout", headers=sent).headers["set-cookie"]


def test_a_cookie_alone_changes_nothing(guarded: World) -> None:
    """A browser sends it by itself, so the header of our script is wanted too."""
    cookie = guarded.call("POST", "/headgate/login", data={"token": "secret"}).headers["set-cookie"]
    sent = {"cookie": cookie.partition(";")[0]}

    assert guarded.call("POST", f"{API}/runs", headers=sent, json={"job": "views"}).status_code == 403
    sent["x-headgate-request"] = "1"
    assert guarded.call("POST", f"{API}/runs", headers=sent, json={"job": "views"}).status_code == 200


def test_a_wrong_token_is_told_and_leads_nowhere(guarded: World) -> None:
    """No cookie, the form again."""
    answer = guarded.call("POST", "/headgate/login", data={"token": "guess"})

    assert answer.status_code == 401
    assert "not the token" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("following", ["https://evil.example", "//evil.example", "/\\evil", "/headgate/\\evil", "/x"])
def test_logging_in_leads_to_our_own_pages_only(guarded: World, following: str) -> None:
    """`next` is no way to send people elsewhere."""
    answer = guarded.call("POST", "/headgate/login", data={"token": "secret", "next": following})

    assert answer.headers["location"] == "/headgate/"


def test_forged_and_old_cookies_are_refused(guarded: World) -> None:
    """The expiry is signed: neither a later one, nor another's signature, nor nonsense opens anything."""
    guard = Guard(guarded.settings, "127.0.0.1")
    good = guard.cookie_for("secret", secure=True)
    old = guard.cookie_for("secret", secure=True, now=time.time() - 30 * 24 * 3600)
    assert good
    assert old
    assert "Secure" in good
    value = good.partition(";")[0].partition("=")[2]
    expires, _, signature = value.partition(".")
    for forged in (
        old.partition(";")[0], f"{COOKIE}={int(expires) + 9}.{signature}", f"{COOKIE}={expires}.{'0' * 64}",
        f"{COOKIE}=", f"{COOKIE}=x.y", f"{COOKIE}={expires}", f"{COOKIE}={'9' * 5000}.a", f"{COOKIE}=é.é", "=", ";;",
    ):  # fmt: skip
        answer = guarded.call("GET", f"{API}/runs", headers={"cookie": forged.encode()})
        assert answer.status_code == 401, forged


def test_static_files_are_there_before_logging_in(guarded: World) -> None:
    """The login page has its looks."""
    assert guarded.call("GET", "/headgate/static/console.css").status_code == 200


def test_every_answer_says_how_it_may_be_used(world: World) -> None:
    """No sniffing, no framing, no scripts but ours: pages, API, events and errors alike."""
    for method, path in (("GET", "/headgate/"), ("GET", f"{API}/runs"), ("POST", EVENTS), ("GET", "/nowhere")):
        headers = world.call(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"]
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(("host", "is_it"), [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
                                             ("127.9.9.9", True), ("0.0.0.0", False), ("10.0.0.1", False),
                                             ("::", False), ("example.com", False)])  # fmt: skip
def test_what_counts_as_this_machine(host: str, is_it: bool) -> None:
    """Only loopback addresses: 0.0.0.0 is everyone."""
    assert is_loopback(host) is is_it
