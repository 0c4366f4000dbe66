"""This file is where it is found out who makes an AWS call: whoever signed with a key of ours, or sits at this machine.

Calls that are not signed by a key of ours pass only where no one else can reach: the port is bound to loopback, nobody
has to show a token and no DataHub knows the callers, the Host is this machine's, and the call comes from no other
site's page. (A page's script could not send the target's header without a preflight, which nobody answers.)
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any, Final

from starlette.types import Scope

from headgate.errors import Forbidden
from headgate.gate import Gate
from headgate.http import aws_sigv4
from headgate.http.auth import LOCAL_ACTOR, TOKEN_ACTOR, Guard, Headers, bears, is_loopback
from headgate.http.aws_wire import Fault
from headgate.runtime.access_keys import AccessKeys, OpenKey, digest

DEFAULT_REGION: Final = "us-east-1"


class AwsCallers:
    """`host` is what the port is bound to."""

    def __init__(self, gate: Gate, guard: Guard, host: str, *, clock: Callable[[], float] = time.time) -> None:
        settings = gate.settings
        self._guard = guard
        self.keys = AccessKeys(gate.ledger, settings)
        self.clock = clock
        self._token = settings.token.reveal().encode() if settings.token else b""
        self.local = is_loopback(host) and not self._token and not settings.datahub.configured

    async def admit(self, scope: Scope, headers: Headers, body: bytes, service: str) -> tuple[str, str]:
        """Who calls, and the region the call is signed for. Raises Fault, Forbidden, or that the ledger is away."""
        if self.local:
            self._guard.check_place(headers)
            if headers.get(b"sec-fetch-site") not in (None, b"same-origin", b"none"):
                raise Forbidden("this call comes from another site's page")
            return LOCAL_ACTOR, _region(headers)
        if self._token and bears(headers, self._token):
            return TOKEN_ACTOR, DEFAULT_REGION
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        if not authorization:
            raise Fault(
                "MissingAuthenticationTokenException",
                "the call is not signed; sign it with an access key of this server (`headgate keys create`)",
            )
        said = aws_sigv4.parse(authorization)
        key = self.keys.remembered(said.key) or await asyncio.to_thread(self.keys.find, said.key)
        if key is None or key.key.revoked_at is not None:
            raise Fault("UnrecognizedClientException", "The security token included in the request is invalid.")
        # who calls a service that nobody has here learns that, and not that the signature is wrong
        aws_sigv4.check(
            said, _request(scope, headers, body), secret=key.secret, service=service or said.service, now=self.clock()
        )
        self._check_session(key, headers)
        return f"urn:li:corpuser:key-{key.key.name}", said.region

    def _check_session(self, key: OpenKey, headers: Headers) -> None:
        token = headers.get(b"x-amz-security-token", b"").decode("latin-1")
        wanted = key.key.session
        if (wanted or token) and not hmac.compare_digest(digest(token), wanted or ""):
            raise Fault("UnrecognizedClientException", "The security token included in the request is invalid.")
        if key.key.expires_at is not None and key.key.expires_at.timestamp() <= self.clock():
            raise Fault("ExpiredTokenException", "The security token included in the request is expired")


def _request(scope: Scope, headers: Headers, body: bytes) -> aws_sigv4.Request:
    path: Any = scope.get("raw_path") or scope["path"].encode()
    return aws_sigv4.Request(
        method=scope["method"], path=path.partition(b"?")[0], query=scope.get("query_string", b""), headers=headers,
        body=body,
    )  # fmt: skip


def _region(headers: Headers) -> str:
    """The region in the signature's scope, whoever signed."""
    scope = headers.get(b"authorization", b"").partition(b"Credential=")[2].partition(b",")[0].split(b"/")
    return scope[2].decode("latin-1") if len(scope) == 5 else DEFAULT_REGION
