"""This file is where a run becomes what DataHub is told of its request: the aspect dataHubExecutionRequestResult.

Pure functions. A final state is written once, with the report and the end of the log in it: DataHub takes no second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from headgate.executor.requests import ENTITY, RESULT, RUN_INGEST, TASK
from headgate.flow.origin import REQUEST
from headgate.model import Json, Run, RunState
from headgate.ports import Message, Proposal

CHANNEL: Final = "executions"  #: of the outbox: what DataHub is told of its requests
ENDED, UNDER_WAY = "ended", "under way"  #: kinds of its messages
#: States that DataHub lets nobody change.
FINAL: Final = frozenset({"SUCCESS", "CANCELLED", "ABORTED", "DUPLICATE"})
#: States of a rollback, which comes after a run and is none of our business.
ROLLBACK: Final = frozenset({"ROLLING_BACK", "ROLLED_BACK", "ROLLBACK_FAILED"})
LOST: Final = "lost"
#: Our states in DataHub's words. A TIMEOUT is a FAILURE, since its page has no word for it.
STATUS: Final[Mapping[RunState, str]] = {
    RunState.WAITING: "RUNNING",
    RunState.STARTING: "RUNNING",
    RunState.RUNNING: "RUNNING",
    RunState.STOPPING: "RUNNING",
    RunState.SUCCEEDED: "SUCCESS",
    RunState.FAILED: "FAILURE",
    RunState.TIMEOUT: "FAILURE",
    RunState.ERROR: "FAILURE",
    RunState.EXPIRED: "FAILURE",
    RunState.STOPPED: "CANCELLED",
}
#: The keys of a run's result that are DataHub's own reports, of an ingestion and of a test of a connection.
_REPORTS: Final = ("cli", "source", "sink")
_CONNECTION: Final = "connection"
#: Characters. DataHub takes 16 million, but what lies between us and its database takes much less.
MOST_STRUCTURED, MOST_WHOLE = 700_000, 1_000_000
SHORT: Final = 20_000  #: what is taken everywhere
_LOG: Final = "\n\n~~~~ log"
LOG_TAIL: Final = 200_000  #: bytes of the log that are read
_SAMPLES: Final = 20  #: failures, warnings and notes of a report that is too long


def status_of(run: Run) -> str:
    """The run's state in DataHub's words."""
    return "ABORTED" if run.state is RunState.FAILED and run.detail == LOST else STATUS[run.state]


def notes(run: Run, log: Callable[[Run], str]) -> Sequence[Message]:
    """For `Ledger.announce`: that the run of a request is over. What is told of it is made when it is told.

    `log`: gives the end of the run's log. Only the replica that ran it has that, and any may do the telling.
    """
    urn = run.arguments.get(REQUEST)
    return [note(urn, run.id, log(run))] if urn else []


def note(urn: str, run: str, log: str, *, kind: str = ENDED) -> Message:
    """That DataHub is to be told how a request's run stands."""
    return Message(CHANNEL, urn, {"kind": kind, "request": urn, "run": run, "log": log})


def proposal(urn: str, aspect: Mapping[str, Json], **headers: str) -> Proposal:
    """The write of a result. A header's name is given with `_` for `-`."""
    return Proposal(
        entity_type=ENTITY,
        entity_urn=urn,
        aspect_name=RESULT,
        aspect=aspect,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def first(status: str, report: str, at: datetime) -> dict[str, Json]:
    """A result that comes of no run: the claim, or why there will be none."""
    return {"status": status, "report": report, "startTimeMs": _ms(at), "durationMs": 0}


def aspect_of(run: Run, log: str, *, mark: str, killed_by: str = "") -> dict[str, Json]:
    """The whole result of a run as it stands.

    Args:
        run: as it is now.
        log: the end of its log.
        mark: names who runs it; in what is not final.
        killed_by: who cancelled it in DataHub, if somebody did.
    """
    begun = run.started_at or run.created_at
    status = status_of(run)
    structured = _structured(run)
    room = MOST_WHOLE - len(structured or "")
    aspect: dict[str, Json] = {
        "status": status,
        "startTimeMs": _ms(begun),
        "durationMs": max(0, _ms(run.ended_at or datetime.now(UTC)) - _ms(begun)),
        "report": _report(run, log, mark if status == "RUNNING" else "", killed_by, room),
    }
    if structured is not None:
        aspect["structuredReport"] = {
            "type": run.arguments.get(TASK, RUN_INGEST),
            "contentType": "application/json",
            "serializedValue": structured,
        }
    return aspect


def shortened(aspect: Mapping[str, Json]) -> dict[str, Json] | None:
    """The result with the beginning of its report alone, which says how it ended; None where it is short as it is."""
    report = str(aspect["report"])
    if len(report) + len(str(aspect.get("structuredReport", ""))) <= SHORT:
        return None
    text = report.partition(_LOG)[0][:SHORT]
    words = "DataHub did not take the report and the log that belong here: they are too long for it, or for what is"
    short = {name: value for name, value in aspect.items() if name != "structuredReport"}
    return {**short, "report": f"{text}\n\n{words} before it. `headgate runs logs` has the log."}


def _report(run: Run, log: str, mark: str, killed_by: str, room: int) -> str:
    """What the page shows as "Logs": how it stands, then the end of the log."""
    head = [mark] if mark else []
    head.append(f"{run.job}, run {run.id}: {run.state}" + (f" ({run.detail})" if run.detail else ""))
    if run.error:
        head.append(run.error[:20_000])
    if run.state is RunState.TIMEOUT:
        limit = f" of {run.timeout:g} s" if run.timeout else ""
        head.append(f"It ran past its time limit{limit} and was ended with everything it started.")
    if status_of(run) == "ABORTED":
        head.append("Its process was lost: the machine, or what supervised it, went down.")
    if status_of(run) == "CANCELLED":
        who = f"by {killed_by} in DataHub" if killed_by else "on Headgate's side, not in DataHub"
        head.append(f"Cancelled {who}; nothing of it runs any more.")
    text = "\n".join(head)
    tail = log[-max(0, room - len(text) - 100) :] if log else ""
    return f"{text}{_LOG}{' (its end)' if len(tail) < len(log) else ''} ~~~~\n{tail}" if tail else text


def _structured(run: Run) -> str | None:
    """The structured report as JSON text, made shorter where it is too long; None where there is none."""
    report: Mapping[str, Any] = {name: run.result[name] for name in _REPORTS if name in run.result}
    tested = run.result.get(_CONNECTION)
    if isinstance(tested, Mapping):
        report = cast("Mapping[str, Any]", tested)
    elif "source" not in report:
        return None
    text = _dumped(report)
    if len(text) <= MOST_STRUCTURED:
        return text
    text = _dumped({name: _shorter(value) for name, value in report.items()})
    return text if len(text) <= MOST_STRUCTURED else None


def _shorter(part: Any) -> Any:
    """A part of the report (source, sink) with a sample of each long list, and what was left out counted."""
    if not isinstance(part, Mapping):
        return part
    found = dict(cast("Mapping[str, Any]", part))
    for name, value in found.items():
        if isinstance(value, list):
            items = cast("list[Any]", value)
            found[name] = [_cut(one) for one in items[:_SAMPLES]]
        elif isinstance(value, Mapping):
            found[name] = _shorter(value)
        else:
            found[name] = _cut(value)
    return found


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:2000]
    return _shorter(value) if isinstance(value, Mapping) else value


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
