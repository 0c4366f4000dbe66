"""This file is where tests of Glue's API get one server and one client, which speak to whatever gate a test has."""

from __future__ import annotations

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


@contextmanager
def standing() -> Generator[Stand]:
    stand = Stand()
    with serving(cast("World", stand)) as stand.url:
        stand.client = boto3.client(
            "glue", endpoint_url=stand.url, region_name="us-east-1", aws_access_key_id="any",
            aws_secret_access_key="any", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        yield stand
        stand.client.close()


def refused(call: Any, **given: Any) -> tuple[str, str]:
    """The code and the message of a call that fails, as it must with 400."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    error: Any = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Code"], error["Error"]["Message"]
