"""This file is where tests of Glue's API get one server and one client, which speak to whatever gate a test has."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from served import World, serving
from starlette.types import Receive, Scope, Send


class Stand:
    """An ASGI application that hands each request on to the port of the test's gate.

    To make a client takes boto3 a quarter of a second, so all tests of a process share one; it sends nothing twice.
    """

    def __init__(self) -> None:
        self.world: World | None = None
        self.port = self
        self.url = ""
        self.client: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.world is not None, "a test has no gate"
        await self.world.port(scope, receive, send)

    def close(self) -> None:
        """For `serving`: a gate ends with its test."""


def strictly(value: Any, shape: Any, place: str) -> None:
    """An answer has the members of AWS's model and no others, of its types; times are numbers, which every SDK reads.

    botocore's own parser passes over what it does not know.
    """
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), place
        given = cast("dict[str, Any]", value)
        assert set(given) <= set(shape.members), (place, set(given) - set(shape.members))
        assert set(shape.required_members) <= set(given), place
        for name, one in given.items():
            strictly(one, shape.members[name], f"{place}.{name}")
    elif kind == "list":
        for one in cast("list[Any]", value):
            strictly(one, shape.member, f"{place}[]")
    elif kind == "map":
        for name, one in cast("dict[str, Any]", value).items():
            strictly(one, shape.value, f"{place}.{name}")
    else:
        assert isinstance(value, _TYPES[kind]), (place, value)
        assert isinstance(value, bool) == (kind == "boolean"), (place, value)
        assert not getattr(shape, "enum", None) or value in shape.enum, (place, value)


_TYPES: dict[str, Any] = {
    "string": str, "boolean": bool, "integer": int, "long": int, "double": (int, float), "float": (int, float),
    "timestamp": (int, float),
}  # fmt: skip


def held_to_the_model(http_response: Any, model: Any, **_more: Any) -> None:
    """A hook of botocore's: every answer that a test gets is looked at."""
    if http_response.status_code == 200:
        strictly(json.loads(http_response.content), model.output_shape, model.name)


@contextmanager
def standing() -> Generator[Stand]:
    stand = Stand()
    with serving(cast("World", stand)) as stand.url:
        stand.client = boto3.client(
            "glue", endpoint_url=stand.url, region_name="us-east-1", aws_access_key_id="any",
            aws_secret_access_key="any", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        stand.client.meta.events.register("after-call.glue", held_to_the_model)
        yield stand
        stand.client.close()


def refused(call: Any, **given: Any) -> tuple[str, str]:
    """The code and the message of a call that fails, as it must with 400."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    error: Any = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Code"], error["Error"]["Message"]
