"""This file is where commands are answered by a running server, over its REST API."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import httpx

from headgate.cli.client import Client, Doc, EventsWanted, Piece, RunsWanted
from headgate.errors import Conflict, Forbidden, HeadgateError, Invalid, NotFound, Unavailable

TIMEOUT: Final = 10.0  #: seconds, for each of connecting, sending and being answered
FAR: Final = 900.0  #: seconds that the server is given where it has to make changes on AWS, one after the other
_API: Final = "/headgate/api/v1"
_PAGE: Final = 200


class NotThere(NotFound):
    """The server's own words about what is not there."""

    def __init__(self, message: str) -> None:
        HeadgateError.__init__(self, message)
        self.what, self.name = "thing", message


@contextmanager
def connected(url: str, token: str | None) -> Generator[Client]:
    """A `Client` of the server at this address, until the end of the context."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # the environment's proxies are for the world outside, not for the way to our own server
    with httpx.Client(base_url=url + _API, headers=headers, timeout=TIMEOUT, trust_env=False) as http:
        yield Remote(url, http)


class Remote:
    """A `Client` of a server. It holds no lock, and what it started goes on without it."""

    remote = True

    def __init__(self, url: str, http: httpx.Client) -> None:
        self.where = f"the server at {url}"
        self._http = http

    def jobs(self) -> list[Doc]:
        return list(self._list("/jobs"))

    def triggers(self) -> list[Doc]:
        return list(self._list("/triggers"))

    def runs(self, wanted: RunsWanted) -> Iterator[Doc]:
        state = wanted.state.upper() if wanted.state else None
        origin = "external" if wanted.external else None
        return self._list("/runs", job=wanted.job, state=state, trigger=wanted.trigger, origin=origin)

    def run(self, name: str) -> Doc:
        return self._object("GET", f"/runs/{_safe(name)}")

    def attempts(self, run: str) -> list[Doc]:
        return list(self._list(f"/runs/{_safe(run)}/attempts"))

    def objects(self, run: str) -> list[Doc]:
        return list(self._list(f"/runs/{_safe(run)}/objects"))

    def decisions(self, run: str) -> Sequence[Doc]:
        return list(self._list("/decisions", run=run))[::-1]

    def decided(self, trigger: str) -> Iterator[Doc]:
        return self._list("/decisions", trigger=trigger)

    def last_writes(self, most: int) -> Sequence[Doc]:
        return _items(self._ask("GET", "/last-writes", {"limit": most}))

    def audit(self) -> Iterator[Doc]:
        return self._list("/audit")

    def status(self) -> Doc:
        return self._object("GET", "/status")

    def log(self, run: str, *, offset: int, attempt: int | None) -> Piece:
        found = self._object("GET", f"/runs/{_safe(run)}/log", offset=offset, attempt=attempt)
        return Piece(found["text"], found["next"], found["complete"])

    def start(self, job: str, arguments: Mapping[str, str], reason: str | None) -> Doc:
        return self._object("POST", "/runs", body={"job": job, "arguments": dict(arguments), "reason": reason})

    def stop(self, run: str, reason: str | None) -> Doc:
        return self._object("POST", f"/runs/{_safe(run)}/stop", body={"reason": reason})

    def retry(self, run: str, reason: str | None) -> Doc:
        return self._object("POST", f"/runs/{_safe(run)}/retry", body={"reason": reason})

    def switch(self, trigger: str, *, enabled: bool, reason: str | None) -> Doc:
        verb = "enable" if enabled else "disable"
        return self._object("POST", f"/triggers/{_safe(trigger)}/{verb}", body={"reason": reason})

    def start_trigger(self, trigger: str, reason: str | None) -> Doc:
        return self._object("POST", f"/triggers/{_safe(trigger)}/start", body={"reason": reason})

    def events(self, wanted: EventsWanted) -> Iterator[Doc]:
        return self._list("/events", **_filter(wanted))

    def replay(
        self, wanted: EventsWanted, *, events: Sequence[str], downstream: bool, dry_run: bool, reason: str | None
    ) -> list[Doc]:
        body = {
            **_filter(wanted),
            "events": list(events) or None,
            "downstream": downstream,
            "dry_run": dry_run,
            "reason": reason,
        }
        return _items(self._ask("POST", "/events/replay", body=body))

    def dead_letters(self) -> Iterator[Doc]:
        return self._list("/dead-letters")

    def replay_dead(self, letter: str, reason: str | None) -> Doc:
        return self._object("POST", f"/dead-letters/{_safe(letter)}/replay", body={"reason": reason})

    def delete_dead(self, letter: str, reason: str | None) -> Doc:
        return self._object("DELETE", f"/dead-letters/{_safe(letter)}", reason=reason)

    def plan(self) -> list[Doc]:
        return _items(self._ask("GET", "/plan"))

    def apply(self) -> list[Doc]:
        return _items(self._ask("POST", "/apply", body={}))

    def plan_glue(self) -> list[Doc]:
        return _items(self._ask("GET", "/plan/glue", patience=FAR))

    def apply_glue(self) -> list[Doc]:
        return _items(self._ask("POST", "/apply/glue", body={}, patience=FAR))

    def explain(self, urn: str) -> Doc:
        return self._object("GET", "/explain", urn=urn)

    def start_for(self, dataset: str, arguments: Mapping[str, str], reason: str | None) -> Doc:
        return self._object("POST", "/runs", body={"dataset": dataset, "arguments": dict(arguments), "reason": reason})

    def rules(self, *, stale: bool) -> list[Doc]:
        return _items(self._ask("GET", "/rules", {"stale": stale}))

    def set_rule(self, asked: Mapping[str, Any]) -> Doc:
        return self._object("PUT", "/rules", body=asked)

    def delete_rule(self, name: str, reason: str | None) -> Doc:
        return self._object("DELETE", f"/rules/{_safe(name)}", reason=reason)

    def keys(self) -> list[Doc]:
        return _items(self._ask("GET", "/keys"))

    def create_key(self, asked: Mapping[str, Any]) -> Doc:
        return self._object("POST", "/keys", body=asked)

    def revoke_key(self, key: str, reason: str | None) -> Doc:
        return self._object("DELETE", f"/keys/{_safe(key)}", reason=reason)

    def secrets(self) -> list[Doc]:
        return _items(self._ask("GET", "/secrets"))

    def set_secret(self, name: str, value: str, reason: str | None) -> Doc:
        url = self._http.base_url
        if url.scheme != "https" and url.host not in ("localhost", "127.0.0.1", "::1"):
            raise Invalid(
                f"{self.where} is far and not reached by https, so everybody on the way could read the value; use"
                " its https address, or set the secret where it runs"
            )
        return self._object("PUT", f"/secrets/{_safe(name)}", body={"value": value, "reason": reason})

    def delete_secret(self, name: str, reason: str | None) -> Doc:
        return self._object("DELETE", f"/secrets/{_safe(name)}", reason=reason)

    def rotate_secrets(self, reason: str | None) -> Doc:
        return self._object("POST", "/secrets/rotate", body={"reason": reason})

    def _list(self, path: str, **asked: object) -> Iterator[Doc]:
        before: object = None
        while True:
            page = self._ask("GET", path, {**asked, "before": before, "limit": _PAGE})
            yield from _items(page)
            before = page.get("next") if isinstance(page, dict) else None
            if before is None:
                return

    def _object(self, method: str, path: str, *, body: Mapping[str, Any] | None = None, **asked: object) -> Doc:
        found = self._ask(method, path, asked, body)
        if not isinstance(found, dict):
            raise Unavailable(f"{self.where} answered {method} {path} with something else than an object")
        return cast(Doc, found)

    def _ask(
        self,
        method: str,
        path: str,
        asked: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        patience: float = TIMEOUT,
    ) -> Any:
        parameters = {name: str(value) for name, value in (asked or {}).items() if value not in (None, False)}
        sent = {name: value for name, value in body.items() if value is not None} if body is not None else None
        try:
            limits = httpx.Timeout(TIMEOUT, read=patience)
            answer = self._http.request(method, path, params=parameters, json=sent, timeout=limits)
        except httpx.TimeoutException as error:
            raise Unavailable(f"{self.where} did not answer within {patience:g} s; look at its log") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(f"{self.where} cannot be reached: {error}; is it still running?") from error
        if answer.is_success:
            return self._json(answer)
        raise self._refusal(answer)

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise Unavailable(f"{self.where} answered with something else than JSON; is it a headgate?") from error

    def _refusal(self, answer: httpx.Response) -> HeadgateError:
        said = _said(answer)
        status = answer.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return Forbidden(f"{said}; set HEADGATE_TOKEN to the server's token")
        if status == HTTPStatus.NOT_FOUND:
            return NotThere(said)
        if status in (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS):
            return Conflict(said)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return Invalid(said)
        return Unavailable(f"{self.where}: {said}")


def _items(page: Any) -> list[Doc]:
    return list(page["items"] if isinstance(page, dict) else page)


def _filter(wanted: EventsWanted) -> dict[str, Any]:
    return {
        "prefix": wanted.prefix,
        "since": wanted.since.isoformat() if wanted.since else None,
        "until": wanted.until.isoformat() if wanted.until else None,
        "failed": wanted.failed or None,
        "door": wanted.door,
    }


def _said(answer: httpx.Response) -> str:
    """What the server says is wrong, from whatever shape it says it in."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    for key in ("message", "error", "detail"):
        if isinstance(body, dict):
            found = cast(dict[str, Any], body).get(key)
            if isinstance(found, dict):
                found = cast(dict[str, Any], found).get("message")
            if isinstance(found, str) and found:
                return found
    return f"HTTP {answer.status_code} {answer.reason_phrase}"


def _safe(name: str) -> str:
    return quote(name, safe="")
