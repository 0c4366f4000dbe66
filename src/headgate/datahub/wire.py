"""This file is where one call to DataHub is made: pooled, bounded in time and size, made again where that is safe."""

from __future__ import annotations

import base64
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final

import httpx
import msgspec

from headgate import __version__
from headgate.datahub.answers import Answer
from headgate.errors import Invalid, InvalidConfiguration, Unavailable
from headgate.model import Json

AGAIN: Final = frozenset({429, 500, 502, 503, 504})  #: statuses after which a call that can be repeated is
_NO_ADDRESS: Final = "datahub: its address must be an http or https URL with a host and, if any, a port up to 65535"
_CLOSED: Final = "the connection to DataHub is closed: this process is ending"
NOT_TAKEN: Final = frozenset({429, 503})  #: of these, those that say that nothing was done


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long one call may take, how often it is tried, how large an answer may be. Times in seconds."""

    connect: float = 3.0
    silence: float = 10.0  #: without a byte
    whole: float = 15.0  #: a call with all its tries
    write: float = 30.0  #: one that writes; the outbox keeps a message to itself for a minute
    tries: int = 4
    pause: float = 0.2  #: before the second try; doubles
    longest_pause: float = 5.0
    answer: int = 16 << 20  #: bytes, unpacked
    connections: int = 32


class Wire:
    """The pool of connections to one address. Safe from any thread.

    `sleep` waits between tries and says whether we are being closed; it stands for a clock in tests.
    """

    def __init__(self, url: str, limits: Limits, sleep: Callable[[float], bool] | None = None) -> None:
        parsed = _address(url)
        self.place = f"{parsed.host}:{parsed.port}" if parsed.port else parsed.host  #: safe to show
        self._limits = limits
        self._base = str(parsed.copy_with(username=None, password=None)).rstrip("/")
        self._closing = threading.Event()
        self._sleep = sleep or self._closing.wait
        pool = httpx.Limits(max_connections=limits.connections, max_keepalive_connections=8, keepalive_expiry=30)
        self._client = httpx.Client(
            timeout=httpx.Timeout(limits.silence, connect=limits.connect, pool=limits.connect),
            limits=pool,
            headers={"User-Agent": f"headgate/{__version__}", "Accept": "application/json", **_of_address(parsed)},
            trust_env=not _loopback(parsed.host),  # a proxy on the way to this machine is never meant
            # no memory for cookies: one that an answer sets is somebody's session, and never another's
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def close(self) -> None:
        self._closing.set()
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: Json = None,
        repeatable: bool = True,
        writes: bool = False,
    ) -> Answer:
        """One call, tried again while that is safe and there is time; there is more for one that `writes`.

        A call that is not `repeatable` is tried again only where the far side says, or it is plain, that it did not
        take the first.

        Raises:
            Unavailable: nobody answered, not in time, or with more than is taken.
            Invalid: the body is no JSON.
        """
        until = time.monotonic() + (self._limits.write if writes else self._limits.whole)
        content = None if body is None else _encoded(body)
        sent = {**headers, "Content-Type": "application/json"} if content is not None else dict(headers)
        for attempt in range(1, self._limits.tries + 1):
            if self._closing.is_set():
                raise Unavailable(_CLOSED)
            try:
                answer = self._once(method, path, sent, content, until)
            except httpx.RequestError as error:
                again = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                why = f"DataHub at {self.place} {_said(error)}"
                asked = 0.0
                cause: Exception | None = error
            else:
                if answer.status not in AGAIN:
                    return answer
                again = repeatable or answer.status in NOT_TAKEN
                why = f"DataHub at {self.place} answered {answer.seen()}"
                asked = _seconds(answer.retry_after)
                cause = None
            if not again or attempt == self._limits.tries:
                raise Unavailable(f"{why} ({attempt} tries)" if attempt > 1 else why) from cause
            pause = max(asked, self._jittered(attempt))
            if time.monotonic() + pause >= until:
                asks = f", and asks to be left alone for {asked:g} s" if asked else ""
                raise Unavailable(f"{why}{asks} ({attempt} tries)") from cause
            if self._sleep(pause):
                raise Unavailable(_CLOSED)
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, headers: Mapping[str, str], content: bytes | None, until: float) -> Answer:
        left = until - time.monotonic()
        limits = self._limits
        patience = httpx.Timeout(
            max(0.05, min(limits.silence, left)), connect=max(0.05, min(limits.connect, left)), pool=limits.connect
        )
        with self._client.stream(
            method,
            self._base + path,
            headers=httpx.Headers(dict(headers), encoding="latin-1"),
            content=content,
            timeout=patience,
        ) as answer:
            taken = bytearray()
            for part in answer.iter_bytes():
                taken += part
                if len(taken) > limits.answer:
                    raise Unavailable(f"DataHub at {self.place} answered more than {limits.answer >> 20} MB")
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the whole took too long", request=answer.request)
            found = answer.headers
            return Answer(
                answer.status_code,
                found.get("content-type", "").partition(";")[0].strip().lower(),
                bytes(taken),
                found.get("retry-after", ""),
            )

    def _jittered(self, attempt: int) -> float:
        longest = min(self._limits.longest_pause, self._limits.pause * 2 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def _encoded(body: Json) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"what is to be sent to DataHub cannot be written as JSON: {error}") from error


def _address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidConfiguration(_NO_ADDRESS) from error  # without its text, which may quote a password
    if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 0) > 65_535:
        raise InvalidConfiguration(_NO_ADDRESS)
    return parsed


def _of_address(url: httpx.URL) -> Mapping[str, str]:
    """The credential that a proxy before DataHub wants, where the address holds one. Any other wins over it."""
    if not url.username:
        return {}
    pair = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(error: httpx.RequestError) -> str:
    """What went wrong, without what the error may quote."""
    if isinstance(error, httpx.ConnectTimeout):
        return "cannot be reached in time"
    if isinstance(error, httpx.ConnectError):
        return "cannot be reached" + _why(error)
    if isinstance(error, httpx.PoolTimeout):
        return "is asked by too many at once"
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    return f"broke off its answer ({type(error).__name__})"


def _why(error: BaseException | None) -> str:
    """What the system says of a connection that was not made; "" where it says nothing that helps."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            known = error.errno != socket.EAI_NONAME
            return ": its name cannot be looked up now" if known else ": there is no such host"
        if isinstance(error, ConnectionRefusedError):
            return ": nothing listens there"
        if isinstance(error, ssl.SSLError):
            words = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            return f": it is not trusted, or speaks no TLS ({words})"
        error = error.__cause__ or error.__context__
    return ""


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds: a number, or a date. 0 where there is none or it makes no sense."""
    if not retry_after:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
