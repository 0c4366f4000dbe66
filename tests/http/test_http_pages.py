"""This file is where the console's pages are read: what they show, and that nothing breaks out of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from served import API, World

from headgate.console.pages import assets
from headgate.model import RunState

PAGE = {"accept": "text/html,application/xhtml+xml"}
NASTY = "<script>alert('x')</script>\"&"


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(html)
    return parser.seen


def read(world: World, path: str, status: int = 200) -> str:
    answer = world.call("GET", path, headers=PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    return answer.text


def test_the_first_page_shows_the_flow_and_the_runs(world: World) -> None:
    """Sources, triggers and jobs are drawn, and the run of an upload is listed with its cause in words."""
    world.drop("in/a.csv")
    run = world.begin(world.claimed[0])
    world.progress(run, rows=12345, files=1)
    html = read(world, "/headgate/")

    for words in ("raw-data", "uploaded", "ingest", "after-ingest", "by uploaded, 1 object", "rows 12,345", run.id):
        assert words in html
    assert html.count("arrow lit") == 2, "the way from the bucket to the job that runs"
    assert "▶" in html
    assert 'data-live="/headgate/live?"' in html


def test_a_runs_page_tells_why_it_ran(world: World) -> None:
    """From the event over the first job down to this run, with its objects and decisions."""
    world.drop("in/a.csv")
    first = world.end(world.begin(world.claimed[0]), result={"rows": 3})
    html = read(world, f"/headgate/runs/{world.claimed[1].id}")
    chain = html[html.index('class="chain"') :]

    order = [
        chain.index(words) for words in ("raw-data/in/a.csv", "trigger uploaded", first.id, "trigger after-ingest")
    ]
    assert order == sorted(order)
    assert "(this run)" in chain
    upstream = read(world, f"/headgate/runs/{first.id}")
    assert "s3://raw-data/in/a.csv" in upstream
    assert "fired" in upstream


def test_nothing_breaks_out_of_a_page(world: World) -> None:
    """Names, reasons, errors, results and keys are text wherever they are shown, in pages and in fragments."""
    world.drop(f"in/{NASTY.replace('/', '')}.csv")
    run = world.begin(world.claimed[0])
    world.progress(run, **{NASTY: NASTY})
    world.end(run, RunState.FAILED, error=NASTY, result={NASTY: NASTY}, retryable=False)
    other = world.start("a/b <i>&", reason=NASTY)
    for path in (
        "/headgate/",
        f"/headgate/runs/{run.id}",
        f"/headgate/runs/{other.id}",
        "/headgate/?job=" + "%3Cscript%3E",
    ):
        html = read(world, path)
        scripts = [about for tag, about in elements(html) if tag == "script"]
        assert [str(about.get("src")).partition("?")[0] for about in scripts] == ["/headgate/static/console.js"]
        assert not [tag for tag, _ in elements(html) if tag == "i"]


def test_pages_obey_their_own_policy(world: World) -> None:
    """No inline script, style or handler, and nothing from elsewhere."""
    run = world.start("views")
    for path in ("/headgate/", f"/headgate/runs/{run.id}", f"{API}/docs", "/headgate/runs/none"):
        for tag, about in elements(world.call("GET", path, headers=PAGE).text):
            assert tag != "style", path
            assert not {name for name in about if name == "style" or name.startswith("on")}, path
            for name in ("src", "href", "action"):
                assert re.match(r"(/headgate/|#|\?|$)", about.get(name) or ""), (path, tag, about)


def test_ids_on_a_page_are_one_of_a_kind(world: World) -> None:
    """Focus is kept by id, and labels find their fields by it."""
    world.start("views")
    world.start("views")
    ids = [about["id"] for _, about in elements(read(world, "/headgate/")) if "id" in about]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/headgate/runs/jr_none", "/headgate/nothing", "/headgate/runs/%3Cb%3E"])
def test_what_is_not_there_is_a_friendly_page(world: World, path: str) -> None:
    """With the way back; programs get JSON at the same address."""
    html = read(world, path, 404)

    assert "Not found" in html
    assert 'href="/headgate/"' in html
    assert world.call("GET", path).json()["message"]


def test_a_ledger_that_is_away_is_told_on_the_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 as a page in words."""
    from headgate.errors import LedgerUnavailable

    def away() -> None:
        raise LedgerUnavailable("the ledger is away")

    monkeypatch.setattr(world.ledger, "live_runs", away)

    assert "the ledger is away" in read(world, "/headgate/", 503)


def test_older_runs_are_a_page_away(world: World) -> None:
    """The list is cut at fifty; the pages behind stand still."""
    for number in range(52):
        world.start("views", reason=f"number {number}")
    html = read(world, "/headgate/?job=views")
    [older] = re.findall(r'href="([^"]+)">older runs', html)
    behind = read(world, older.replace("&amp;", "&"))

    assert "number 51" in html
    assert "number 1<" not in html
    assert "number 1<" in behind
    assert "data-live" not in behind


def test_a_page_of_nothing_says_what_to_do(world: World) -> None:
    """No runs yet, and none that fit."""
    assert "Nothing has run yet" in read(world, "/headgate/")
    assert "No such runs" in read(world, "/headgate/?state=ERROR")


def test_every_button_presses_a_route_there_is(world: World) -> None:
    """Stop, retry, run, enable, disable: each address takes a POST."""
    world.start("views")
    world.end(world.begin(world.start("picky")))
    pressed = [about for _, about in elements(read(world, "/headgate/")) if "data-press" in about]
    addresses = {str(about["data-press"]) for about in pressed}

    assert {address.rpartition("/")[2] for address in addresses} == {"stop", "retry", "runs", "enable", "disable"}
    for about in pressed:
        body = {"job": about["data-job"]} if about.get("data-job") else {}
        answer = world.call("POST", f"{API}/{about['data-press']}", json=body)
        assert answer.status_code in (200, 409), (about, answer.text)


def test_the_bare_address_leads_to_the_console(world: World) -> None:
    """/headgate without its slash is where people begin."""
    answer = world.call("GET", "/headgate")

    assert (answer.status_code, answer.headers["location"]) == (307, "/headgate/")


def test_static_files_may_be_kept_for_ever_under_their_digest(world: World) -> None:
    """And are asked for again without it."""
    for name, asset in assets().items():
        kept = world.call("GET", f"/headgate/static/{name}?v={asset.digest}")
        bare = world.call("GET", f"/headgate/static/{name}")
        assert kept.content == asset.content
        assert "immutable" in kept.headers["cache-control"]
        assert bare.headers["cache-control"] == "no-cache"
    assert world.call("GET", "/headgate/static/..%2Fpages.py").status_code == 404


def test_the_documentation_names_every_route(world: World) -> None:
    """Offline, and complete: whatever openapi.json has is on the page."""
    document = world.get("/openapi.json")
    html = read(world, f"{API}/docs")

    assert "/api/ingestion/events" in document["paths"]
    for path in document["paths"]:
        assert f"<code>{path}</code>" in html


def test_without_a_token_there_is_nothing_to_log_in_to(world: World) -> None:
    """The login page leads on, and no button to leave is shown."""
    assert world.call("GET", "/headgate/login").status_code == 303
    assert "Log out" not in read(world, "/headgate/")
