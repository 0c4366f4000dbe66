"""This file is where the button's calls come in: /api/ingestion/run, /runnable and /runs/{runId}.

It is an ASGI application of its own, so that no answer has a framework's shape: every body of `run`, and of every
error, is {runId?, status, message?}. A click is judged first (who, may they, which job), then written, and only then
waited for; whatever fails before the write has started nothing.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import parse_qsl

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from headgate.errors import HeadgateError, Invalid, NotAuthenticated, NotFound, Unavailable
from headgate.flow import click as clicking
from headgate.flow import clicked
from headgate.flow.click import Click, Refusal, Who, Why, Wish
from headgate.flow.clicked import Stage
from headgate.gate import Gate
from headgate.http.answers import SECURITY_HEADERS, encode, problem_headers, status_of
from headgate.http.auth import Guard, Headers, headers_of
from headgate.http.callers import Callers
from headgate.http.landing import Landing
from headgate.http.threads import Threads
from headgate.http.waiting import Waiting
from headgate.model import Job, JobName, Json, Run
from headgate.shapes import time_json

PREFIX: Final = "/api/ingestion"
MAX_BODY: Final = 64 * 1024
PATIENCE: Final = 10.0  #: seconds that a click waits for its run to be taken by an engine
BODY_PATIENCE: Final = 30.0  #: seconds in which a body must have come
#: Threads for what asks DataHub, and for what only reads the ledger: a DataHub that hangs holds up no badge's look.
ASKING, READING = 16, 4

#: Status and code of `runnable` for each reason why a click starts nothing.
REFUSED: Final[Mapping[Why, tuple[int, str]]] = {
    Why.UNKNOWN_DATASET: (404, "unknown_dataset"),
    Why.NO_RIGHT: (403, "no_right"),
    Why.NOT_PRODUCER: (403, "refused"),
    Why.NO_JOB: (422, "no_job"),
    Why.POLICY: (409, "refused"),
}
_QUOTED: Final = re.compile(r",? “.*”", re.DOTALL)
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9._:/=+-]{1,128}")
_ALLOWED: Final = {"run": "POST", "runnable": "GET", "runs": "GET"}
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class TooLarge(Invalid):
    """The body is larger than MAX_BODY."""


class ClientGone(Exception):
    """The caller hung up; nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, and what the log is to say of it."""

    status: int
    body: Mapping[str, Json] | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Mapping[str, Json] = field(default_factory=dict[str, Json])


class IngestionDoor:
    def __init__(self, gate: Gate, guard: Guard, *, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._gate = gate
        self._asking = Threads("ask-datahub", ASKING)
        self._reading = Threads("read-ledger", READING)
        self.callers = Callers(gate, guard, self._asking)
        self.waiting = Waiting(gate.datasets.now_of, lambda: gate.ledger.written, self._reading)
        self._landing: Landing | None = None

    def close(self) -> None:
        """Keep nobody waiting, so that a server can stop. Safe from any thread."""
        self.waiting.close()
        self._asking.close()
        self._reading.close()

    @staticmethod
    def takes(path: str) -> bool:
        """Whether this path is the door's: all below /api/ingestion but the events."""
        return (path == PREFIX or path.startswith(f"{PREFIX}/")) and path != f"{PREFIX}/events"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = cast("list[tuple[bytes, bytes]]", scope["headers"])
        headers: Headers = dict(raw)
        request = _request_id(headers)
        try:
            headers = headers_of(raw)
            said = await self._answer(scope, headers, receive)
        except ClientGone:
            return
        except HeadgateError as error:
            said = self._problem(error)
        except Exception:  # noqa: BLE001 - the answer to a fault of ours has the endpoint's shape, too
            _log.exception("click failed", request=request, path=scope["path"])
            said = _failed(500, "Headgate failed at this; the server's log says why, under the request's id")
        if said.facts or said.status >= 400:
            note = {"request": request, "method": scope["method"], "path": scope["path"], "status": said.status}
            told = {"message": (said.body or {}).get("message")} if said.status >= 400 else {}
            _log.info("click", **{**note, **told, **said.facts})
        await _send(said, {"x-request-id": request, **self._cors(headers)}, send)

    # -- where to

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Said:
        method: str = scope["method"]
        name, _, rest = scope["path"][len(PREFIX) :].strip("/").partition("/")
        if name not in _ALLOWED or bool(rest) != (name == "runs"):
            return _failed(404, f"there is nothing at {scope['path'][:200]}; see {PREFIX}/run, /runnable and /runs/ID")
        allowed = _ALLOWED[name]
        if method == "OPTIONS":
            return self._preflight(headers, allowed)
        if method != allowed:
            message = f"{method} is not for {PREFIX}/{name}; it takes {allowed}"
            return _failed(405, message, {"allow": f"{allowed}, OPTIONS"})
        match name:
            case "run":
                return await self._run(headers, receive)
            case "runnable":
                return await self._runnable(headers, cast("bytes", scope.get("query_string", b"")))
            case _:
                return await self._state(headers, rest)

    def _preflight(self, headers: Headers, allowed: str) -> Said:
        """What a browser asks before it lets another origin's page call."""
        if b"origin" not in headers:
            return Said(204, None, {"allow": f"{allowed}, OPTIONS"})
        if self.callers.listed(headers) is None:
            return _failed(403, "pages of this origin may not call; datahub.cors_origins lists those that may")
        return Said(204, None, {
            "access-control-allow-methods": allowed,
            "access-control-allow-headers": "authorization, content-type, x-headgate-request, x-request-id",
            "access-control-max-age": "600",
        })  # fmt: skip

    def _cors(self, headers: Headers) -> dict[str, str]:
        """Who may read the answer, on every answer."""
        vary = {"vary": "Origin, Cookie, Authorization"}
        if self.callers.listed(headers) is None:
            return vary
        return vary | {
            "access-control-allow-origin": headers[b"origin"].decode("latin-1"),
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "x-request-id, retry-after",
        }

    # -- POST run

    async def _run(self, headers: Headers, receive: Receive) -> Said:
        try:
            who = await self.callers.clicker("POST", headers)
            click = clicking.read(_decode(await _body(headers, receive)))
            found = await self._consider(click, who)
        except Unavailable as error:  # so far nothing is written
            raise Unavailable(_nothing_started(str(error))) from error
        facts: dict[str, Json] = {"actor": who.actor, "dataset": click.dataset}
        if isinstance(found, Refusal):
            status, code = REFUSED[found.why]
            return _failed(status, self._plain(found.message), facts={**facts, "outcome": code})
        try:
            run = await self._commit(found)
        except NotFound as error:  # the job was deleted while we looked
            return _failed(422, self._plain(str(error)), facts={**facts, "outcome": "no_job"})
        run = await self.waiting.landed(run, self.patience)
        return self._told(run, {**facts, "job": run.job, "run": run.id, "outcome": clicked.stage(run).value})

    async def _commit(self, wish: Wish) -> Run:
        loop = asyncio.get_running_loop()
        if self._landing is None or self._landing.loop is not loop:
            self._landing = Landing(loop)
        return await self._landing.wait(self._gate.datasets.click(wish))

    async def _consider(self, click: Click, who: Who) -> Wish | Refusal:
        return await self.callers.ask(lambda: self._gate.datasets.consider(click, who))

    def _told(self, run: Run, facts: Mapping[str, Json]) -> Said:
        name = clicked.run_id(run, opaque=self._gate.settings.datahub.opaque_run_ids)
        match clicked.stage(run):
            case Stage.ACCEPTED:
                return Said(200, {"runId": name, "status": "started"}, facts=facts)
            case Stage.PENDING:
                message = self._plain(clicked.message(run), self._known(run.job))
                return Said(202, {"runId": name, "status": "started", "message": message}, facts=facts)
            case Stage.REFUSED:
                message = f"the engine refused the run: {self._plain(clicked.message(run), self._known(run.job))}"
                return Said(502, {"runId": name, "status": "failed", "message": message}, facts=facts)

    # -- GET runnable

    async def _runnable(self, headers: Headers, query: bytes) -> Said:
        """What the button shows. An answer about a right or a dataset is 200, so that the button can tell it."""
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"))
        try:
            who = await self.callers.clicker("GET", headers)
            click = Click(dataset=clicking.read_dataset(given.get("datasetUrn")))
            found = await self._consider(click, who)
            if isinstance(found, Refusal):
                return Said(200, _not_runnable(REFUSED[found.why][1], self._plain(found.message)))
            wish = found
            last = await self._reading.do(lambda: self._gate.datasets.last_for(wish.job, click.dataset))
        except NotAuthenticated as error:
            return Said(200, _not_runnable("not_authenticated", str(error)))
        except Unavailable as error:
            return Said(200, _not_runnable("unavailable", self._plain(_unquoted(str(error)))), facts=_seen(error))
        return Said(200, self._offer(wish, last))

    def _offer(self, wish: Wish, last: Run | None) -> dict[str, Json]:
        job = wish.implicit or self._known(wish.job)
        shown = clicking.dataset_name(wish.click.dataset)
        return {
            "runnable": True,
            "allowed": True,
            "code": "ok",
            "reason": None,
            "job": {
                "name": self._name(wish.job),
                "description": self._plain(job.description if job and not wish.implicit else "", job),
                "engine": job.engine if job else "",
            },
            "confirm": f"This starts {self._plain(wish.words, job)} for the dataset {shown}.",
            "lastRun": self._last(last) if last else None,
        }

    def _last(self, run: Run) -> dict[str, Json]:
        return {
            "runId": clicked.run_id(run, opaque=self._gate.settings.datahub.opaque_run_ids),
            "state": run.state.value,
            "startedAt": time_json(run.started_at),
            "endedAt": time_json(run.ended_at),
            "actor": run.cause.actor,
            "message": self._plain(clicked.message(run), self._known(run.job)) or None,
        }

    # -- GET runs/{id}

    async def _state(self, headers: Headers, name: str) -> Said:
        await self.callers.clicker("GET", headers)
        try:
            run = await self._reading.do(lambda: self._gate.ledger.run(name))
        except NotFound:
            return _failed(404, f"there is no run {name[:200]!r}")
        body = self._last(run)
        del body["actor"]
        return Said(200, {**body, "job": self._name(run.job)})

    # -- words

    def _name(self, job: str) -> str:
        return job if self._gate.settings.datahub.reveal_targets else clicked.public_name(job)

    def _known(self, job: str) -> Job | None:
        return self._gate.ledger.catalog.jobs.get(JobName(job))

    def _plain(self, text: str, job: Job | None = None) -> str:
        """The text as a browser may have it: without names of AWS, unless they are to be revealed."""
        if self._gate.settings.datahub.reveal_targets or not text:
            return text
        return clicked.conceal(text, clicked.aws_names([job] if job else []))

    def _problem(self, error: HeadgateError) -> Said:
        status = 413 if isinstance(error, TooLarge) else status_of(error)
        facts: dict[str, Json] = {"outcome": type(error).__name__, **_seen(error)}
        return _failed(status, self._plain(_unquoted(str(error))), problem_headers(status), facts)


def _unquoted(text: str) -> str:
    """Without what a far side answered in place of an answer: it is for the log, and not for whoever calls."""
    return _QUOTED.sub("", text)


def _seen(error: HeadgateError) -> dict[str, Json]:
    """What `_unquoted` leaves out, for the log."""
    return {"seen": str(error)} if _QUOTED.search(str(error)) else {}


def _nothing_started(why: str) -> str:
    if "nothing was started" in why:
        return why
    return (
        f"{why} Nothing was started; try again later"
        if why.endswith("?")
        else f"{why}; nothing was started, try again later"
    )


def _not_runnable(code: str, reason: str) -> dict[str, Json]:
    allowed = code not in ("not_authenticated", "no_right", "unavailable")
    return {
        "runnable": False, "allowed": allowed, "code": code, "reason": reason, "job": None, "confirm": None,
        "lastRun": None,
    }  # fmt: skip


def _failed(
    status: int, message: str, headers: Mapping[str, str] | None = None, facts: Mapping[str, Json] | None = None
) -> Said:
    return Said(status, {"status": "failed", "message": message}, headers or {}, facts or {})


# -- the wire


def _request_id(headers: Headers) -> str:
    """The caller's X-Request-Id if it is a plain word, else one of ours; it is in the answer and in the log."""
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if _PLAIN_ID.fullmatch(given) else secrets.token_hex(8)


async def _body(headers: Headers, receive: Receive) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is larger than MAX_BODY. Invalid: it is compressed, or does not come.
        ClientGone: the caller hung up.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Invalid("body: must not be compressed")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > 12 or int(length) > MAX_BODY):
        raise TooLarge(f"body: larger than {MAX_BODY:,} bytes")
    parts, size, more = list[bytes](), 0, True
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > MAX_BODY:
                    raise TooLarge(f"body: larger than {MAX_BODY:,} bytes")
                more = message.get("more_body", False)
    except TimeoutError:
        raise Invalid(f"body: did not come within {BODY_PATIENCE:g} s") from None
    return b"".join(parts)


def _decode(body: bytes) -> Json:
    """Raises Invalid where it is no JSON."""
    if not body.strip():
        raise Invalid("body: is empty; expected a JSON object with datasetUrn")
    try:
        return cast("Json", msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"body: expected JSON ({error})") from error
    except RecursionError:
        raise Invalid("body: is nested too deeply") from None


async def _send(said: Said, headers: Mapping[str, str], send: Send) -> None:
    body = b"" if said.body is None else encode(said.body)
    named = {**SECURITY_HEADERS, "cache-control": "no-store", **headers, **said.headers}
    if said.body is not None:
        named |= {"content-type": "application/json", "content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": said.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
