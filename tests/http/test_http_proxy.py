"""This file is where DataHub behind our port is compared with DataHub itself: nothing may differ but the button."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from behind import DATASET, address, behind, call, raw, scripted
from fakes.frontend import FakeFrontend
from served import World, until

from headgate.http import proxy
from headgate.http.proxy import Proxy
from headgate.settings.record import DataHub


@pytest.fixture(autouse=True)
def rewound(frontend: FakeFrontend) -> None:
    for one in (frontend.go, frontend.left, frontend.waiting):
        one.clear()
    frontend.pieces.clear()


# -- nothing is changed


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_goes_through_with_its_body(frontend: FakeFrontend, url: str, method: str) -> None:
    """And the answer comes back as it was."""
    answer = call(f"{url}/openapi/probe/echo", method, content=b"x" * 70_000)

    assert answer.json() == {"method": method, "target": "/openapi/probe/echo", "size": 70_000}
    assert frontend.last.body == b"x" * 70_000


@pytest.mark.parametrize(
    "target",
    [
        "/openapi/probe/echo?a=1&a=2&b=%20%2B+&c",
        "/openapi/probe/a%2Fb%3Fc%23d/echo",
        "/openapi/probe/{{encoded_percent}}/[x]/echo?q={}",
        "/openapi/probe/(urn:li:x,y,PROD)/echo",
        "/openapi//probe/../probe/./echo",
    ],
)
def test_the_address_keeps_its_bytes(frontend: FakeFrontend, url: str, target: str) -> None:
    """Nothing is decoded, encoded or tidied up on the way."""
    before = len(frontend.asked)
    answered = raw(url, f"GET {target} HTTP/1.1\r\nHost: datahub.example.com\r\nConnection: close\r\n\r\n".encode())

    assert answered.startswith(b"HTTP/1.1 ")
    assert [one.target.decode() for one in frontend.asked[before:]] == [target]


def test_the_frontend_learns_how_it_was_called(frontend: FakeFrontend, url: str) -> None:
    """Host as the browser sent it, where it came from, and no header of this hop."""
    hops = {"connection": "keep-alive, x-hop", "x-hop": "1", "te": "trailers", "proxy-authorization": "Basic eA=="}
    call(f"{url}/openapi/probe/echo", headers={"host": "datahub.example.com", "x-own": "1", **hops})
    seen = frontend.last

    assert seen.header("host") == "datahub.example.com"
    assert seen.header("x-forwarded-host") == "datahub.example.com"
    assert seen.header("x-forwarded-proto") == "http"
    assert seen.header("x-forwarded-for") == "127.0.0.1"
    assert seen.header("x-own") == "1"
    assert [name for name in ("x-hop", "te", "proxy-authorization", "connection") if seen.header(name)] == []


def test_what_a_proxy_before_us_said_is_kept(frontend: FakeFrontend, url: str) -> None:
    """TLS that ended at nginx stays visible to DataHub's redirects."""
    sent = {"x-forwarded-proto": "https", "x-forwarded-host": "data.example.com", "x-forwarded-for": "10.1.2.3"}
    call(f"{url}/openapi/probe/echo", headers=sent)

    assert frontend.last.header("x-forwarded-proto") == "https"
    assert frontend.last.header("x-forwarded-host") == "data.example.com"
    assert frontend.last.header("x-forwarded-for") == "10.1.2.3, 127.0.0.1"


def test_a_login_sets_both_cookies(url: str) -> None:
    """Two Set-Cookie lines stay two; no other site's check of ours is in the way of the form."""
    sent = {"username": "datahub", "password": "datahub"}
    headers = {"host": "datahub.example.com", "origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    answer = call(f"{url}/logIn", "POST", json=sent, headers=headers)

    assert answer.status_code == 200
    assert [one.partition("=")[0] for one in answer.headers.get_list("set-cookie")] == ["PLAY_SESSION", "actor"]
    assert "content-security-policy" not in answer.headers
    wrong = call(f"{url}/logIn", "POST", json={**sent, "password": "x"})
    assert (wrong.status_code, wrong.json()) == (400, {"message": "Invalid Credentials"})


def test_cookies_of_one_user_never_reach_another(frontend: FakeFrontend, url: str) -> None:
    """The proxy keeps none."""
    call(f"{url}/logIn", "POST", json={"username": "datahub", "password": "datahub"})
    call(f"{url}/openapi/probe/echo")

    assert frontend.last.header("cookie") is None


def test_a_redirect_is_the_browsers_to_follow(url: str) -> None:
    """It is passed on, not followed."""
    answer = call(f"{url}/authenticate")

    assert (answer.status_code, answer.headers["location"]) == (303, "/login?redirect_uri=/")


@pytest.mark.parametrize("status", [204, 205, 304, 401, 404, 418, 500, 503])
def test_every_status_comes_back(url: str, status: int) -> None:
    """With every line of a repeated header."""
    answer = call(f"{url}/openapi/probe/status?is={status}")

    assert answer.status_code == status
    assert answer.headers.get_list("x-own") == ["one", "two"]


def test_headers_of_the_frontends_hop_stay_there(url: str) -> None:
    """Connection and what it names, Keep-Alive."""
    answer = call(f"{url}/openapi/probe/hops")

    assert answer.headers["x-kept"] == "1"
    assert "x-secret" not in answer.headers
    assert "keep-alive" not in answer.headers


def test_compressed_bytes_stay_compressed(url: str) -> None:
    """What is no page keeps its encoding, its length and its entity tag."""
    answered = raw(
        url, b"GET /openapi/probe/zipped HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    )
    head, _, body = answered.partition(b"\r\n\r\n")

    assert b"content-encoding: gzip" in head
    assert b'etag: "z"' in head
    assert gzip.decompress(body) == b"x" * 1000


def test_assets_are_cached_as_before(url: str) -> None:
    """A conditional request is answered 304, although it names the length of what is not sent."""
    first = call(f"{url}/assets/app.js")
    again = call(f"{url}/assets/app.js", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-encoding"] == "gzip"
    assert (again.status_code, again.content) == (304, b"")


def test_answers_are_streamed(frontend: FakeFrontend, url: str) -> None:
    """The first piece is there while the second does not exist yet."""
    with httpx.stream("GET", f"{url}/openapi/probe/drip", trust_env=False, timeout=30) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"data: first\n\n"
        frontend.go.set()
        assert b"".join(pieces) == b"data: second\n\n"


def test_uploads_are_streamed(frontend: FakeFrontend, url: str) -> None:
    """The frontend has the first piece before the last is sent; there is no limit of ours to their size."""

    def body() -> Iterator[bytes]:
        yield b"first"
        until(lambda: frontend.pieces, "the first piece to arrive")
        for _ in range(10):
            yield b"x" * (1 << 20)

    answer = call(f"{url}/openapi/probe/upload", "POST", content=body())

    assert answer.text == str(5 + 10 * (1 << 20))


# -- what is ours


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["/headgate", "/headgate/nothing", "/headgate/api/v1/nothing", "/api/ingestion", "/api/ingestion/nothing",
     "/api/ingestion%2Fnothing", "/%61pi/ingestion/nothing", "/openapi/openlineage/api/v1/nothing", "/healthz/x"],
)  # fmt: skip
def test_our_own_paths_never_fall_through(frontend: FakeFrontend, url: str, method: str, path: str) -> None:
    """A wrong method or name is answered by us."""
    before = len(frontend.asked)
    answer = call(url + path, method)

    assert answer.status_code in (303, 307, 401, 403, 404, 405)
    assert len(frontend.asked) == before


def test_names_that_only_begin_like_ours_are_not_ours(frontend: FakeFrontend, url: str) -> None:
    """The frontend knows what they are."""
    for path in ("/headgates", "/api/ingestions", "/api/v2/graphql", "/health", "/config", "/"):
        call(url + path)
        assert frontend.last.target.decode() == path


def test_our_own_paths_stay_guarded(url: str) -> None:
    """A foreign Host gets the frontend's login page here, but not our console."""
    headers = {"host": "evil.example"}

    assert call(f"{url}/headgate/api/v1/runs", headers=headers).status_code in (401, 403)
    assert call(f"{url}/login", headers=headers).status_code == 200


def test_the_buttons_script_is_everybodys(frontend: FakeFrontend, url: str) -> None:
    """Of any host and origin, without any credential, and cacheable."""
    headers = {"host": "datahub.example.com", "origin": "https://other.example", "accept-encoding": "identity"}
    first = call(f"{url}/headgate/button.js", headers=headers)
    again = call(f"{url}/headgate/button.js", headers={**headers, "if-none-match": f'W/{first.headers["etag"]}, "x"'})

    assert first.status_code == 200
    assert b"customElements.define" in first.content
    assert "max-age" in first.headers["cache-control"]
    assert first.headers["cross-origin-resource-policy"] == "cross-origin"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert call(f"{url}/headgate/button.js", "HEAD", headers=headers).headers["content-length"] == str(
        len(first.content)
    )


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip, deflate, br, zstd", True), ("br;q=1.0, GZIP;q=0.5", True), ("identity", False), ("gzip;q=0, br", False),
     ("*", False), ("x-gzipped", False)],
)  # fmt: skip
def test_the_buttons_script_is_packed_for_who_unpacks(url: str, accepted: str, packed: bool) -> None:
    """The same script, in a third of its bytes; each form has a tag of its own, and says what it depends on."""
    plain = call(f"{url}/headgate/button.js", headers={"accept-encoding": "identity"})
    answer = call(f"{url}/headgate/button.js", headers={"accept-encoding": accepted})
    about = {"accept-encoding": accepted, "if-none-match": plain.headers["etag"]}
    known = call(f"{url}/headgate/button.js", headers=about)

    assert answer.content == plain.content
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    assert (int(answer.headers["content-length"]) < len(plain.content) / 2) is packed
    assert answer.headers["vary"] == "Accept-Encoding"
    assert known.status_code == (200 if packed else 304)


def test_without_a_frontend_nothing_is_proxied(world: World) -> None:
    """404, in our words; the button's script is there all the same, for pages of another origin."""
    assert world.call("GET", DATASET).json() == {"message": f"there is nothing at {DATASET}"}
    assert world.call("GET", "/headgate/button.js").status_code == 200


def test_problems_have_their_looks_under_any_name(url: str) -> None:
    """The page that says what is wrong gets its style sheet, whatever DataHub is called."""
    answer = call(f"{url}/headgate/nothing", headers={"host": "datahub.example.com", "accept": "text/html"})
    style = re.search(r'href="(/headgate/static/[^"]+css[^"]*)"', answer.text)

    assert answer.status_code in (401, 404), answer.text
    if style:
        assert call(url + style[1], headers={"host": "datahub.example.com"}).status_code == 200


def test_a_length_beside_chunks_goes_no_further(frontend: FakeFrontend) -> None:
    """Two readers could take such a body for two different ones (request smuggling), if a server lets it in at all."""
    headers = [(b"host", b"x"), (b"content-length", b"4"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/openapi/probe/echo", "raw_path": b"/openapi/probe/echo",
             "query_string": b"", "headers": headers, "scheme": "http", "client": ("127.0.0.1", 1)}  # fmt: skip
    sent: list[Any] = []

    async def forward() -> None:
        proxy = Proxy(frontend.url, timeout=20)
        parts = [{"type": "http.request", "body": b"abc", "more_body": False}]

        async def receive() -> Any:
            return parts.pop() if parts else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await proxy(scope, receive, send)
        proxy.close()
        await asyncio.sleep(0)  # what close has asked of this loop begins

    asyncio.run(forward())

    assert sent[0]["status"] == 200
    assert frontend.last.body == b"abc"
    assert frontend.last.header("content-length") is None


def test_a_304_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    """It may name the length of what is not sent; the next request on the connection is answered."""
    unchanged = b'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "e"\r\n\r\n'
    with (
        scripted(unchanged) as upstream,
        behind(tmp_path, upstream) as url,
        socket.create_connection(address(url), 30) as browser,
    ):
        for _ in range(3):
            browser.sendall(b'GET /assets/x.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: "e"\r\n\r\n')
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += browser.recv(1 << 16) or pytest.fail("the connection was closed")
            assert head.startswith(b"HTTP/1.1 304 ")


@pytest.mark.parametrize(
    "request_line",
    [b"CONNECT x:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://other/x HTTP/1.1", b"GET x HTTP/1.1"],
)
def test_odd_targets_harm_nobody(url: str, request_line: bytes) -> None:
    """Whatever is answered, it is answered, and the next request is, too."""
    answered = raw(url, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answered.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in answered.partition(b"\r\n")[0]
    assert call(f"{url}/login").status_code == 200


def test_websockets_are_refused(url: str) -> None:
    """In words, and the connection does not hang."""
    ask = b"GET /api/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
          b"Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n"  # fmt: skip

    answered = raw(url, ask, whole=False)
    assert answered.startswith(b"HTTP/1.1 501 ")
    assert b"websocket" in answered


# -- the world misbehaves


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_frontend_that_is_down_is_said_in_words(tmp_path: Path, accept: str) -> None:
    """502: a page for a person, JSON for a program; where the frontend should be is not told."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with behind(tmp_path, f"http://127.0.0.1:{port}") as url:
        answer = call(url + DATASET, headers={"accept": accept})
        health = call(f"{url}/healthz")

    assert (answer.status_code, health.status_code) == (502, 200)
    assert answer.headers["content-type"].startswith(accept)
    assert "cannot be reached" in answer.text
    assert "datahub.frontend_url" in answer.text
    assert str(port) not in answer.text


def test_a_frontend_that_is_slow_is_said_in_words(frontend: FakeFrontend, tmp_path: Path) -> None:
    """504, after the time that is set."""
    with behind(tmp_path, frontend.url, timeout=0.3) as url:
        answer = call(f"{url}/openapi/probe/slow")

    assert answer.status_code == 504
    assert "within 0.3 seconds" in answer.json()["message"]


def test_datahub_gives_up_before_we_do() -> None:
    """Its frontend answers 504 itself after 120 seconds, and what it says is to be seen."""
    assert DataHub().frontend_timeout > 120


def test_a_slow_answer_is_waited_for(frontend: FakeFrontend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a connection may take to be made: only the one setting counts."""
    monkeypatch.setattr(proxy, "CONNECT_TIMEOUT", 1.0)
    with behind(tmp_path, frontend.url) as url, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, f"{url}/openapi/probe/slow")
        until(frontend.waiting.is_set, "the frontend to be asked")
        with pytest.raises(TimeoutError):
            answer.result(proxy.CONNECT_TIMEOUT + 0.5)
        frontend.go.set()

        assert answer.result(30).text == "at last"


def test_many_wait_at_a_time_and_hold_up_nobody(frontend: FakeFrontend, url: str) -> None:
    """A hundred slow answers, and a quick one between them; our own routes answer, too."""
    with ThreadPoolExecutor(100) as pool:
        asked = len(frontend.asked)
        slow = [pool.submit(call, f"{url}/openapi/probe/slow") for _ in range(100)]
        until(lambda: len(frontend.asked) >= asked + 100, "all of them to be asked")
        assert call(f"{url}/openapi/probe/echo").status_code == 200
        assert call(f"{url}/healthz").status_code == 200
        frontend.go.set()

        assert {one.result(30).text for one in slow} == {"at last"}


def test_whoever_goes_away_is_not_waited_for(frontend: FakeFrontend, url: str) -> None:
    """The frontend hears that its caller has gone, before it answered and in the middle of an answer."""
    for path in ("slow", "drip"):
        frontend.left.clear()
        frontend.waiting.clear()
        with socket.create_connection(address(url)) as browser:
            browser.sendall(f"GET /openapi/probe/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            until(frontend.waiting.is_set, "the frontend to be asked")
        assert frontend.left.wait(10), "only the timeout of 20 seconds would end it"


@pytest.mark.parametrize(
    "rest", [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
def test_an_upload_that_breaks_off_breaks_off(frontend: FakeFrontend, url: str, rest: bytes) -> None:
    """The frontend does not take half of it for the whole."""
    before = len(frontend.asked)
    with socket.create_connection(address(url)) as browser:
        browser.sendall(b"POST /openapi/probe/upload HTTP/1.1\r\nHost: x\r\n" + rest)
        until(lambda: frontend.pieces, "the half to arrive")
    until(frontend.left.is_set, "the frontend to hear of it")

    assert len(frontend.asked) == before


def test_an_answer_that_breaks_off_breaks_off(url: str) -> None:
    """The browser must not take half of it for the whole."""
    with pytest.raises(httpx.RemoteProtocolError):
        call(f"{url}/openapi/probe/cut")


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"]
)
def test_what_is_no_answer_is_a_502(tmp_path: Path, answer: bytes) -> None:
    """Nothing at all, another protocol, or a framing that contradicts itself."""
    with scripted(answer) as upstream, behind(tmp_path, upstream) as url:
        got = call(f"{url}/x")

    assert got.status_code == 502
    assert "broke off" in got.json()["message"]


def test_a_kept_connection_that_was_closed_costs_no_page(tmp_path: Path) -> None:
    """A GET is asked again on a new one; a POST is not, since nobody knows whether it was done."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with scripted(b"", ok) as upstream, behind(tmp_path, upstream) as url:
        assert call(f"{url}/x").text == "ok"
    other = tmp_path / "other"
    other.mkdir()
    with scripted(b"", ok) as upstream, behind(other, upstream) as url:
        assert call(f"{url}/x", "POST", content=b"once").status_code == 502


def test_a_server_that_stops_lets_go_of_the_frontend(frontend: FakeFrontend, tmp_path: Path) -> None:
    """Even while someone waits for an answer; it does not wait for ever."""
    with behind(tmp_path, frontend.url) as url, socket.create_connection(address(url)) as browser:
        browser.sendall(b"GET /openapi/probe/slow HTTP/1.1\r\nHost: x\r\n\r\n")
        until(frontend.waiting.is_set, "the frontend to be asked")
        began = time.monotonic()

    assert time.monotonic() - began < 15
    until(frontend.left.is_set, "the frontend to hear of it")
