"""This file is where a recipe's far sides are missing, deaf, strict and strange, and each is told apart."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from fakes.aws import FakeAws
from fakes.gms import TOKEN, FakeGms
from services.moto import CREDENTIALS

from headgate.recipes.preflight import FarSide, Tried, Verdict, far_sides, try_all, try_aws, try_one


@contextlib.contextmanager
def listening(answer: bytes | None) -> Generator[int]:
    """A port where somebody takes connections and answers this; None: nothing at all."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen(8)
        over = threading.Event()
        kept: list[socket.socket] = []

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = there.accept()
                    kept.append(connection)
                    if answer is not None:
                        connection.recv(4096)
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(there.getsockname()[1])
        over.set()
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for connection in kept:
            connection.close()


@pytest.fixture
def gms() -> Iterator[FakeGms]:
    with FakeGms() as made:
        yield made


@contextlib.contextmanager
def dripping(begin: bytes, more: bytes) -> Generator[int]:
    """A port where the answer has no end."""
    with socket.create_server(("127.0.0.1", 0)) as there:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = there.accept()
                    with contextlib.suppress(OSError), connection:
                        if connection.recv(4096):  # else it was only tried whether anybody is there
                            connection.sendall(begin)
                        while True:
                            connection.sendall(more)
                            time.sleep(0.01 if len(more) == 1 else 0)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(there.getsockname()[1])


def gms_recipe(url: str, token: str = "") -> dict[str, Any]:
    config = {"server": url, "token": token}
    return {"source": {"type": "x"}, "sink": {"type": "datahub-rest", "config": config}}


def tried_gms(url: str, token: str = "") -> Tried:
    [tried] = try_all(gms_recipe(url, token), environ={}, patience=1.0)
    return tried


def test_nobody_has_the_name() -> None:
    """A host that DNS does not know is told from one that is away."""
    assert try_one(FarSide(at="x", host="no-such-host.invalid", port=80)).verdict is Verdict.DNS
    assert try_one(FarSide(at="x", host="a..b", port=80)).verdict is Verdict.DNS


def test_nobody_listens() -> None:
    """A port nobody listens at is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        tried = try_one(FarSide(at="x", host="127.0.0.1", port=int(taken.getsockname()[1])))

    assert tried.verdict is Verdict.REFUSED


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that swallows what is sent is unreachable, and is not waited for longer than said."""

    def swallowed(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", swallowed)
    tried = try_one(FarSide(at="x", host="127.0.0.1", port=9), patience=0.1)

    assert (tried.verdict, "nobody answered in time" in tried.message) == (Verdict.UNREACHABLE, True)


def test_somebody_listens_and_says_nothing() -> None:
    """DataHub that takes the connection and stays silent is unreachable."""
    with listening(None) as port:
        assert tried_gms(f"http://127.0.0.1:{port}").verdict is Verdict.UNREACHABLE


def test_an_answer_that_does_not_end() -> None:
    """One that comes drop by drop, and one that is huge, end what asks for them: neither time nor memory runs out."""
    begin = b"HTTP/1.1 200 OK\r\ncontent-length: 900000000\r\n\r\n"
    for more, patience, words in ((b"x", 0.1, "not answer within 0.1 s"), (b"{" * 100_000, 5.0, "not DataHub's GMS")):
        with dripping(begin, more) as port:
            [tried] = try_all(gms_recipe(f"http://127.0.0.1:{port}"), environ={}, patience=patience)
        assert words in tried.message
    with dripping(b"", b"H") as port:  # not even its head
        [tried] = try_all(gms_recipe(f"http://127.0.0.1:{port}"), environ={}, patience=0.1)
    assert tried.verdict in (Verdict.UNREACHABLE, Verdict.WRONG)


@pytest.mark.parametrize("server", ["", "datahub-gms:8080", "ftp://gms", "http://gms:99999", "http://"])
def test_what_is_no_address_is_said(server: str) -> None:
    """A server that is no URL is not passed over in silence; one whose value is not known is."""
    [tried] = try_all(gms_recipe(server), environ={}, patience=0.1)
    assert (tried.at, tried.verdict) == ("sink.config.server", Verdict.NO_ADDRESS)
    assert "http://datahub-gms:8080" in tried.message
    assert try_all(gms_recipe("${GMS_URL}"), environ={}) == []


def test_it_is_not_what_it_should_be() -> None:
    """A port of somebody else's is told from DataHub's, with HTTP and without."""
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    with listening(page) as web, listening(b"220 mail\r\n") as mail:
        assert tried_gms(f"http://127.0.0.1:{web}").verdict is Verdict.WRONG
        assert tried_gms(f"http://127.0.0.1:{mail}").verdict is Verdict.WRONG


def test_no_trust_without_tls() -> None:
    """A port that speaks no TLS where TLS is asked for is not trusted."""
    with listening(b"220 mail\r\n" * 10) as port:
        assert tried_gms(f"https://127.0.0.1:{port}").verdict is Verdict.TLS


def test_datahub_knows_us_or_not(gms: FakeGms) -> None:
    """A good token is ok; a bad one, and none, are denied; no verdict repeats the token."""
    bad = tried_gms(gms.url, "not-the-token")

    assert tried_gms(gms.url, TOKEN).verdict is Verdict.OK
    assert (bad.verdict, "not-the-token" in bad.message) == (Verdict.DENIED, False)
    assert tried_gms(gms.url).verdict is Verdict.DENIED


def test_a_token_that_ran_out_is_told_from_a_bad_one(gms: FakeGms) -> None:
    """What a token says of its own end is told without asking anybody."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_600_000_000}).encode()).decode().rstrip("=")
    tried = tried_gms(gms.url, f"e30.{claims}.sig")

    assert (tried.verdict, "2020-09-13" in tried.message) == (Verdict.EXPIRED, True)
    assert not gms.requests


GLUE: dict[str, Any] = {"source": {"type": "glue", "config": {"aws_region": "us-east-1"}}}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws() as fake:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake


def tried_aws(recipe: dict[str, Any] = GLUE) -> Verdict:
    return try_aws(recipe, environ={}, patience=2.0).verdict


def test_aws_lets_us_in_or_not(aws: FakeAws) -> None:
    """Who we are, and Glue: good, denied, expired and silent are told apart, at each of the two."""
    assert tried_aws() is Verdict.OK
    assert (aws.count("GetCallerIdentity"), aws.count("GetDatabases")) == (1, 1)
    for operation in ("GetCallerIdentity", "GetDatabases"):
        for kind, verdict in (("denied", Verdict.DENIED), ("expired", Verdict.EXPIRED), ("error", Verdict.UNREACHABLE)):
            aws.fault(operation, kind)
            assert tried_aws() is verdict, (operation, kind)


def test_a_role_is_tried(aws: FakeAws) -> None:
    """A role that may not be assumed is denied, by its name."""
    recipe: dict[str, Any] = {
        "source": {
            "type": "glue",
            "config": {"aws_region": "us-east-1", "aws_role": "arn:aws:iam::123456789012:role/r"},
        }
    }
    good = tried_aws(recipe)
    aws.fault("AssumeRole", "denied")
    tried = try_aws(recipe, environ={}, patience=2.0)

    assert good is Verdict.OK
    assert (tried.verdict, "role/r" in tried.message) == (Verdict.DENIED, True)


def test_half_a_pair_of_keys_is_none(aws: FakeAws) -> None:
    """As DataHub takes it: it signs in as the environment does, and so do we."""
    half = {"source": {"type": "glue", "config": {"aws_region": "eu-west-1", "aws_secret_access_key": "half"}}}

    assert try_aws(half, environ={}).verdict is Verdict.OK


def test_aws_is_not_there(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at the endpoint is refused; no such endpoint is DNS; no keys at all are none."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    refused = tried_aws()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    nowhere = tried_aws()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert (refused, nowhere, tried_aws()) == (Verdict.REFUSED, Verdict.DNS, Verdict.NO_CREDENTIALS)


def test_whom_a_recipe_names() -> None:
    """Hosts are found under the keys DataHub's sources have for them; what is not filled in yet is left out."""
    recipe = {
        "source": {
            "type": "kafka",
            "config": {
                "connection": {"bootstrap": "a:1,b:2", "schema_registry_url": "x"},
                "host_port": "[::1]:5432",
                "nested": {"host": "h", "port": 7},
                "base_url": "https://looker",
                "connect_uri": "http://${HOST}:3",
                "uri": "nonsense://x:99999",
            },
        },
        "datahub_api": {"server": "http://gms:8080/", "token": "${TOKEN}"},
    }

    assert [(one.host, one.port, bool(one.url)) for one in far_sides(recipe)] == [
        ("gms", 8080, False), ("a", 1, False), ("b", 2, False), ("::1", 5432, False), ("h", 7, False),
        ("looker", 443, False),
    ]  # fmt: skip
