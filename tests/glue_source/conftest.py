"""This file is where the catalog stands that both sources read: a moto server, filled once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from services.moto import CREDENTIALS, moto

os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"  # read when DataHub is loaded, which tests here do at once


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The URL of a moto server, which is AWS to everybody in this process."""
    with moto() as url, pytest.MonkeyPatch.context() as environ:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            environ.setenv(name, value)
        yield url
