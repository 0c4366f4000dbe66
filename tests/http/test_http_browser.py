"""This file is where the console is used as people use it: in Chromium, with the keyboard, small and large."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browser
from served import World, serving, until

from headgate.model import RunState

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]
LIVE = "document.getElementById('link')?.textContent === 'live'"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with serving(world) as address:
        yield address


def test_what_happens_appears_by_itself(world: World, url: str, page: Page) -> None:
    """A run that starts and ends is seen without reloading; nothing was complained of, nothing came from elsewhere."""
    page.problems.clear()
    page.open(f"{url}/headgate/")
    page.until(LIVE)
    world.drop("in/a.csv")
    run = world.begin(world.claimed[0])
    row = f"document.querySelector('tr[data-key=\"{run.id}\"]')"
    page.until(f"{row}?.innerText.includes('running')")
    page.until("document.querySelectorAll('.arrow.lit').length === 2")
    world.end(run, result={"rows": 42})
    page.until(f"{row}.innerText.includes('succeeded') && {row}.innerText.includes('rows 42')")

    assert page.problems == []
    sources = page.ask("performance.getEntriesByType('resource').map(one => new URL(one.name).origin)")
    assert set(sources) == {url}


def test_a_run_is_stopped_with_the_keyboard(world: World, url: str, page: Page) -> None:
    """Enter on Stop asks first, with a reason; Escape lets it be, Enter on yes stops it."""
    world.begin(world.start("views"))
    waiting = world.start("views")
    page.open(f"{url}/headgate/runs/{waiting.id}")
    page.until(LIVE)
    focus_stop = "document.querySelector('#facts .press').focus()"
    page.ask(focus_stop)
    page.press("Enter", code=13, text="\r")
    page.until("document.getElementById('ask').open")
    page.press("Escape", code=27)
    page.until("!document.getElementById('ask').open")
    assert world.ledger.run(waiting.id).state is RunState.WAITING
    page.until("document.activeElement.innerText === 'Stop'")
    page.press("Enter", code=13, text="\r")
    page.until("document.activeElement.id === 'ask-reason'")
    page.write("no longer <needed>")
    page.ask("document.getElementById('ask-yes').focus()")
    page.press("Enter", code=13, text="\r")
    page.until("document.querySelector('#facts .chip').innerText.includes('stopped')")

    assert "no longer <needed>" in (world.ledger.run(waiting.id).error or "")


def test_what_does_not_work_is_told_in_the_dialog(world: World, url: str, page: Page) -> None:
    """A job at its limit: the dialog stays, with the reason in words."""
    world.start("picky")
    page.open(f"{url}/headgate/")
    page.ask("""document.querySelector('[data-job="picky"]').click()""")
    page.ask("document.getElementById('ask-yes').click()")
    page.until("document.getElementById('ask-problem').innerText.includes('Concurrent runs exceeded')")

    assert page.ask("document.getElementById('ask').open")


def test_a_log_grows_on_the_page_as_text(world: World, url: str, page: Page) -> None:
    """Lines come as they are written, and what looks like HTML stays text."""
    run = world.begin(world.start("views"))
    world.write_log(run.id, "<b>first</b>\n")
    page.open(f"{url}/headgate/runs/{run.id}")
    page.until("document.getElementById('log').textContent === '<b>first</b>\\n'")
    world.write_log(run.id, "second\n", over=True)
    world.end(run)
    page.until("document.getElementById('log').textContent.endsWith('second\\n')")
    page.until("document.getElementById('log-state').textContent === 'complete'")


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_readable_small_and_large_light_and_dark(
    world: World, url: str, page: Page, width: int, dark: bool
) -> None:
    """The page is never wider than the screen, and text stands out from what is behind it in every state."""
    for state in (RunState.FAILED, RunState.TIMEOUT, RunState.ERROR):
        world.end(world.begin(world.start("views")), state, error="x" * 300, retryable=False)
    run = world.begin(world.start("views"))
    for path in ("/headgate/", f"/headgate/runs/{run.id}", "/headgate/api/v1/docs"):
        page.open(url + path, width=width, dark=dark)
        assert page.ask("document.documentElement.scrollWidth") <= width, path
    page.open(f"{url}/headgate/", width=width, dark=dark)
    assert page.ask(_CONTRAST) >= 4.5


#: The least contrast of a state's colour with the panel behind it, over all states (WCAG wants 4.5).
_CONTRAST = """(() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.documentElement);
  const behind = light(style.getPropertyValue("--panel"));
  const states = "waiting starting running stopping stopped succeeded failed timeout error expired never".split(" ");
  return Math.min(...[...states, "text", "dim", "strong", "bad"].map((name) => {
    const front = light(style.getPropertyValue("--" + name));
    return (Math.max(front, behind) + 0.05) / (Math.min(front, behind) + 0.05);
  }));
})()"""


def test_a_page_that_is_hidden_watches_nothing(world: World, url: str, page: Page) -> None:
    """Leaving a page ends its stream at once."""
    page.open(f"{url}/headgate/")
    page.until(LIVE)
    page.call("Page.navigate", url="about:blank")
    until(lambda: world.port.app.state.broadcaster.viewers == 0, "the stream is closed")


def test_one_logs_in_with_the_token(guarded: World, page: Page) -> None:
    """The form, the cookie that no script can read, the live page, and out again."""
    with serving(guarded) as url:
        page.open(f"{url}/headgate/")
        assert page.ask("location.pathname") == "/headgate/login"
        page.ask("document.getElementById('token').value = 'secret'")
        page.ask("document.querySelector('.login form').requestSubmit()")
        page.until(f"location.pathname === '/headgate/' && {LIVE}")
        assert "headgate" not in page.ask("document.cookie")
        page.ask("""document.querySelector('[data-job="views"]').click()""")
        page.ask("document.getElementById('ask-yes').click()")
        page.until("document.querySelector('tr[data-key^=jr_]')")
        page.ask("document.querySelector('.leave').requestSubmit()")
        page.until("location.pathname === '/headgate/login'")
        page.call("Page.navigate", url="about:blank")


def test_names_too_long_for_their_box_end_with_an_ellipsis(tmp_path: Path, page: Page) -> None:
    """Whatever their letters; the whole name is the box's title, and what fits is not cut."""
    wide = "W" * 30
    job = '{engine: local, command: ["true"]}'
    made = World(tmp_path, project=f"jobs:\n  {wide}: {job}\n  small-enough: {job}\n")
    try:
        with serving(made) as address:
            page.open(f"{address}/headgate/")
            cut = page.ask(
                "[...document.querySelectorAll('.box')].map(box => { const name = box.querySelector('.name');"
                " return [name.textContent, name.scrollWidth > name.clientWidth, getComputedStyle(name).textOverflow,"
                " box.querySelector('title').textContent.includes(name.textContent)]; })"
            )
    finally:
        made.close()
    assert sorted(cut) == [[wide, True, "ellipsis", True], ["small-enough", False, "ellipsis", True]]
