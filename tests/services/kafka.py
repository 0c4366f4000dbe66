"""This file is where tests get a Kafka: librdkafka's mock cluster, on loopback, in memory, with groups and commits.

It lives in this process and serves others, too. Through librdkafka's C API, so that topics have one partition and a
group forms at once (the Python client has no names for that).
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from fastavro import parse_schema, schemaless_writer

TOPIC = "MetadataChangeLog_Versioned_v1"
SCHEMA_ID = 1


@dataclass(frozen=True, slots=True)
class MockKafka:
    """A running cluster of one broker."""

    bootstrap: str
    library: Any
    cluster: Any

    def publish(self, *changes: Mapping[str, Any], topic: str = TOPIC) -> None:
        """Write changes as DataHub does: Avro in Confluent's framing, keyed by their URNs."""
        self.write([(str(one["entityUrn"]).encode(), framed(one)) for one in changes], topic)

    def write(self, messages: Sequence[tuple[bytes, bytes | None]], topic: str = TOPIC) -> None:
        """Write keys and values as they are."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for key, value in messages:
            producer.produce(topic, key=key, value=value)
        assert producer.flush(20) == 0, "Kafka did not take the messages"

    def committed(self, group: str, topic: str = TOPIC) -> int:
        """The group's offset; negative before it has one."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            [found] = consumer.committed([TopicPartition(topic, 0)], timeout=20)
            return found.offset
        finally:
            consumer.close()

    def down(self) -> None:
        """Nobody can connect, and who was connected is cut off."""
        self.library.rd_kafka_mock_broker_set_down(self.cluster, 1)

    def up(self) -> None:
        self.library.rd_kafka_mock_broker_set_up(self.cluster, 1)


@contextmanager
def kafka(*topics: str) -> Generator[MockKafka]:
    """A cluster with these topics (the change log's where none is named)."""
    library = _library()
    told = ctypes.create_string_buffer(512)
    handle = library.rd_kafka_new(0, library.rd_kafka_conf_new(), told, 512)
    assert handle, told.value
    cluster = library.rd_kafka_mock_cluster_new(handle, 1)
    try:
        for one in topics or (TOPIC,):
            assert library.rd_kafka_mock_topic_create(cluster, one.encode(), 1, 1) == 0
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
        yield MockKafka(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


def framed(change: Mapping[str, Any]) -> bytes:
    """One change as DataHub's Avro, its aspect's text as bytes."""
    record = dict(change)
    record["aspect"] = {**record["aspect"], "value": record["aspect"]["value"].encode()}
    out = BytesIO()
    schemaless_writer(out, _schema(), record)
    return b"\0" + struct.pack(">I", SCHEMA_ID) + out.getvalue()


@cache
def change_log_schema() -> str:
    """The text of DataHub's own schema of changes."""
    found = find_spec("datahub")
    assert found is not None
    assert found.origin is not None
    return (Path(found.origin).parent / "metadata" / "schemas" / "MetadataChangeLog.avsc").read_text("utf-8")


@cache
def _schema() -> Any:
    return parse_schema(json.loads(change_log_schema()))


@cache
def _library() -> Any:
    found = find_spec("confluent_kafka")
    assert found is not None
    assert found.origin is not None
    [file] = (Path(found.origin).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so*")
    library = ctypes.CDLL(str(file))
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
        ("rd_kafka_mock_topic_create", ctypes.c_int, [pointer, text, ctypes.c_int, ctypes.c_int]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_broker_set_down", ctypes.c_int, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_up", ctypes.c_int, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_cluster_destroy", None, [pointer]),
        ("rd_kafka_destroy", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
