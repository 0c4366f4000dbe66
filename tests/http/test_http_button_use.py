"""This file is where the button is used in Chromium: by keyboard, in the dark, behind nginx, in spite of everything."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from fakes.frontend import FakeFrontend
from served import until
from staged import (
    ALONE,
    BUTTON,
    CAN,
    CUSTOMERS,
    DIALOG,
    IN_HEADER,
    INSIDE,
    LAST,
    ORDERS,
    OVER,
    PRESS,
    RUN,
    TOAST,
    Staged,
    confirm,
    open_dataset,
    staged,
    visit,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]


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
    leaving = page.ask(f"{OVER}.querySelector('.row button').innerText")
    page.press("Enter", code=13, text="\r")
    page.ask(f"{OVER}.querySelector('.go').click()")
    page.press("Escape", code=27)
    page.ask(f"{PRESS}.click()")
    said.hold.set()
    page.until(f"{TOAST}?.innerText.includes('Started')")

    assert len(said.posted) == 1
    assert leaving == "Close", "what is under way is not cancelled by leaving"


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
    page.until(f"{TOAST}?.innerText.includes('Waits for another run') && {TOAST}.innerText.includes('jr_2')")

    assert page.ask(f"{TOAST}.innerText.startsWith('Accepted')")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((409, {"status": "failed", "message": "the job is paused"}), "The job is paused"),
        ((502, {"status": "failed", "message": "the engine refused it"}), "The engine refused it"),
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


def test_on_a_narrow_page_the_dot_has_to_do(page: Page, stage: tuple[str, Staged]) -> None:
    """The header has no room for a sentence; it can be hovered, and is read out all the same."""
    url, _ = stage
    open_dataset(page, url)
    width = f"{INSIDE}.querySelector('.badge').getBoundingClientRect().width"
    wide = page.ask(width)
    page.call("Emulation.setDeviceMetricsOverride", width=600, height=800, deviceScaleFactor=1, mobile=False)
    page.until(f"{width} < 20")
    narrow = page.ask(width)
    title = page.ask(f"{INSIDE}.querySelector('.badge').title")

    assert wide > 100
    assert 0 < narrow < 20
    assert title.startswith("Last run failed")
    assert title.endswith("by ann · no such bucket")
    assert page.ask(f"{INSIDE}.querySelector('[role=status]').innerText") == "Last run failed"


#: Where the button stands, and how; "cut" where something of it, or of DataHub's own actions beside it, is cut off.
PLACE = f"""((one, header) => {{
    if (one?.parentNode === document.body) return one.getBoundingClientRect().left >= 0 ? 'corner' : 'cut';
    const actions = [...header.querySelectorAll('[data-of=header] > *')];
    const edge = header.getBoundingClientRect().right;
    if (actions.length < 3 || actions.some(action => action.getBoundingClientRect().right > edge)) return 'cut';
    return one.hasAttribute('data-short') ? 'short' : 'whole';
}})({BUTTON}, document.querySelector('[data-testid=entity-header-test-id]'))"""


def test_what_the_header_would_cut_off_stands_in_the_corner(page: Page, stage: tuple[str, Staged]) -> None:
    """DataHub's header hides what it has no room for: first the badge is short, then the button leaves; and back."""
    url, _ = stage
    open_dataset(page, url)
    page.ask(f"{PRESS}.focus()")
    widths = {1280: "whole", 600: "short", 390: "corner", 320: "corner"}
    for width in (1280, 600, 390, 320, 390, 600, 1280):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        page.until(f"innerWidth === {width} && {PLACE} === '{widths[width]}'")
        assert page.ask(f"{INSIDE}.activeElement === {PRESS}"), "it keeps the focus"
    page.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=False)
    page.until(f"{PLACE} === 'corner'")
    page.ask("drawHeaderAnew()")
    page.until(f"{PLACE} === 'corner'")

    assert page.ask(ALONE) == 1


def test_a_complaint_does_not_follow_to_the_next_dataset(page: Page, stage: tuple[str, Staged]) -> None:
    """Nor does the reason that was written for the last one."""
    url, said = stage
    said.run = (409, {"status": "failed", "message": "the job is paused"})
    open_dataset(page, url)
    confirm(page, "for orders only")
    page.until(f"{TOAST}?.innerText.includes('The job is paused')")
    page.ask(f"go('dataset/{CUSTOMERS}')")
    page.until(f"{IN_HEADER} && !{TOAST}")
    page.ask(f"{PRESS}.click()")

    assert page.ask(f"{OVER}.querySelector('input').value") == ""


def test_a_run_that_somebody_else_started_is_seen(page: Page, stage: tuple[str, Staged]) -> None:
    """It is followed from the first, and shown with since when."""
    url, said = stage
    started = datetime.now(UTC) - timedelta(minutes=5)
    run = {**LAST, "runId": "jr_9", "state": "RUNNING", "startedAt": started.isoformat(), "endedAt": None}
    said.runnable = (200, {**CAN, "lastRun": run})
    said.state = (200, {**run, "state": "SUCCEEDED", "endedAt": datetime.now(UTC).isoformat()})
    open_dataset(page, url)
    badge = f"{INSIDE}.querySelector('.badge').innerText.split(/\\s+/).join(' ').trim()"
    first = page.ask(badge)
    page.until(f"{badge}.startsWith('Last run succeeded just now')")

    assert first == "A run is running · started 5 minutes ago"
    assert ("GET", "runs/jr_9") in [(method, what) for method, what, _, _ in said.asked]
