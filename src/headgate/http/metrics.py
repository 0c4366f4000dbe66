"""This file is where what happens is counted, and shown to Prometheus as `headgate_*`.

The hot path adds to plain numbers; everything else (queues, outbox) is looked up when somebody scrapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from headgate.errors import Unavailable
from headgate.gate import Gate
from headgate.ledger import dead
from headgate.ledger.accepting import Receipt
from headgate.model import Run

_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

Family = CounterMetricFamily | GaugeMetricFamily


class Metrics:
    """This process's numbers. Counting is done on the event loop, except ends, which the ledger's writer counts."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "headgate_accept_seconds",
            "From the request's body to the durable answer, for accepted events.",
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Collected(self))
        self.accepted = 0
        self.duplicate = 0
        self.decisions: Counter[str] = Counter()
        self.ends: Counter[tuple[str, str]] = Counter()

    @property
    def gate(self) -> Gate:
        return self._gate

    def took(self, receipts: Sequence[Receipt], seconds: float) -> None:
        for receipt in receipts:
            if receipt.duplicate:
                self.duplicate += 1
                continue
            self.accepted += 1
            for decision in receipt.decisions:
                self.decisions[decision.outcome.value] += 1
        self._latency.observe(seconds)

    def ended(self, run: Run) -> None:
        self.ends[run.job, run.state.value] += 1

    def text(self) -> bytes:
        """Prometheus' text format. Reads the ledger; with none to read its gauges are left out."""
        return generate_latest(self._registry)


class _Collected(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterator[Family]:
        """Nothing, so that registering does not read the ledger."""
        yield from ()

    def collect(self) -> Iterator[Family]:
        yield from self._counted()
        yield from self._looked_up()

    def _counted(self) -> Iterator[Family]:
        metrics = self._metrics
        events = CounterMetricFamily(
            "headgate_events", "Events that came in over HTTP, by whether they had been here before.", labels=["result"]
        )
        events.add_metric(["accepted"], metrics.accepted)
        events.add_metric(["duplicate"], metrics.duplicate)
        yield events
        decisions = CounterMetricFamily(
            "headgate_decisions", "What events that came in over HTTP led to.", labels=["outcome"]
        )
        for outcome, number in metrics.decisions.copy().items():
            decisions.add_metric([outcome], number)
        yield decisions
        ended = CounterMetricFamily(
            "headgate_runs_ended", "Runs this process brought to their end.", labels=["job", "state"]
        )
        for (job, state), number in metrics.ends.copy().items():
            ended.add_metric([job, state], number)
        yield ended

    def _looked_up(self) -> Iterator[Family]:
        ledger = self._metrics.gate.ledger
        batches, operations = ledger.written
        for name, number in (("batches", batches), ("operations", operations)):
            yield CounterMetricFamily(f"headgate_ledger_{name}", f"Ledger {name} committed by this process.", number)
        up = GaugeMetricFamily("headgate_ledger_up", "1 when the ledger could be read for this scrape.")
        try:
            counts, outbox, unread = ledger.counts(), ledger.outbox()[0], ledger.read(dead.count)
        except Unavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        under_way = GaugeMetricFamily("headgate_runs", "Runs under way in the ledger.", labels=["job", "state"])
        for job, states in counts.items():
            for state, number in states.items():
                under_way.add_metric([job, state], number)
        yield under_way
        waiting = sum(states.get("WAITING", 0) for states in counts.values())
        yield GaugeMetricFamily("headgate_queue_depth", "Runs that wait for their turn.", value=waiting)
        yield GaugeMetricFamily("headgate_outbox_depth", "Messages still to be told.", value=outbox)
        yield GaugeMetricFamily("headgate_dead_letters", "Messages of queues that could not be read.", value=unread)
