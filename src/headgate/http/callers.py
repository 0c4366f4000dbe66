"""This file is where it is found out who calls when DataHub knows the callers: a bearer token, or DataHub's session.

The credential is shown to DataHub, which says whose it is; nothing in the request but the credential says who calls.
A session cookie is sent by the browser whoever's page makes it, so a call with one that changes something must come
from our own origin (or one of `datahub.cors_origins`), as JSON, with a header that no form can send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from headgate.errors import Forbidden, NotAuthenticated, Unavailable
from headgate.flow.click import MANAGES, Who
from headgate.gate import Gate
from headgate.http.auth import TOKEN_ACTOR, Caller, Guard, Headers, bears, same_origin
from headgate.http.threads import Threads
from headgate.ports import Credential, DataHub

T = TypeVar("T")

#: Seconds that DataHub has for all that is asked of it for one call.
PATIENCE: Final = 20.0
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Callers:
    """Decides about callers of /api/ingestion, and of /headgate where a DataHub is configured.

    DataHub is asked in threads that nobody else needs: a DataHub that hangs holds up nobody else.
    """

    def __init__(self, gate: Gate, guard: Guard, threads: Threads, *, patience: float = PATIENCE) -> None:
        self._gate = gate
        self._guard = guard
        self._threads = threads
        self.patience = patience
        settings = gate.settings
        self._token = settings.token.reveal().encode() if settings.token else b""
        # without DataHub and without a token nobody shows a credential, so no other site's page may call at all
        known = settings.datahub.configured or settings.token is not None
        self._origins = frozenset(_plain(one) for one in settings.datahub.cors_origins) if known else frozenset[str]()

    @property
    def by_datahub(self) -> bool:
        """Whether callers are DataHub's users."""
        return self._gate.settings.datahub.configured

    def listed(self, headers: Headers) -> str | None:
        """The call's Origin where it is one of `datahub.cors_origins`."""
        origin = headers.get(b"origin", b"").decode("latin-1")
        return origin if origin and _plain(origin) in self._origins else None

    async def clicker(self, method: str, headers: Headers) -> Who:
        """Who calls /api/ingestion.

        Raises:
            NotAuthenticated: no credential, or one that DataHub does not take.
            Forbidden: a call that another site's page may have made.
            Unavailable: DataHub cannot be asked.
        """
        if self._bears_token(headers):
            return Who(actor=TOKEN_ACTOR)
        if self.by_datahub:
            return await self._known(method, headers)
        if self.listed(headers):
            headers = {name: value for name, value in headers.items() if name not in (b"origin", b"sec-fetch-site")}
        return Who(actor=self._guard.caller(method, headers).actor)

    async def producer(self, headers: Headers) -> None:
        """Let a sender of OpenLineage events in: whoever may send events, and whoever DataHub knows.

        Raises what `clicker` raises.
        """
        if not self._guard.bears_events_token(headers):
            await self.clicker("POST", headers)

    async def operator(self, method: str, headers: Headers) -> Caller:
        """Who calls /headgate: whoever has our token or our console's session; of DataHub's users those who manage.

        Raises what `clicker` raises.
        """
        if not self.by_datahub or self._bears_token(headers) or self._guard.has_session(headers):
            return self._guard.caller(method, headers)
        if not headers.get(b"authorization") and not headers.get(b"cookie"):
            raise NotAuthenticated(
                "this needs `Authorization: Bearer …` with HEADGATE_TOKEN (auth.token; set it for the server and"
                f" for the command line), or the token or session of a DataHub user who has {MANAGES}"
            )
        who = await self._known(method, headers)
        if who.identity is None or MANAGES not in who.identity.privileges:
            raise Forbidden(f"{who.actor} may not see or change jobs and runs here; DataHub must grant {MANAGES}")
        return Caller(who.actor, "datahub")

    async def ask(self, work: Callable[[], T]) -> T:
        """Do what asks DataHub, in a thread. Unavailable when it takes longer than `patience` seconds."""
        try:
            async with asyncio.timeout(self.patience):
                return await self._threads.do(work)
        except TimeoutError:
            raise Unavailable(
                f"DataHub did not answer within {self.patience:g} s; nothing was started, try again later"
            ) from None

    async def _known(self, method: str, headers: Headers) -> Who:
        """Whom DataHub knows the call's credential as."""
        credential = self._credential(method, headers)
        datahub = self._datahub()
        identity = await self.ask(lambda: datahub.identify(credential))
        return Who(actor=identity.actor, credential=credential, identity=identity)

    def _credential(self, method: str, headers: Headers) -> Credential:
        authorization = headers.get(b"authorization", b"").decode("latin-1").strip()
        if authorization:
            if authorization[:7].lower() != "bearer " or not authorization[7:].strip():
                raise NotAuthenticated("expected `Authorization: Bearer …` with a token of DataHub")
            return Credential(authorization=authorization)
        cookie = headers.get(b"cookie", b"").decode("latin-1").strip()
        if not cookie:
            raise NotAuthenticated("log in to DataHub, or send `Authorization: Bearer …` with a token of DataHub")
        self._check_page(method, headers)
        return Credential(cookie=cookie)

    def _check_page(self, method: str, headers: Headers) -> None:
        """What a browser sends with a cookie must come from a page that may. Raises Forbidden."""
        origin, host = headers.get(b"origin"), headers.get(b"host", b"").decode("latin-1")
        listed = self.listed(headers) is not None
        if origin is not None and not listed and not same_origin(origin, host):
            raise Forbidden("this call comes from another site's page, which datahub.cors_origins does not list")
        if method in _SAFE:
            return
        if not listed and headers.get(b"sec-fetch-site") not in (None, b"same-origin"):
            raise Forbidden("this call comes from another site's page, which datahub.cors_origins does not list")
        if headers.get(b"x-headgate-request") != b"1":
            raise Forbidden("a call with a session cookie needs the header X-Headgate-Request: 1")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Forbidden("a call with a session cookie needs Content-Type: application/json")

    def _bears_token(self, headers: Headers) -> bool:
        return bool(self._token) and bears(headers, self._token)

    def _datahub(self) -> DataHub:
        if self._gate.datahub is None:
            raise Unavailable("DataHub is configured, but this server has no connection to it; see /readyz")
        return self._gate.datahub


def _plain(origin: str) -> str:
    return origin.rstrip("/").lower()
