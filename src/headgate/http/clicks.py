"""This file is where the button's calls are described for the API's schema; headgate.http.ingestion answers them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headgate.http.ingestion import PREFIX, IngestionDoor

router = APIRouter(prefix=PREFIX, tags=["ingestion"])

_TEXT: Final = {"type": ["string", "null"]}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "runId": {"type": "string", "description": "The engine's own id, or ours; `runs/{runId}` finds both."},
        "status": {"type": "string", "enum": ["started", "failed"]},
        "message": {"type": "string"},
    },
}
_LAST_RUN: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "properties": {"runId": {"type": "string"}, "state": {"type": "string"}, "startedAt": _TEXT, "endedAt": _TEXT,
                   "actor": _TEXT, "message": _TEXT},
}  # fmt: skip
_RUNNABLE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["runnable", "allowed", "code", "reason", "job", "confirm", "lastRun"],
    "properties": {
        "runnable": {"type": "boolean"},
        "allowed": {"type": "boolean"},
        "code": {
            "type": "string",
            "enum": ["ok", "not_authenticated", "no_right", "no_job", "unknown_dataset", "refused", "unavailable"],
        },
        "reason": _TEXT,
        "job": {
            "type": ["object", "null"],
            "properties": {
                "name": {"type": "string"},
                "description": {"type": "string"},
                "engine": {"type": "string"},
            },
        },
        "confirm": _TEXT,
        "lastRun": _LAST_RUN,
    },
}
_STATE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["runId", "state", "job", "startedAt", "endedAt", "message"],
    "properties": {"runId": {"type": "string"}, "state": {"type": "string"}, "job": {"type": "string"},
                   "startedAt": _TEXT, "endedAt": _TEXT, "message": _TEXT},
}  # fmt: skip


def _says(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_FAILURES: Final[dict[int | str, dict[str, Any]]] = {
    400: _says(_ANSWER, "The body or a URN is malformed; the message names the field."),
    401: _says(_ANSWER, "No credential, or one that DataHub does not take."),
    403: _says(_ANSWER, "No right, or `jobUrn` does not produce the dataset."),
    503: _says(_ANSWER, "DataHub or the ledger cannot be reached; nothing was started."),
}


class _Answered(Response):
    """Lets the door answer: it stands before the routes, which are there for the schema."""

    def __init__(self, door: IngestionDoor) -> None:
        self._door = door
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)


def _answered(request: Request) -> Response:
    return _Answered(request.app.state.ingestion)


@router.post(
    "/run",
    summary="Run the ingestion of a dataset",
    responses={
        200: _says(_ANSWER, "An engine has accepted the run."),
        202: _says(_ANSWER, "The run is recorded and waits; the message says for what."),
        **_FAILURES,
        404: _says(_ANSWER, "DataHub knows no such dataset."),
        409: _says(_ANSWER, "Refused by policy: the job is at its limit, or its target is not allowed."),
        413: _says(_ANSWER, "The body is larger than 64 KiB."),
        422: _says(_ANSWER, "No job refreshes the dataset."),
        502: _says(_ANSWER, "The engine refused the run for good."),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["datasetUrn"],
                        "properties": {
                            "datasetUrn": {"type": "string", "maxLength": 2048},
                            "jobUrn": {**_TEXT, "description": "A DataJob that produces the dataset."},
                            "reason": {**_TEXT, "maxLength": 2000},
                            "metadata": {
                                "type": ["object", "null"],
                                "description": "Anything, passed on to what is run; at most 16,384 characters.",
                            },
                        },
                    }
                }
            },
        }
    },
)
async def run(request: Request) -> Response:
    """Start the job that refreshes a dataset, and wait up to ten seconds until its engine has taken it."""
    return _answered(request)


@router.get("/runnable", responses={200: _says(_RUNNABLE, "What a click would do."), **_FAILURES})
async def runnable(request: Request, datasetUrn: Annotated[str, Query(max_length=2048)]) -> Response:  # noqa: N803 - the wire's name
    """Whether the caller may run the dataset's ingestion, what would start, and the last run."""
    del datasetUrn
    return _answered(request)


@router.get(
    "/runs/{run_id:path}",
    responses={200: _says(_STATE, "How far it is."), **_FAILURES, 404: _says(_ANSWER, "There is no such run.")},
)
async def state(request: Request, run_id: str) -> Response:
    """How far a run is, by any of its ids."""
    del run_id
    return _answered(request)
