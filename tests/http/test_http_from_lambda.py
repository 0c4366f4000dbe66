"""This file is where the Lambda function hands events to a Headgate, and what becomes of them when that is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import boto3
import pytest
from served import World, record, serving
from services.moto import CREDENTIALS, moto

from headgate.aws_lambda import handler, starting
from headgate.aws_lambda.handling import Failed


@pytest.fixture
def at(guarded: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a Headgate that wants the token `events`, and a function that knows both."""
    with serving(guarded) as url:
        monkeypatch.setenv("HEADGATE_START", "headgate")
        monkeypatch.setenv("HEADGATE_URL", url)
        monkeypatch.setenv("HEADGATE_EVENTS_TOKEN", "events")
        yield url


def sqs(*bodies: str) -> dict[str, Any]:
    messages = [{"messageId": f"m{n}", "eventSource": "aws:sqs", "body": body} for n, body in enumerate(bodies)]
    return {"Records": messages}


def test_headgate_is_handed_the_event_and_decides(at: str, guarded: World) -> None:
    """What it answers is the invocation's answer; the same event again is a duplicate."""
    event = {"Records": [record("in/a.csv")]}
    [first] = handler(event, None)["events"]
    [again] = handler(event, None)["events"]

    assert [first["duplicate"], again["duplicate"]] == [False, True]
    assert guarded.ledger.run(first["decisions"][0]["run"]).job == "ingest"


def test_each_message_of_a_batch_is_handed_over_for_itself(at: str, guarded: World) -> None:
    """One that Headgate refuses comes again, the others do not."""
    said = handler(sqs("no JSON", json.dumps({"Records": [record("in/b.csv")]})), None)

    assert said == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert [run.job for run in guarded.ledger.runs().items] == ["ingest"]


def test_a_wrong_token_is_a_failure(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was taken, so it must come again."""
    monkeypatch.setenv("HEADGATE_EVENTS_TOKEN", "wrong")
    with pytest.raises(Failed, match="Headgate answered 401"):
        handler({"Records": [record("in/a.csv")]}, None)


class Odd(BaseHTTPRequestHandler):
    """Something else than a Headgate."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"<html>"
    more: ClassVar[dict[str, str]] = {}
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(type(self).status)
        for name, value in type(self).more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(type(self).body)))
        self.end_headers()
        self.wfile.write(type(self).body)

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("HEADGATE_START", "headgate")
        monkeypatch.setenv("HEADGATE_URL", url)
        Odd.seen.clear()
        yield url
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(200, b"<html>", "did not answer as it should"), (200, b"[]", "something else than an object"),
     (503, b"{}", "answered 503"), (302, b"", "answered 302")],
)  # fmt: skip
def test_what_is_no_answer_of_headgates_is_a_failure(odd: str, status: int, body: bytes, said: str) -> None:
    """A page, a list, a 503, a redirect (which is not followed: the token is for one host)."""
    Odd.status, Odd.body, Odd.more = status, body, {"Location": f"{odd}/elsewhere"} if status == 302 else {}
    with pytest.raises(Failed, match=said):
        handler({"Records": [record("in/a.csv")]}, None)

    assert Odd.seen == ["/api/ingestion/events"]


def test_a_headgate_that_is_away_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: every message of the batch comes again."""
    monkeypatch.setenv("HEADGATE_START", "headgate")
    monkeypatch.setenv("HEADGATE_URL", "http://127.0.0.1:9")

    assert handler(sqs("{}", "{}"), None) == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


def test_the_token_may_be_a_secret_of_aws_and_may_be_rotated(
    guarded: World, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once a container, and again when Headgate does not know it any more."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": moto_url}.items():
        monkeypatch.setenv(name, value)
    starting.forget()
    secrets: Any = boto3.client("secretsmanager")
    secrets.create_secret(Name="events", SecretString="outdated")
    monkeypatch.setenv("HEADGATE_START", "headgate")
    monkeypatch.setenv("HEADGATE_EVENTS_TOKEN_SECRET", "events")
    with serving(guarded) as url:
        monkeypatch.setenv("HEADGATE_URL", url)
        with pytest.raises(Failed, match="answered 401"):
            handler({"Records": [record("in/a.csv")]}, None)
        secrets.put_secret_value(SecretId="events", SecretString="events")
        assert len(handler({"Records": [record("in/a.csv")]}, None)["events"]) == 1
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # it is not asked for again
        assert len(handler({"Records": [record("in/b.csv")]}, None)["events"]) == 1
        starting.forget()
        with pytest.raises(Failed, match="the secret events of HEADGATE_EVENTS_TOKEN_SECRET cannot be read"):
            handler({"Records": [record("in/c.csv")]}, None)
