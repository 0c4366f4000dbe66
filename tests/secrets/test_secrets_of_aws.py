"""This file is where secrets are read from moto's Secrets Manager and Parameter Store, and from an AWS that fails."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from secrets_played import VALUE
from services.moto import CREDENTIALS, REGION, moto

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.aws.clients import load
from headgate.errors import Invalid, MissingSecrets, SecretsDenied, Unavailable
from headgate.secrets import Secrets
from headgate.secrets.aws import Parameters, SecretsManager

DATABASE = {"username": "joe", "password": VALUE, "port": 5432}


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """An AWS with a few secrets, at this URL."""
    with moto() as url:
        session = load()[0].Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
        manager: Any = session.client("secretsmanager", endpoint_url=url)
        manager.create_secret(Name="prod/PLAIN", SecretString=VALUE)
        manager.create_secret(Name="prod/database", SecretString=json.dumps(DATABASE))
        manager.create_secret(Name="prod/BINARY", SecretBinary=b"\0\1")
        store: Any = session.client("ssm", endpoint_url=url)
        for number in range(23):
            store.put_parameter(Name=f"/prod/P{number}", Value=f"value-{number}", Type="SecureString")
        store.put_parameter(Name="/prod/json", Value=json.dumps(DATABASE), Type="SecureString")
        store.put_parameter(Name="PLAIN", Value="not-secure", Type="String")
        yield url


@pytest.fixture
def clients(aws: str, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": aws}.items():
        monkeypatch.setenv(name, value)
    return Clients()


def soon() -> float:
    return time.monotonic() + 30


def test_secrets_are_read_by_prefix_and_by_name(clients: Clients) -> None:
    """A name after the prefix; a name that is called otherwise; and members of a JSON object, numbers too."""
    names = {"USER": "prod/database#username", "PORT": "prod/database#port"}
    manager = SecretsManager(clients=clients, prefix="prod/", names=names)

    found = manager.find(["PLAIN", "USER", "PORT", "NONE"], until=soon())

    assert found == {"PLAIN": VALUE, "USER": "joe", "PORT": "5432"}
    assert manager.where(["PLAIN"]) == "AWS Secrets Manager (prod/PLAIN)"


def test_a_prefix_may_name_one_secret_of_many_members(clients: Clients) -> None:
    """It is asked for once, however many of its members are wanted; a member that is not there is missing."""
    manager = SecretsManager(clients=clients, prefix="prod/database#")

    assert manager.find(["password", "username", "none"], until=soon()) == {"password": VALUE, "username": "joe"}


def test_with_names_alone_nothing_else_is_asked_for(clients: Clients) -> None:
    """So that AWS is not asked for every variable of a recipe."""
    manager = SecretsManager(clients=clients, names={"A": "prod/PLAIN"})

    assert manager.find(["A", "PLAIN"], until=soon()) == {"A": VALUE}
    assert "no entry under `names`" in manager.where(["B"])


def test_what_is_no_text_or_no_object_is_told_without_its_value(clients: Clients) -> None:
    """In no message and in no traceback."""
    for ref, said in {"prod/BINARY": "binary", "prod/PLAIN#key": "no JSON object"}.items():
        with pytest.raises(Invalid, match=said) as told:
            SecretsManager(clients=clients, names={"A": ref}).find(["A"], until=soon())
        assert VALUE not in "".join(traceback.format_exception(told.value))


def test_parameters_are_read_in_portions(clients: Clients) -> None:
    """SSM takes ten at a time; they come decrypted, and those it does not know are left out."""
    names = [f"P{number}" for number in range(25)]

    found = Parameters(clients=clients, prefix="/prod/").find(names, until=soon())

    assert found == {f"P{number}": f"value-{number}" for number in range(23)}


def test_parameters_by_name_by_arn_and_by_member(clients: Clients) -> None:
    """The same forms as with Secrets Manager."""
    arn = f"arn:aws:ssm:{REGION}:123456789012:parameter/prod/P1"
    names = {"A": "/prod/P0", "B": "/prod/json#password", "C": "PLAIN", "D": "/prod/none", "E": arn}

    found = Parameters(clients=clients, names=names).find(list(names), until=soon())

    assert {name: found.get(name) for name in "ABCD"} == {"A": "value-0", "B": VALUE, "C": "not-secure", "D": None}


class Told(Clients):
    """Answers with these parameters."""

    def __init__(self, *parameters: dict[str, Any]) -> None:
        super().__init__()
        self.parameters = list(parameters)

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"Parameters": self.parameters}


@pytest.mark.parametrize("selected", [True, False], ids=["AWS", "moto, which tells no selector"])
def test_versions_and_labels_of_a_parameter(selected: bool) -> None:
    """Each is told by the same name: without a version the newest is meant, with one that one, however they come."""
    arn = "arn:aws:ssm:us-east-1:123456789012:parameter/a"
    newest = {"Name": "/a", "ARN": arn, "Value": "newest", "Version": 12}
    first = {"Name": "/a", "ARN": arn, "Value": "first", "Version": 2, **({"Selector": ":2"} if selected else {})}
    label = {"Name": "/a", "ARN": arn, "Value": "label", "Version": 7, "Selector": ":good"}
    names = {"NEW": "/a", "OLD": "/a:2", "GOOD": "/a:good", "BY_ARN": f"{arn}:2", "NONE": "/a:3", "OTHER": "/b:2"}

    for told in ([newest, first, label], [label, first, newest]):
        found = Parameters(clients=Told(*told), names=names).find(list(names), until=soon())
        assert found == {"NEW": "newest", "OLD": "first", "GOOD": "label", "BY_ARN": "first"}


def test_missing_at_aws_goes_on_to_the_next_and_is_told_with_its_id(clients: Clients) -> None:
    """As looked for: under AWS's own names."""
    providers = [SecretsManager(clients=clients, prefix="prod/"), Parameters(clients=clients, prefix="/prod/")]
    with pytest.raises(MissingSecrets, match=r"Secrets Manager \(prod/X\), the SSM Parameter Store \(/prod/X\)"):
        Secrets(providers).resolve(["X"])


class Failing(Clients):
    """Answers every call with this fault."""

    def __init__(self, kind: FaultKind, code: str) -> None:
        super().__init__()
        self.fault = Fault(kind, code, "no luck", "asking")
        self.calls: list[str] = []

    def call(self, place: Place, service: str, operation: str, *others: Any, **more: Any) -> Fault:  # noqa: ARG002
        self.calls.append(operation)
        return self.fault


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.DENIED, SecretsDenied),
        (FaultKind.NO_CREDENTIALS, SecretsDenied),
        (FaultKind.THROTTLED, Unavailable),
        (FaultKind.AWAY, Unavailable),
        (FaultKind.EXPIRED, Unavailable),
        (FaultKind.REFUSED, Invalid),
    ],
)
def test_each_fault_is_what_it_is(kind: FaultKind, expected: type[Exception]) -> None:
    """To be mended by somebody, later, or never; and nobody else is asked in its place."""
    for provider in (SecretsManager(clients=Failing(kind, "Code")), Parameters(clients=Failing(kind, "Code"))):
        with pytest.raises(expected, match="Code: no luck"):
            provider.find(["A"], until=soon())


def test_denied_says_what_to_do(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no credentials at all."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(SecretsDenied, match="AWS_PROFILE"):
        SecretsManager(clients=Clients()).find(["A"], until=soon())


def test_no_time_left_asks_nobody() -> None:
    """The whole of the search has an end."""
    failing = Failing(FaultKind.AWAY, "x")
    with pytest.raises(Unavailable, match="no time left"):
        Parameters(clients=failing).find(["A"], until=time.monotonic() - 1)
    assert failing.calls == []


def test_an_aws_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is taken and left lying; in the end it is away, whoever asks."""
    monkeypatch.setattr("headgate.secrets.aws.READ", 0.2)
    monkeypatch.setattr("headgate.secrets.aws.TRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        closing = threading.Event()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="ReadTimeout"):
            SecretsManager(clients=Clients()).find(["A"], until=soon())
        closing.set()
    assert time.monotonic() - began < 10
