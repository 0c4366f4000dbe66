"""This file is where the button is used in Chromium, on a stand-in for DataHub; what Headgate says is staged."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from browser import Page, browser
from fakes.frontend import FakeFrontend
from served import World, serving, until

from headgate.http import Port
from headgate.settings.record import DataHub

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]
ORDERS = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.orders,PROD)"
CUSTOMERS = "urn:li:dataset:(urn:li:dataPlatform:glue,sales.customers,PROD)"
RUN = "arn:aws:states:us-east-1:123456789012:execution:orders:jr_1"
BUTTON = "document.querySelector('headgate-run-ingestion')"
INSIDE = f"{BUTTON}?.shadowRoot"
PRESS = f"{INSIDE}?.querySelector('button')"
OVER = "document.querySelector('headgate-ingestion-overlay')?.shadowRoot"
DIALOG = f"{OVER}?.querySelector('dialog')"
TOAST = f"{OVER}?.querySelector('.toast')"
IN_HEADER = f"{BUTTON}?.parentNode?.dataset.of === 'header'"
ALONE = "document.querySelectorAll('headgate-run-ingestion').length"

LAST: Mapping[str, Any] = {
    "runId": "jr_0", "state": "FAILED", "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T00:01:00Z",
    "actor": "urn:li:corpuser:ann", "message": "no such bucket",
}  # fmt: skip
CAN: Mapping[str, Any] = {
    "runnable": True, "allowed": True, "code": "ok", "reason": None, "lastRun": LAST,
    "job": {"name": "orders-ingest", "description": "Loads the orders.", "engine": "step_functions"},
    "confirm": "This starts orders-ingest, which refreshes sales.orders.",
}  # fmt: skip


class Staged:
    """Headgate, but /api/ingestion answers what the test says and remembers what it was asked."""

    def __init__(self, port: Port, base: str) -> None:
        self._port = port
        self._place = f"{base}api/ingestion/"
        self.runnable: tuple[int, Any] = (200, CAN)
        self.run: tuple[int, Any] = (200, {"runId": RUN, "status": "started"})
        self.state: tuple[int, Any] = (200, {"runId": RUN, "state": "RUNNING", "startedAt": None, "endedAt": None})
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.cors = ""

    def close(self) -> None:
        self._port.close()

    @property
    def datasets(self) -> list[str]:
        """What was asked for with /runnable."""
        return [what for method, what, _, _ in self.asked if method == "GET" and what.startswith("urn:")]

    @property
    def posted(self) -> list[tuple[dict[str, str], Any]]:
        return [(headers, body) for method, _, headers, body in self.asked if method == "POST"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._place):
            await self._port(scope, receive, send)
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        rest = scope["path"].removeprefix(self._place)
        query = parse_qs(scope["query_string"].decode())
        what = query["datasetUrn"][0] if rest == "runnable" else unquote(rest)
        self.asked.append((scope["method"], what, headers, json.loads(body) if body else None))
        status, answer = self.runnable if rest == "runnable" else self.run if rest == "run" else self.state
        if rest == "run" and scope["method"] == "POST":
            await _off_the_loop(self.hold)
        about = [(b"content-type", b"application/json")]
        if self.cors:
            about.append((b"access-control-allow-origin", self.cors.encode()))
            about.append((b"access-control-allow-credentials", b"true"))
            about.append((b"access-control-allow-headers", b"content-type, x-headgate-request"))
        if scope["method"] == "OPTIONS":
            status, answer = 204, None
        content = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": status, "headers": about})
        await send({"type": "http.response.body", "body": content})


async def _off_the_loop(event: threading.Event) -> None:
    import asyncio

    await asyncio.get_running_loop().run_in_executor(None, event.wait, 30)


@contextmanager
def staged(folder: Path, frontend: FakeFrontend) -> Generator[tuple[str, Staged]]:
    world = World(folder, settings={"datahub": DataHub(frontend_url=frontend.url)})
    stage = Staged(world.port, frontend.base)
    world.port = stage  # type: ignore[assignment]
    try:
        with serving(world) as url:
            yield url, stage
    finally:
        world.close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@pytest.fixture
def frontend() -> Iterator[FakeFrontend]:
    with FakeFrontend() as made:
        yield made


@pytest.fixture
def stage(frontend: FakeFrontend, tmp_path: Path, page: Page) -> Iterator[tuple[str, Staged]]:
    page.problems.clear()
    with staged(tmp_path, frontend) as made:
        yield made
        page.call("Page.navigate", url="about:blank")


def open_dataset(page: Page, url: str, urn: str = ORDERS, *, dark: bool = False) -> None:
    """As somebody who is signed in; the button is there when this returns."""
    visit(page, f"{url}/dataset/{urn}/Columns", dark=dark)
    page.until(IN_HEADER)


def visit(page: Page, url: str, *, dark: bool = False) -> None:
    page.call("Network.setCookie", url=url, name="actor", value="urn:li:corpuser:datahub")
    page.open(url, dark=dark)


def confirm(page: Page, reason: str = "") -> None:
    page.ask(f"{PRESS}.click()")
    page.until(f"{DIALOG}.open")
    page.write(reason)
    page.press("Enter", code=13, text="\r")


# -- where it is


def test_it_is_in_the_header_of_a_dataset(page: Page, stage: tuple[str, Staged]) -> None:
    """Once, with its label, among the header's actions and no other entity's; nothing was complained of."""
    url, said = stage
    open_dataset(page, url)

    assert page.ask(f"{PRESS}.innerText") == "Run ingestion"
    assert page.ask(ALONE) == 1
    assert said.datasets == [ORDERS]
    assert page.problems == []


def test_it_follows_the_pages_own_routing(page: Page, stage: tuple[str, Staged]) -> None:
    """Gone on other entities and lists, there again on the next dataset and on going back; asked once for each."""
    url, said = stage
    open_dataset(page, url)
    page.ask("go('dashboard/urn:li:dashboard:(looker,1)')")
    page.until("!!document.querySelector('[data-of=header]')")
    assert page.ask(BUTTON) is None
    page.ask(f"go('dataset/{CUSTOMERS}')")
    page.until(IN_HEADER)
    page.ask("go('search')")
    page.until("!!document.querySelector('[data-of=card]')")
    assert page.ask(BUTTON) is None
    page.ask("history.go(-1)")
    page.until(IN_HEADER)
    page.ask(f"go('dataset/{CUSTOMERS}/Lineage', {{replace: true}})")
    page.until(f"document.querySelector('section')?.innerText.startsWith('Lineage') && {IN_HEADER}")

    assert said.datasets == [ORDERS, CUSTOMERS, CUSTOMERS]
    assert page.ask(ALONE) == 1


def test_it_comes_back_when_the_header_is_drawn_anew(page: Page, stage: tuple[str, Staged]) -> None:
    """It is the same element, and what stands in the open dialog stays there."""
    url, said = stage
    open_dataset(page, url)
    page.ask(f"window.before = {BUTTON}; {PRESS}.click()")
    page.write("half a rea")
    page.ask("drawHeaderAnew()")
    page.until(f"{IN_HEADER} && {BUTTON} === window.before")

    assert page.ask(f"{DIALOG}.open && {OVER}.querySelector('input').value") == "half a rea"
    assert page.ask(ALONE) == 1
    assert len(said.datasets) == 1


def test_loading_it_twice_is_loading_it_once(page: Page, stage: tuple[str, Staged]) -> None:
    """By the proxy and by a user script."""
    url, said = stage
    open_dataset(page, url)
    page.ask("""new Promise(done => { const again = document.createElement('script');
        again.src = '/headgate/button.js?again'; again.onload = done; document.body.append(again); }).then(() => 1)""")
    page.ask("drawHeaderAnew()")
    page.until(IN_HEADER)

    assert page.ask(ALONE) == 1
    assert len(said.datasets) == 1


def test_without_a_header_it_stands_in_the_corner(page: Page, stage: tuple[str, Staged]) -> None:
    """After some seconds; not on the lineage graph, and in the header as soon as there is one."""
    url, _ = stage
    visit(page, f"{url}/search")
    page.ask(f"window.headless = true; go('dataset/{ORDERS}')")
    page.until(f"{BUTTON}?.parentNode === document.body")
    assert page.ask(f"getComputedStyle({BUTTON}).position") == "fixed"
    page.ask(f"window.headless = false; go('dataset/{ORDERS}/Columns')")
    page.until(IN_HEADER)
    assert page.ask(f"{BUTTON}.hasAttribute('data-fixed')") is False
    page.ask(f"go('dataset/{ORDERS}/Lineage?is_lineage_mode=true')")
    page.until("document.querySelector('section')?.innerText === 'Graph'")

    assert page.ask(BUTTON) is None


@pytest.mark.parametrize(
    ("segment", "urn"),
    [
        (
            "urn:li:dataset:(urn:li:dataPlatform:s3,a%2Fb%3Fc%23d%5B1%5D,PROD)",
            "(urn:li:dataPlatform:s3,a/b?c#d[1],PROD)",
        ),
        ("urn:li:dataset:(urn:li:dataPlatform:s3,50{{encoded_percent}}25,PROD)", "(urn:li:dataPlatform:s3,50%25,PROD)"),
        ("urn:li:dataset:(urn:li:dataPlatform:s3,50% up,PROD)", "(urn:li:dataPlatform:s3,50% up,PROD)"),
        ("urn%3Ali%3Adataset%3A(urn%3Ali%3AdataPlatform%3As3,x,PROD)", "(urn:li:dataPlatform:s3,x,PROD)"),
        ("urn:li:dataset:(urn:li:dataPlatform:s3,größe.表,PROD)", "(urn:li:dataPlatform:s3,größe.表,PROD)"),
    ],
)
def test_the_dataset_is_read_from_the_address(page: Page, stage: tuple[str, Staged], segment: str, urn: str) -> None:
    """DataHub's own way of writing URNs into paths."""
    url, said = stage
    visit(page, f"{url}/search")
    page.ask(f"history.pushState({{}}, '', {json.dumps(f'/dataset/{segment}/Columns')})")
    until(lambda: said.datasets, "the button to ask")

    assert said.datasets == [f"urn:li:dataset:{urn}"]


def test_below_a_base_path_it_asks_there(page: Page, tmp_path: Path) -> None:
    """DATAHUB_BASE_PATH."""
    with FakeFrontend(base="/data/hub/") as one, staged(tmp_path, one) as (url, said):
        page.problems.clear()
        page.call("Network.setCookie", url=f"{url}/data/hub/", name="actor", value="urn:li:corpuser:datahub")
        page.open(f"{url}/data/hub/dataset/{ORDERS}")
        page.until(IN_HEADER)
        page.call("Page.navigate", url="about:blank")

    assert said.datasets == [ORDERS]
    assert page.problems == []


# -- who sees it


@pytest.mark.parametrize(
    "answer",
    [
        (200, {**CAN, "runnable": False, "allowed": False, "code": "no_right", "reason": "you may not"}),
        (200, {**CAN, "runnable": False, "allowed": False, "code": "not_authenticated"}),
        (401, {"status": "failed", "message": "sign in"}),
        (403, {"status": "failed", "message": "no"}),
    ],
)
def test_who_may_not_sees_nothing(page: Page, stage: tuple[str, Staged], answer: tuple[int, Any]) -> None:
    """Neither a button nor a hint."""
    url, said = stage
    said.runnable = answer
    visit(page, f"{url}/dataset/{ORDERS}")
    page.until("!!document.querySelector('[data-of=header]')")
    until(lambda: said.datasets, "the button to ask")
    page.ask("new Promise(done => setTimeout(done, 300)).then(() => 1)")  # it would be there by now

    assert page.ask(BUTTON) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [("no_job", "No job refreshes it"), ("unknown_dataset", "DataHub does not know it"), ("refused", "Not now")],
)
def test_where_nothing_can_run_it_says_why(page: Page, stage: tuple[str, Staged], code: str, reason: str) -> None:
    """Disabled, but it can be reached and explains itself; pressing it starts nothing."""
    url, said = stage
    said.runnable = (200, {**CAN, "runnable": False, "code": code, "reason": reason, "job": None})
    open_dataset(page, url)
    page.ask(f"{PRESS}.click()")
    page.until(f"{TOAST}?.innerText.includes({json.dumps(reason)})")

    assert page.ask(f"{PRESS}.getAttribute('aria-disabled')") == "true"
    assert page.ask(f"{PRESS}.title") == reason
    assert page.ask(f"{DIALOG}.open") is False
    assert said.posted == []


@pytest.mark.parametrize(
    "answer", [(503, {**CAN, "runnable": False, "code": "unavailable"}), (502, b"<html>"), (200, b"[]")]
)
def test_it_mends_itself_when_headgate_is_back(page: Page, stage: tuple[str, Staged], answer: tuple[int, Any]) -> None:
    """While nothing sensible is answered it is disabled and asks again."""
    url, said = stage
    said.runnable = answer
    open_dataset(page, url)
    assert page.ask(f"{PRESS}.getAttribute('aria-disabled')") == "true"
    said.runnable = (200, CAN)
    page.until(f"{PRESS}.getAttribute('aria-disabled') === 'false'")

    assert len(said.datasets) >= 2


# -- using it


def test_a_run_is_started_with_the_keyboard(page: Page, stage: tuple[str, Staged]) -> None:
    """Enter asks, with what will start and what was; Enter starts it, once, with the reason; focus comes back."""
    url, said = stage
    open_dataset(page, url)
    page.ask(f"{PRESS}.focus()")
    page.press("Enter", code=13, text="\r")
    page.until(f"{DIALOG}.open")
    text = page.ask(f"{DIALOG}.innerText")
    page.until(f"{OVER}.activeElement?.id === 'reason'")
    page.write("wrong totals <b>since</b> Monday")
    page.press("Enter", code=13, text="\r")
    page.until(f"{TOAST}?.innerText.includes({json.dumps(RUN)})")
    headers, body = said.posted[0]

    assert "This starts orders-ingest, which refreshes sales.orders." in text
    assert "AWS Step Functions" in text
    assert "Loads the orders." in text
    assert "failed" in text
    assert "by ann" in text
    assert body == {"datasetUrn": ORDERS, "reason": "wrong totals <b>since</b> Monday"}
    assert headers["x-headgate-request"] == "1"
    assert headers["content-type"] == "application/json"
    assert "actor=" in headers["cookie"]
    assert len(said.posted) == 1
    assert page.ask(f"{INSIDE}.activeElement === {PRESS}")
    assert page.ask(f"{TOAST}.parentNode.role || {TOAST}.parentNode.getAttribute('role')") == "status"


def test_escape_leaves_everything_as_it_was(page: Page, stage: tuple[str, Staged]) -> None:
    """Nothing is started, and the focus is where it was."""
    url, said = stage
    open_dataset(page, url)
    page.ask(f"{PRESS}.focus()")
    page.press("Enter", code=13, text="\r")
    page.until(f"{DIALOG}.open")
    page.press("Escape", code=27)
    page.until(f"!{DIALOG}.open && {INSIDE}.activeElement === {PRESS}")

    assert said.posted == []


def test_pressing_twice_starts_once(page: Page, stage: tuple[str, Staged]) -> None:
    """While the answer is awaited nothing can be pressed."""
    url, said = stage
    open_dataset(page, url)
    said.hold.clear()
    confirm(page)
    page.until(f"{OVER}.querySelector('.go').disabled")
    page.press("Enter", code=13, text="\r")
    page.ask(f"{OVER}.querySelector('.go').click()")
    page.press("Escape", code=27)
    page.ask(f"{PRESS}.click()")
    said.hold.set()
    page.until(f"{TOAST}?.innerText.includes('Started')")

    assert len(said.posted) == 1


def test_the_last_run_is_followed_until_it_ends(page: Page, stage: tuple[str, Staged]) -> None:
    """The badge says each state as it comes, for everyone to hear, and asks no more after the end."""
    url, said = stage
    open_dataset(page, url)
    badge = f"{INSIDE}.querySelector('.badge')"
    assert page.ask(f"{badge}.innerText.startsWith('Last run failed')")
    confirm(page)
    page.until(f"{badge}.innerText.includes('running')")
    said.state = (500, b"oops")
    count = len(said.asked)
    until(lambda: len(said.asked) > count, "the badge to ask again")
    said.state = (200, {"runId": RUN, "state": "SUCCEEDED", "endedAt": None, "message": None})
    page.until(f"{badge}.innerText.includes('succeeded')")
    count = len(said.asked)
    page.ask("new Promise(done => setTimeout(done, 1500)).then(() => 1)")

    assert len(said.asked) == count
    assert page.ask(f"{badge}.querySelector('[role=status]').innerText") == "Last run succeeded"
    assert (said.asked[-1][0], said.asked[-1][1]) == ("GET", f"runs/{RUN}")


def test_a_run_that_waits_says_so(page: Page, stage: tuple[str, Staged]) -> None:
    """202: accepted, with why it has not begun."""
    url, said = stage
    said.run = (202, {"runId": "jr_2", "status": "started", "message": "waits for another run of orders-ingest"})
    open_dataset(page, url)
    confirm(page)
    page.until(f"{TOAST}?.innerText.includes('waits for another run') && {TOAST}.innerText.includes('jr_2')")

    assert page.ask(f"{TOAST}.innerText.startsWith('Accepted')")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((409, {"status": "failed", "message": "the job is paused"}), "the job is paused"),
        ((502, {"status": "failed", "message": "the engine refused it"}), "the engine refused it"),
        ((500, b"<html>oops"), "cannot be reached"),
        ((200, {"status": "failed"}), "200"),
    ],
)
def test_what_did_not_start_is_told_and_stays(
    page: Page, stage: tuple[str, Staged], answer: tuple[int, Any], expected: str
) -> None:
    """As an alert; the reason need not be written again."""
    url, said = stage
    said.run = answer
    open_dataset(page, url)
    confirm(page, "please")
    page.until(f"{TOAST}?.innerText.includes({json.dumps(expected)})")
    page.ask(f"{PRESS}.click()")

    assert page.ask(f"{TOAST}.parentNode.getAttribute('role')") == "alert"
    assert page.ask(f"{OVER}.querySelector('input').value") == "please"


def test_what_was_received_stays_text(page: Page, stage: tuple[str, Staged]) -> None:
    """Markup in names, messages and reasons is shown, not run."""
    url, said = stage
    evil = "<img src=x onerror='window.hacked=1'>"
    job = {"name": evil, "description": evil, "engine": evil}
    last = {"runId": evil, "state": evil, "actor": evil, "message": evil}
    said.runnable = (200, {**CAN, "confirm": evil, "job": job, "lastRun": last})
    said.run = (200, {"runId": evil, "status": "started", "message": evil})
    open_dataset(page, url)
    confirm(page, evil)
    page.until(f"{TOAST}?.innerText.includes('onerror')")

    assert page.ask("window.hacked ?? null") is None
    assert page.ask(f"{OVER}.querySelector('img') ?? {INSIDE}.querySelector('img')") is None


def test_the_reason_is_not_a_shortcut_of_the_page(page: Page, stage: tuple[str, Staged]) -> None:
    """DataHub's own keys do nothing while one writes."""
    url, _ = stage
    open_dataset(page, url)
    page.ask("window.heard = 0; document.addEventListener('keydown', () => window.heard++)")
    page.ask(f"{PRESS}.click()")
    page.press("/", code=191, text="/")

    assert page.ask("window.heard") == 0
    assert page.ask(f"{OVER}.querySelector('input').value") == "/"


def test_a_screen_reader_is_told_what_is_what(page: Page, stage: tuple[str, Staged]) -> None:
    """The names, roles and descriptions the browser hands on."""
    url, _ = stage
    open_dataset(page, url)
    page.call("Accessibility.enable")
    assert ("button", "Run ingestion") in spoken(page)
    page.ask(f"{PRESS}.click()")
    said = spoken(page)
    page.call("Accessibility.disable")

    assert ("dialog", "Run ingestion?") in said
    assert ("textbox", "Reason (optional)") in said
    assert {("button", "Start"), ("button", "Cancel")} <= said


def spoken(page: Page) -> set[tuple[str, str]]:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return {(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one.get("ignored")}


def test_nothing_moves_for_those_who_want_no_motion(page: Page, stage: tuple[str, Staged]) -> None:
    """prefers-reduced-motion; for others the dot of a running run breathes."""
    url, said = stage
    said.runnable = (200, {**CAN, "lastRun": {**LAST, "state": "RUNNING", "runId": RUN}})
    open_dataset(page, url)
    name = f"getComputedStyle({INSIDE}.querySelector('.dot')).animationName"
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    still = page.ask(name)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "no-preference"}])

    assert (still, page.ask(name)) == ("none", "pulse")


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_on_light_and_dark_pages(page: Page, tmp_path: Path, *, dark: bool) -> None:
    """By the page's own colours, whatever the system prefers; every text has a contrast of 4.5 and more."""
    with FakeFrontend(dark=dark) as one, staged(tmp_path, one) as (url, _):
        open_dataset(page, url, dark=not dark)
        page.ask(f"{PRESS}.click()")
        colours = f"(at => [getComputedStyle(at).color, getComputedStyle(at).backgroundColor])({DIALOG})"
        dialog = page.ask(colours)
        press = page.ask(colours.replace(DIALOG, PRESS))
        badge = page.ask(f"getComputedStyle({INSIDE}.querySelector('.badge')).color")
        header = page.ask(
            "getComputedStyle(document.querySelector('[data-testid=entity-header-test-id]')).backgroundColor"
        )
        page.call("Page.navigate", url="about:blank")

    assert contrast(*dialog) >= 4.5
    assert contrast(*press) >= 4.5
    assert contrast(badge, header) >= 4.5
    assert (brightness(dialog[1]) < 0.2) == dark


def brightness(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [float(one) / 255 for one in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dim, bright = sorted((brightness(one), brightness(other)))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize(
    "csp",
    [
        "script-src 'nonce-abc'; base-uri 'self'",
        "script-src 'nonce-abc' 'strict-dynamic'",
    ],
)
def test_a_strict_csp_is_no_hindrance(page: Page, tmp_path: Path, csp: str) -> None:
    """Nonces and no inline style: the browser has nothing to complain of, and everything works."""
    rest = "default-src 'none'; style-src 'nonce-abc'; img-src data:; connect-src 'self'; "
    with FakeFrontend(csp=rest + csp, nonce="abc") as one, staged(tmp_path, one) as (url, _):
        page.problems.clear()
        open_dataset(page, url)
        confirm(page)
        page.until(f"{TOAST}?.innerText.includes('Started')")
        border = page.ask(f"getComputedStyle({TOAST}).borderLeftWidth")
        page.call("Page.navigate", url="about:blank")

    assert page.problems == []
    assert border == "4px"


def test_from_another_origin_it_speaks_to_where_it_is_told(
    page: Page, stage: tuple[str, Staged], frontend: FakeFrontend
) -> None:
    """data-api: DataHub's page is not behind us; the cookies go along, the browser's preflight is answered."""
    url, said = stage
    said.cors = frontend.url
    visit(page, f"{frontend.url}/dataset/{ORDERS}")
    page.ask(f"""(() => {{ const one = document.createElement('script'); one.src = '{url}/headgate/button.js';
        one.dataset.api = '{url}/'; document.head.append(one); }})()""")
    page.until(IN_HEADER)
    confirm(page, "from afar")
    page.until(f"{TOAST}?.innerText.includes('Started')")

    assert [method for method, what, _, _ in said.asked if what == "run"] == ["OPTIONS", "POST"]
    assert "actor=" in said.posted[0][0]["cookie"]
    assert said.posted[0][0]["origin"] == frontend.url


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx")
def test_behind_nginx_as_the_page_says(
    page: Page, stage: tuple[str, Staged], frontend: FakeFrontend, tmp_path: Path
) -> None:
    """docs/button.md's configuration, with other addresses: the button is there and starts a run."""
    url, said = stage
    text = (Path(__file__).parents[2] / "docs" / "button.md").read_text("utf-8")
    server = text.partition("```nginx\n")[2].partition("```")[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for theirs, mine in (
        ("127.0.0.1:9002", frontend.url[7:]),
        ("127.0.0.1:8090", url[7:]),
        ("80;", f"127.0.0.1:{port};"),
    ):
        assert server.count(theirs) == 1
        server = server.replace(theirs, mine)
    paths = "".join(
        f"{one}_temp_path {tmp_path}/{one};" for one in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
        f" http {{ access_log off; {paths} {server} }}"
    )
    process = subprocess.Popen(["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"])
    try:
        until(lambda: _listens(port) or process.poll() is not None, "nginx to listen")
        open_dataset(page, f"http://127.0.0.1:{port}")
        confirm(page, "by nginx")
        page.until(f"{TOAST}?.innerText.includes('Started')")
        page.call("Page.navigate", url="about:blank")
    finally:
        process.terminate()
        process.wait(20)

    assert said.posted[0][1]["reason"] == "by nginx"
    assert page.problems == []


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_a_chosen_theme_is_followed_at_once(page: Page, stage: tuple[str, Staged]) -> None:
    """Nothing is drawn anew, and the button changes its colours all the same."""
    url, _ = stage
    open_dataset(page, url)
    light = page.ask(f"getComputedStyle({PRESS}).backgroundColor")
    page.ask("document.querySelector('#theme').click()")
    page.until(f"{BUTTON}.hasAttribute('data-dark')")
    dark = page.ask(f"getComputedStyle({PRESS}).backgroundColor")
    page.ask("document.querySelector('#theme').click()")
    page.until(f"!{BUTTON}.hasAttribute('data-dark')")

    assert dark != light
