"""This file is where OpenAPI v3's entity paths are answered by the embedded catalog."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate.embedded import openapi
from headgate.embedded.changes import Malformed, Unmet
from headgate.embedded.nodes import kinds_of
from headgate.embedded.openapi import Place
from headgate.embedded.reading import Search
from headgate.embedded.registry import registry
from headgate.errors import Forbidden, HeadgateError, NotAuthenticated, NotFound
from headgate.http.answers import Answer, problem_headers, status_of
from headgate.http.gms_door import Door, Here

PATH: Final = "/openapi/v3/entity/"
router = APIRouter(include_in_schema=False)


@router.api_route("/openapi/v3/entity/{_rest:path}", methods=["GET", "HEAD"])
async def read(door: Here, _rest: str) -> Response:
    """An entity, an aspect, or a page of entities of a type."""

    async def answer() -> Response:
        door.reader()
        at = openapi.place(_sent(door.request))
        if door.request.method == "HEAD":
            return Response(status_code=204 if await door.work(openapi.exists, door.catalog, at) else 404)
        system, names = _flag(door.request, "systemMetadata", default=False), _names(door.request)
        if at.urn is None:
            return await _page(door, [at.spec.name], names, system=system)
        if at.aspect is None:
            return Answer(await door.work(lambda: openapi.entity(door.catalog, at, names, system=system)))
        version = _whole(door.request, "version", 0)
        return Answer(await door.work(lambda: openapi.aspect(door.catalog, at, version, system=system)))

    return await _answered(door, answer)


@router.post("/openapi/v3/entity/{_rest:path}")
async def write(door: Here, _rest: str) -> Response:
    """Upsert of a list of entities, of one aspect; batchGet and scroll, which are reads."""

    async def answer() -> Response:
        sent = _sent(door.request).strip("/")
        system = _flag(door.request, "systemMetadata", default=False)
        if sent == "scroll":
            return await _scroll(door, system=system)
        if sent.endswith("/batchGet"):
            door.reader()
            at, body = openapi.place(sent.removesuffix("/batchGet")), await door.body()
            return Answer(await door.work(lambda: openapi.batch_get(door.catalog, at.spec, body, system=system)))
        actor, at, body = door.writer(), openapi.place(sent), await door.body()
        if at.aspect is not None:
            kind = _kind(door.request)
            told = await door.work(openapi.write_one, door.catalog, at, body, kind, actor)
            return Answer(told, _accepted(door.request))
        _whole_type(at)
        return Answer(
            await door.work(openapi.write, door.catalog, at.spec, body, "UPSERT", actor), _accepted(door.request)
        )

    return await _answered(door, answer)


@router.patch("/openapi/v3/entity/{_rest:path}")
async def patch(door: Here, _rest: str) -> Response:
    """A JSON patch of one aspect, or of a list of entities' aspects."""

    async def answer() -> Response:
        actor, at, body = door.writer(), openapi.place(_sent(door.request)), await door.body()
        if at.aspect is not None:
            return Answer(await door.work(openapi.write_one, door.catalog, at, body, "PATCH", actor))
        _whole_type(at)
        return Answer(
            await door.work(openapi.write, door.catalog, at.spec, body, "PATCH", actor), _accepted(door.request)
        )

    return await _answered(door, answer)


@router.delete("/openapi/v3/entity/{_rest:path}")
async def delete(door: Here, _rest: str) -> Response:
    """An entity or one of its aspects, for good."""

    async def answer() -> Response:
        door.writer()
        await door.work(openapi.delete, door.catalog, openapi.place(_sent(door.request)))
        return Response(status_code=200)

    return await _answered(door, answer)


async def _scroll(door: Door, *, system: bool) -> Response:
    """`POST /openapi/v3/entity/scroll` with `{entities: [type], aspects: [name]}`."""
    door.reader()
    body = await door.mapping()
    kinds, names = _texts(body, "entities"), _texts(body, "aspects")
    specs = [registry().entity(one) for one in kinds]
    unknown = [name for name, spec in zip(kinds, specs, strict=True) if spec is None]
    if unknown:
        raise NotFound("entity type", unknown[0][:80])
    found = [spec.name for spec in specs if spec is not None]
    return await _page(door, found or kinds_of([]), names, system=system)


async def _page(door: Door, kinds: list[str], names: list[str], *, system: bool) -> Response:
    asked = door.request.query_params
    sorting = (asked.get("sortCriteria", "urn"), asked.get("sortOrder", "ASCENDING"))
    if sorting != ("urn", "ASCENDING"):
        raise Malformed("sortCriteria: this catalog sorts by urn, ASCENDING")
    count, after = _whole(door.request, "count", 10), asked.get("scrollId", "")
    wanted = Search(
        kinds=kinds, text=asked.get("query", "*"), removed=_flag(door.request, "includeSoftDelete", default=False)
    )
    return Answer(
        await door.work(
            lambda: openapi.scroll(door.catalog, wanted, after=after, count=count, names=names, system=system)
        )
    )


async def _answered(door: Door, answer: Callable[[], Awaitable[Response]]) -> Response:
    """In OpenAPI's own shape whatever goes wrong."""
    try:
        return await answer()
    except HeadgateError as error:
        status, kind = _status(error)
        headers = {**problem_headers(status), **({"x-not-found": "ENTITY"} if status == 404 else {})}
        if door.request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        return Answer({"error": kind, "message": str(error)}, status, headers)


def _status(error: HeadgateError) -> tuple[int, str]:
    if isinstance(error, Unmet):
        return 412, "Precondition Error"
    if isinstance(error, NotAuthenticated):
        return 401, "Authentication Error"
    if isinstance(error, Forbidden):
        return 403, "Authorization Error"
    if isinstance(error, NotFound):
        return 404, "Not Found"
    status = status_of(error)
    return status, "Validation Error" if status == 400 else "Error"


def _sent(request: Request) -> str:
    """The path after /openapi/v3/entity/ as it was sent: what is encoded in it must not be taken apart."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.decode("latin-1").partition("?")[0].removeprefix(PATH)


def _kind(request: Request) -> str:
    """The change type of a write to one aspect: CREATE unless told otherwise, as DataHub has it."""
    if _flag(request, "createIfEntityNotExists", default=False):
        return "CREATE_ENTITY"
    return "CREATE" if _flag(request, "createIfNotExists", default=True) else "UPSERT"


def _accepted(request: Request) -> int:
    """202 for a write that was asked for asynchronously (the default here); it is durable all the same."""
    return 202 if _flag(request, "async", default=True) else 200


def _whole_type(at: Place) -> None:
    if at.urn is not None:
        raise Malformed("path: expected an aspect after the URN, or no URN")


def _flag(request: Request, name: str, *, default: bool) -> bool:
    given = request.query_params.get(name)
    if given is None:
        return default
    if given.lower() not in ("true", "false"):
        raise Malformed(f"{name}: expected true or false, got {given[:40]!r}")
    return given.lower() == "true"


def _whole(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Malformed(f"{name}: expected a whole number, got {given[:40]!r}")
    return int(given)


def _names(request: Request) -> list[str]:
    """`aspects=a&aspects=b`, or with commas between them."""
    given = [one for text in request.query_params.getlist("aspects") for one in text.split(",") if one]
    unknown = [one for one in given if one not in registry().aspects]
    if unknown:
        raise Malformed(f"aspects: there is no aspect {unknown[0][:80]!r}")
    return given


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    given: Any = body.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in cast("list[Any]", given)):
        raise Malformed(f"{name}: expected a list of texts")
    return cast("list[str]", given)
