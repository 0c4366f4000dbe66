"""This file is where the catalog stands that both sources read: a moto server, filled once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from services.moto import CREDENTIALS, moto

os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"  # read when DataHub is loaded, which tests here do at once


def _no_newer(**_: object) -> None:
    """Nothing is known of newer versions."""


@pytest.fixture(scope="package", autouse=True)
def alone() -> Iterator[None]:
    """Each run of DataHub's pipeline asks the internet for newer versions of it; no test of ours does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datahub.ingestion.run.pipeline.retrieve_version_stats", _no_newer)
        yield


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The URL of a moto server, which is AWS to everybody in this process."""
    with moto() as url, pytest.MonkeyPatch.context() as environ:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
            environ.setenv(name, value)
        yield url
