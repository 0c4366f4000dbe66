"""This file is where the button's script is served: one file, open to everybody, cacheable, packed for who unpacks."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
PATH: Final = "/headgate/button.js"
_NEVER: Final = re.compile(r"q\s*=\s*0(\.0*)?\s*$")


@cache
def _script(*, packed: bool) -> tuple[bytes, str]:
    """The script, as it is or as gzip, and its entity tag (the two are not the same bytes, so their tags differ)."""
    content = resources.files("headgate.http").joinpath("static/button.js").read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:32]
    return (gzip.compress(content, mtime=0), f'"{tag}-gzip"') if packed else (content, f'"{tag}"')


@router.head(PATH)
@router.get(PATH)
async def button(request: Request) -> Response:
    """The same for everyone; it holds nothing secret, and pages of other origins may load it (see docs/button.md)."""
    packed = _takes_gzip(request.headers.get("accept-encoding", ""))
    content, tag = _script(packed=packed)
    headers = {
        "etag": tag,
        "cache-control": "public, max-age=300",
        "vary": "Accept-Encoding",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        **({"content-encoding": "gzip"} if packed else {}),
    }
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="text/javascript", headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether Accept-Encoding names gzip, and not with a weight of nothing."""
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() == "gzip":
            return _NEVER.search(weight) is None
    return False
