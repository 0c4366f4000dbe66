"""This file is where the API is described: the events door's schema, and a page of all routes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from headgate.console.pages import docs_page
from headgate.http.events import PATH, ClientGone, EventsDoor

router = APIRouter(include_in_schema=False)
events_router = APIRouter(tags=["events"])

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
        413: _answers(_MESSAGE, "The body is larger than 8 MiB."),
        503: _answers(_MESSAGE, "The ledger cannot be reached; send it again."),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": ["object", "array"]}}},
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


@router.get("/docs")
def docs(request: Request) -> Response:
    """The page of all routes."""
    return HTMLResponse(docs_page(request.app.openapi()))
