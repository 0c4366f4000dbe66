"""This file is where machines ask how we are: /healthz, /readyz, /metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from headgate.http.answers import Answer
from headgate.http.metrics import Metrics
from headgate.model import Json

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> Response:
    """200 as long as this process answers at all; nothing else is looked at."""
    return Answer({"alive": True})


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "Something is wrong; `problems` says what, in words."}})
def readyz(request: Request) -> Response:
    """200 when we can do our work, else 503 with `problems` in words."""
    readiness: Callable[[], Mapping[str, Json]] = request.app.state.readiness
    found = readiness()
    return Answer(dict(found), 200 if found.get("ready") else 503)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    counted: Metrics = request.app.state.metrics
    text = await run_in_threadpool(counted.text)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
