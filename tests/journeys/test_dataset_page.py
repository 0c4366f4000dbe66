"""This file is where somebody without a DataHub uses the button: on the dataset's page of the console."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from browser import Page, browser
from cli.world import Project, address, serving

DATASET = "urn:li:dataset:(urn:li:dataPlatform:hive,sales.orders,PROD)"
PROJECT = f"""
jobs:
  refresh: {{engine: local, command: ["true"]}}
datasets:
  - {{urn: "{DATASET}", job: refresh}}
"""
PRESS = "document.querySelector('headgate-run-ingestion')?.shadowRoot.querySelector('button')"
BADGE = "document.querySelector('headgate-run-ingestion')?.shadowRoot.querySelector('.badge')"
OVER = "document.querySelector('headgate-ingestion-overlay')?.shadowRoot"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


def test_a_laptops_dataset_has_a_page_with_the_button(tmp_path: Path, page: Page) -> None:
    """What a click starts is told with its rule's line; the click starts it, with the reason, and the badge says so."""
    project = Project(tmp_path / "hub", PROJECT)
    with serving(project):
        url = address(project)
        page.problems.clear()
        page.open(f"{url}/headgate/dataset/{quote(DATASET, safe='')}")
        page.until(f"!!{PRESS}")
        text = str(page.ask("document.querySelector('main').innerText"))
        assert "by job refresh" in text
        assert "headgate.yaml:5" in text
        page.ask(f"{PRESS}.click()")
        page.until(f"{OVER}?.querySelector('dialog')?.open")
        page.write("the totals look old")
        page.press("Enter", code=13, text="\r")
        page.until(f"{BADGE}?.innerText.includes('succeeded')")
        runs = httpx.get(f"{url}/headgate/api/v1/runs", timeout=10).json()["items"]
        page.open(f"{url}/headgate/dataset/{quote(DATASET, safe='')}")
        page.until("document.querySelectorAll('table.runs tbody tr a').length === 1")

    assert [(run["job"], run["state"], run["cause"]["reason"]) for run in runs] == [
        ("refresh", "SUCCEEDED", "the totals look old")
    ]
    assert page.problems == []


def test_a_page_of_no_dataset_says_so(tmp_path: Path) -> None:
    """What is no URN of a dataset is named, with 400; a dataset that no rule covers has a page that says so."""
    project = Project(tmp_path / "hub", PROJECT)
    html = {"Accept": "text/html"}
    with serving(project):
        url = address(project)
        wrong = httpx.get(f"{url}/headgate/dataset/urn:li:tag:<b>", headers=html, timeout=10)
        other = httpx.get(f"{url}/headgate/dataset/{quote(DATASET.replace('orders', 'x'))}", headers=html, timeout=10)

    assert wrong.status_code == 400
    assert wrong.headers["content-type"].startswith("text/html")
    assert "<b>" not in wrong.text
    assert other.status_code == 200
    assert "sales.x" in other.text
    assert "Nothing has run yet" in other.text or "No such runs" in other.text
