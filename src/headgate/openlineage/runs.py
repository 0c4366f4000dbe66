"""This file is where a run becomes a dataProcessInstance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from headgate.errors import MalformedEvent, UnconvertibleEvent
from headgate.openlineage.datasets import Found
from headgate.openlineage.java import cut, utc_text
from headgate.openlineage.lineage import DATAHUB
from headgate.openlineage.options import Options
from headgate.openlineage.scalars import text, whole
from headgate.openlineage.wire import ErrorMessage, ExternalQuery, ExtractionError, Facets, NominalTime, facet

_LONGEST: Final = 4096  #: UTF-16 units of a message or a stack trace
_RESULTS: Final = {"COMPLETE": "SUCCESS", "FAIL": "FAILURE", "ABORT": "FAILURE"}
TYPES: Final = frozenset({"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"})


def event_type(said: str | None, options: Options) -> str | None:
    """The event's type in upper case; None where it has none.

    Raises:
        MalformedEvent: it is a word nobody knows.
        UnconvertibleEvent: there is none, and the released converter cannot do without.
    """
    if said is None:
        if options.released:
            raise UnconvertibleEvent("the event has no eventType")
        return None
    word = said.upper()
    if word not in TYPES:
        raise MalformedEvent(f"eventType: expected one of {', '.join(sorted(TYPES))}, found {said[:60]!r}")
    return word


def instance(
    *, run_id: str, kind: str | None, job_urn: str, inputs: Sequence[Found], outputs: Sequence[Found],
    facets: Facets | None, options: Options, at: int,
) -> Iterator[tuple[str, dict[str, Any]]]:  # fmt: skip
    """The aspects of a run by name, in the order they are written. `at` is the event's time, milliseconds."""
    yield "dataProcessInstanceInput", {"inputs": [one.urn.text for one in inputs]}
    yield "dataProcessInstanceOutput", {"outputs": [one.urn.text for one in outputs]}
    made: dict[str, Any] = {"name": run_id, "created": {"actor": DATAHUB, "time": at}}
    if facets and not options.released and (properties := _properties(facets)):
        made["customProperties"] = properties
    yield "dataProcessInstanceProperties", made
    if (state := _state(kind, options)) is not None:
        yield "dataProcessInstanceRunEvent", {"timestampMillis": at, **state}
    yield "dataProcessInstanceRelationships", {"parentTemplate": job_urn, "upstreamInstances": []}


def _state(kind: str | None, options: Options) -> dict[str, Any] | None:
    if kind in ("START", "RUNNING"):
        return {"status": "STARTED"}
    if kind in _RESULTS:
        return {"status": "COMPLETE", "result": {"type": _RESULTS[kind], "nativeResultType": kind}}
    if kind is not None and options.released:  # a result the server refuses; so be it
        return {"result": {"type": "$UNKNOWN", "nativeResultType": kind}}
    return None


def _properties(facets: Facets) -> dict[str, str]:
    made: dict[str, str | None] = {}
    if (error := facet(facets, "errorMessage", ErrorMessage)) is not None:
        made["errorMessage"] = _capped(text(error.message))
        made["programmingLanguage"] = _capped(text(error.programmingLanguage))
        made["stackTrace"] = _capped(text(error.stackTrace))
    if (nominal := facet(facets, "nominalTime", NominalTime)) is not None:
        for name, said in (
            ("nominalStartTime", nominal.nominalStartTime),
            ("nominalEndTime", nominal.nominalEndTime),
        ):
            made[name] = utc_text(said, f"nominalTime.{name}") if said is not None else None
    if (query := facet(facets, "externalQuery", ExternalQuery)) is not None:
        made["externalQueryId"] = text(query.externalQueryId)
        made["externalQuerySource"] = text(query.source)
    if (failed := facet(facets, "extractionError", ExtractionError)) is not None:
        for name, count in (("TotalTasks", failed.totalTasks), ("FailedTasks", failed.failedTasks)):
            number = whole(count, f"extractionError.{name[0].lower()}{name[1:]}")
            made[f"extractionError{name}"] = None if number is None else str(number)
        said = [text(one.errorMessage) for one in failed.errors or () if one is not None]
        messages = [message for message in said if message is not None]
        made["extractionErrorMessages"] = _capped("; ".join(messages)) if messages else None
    return {name: value for name, value in made.items() if value is not None}


def _capped(value: str | None) -> str | None:
    return None if value is None else cut(value, _LONGEST)
