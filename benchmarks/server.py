"""This file is where a real `headgate serve` is timed: accepts over HTTP (by wrk), recovery after kill -9, idle.

`python benchmarks/server.py accept|lineage|recovery|recovery-postgres|idle`, one JSON document each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import sqlalchemy as sa

CONFIG = """
jobs:
  quick: {engine: local, command: [sleep, "0.05"]}
  slow: {engine: local, command: [sleep, "30"], max_concurrent_runs: 20}
  slower: {engine: local, command: [sleep, "300"], max_concurrent_runs: 20}
triggers:
  arrived: {type: EVENT, s3: {bucket: raw, prefix: in/}, settle: 60s, max_objects: 10000, actions: [quick]}
"""

#: wrk's script: every request is a new object of its own.
LUA = """
local n = 0
local id = 0
function setup(thread) thread:set("id", id); id = id + 1 end
function request()
  n = n + 1
  local key = string.format("in/%d-%d.csv", id, n)
  local body = '{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1",' ..
    '"eventTime":"2026-01-01T00:00:00.000Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0",' ..
    '"configurationId":"c","bucket":{"name":"raw","arn":"arn:aws:s3:::raw"},"object":{"key":"' .. key ..
    '","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"' ..
    string.format("%016x", n) .. '"}}}]}'
  return wrk.format("POST", "/api/ingestion/events", {["Content-Type"] = "application/json"}, body)
end
"""


#: The same for OpenLineage: every request is an event of a run of its own. %s is where the run's number goes.
LINEAGE_LUA = """
local n = 0
local id = 0
function setup(thread) thread:set("id", id); id = id + 1 end
local before, after = [==[%s]==], [==[%s]==]
function request()
  n = n + 1
  local body = before .. string.format("%%04x%%08x", id, n) .. after
  return wrk.format("POST", "/openapi/openlineage/api/v1/lineage", {["Content-Type"] = "application/json"}, body)
end
"""


@contextmanager
def project() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="hg-bench-") as folder:
        (Path(folder) / "headgate.yaml").write_text(CONFIG, "utf-8")
        yield Path(folder)


class Server:
    """A `headgate serve` of our own; its URL is read from the note it writes."""

    def __init__(self, folder: Path, *, wait: bool = True, database: str = "") -> None:
        self.folder = folder
        self.began = time.perf_counter()
        environ = {**os.environ, "HEADGATE_LOG_LEVEL": "warning"}
        if database:
            environ["HEADGATE_DATABASE_URL"] = database
        command = [sys.executable, "-m", "headgate", "serve", "-c", str(folder / "headgate.yaml"), "--port", "0"]
        with (folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=folder)
        self.url = ""
        if wait:
            self.wait()

    def wait(self) -> None:
        self.url = self._find()

    def _find(self) -> str:
        note = self.folder / ".headgate" / "server.json"
        until = time.perf_counter() + 30
        while time.perf_counter() < until:
            try:
                noted = json.loads(note.read_text("utf-8"))
            except (OSError, ValueError):
                noted = {}
            if noted.get("pid") == self.process.pid:
                return str(noted["url"])
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "serve.log").read_text("utf-8")[-2000:])
            time.sleep(0.001)
        raise RuntimeError("the server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()


def accept(rounds: int = 3, seconds: int = 8) -> Mapping[str, object]:
    """32 connections, one S3 record a POST, each answered after its commit."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    found: list[dict[str, float]] = []
    with project() as folder:
        (folder / "post.lua").write_text(LUA, "utf-8")
        server = Server(folder)
        try:
            for _ in range(rounds):
                command = [wrk, "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", str(folder / "post.lua"), server.url]
                said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
                found.append(read_wrk(said))
            listed = httpx.get(f"{server.url}/headgate/api/v1/events?limit=1", timeout=10).json()
        finally:
            server.close()
    return {
        "posts_per_s": statistics.median(one["posts_per_s"] for one in found),
        "p50_ms": statistics.median(one["p50_ms"] for one in found),
        "p99_ms": statistics.median(one["p99_ms"] for one in found),
        "not_200": sum(one["not_200"] for one in found),
        "rounds": found,
        "last_event": listed["items"][0]["id"],
    }


def lineage(rounds: int = 3, seconds: int = 5) -> Mapping[str, object]:
    """32 connections, one OpenLineage event of about 7 KB a POST; beside it the relay drains into the embedded catalog.

    `drained_per_s`: how fast what had queued up was told once nobody posted any more.
    """
    from lineage import event

    run = "0195600a-0000-7000-8000-000000000001"
    text = json.dumps(event(), separators=(",", ":"))
    before, _, after = text.partition(run[-12:])
    found: list[dict[str, float]] = []
    with project() as folder:
        (folder / "post.lua").write_text(LINEAGE_LUA % (before, after), "utf-8")
        server = Server(folder)
        try:
            for _ in range(rounds):
                command = [
                    "wrk",
                    "-t1",
                    "-c32",
                    f"-d{seconds}s",
                    "--latency",
                    "-s",
                    str(folder / "post.lua"),
                    server.url,
                ]
                said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
                found.append(read_wrk(said))
            queued, began = _waiting(server.url), time.perf_counter()
            _until(lambda: _waiting(server.url) == 0, 600.0)
            drained = queued / (time.perf_counter() - began)
        finally:
            server.close()
    return {
        "bytes": len(text),
        "posts_per_s": statistics.median(one["posts_per_s"] for one in found),
        "p50_ms": statistics.median(one["p50_ms"] for one in found),
        "p99_ms": statistics.median(one["p99_ms"] for one in found),
        "not_201": sum(one["not_200"] for one in found),
        "queued": queued,
        "drained_per_s": drained,
        "rounds": found,
    }


def _waiting(url: str) -> int:
    return int(httpx.get(f"{url}/readyz", timeout=30).json()["outbox"]["waiting"])


def read_wrk(said: str) -> dict[str, float]:
    def milliseconds(label: str) -> float:
        match = re.search(rf"^\s*{label}\s+([\d.]+)(us|ms|s)", said, re.MULTILINE)
        if match is None:
            raise RuntimeError(said)
        return float(match[1]) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[match[2]]

    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if rate is None:
        raise RuntimeError(said)
    return {
        "posts_per_s": float(rate[1]),
        "p50_ms": milliseconds("50%"),
        "p99_ms": milliseconds("99%"),
        "not_200": float(wrong[1]) if wrong else 0.0,
    }


def recovery(rounds: int = 5) -> Mapping[str, object]:
    """Kill -9 with 20 jobs under way; from the restart's exec until all are taken up, and until the API answers."""
    times: list[float] = []
    taken: list[float] = []
    with project() as folder:
        server = Server(folder)
        try:
            api = f"{server.url}/headgate/api/v1/runs"
            runs = [str(httpx.post(api, json={"job": "slow"}, timeout=10).json()["id"]) for _ in range(20)]
            _until(lambda: _running(server.url) == len(runs))
            for _ in range(rounds):
                before = _owners(folder)
                server.kill()
                server = Server(folder, wait=False)
                _until(partial(_all_new, folder, before))
                taken.append(time.perf_counter() - server.began)
                server.wait()
                _until(lambda server=server: _running(server.url) == len(runs))
                times.append(time.perf_counter() - server.began)
            for run in runs:
                httpx.post(f"{server.url}/headgate/api/v1/runs/{run}/stop", json={}, timeout=10)
            _until(lambda: _running(server.url) == 0)
        finally:
            server.close()
    return {
        "taken_up_s": statistics.median(taken),
        "taken_up_max_s": max(taken),
        "api_answers_s": statistics.median(times),
        "runs_under_way": 20,
    }


LEASE = 15.0  #: seconds; the default


def recovery_postgres(rounds: int = 3) -> Mapping[str, object]:
    """The same on PostgreSQL, where others may be alive: the dead one's lease has to end first."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from services.postgres import cluster

    taken: list[float] = []
    with cluster(fsync=True) as url, project() as folder:
        engine = sa.create_engine(url)

        def owners() -> set[str]:
            with engine.connect() as connection:
                return set(connection.scalars(sa.text("select distinct owner from run where owner is not null")))

        server = Server(folder, database=url)
        try:
            api = f"{server.url}/headgate/api/v1/runs"
            runs = [str(httpx.post(api, json={"job": "slower"}, timeout=10).json()["id"]) for _ in range(20)]
            _until(lambda: _running(server.url) == len(runs))
            for _ in range(rounds):
                before = owners()
                server.kill()
                server = Server(folder, wait=False, database=url)
                _until(partial(_others, owners, before))
                taken.append(time.perf_counter() - server.began)
                server.wait()
                _until(lambda server=server: _running(server.url) == len(runs))
            for run in runs:
                httpx.post(f"{server.url}/headgate/api/v1/runs/{run}/stop", json={}, timeout=10)
            _until(lambda: _running(server.url) == 0)
        finally:
            server.close()
            engine.dispose()
    median = statistics.median(taken)
    return {"taken_up_s": median, "taken_up_max_s": max(taken), "lease_s": LEASE, "leases": max(taken) / LEASE}


def _others(owners: Callable[[], set[str]], before: set[str]) -> bool:
    now = owners()
    return bool(now) and now.isdisjoint(before)


def _all_new(folder: Path, before: set[str]) -> bool:
    return _owners(folder).isdisjoint(before)


def _owners(folder: Path) -> set[str]:
    """Which replicas own the runs under way; the new one's once they are taken up."""
    with closing(sqlite3.connect(folder / ".headgate" / "ledger.db", timeout=10)) as ledger:
        return {str(owner) for (owner,) in ledger.execute("select distinct owner from run")}


def _running(url: str) -> int:
    page = httpx.get(f"{url}/headgate/api/v1/runs?limit=100", timeout=10).json()
    return sum(one["state"] in ("RUNNING", "STOPPING") for one in page["items"])


def _until(true: object, seconds: float = 60.0) -> None:
    assert callable(true)
    until = time.perf_counter() + seconds
    while not true():
        if time.perf_counter() > until:
            raise RuntimeError("it did not happen in time")
        time.sleep(0.002)


def idle(seconds: float = 20.0) -> Mapping[str, float]:
    """A server with the example's inbox, after it has run something, with nobody looking."""
    from headgate.project import write_project

    with tempfile.TemporaryDirectory(prefix="hg-bench-") as name:
        folder = Path(name)
        write_project(folder)
        server = Server(folder)
        try:
            httpx.get(f"{server.url}/headgate/", timeout=10)
            time.sleep(3)
            before = _cpu(server.process.pid)
            time.sleep(seconds)
            used = _cpu(server.process.pid) - before
            memory = _memory(server.process.pid)
        finally:
            server.close()
    return {"cpu_percent": 100 * used / seconds, "rss_mb": memory}


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


MEASURED = {
    "accept": accept,
    "lineage": lineage,
    "recovery": recovery,
    "recovery-postgres": recovery_postgres,
    "idle": idle,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=list(MEASURED))
    given = parser.parse_args()
    print(json.dumps(MEASURED[given.what]()))


if __name__ == "__main__":
    main()
