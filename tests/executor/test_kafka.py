"""This file is where requests come over Kafka: read as DataHub writes them, none of them lost."""

from __future__ import annotations

import base64
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.execution_requests import RequestGms
from fakes.schema_registry import SchemaRegistry
from journeys.world import until
from services.kafka import MockKafka, change_log_schema, kafka

from headgate.datahub.wire import Limits
from headgate.errors import HeadgateError, LedgerUnavailable, Unavailable
from headgate.executor import executor as working
from headgate.executor.kafka import KafkaSource, Registry
from headgate.executor.pipeline_file import Kafka
from headgate.executor.requests import Change
from headgate.ledger.executions import Request
from headgate.settings.record import Secret

from .world import executing, file, reporting, runs, until_status

QUICK = Limits(connect=1.0, silence=1.0, whole=1.0, pause=0.01, longest_pause=0.02)


@pytest.fixture(scope="module")
def registry() -> Generator[SchemaRegistry]:
    with SchemaRegistry(change_log_schema()) as found:
        yield found


@pytest.fixture
def gms() -> Generator[RequestGms]:
    with RequestGms(events=False) as found:
        yield found


def connection(broker: MockKafka, registry: SchemaRegistry, group: str = "executor") -> Kafka:
    consumer = {
        "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": "100", "log_level": "0",
        # the mock cluster forgets who left a group only when his session is over
        "session.timeout.ms": "800", "heartbeat.interval.ms": "100",
    }  # fmt: skip
    return Kafka(bootstrap=broker.bootstrap, registry=registry.url.rstrip("/"), group=group, consumer=consumer)


class Following:
    """A source followed in a thread; what it hands over, and what ended it."""

    def __init__(self, settings: Kafka, *, fails: int = 0) -> None:
        self.taken: list[Change] = []
        self.error: HeadgateError | None = None
        self._fails = fails
        self._closing = threading.Event()
        self._source = KafkaSource(settings, schemas=Registry(settings, QUICK), patience=0.05)
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            self._source.follow(self._accept, self._closing)
        except HeadgateError as error:
            self.error = error

    def _accept(self, changes: Sequence[Change]) -> int:
        if changes and self._fails:
            self._fails -= 1
            raise LedgerUnavailable("the disk is full")
        self.taken += changes
        return len(changes)

    @property
    def requests(self) -> list[str]:
        return [one.urn for one in self.taken if isinstance(one, Request)]

    def close(self) -> None:
        self._closing.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def following(settings: Kafka, *, fails: int = 0) -> Generator[Following]:
    made = Following(settings, fails=fails)
    try:
        yield made
    finally:
        made.close()


def test_a_request_goes_over_kafka(tmp_path: Path, gms: RequestGms, registry: SchemaRegistry) -> None:
    """Avro in, a run, its result; the stop comes the same way; all of it again changes nothing."""
    with kafka() as broker:
        pipeline = replace(file(), kafka=connection(broker, registry))
        with executing(tmp_path, gms, pipeline) as app:
            urn = gms.ask(reporting("echo ünïcode"))
            broker.publish(*gms.changing.log)
            until_status(gms, urn, "SUCCESS")
            until(lambda: broker.committed("executor") == 1, "the offset to be committed")
            long = gms.ask({"source": {"type": "shell", "config": {"script": "sleep 600"}}})
            broker.publish(gms.changing.log[-1])
            until_status(gms, long, "RUNNING")
            gms.cancel(long)
            broker.publish(gms.changing.log[-1])
            until_status(gms, long, "CANCELLED")
            again = [one for one in gms.changing.log if not one["aspectName"].endswith("Result")]
            broker.publish(*again)
            until(lambda: broker.committed("executor") == 3 + len(again), "all of it to be read again")
            assert [run.arguments["--request"] for run in runs(app)] == [long, urn]
            assert "ünïcode" in gms.result(urn)["report"]


def test_an_offset_is_committed_after_the_ledger_has_it(gms: RequestGms, registry: SchemaRegistry) -> None:
    """Where the ledger does not take a request, Kafka keeps it, and gives it again."""
    urn = gms.ask()
    with kafka() as broker:
        broker.publish(*gms.changing.log)
        settings = connection(broker, registry)
        with following(settings, fails=1) as first:
            until(lambda: first.error, "the source to give up")
        assert isinstance(first.error, LedgerUnavailable)
        assert broker.committed("executor") < 0
        with following(settings) as second:
            until(lambda: second.requests, "the request to come again")
            until(lambda: broker.committed("executor") == 1, "it to be committed")
        assert second.requests == [urn]
        with following(settings) as third:
            later = gms.ask()
            broker.publish(gms.changing.log[-1])
            until(lambda: third.requests, "the later request")
        assert third.requests == [later]


def test_what_nobody_can_read_is_passed_over(gms: RequestGms, registry: SchemaRegistry) -> None:
    """Other framings, unknown schemas, cut Avro, tombstones and other entities hold up nothing."""
    urn = gms.ask()
    with kafka() as broker:
        dataset = {
            **gms.changing.log[0],
            "entityType": "dataset",
            "entityUrn": "urn:li:dataset:x",
            "aspectName": "status",
        }
        bad = [b"", b"\0", b"{}", b"\1\0\0\0\1abc", b"\0\0\0\0\1\2\3", b"\0\0\0\0\7abc", None]
        broker.write([(b"k", one) for one in bad])
        broker.publish(dataset, *gms.changing.log)
        with following(connection(broker, registry)) as found:
            until(lambda: found.requests, "the one that can be read")
            until(lambda: broker.committed("executor") == len(bad) + 2, "all of them to be done with")
        assert found.requests == [urn]
        assert len(found.taken) == 1


def test_a_registry_that_is_away_loses_nothing(gms: RequestGms) -> None:
    """Without the schema nothing is passed over: it is read once the registry answers."""
    gms.ask()
    with kafka() as broker, SchemaRegistry(change_log_schema()) as registry:
        broker.publish(*gms.changing.log)
        settings = connection(broker, registry)
        registry.status = 503
        with following(settings) as found:
            until(lambda: found.error, "the source to say so")
        assert isinstance(found.error, Unavailable)
        assert "schema registry" in str(found.error)
        assert broker.committed("executor") < 0
        registry.status = 200
        with following(settings) as found:
            until(lambda: found.requests, "the request")
        assert registry.asked.count("/schema-registry/api/schemas/ids/1") == len(registry.asked)


def test_a_registry_may_want_a_login(gms: RequestGms) -> None:
    """It is shown as Basic, and never in a repr."""
    gms.ask()
    shown = "Basic " + base64.b64encode(b"me:hush-hush").decode()
    with kafka() as broker, SchemaRegistry(change_log_schema(), login=shown) as registry:
        broker.publish(*gms.changing.log)
        settings = replace(connection(broker, registry), registry_login=Secret("me:hush-hush"))
        with following(settings) as found:
            until(lambda: found.requests, "the request")
        assert "hush-hush" not in repr(settings)


def test_brokers_that_are_away_are_said_so(
    tmp_path: Path, gms: RequestGms, registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are then looked for in DataHub's lists; /readyz tells why; Kafka is used again when it is back."""
    monkeypatch.setattr(working, "AGAIN", 0.2)
    with kafka() as broker:
        broker.down()
        pipeline = replace(file(), kafka=connection(broker, registry))
        with executing(tmp_path, gms, pipeline) as app:
            urn = gms.ask(reporting())
            until_status(gms, urn, "SUCCESS")
            until(lambda: any("Kafka at" in str(one) for one in _problems(app.readiness())), "the problem to be shown")
            broker.up()
            until(lambda: not app.readiness()["problems"], "Kafka to be followed again")
            assert len(runs(app)) == 1


def _problems(ready: object) -> list[object]:
    found = ready["problems"] if isinstance(ready, dict) else []  # type: ignore[index] # a JSON object
    return list(found) if isinstance(found, list) else []
