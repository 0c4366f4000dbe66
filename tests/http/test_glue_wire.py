"""This file is where the AWS door is held to the protocol, and to whom it lets in."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from fakes.frontend import FakeFrontend
from served import World, serving

from headgate.http.answers import MAX_BODY
from headgate.runtime.access_keys import AccessKeys, NewKey

TARGET: Final = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSGlue.GetJobs"}


def ask(world: World, body: bytes = b"{}", **headers: str) -> httpx.Response:
    """GetJobs, unless the headers say otherwise; None leaves one out."""
    given = {**TARGET, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return world.call("POST", "/", content=body, headers={name: value for name, value in given.items() if value})


def code(answer: httpx.Response, status: int = 400) -> str:
    """The error's code; every error is of one shape."""
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert set(found) == {"__type", "Message"}
    assert found["Message"]
    assert answer.headers["x-amzn-errortype"] == found["__type"]
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-requestid"]
    return str(found["__type"])


def test_an_answer_has_the_protocols_shape(world: World) -> None:
    """JSON 1.1, an id of the request, numbers for times; members that a newer SDK may send are ignored."""
    answer = ask(world, b'{"MaxResults": 1, "FromTheFuture": {"a": [1]}}')
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert len(answer.headers["x-amzn-requestid"]) == 36
    [job] = answer.json()["Jobs"]
    assert isinstance(job["CreatedOn"], float)
    assert answer.json()["NextToken"]
    assert ask(world, b"").status_code == 200


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("AWSGlue.GetCrawlers", "UnknownOperationException"),
        ("AWSGlue.getJobs", "UnknownOperationException"),
        ("AWSGlue.", "UnknownOperationException"),
        ("AWSGlue", "UnknownOperationException"),
        ("DynamoDB_20120810.ListTables", "UnknownOperationException"),
        (".", "UnknownOperationException"),
        ("AWSGlue.__init__", "UnknownOperationException"),
    ],
)
def test_what_is_not_served_is_an_error_that_sdks_do_not_repeat(world: World, target: str, expected: str) -> None:
    """400 and a code, never 500, 404 or a page."""
    assert code(ask(world, x_amz_target=target)) == expected


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"1", b"null", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 5_000, b'{"NextToken": "\\ud800"}'],
)
def test_what_is_no_json_object_is_refused(world: World, body: bytes) -> None:
    """As SerializationException."""
    assert code(ask(world, body)) == "SerializationException"


def test_a_body_has_its_limits(world: World) -> None:
    """Too large is 413; compressed is refused; nothing of it is read on."""
    assert code(ask(world, b" " * (MAX_BODY + 1)), 413) == "RequestEntityTooLargeException"
    assert code(ask(world, content_encoding="gzip")) == "InvalidInputException"


def test_a_connection_is_used_again(world: World) -> None:
    """Two calls and an error between them on one connection."""
    with serving(world) as url:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
        connection.connect()
        held, statuses = connection.sock, list[int]()
        for target in ("AWSGlue.GetJobs", "AWSGlue.Nothing", "AWSGlue.GetTriggers"):
            connection.request("POST", "/", b"{}", {**TARGET, "x-amz-target": target})
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses == [200, 400, 200]
        assert connection.sock is held
        connection.close()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.example"}, "AccessDeniedException"),
        ({"host": "localhost.evil.example:8090"}, "AccessDeniedException"),
        ({"origin": "https://evil.example"}, "AccessDeniedException"),
        ({"origin": "null"}, "AccessDeniedException"),
        ({"sec-fetch-site": "cross-site"}, "AccessDeniedException"),
        ({"content-type": "text/plain"}, "SerializationException"),
        ({"content-type": "application/json"}, "SerializationException"),
        ({"content-type": "application/x-www-form-urlencoded"}, "SerializationException"),
    ],
)
def test_another_sites_page_can_do_nothing(world: World, headers: dict[str, str], expected: str) -> None:
    """A foreign Host (DNS rebinding), a foreign Origin, and whatever a form could send."""
    body = b'{"JobName": "ingest"}'
    start = {**TARGET, "x-amz-target": "AWSGlue.StartJobRun"}
    assert code(world.call("POST", "/", content=body, headers={**start, **headers})) == expected
    assert world.ledger.runs().items == []


def test_no_preflight_is_answered(world: World) -> None:
    """No header of CORS, on no answer."""
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST",
             "access-control-request-headers": "x-amz-target"}  # fmt: skip
    for answer in (world.call("OPTIONS", "/", headers=asked), ask(world, origin="https://evil.example"), ask(world)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert world.call("OPTIONS", "/", headers=asked).status_code >= 400


@pytest.mark.parametrize("authorization", ["", "AWS4-HMAC-SHA256 Credential=AKIA/1/eu-west-1/glue/aws4_request", "x"])
def test_at_ones_own_machine_calls_pass_however_they_are_signed(world: World, authorization: str) -> None:
    """Not at all, by keys nobody knows, by what is no signature."""
    assert ask(world, authorization=authorization).status_code == 200


def test_before_a_datahub_calls_are_ours_and_need_a_key(url: str, frontend: FakeFrontend) -> None:
    """None of them reaches the frontend; without X-Amz-Target a POST to / is the frontend's."""
    asked = len(frontend.asked)
    answer = httpx.post(url, content=b"{}", headers=TARGET, trust_env=False)
    assert code(answer) == "MissingAuthenticationTokenException"
    assert len(frontend.asked) == asked
    httpx.post(url, content=b"{}", trust_env=False)
    assert [(one.method, one.target) for one in frontend.asked[asked:]] == [("POST", b"/")]


# -- keys


class Clock:
    """Time that stands where the test put it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def keys(guarded: World) -> AccessKeys:
    return AccessKeys(guarded.ledger, guarded.settings)


def signed(
    key: NewKey, *, secret: str = "", target: str = "AWSGlue.GetJobs", service: str = "glue", body: bytes = b"{}",
    token: str | None = None, at: datetime | None = None, leave: str = "",
) -> dict[str, str]:  # fmt: skip
    """The headers of a call as botocore signs it."""
    headers = {"content-type": TARGET["content-type"], "x-amz-target": target, "host": "localhost:8090"}
    request = AWSRequest("POST", "http://localhost:8090/", data=body, headers={
        name: value for name, value in headers.items() if name != leave
    })  # fmt: skip
    credentials = Credentials(key.key.id, secret or key.secret, token or key.session_token)
    auth = SigV4Auth(credentials, service, "eu-west-1")
    if at is None:
        auth.add_auth(request)
    else:
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        request.context["timestamp"] = stamp
        request.headers["X-Amz-Date"] = stamp
        if credentials.token:
            request.headers["X-Amz-Security-Token"] = credentials.token
        canonical = auth.canonical_request(request)
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        signed_headers = auth.signed_headers(auth.headers_to_sign(request))
        scope = auth.credential_scope(request)
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key.key.id}/{scope}, SignedHeaders={signed_headers}, Signature={signature}"
        )
    return {**headers, **{name.lower(): value for name, value in request.headers.items()}}


def send(world: World, headers: Mapping[str, str], body: bytes = b"{}") -> httpx.Response:
    return world.call("POST", "/", content=body, headers=dict(headers))


def test_with_a_token_set_calls_need_a_key_or_the_token(guarded: World, keys: AccessKeys) -> None:
    """Unsigned is refused; a key's signature passes, and so does the bearer token; the actor is the key's."""
    assert code(ask(guarded)) == "MissingAuthenticationTokenException"
    key = keys.create(name="airflow", actor="ann")
    assert send(guarded, signed(key)).status_code == 200
    assert ask(guarded, authorization="Bearer secret").status_code == 200
    assert code(ask(guarded, authorization="Bearer other")) == "IncompleteSignatureException"
    body = b'{"JobName": "ingest"}'
    started = send(guarded, signed(key, target="AWSGlue.StartJobRun", body=body), body).json()["JobRunId"]
    assert guarded.ledger.run(started).cause.actor == "urn:li:corpuser:key-airflow"


def test_a_signature_is_of_one_call(guarded: World, keys: AccessKeys) -> None:
    """Another secret, body, operation, service, or what was left unsigned: refused, and nothing is started."""
    key = keys.create(actor="ann")
    body = b'{"JobName": "ingest"}'
    good = signed(key, target="AWSGlue.StartJobRun", body=body)
    wrong = {
        "secret": send(guarded, signed(key, secret="x" * 40)),
        "body": send(guarded, good, b'{"JobName": "views"}'),
        "operation": send(guarded, {**good, "x-amz-target": "AWSGlue.DeleteJob"}, body),
        "service": send(guarded, signed(key, service="s3")),
        "target": send(guarded, signed(key, leave="x-amz-target")),
        "digest": send(guarded, {**signed(key), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}),
        "host": send(guarded, {**signed(key), "host": "127.0.0.1:8090"}),
    }
    assert {name: code(answer) for name, answer in wrong.items()} == dict.fromkeys(wrong, "InvalidSignatureException")
    assert guarded.ledger.runs().items == []


@pytest.mark.parametrize(
    ("minutes", "passes"), [(-4.5, True), (4.5, True), (-5.5, False), (5.5, False), (-1500, False)]
)
def test_clocks_may_differ_by_five_minutes(guarded: World, keys: AccessKeys, minutes: float, passes: bool) -> None:
    """A signature is good for that long, and a call that was overheard for no longer."""
    answer = send(guarded, signed(keys.create(actor="ann"), at=datetime.now(UTC) + timedelta(minutes=minutes)))
    assert answer.status_code == 200 if passes else code(answer) == "InvalidSignatureException"


@pytest.mark.parametrize(
    "authorization",
    ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c/glue/aws4_request, SignedHeaders=host", "Basic eDp5",
     "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=h, Signature=1",
     "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=0"],
)  # fmt: skip
def test_what_is_no_signature_is_said_to_be_none(guarded: World, authorization: str) -> None:
    """Whatever else it is."""
    assert code(ask(guarded, authorization=authorization)) == "IncompleteSignatureException"


def test_revoked_expired_and_unknown_keys_are_refused(guarded: World, keys: AccessKeys) -> None:
    """From the next second on; a key that was never given is as unknown as a revoked one."""
    key = keys.create(actor="ann", lasts=60)
    assert send(guarded, signed(key)).status_code == 200
    callers: Any = guarded.port.app.state.aws.admission
    callers.clock = clock = Clock()
    clock.offset = 90.0
    assert code(send(guarded, signed(key))) == "ExpiredTokenException"
    clock.offset = 0.0
    keys.revoke(key.key.id, actor="ann")
    callers.keys.clock = lambda: time.monotonic() + 2
    assert code(send(guarded, signed(key))) == "UnrecognizedClientException"
    unknown = signed(key)
    unknown["authorization"] = unknown["authorization"].replace(key.key.id, "AKIAIOSFODNN7EXAMPLE")
    assert code(send(guarded, unknown)) == "UnrecognizedClientException"


def test_a_session_key_needs_its_token(guarded: World, keys: AccessKeys) -> None:
    """Its own, and a key without one takes none."""
    key, plain = keys.create(actor="ann", session=True), keys.create(actor="ann")
    assert send(guarded, signed(key)).status_code == 200
    without = NewKey(key.key, key.secret, None)
    assert code(send(guarded, signed(without))) == "UnrecognizedClientException"
    assert code(send(guarded, signed(key, token="x" * 64))) == "UnrecognizedClientException"
    assert code(send(guarded, signed(plain, token="x" * 64))) == "UnrecognizedClientException"


def test_boto3_signs_with_our_keys(guarded: World, keys: AccessKeys) -> None:
    """Names beyond ASCII and repeated calls among them; from boto3 a wrong secret is a ClientError."""
    key = keys.create(actor="ann", session=True)
    with serving(guarded) as url:

        def client(secret: str) -> Any:
            return boto3.client(
                "glue", endpoint_url=url, region_name="eu-west-1", aws_access_key_id=key.key.id,
                aws_secret_access_key=secret, aws_session_token=key.session_token,
                config=Config(retries={"total_max_attempts": 1}),
            )  # fmt: skip

        right, wrong = client(key.secret), client("x" * 40)
        name = "T\u00e4glich \U0001f600"
        right.create_job(Name=name, Role="r", Command={"Name": "glueetl", "ScriptLocation": "x.py"})
        assert right.get_job(JobName=name)["Job"]["Name"] == name
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            wrong.get_jobs()
        right.close()
        wrong.close()


def test_bound_to_another_address_calls_need_a_key(tmp_path: Path) -> None:
    """Even without a token set, even from a Host that looks local."""
    world = World(tmp_path, host="0.0.0.0")
    try:
        assert code(ask(world)) == "MissingAuthenticationTokenException"
        key = AccessKeys(world.ledger, world.settings).create(actor="ann")
        assert send(world, signed(key)).status_code == 200
    finally:
        world.close()


def test_a_key_made_over_http_is_told_once(guarded: World) -> None:
    """Made, listed without its secret, revoked; the ledger's file does not have the secret either."""
    operator = {"authorization": "Bearer secret"}
    made = guarded.post("/keys", {"name": "ci", "lasts": 3600}, headers=operator)
    assert (made["state"], len(made["secret"]), made["session_token"]) == ("active", 40, None)
    [listed] = guarded.get("/keys", headers=operator)["items"]
    assert listed["id"] == made["id"]
    assert "secret" not in listed
    gone = guarded.call("DELETE", f"/headgate/api/v1/keys/{made['id']}", headers=operator).json()
    assert gone["state"] == "revoked"
    assert guarded.call("DELETE", "/headgate/api/v1/keys/none", headers=operator).status_code == 404
    assert guarded.call("POST", "/headgate/api/v1/keys", json={"lasts": 1}, headers=operator).status_code == 400
    assert guarded.call("POST", "/headgate/api/v1/keys", json={"name": "a b"}, headers=operator).status_code == 400
    assert guarded.call("GET", "/headgate/api/v1/keys").status_code == 401
    kept = b"".join(file.read_bytes() for file in guarded.settings.home.glob("ledger.db*"))
    assert made["id"].encode() in kept
    assert made["secret"].encode() not in kept
    assert json.dumps(made["secret"]) not in repr(guarded.ledger.audit().items)


@pytest.fixture
def home_key(guarded: World, keys: AccessKeys) -> Path:
    keys.create(actor="ann")
    return guarded.settings.home / "secrets.key"


def test_the_sealing_key_is_its_owners_alone(home_key: Path) -> None:
    """A file in the home, mode 0600."""
    assert home_key.stat().st_mode & 0o777 == 0o600
