"""This file is where the engines' tests get the AWS that moto plays."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import boto3
import pytest
from botocore.loaders import create_loader
from botocore.retries import standard
from fakes.aws import FakeAws
from services.moto import CREDENTIALS, moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


def point_at(patch: pytest.MonkeyPatch, url: str) -> None:
    """Let boto3 call this URL, with credentials that are good for nothing else, and without its pauses.

    It does not wait before it tries again, and reads its descriptions of AWS's services once, not for every session.
    """
    for name, value in CREDENTIALS.items():
        patch.setenv(name, value)
    patch.delenv("AWS_PROFILE", raising=False)
    patch.setenv("AWS_ENDPOINT_URL", url)
    patch.setattr(standard.ExponentialBackoff, "delay_amount", _at_once)
    patch.setattr("botocore.session.create_loader", _loader)


_loader = lru_cache(create_loader)


def _at_once(*_: object) -> float:
    return 0.001


@pytest.fixture
def on_moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point boto3 at moto."""
    point_at(monkeypatch, moto_url)
    return moto_url


@pytest.fixture
def state_machine(on_moto: str) -> str:
    """The ARN of a state machine whose executions stay RUNNING."""
    states: Any = boto3.client("stepfunctions")
    definition = '{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}'
    role = "arn:aws:iam::123456789012:role/states"
    return str(states.create_state_machine(name="ingest", definition=definition, roleArn=role)["stateMachineArn"])


@pytest.fixture
def fake_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """An AWS that misbehaves when it is told to, and boto3 pointed at it."""
    with FakeAws() as fake:
        point_at(monkeypatch, fake.url)
        yield fake
