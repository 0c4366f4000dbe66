"""This file is where the page of rules is used in Chromium: a rule is kept, seen, and deleted with a reason."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from browser import Page, browser
from served import DATASET, World, serving, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]
SUBMIT = "document.getElementById('add-rule').requestSubmit(document.querySelector('#add-rule button'))"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.ask(f"document.getElementById('add-{name}').value = {value!r}")


def test_a_rule_is_kept_and_deleted_with_reasons(world: World, page: Page) -> None:
    """A wrong one is told beside the form; a right one stands in the table at once, until it is deleted."""
    with serving(world) as url:
        page.problems.clear()
        page.open(f"{url}/headgate/rules")
        fill(page, kind="prefix", value="athena:c", what="job", target="nowhere", reason="because")
        page.ask(SUBMIT)
        page.until("document.getElementById('add-problem').textContent.includes('there is no job')")
        fill(page, target="views")
        page.ask(SUBMIT)
        page.until("!!document.querySelector('[data-delete]')")
        until(world.gate.datasets.kept_rules, "the rule is kept")
        assert world.gate.datasets.explain(DATASET.replace("c.d.t", "c.x")).job == "views"
        page.ask("document.querySelector('[data-delete]').click()")
        page.until("document.getElementById('ask').open")
        page.ask("document.getElementById('ask-reason').value = 'no more'")
        page.ask("document.getElementById('ask-yes').click()")
        page.until("!document.querySelector('[data-delete]')")

    assert world.gate.datasets.kept_rules() == []
    told = [(one.action, one.reason) for one in world.gate.ledger.audit().items if one.action.startswith("rule.")]
    assert told == [("rule.delete", "no more"), ("rule.set", "because")]
    assert [one for one in page.problems if "400" not in one] == []
