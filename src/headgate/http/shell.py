"""This file is where DataHub's HTML shell gets the button: what the shell is, where the tag goes, what its CSP allows.

The shell is the one page DataHub's frontend answers every address with; its scripts draw everything else.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import urlsplit

#: Bytes of HTML that are looked at; DataHub's shell is a few thousand.
MAX_SHELL: Final = 512 * 1024
SCRIPT: Final = "headgate/button.js"

_ROOT: Final = b'<div id="root"'
_BASE: Final = re.compile(rb"""<base\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_POLICIES: Final = frozenset({b"content-security-policy", b"content-security-policy-report-only"})
#: What describes bytes that are no longer the ones the frontend sent.
_OF_THE_BYTES: Final = frozenset(
    {b"content-length", b"content-encoding", b"etag", b"last-modified", b"accept-ranges", b"content-md5", b"digest"}
)

RawHeaders = Sequence[tuple[bytes, bytes]]


def changed(body: bytes, headers: RawHeaders, *, scheme: str, host: str) -> tuple[bytes, RawHeaders] | None:
    """The shell with the button's tag, and the headers that fit it; None when this is not the shell.

    `headers` are the frontend's, names in lower case. `scheme` and `host` are how the browser addressed us; they decide
    whether the frontend's Content-Security-Policy lets our script in as it is.
    """
    encoding = b",".join(value for name, value in headers if name == b"content-encoding")
    html = _decoded(body, encoding.strip().lower())
    if html is None or _ROOT not in html or SCRIPT.encode() in html:
        return None
    nonce = _nonce(headers)
    html = _with_tag(html, nonce)
    kept = [
        (
            name,
            _allowing(value.decode("latin-1"), nonce, scheme, host).encode("latin-1") if name in _POLICIES else value,
        )
        for name, value in headers
        if name not in _OF_THE_BYTES
    ]
    return html, [*kept, (b"content-length", str(len(html)).encode())]


def without_length(headers: RawHeaders) -> RawHeaders:
    """For HEAD of a page: the headers a GET would have, as far as they are known without the page."""
    return [(name, value) for name, value in headers if name not in _OF_THE_BYTES]


def _decoded(body: bytes, encoding: bytes) -> bytes | None:
    """The plain bytes; None where we cannot read them, or they would be too many."""
    if encoding in (b"", b"identity"):
        return body
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        return None
    opened = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its head says
    try:
        html = opened.decompress(body, MAX_SHELL)
    except zlib.error:
        return None
    return html if opened.eof else None


def _with_tag(html: bytes, nonce: str) -> bytes:
    found = _BASE.search(html)
    href = (found.group(1) or found.group(2) or b"").decode("utf-8", "replace") if found else ""
    base = urlsplit(href).path if "/" in href else ""
    base = base if base.startswith("/") else "/"
    source = escape(base.rstrip("/") + "/" + SCRIPT)
    about = f' nonce="{escape(nonce)}"' if nonce else ""
    tag = f'<script src="{source}" defer{about}></script>'.encode()
    lower = html.lower()
    place = max(lower.rfind(b"</body>"), 0) or max(lower.find(b"</head>"), 0) or len(html)
    return html[:place] + tag + html[place:]


# -- Content-Security-Policy: https://www.w3.org/TR/CSP3/


def _nonce(headers: RawHeaders) -> str:
    """The nonce scripts of this page carry; "" when its policies have none."""
    for name, value in headers:
        if name in _POLICIES:
            found = re.search(
                r"(?:script-src|script-src-elem|default-src)\b[^;,]*'nonce-([^']+)'", value.decode("latin-1")
            )
            if found:
                return found.group(1)
    return ""


def _allowing(header: str, nonce: str, scheme: str, host: str) -> str:
    """The header, with 'self' added to each of its policies that would keep our script out."""
    return ",".join(_policy_allowing(policy, nonce, scheme, host) for policy in header.split(","))


def _policy_allowing(policy: str, nonce: str, scheme: str, host: str) -> str:
    directives = policy.split(";")
    names = [(directive.split() or [""])[0].lower() for directive in directives]
    governing = next((name for name in ("script-src-elem", "script-src", "default-src") if name in names), None)
    if governing is None:
        return policy
    at = names.index(governing)  # of two with one name the first counts
    sources = directives[at].split()[1:]
    if _lets_in(sources, nonce, scheme, host):
        return policy
    widened = " ".join([*(one for one in sources if one.lower() != "'none'"), "'self'"])
    if governing == "default-src":  # everything else it governs stays as it is
        return f"{policy.rstrip().rstrip(';')}; script-src {widened}"
    lead = directives[at][: len(directives[at]) - len(directives[at].lstrip())]
    directives[at] = f"{lead}{governing} {widened}"
    return ";".join(directives)


def _lets_in(sources: Sequence[str], nonce: str, scheme: str, host: str) -> bool:
    if nonce and f"'nonce-{nonce}'" in sources:
        return True  # the tag carries it
    lower = {one.lower() for one in sources}
    if "'strict-dynamic'" in lower:
        return True  # places count for nothing here, so adding one would only weaken it for old browsers
    if lower & {"'self'", "*", "http:", f"{scheme}:"}:
        return True
    host = host.lower()
    return bool(lower & {host, f"{scheme}://{host}", f"http://{host}"})
