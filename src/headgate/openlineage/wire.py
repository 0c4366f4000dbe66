"""This file is where an event's JSON is read: only what the conversion uses, of the types the specification says.

A scalar of any kind is taken for another (`scalars`); a list or an object in its place is refused. Facets of
runs and jobs, and schemas, stay unread until somebody asks for one, so what nobody uses costs next to nothing.
"""

# ruff: noqa: N815 - members have the names of the wire

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from headgate.errors import MalformedEvent
from headgate.openlineage.options import Limits
from headgate.openlineage.scalars import Number, Text

T = TypeVar("T")
Facets = dict[str, Raw]


class Field(Struct, omit_defaults=True, gc=False):
    """A field of a schema. It is written back as it is: `tableSchema` has these members in this order."""

    name: Text = None
    type: Text = None
    description: Text = None
    fields: list[Field | None] | None = None


class Schema(Struct, gc=False):
    fields: list[Field | None] | None = None


class Identifier(Struct, gc=False):
    namespace: Text = None
    name: Text = None
    type: Text = None


class Symlinks(Struct, gc=False):
    identifiers: list[Identifier | None] | None = None


class Transformation(Struct, gc=False):
    type: Text = None
    subtype: Text = None


class InputField(Struct, gc=False):
    namespace: Text = None
    name: Text = None
    field: Text = None
    transformations: list[Transformation | None] | None = None


class OutputField(Struct, gc=False):
    inputFields: list[InputField | None] | None = None


class ColumnLineage(Struct, gc=False):
    fields: dict[str, OutputField | None] | None = None


class Documentation(Struct, gc=False):
    description: Text = None


class Tag(Struct, gc=False):
    key: Text = None
    value: Text = None


class Tags(Struct, gc=False):
    tags: list[Tag | None] | None = None


class Owner(Struct, gc=False):
    name: Text = None
    type: Text = None


class Ownership(Struct, gc=False):
    owners: list[Owner | None] | None = None


class Storage(Struct, gc=False):
    storageLayer: Text = None
    fileFormat: Text = None


class DatasetType(Struct, gc=False):
    datasetType: Text = None
    subType: Text = None


class Version(Struct, gc=False):
    datasetVersion: Text = None


#: What may happen to a dataset.
CHANGES: Final = frozenset({"ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE"})


class Lifecycle(Struct, gc=False):
    lifecycleStateChange: str | None = None

    def __post_init__(self) -> None:
        """In upper case, whoever asks; a word nobody knows is malformed even where nobody does."""
        word = self.lifecycleStateChange
        if word is not None and word not in CHANGES:
            if word.upper() not in CHANGES:
                raise ValueError(f"expected one of {', '.join(sorted(CHANGES))}, found {word[:60]!r}")
            self.lifecycleStateChange = word.upper()


class ColumnMetrics(Struct, gc=False):
    nullCount: Number = None
    distinctCount: Number = None
    min: Number = None
    max: Number = None


class QualityMetrics(Struct, gc=False):
    rowCount: Number = None
    bytes: Number = None
    columnMetrics: dict[str, ColumnMetrics | None] | None = None


class DatasetFacets(Struct, gc=False):
    schema: Raw | UnsetType = UNSET
    symlinks: Symlinks | None = None
    columnLineage: ColumnLineage | None = None
    documentation: Documentation | None = None
    ownership: Ownership | None = None
    tags: Tags | None = None
    storage: Storage | None = None
    datasetType: DatasetType | None = None
    version: Version | None = None
    lifecycleStateChange: Lifecycle | None = None
    dataQualityMetrics: QualityMetrics | None = None


class OutputStatistics(Struct, gc=False):
    rowCount: Number = None
    size: Number = None
    fileCount: Number = None


class OutputFacets(Struct, gc=False):
    outputStatistics: OutputStatistics | None = None


NO_FACETS: Final = DatasetFacets()


class Dataset(Struct, gc=False):
    namespace: Text = None
    name: Text = None
    facets: DatasetFacets | None = None
    outputFacets: OutputFacets | None = None


class JobType(Struct, gc=False):
    processingType: Text = None
    integration: Text = None
    jobType: Text = None


class Sql(Struct, gc=False):
    query: Text = None


class SourceCodeLocation(Struct, gc=False):
    url: Text = None
    repoUrl: Text = None
    branch: Text = None
    tag: Text = None


class ProcessingEngine(Struct, gc=False):
    name: Text = None
    version: Text = None
    openlineageAdapterVersion: Text = None


class NominalTime(Struct, gc=False):
    nominalStartTime: str | None = None
    nominalEndTime: str | None = None


class ErrorMessage(Struct, gc=False):
    message: Text = None
    programmingLanguage: Text = None
    stackTrace: Text = None


class ExternalQuery(Struct, gc=False):
    externalQueryId: Text = None
    source: Text = None


class ExtractionFailure(Struct, gc=False):
    errorMessage: Text = None


class ExtractionError(Struct, gc=False):
    totalTasks: Number = None
    failedTasks: Number = None
    errors: list[ExtractionFailure | None] | None = None


class Run(Struct, gc=False):
    runId: str | None = None
    facets: Facets | None = None


class Job(Struct, gc=False):
    namespace: Text = None
    name: Text = None
    facets: Facets | None = None


class Event(Struct, gc=False):
    """What every kind of event may have; a kind reads the parts it knows."""

    eventTime: str | None = None
    producer: str | None = None
    schemaURL: Any = None  # anything but a text says nothing about the kind


class RunEvent(Event, gc=False):
    eventType: str | None = None
    run: Run | None = None
    job: Job | None = None
    dataset: Raw | UnsetType = UNSET
    inputs: list[Dataset | None] | None = None
    outputs: list[Dataset | None] | None = None


class JobEvent(Event, gc=False):
    job: Job | None = None
    inputs: list[Dataset | None] | None = None
    outputs: list[Dataset | None] | None = None


class DatasetEvent(Event, gc=False):
    dataset: Dataset | None = None


class _Kind(Struct, gc=False):
    schemaURL: Any = None
    run: Raw | UnsetType = UNSET
    dataset: Raw | UnsetType = UNSET
    job: Raw | UnsetType = UNSET


_RUN_EVENT: Final = msgspec.json.Decoder(RunEvent)
_KIND: Final = msgspec.json.Decoder(_Kind)
_DECODERS: Final[Mapping[type[Event], msgspec.json.Decoder[Any]]] = {
    RunEvent: _RUN_EVENT,
    JobEvent: msgspec.json.Decoder(JobEvent),
    DatasetEvent: msgspec.json.Decoder(DatasetEvent),
}
_FACETS: Final[dict[type[Struct], msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind | None)
    for kind in (
        JobType, Sql, SourceCodeLocation, Documentation, Tags, Ownership, ProcessingEngine, NominalTime, ErrorMessage,
        ExternalQuery, ExtractionError,
    )
}  # fmt: skip
_FREE: Final = msgspec.json.Decoder()
_SCHEMA: Final = msgspec.json.Decoder(Schema | None)

S = TypeVar("S", bound=Struct)


def read(event: bytes | Mapping[str, object], limits: Limits) -> RunEvent | JobEvent | DatasetEvent:
    """An event by its kind: what its `schemaURL` ends in says which, else its members do.

    Raises:
        MalformedEvent: it is no JSON, too long, or a member we use is not of its type.
    """
    data = event if isinstance(event, bytes) else _encoded(event)
    if len(data) > limits.event_bytes:
        raise MalformedEvent(f"the event has {len(data):,} bytes; at most {limits.event_bytes:,} are taken")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]  # a mark some editors put before the text
    try:
        found = _RUN_EVENT.decode(data)
    except msgspec.ValidationError as error:
        kind = _kind(data)
        if kind is RunEvent:
            raise _malformed(error) from error
        return _decoded(_DECODERS[kind], data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error
    url = found.schemaURL if isinstance(found.schemaURL, str) else ""
    if url.endswith("RunEvent") or (found.run is not None and not url.endswith(("DatasetEvent", "JobEvent"))):
        return found
    kind = _kind(data)
    return found if kind is RunEvent else _decoded(_DECODERS[kind], data)


def _kind(data: bytes) -> type[RunEvent | JobEvent | DatasetEvent]:
    found: _Kind = _decoded(_KIND, data)
    url = found.schemaURL if isinstance(found.schemaURL, str) else ""
    if url.endswith("DatasetEvent"):
        return DatasetEvent
    if url.endswith("JobEvent"):
        return JobEvent
    if url.endswith("RunEvent") or _there(found.run):
        return RunEvent
    if not isinstance(found.dataset, UnsetType):
        return DatasetEvent
    return RunEvent if isinstance(found.job, UnsetType) else JobEvent


def _there(part: Raw | UnsetType) -> bool:
    return not isinstance(part, UnsetType) and bytes(part) != b"null"


def _encoded(event: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(event)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedEvent(f"the event can not be written as JSON: {_words(error)}") from error


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception, where: str = "") -> MalformedEvent:
    if isinstance(error, RecursionError):
        return MalformedEvent(f"{where}the event is nested too deeply")
    kind = "" if isinstance(error, msgspec.ValidationError) else "this is not JSON: "
    return MalformedEvent(f"{where}{kind}{_words(error)}")


def _words(error: Exception) -> str:
    words = str(error)
    return words if len(words) <= 300 else words[:297] + "..."


def facet(facets: Facets | None, name: str, kind: type[S]) -> S | None:
    """One facet of a run or a job; None where it is not there.

    Raises:
        MalformedEvent: it is not what the specification says.
    """
    if facets is None or (raw := facets.get(name)) is None:
        return None
    try:
        return _FACETS[kind].decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, f"the facet {name}: ") from error


def fields(schema: bytes) -> list[Field | None] | None:
    """The fields of a schema facet; None where it has no list of them.

    Raises:
        MalformedEvent: it is not what the specification says.
    """
    try:
        found = _SCHEMA.decode(schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, "the facet schema: ") from error
    return found.fields if found is not None else None


def free(facets: Facets, name: str) -> dict[str, Any]:
    """A facet the specification does not know, with what every facet has; empty where it is no object."""
    try:
        found = _FREE.decode(facets[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, f"the facet {name}: ") from error
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON: its keys are texts
