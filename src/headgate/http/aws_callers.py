"""This file is where it is found out who makes an AWS call: whoever sits at this machine, or who signed with our keys.

Calls that are not signed by a key of ours pass only where no one else can reach: the port is bound to loopback, nobody
has to show a token and no DataHub knows the callers, the Host is this machine's, and the call comes from no other
site's page. (A page's script could not send the target's header without a preflight, which nobody answers.)
"""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from headgate.errors import Forbidden
from headgate.http.auth import LOCAL_ACTOR, TOKEN_ACTOR, Guard, Headers, bears, is_loopback
from headgate.http.aws_wire import Fault
from headgate.settings import Settings

DEFAULT_REGION: Final = "us-east-1"


class AwsCallers:
    """`host` is what the port is bound to."""

    def __init__(self, settings: Settings, guard: Guard, host: str) -> None:
        self._guard = guard
        self._token = settings.token.reveal().encode() if settings.token else b""
        self.local = is_loopback(host) and not self._token and not settings.datahub.configured

    def admit(self, scope: Scope, headers: Headers, body: bytes, service: str) -> tuple[str, str]:
        """Who calls, and the region the call is signed for. Raises Fault or Forbidden."""
        del scope, body, service
        if self._token and bears(headers, self._token):
            return TOKEN_ACTOR, DEFAULT_REGION
        if self.local:
            self._guard.check_place(headers)
            if headers.get(b"sec-fetch-site") not in (None, b"same-origin", b"none"):
                raise Forbidden("this call comes from another site's page")
            return LOCAL_ACTOR, _region(headers)
        raise Fault(
            "MissingAuthenticationTokenException",
            "the call is not signed; sign it with an access key of this server (`headgate keys create`)",
        )


def _region(headers: Headers) -> str:
    """The region in the signature's scope, whoever signed."""
    scope = headers.get(b"authorization", b"").partition(b"Credential=")[2].partition(b",")[0].split(b"/")
    return scope[2].decode("latin-1") if len(scope) == 5 else DEFAULT_REGION
