"""This file is where an analyst refreshes the table on the screen: DataHub's page, our button, an execution on AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from browser import Page, browser
from cli.world import Project, address, serving, until
from fakes.frontend import FakeFrontend
from fakes.gms import TOKEN, FakeGms
from services.moto import CREDENTIALS, REGION, moto

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("HEADGATE_NO_BROWSER") == "1", reason="HEADGATE_NO_BROWSER=1"),
]
OURS = "token-of-the-console"
ORDERS = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.sales.orders,PROD)"
STRANGER = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.sales.nobody,PROD)"
ANALYST, VIEWER = "urn:li:corpuser:ann", "urn:li:corpuser:vic"

BUTTON = "document.querySelector('headgate-run-ingestion')"
PRESS = f"{BUTTON}?.shadowRoot.querySelector('button')"
BADGE = f"{BUTTON}?.shadowRoot.querySelector('.badge')"
OVER = "document.querySelector('headgate-ingestion-overlay')?.shadowRoot"
TOAST = f"{OVER}?.querySelector('.toast')"
HEADER = "!!document.querySelector('[data-of=header]')"

#: What the button sends, by a page that has no button.
POST = f"""fetch('/api/ingestion/run', {{method: 'POST', body: JSON.stringify({{datasetUrn: {json.dumps(ORDERS)}}}),
    headers: {{'Content-Type': 'application/json', 'X-Headgate-Request': '1'}}}})"""

PROJECT = """
jobs:
  orders-ingest: {{engine: step_functions, state_machine_arn: "{arn}", description: Loads the orders from the lake.}}
datasets:
  - {{urn: "{orders}", job: orders-ingest}}
datahub: {{frontend_url: "{frontend}", cors_origins: ["{frontend}"]}}
"""


@dataclass(frozen=True)
class World:
    url: str  #: Headgate, and DataHub behind it
    frontend: FakeFrontend
    machine: str
    states: Any

    def runs(self) -> list[dict[str, Any]]:
        """What the console's API says has run."""
        answer = httpx.get(
            f"{self.url}/headgate/api/v1/runs", headers={"authorization": f"Bearer {OURS}"}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    def executions(self) -> list[str]:
        found = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        return [one["executionArn"] for one in found]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with moto() as aws, FakeGms() as gms, FakeFrontend(api=gms.frontend_url) as frontend:
        gms.add_user("token-of-ann", ANALYST, grants={ORDERS: ["EXECUTE_ENTITY"], STRANGER: ["*"]}, password="ann's")
        gms.add_user("token-of-vic", VIEWER, grants={ORDERS: ["VIEW_ENTITY_PAGE"]}, password="vic's")
        gms.add_dataset(ORDERS)
        credentials = {
            "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        }
        states: Any = boto3.client("stepfunctions", endpoint_url=aws, region_name=REGION, **credentials)
        machine = states.create_state_machine(
            name="orders", definition='{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/states",
        )["stateMachineArn"]  # fmt: skip
        text = PROJECT.format(arn=machine, orders=ORDERS, frontend=frontend.url)
        project = Project(tmp_path_factory.mktemp("button"), text)
        environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": aws, "DATAHUB_GMS_TOKEN": TOKEN, "HEADGATE_TOKEN": OURS}
        with serving(project, env=environment):
            # by number: cookies do not know ports, so pages of the frontend's own port share its session
            url = address(project).replace("localhost", "127.0.0.1")
            yield World(url, frontend, machine, states)


@pytest.fixture
def page() -> Iterator[Page]:
    with browser() as opened:
        yield opened


def log_in(page: Page, name: str) -> None:
    """On DataHub's own page, with the keyboard."""
    page.until("!!document.querySelector('#username')")
    page.ask("document.querySelector('#username').focus()")
    page.write(name)
    page.ask("document.querySelector('#password').focus()")
    page.write(f"{name}'s")
    page.press("Enter", code=13, text="\r")
    page.until(HEADER)


def confirm(page: Page, reason: str) -> str:
    """Press the button, write why, press Enter; what the toast says in the end."""
    page.ask(f"{PRESS}.click()")
    page.until(f"{OVER}.querySelector('dialog').open")
    page.write(reason)
    page.press("Enter", code=13, text="\r")
    page.until(f"!!{TOAST}")
    return str(page.ask(f"{TOAST}.innerText"))


def test_from_a_click_to_an_execution(world: World, page: Page, tmp_path: Path) -> None:
    """Log in, open a dataset, click, say why: the execution runs, the run knows who and why, the badge follows it."""
    page.open(f"{world.url}/dataset/{ORDERS}/Columns")
    log_in(page, "ann")
    page.until(f"{PRESS}?.innerText === 'Run ingestion'")
    page.picture(tmp_path / "button.png")
    before = len(world.executions())
    page.ask(f"{PRESS}.click()")
    page.until(f"{OVER}.querySelector('dialog').open")
    asked = page.ask(f"{OVER}.querySelector('dialog').innerText")
    page.picture(tmp_path / "dialog.png")
    page.press("Escape", code=27)
    said = confirm(page, "Monday's totals look wrong")
    page.picture(tmp_path / "toast.png")
    execution = world.executions()[0]
    run = world.runs()[0]

    assert "orders-ingest" in asked
    assert world.machine not in asked
    assert "123456789012" not in asked
    assert len(world.executions()) == before + 1
    assert said.startswith("Started")
    assert execution in said
    assert run["job"] == "orders-ingest"
    assert run["cause"]["actor"] == ANALYST
    assert run["cause"]["reason"] == "Monday's totals look wrong"
    assert run["external_id"] == execution
    given = json.loads(world.states.describe_execution(executionArn=execution)["input"])
    assert given["datasetUrn"] == ORDERS
    assert given["actor"] == ANALYST
    page.until(f"{BADGE}.innerText.includes('running')")
    world.states.stop_execution(executionArn=execution)
    page.until(f"{BADGE}.innerText.includes('stopped')")
    page.picture(tmp_path / "badge.png")
    assert page.problems == []


def test_who_may_not_run_it_sees_no_button_and_gets_403(world: World, page: Page) -> None:
    """Whatever the page is made to send."""
    page.open(f"{world.url}/dataset/{ORDERS}")
    log_in(page, "vic")
    before = len(world.runs())
    status, body = page.ask(f"{POST}.then(async answer => [answer.status, await answer.json()])")

    assert (status, body["status"]) == (403, "failed")
    assert page.ask(f"{BUTTON} === null")
    assert len(world.runs()) == before


def test_a_dataset_datahub_does_not_know_says_so(world: World, page: Page) -> None:
    """The button is there and tells why it cannot be pressed."""
    page.open(f"{world.url}/dataset/{STRANGER}")
    log_in(page, "ann")
    page.until(f"{PRESS}?.getAttribute('aria-disabled') === 'true'")

    assert "nobody" in page.ask(f"{PRESS}.title")


def test_a_session_that_is_forged_starts_nothing(world: World, page: Page) -> None:
    """The readable cookie alone makes nobody an analyst."""
    page.call("Network.setCookie", url=world.url, name="actor", value=ANALYST)
    page.call("Network.setCookie", url=world.url, name="PLAY_SESSION", value="made.up.session")
    page.open(f"{world.url}/dataset/{ORDERS}")
    page.until(HEADER)
    status = page.ask(f"{POST}.then(answer => answer.status)")

    assert status == 401
    assert page.ask(f"{BUTTON} === null")


def test_a_page_of_a_listed_origin_may_start_it(world: World, page: Page) -> None:
    """DataHub at its own port, the script with data-api: the preflight is answered, the session counts."""
    page.open(f"{world.frontend.url}/dataset/{ORDERS}")
    log_in(page, "ann")
    page.ask(with_button(world))
    page.until(f"{PRESS}?.innerText === 'Run ingestion'")
    said = confirm(page, "from DataHub's own port")

    assert said.startswith(("Started", "Accepted"))
    assert world.runs()[0]["cause"] == {
        **world.runs()[0]["cause"],
        "actor": ANALYST,
        "reason": "from DataHub's own port",
    }


def test_a_page_of_another_origin_may_not(world: World, page: Page, tmp_path: Path) -> None:
    """Although the browser sends the session along: it reads nothing, and it starts nothing."""
    page.open(f"{world.frontend.url}/dataset/{ORDERS}")
    log_in(page, "ann")
    before = len(world.runs())
    with FakeFrontend() as elsewhere:
        page.open(f"{elsewhere.url}/dataset/{ORDERS}")
        page.until(HEADER)
        outcome = page.ask(
            f"""Promise.all(['application/json', 'text/plain'].map(kind => fetch('{world.url}/api/ingestion/run', {{
                method: 'POST', credentials: 'include', headers: {{'Content-Type': kind}},
                body: JSON.stringify({{datasetUrn: {json.dumps(ORDERS)}}}),
            }}).then(answer => answer.status, error => error.name)))"""
        )
        blind = page.ask(
            f"""fetch('{world.url}/api/ingestion/run', {{method: 'POST', credentials: 'include', mode: 'no-cors',
                body: JSON.stringify({{datasetUrn: {json.dumps(ORDERS)}}})}})
                .then(answer => answer.type, error => error.name)"""
        )

    assert outcome == ["TypeError", "TypeError"]
    assert blind == "TypeError"
    assert len(world.runs()) == before


def with_button(world: World) -> str:
    """The user script, with the address changed as it says."""
    text = (Path(__file__).parents[2] / "docs" / "button.user.js").read_text("utf-8")
    assert text.count('"https://datahub.example.com:8090"') == 1
    return text.replace("https://datahub.example.com:8090", world.url)


def test_it_looks_like_something(world: World, page: Page, tmp_path: Path) -> None:
    """In the dark, too: there is something to see in every picture (they are for people; see docs/button.md)."""
    page.open(f"{world.url}/dataset/{ORDERS}")
    log_in(page, "ann")
    page.ask("document.documentElement.setAttribute('data-dark', '')")
    page.until(f"!!{PRESS}")
    page.ask("drawHeaderAnew()")
    page.until(f"!!{BUTTON}?.isConnected")
    page.ask(f"{PRESS}.click()")
    page.picture(tmp_path / "dark.png")
    page.press("Escape", code=27)
    page.picture(tmp_path / "dark-button.png")

    until(lambda: (tmp_path / "dark.png").stat().st_size > 5_000, "a picture")
