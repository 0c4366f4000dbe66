"""This file is where signatures of AWS calls (Signature Version 4, in the Authorization header) are verified."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from headgate.http.aws_wire import Fault

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SKEW: Final = 300.0  #: seconds by which a caller's clock may be wrong
_PARTS: Final = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_DATE: Final = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was signed."""

    method: str
    path: bytes  #: as it was sent
    query: bytes
    headers: Mapping[bytes, bytes]  #: names in lower case
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What the Authorization header says."""

    key: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str


def parse(authorization: str) -> Signature:
    """Raises Fault: IncompleteSignatureException for a header that is none of this kind."""
    kind, _, rest = authorization.partition(" ")
    parts = dict(_PARTS.findall(rest))
    scope = parts.get("Credential", "").rsplit("/", 4)
    if kind != ALGORITHM or len(parts) != 3 or len(scope) != 5 or scope[4] != "aws4_request":
        raise Fault(
            "IncompleteSignatureException",
            f"Authorization: expected {ALGORITHM} Credential=…, SignedHeaders=…, Signature=…",
        )
    names = tuple(parts["SignedHeaders"].split(";"))
    return Signature(
        key=scope[0], day=scope[1], region=scope[2], service=scope[3], headers=names, signature=parts["Signature"]
    )


def check(said: Signature, request: Request, *, secret: str, service: str, now: float) -> None:
    """Compare the signature with the one that this secret gives.

    Raises:
        Fault: InvalidSignatureException: it is another's, or of another call, service or time.
    """
    date = request.headers.get(b"x-amz-date", b"").decode("latin-1")
    _check_time(date, said, now)
    if said.service != service:
        raise _wrong(f"Credential should be scoped to correct service: '{service}'.")
    needed = {"host", "x-amz-date", *(["x-amz-target"] if b"x-amz-target" in request.headers else [])}
    if not needed <= set(said.headers):
        raise _wrong(f"SignedHeaders: {', '.join(sorted(needed - set(said.headers)))} must be signed, too.")
    digest = hashlib.sha256(request.body).hexdigest()
    stated = request.headers.get(b"x-amz-content-sha256", b"").decode("latin-1")
    if stated and stated != digest:
        raise _wrong("x-amz-content-sha256 is not the SHA-256 of the body.")
    scope = f"{said.day}/{said.region}/{said.service}/aws4_request"
    canonical = hashlib.sha256(_canonical(said, request, digest).encode("latin-1")).hexdigest()
    to_sign = "\n".join((ALGORITHM, date, scope, canonical))
    key = _signing_key(secret, said.day, said.region, said.service)
    wanted = hmac.new(key, to_sign.encode("latin-1"), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), said.signature.encode("latin-1", "replace")):
        raise _wrong(
            "The request signature we calculated does not match the signature you provided."
            " Check your AWS Secret Access Key and signing method."
        )


def _check_time(date: str, said: Signature, now: float) -> None:
    if not _DATE.fullmatch(date):
        raise Fault("IncompleteSignatureException", "X-Amz-Date: expected a time such as 20261120T225136Z")
    try:
        at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise Fault("IncompleteSignatureException", f"X-Amz-Date: {date} is no time") from error
    if date[:8] != said.day:
        raise _wrong(f"Date in Credential scope does not match YYYYMMDD from X-Amz-Date: '{said.day}' != '{date[:8]}'")
    if abs(now - at) > SKEW:
        here = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        raise _wrong(f"Signature expired: {date} is more than {SKEW / 60:g} min. from {here}, the time here")


def _canonical(said: Signature, request: Request, digest: str) -> str:
    # S3 signs the path as it is sent, every other service encodes it once more
    path = request.path.decode("latin-1") if said.service == "s3" else quote(request.path, safe="/-_.~")
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name.encode('latin-1'), b'').decode('latin-1').split())}\n"
        for name in said.headers
    )
    return "\n".join((request.method, path or "/", _query(request.query), headers, ";".join(said.headers), digest))


def _query(query: bytes) -> str:
    pairs: list[tuple[str, str]] = []
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        pairs.append((quote(unquote_to_bytes(name), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


@lru_cache(maxsize=256)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.new(key, part.encode("latin-1", "replace"), hashlib.sha256).digest()
    return key


def _wrong(message: str) -> Fault:
    return Fault("InvalidSignatureException", message)
