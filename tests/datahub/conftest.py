"""This file is where these tests are given a DataHub to talk to, and a client that is not patient."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.gms import TOKEN, FakeGms
from worlds import QUICK

from headgate.datahub import GmsClient


@pytest.fixture
def gms() -> Iterator[FakeGms]:
    with FakeGms() as made:
        yield made


@pytest.fixture
def hub(gms: FakeGms) -> Iterator[GmsClient]:
    """Ours, with the token of an administrator."""
    made = GmsClient(gms.url, frontend_url=gms.frontend_url, authorization=f"Bearer {TOKEN}", limits=QUICK)
    yield made
    made.close()
