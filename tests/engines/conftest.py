"""This file is where the engines' tests get the AWS that moto plays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from fakes.aws import FakeAws
from services.moto import CREDENTIALS, moto


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def on_moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point boto3 at moto, with credentials that are good for nothing else."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
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
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake
