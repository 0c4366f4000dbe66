"""This file is where messages are posted to a receiver on loopback, and where those that do not arrive say why."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headgate.errors import Unavailable
from headgate.reports.notify import Notifier, title, words

PAYLOAD = {
    "kind": "FAILED", "run": "jr_" + "ab" * 32, "job": "a", "state": "FAILED", "error": 'it said "no"\nand left',
    "attempt": 0, "trigger": "t", "actor": None, "started_at": None, "ended_at": None,
}  # fmt: skip


class Door:
    """What was posted, and what is answered."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.logins: list[str] = []
        self.status = 204
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                door.logins.append(self.headers.get("Authorization", ""))
                door.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(door.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_webhook_gets_the_run_as_json(door: Door) -> None:
    """Everything to act on, and the message for a person as `text`."""
    Notifier("n", door.url, webhook=True).report("FAILED", PAYLOAD)
    (body,) = [json.loads(one) for one in door.bodies]

    assert {name: body[name] for name in PAYLOAD} == PAYLOAD
    assert body["text"] == words("FAILED", PAYLOAD)


def test_a_template_is_jinja_and_values_stay_values(door: Door) -> None:
    """Quotes and line ends of an error do not break the JSON around it; conditions work."""
    template = '{"text": {{ (job ~ ": " ~ error) | tojson }}, "n": {% if actor %}1{% else %}0{% endif %}}'
    Notifier("n", door.url, webhook=True, template=template).report("FAILED", PAYLOAD)

    assert json.loads(door.bodies[0]) == {"text": 'a: it said "no"\nand left', "n": 0}


@pytest.mark.parametrize("template", ["{{ job", "{{ ''.__class__.__mro__[1].__subclasses__() }}"])
def test_a_wrong_or_prying_template_is_told_and_nothing_is_sent(door: Door, template: str) -> None:
    """It raises Unavailable naming the notification; the message stays in the outbox."""
    with pytest.raises(Unavailable, match="n: the template of the webhook is wrong"):
        Notifier("n", door.url, webhook=True, template=template).report("FAILED", PAYLOAD)
    assert door.bodies == []


def test_what_does_not_arrive_says_why_without_the_address(door: Door) -> None:
    """A refusal says its status, a dead address that it is dead; the address may be a secret and is not told."""
    door.status = 503
    with pytest.raises(Unavailable, match="n: the receiver answered 503"):
        Notifier("n", door.url + "geheim", webhook=True).report("FAILED", PAYLOAD)
    with pytest.raises(Unavailable, match="could not be reached") as told:
        Notifier("n", "http://127.0.0.1:9/geheim", webhook=True).report("FAILED", PAYLOAD)
    assert "geheim" not in str(told.value)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's import, not ours
def test_apprise_posts_and_says_when_it_could_not(door: Door) -> None:
    """A json:// address of apprise is a webhook too; an unknown scheme and a refusal are Unavailable."""
    Notifier("n", door.url.replace("http://", "json://")).report("FAILED", PAYLOAD)
    assert title("FAILED", PAYLOAD) in door.bodies[0]
    door.status = 500
    with pytest.raises(Unavailable, match="did not take it"):
        Notifier("n", door.url.replace("http://", "json://")).report("FAILED", PAYLOAD)
    with pytest.raises(Unavailable, match="no such kind of address"):
        Notifier("n", "nonsense://x").report("FAILED", PAYLOAD)


def test_words_say_what_happened_to_what_and_what_to_do() -> None:
    """A failure names error, trigger and the command to look; a recovery the run that works."""
    said = words("FAILED", PAYLOAD)
    assert "a ended FAILED" in said
    assert "Started by the trigger t." in said
    assert f"headgate runs show {'jr_' + 'ab' * 6}" in said
    assert words("RECOVERED", PAYLOAD).startswith("a works again")
    assert title("RECOVERED", PAYLOAD) == "a: recovered"


#: As docs/operations.md has them.
SLACK = '{"text": {{ text | tojson }}}'
JIRA = """\
{"fields": {"project": {"key": "DATA"}, "issuetype": {"name": "Task"},
            "summary": {{ (job ~ " ended " ~ state) | tojson }}, "description": {{ text | tojson }}}}
"""


def test_slacks_incoming_webhook_gets_what_it_takes(door: Door) -> None:
    """A failure and a recovery, as the one field Slack needs; its characters arrive as they are."""
    payload = {**PAYLOAD, "error": '<ü> & "quotes"'}
    for kind in ("FAILED", "RECOVERED"):
        Notifier("n", door.url, webhook=True, template=SLACK).report(kind, payload)

    assert [json.loads(one) for one in door.bodies] == [
        {"text": words("FAILED", payload)},
        {"text": words("RECOVERED", payload)},
    ]


def test_jira_gets_an_issue_to_create(door: Door) -> None:
    """Its REST API's body, and the login of the address as Basic, which is in no error."""
    url = door.url.replace("http://", "http://me%40example.com:hush@") + "rest/api/2/issue"
    Notifier("n", url, webhook=True, template=JIRA).report("FAILED", PAYLOAD)
    door.status = 401
    with pytest.raises(Unavailable) as told:
        Notifier("n", url, webhook=True, template=JIRA).report("FAILED", PAYLOAD)

    assert json.loads(door.bodies[0])["fields"] == {
        "project": {"key": "DATA"},
        "issuetype": {"name": "Task"},
        "summary": "a ended FAILED",
        "description": words("FAILED", PAYLOAD),
    }
    assert base64.b64decode(door.logins[0].removeprefix("Basic ")) == b"me@example.com:hush"
    assert "hush" not in str(told.value)


def test_the_pages_examples_are_these() -> None:
    """Slack's and Jira's templates stand in docs/operations.md."""
    page = "".join((Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8").split())

    assert "".join(SLACK.split()) in page
    assert "".join(JIRA.split()) in page
