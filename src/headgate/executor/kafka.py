"""This file is where requests are read from DataHub's change log in Kafka.

An offset is committed only after what stands before it is in the ledger; a change that comes again does no harm. One
that nobody can read is passed over with an error in the log: requests are also looked for in DataHub's lists.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog

from headgate.datahub.answers import document, message
from headgate.datahub.wire import Limits, Wire
from headgate.errors import Invalid, MissingExtra, Unavailable
from headgate.executor.executor import Accept
from headgate.executor.filters import Filters
from headgate.executor.pipeline_file import Kafka
from headgate.executor.requests import ENTITY, Change, read_change

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MOST: Final = 500  #: messages taken at a time
PATIENCE: Final = 1.0  #: seconds to wait for them
_MAGIC: Final = 0  #: the first byte of Confluent's framing
_HEAD: Final = 5  #: bytes of it: the magic one and the schema's id

Decode = Callable[[bytes], Any]


class _Words:
    """Librdkafka's own log, for who looks closely: it repeats itself many times a second while a broker is away.

    What keeps requests from coming is told to `_on_error` as well, and shown once.
    """

    def log(self, _level: int, form: str, *words: object, **_: object) -> None:
        _log.debug("Kafka's library says", what=form % words if words else form)


class Schemas(Protocol):
    """Who knows schemas by their ids."""

    def decoder(self, schema_id: int) -> Decode:
        """Raises Unavailable: nobody can say now. Invalid: there is no such schema, or it is none."""
        ...


class Registry:
    """A schema registry with Confluent's API, as GMS is one, too. A schema never changes: each is asked for once."""

    def __init__(self, settings: Kafka, limits: Limits | None = None) -> None:
        self._wire = Wire(settings.registry, limits or Limits())
        login = settings.registry_login.reveal() if settings.registry_login else ""
        self._headers: Mapping[str, str] = (
            {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
        )
        self._known: dict[int, Decode] = {}

    def decoder(self, schema_id: int) -> Decode:
        if schema_id not in self._known:
            self._known[schema_id] = _decoder(self._text(schema_id), schema_id)
        return self._known[schema_id]

    def close(self) -> None:
        self._wire.close()

    def _text(self, schema_id: int) -> str:
        where = f"the schema registry at {self._wire.place}"
        try:
            answer = self._wire.call("GET", f"/schemas/ids/{schema_id}", headers=self._headers)
        except Unavailable as error:
            why = str(error).replace(f"DataHub at {self._wire.place} ", "it ")
            raise Unavailable(f"{where} does not answer: {why}") from error
        if answer.status == 404 and not answer.html:
            raise Invalid(f"{where} knows no schema {schema_id}: {message(answer)}")
        if answer.status != 200:
            raise Unavailable(
                f"{where} answered {answer.seen()}; is source.config.connection.schema_registry_url right?"
            )
        text = document(answer, where).get("schema")
        if not isinstance(text, str):
            raise Unavailable(f"{where} answered schema {schema_id} without its text")
        return text


def _decoder(text: str, schema_id: int) -> Decode:
    try:
        from fastavro import parse_schema, schemaless_reader  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtra("reading requests from Kafka", "kafka") from error
    try:
        schema = parse_schema(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # fastavro's own errors are ValueErrors
        raise Invalid(f"the schema {schema_id} is no Avro schema: {error}") from error
    return lambda data: schemaless_reader(io.BytesIO(data), schema, None)


class KafkaSource:
    """Reads one topic as one consumer group, whose name is the pipeline's."""

    name = "Kafka"

    def __init__(
        self,
        settings: Kafka,
        *,
        schemas: Schemas | None = None,
        patience: float = PATIENCE,
        filters: Filters | None = None,
    ) -> None:
        self._settings = settings
        self._filters = filters or Filters()
        self._schemas = schemas or Registry(settings)
        self._patience = patience
        self._down = ""  #: why nothing can come
        self._assigned = False

    def follow(self, accept: Accept, closing: threading.Event) -> None:
        try:
            from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingExtra("reading requests from Kafka", "kafka") from error
        self._down, self._assigned = "", False
        where = f"Kafka at {self._settings.bootstrap}"
        try:
            consumer = self._consumer()
        except KafkaException as error:
            raise Unavailable(f"{where}: {_said(error.args[0])}; see source.config.connection") from error
        try:
            consumer.subscribe([self._settings.topic], on_assign=self._on_assign)
            while not closing.is_set():
                self._turn(consumer, accept, closing)
                if self._down:
                    raise Unavailable(f"{where}: {self._down}")
        except KafkaException as error:
            raise Unavailable(f"{where}: {_said(error.args[0])}") from error
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        from confluent_kafka import Consumer  # noqa: PLC0415 - as above

        return Consumer(
            {
                "auto.offset.reset": "latest",
                "client.id": "headgate",
                "session.timeout.ms": "10000",  # after which another of the group goes on in place of one that died
                **self._settings.consumer,
                "bootstrap.servers": self._settings.bootstrap,
                "group.id": self._settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "error_cb": self._on_error,
            },
            logger=cast("logging.Logger", _Words()),
        )

    def _on_error(self, error: KafkaError) -> None:
        """Librdkafka goes on trying by itself; nothing comes while it does."""
        if error.fatal() or error.code() in _severe():
            self._down = _said(error)

    def _on_assign(self, _consumer: object, _partitions: object) -> None:
        self._assigned = True

    def _turn(self, consumer: Consumer, accept: Accept, closing: threading.Event) -> None:
        """Take what has come, have it written, and only then say that it was taken."""
        first = consumer.poll(self._patience)  # answers at once when there is one; `consume` waits for all of MOST
        taken = [first, *consumer.consume(MOST, 0.0)] if first is not None else []
        if closing.is_set():
            return
        if self._assigned:
            self._assigned, self._down = False, ""
            accept([])  # from here on we are told; what came before is looked for
        if not taken:
            return
        for one in taken:
            if (error := one.error()) is not None:
                raise Unavailable(f"Kafka's topic {self._settings.topic}: {_said(error)}")
        accept(self._changes(taken))
        self._commit(consumer, taken)

    def _changes(self, taken: Sequence[Message]) -> list[Change]:
        found: list[Change] = []
        for one in taken:
            try:
                change = self._change(one.value())
            except Invalid as error:
                _log.error("a message of Kafka's cannot be read; passed over", topic=one.topic(),
                           partition=one.partition(), offset=one.offset(), why=str(error)[:500])  # fmt: skip
                continue
            if change is not None:
                found.append(change)
        return found

    def _change(self, value: object) -> Change | None:
        """What a message says. Raises Invalid: it is no Avro of a schema the registry knows."""
        if not isinstance(value, bytes):
            return None  # a tombstone
        if len(value) < _HEAD or value[0] != _MAGIC:
            raise Invalid("it is not framed as Confluent's registry wants it")
        decode = self._schemas.decoder(struct.unpack(">I", value[1:_HEAD])[0])
        try:
            record: Any = decode(value[_HEAD:])
        except Exception as error:
            raise Invalid(f"its bytes are not what its schema says: {type(error).__name__}: {error}") from error
        if not isinstance(record, dict):
            return None
        change = cast("dict[str, Any]", record)
        return read_change(change, self._filters.take) if change.get("entityType") == ENTITY else None

    def _commit(self, consumer: Consumer, taken: Sequence[Message]) -> None:
        """Say how far we are. If that is lost, what was taken comes again."""
        from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 - as above

        newest: dict[tuple[str, int], int] = {}
        for one in taken:
            place, offset = (one.topic() or "", one.partition() or 0), one.offset() or 0
            newest[place] = max(newest.get(place, 0), offset + 1)
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in newest.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            _log.warning("offsets not committed; what was read comes again", why=_said(error.args[0]))


def _severe() -> frozenset[int]:
    from confluent_kafka import KafkaError  # noqa: PLC0415 - as above

    return frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._AUTHENTICATION})  # noqa: SLF001 - their public names


def _said(error: object) -> str:
    """Librdkafka's words."""
    told = getattr(error, "str", None)
    return str(told()) if callable(told) else str(error)
