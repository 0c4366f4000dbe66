"""This file is where a project of fast jobs, servers that are killed, and a load that remembers are for chaos tests."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

PREFIX = "up/"
DEADLINE = 60.0
PYTHON_PATH = str(Path(__file__).resolve().parents[2] / "src")

#: What every run really did is in files of their own, written by the jobs and by nobody else.
JOBS = '''
import os, random, sys, time
from pathlib import Path

RAN = Path(__file__).parent / "ran"


def _note(text):
    fd = os.open(RAN / os.environ["HEADGATE_ATTEMPT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, f"{text}\\n".encode())
    os.close(fd)


def _work(context, name, failing):
    _note(f"begin {name} {os.getpid()}")
    for line in range(10):
        print(f"line {line}", flush=True)
        time.sleep(random.uniform(0.0, 0.008))
    if random.random() < failing:
        _note("failed")
        raise RuntimeError(f"meant to fail {context.run_id}")
    context.result(run=context.run_id)
    _note("succeeded")


def first(context):
    _work(context, "first", 0.1)


def second(context):
    _work(context, "second", 0.0)


def long(context):
    """Until told: the survivor that a killed server leaves behind."""
    _note(f"begin long {os.getpid()}")
    for line in range(100_000):
        print(f"line {line}", flush=True)
        if (Path(__file__).parent / "enough").exists():
            _note("succeeded")
            return
        time.sleep(0.01)
'''

CONFIGURATION = """
lease: 2s
jobs:
  first: {engine: local, run: chaos_jobs.first, max_concurrent_runs: 4}
  second: {engine: local, run: chaos_jobs.second, max_concurrent_runs: 4}
  long: {engine: local, run: chaos_jobs.long, max_concurrent_runs: 4}
triggers:
  uploaded: {type: EVENT, s3: {bucket: raw, prefix: up/}, max_objects: 5, actions: [first]}
  followed:
    type: CONDITIONAL
    predicate: {conditions: [{job: first, state: SUCCEEDED}]}
    actions: [second]
inboxes:
  raw: ./inbox
"""


def make_project(folder: Path) -> Path:
    """The project's folder, ready to be served."""
    (folder / "ran").mkdir(parents=True)
    (folder / "inbox" / PREFIX).mkdir(parents=True)
    (folder / "chaos_jobs.py").write_text(JOBS, "utf-8")
    (folder / "headgate.yaml").write_text(CONFIGURATION, "utf-8")
    return folder


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Server:
    """A `headgate serve` of its own process, at one port for all its lives."""

    def __init__(self, project: Path, *, database: str = "", name: str = "serve") -> None:
        self.project = project
        self.port = free_port()
        self._log = project / f"{name}.log"
        self._environ = {**os.environ, "HEADGATE_HOME": str(project / ".headgate"), "HEADGATE_LOG_FORMAT": "json"}
        if database:
            self._environ["HEADGATE_DATABASE_URL"] = database
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    def start(self) -> None:
        """Begin a life. Returns at once."""
        self.started_at = time.time()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "headgate", "serve", "-c", str(self.project), "--port", str(self.port)],
                env=self._environ,
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        give_up = time.monotonic() + DEADLINE
        while not answers(self.port):
            process = self._process
            assert process is not None
            assert process.poll() is None, f"the server ended by itself: {self.log()[-3000:]}"
            assert time.monotonic() < give_up, f"no answer within {DEADLINE} s: {self.log()[-3000:]}"
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> int:
        """Ask it to end; its exit code."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@dataclass(slots=True)
class Load:
    """Posts events and drops files until stopped, and remembers what was acknowledged."""

    ports: Sequence[int]
    inbox: Path
    pause: float = 0.01  #: seconds between two events of one thread
    acknowledged: dict[str, str] = field(default_factory=dict[str, str])  #: key by event id
    dropped: list[str] = field(default_factory=list[str])
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, threads: int = 2) -> Generator[None]:
        everyone = [threading.Thread(target=self._post, args=(number,)) for number in range(threads)]
        everyone.append(threading.Thread(target=self._drop))
        for thread in everyone:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in everyone:
                thread.join(DEADLINE)

    def _post(self, thread: int) -> None:
        number = 0
        while not self._over.wait(self.pause):
            key = f"{PREFIX}posted-{thread}-{number}.csv"
            number += 1
            # the same event again until someone takes it: that is what S3, SQS and SNS do
            for attempt in count():
                answer = post_event(self.ports[(number + attempt) % len(self.ports)], key)
                if answer is not None:
                    self.acknowledged[answer] = key
                if answer is not None or self._over.wait(0.05):
                    break

    def _drop(self) -> None:
        number = 0
        while not self._over.wait(0.15):
            name = f"dropped-{number}.csv"
            number += 1
            temporary = self.inbox / f".{name}.tmp"
            temporary.write_text(f"{number}\n", "utf-8")
            temporary.rename(self.inbox / PREFIX / name)
            self.dropped.append(PREFIX + name)


def post_event(port: int, key: str) -> str | None:
    """The id of the event if it was acknowledged, else None."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "s3": {"bucket": {"name": "raw"}, "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "01"}},
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
    try:
        connection.request(
            "POST",
            "/api/ingestion/events",
            json.dumps({"Records": [record]}),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        body = answer.read()
        return str(json.loads(body)["events"][0]["id"]) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def start_run(port: int, job: str) -> str:
    """The id of a run started by hand."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    connection.request(
        "POST",
        "/headgate/api/v1/runs",
        json.dumps({"job": job}),
        {"Content-Type": "application/json", "X-Headgate-Request": "1"},
    )
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert answer.status < 300, body
    return str(body["id"])


def executions(project: Path) -> Mapping[str, list[str]]:
    """What each attempt's job wrote itself, by attempt id."""
    return {file.name: file.read_text("utf-8").splitlines() for file in (project / "ran").iterdir()}


def processes_of(project: Path) -> list[int]:
    """Processes that belong to a project: their environment or command line names its folder."""
    found: list[int] = []
    mark = str(project).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            state = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark in said and state not in "ZX":
            found.append(int(entry.name))
    return found


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up, f"waited {DEADLINE} s for {what}"
        time.sleep(0.01)


def nothing_left(project: Path) -> list[int]:
    """Wait until no process of a project is left; answers those that are when that takes too long."""
    give_up = time.monotonic() + 20.0
    while (left := processes_of(project)) and time.monotonic() < give_up:
        time.sleep(0.02)
    return left


def end_everything(project: Path) -> list[int]:
    """Kill what is left of a project; answers what was there."""
    left = processes_of(project)
    give_up = time.monotonic() + DEADLINE
    while remaining := processes_of(project):
        for pid in remaining:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        assert time.monotonic() < give_up, f"these do not end: {remaining}"
        time.sleep(0.02)
    return left
