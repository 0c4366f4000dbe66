"""This file is where the API is described: the schemas of the bare doors, every route's refusals, a page of all."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from headgate.console.pages import docs_page
from headgate.http import openlineage
from headgate.http.events import PATH, ClientGone, EventsDoor

router = APIRouter(include_in_schema=False)
events_router = APIRouter(tags=["events"])
lineage_router = APIRouter(tags=["openlineage"])

_MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
_DECISION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "trigger": {"type": "string"},
        "outcome": {"type": "string", "enum": ["fired", "joined", "skipped"]},
        "reason": {"type": "string"},
        "run": {"type": ["string", "null"]},
        "job": {"type": ["string", "null"]},
    },
}
_RECEIPTS: dict[str, Any] = {
    "type": "object",
    "required": ["events", "ignored"],
    "properties": {
        "events": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "duplicate", "decisions"],
                "properties": {
                    "id": {"type": "string"},
                    "duplicate": {"type": "boolean"},
                    "decisions": {"type": "array", "items": _DECISION},
                },
            },
        },
        "ignored": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}


def _answers(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


@events_router.post(
    PATH,
    summary="Hand over events about stored objects",
    responses={
        200: _answers(_RECEIPTS, "Recorded durably, with what each event led to."),
        400: _answers(_MESSAGE, "A record is wrong; the message names it, and nothing was recorded."),
        401: _answers(_MESSAGE, "The bearer token is missing or wrong."),
        403: _answers(_MESSAGE, "The call comes from another site's page."),
        413: _answers(_MESSAGE, "The body is larger than 8 MiB."),
        415: _answers(_MESSAGE, "The body is compressed."),
        503: _answers(_MESSAGE, "The ledger cannot be reached; send it again."),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": ["object", "array", "string"]}}},
        }
    },
)
async def take_events(request: Request) -> Response:
    """Take S3 notifications, EventBridge events, SNS and SQS envelopes, and MinIO's webhook."""
    # the bare ASGI door of this path answers before this route is asked; both call the same function
    door: EventsDoor = request.app.state.events
    try:
        status, body = await door.answer(request.scope, request.receive)
    except ClientGone:
        return Response(status_code=400)
    return Response(body, status, media_type="application/json")


class _Taken(Response):
    """Lets the lineage door answer: it stands before its routes, which are there for the schema."""

    def __init__(self, door: openlineage.LineageDoor) -> None:
        self._door = door
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)


_LINEAGE: Final[dict[int | str, dict[str, Any]]] = {
    201: {"description": "Taken: it will be told to DataHub."},
    400: _answers(_MESSAGE, "It is no OpenLineage event; the message names the place."),
    401: _answers(_MESSAGE, "No credential, or one that is not taken."),
    403: _answers(_MESSAGE, "The call comes from another site's page, or the caller may not."),
    413: _answers(_MESSAGE, "The body is larger than 8 MiB."),
    415: _answers(_MESSAGE, "The body is compressed."),
    422: _answers(_MESSAGE, "An event that cannot be converted."),
    503: _answers(_MESSAGE, "The ledger cannot be reached; send it again."),
}


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@lineage_router.post(
    openlineage.PATH, status_code=201, responses=_LINEAGE, response_class=Response,
    openapi_extra=_takes({"type": "object"}),
)  # fmt: skip
async def take_lineage(request: Request) -> Response:
    """Take an OpenLineage event, which is told to DataHub as aspects."""
    return _Taken(request.app.state.lineage)


@lineage_router.post(
    openlineage.BATCH, status_code=201, responses=_LINEAGE, response_class=Response,
    openapi_extra=_takes({"type": "array", "items": {"type": "object"}, "maxItems": openlineage.MOST}),
)  # fmt: skip
async def take_lineages(request: Request) -> Response:
    """Take a list of OpenLineage events, all of them or none."""
    return _Taken(request.app.state.lineage)


#: What any call of the REST API may be answered, beside what its own route says.
_REFUSALS: Final = {
    "400": "A parameter or the body is malformed; the message names the field.",
    "401": "The bearer token (or the console's session) is missing or wrong.",
    "403": "The call comes from another site's page, or is not allowed.",
    "404": "There is no such thing.",
    "405": "What is in the path makes it another route's, which does not take this method.",
    "409": "The state of things forbids it.",
    "413": "The body is larger than 8 MiB.",
    "503": "The ledger, DataHub or AWS cannot be reached; try again.",
}


def describe(app: FastAPI, api: str) -> None:
    """Let the application's schema say how calls are refused: as we do it, not as FastAPI would.

    `api` is the prefix of the routes that say nothing of refusals themselves.
    """
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            for path, item in found["paths"].items():
                for method, operation in item.items():
                    _refusals(operation, method, own=path.startswith(api))
            for name in ("HTTPValidationError", "ValidationError"):
                found.get("components", {}).get("schemas", {}).pop(name, None)
        return made()

    app.openapi = described


def _refusals(operation: dict[str, Any], method: str, *, own: bool) -> None:
    """Take FastAPI's 422 out of one operation, whose body we never send; put in what is sent."""
    responses: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    if not own:
        return
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    possible = {"401", "403", "503"}
    possible |= {"400"} if parameters or "requestBody" in operation else set()
    named = any(one["in"] == "path" for one in parameters)
    possible |= {"404", "405"} if named else {"404"} if method != "get" else set()
    possible |= {"409"} if method != "get" else set()
    possible |= {"413"} if "requestBody" in operation else set()
    for status in sorted(possible):
        responses.setdefault(status, _answers(_MESSAGE, _REFUSALS[status]))


@router.get("/docs")
def docs(request: Request) -> Response:
    """The page of all routes."""
    return HTMLResponse(docs_page(request.app.openapi()))
