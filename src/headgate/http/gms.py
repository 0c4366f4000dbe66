"""This file is where DataHub's own paths are answered by the embedded catalog: what its CLI, its SDK and curl call.

Only there while no DataHub is configured. Decode, call, encode: the catalog's rules are the catalog's. rest.li and
OpenAPI each have their own shape of error, and their clients read it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from fastapi import APIRouter, Request
from starlette.responses import Response

from headgate import __version__
from headgate.embedded import graph, restli
from headgate.embedded.changes import Malformed, Unmet
from headgate.embedded.nodes import Asked
from headgate.errors import HeadgateError, Invalid
from headgate.http import gms_openapi
from headgate.http.answers import Answer, TooLarge, problem_headers, status_of
from headgate.http.gms_door import Door, Here, most

__all__ = ["most", "router"]


router = APIRouter(include_in_schema=False)
router.include_router(gms_openapi.router)


# -- who we are


@router.get("/config")
async def config() -> Response:
    """What the SDK reads first; it also says that this is no DataHub."""
    return Answer(
        {
            "noCode": "true",
            "retention": "true",
            "statefulIngestionCapable": True,
            "patchCapable": True,
            "timeZone": "UTC",
            "supportsImpactAnalysis": False,
            "datasetUrnNameCasing": False,
            "models": {},
            "versions": {"acryldata/datahub": {"version": "v1.7.0", "commit": "embedded"}},
            "managedIngestion": {"enabled": False, "defaultCliVersion": "1.7.0"},
            "datahub": {"serverType": "quickstart", "serverEnv": "core"},
            "telemetry": {"enabledCli": False, "enabledIngestion": False},
            "headgate": {
                "version": __version__,
                "catalog": "embedded",
                "note": "a development catalog: no search index, no lineage view, no user management",
            },
        }
    )


@router.api_route("/health", methods=["GET", "HEAD"])
@router.api_route("/health/live", methods=["GET", "HEAD"])
async def health() -> Response:
    return Response(status_code=200)


# -- GraphQL


@router.post("/api/graphql")
async def graphql(door: Here) -> Response:
    try:
        body = await door.mapping()
        query, variables, operation = body.get("query"), body.get("variables"), body.get("operationName")
        if not isinstance(query, str) or len(query) > 200_000:
            raise Malformed("query: expected a text of at most 200,000 characters")
        if variables is not None and not isinstance(variables, dict):
            raise Malformed("variables: expected a JSON object")
        if operation is not None and not isinstance(operation, str):
            raise Malformed("operationName: expected a text")
        asked = Asked(door.catalog, door.writer, door.reader())
        return Answer(await door.work(graph.run, asked, query, cast("Any", variables), operation))
    except HeadgateError as error:
        return Answer({"errors": [{"message": str(error)}]}, status_of(error), problem_headers(status_of(error)))


# -- rest.li


@router.post("/aspects")
@router.post("/aspects/")
async def aspects_action(door: Here, action: str = "") -> Response:
    """ingestProposal, ingestProposalBatch, getTimeseriesAspectValues, getCount."""
    return await _restli(lambda: _act(door, restli.ASPECTS, action))


@router.post("/entities")
@router.post("/entities/")
async def entities_action(door: Here, action: str = "") -> Response:
    """delete, search, listUrns, ingest, deleteReferences."""
    return await _restli(lambda: _act(door, restli.ENTITIES, action))


@router.get("/aspects/{urn:path}")
async def aspect(door: Here, urn: str, aspect: str = "", version: int = 0) -> Response:
    async def read() -> Response:
        door.reader()
        return Answer(await door.work(restli.aspect, door.catalog, urn, aspect, version))

    return await _restli(read)


@router.get("/entitiesV2")
@router.get("/entitiesV2/")
async def entities_by_id(door: Here, ids: str = "", aspects: str = "") -> Response:
    async def read() -> Response:
        door.reader()
        wanted = restli.listed(_raw(door.request, "ids") or ids)
        found = await door.work(restli.entities, door.catalog, wanted, restli.listed(aspects))
        return Answer({"results": found, "statuses": {}, "errors": {}})

    return await _restli(read)


@router.get("/entitiesV2/{urn:path}")
async def entity(door: Here, urn: str, aspects: str = "") -> Response:
    async def read() -> Response:
        door.reader()
        found = await door.work(restli.entities, door.catalog, [urn], restli.listed(aspects))
        return Answer(found[urn])

    return await _restli(read)


async def _act(door: Door, actions: Mapping[str, restli.Action], action: str) -> Response:
    found = actions.get(action)
    if found is None:
        raise Malformed(f"action: expected one of {', '.join(sorted(actions))}, got {action[:60]!r}")
    actor = door.writer() if found.writes else door.reader()
    return Answer({"value": await door.work(found.do, door.catalog, await door.mapping(), actor)})


async def _restli(answer: Callable[[], Awaitable[Response]]) -> Response:
    """In rest.li's own shape whatever goes wrong."""
    try:
        return await answer()
    except HeadgateError as error:
        status = restli_status(error)
        told = {
            "exceptionClass": "com.linkedin.restli.server.RestLiServiceException",
            "message": str(error),
            "status": status,
            "stackTrace": "",
        }
        return Answer(told, status, {**problem_headers(status), "x-restli-error-response": "true"})


def restli_status(error: HeadgateError) -> int:
    """422 for what the catalog's rules refuse, 400 for what is no proposal at all."""
    if isinstance(error, (Malformed, TooLarge)):
        return status_of(error)
    return 422 if isinstance(error, (Invalid, Unmet)) else status_of(error)


def _raw(request: Request, name: str) -> str:
    """A query parameter as it was sent: a list of URNs has commas between them, and encoded ones in them."""
    for part in request.url.query.split("&"):
        key, _, text = part.partition("=")
        if key == name:
            return text
    return ""
