"""This file is where the button comes into DataHub's pages: which are changed, and that nothing else of them is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from behind import DATASET, PAGE, TAG, behind, call, raw, scripted
from fakes.frontend import CSP, FakeFrontend

from headgate.http.shell import changed


def test_the_shell_gets_the_button_and_nothing_else(frontend: FakeFrontend, url: str) -> None:
    """One tag more, plain bytes, and headers that fit them."""
    answer = call(url + DATASET, headers=PAGE)
    plain = call(frontend.url + DATASET, headers=PAGE)

    assert answer.content == plain.content.replace(b"</body>", TAG)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "content-encoding" not in answer.headers
    assert "etag" not in answer.headers
    assert answer.headers["content-security-policy"] == CSP
    assert answer.headers["cache-control"] == "no-cache"
    assert "x-content-type-options" not in answer.headers


def test_the_whole_page_is_asked_for(frontend: FakeFrontend, url: str) -> None:
    """A page of before the button came is not taken for this one: no condition goes upstream."""
    call(url + DATASET, headers={**PAGE, "if-none-match": '"shell"', "if-modified-since": "x", "range": "bytes=0-10"})

    assert frontend.last.header("accept-encoding") == "identity"
    assert [name for name in ("if-none-match", "if-modified-since", "range") if frontend.last.header(name)] == []


@pytest.mark.parametrize("headers", [{"accept": "*/*"}, {"accept": "*/*", "accept-encoding": "gzip"}])
def test_the_shell_is_known_however_it_was_asked_for(url: str, headers: dict[str, str]) -> None:
    """Compressed or not."""
    assert TAG in call(f"{url}/search", headers=headers).content


def test_a_frontend_that_compresses_anyway_is_understood(tmp_path: Path) -> None:
    """A proxy between may not care what we accept."""
    with FakeFrontend(always_gzip=True) as one, behind(tmp_path, one.url) as url:
        assert TAG in call(url + DATASET, headers=PAGE).content


def test_head_of_the_shell_promises_no_other_length(url: str) -> None:
    """It would be that of the page without the button."""
    answer = call(url + DATASET, "HEAD", headers=PAGE)

    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        (b"<html><body><h1>Sign in</h1></body></html>", "text/html"),
        (b'<div id="root"></div></body>', "application/json"),
        (b'<div id="root"></div></body>' + b" " * 600_000, "text/html"),
        (b"\x1f\x8bnot gzip", "text/html\r\nContent-Encoding: gzip"),
        (
            gzip.compress(b'<div id="root"></div></body>' + bytes(99), mtime=0)[:-9],
            "text/html\r\nContent-Encoding: gzip",
        ),
        (b'<div id="root"></div></body>', "text/html\r\nContent-Encoding: br"),
        (b'<div id="root"></div><script src="/headgate/button.js"></script></body>', "text/html"),
    ],
)
def test_other_pages_stay_as_they_are(tmp_path: Path, html: bytes, kind: str) -> None:
    """HTML that is not the shell, too much of it, in an encoding we cannot read, or with the button in it already."""
    head = f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nETag: "e"\r\nContent-Length: {len(html)}\r\n\r\n'.encode()
    with scripted(head + html) as upstream, behind(tmp_path, upstream) as url:
        answered = raw(url, b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n")

    assert answered.partition(b"\r\n\r\n")[2] == html
    assert b'etag: "e"' in answered


def test_html_of_the_apis_is_not_a_page(tmp_path: Path) -> None:
    """Whatever it holds."""
    html = b'<div id="root"></div></body>'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\n\r\n".encode()
    with scripted(head + html) as upstream, behind(tmp_path, upstream) as url:
        for path in ("/openapi/swagger-ui/index.html", "/api/gms/x", "/assets/x.html"):
            assert call(url + path, headers=PAGE).content == html
        assert call(f"{url}/page", headers=PAGE).content != html


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (CSP, CSP),
        ("", ""),
        ("connect-src *", "connect-src *"),
        ("script-src 'self'", "script-src 'self'"),
        ("script-src https:", "script-src https: 'self'"),
        ("default-src 'none'; script-src 'none'; img-src *", "default-src 'none'; script-src 'self'; img-src *"),
        ("default-src https://cdn.example", "default-src https://cdn.example; script-src https://cdn.example 'self'"),
        (
            "SCRIPT-SRC cdn.example; script-src-elem cdn.example",
            "SCRIPT-SRC cdn.example; script-src-elem cdn.example 'self'",
        ),
        ("script-src 'sha256-abc', script-src http:", "script-src 'sha256-abc' 'self', script-src http:"),
        ("script-src 'sha256-abc' 'strict-dynamic'", "script-src 'sha256-abc' 'strict-dynamic'"),
        ("script-src 'nonce-abc' 'strict-dynamic'", "script-src 'nonce-abc' 'strict-dynamic'"),
        ("script-src 'nonce-abc'", "script-src 'nonce-abc'"),
    ],
)
@pytest.mark.parametrize("name", [b"content-security-policy", b"content-security-policy-report-only"])
def test_the_csp_lets_the_button_in(policy: str, expected: str, name: bytes) -> None:
    """'self' is added where it is needed and nowhere else; where scripts carry a nonce, ours does, too."""
    made = changed(b'<div id="root"></div></body>', [(name, policy.encode())], scheme="http", host="datahub:9002")

    assert made
    assert dict(made[1])[name].decode() == expected
    assert (b'button.js" defer nonce="abc">' in made[0]) == ("nonce" in policy)


def test_a_tightened_csp_arrives_widened(tmp_path: Path) -> None:
    """Through the proxy, with the name the operator chose."""
    policy = "script-src 'sha256-abc'; connect-src *"
    with FakeFrontend(csp=policy, report_only=True) as one, behind(tmp_path, one.url) as url:
        answer = call(url + DATASET, headers=PAGE)

    assert answer.headers["content-security-policy-report-only"] == "script-src 'sha256-abc' 'self'; connect-src *"


@pytest.mark.parametrize(
    ("head", "place"),
    [
        (b'<base href="/">', b"/headgate/button.js"),
        (b"<BASE target=x href='/data/hub'>", b"/data/hub/headgate/button.js"),
        (b'<base href="https://datahub.example.com/d/">', b"/d/headgate/button.js"),
        (b'<base href="@basePath">', b"/headgate/button.js"),
        (b'<base href="/a%22b&quot;<c/">', b"/a%22b&amp;quot;&lt;c/headgate/button.js"),
        (b"", b"/headgate/button.js"),
    ],
)
def test_the_scripts_address_follows_the_base(head: bytes, place: bytes) -> None:
    """It is absolute, and nothing in it can end the attribute."""
    made = changed(head + b'<div id="root"></div></BODY></html>', [], scheme="http", host="x")

    assert made
    assert made[0].endswith(b'<script src="' + place + b'" defer></script></BODY></html>')


def test_below_a_base_path_everything_is_there(tmp_path: Path) -> None:
    """DATAHUB_BASE_PATH: the script's address has it, our own routes are found below it, and the frontend as well."""
    with FakeFrontend(base="/data/hub/") as one, behind(tmp_path, one.url) as url:
        page = call(f"{url}/data/hub{DATASET}", headers=PAGE)
        script = call(f"{url}/data/hub/headgate/button.js")
        echo = call(f"{url}/data/hub/openapi/probe/echo")
        lost = call(f"{url}/data/hub/api/ingestion/nothing-such", "POST", json={})
        asked = [one.target for one in one.asked]

    assert b'<script src="/data/hub/headgate/button.js" defer>' in page.content
    assert script.headers["content-type"].startswith("text/javascript")
    assert echo.json()["target"] == "/data/hub/openapi/probe/echo"
    assert lost.status_code == 404
    assert not [one for one in asked if b"ingestion" in one or b"headgate" in one]
