"""This file is where the button's script is served: one file, open to everybody, cacheable."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

router = APIRouter(include_in_schema=False)
PATH: Final = "/headgate/button.js"


@cache
def _script() -> tuple[bytes, str]:
    """The script and its entity tag."""
    content = resources.files("headgate.http").joinpath("static/button.js").read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@router.head(PATH)
@router.get(PATH)
async def button(request: Request) -> Response:
    """The same for everyone; it holds nothing secret, and pages of other origins may load it (see docs/button.md)."""
    content, tag = _script()
    headers = {
        "etag": tag,
        "cache-control": "public, max-age=300",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="text/javascript", headers=headers)
