"""This file is where Glue's API is timed: against moto_server in the same run, and with 100,000 runs of one job.

`python benchmarks/glue.py against-moto|pages [--seconds N]`, one JSON document each. The client is wrk, which costs
next to nothing; boto3 itself takes a millisecond of processor for each call, more than the server does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from server import Server, read_wrk

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

CLIENTS = 4
MANY = 100_000
PAGE = 50

CONFIG = """
jobs:
  held: {engine: local, command: [sleep, "600"]}
"""

#: wrk's script: the same call again and again, as an SDK sends it but for the signature, which neither side checks.
LUA = """
wrk.method = "POST"
wrk.path = "/"
wrk.headers["Content-Type"] = "application/x-amz-json-1.1"
wrk.headers["X-Amz-Target"] = "AWSGlue.%s"
wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/glue/aws4_request, " ..
  "SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
wrk.body = [==[%s]==]
"""


def call(url: str, operation: str, body: Mapping[str, object]) -> dict[str, object]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSGlue.{operation}",
        "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/glue/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
    }
    connection.request("POST", "/", json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{operation}: {answer.status} {text[:500]!r}")
    found: dict[str, object] = json.loads(text)
    return found


def rate(url: str, operation: str, body: Mapping[str, object], *, seconds: int, folder: Path) -> dict[str, float]:
    """Calls a second and their times, by CLIENTS connections at once."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    script = folder / f"{operation}.lua"
    script.write_text(LUA % (operation, json.dumps(body)), "utf-8")
    command = [wrk, "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    found = read_wrk(said)
    return {
        "per_s": found["posts_per_s"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "wrong": found["not_200"],
    }


def against_moto(rounds: int = 3, seconds: int = 5) -> Mapping[str, object]:
    """StartJobRun (ours committed before it answers) and GetJobRun, in turn at ours and at moto's server."""
    from services.moto import moto

    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory(prefix="hg-bench-") as name, moto() as theirs:
        folder = Path(name)
        (folder / "headgate.yaml").write_text(CONFIG, "utf-8")
        command = {"Name": "glueetl", "ScriptLocation": "s3://b/k"}
        call(theirs, "CreateJob", {"Name": "held", "Role": "r", "Command": command})
        server = Server(folder)
        try:
            sides = {"headgate": server.url, "moto": theirs}
            start = {"JobName": "held", "JobRunQueuingEnabled": True}
            runs = {side: str(call(url, "StartJobRun", start)["JobRunId"]) for side, url in sides.items()}
            for _ in range(rounds):
                for side, url in sides.items():
                    calls = {"GetJobRun": {"JobName": "held", "RunId": runs[side]}, "StartJobRun": start}
                    for operation, body in calls.items():
                        seen = rate(url, operation, body, seconds=seconds, folder=folder)
                        found.setdefault(operation, {}).setdefault(side, []).append(seen)
            page = call(server.url, "GetJobRuns", {"JobName": "held", "MaxResults": 1})
        finally:
            server.close()
        slow = fsync(folder)
    told: dict[str, object] = {"clients": CLIENTS, "fsync_ms": slow, "last": page, "rounds": found}
    for operation, sides_seen in found.items():
        middle = {side: statistics.median(one["per_s"] for one in seen) for side, seen in sides_seen.items()}
        told[operation] = {
            **middle,
            "ratio": middle["headgate"] / middle["moto"],
            "wrong": sum(one["wrong"] for seen in sides_seen.values() for one in seen),
        }
    return told


def fsync(folder: Path, times: int = 200) -> float:
    """Milliseconds that the disk takes to make a page durable: what every commit waits for."""
    with (folder / "fsync").open("wb") as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - began) / times * 1e3


def pages(seconds: int = 3) -> Mapping[str, object]:
    """The first page of 50 job runs and one from the middle, of a job with 50 runs and of one with 100,000."""
    with tempfile.TemporaryDirectory(prefix="hg-bench-") as name:
        folder = Path(name)
        (folder / "headgate.yaml").write_text("jobs:\n  few: {engine: local, command: ['true']}\n"
                                              "  many: {engine: local, command: ['true']}\n", "utf-8")  # fmt: skip
        fill(folder, {"few": 2 * PAGE, "many": MANY})
        server = Server(folder)
        try:
            seen: dict[str, dict[str, float]] = {}
            for job in ("few", "many", "few", "many"):
                body: dict[str, object] = {"JobName": job, "MaxResults": PAGE}
                seen[f"{job}, first"] = rate(server.url, "GetJobRuns", body, seconds=seconds, folder=folder)
                for _ in range(1 if job == "few" else MANY // PAGE // 20):
                    body["NextToken"] = call(server.url, "GetJobRuns", body)["NextToken"]
                seen[f"{job}, later"] = rate(server.url, "GetJobRuns", body, seconds=seconds, folder=folder)
        finally:
            server.close()
    base = seen["few, first"]["p50_ms"]
    return {
        "runs": MANY,
        "page": PAGE,
        "seen": seen,
        "times_first": seen["many, first"]["p50_ms"] / base,
        "times_later": seen["many, later"]["p50_ms"] / seen["few, later"]["p50_ms"],
    }


def fill(folder: Path, wanted: Mapping[str, int]) -> None:
    """Write so many runs that are over, as runs end: into the history, each with its event."""
    from headgate.ledger import dialects, rows, schema
    from headgate.ledger.runs import Wanted, row_for
    from headgate.ledger.store import Ledger, wait_for
    from headgate.ledger.writer import Batch
    from headgate.model import Action, Cause, Event, Job, JobName, new_event_id

    home = folder / ".headgate"
    home.mkdir(mode=0o700)
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}")
    ledger.open()
    began = time.time()

    def portion(batch: Batch, job: Job, count: int) -> None:
        numbers = dialects.take_numbers(batch.connection, 2 * count)
        events: list[dict[str, object]] = []
        runs: list[dict[str, object]] = []
        for number in range(count):
            event = Event(id=new_event_id(), door="glue", kind="Asked", identity="", at=rows.sure_moment(began),
                          payload={"job": job.name, "actor": "urn:li:corpuser:local"})  # fmt: skip
            events.append(rows.event_row(event, numbers[2 * number], began))
            wish = Wanted(action=Action(job=job.name), cause=Cause(event=event.id), root=None, downstream=True)
            row = row_for(wish, job, seq=numbers[2 * number + 1], now=began)
            row.update(state="SUCCEEDED", detail="", started_at=began, ended_at=began + 1)
            runs.append(row)
        dialects.insert_many(batch.connection, schema.event, events)
        dialects.insert_many(batch.connection, schema.history, runs)

    try:
        for name, count in wanted.items():
            job = Job(name=JobName(name), engine="local", target={"command": ["true"]})
            for done in range(0, count, 5_000):
                size = min(5_000, count - done)
                wait_for(ledger.write(lambda batch, job=job, size=size: portion(batch, job, size)), 60)
    finally:
        ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["against-moto", "pages"])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.what == "pages":
        print(json.dumps(pages(given.seconds)))
    else:
        print(json.dumps(against_moto(given.rounds, given.seconds)))


if __name__ == "__main__":
    main()
