"""This file is where a receiver of OpenLineage is told of our runs, and what it may do wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from journeys.world import ended, make_project, running, until

from headgate.app import App
from headgate.errors import Invalid, Unavailable
from headgate.ledger.housekeeping import Letter
from headgate.runtime import lineage as telling
from headgate.runtime.lineage import Teller, ToUrl

PROJECT = "jobs:\n  first: {engine: local, run: journey_jobs.first, description: Reads.}\n"


class Marquez:
    """A receiver on loopback: answers what the test says, and keeps what it took."""

    def __init__(self) -> None:
        self.answers: list[int] = []  #: of the next calls; then 201
        self.got: list[dict[str, object]] = []
        self.asked: list[tuple[str, str]] = []  #: path, authorization
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append((self.path, self.headers.get("authorization", "")))
                status = outer.answers.pop(0) if outer.answers else 201
                if status == 201:
                    outer.got.append(json.loads(body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def kinds(self) -> list[object]:
        return [one["eventType"] for one in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def marquez() -> Iterator[Marquez]:
    made = Marquez()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(telling, "PAUSE", 0.0)


@pytest.fixture
def app(tmp_path: Path, marquez: Marquez) -> Iterator[App]:
    project = make_project(tmp_path / "project", PROJECT)
    with running(project, OPENLINEAGE_URL=f"{marquez.url}/", OPENLINEAGE_API_KEY="hush") as made:
        yield made


def test_a_run_is_told_to_the_receiver_with_its_key(app: App, marquez: Marquez) -> None:
    """START and COMPLETE, in that order, at the standard path; DataHub is then told nothing of our runs."""
    run = ended(app, app.gate.start("first", arguments={}, actor="urn:li:corpuser:ann"))
    until(lambda: marquez.kinds() == ["START", "COMPLETE"], "both events")
    assert set(marquez.asked) == {("/api/v1/lineage", "Bearer hush")}
    assert str(marquez.got[1]["run"]).count(run.id) == 1
    assert app.datahub.aspect("urn:li:dataJob:(urn:li:dataFlow:(headgate,first,prod),first)", "dataJobInfo") is None


def test_the_key_is_in_no_repr(app: App) -> None:
    """Neither settings nor what sends show it."""
    assert "hush" not in repr(app.settings)
    assert "hush" not in repr(ToUrl("http://x", Teller(app.ledger), {"authorization": "Bearer hush"}))


def letter(app: App, kind: str = "START") -> Letter:
    run = app.gate.start("first", arguments={}, actor="urn:li:corpuser:ann")
    return Letter(1, "c", "", {"run": run.id, "kind": kind, "at": run.created_at.isoformat()}, 0)


def test_a_receiver_that_stumbles_is_asked_again(app: App, marquez: Marquez) -> None:
    """What may pass is tried a few times before the message goes back into the outbox."""
    send = ToUrl(f"{marquez.url}/x", Teller(app.ledger))
    one = letter(app)
    marquez.answers = [503, 429]
    send([one])
    assert ("/x", "") in marquez.asked
    send.close()


@pytest.mark.parametrize("status", [500, 401, 404])
def test_a_receiver_that_is_away_or_forbids_leaves_the_message(app: App, marquez: Marquez, status: int) -> None:
    """It is kept: a wrong key or path is mended by people, not by dropping what was to be told."""
    send = ToUrl(f"{marquez.url}/x", Teller(app.ledger))
    one = letter(app)
    until(lambda: len(marquez.got) >= 2, "the app's own telling to be over")
    marquez.answers = [status] * 3
    with pytest.raises(Unavailable, match=str(status)):
        send([one])
    send.close()


def test_a_receiver_that_refuses_the_event_is_believed(app: App, marquez: Marquez) -> None:
    """422 is for good: the message is dropped, and the log says so."""
    send = ToUrl(f"{marquez.url}/x", Teller(app.ledger))
    one = letter(app)
    until(lambda: len(marquez.got) >= 2, "the app's own telling to be over")
    marquez.answers = [422]
    with pytest.raises(Invalid, match="422"):
        send([one])
    send.close()


def test_a_receiver_that_is_not_there_leaves_the_message(app: App) -> None:
    """A connection that is refused is said with the setting's name."""
    send = ToUrl("http://127.0.0.1:9/x", Teller(app.ledger))
    with pytest.raises(Unavailable, match="OPENLINEAGE_URL"):
        send([letter(app)])
    send.close()


def test_a_run_that_is_gone_is_not_told(app: App, marquez: Marquez) -> None:
    """Retention may have taken it; then there is nothing to say."""
    send = ToUrl(f"{marquez.url}/x", Teller(app.ledger))
    send([Letter(1, "c", "", {"run": "jr_" + "0" * 64, "kind": "START", "at": "2026-01-01T00:00:00+00:00"}, 0)])
    assert marquez.asked == []
    send.close()


@pytest.mark.parametrize(("disabled", "told"), [("true", False), ("", True)])
def test_lineage_can_be_switched_off(tmp_path: Path, disabled: str, told: bool) -> None:
    """Then no run leaves anything in the outbox."""
    project = make_project(tmp_path / "project", PROJECT)
    with running(project, OPENLINEAGE_DISABLED=disabled) as app:
        ended(app, app.gate.start("first", arguments={}, actor="urn:li:corpuser:ann"))
        until(lambda: app.ledger.outbox()[0] == 0, "the outbox to be empty")
        job = "urn:li:dataJob:(urn:li:dataFlow:(headgate,first,prod),first)"
        assert (app.datahub.aspect(job, "dataJobInfo") is not None) is told
