"""This file is where journeys get a project, an App over it, and someone who is told."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from services.tables import put_tables

from headgate.app import App
from headgate.model import Event, Run, RunState, StoredObject, new_event_id
from headgate.settings.load import load

DEADLINE = 45.0

JOBS = """
import os, sys, time
from pathlib import Path

HERE = Path(__file__).parent


def first(context):
    objects = [one.key for one in context.manifest or ()]
    print("objects:", *objects)
    context.progress(done=1)
    context.result(objects=objects)


def second(context):
    print("second after", context.arguments)


def failing(context):
    if not (HERE / "mended").exists():
        raise RuntimeError("not mended yet")


def flaky(context):
    count = HERE / "tries"
    count.write_text(str(int(count.read_text() if count.exists() else 0) + 1))
    if int(count.read_text()) < 3:
        raise RuntimeError(f"try {count.read_text()}")


def hopeless(context):
    from headgate.job import NotRetryable

    raise NotRetryable("the table does not exist")


def endless(context):
    print("up", flush=True)
    while True:
        time.sleep(0.05)
"""


def make_project(folder: Path, configuration: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journey_jobs.py").write_text(JOBS, "utf-8")
    (folder / "headgate.yaml").write_text(configuration, "utf-8")
    return folder


@contextmanager
def running(project: Path, *, doors: bool = False, **environ: str) -> Generator[App]:
    """An App over the project, as `headgate serve` has it, without HTTP."""
    settings = load(project, environ)
    put_tables(settings.home)
    app = App.build(settings, worker=True, doors=doors)
    app.start()
    try:
        yield app
    finally:
        app.close()


def created(key: str, *, bucket: str = "raw", etag: str = "1") -> Event:
    return Event(
        id=new_event_id(),
        door="s3",
        kind="ObjectCreated:Put",
        identity=f"{bucket}/{key}/{etag}",
        at=datetime.now(UTC),
        object=StoredObject(bucket=bucket, key=key, size=1, etag=etag),
    )


def ended(app: App, run: Run | str) -> Run:
    """The run, when it is over."""
    name = run if isinstance(run, str) else run.id
    until(lambda: app.ledger.run(name).ended_at, f"{name} to end")
    return app.ledger.run(name)


def in_state(app: App, run: Run, state: RunState) -> Run:
    until(lambda: app.ledger.run(run.id).state is state, f"{run.id} to be {state}")
    return app.ledger.run(run.id)


def runs_of(app: App, job: str) -> list[Run]:
    return list(app.ledger.runs(job=job, limit=1000).items)[::-1]


def one_at_a_time(runs: Sequence[Run]) -> None:
    """From when they started to when they ended, no two of the runs overlap."""
    spans = sorted((run.started_at, run.ended_at) for run in runs if run.started_at and run.ended_at)
    assert len(spans) == len(runs)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end <= start, f"one started at {start}, before another ended at {end}"


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.01)


class Receiver:
    """Takes webhooks on loopback and remembers them; `status` is what it answers."""

    def __init__(self) -> None:
        self.got: list[dict[str, object]] = []
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.hold.wait(DEADLINE)
                if receiver.status == 200:
                    receiver.got.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def kinds(self, job: str) -> Sequence[object]:
        return [one["kind"] for one in self.got if one["job"] == job]

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
