"""This file is where calls find their credentials, region and role; or say what is missing."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.aws import FakeAws
from services.moto import CREDENTIALS

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.aws.clients import load, place_of
from headgate.errors import MissingExtra

ROLE = "arn:aws:iam::210987654321:role/ingest"


@pytest.fixture
def fake_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws() as fake:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake


def runs(clients: Clients, place: Place) -> dict[str, Any] | Fault:
    return clients.call(place, "glue", "get_job_runs", {"JobName": "lasts"}, doing="looking")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No boto3: MissingExtra names [aws], and a call is refused with the same words."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra, match=r"headgate\[aws\]"):
        load()
    answer = runs(Clients(), Place())
    assert isinstance(answer, Fault)
    assert answer.kind is FaultKind.REFUSED
    assert "headgate[aws]" in str(answer)


@pytest.mark.parametrize(
    ("region", "environ", "used"),
    [
        ("eu-north-1", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-north-1"),
        ("", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ("", {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_the_region_that_is_used(fake_aws: FakeAws, region: str, environ: dict[str, str], used: str) -> None:
    """The place's region, then AWS_REGION, then AWS_DEFAULT_REGION; as the signature has it."""
    runs(Clients(environ=environ), Place(region=region))
    assert fake_aws.calls[0].region == used


def test_without_a_region_it_says_so(fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """No region anywhere is said in words that name what to set."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    answer = runs(Clients(environ={}), Place())
    assert isinstance(answer, Fault)
    assert "set AWS_REGION" in str(answer)


def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_profile_is_a_credential(fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AWS_PROFILE chooses the keys of the shared file."""
    _no_keys(monkeypatch)
    file = tmp_path / "credentials"
    file.write_text("[ingest]\naws_access_key_id = AKPROFILE\naws_secret_access_key = s\n", "utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "ingest")
    runs(Clients(), Place())
    assert fake_aws.calls[0].key == "AKPROFILE"


def test_a_containers_role_is_a_credential(fake_aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the keys come from its own address, and are asked for again when they ran out."""
    _no_keys(monkeypatch)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{fake_aws.url}/container-credentials")
    fake_aws.container_key = "ASIACONTAINER"
    clients = Clients()
    assert isinstance(runs(clients, Place()), dict)
    fake_aws.container_key = "ASIARENEWED"
    fake_aws.good_keys = {"ASIARENEWED"}
    assert isinstance(runs(clients, Place()), dict)
    assert [one.key for one in fake_aws.calls] == ["ASIACONTAINER", "ASIACONTAINER", "ASIARENEWED"]


def test_half_an_answer_is_none(fake_aws: FakeAws) -> None:
    """What botocore takes for an answer that says nothing may be half of one: it is a fault, and may have been done."""
    clients = Clients()
    fake_aws.fault("GetJobRuns", "cut")
    half = runs(clients, Place())
    assert isinstance(half, Fault)
    assert (half.kind, half.maybe_done) == (FaultKind.AWAY, True)
    fake_aws.fault("Invoke", "cut")
    asked = {"FunctionName": "succeeds", "Payload": b"{}"}
    half = clients.call(Place(), "lambda", "invoke", asked, doing="invoking", stream="Payload")
    assert isinstance(half, Fault)
    assert (half.kind, half.maybe_done) == (FaultKind.AWAY, True)
    whole = clients.call(Place(), "lambda", "invoke", asked, doing="invoking", stream="Payload")
    assert isinstance(whole, dict)
    assert whole["Payload"] == b'{"given": {}}'


def test_one_session_serves_many_calls(fake_aws: FakeAws) -> None:
    """A role is assumed once for many calls in its name, and once more for another session's."""
    clients = Clients()
    first = place_of({"role_arn": ROLE}, region="us-east-1", attempt_id="jr_" + "a" * 64)
    for _ in range(3):
        runs(clients, first)
    runs(clients, place_of({"role_arn": ROLE}, region="us-east-1", attempt_id="jr_" + "b" * 64))

    assert [one.body["RoleSessionName"] for one in fake_aws.calls if one.operation == "AssumeRole"] == [
        "a" * 64,
        "b" * 64,
    ]


def test_many_threads_share_the_clients(fake_aws: FakeAws) -> None:
    """Called from many threads at once, in several regions, every call is answered."""
    clients = Clients()
    answers: list[object] = []

    def call(number: int) -> None:
        answers.append(runs(clients, Place(region=f"eu-west-{number % 3 + 1}")))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [isinstance(answer, dict) for answer in answers] == [True] * 12


def test_a_mistake_of_ours_is_not_aws_s() -> None:
    """What is no error of AWS or of the way there is raised as it is."""

    class Broken(Clients):
        def _client(self, wanted: object) -> Any:  # noqa: ARG002 - the signature of what it replaces
            raise builtins.ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runs(Broken(), Place())


def test_secrets_are_in_no_repr(fake_aws: FakeAws) -> None:
    """An assumed role's credentials are not shown by what holds them."""
    clients = Clients()
    runs(clients, place_of({"role_arn": ROLE}, region="us-east-1"))
    assert "token-" not in repr(vars(clients))
