"""This file is where the function's tests share one moto: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from services.moto import moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url
