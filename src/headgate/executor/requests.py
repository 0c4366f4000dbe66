"""This file is where a change that DataHub tells of becomes what it means: a request to run, one to stop, nothing.

The same change comes in three forms: as Avro, as the Events API's JSON (where a union may be wrapped in its type's name
and bytes are a text of Latin-1), and as an aspect that was read. All of it is DataHub's to say, and nothing is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from headgate.flow.origin import BY_HAND, BY_SCHEDULE, REQUEST
from headgate.flow.targets import RECIPE, implicit_ingestion, longest
from headgate.ledger import rows
from headgate.ledger.executions import Request
from headgate.model import Job, Json

ENTITY: Final = "dataHubExecutionRequest"
INPUT, SIGNAL, RESULT = f"{ENTITY}Input", f"{ENTITY}Signal", f"{ENTITY}Result"
URN: Final = f"urn:li:{ENTITY}:"
SOURCE_URN: Final = "urn:li:dataHubIngestionSource:"
#: Those that say that somebody asks now. RESTATE says an old request once more: an index is being rebuilt.
CHANGES: Final = frozenset({"UPSERT", "CREATE", "CREATE_ENTITY"})
RUN_INGEST, TEST_CONNECTION = "RUN_INGEST", "TEST_CONNECTION"
TASKS: Final = frozenset({RUN_INGEST, TEST_CONNECTION})
SCHEDULED: Final = "SCHEDULED_INGESTION_SOURCE"
MOST_TESTS: Final = 10  #: tests of connections at a time
_LONGEST_URN: Final = 500
#: What of `args` is handed on to the run, and under which argument.
_ARGUMENTS: Final[Mapping[str, str]] = {
    "version": "--version",
    "debug_mode": "--debug_mode",
    "extra_env_vars": "--extra_env_vars",
    "extra_pip_requirements": "--extra_pip_requirements",
    "extra_pip_plugins": "--extra_pip_plugins",
}
TASK: Final = "--task"


@dataclass(frozen=True, slots=True)
class Kill:
    """Somebody wants a request stopped."""

    urn: str
    executor: str
    actor: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A change of an execution request that leads to nothing, and why."""

    urn: str
    why: str


Change = Request | Kill | Ignored


def read_change(change: Mapping[str, Any], takes: Callable[[Mapping[str, Any]], bool] | None = None) -> Change | None:
    """What a change means; None where it is of something else altogether. `takes`: the pipeline's filters."""
    if plain(change.get("entityType")) != ENTITY:
        return None
    name = plain(change.get("aspectName"))
    if name not in (INPUT, SIGNAL):
        return None
    urn = _urn(change)
    if not urn.startswith(URN) or len(urn) > _LONGEST_URN or not urn.isprintable():
        return Ignored(_printable(urn[:_LONGEST_URN]), "it names no execution request")
    if why := _passed_over(change, takes):
        return Ignored(urn, why)
    aspect = _payload(change.get("aspect"))
    if aspect is None:
        return Ignored(urn, f"its {name} is no JSON object")
    return read_input(urn, aspect) if name == INPUT else read_signal(urn, aspect)


def _passed_over(change: Mapping[str, Any], takes: Callable[[Mapping[str, Any]], bool] | None) -> str:
    """Why a change of a request is none of ours; "" where it is."""
    kind = plain(change.get("changeType"))
    if not isinstance(kind, str) or kind not in CHANGES:
        return f"its change is {str(kind)[:40]}, which asks for nothing new"
    return "" if takes is None or takes(change) else "the pipeline's filters leave it out"


def as_change(urn: str, name: str, aspect: Mapping[str, Any]) -> Mapping[str, Any]:
    """An aspect that was read, as the change log would have told of it."""
    return {
        "entityType": ENTITY,
        "entityUrn": urn,
        "changeType": "UPSERT",
        "aspectName": name,
        "aspect": {"contentType": "application/json", "value": json.dumps(aspect)},
    }


def read_input(urn: str, aspect: Mapping[str, Any]) -> Request | Ignored:
    """The aspect …Input of a request."""
    task, executor = aspect.get("task"), aspect.get("executorId")
    if not isinstance(task, str) or not task:
        return Ignored(urn, "it names no task")
    requested = aspect.get("requestedAt")
    at = requested / 1000 if isinstance(requested, int) and 0 < requested < 10**14 else 0.0
    return Request(
        urn=urn,
        executor=executor if isinstance(executor, str) and executor else "default",
        task=_printable(task[:255]),
        job=job_name(aspect),
        given=aspect,
        requested_at=at,
    )


def read_signal(urn: str, aspect: Mapping[str, Any]) -> Kill | Ignored:
    """The aspect …Signal of a request."""
    if aspect.get("signal") != "KILL":
        return Ignored(urn, f"its signal is {str(aspect.get('signal'))[:40]!r}, and only KILL is known")
    executor = aspect.get("executorId")
    stamp: Any = aspect.get("createdAt")
    actor = cast("Mapping[str, Any]", stamp).get("actor") if isinstance(stamp, Mapping) else None
    return Kill(
        urn,
        executor if isinstance(executor, str) and executor else "default",
        _printable(actor) if isinstance(actor, str) and actor else "DataHub",
    )


def job_name(given: Mapping[str, Any]) -> str:
    """The job a request is a run of: one for each ingestion source, one for tests of connections."""
    return implicit_job_of(given).name


def implicit_job_of(given: Mapping[str, Any]) -> Job:
    """The job itself. Runs of one source queue: two at once would write over each other."""
    if given.get("task") == TEST_CONNECTION:
        return implicit_ingestion("test-connection", at_most=MOST_TESTS)
    source = source_of(given).removeprefix(SOURCE_URN)
    return implicit_ingestion(_printable(source or str(given.get("task"))))


def source_of(given: Mapping[str, Any]) -> str:
    """URN of the ingestion source, or ""."""
    source: Any = given.get("source")
    named = cast("Mapping[str, Any]", source).get("ingestionSource") if isinstance(source, Mapping) else None
    return named if isinstance(named, str) else ""


def arguments_of(request: Request) -> dict[str, str]:
    """The run's arguments. The recipe's `${…}` are put in where it runs, and nowhere else.

    Raises:
        ValueError: what is asked for can not be run, in words.
    """
    given: Any = request.given.get("args")
    args = cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}
    found = {"--executor_id": request.executor, REQUEST: request.urn, TASK: request.task}
    found[RECIPE] = _recipe(args.get("recipe"), request.urn)
    for name, argument in _ARGUMENTS.items():
        value = args.get(name)
        found[argument] = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    for name, text in found.items():
        most = longest(name)
        said = "recipe" if name == RECIPE else name[2:]
        if len(text) > most:
            raise ValueError(f"its {said} has {len(text):,} characters; at most {most:,} can be run")
        if not _writable(text):
            raise ValueError(f"its {said} holds half a character (a \\u escape of a surrogate without its other half)")
    return {name: text for name, text in found.items() if text}


def _recipe(given: Any, urn: str) -> str:
    """The recipe, its run named as a rollback in DataHub looks for it: by the bare id of the request."""
    try:
        found: Any = json.loads(given, strict=False) if isinstance(given, str) else None
    except (ValueError, RecursionError):
        found = None
    recipe = cast("dict[str, Any]", found) if isinstance(found, dict) else None
    if recipe is None:
        raise ValueError("its recipe is no JSON object" if given else "it holds no recipe")
    try:
        return json.dumps({**recipe, "run_id": urn.removeprefix(URN)}, ensure_ascii=False)
    except RecursionError as error:
        raise ValueError("its recipe is nested too deeply") from error


def cause_of(given: Mapping[str, Any]) -> tuple[str | None, str]:
    """Who asked (a URN, or None), and why, for the run's record."""
    actor = given.get("actorUrn")
    source: Any = given.get("source")
    kind = cast("Mapping[str, Any]", source).get("type") if isinstance(source, Mapping) else None
    how = BY_SCHEDULE if kind == SCHEDULED else BY_HAND
    named = source_of(given)
    who = _printable(actor) if isinstance(actor, str) else None
    return who, _printable(f"{how}{named or given.get('task')}"[:2000])


def _urn(change: Mapping[str, Any]) -> str:
    urn = plain(change.get("entityUrn"))
    if isinstance(urn, str):
        return urn
    key = _payload(change.get("entityKeyAspect"))
    return f"{URN}{key['id']}" if key is not None and isinstance(key.get("id"), str) else ""


def _payload(given: Json) -> Mapping[str, Any] | None:
    """The JSON object inside a GenericAspect."""
    unwrapped = plain(given)
    if not isinstance(unwrapped, Mapping):
        return None
    aspect = cast("Mapping[str, Any]", unwrapped)
    kind, value = plain(aspect.get("contentType", "application/json")), plain(aspect.get("value"))
    if not str(kind).startswith("application/json") or not isinstance(value, bytes | str):
        return None
    try:
        found = json.loads(value if isinstance(value, bytes) else text_of(value))
        if not _writable(text := json.dumps(found, ensure_ascii=False)):
            found = json.loads(text.encode("utf-8", "replace"))
        rows.loads(rows.dumps(found))
    except (ValueError, RecursionError, OverflowError):
        return None  # what the ledger cannot hold (a number of 400 digits) would hold up all that comes after it
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _writable(text: str) -> bool:
    """Whether it can be written down: half a surrogate pair, which JSON can escape, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    """It as any database holds it and any log shows it."""
    return "".join(one if one.isprintable() else "_" for one in text)


def text_of(value: str) -> str:
    """Avro writes bytes into JSON as Latin-1; a text whose Latin-1 is UTF-8 was such bytes."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def plain(value: Json) -> Json:
    """A value out of the wrapping of an Avro union: {"string": "x"}, {"com.linkedin.….GenericAspect": {…}}."""
    if isinstance(value, Mapping):
        inner = cast("Mapping[str, Any]", value)
        if len(inner) == 1:
            [(name, held)] = inner.items()
            if name in ("string", "bytes", "long", "int") or name.startswith("com.linkedin."):
                return held
    return value
