"""This file is where we find out who is calling, and turn away who may not: tokens, the console's cookie, browsers.

Without a token (loopback only) the caller is whoever sits at this machine. A web page in that person's browser must not
be: so the Host must be one of ours (DNS rebinding), an Origin must be ours, nothing answers a CORS preflight, and
what a browser sends to change something carries a header that no other site's form can.
A right bearer token needs none of that, because no web page knows it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final

from headgate.errors import Forbidden, Invalid, NotAuthenticated
from headgate.settings import Settings
from headgate.settings.record import Secret

LOCAL_ACTOR: Final = "urn:li:corpuser:local"
TOKEN_ACTOR: Final = "urn:li:corpuser:headgate"  # noqa: S105 - a name, no secret
COOKIE: Final = "headgate_session"
COOKIE_SECONDS: Final = 7 * 24 * 3600

_OURS = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Headers = Mapping[bytes, bytes]
#: What decides who calls and from where. Sent twice, one reader goes by the first and another by the last.
_ONCE: Final = frozenset(
    {b"authorization", b"host", b"origin", b"content-type", b"sec-fetch-site", b"x-headgate-request"}
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. `by`: nobody (no token is set), bearer or cookie."""

    actor: str
    by: str


def headers_of(raw: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The headers by name (lower case). Cookies that came in several lines are one, as RFC 9113, 8.2.3 has it.

    Raises:
        Invalid: one that may be there once came twice, and not alike.
    """
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        if name == b"cookie" and name in found:
            value = found[name] + b"; " + value  # noqa: PLW2901 - the same header, whole
        elif name in _ONCE and found.get(name, value) != value:
            raise Invalid(f"the header {name.decode('latin-1')} was sent twice, and not alike; send it once")
        found[name] = value
    return found


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides about each request by its headers alone. `host` is what the port is bound to."""

    def __init__(self, settings: Settings, host: str) -> None:
        self._token = _text(settings.token)
        self._events_token = _text(settings.events_token)
        self._loopback = is_loopback(host)
        self._knows_callers = bool(self._token) or settings.datahub.configured
        self._key = hashlib.sha256(b"headgate console\0" + self._token).digest() if self._token else b""

    @property
    def needs_login(self) -> bool:
        return bool(self._token)

    def check_place(self, headers: Headers) -> None:
        """Refuse a foreign Host (when bound to loopback) and a foreign Origin. Raises Forbidden."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self._loopback and not _OURS.fullmatch(host):
            raise Forbidden(
                f"Host {host[:100]!r} is not this machine; call http://localhost, or send a bearer token"
                " (HEADGATE_TOKEN, for events HEADGATE_EVENTS_TOKEN)"
            )
        _check_origin(headers)

    def check_console(self, headers: Headers) -> None:
        """Refuse what another site's page may have sent to the console. Raises Forbidden.

        Where callers must show who they are, any Host will do: a proxy before us may have given us a public name, and a
        page that came under a false one has no session here.
        """
        if self._knows_callers:
            _check_origin(headers)
        else:
            self.check_place(headers)

    def bears_events_token(self, headers: Headers) -> bool:
        return bool(self._events_token) and bears(headers, self._events_token)

    def check_events(self, headers: Headers) -> None:
        """Let a sender of events in. Raises NotAuthenticated or Forbidden."""
        if self._events_token:
            if not bears(headers, self._events_token):
                raise NotAuthenticated(
                    "events need `Authorization: Bearer …` with the token of HEADGATE_EVENTS_TOKEN (auth.events_token)"
                )
            return
        if not self._loopback:
            raise NotAuthenticated("HEADGATE_EVENTS_TOKEN is not set on the server, so it takes no events from afar")
        self.check_place(headers)

    def caller(self, method: str, headers: Headers) -> Caller:
        """Find out who calls `/headgate/…`.

        Raises:
            NotAuthenticated: a token is needed and none that is right was sent.
            Forbidden: a browser's call that another site's page may have made.
        """
        if self._token and b"authorization" in headers:
            if bears(headers, self._token):
                return Caller(TOKEN_ACTOR, "bearer")
            raise NotAuthenticated("the bearer token is not the one of HEADGATE_TOKEN (auth.token)")
        if not self._token and not self._loopback:
            raise NotAuthenticated("HEADGATE_TOKEN is not set on the server, so it answers nobody from afar")
        self.check_console(headers)
        by = "cookie" if self._token else "nobody"
        if self._token and not self.has_session(headers):
            raise NotAuthenticated("this needs `Authorization: Bearer …` with the token of HEADGATE_TOKEN (auth.token)")
        if method not in _SAFE:
            _check_browser(headers, by)
        return Caller(TOKEN_ACTOR if self._token else LOCAL_ACTOR, by)

    def cookie_for(self, token: str, *, secure: bool, now: float | None = None) -> str | None:
        """The Set-Cookie of a login with this token; None when it is not ours."""
        if not self._token or not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            return None
        expires = str(int(now or time.time()) + COOKIE_SECONDS)
        parts = f"{COOKIE}={expires}.{self._sign(expires)}; Path=/headgate; Max-Age={COOKIE_SECONDS}"
        return parts + "; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")

    @staticmethod
    def no_cookie() -> str:
        return f"{COOKIE}=; Path=/headgate; Max-Age=0; HttpOnly; SameSite=Strict"

    def _sign(self, expires: str) -> str:
        return hmac.new(self._key, expires.encode(), hashlib.sha256).hexdigest()

    def has_session(self, headers: Headers) -> bool:
        """Whether the console's own cookie is there, and right."""
        try:
            sent = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
        except CookieError:
            return False
        expires, _, signature = (sent.value if sent else "").partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 15 and signature.isascii()):
            return False
        return hmac.compare_digest(signature, self._sign(expires)) and int(expires) > time.time()


def _check_origin(headers: Headers) -> None:
    origin = headers.get(b"origin")
    if origin is not None and not same_origin(origin, headers.get(b"host", b"").decode("latin-1")):
        raise Forbidden("this call comes from another site's page; a page may only call the host it came from")


def _check_browser(headers: Headers, by: str) -> None:
    """A browser says where a call comes from; one that changes something must come from our own page's script."""
    site = headers.get(b"sec-fetch-site")
    if site not in (None, b"same-origin", b"none"):
        raise Forbidden("this call comes from another site's page")
    browser = by == "cookie" or site is not None or b"origin" in headers
    if browser and headers.get(b"x-headgate-request") != b"1":
        raise Forbidden("a browser's call that changes something needs the header X-Headgate-Request: 1")


def same_origin(origin: bytes, host: str) -> bool:
    scheme, separator, place = origin.decode("latin-1").partition("://")
    return bool(separator) and scheme in ("http", "https") and place.lower() == host.lower()


def bears(headers: Headers, token: bytes) -> bool:
    scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(sent.strip(), token)


def _text(secret: Secret | None) -> bytes:
    return secret.reveal().encode() if secret else b""
