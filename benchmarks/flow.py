"""This file is where the ledger and the flow are timed, with an engine that does nothing.

`python benchmarks/flow.py latency|flow|scale|postgres [--json]`, one JSON document each.
"""

from __future__ import annotations

import argparse
import gc
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from services.postgres import cluster

from headgate.flow.dispatch import Dispatcher
from headgate.flow.watch import Watch
from headgate.ledger import schema
from headgate.ledger.catalogs import Declaration
from headgate.ledger.store import Ledger
from headgate.model import (
    Action,
    Condition,
    Event,
    Job,
    JobName,
    ObjectFilter,
    Predicate,
    RunState,
    StoredObject,
    Trigger,
    TriggerName,
    TriggerType,
    new_event_id,
)
from headgate.ports import Ending, Order, Watcher
from headgate.runtime.sweep import Sweep

UP, DOWN = JobName("a"), JobName("b")


class NoOp:
    """An engine whose every run succeeds the moment it starts. Notes when."""

    name = "noop"
    threads = 2
    here_only = False

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.started: dict[str, list[float]] = {UP: [], DOWN: []}
        self.seen = threading.Semaphore(0)

    def start(self, order: Order) -> str:
        self.started[order.run.job].append(time.perf_counter())
        self.watcher.ended(order.attempt_id, Ending(state=RunState.SUCCEEDED, at=datetime.now(UTC)))
        if order.run.job == DOWN:
            self.seen.release()
        return f"noop:{order.attempt_id}"

    def stop(self, order: Order, *, grace: float) -> None: ...
    def adopt(self, order: Order) -> None: ...
    def close(self) -> None: ...


class Bench:
    """A ledger with A on an event trigger and B on A's success."""

    def __init__(self, url: str, *, more_triggers: int = 0, declare: bool = True) -> None:
        self.ledger = Ledger(url, claims=True)
        self.engine = NoOp(Watch(self.ledger))
        self.dispatcher = Dispatcher(self.ledger, {"noop": self.engine}, grace=1.0)
        self.ledger.on_claimed = self.dispatcher.start
        self.ledger.alone = url.startswith("sqlite")
        self.ledger.open()
        self.sweep = Sweep(
            self.ledger,
            stop_run=self.dispatcher.stop,
            schedules=False,
            retention_days=90,
            logs=Path("/nonexistent"),
            on_outbox=lambda: None,
        )
        self.ledger.on_due = self.sweep.wake
        self.sweep.start()
        if declare:
            self.ledger.apply(declaration(more_triggers), everything=True, actor="bench").result()

    def close(self) -> None:
        self.sweep.close()
        self.dispatcher.close()
        self.ledger.close()


def declaration(more_triggers: int = 0) -> Declaration:
    jobs = {name: Job(name=name, engine="noop", target={}, max_concurrent_runs=100_000) for name in (UP, DOWN)}
    triggers = {
        TriggerName("up"): Trigger(
            name=TriggerName("up"),
            type=TriggerType.EVENT,
            actions=(Action(job=UP),),
            objects=ObjectFilter(bucket="raw", prefix="in/"),
            max_objects=1,
        ),
        TriggerName("then"): Trigger(
            name=TriggerName("then"),
            type=TriggerType.CONDITIONAL,
            actions=(Action(job=DOWN),),
            predicate=Predicate(conditions=(Condition(job=UP, state=RunState.SUCCEEDED),)),
        ),
    }
    for number in range(more_triggers):
        name = TriggerName(f"other-{number:05}")
        triggers[name] = Trigger(
            name=name,
            type=TriggerType.EVENT,
            actions=(Action(job=UP),),
            objects=ObjectFilter(bucket="raw", prefix=f"other/{number:05}/"),
        )
    return Declaration(jobs, triggers)


def event(name: str) -> Event:
    return Event(
        id=new_event_id(),
        door="s3",
        kind="ObjectCreated:Put",
        identity=name,
        at=datetime.now(UTC),
        object=StoredObject(bucket="raw", key=f"in/{name}.csv", size=10, etag=name, sequencer=secrets.token_hex(8)),
    )


def latency(bench: Bench, rounds: int = 400) -> Mapping[str, float]:
    """One event at a time: from handing it to the ledger to A's start, and from A's end to B's start (ms)."""
    starts: list[float] = []
    chains: list[float] = []
    for number in range(rounds):
        before = (len(bench.engine.started[UP]), len(bench.engine.started[DOWN]))
        began = time.perf_counter()
        bench.ledger.accept([event(f"l{number}-{secrets.token_hex(4)}")]).result()
        bench.engine.seen.acquire()
        first = bench.engine.started[UP][before[0]]
        starts.append((first - began) * 1e3)
        chains.append((bench.engine.started[DOWN][before[1]] - first) * 1e3)
        time.sleep(0.002)
    return {**quantiles("accept_to_start_ms", starts), **quantiles("a_ends_to_b_starts_ms", chains)}


def flow(bench: Bench, events: int = 6_000) -> Mapping[str, float]:
    """Everything at once: events handed in as fast as they are taken; A and B of each have run."""
    began, cpu = time.perf_counter(), time.process_time()
    prefix = secrets.token_hex(4)
    for number in range(events):
        bench.ledger.accept([event(f"f{prefix}-{number}")])
    for _ in range(events):
        bench.engine.seen.acquire()
    while bench.ledger.counts():
        time.sleep(0.001)
    seconds = time.perf_counter() - began
    return {
        "runs": 2 * events,
        "seconds": seconds,
        "runs_per_s": 2 * events / seconds,
        "cpu_us_per_run": (time.process_time() - cpu) * 1e6 / 2 / events,
    }


def quantiles(name: str, values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"{name}_p50": statistics.median(ordered), f"{name}_p99": ordered[int(len(ordered) * 0.99) - 1]}


def fill(url: str, runs: int) -> None:
    """A past of so many ended runs with their events and decisions, written straight into the tables."""
    engine = sa.create_engine(url)
    now = time.time()
    with engine.begin() as connection:
        base = int(connection.execute(sa.select(sa.func.max(schema.history.c.seq))).scalar() or 0) + 1
        numbers = connection.execute(sa.text("update meta set value = value + :n where name = 'numbers'"),
                                     {"n": runs + base})  # fmt: skip
        del numbers
        for start in range(0, runs, 20_000):
            some = range(base + start, base + min(start + 20_000, runs))
            connection.execute(schema.event.insert(), [
                {"seq": n, "id": f"ev_{secrets.token_hex(16)}", "door": "s3", "kind": "ObjectCreated:Put", "at": now,
                 "received_at": now, "bucket": "raw", "key": f"in/{n}.csv", "size": 1, "etag": "e", "version": "",
                 "sequencer": "", "path": "", "downstream": True} for n in some
            ])  # fmt: skip
            connection.execute(schema.history.insert(), [
                {"seq": n, "id": f"jr_{secrets.token_hex(32)}", "job": "ab"[n % 2], "engine": "noop",
                 "state": "SUCCEEDED" if n % 50 else "FAILED", "detail": "", "attempt": 0, "trigger": "up",
                 "arguments": "{}", "created_at": now, "started_at": now, "ended_at": now, "objects": 1,
                 "downstream": True, "max_retries": 0} for n in some
            ])  # fmt: skip
            connection.execute(schema.decision.insert(), [
                {"event_seq": n, "trigger": "up", "job": "a", "outcome": "fired", "reason": "x", "run_seq": n,
                 "at": now} for n in some
            ])  # fmt: skip
    engine.dispose()


def pages(ledger: Ledger, rounds: int = 200) -> Mapping[str, float]:
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        ledger.runs(limit=50)
        ledger.runs(job="a", limit=50)
        ledger.runs(state=RunState.FAILED, limit=50)
        times.append((time.perf_counter() - began) * 1e3)
    return quantiles("list_pages_ms", times)


def scale(folder: Path, runs: int = 1_000_000, triggers: int = 10_000) -> Mapping[str, object]:
    """The same at 10k runs and 2 triggers, and at `runs` and `triggers`; ratios of the medians."""
    found: dict[str, Mapping[str, float]] = {}
    benches: dict[str, Bench] = {}
    for name, past, more in (("small", 10_000, 0), ("large", runs, triggers)):
        url = f"sqlite:///{folder / name}.db"
        Bench(url, more_triggers=more).close()  # the past is written while nobody else holds the file
        fill(url, past)
        benches[name] = Bench(url, declare=False)
    rounds: dict[str, list[Mapping[str, float]]] = {"small": [], "large": []}
    for _ in range(3):  # in turns, so that a busy moment of the machine meets both
        for name, bench in benches.items():
            rounds[name].append({**latency(bench, 150), **pages(bench.ledger, 60), **flow(bench, 1_500)})
    for name, bench in benches.items():
        bench.close()
        found[name] = {key: statistics.median(one[key] for one in rounds[name]) for key in rounds[name][0]}
    small, large = found["small"], found["large"]
    ratios = {
        "list": large["list_pages_ms_p50"] / small["list_pages_ms_p50"],
        "accept": large["accept_to_start_ms_p50"] / small["accept_to_start_ms_p50"],
        "firing": large["a_ends_to_b_starts_ms_p50"] / small["a_ends_to_b_starts_ms_p50"],
        "flow": small["runs_per_s"] / large["runs_per_s"],
    }
    return {"small": small, "large": large, "ratios": ratios}


def postgres(processes: int = 2, events: int = 3_000) -> Mapping[str, float]:
    """The whole flow by several processes on one PostgreSQL."""
    with cluster(fsync=True) as url:
        Bench(url).close()
        command = [sys.executable, __file__, "one-process", "--url", url, "--events", str(events)]
        began = time.perf_counter()
        workers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for worker in workers:  # each says when it is ready; then all begin at once
            assert worker.stdout
            assert worker.stdout.readline().strip() == "ready"
        began = time.perf_counter()
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=300)
        seconds = time.perf_counter() - began
        with_latency = Bench(url)
        delays = latency(with_latency, 150)
        with_latency.close()
    return {"processes": processes, "runs_per_s": processes * 2 * events / seconds, **delays}


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30), cache_logger_on_first_use=True)
    gc.collect()  # as `headgate serve` does, see app.py
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["latency", "flow", "scale", "postgres", "one-process"])
    parser.add_argument("--url", default="")
    parser.add_argument("--events", type=int, default=6_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    given = parser.parse_args()
    if given.what == "one-process":
        bench = Bench(given.url, declare=False)
        print("ready", flush=True)
        sys.stdin.readline()
        flow_alone(bench, given.events)
        bench.close()
        return
    with tempfile.TemporaryDirectory(prefix="hg-bench-") as folder:
        if given.what == "scale":
            print(json.dumps(scale(Path(folder), given.runs)))
        elif given.what == "postgres":
            print(json.dumps(postgres(events=given.events // 2)))
        else:
            bench = Bench(f"sqlite:///{folder}/ledger.db")
            if given.what == "latency":
                print(json.dumps(latency(bench)))
            else:
                flow(bench, 500)  # caches
                print(json.dumps(flow(bench, given.events)))
            bench.close()


def flow_alone(bench: Bench, events: int) -> None:
    """One process's share: its own events' A and B, whichever process ran them, are over when the table is empty."""
    prefix = secrets.token_hex(4)
    futures = [bench.ledger.accept([event(f"p{prefix}-{number}")]) for number in range(events)]
    for future in futures:
        future.result()
    while bench.ledger.counts():
        time.sleep(0.005)


if __name__ == "__main__":
    main()
