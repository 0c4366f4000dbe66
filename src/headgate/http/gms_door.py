"""This file is where one call of DataHub's paths is held: the catalog, the body, and who is calling."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from fastapi import Depends, Request

from headgate.embedded.catalog import Catalog
from headgate.embedded.changes import Malformed
from headgate.embedded.port import LOCAL, TOKEN
from headgate.http.answers import MAX_BODY as USUAL
from headgate.http.answers import TooLarge
from headgate.http.auth import Guard, Headers, is_loopback

T = TypeVar("T")
#: Bytes of a body. The SDK sends up to 15 MB in one call.
MAX_BODY: Final = 16 * 1024 * 1024
_LARGE: Final = ("/aspects", "/entities", "/openapi/v3")
_decoder = msgspec.json.Decoder()


def most(path: str) -> int:
    """Bytes a body may have that is sent to this path."""
    large = any(path == one or path.startswith(one + "/") for one in _LARGE)
    return MAX_BODY if large else USUAL


def _unpacked(raw: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(raw, MAX_BODY + 1)
    except zlib.error as error:
        raise Malformed("body: it is no gzip, whatever Content-Encoding says") from error
    if len(plain) > MAX_BODY:
        raise TooLarge
    return plain


class Door:
    """One call: the catalog, the body, and who is calling."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.catalog: Catalog = request.app.state.catalog
        self._guard: Guard = request.app.state.guard
        self._headers: Headers = dict(request.scope["headers"])
        self._afar = not is_loopback(request.app.state.address[0])

    def reader(self) -> str:
        """Who reads. On loopback anybody at this machine may, whatever bearer they show."""
        if self._afar:
            return self.writer()
        return TOKEN if self._guard.needs_login else LOCAL

    def writer(self) -> str:
        """Who writes: with HEADGATE_TOKEN set, its bearer. Raises NotAuthenticated, Forbidden."""
        return self._guard.caller("POST", self._headers).actor

    async def body(self) -> Any:
        """The body as JSON, unpacked where it is gzip.

        Raises:
            Malformed: it is no JSON. TooLarge: it is larger than MAX_BODY, or unpacks to more.
        """
        raw = await self.request.body()
        if self._headers.get(b"content-encoding", b"").lower() == b"gzip":
            raw = _unpacked(raw)
        try:
            return await asyncio.to_thread(_decoder.decode, raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Malformed(f"body: expected JSON: {error}") from error

    async def mapping(self) -> Mapping[str, Any]:
        found = await self.body()
        if not isinstance(found, dict):
            raise Malformed("body: expected a JSON object")
        return cast("Mapping[str, Any]", found)

    async def work(self, call: Callable[..., T], *args: Any) -> T:
        """Do something with the database, in a thread."""
        return await asyncio.to_thread(call, *args)


async def _door(request: Request) -> Door:
    return Door(request)


Here = Annotated[Door, Depends(_door)]
