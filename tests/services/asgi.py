"""This file is where an ASGI application is called without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx


def call(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    """One call, from this machine. JSON goes out in ASCII, so that it can hold what UTF-8 cannot."""
    if "json" in more:
        more["content"] = json.dumps(more.pop("json"))
        more["headers"] = {"content-type": "application/json", **more.get("headers", {})}
    return asyncio.run(_call(app, method, path, more))


async def _call(app: Any, method: str, path: str, more: Mapping[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8090") as client:
        return await client.request(method, path, **more)
