"""This file is where the button appears on pages of a stand-in for DataHub, for those it is for, and nowhere else."""

from __future__ import annotations

import json
import os
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
    ORDERS,
    OVER,
    PRESS,
    TOAST,
    Staged,
    open_dataset,
    staged,
    visit,
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]


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
