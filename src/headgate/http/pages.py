"""This file is where the console is served: its pages, their streams, its static files, and logging in."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, quote, urlencode

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from headgate.console import pages
from headgate.console.views import Wanted
from headgate.errors import NotFound
from headgate.http.asked import Before, Given, Name, Number, StateGiven, TheGate, page_token
from headgate.http.auth import Caller, Guard, Headers
from headgate.http.live import Broadcaster
from headgate.model import Run

router = APIRouter(include_in_schema=False)
_API = "/headgate/api/"
_FOR_EVER = "public, max-age=31536000, immutable"


def wants_page(path: str, headers: Headers) -> bool:
    """Whether a person's browser asks for one of our pages, and is to be told errors as a page."""
    if path.startswith("/headgate/api/v1/docs"):
        return True
    page = (path == "/headgate" or path.startswith("/headgate/")) and not path.startswith(_API)
    return page and b"text/html" in headers.get(b"accept", b"")


def problem_page(status: int, message: str, *, api_docs: bool = False) -> Response:
    return HTMLResponse(pages.problem_page(status, message, api_docs=api_docs), status)


# -- the flow and the runs


@router.get("/headgate")
async def bare() -> Response:
    return RedirectResponse("/headgate/", 307)


@router.get("/headgate/")
def home(
    *,
    request: Request,
    gate: TheGate,
    before: Before,
    job: Given = None,
    state: StateGiven = None,
    trigger: Given = None,
) -> Response:
    wanted = Wanted(job=job or None, state=state, trigger=trigger or None, before=before)

    def older(seq: int) -> str:
        return f"/headgate/?{_query(wanted, before=page_token(seq))}"

    # older pages stand still: what is new is not on them
    live = "" if before is not None else f"/headgate/live?{_query(wanted)}"
    return _page(pages.home_page(gate, wanted, live=live, older=older, can_leave=_can_leave(request)))


@router.get("/headgate/live")
async def live_home(
    request: Request, gate: TheGate, job: Given = None, state: StateGiven = None, trigger: Given = None
) -> Response:
    wanted = Wanted(job=job or None, state=state, trigger=trigger or None)
    return _broadcaster(request).watch(f"home {_query(wanted)}", lambda: pages.live_home(gate, wanted))


@router.get("/headgate/runs/{run}")
def run(request: Request, gate: TheGate, run: Name, attempt: Number = None) -> Response:
    def live(found: Run) -> str:
        return f"/headgate/live/runs/{found.id}"

    def log_url(found: Run) -> str:
        return f"/headgate/api/v1/runs/{found.id}/log"

    return _page(pages.run_page(gate, run, live=live, log_url=log_url, attempt=attempt, can_leave=_can_leave(request)))


@router.get("/headgate/live/runs/{run}")
async def live_run(request: Request, gate: TheGate, run: Name) -> Response:
    found = await run_in_threadpool(gate.ledger.run, run)
    return _broadcaster(request).watch(f"run {found.id}", lambda: pages.live_run(gate, found.id))


def _query(wanted: Wanted, *, before: str | None = None) -> str:
    given = {"job": wanted.job, "state": wanted.state, "trigger": wanted.trigger, "before": before}
    return urlencode({name: str(value) for name, value in given.items() if value is not None})


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, {"cache-control": "no-store"})


def _broadcaster(request: Request) -> Broadcaster:
    found: Broadcaster = request.app.state.broadcaster
    return found


def _guard(request: Request) -> Guard:
    found: Guard = request.app.state.guard
    return found


def _can_leave(request: Request) -> bool:
    caller: Caller = request.scope["headgate.caller"]
    return caller.by == "cookie"


# -- static files


@router.get("/headgate/static/{name}")
async def static(name: str, v: Annotated[str, Query()] = "") -> Response:
    found = pages.assets().get(name)
    if found is None:
        raise NotFound("file", name)
    cached = _FOR_EVER if v == found.digest else "no-cache"
    return Response(found.content, media_type=found.media_type, headers={"cache-control": cached})


# -- logging in


@router.get("/headgate/login")
async def login_page(request: Request) -> Response:
    if not _guard(request).needs_login:
        return RedirectResponse("/headgate/", 303)
    return _page(pages.login_page(following=_local(request.query_params.get("next", ""))))


@router.post("/headgate/login")
async def login(request: Request) -> Response:
    """Takes the form's `token` and `next`, and answers with the cookie. The token itself is nowhere kept."""
    sent = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    following = _local(next(iter(sent.get("next", ())), ""))
    secure = request.url.scheme == "https"
    cookie = _guard(request).cookie_for(next(iter(sent.get("token", ())), ""), secure=secure)
    if cookie is None:
        return _page(pages.login_page(following=following, problem="That is not the token of this server."), 401)
    return RedirectResponse(following, 303, {"set-cookie": cookie})


@router.post("/headgate/logout")
async def logout() -> Response:
    return RedirectResponse("/headgate/login", 303, {"set-cookie": Guard.no_cookie()})


def _local(address: str) -> str:
    """Where to go after logging in: one of our own pages, whatever was asked."""
    if address.startswith("/headgate/") and "\\" not in address:
        return quote(address, safe="/?&=%:")
    return "/headgate/"
