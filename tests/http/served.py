"""This file is where a served gate is made for tests: a real ledger, and hands that play the engine's part."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from services.asgi import call
from services.tables import put_tables

from headgate.gate import Gate
from headgate.http import Port, build
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Json, Run, RunState
from headgate.ports import DataHub, Ended, Ending, Progress, Started
from headgate.settings import Settings, load
from headgate.settings.record import Secret

T = TypeVar("T")
DEADLINE = 30.0
EVENTS = "/api/ingestion/events"
API = "/headgate/api/v1"

PROJECT = """
jobs:
  ingest: {engine: local, command: ["true"], max_retries: 1, description: Reads files., arguments: {--table: t}}
  views: {engine: local, command: ["true"]}
  picky: {engine: local, command: ["true"], queue: false}
  "a/b <i>&": {engine: local, command: ["true"]}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw-data, prefix: in/, suffix: [.csv]}, actions: [ingest]}
  after-ingest:
    {type: CONDITIONAL, predicate: {conditions: [{job: ingest, state: SUCCEEDED}]}, actions: [views]}
  nightly: {type: SCHEDULED, schedule: "cron(0 3 * * ? *)", enabled: false, actions: [picky]}
  asked: {type: ON_DEMAND, actions: [picky]}
datasets:
  - {urn: "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)", job: ingest}
inboxes: {raw-data: ./inbox}
"""
DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"


class World:
    """A gate over a new ledger, the port in front of it, and an engine that does what the test says."""

    def __init__(
        self,
        folder: Path,
        *,
        token: str = "",
        events_token: str = "",
        host: str = "127.0.0.1",
        project: str = PROJECT,
        datahub: DataHub | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.claimed: list[Run] = []
        self.ready: Mapping[str, Json] = {"ready": True, "problems": []}
        file = folder / "headgate.yaml"
        file.write_text(project, "utf-8")
        self.settings: Settings = replace(
            load(file, {}),
            token=Secret(token) if token else None,
            events_token=Secret(events_token) if events_token else None,
            **(settings or {}),
        )
        put_tables(self.settings.home)
        self.ledger = Ledger(self.settings.database_url, claims=True)
        self.ledger.on_claimed = self.on_claimed
        self.ledger.open()
        self.gate = Gate(self.settings, self.ledger)
        self.gate.datahub = datahub
        self.gate.definitions.apply(everything=False, actor="tester")
        self.port: Port = build(self.gate, readiness=lambda: self.ready, host=host, port=8090)

    def close(self) -> None:
        self.ledger.close()

    # -- the engine's part

    def on_claimed(self, run: Run) -> None:
        """For the ledger's writer: returns at once."""
        self.claimed.append(run)

    def begin(self, run: Run) -> Run:
        """Let the run be RUNNING."""
        wait_for(self.ledger.started(Started(run.id, run.attempt, f"pid-{run.seq}", datetime.now(UTC), None)))
        return self.ledger.run(run.id)

    def progress(self, run: Run, **values: Json) -> None:
        wait_for(self.ledger.progressed(Progress(run.id, run.attempt, values)))

    def end(self, run: Run, state: RunState = RunState.SUCCEEDED, **more: Any) -> Run:
        wait_for(self.ledger.ended(Ended(run.id, run.attempt, Ending(state=state, at=datetime.now(UTC), **more))))
        return self.ledger.run(run.id)

    def start(self, job: str, **more: Any) -> Run:
        return self.gate.start(job, arguments={}, actor="ann", **more)

    def write_log(self, attempt: str, text: str, *, over: bool = False) -> None:
        folder = self.settings.home / "logs" / attempt
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("a", encoding="utf-8") as file:
            file.write(text)
        if over:
            (folder / "exit").write_text("{}", "utf-8")

    # -- the caller's part

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call, without a server."""
        return call(self.port, method, path, **more)

    def get(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", API + path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call("POST", API + path, json={} if body is None else body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def drop(self, *keys: str, **more: Any) -> Any:
        """Events of objects that were put into the bucket."""
        answer = self.call("POST", EVENTS, json={"Records": [record(key) for key in keys]}, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()


def record(key: str, *, bucket: str = "raw-data", **about: Any) -> dict[str, Any]:
    """One S3 record; the etag is made of the key, so the same key is a redelivery."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 5, "eTag": key.encode().hex(), **about}},
    }


@contextmanager
def serving(world: World) -> Generator[str]:
    """A real server on a free loopback port; answers its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            world.port,
            access_log=False,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=5,
            proxy_headers=False,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started, "the server starts")
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        world.port.close()
        server.should_exit = True
        thread.join(DEADLINE)
        listening.close()
        assert not thread.is_alive(), "the server did not stop"


def until(condition: Callable[[], T], what: str) -> T:
    """Wait until it is so."""
    give_up = time.monotonic() + DEADLINE
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for: {what}"
        time.sleep(0.005)
    return answer
