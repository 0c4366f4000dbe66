"""This file is where a recipe's far sides are tried before it runs: is there anybody, and do they let us in.

Told apart: no such name (DNS), nobody there (unreachable), somebody who listens to nobody (refused), no trust (TLS),
somebody who does not let us in (denied), and credentials that ran out (expired). Nothing is written anywhere.
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from queue import Empty, Queue
from threading import Thread
from typing import Any, Final, cast
from urllib.parse import urlsplit

from headgate.aws.clients import load
from headgate.aws.faults import FaultKind, fault_of
from headgate.errors import MissingExtra
from headgate.recipes import text
from headgate.recipes.awsing import uses_aws

PATIENCE: Final = 5.0  #: seconds for each step
#: As many as the longest way has, AWS with a role; beyond them whoever answers drop by drop is cut off.
_STEPS: Final = 6
_LARGEST: Final = 1 << 20  #: bytes of an answer that are read
_GMS_SINKS: Final = frozenset({"datahub-rest", "datahub"})
_URL_KEYS: Final = frozenset(
    {"server", "base_url", "url", "connect_uri", "uri", "sqlalchemy_uri", "host_url", "endpoint"}
)
_ME: Final = "query me { me { corpUser { urn } } }"


class Verdict(StrEnum):
    """What trying a far side showed."""

    OK = "ok"
    DNS = "no such host"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    TLS = "not trusted"
    DENIED = "denied"
    EXPIRED = "expired"
    NO_CREDENTIALS = "no credentials"
    NO_ADDRESS = "no address"
    WRONG = "no answer of the kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarSide:
    """Somebody a recipe will speak to."""

    at: str  #: the recipe's key it is from, with dots between
    host: str
    port: int
    url: str = field(default="", repr=False)  #: of DataHub's GMS, where that is what it is; may hold a password
    token: str = field(default="", repr=False)
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    at: str
    who: str  #: host:port, or a service of AWS
    verdict: Verdict
    message: str  #: what that means, and what to do; never a value of a recipe's secret


def far_sides(document: text.Document) -> list[FarSide]:
    """Whom a recipe names: DataHub, and hosts in its source's settings. What holds a `${…}` still is left out."""
    found: list[FarSide] = []
    wrong = {one.at for one in _no_addresses(document)}
    for at, config in _servers(document):
        if config.get("server"):
            token = str(config.get("token") or "")
            # with a token that is not known nobody can be asked who we are
            found += _of_url(f"{at}.server", str(config["server"]), gms="${" not in token, token=token)
    found += _named(_mapping(_mapping(document["source"]).get("config")), ("source", "config"))
    known = [one for one in found if "$" not in one.host and one.at not in wrong]
    return list({(one.host, one.port, one.at): one for one in known}.values())


def _servers(document: text.Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The settings that say where DataHub is, and their keys."""
    sink = _mapping(document.get("sink"))
    if sink.get("type") in _GMS_SINKS:
        yield "sink.config", _mapping(sink.get("config"))
    yield "datahub_api", _mapping(document.get("datahub_api"))


def try_all(document: text.Document, *, environ: Mapping[str, str], patience: float = PATIENCE) -> list[Tried]:
    """Try everybody a recipe (with its values put in) names, one after the other."""
    tried = [*_no_addresses(document)]
    tried += [_in_time(lambda one=one: try_one(one, patience=patience), one, patience) for one in far_sides(document)]
    if uses_aws(document) and not any(
        "${" in value for path, value in text.texts(document) if path[-1:] and path[-1].startswith("aws_")
    ):
        aws = FarSide(at="source.config", host="AWS", port=0)
        tried.append(_in_time(lambda: try_aws(document, environ=environ, patience=patience), aws, patience))
    return tried


def _no_addresses(document: text.Document) -> Iterator[Tried]:
    """Where DataHub should be, and what stands there is no URL."""
    for at, config in _servers(document):
        server: Any = config.get("server")
        if not isinstance(server, str) or "${" in server:
            continue
        try:
            parts = urlsplit(server)
            fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fine = False
        if not fine:
            message = "expected the URL of DataHub, such as http://datahub-gms:8080"
            yield Tried(at=f"{at}.server", who="DataHub", verdict=Verdict.NO_ADDRESS, message=message)


def _in_time(call: Callable[[], Tried], side: FarSide, patience: float) -> Tried:
    """What the call answers. One that gets no end is left to itself: it ends with this process."""
    found: Queue[Tried | BaseException] = Queue()

    def work() -> None:
        try:
            found.put(call())
        except BaseException as error:  # noqa: BLE001 -- it is raised again, in the thread that asked
            found.put(error)

    Thread(target=work, name="headgate-preflight", daemon=True).start()
    try:
        answer = found.get(timeout=patience * _STEPS)
    except Empty:
        who = f"{side.host}:{side.port}" if side.port else side.host
        message = f"{who} is connected to, and its answer does not end within {patience * _STEPS:g} s"
        return Tried(at=side.at, who=who, verdict=Verdict.UNREACHABLE, message=message)
    if isinstance(answer, BaseException):
        raise answer
    return answer


def try_one(side: FarSide, *, patience: float = PATIENCE) -> Tried:
    """Look the host up, connect, and ask DataHub who we are where it is DataHub."""
    who = f"{side.host}:{side.port}"

    def tried(verdict: Verdict, message: str) -> Tried:
        return Tried(at=side.at, who=who, verdict=verdict, message=message)

    try:
        socket.getaddrinfo(side.host, side.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else "not a name"
        return tried(Verdict.DNS, f"there is no host {side.host!r} ({words}); check its spelling, and DNS")
    try:
        with socket.create_connection((side.host, side.port), timeout=patience) as connection:
            if side.tls:
                ssl.create_default_context().wrap_socket(connection, server_hostname=side.host).close()
    except ssl.SSLError as error:
        words = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        return tried(Verdict.TLS, f"{who} answers, and its certificate is not trusted or it speaks no TLS: {words}")
    except ConnectionRefusedError:
        return tried(Verdict.REFUSED, f"{side.host} is there, and nothing listens at port {side.port}")
    except OSError as error:
        return tried(Verdict.UNREACHABLE, f"{who} cannot be reached: {_why(error)}; check routes and firewalls")
    if side.url:
        return _try_gms(side, who, patience)
    return tried(Verdict.OK, f"{who} answers")


def _try_gms(side: FarSide, who: str, patience: float) -> Tried:  # noqa: PLR0911 -- one for each verdict
    import httpx  # noqa: PLC0415 -- a tenth of a second that nobody else needs

    def tried(verdict: Verdict, message: str) -> Tried:
        return Tried(at=side.at, who=who, verdict=verdict, message=message)

    if side.token and (ended := _ended(side.token)) is not None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ended))
        return tried(Verdict.EXPIRED, f"the access token for {who} expired at {when}; make a new one in DataHub")
    headers = {"authorization": f"Bearer {side.token}"} if side.token else {}
    try:
        status, body = _post(f"{side.url}/api/graphql", headers, patience)
    except httpx.TimeoutException:
        return tried(Verdict.UNREACHABLE, f"{who} is connected to, and does not answer within {patience:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return tried(Verdict.WRONG, f"{who} answers, but no HTTP: {type(error).__name__}")
    if status in (401, 403):
        how = "does not take the token" if side.token else "lets nobody in without a token"
        return tried(Verdict.DENIED, f"DataHub at {who} {how} (HTTP {status})")
    try:
        known: Any = json.loads(body)
    except (ValueError, RecursionError):
        known = None
    if not 200 <= status < 300 or not isinstance(known, dict) or "data" not in known:
        if status >= 500:
            words = f"{who} answers that it is in trouble (HTTP {status}); see its log, or that of the proxy before it"
            return tried(Verdict.WRONG, words)
        said = f"HTTP {status}"
        return tried(Verdict.WRONG, f"what answers at {who} is not DataHub's GMS ({said}); is it the frontend's port?")
    return tried(Verdict.OK, f"DataHub at {who} answers and knows us")


def _post(url: str, headers: Mapping[str, str], patience: float) -> tuple[int, bytes]:
    """Ask who we are; answers the status, and no more of the body than an answer of the kind has."""
    import httpx  # noqa: PLC0415 -- as above

    body, until = b"", time.monotonic() + 2 * patience
    asked = httpx.stream(
        "POST", url, json={"query": _ME}, headers=headers, timeout=patience, trust_env=False
    )  # fmt: skip
    with asked as answer:
        for part in answer.iter_bytes():
            body += part
            if time.monotonic() > until:
                raise httpx.ReadTimeout("it does not end", request=answer.request)
            if len(body) > _LARGEST:
                break
        return answer.status_code, body


def try_aws(document: text.Document, *, environ: Mapping[str, str], patience: float = PATIENCE) -> Tried:
    """Ask AWS who we are with the recipe's credentials, and Glue for a database where the source is Glue's."""
    config = _mapping(_mapping(document["source"]).get("config"))
    at, who = "source.config", "AWS"
    try:
        for name, call in _aws_calls(config, text.part_types(document)["source"], environ, patience):
            who = name
            call()
    except MissingExtra as error:
        return Tried(at=at, who=who, verdict=Verdict.WRONG, message=str(error))
    except Exception as error:
        if not type(error).__module__.startswith(("botocore", "boto3")):
            raise
        return _of_fault(at, who, error)
    return Tried(at=at, who=who, verdict=Verdict.OK, message="AWS answers and lets us in")


def _aws_calls(
    config: Mapping[str, Any], types: list[str], environ: Mapping[str, str], patience: float
) -> Iterator[tuple[str, Any]]:
    session, configuring = load()
    pair = ("aws_access_key_id", "aws_secret_access_key")
    whole = all(config.get(name) for name in pair)  # of a half DataHub makes no use, and botocore can not
    given = {name: str(config[name]) for name in (*pair, "aws_session_token") if whole and config.get(name)}
    region = str(config.get("aws_region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "")
    quick = configuring.Config(connect_timeout=patience, read_timeout=patience, retries={"total_max_attempts": 1})

    def ask(service: str, credentials: Mapping[str, str], operation: str, **arguments: Any) -> Any:
        made: Any = session.Session(
            **credentials, region_name=region or None, profile_name=str(config.get("aws_profile") or "") or None
        )
        client: Any = made.client(service, config=quick)
        try:
            return getattr(client, operation)(**arguments)
        finally:
            client.close()

    yield "AWS STS", lambda: ask("sts", given, "get_caller_identity")
    role: Any = config.get("aws_role")
    arn: Any = _mapping(role).get("RoleArn") if isinstance(role, dict) else role
    if isinstance(arn, str) and arn:
        assumed: dict[str, str] = {}

        def assume() -> None:
            answer = ask("sts", given, "assume_role", RoleArn=arn, RoleSessionName="headgate-preflight")
            found = answer["Credentials"]
            assumed.update(
                aws_access_key_id=found["AccessKeyId"],
                aws_secret_access_key=found["SecretAccessKey"],
                aws_session_token=found["SessionToken"],
            )

        yield f"AWS STS, the role {arn}", assume
        given = assumed
    if types and types[0] in {"glue", "headgate-glue"}:
        yield "AWS Glue", lambda: ask("glue", given, "get_databases", MaxResults=1)


def _of_fault(at: str, who: str, error: Exception) -> Tried:
    fault = fault_of(error, f"asking {who}")
    verdicts = {
        FaultKind.EXPIRED: (Verdict.EXPIRED, "the credentials ran out; sign in again, or make new ones"),
        FaultKind.NO_CREDENTIALS: (Verdict.NO_CREDENTIALS, "there are no credentials; set AWS_PROFILE or a role"),
        FaultKind.DENIED: (Verdict.DENIED, "it does not let us; see the policies of the role or user"),
        FaultKind.AWAY: (Verdict.UNREACHABLE, "it cannot be reached, or does not answer in time"),
    }
    name = type(error).__name__
    if name in {"EndpointConnectionError", "ConnectTimeoutError", "ConnectionError"}:
        verdict, words = _of_connection(error)
    else:
        verdict, words = verdicts.get(fault.kind, (Verdict.WRONG, "it refuses the question"))
    return Tried(at=at, who=who, verdict=verdict, message=f"{who}: {words} ({fault.code or name})")


def _of_connection(error: BaseException) -> tuple[Verdict, str]:
    """Botocore puts DNS, refusals and silence into one error; what is behind it says which."""
    words = str(error).lower() + str(error.__cause__ or "").lower() + str(error.__context__ or "").lower()
    if "resol" in words or "name or service" in words:
        return Verdict.DNS, "there is no such host; check the region and DNS"
    if "refused" in words:
        return Verdict.REFUSED, "nothing listens there"
    return Verdict.UNREACHABLE, "it cannot be reached; check routes, firewalls and proxies"


def _named(value: Any, path: tuple[str, ...]) -> Iterator[FarSide]:
    """Hosts in a source's settings, by the keys DataHub's sources have for them."""
    config = _mapping(value)
    for key, one in config.items():
        at = ".".join((*path, key))
        if isinstance(one, dict):
            yield from _named(one, (*path, key))
        elif key == "host_port" and isinstance(one, str):
            yield from _of_address(at, one)
        elif key == "bootstrap" and isinstance(one, str):
            for broker in one.split(","):
                yield from _of_address(at, broker)
        elif key == "host" and isinstance(one, str) and str(config.get("port") or "").isdigit():
            yield FarSide(at=at, host=one, port=int(config["port"]))
        elif key in _URL_KEYS and isinstance(one, str):
            yield from _of_url(at, one, gms=False)


def _mapping(value: Any) -> Mapping[str, Any]:
    """The mapping it is, or an empty one: what else is there is for the lint to say."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _of_address(at: str, address: str) -> Iterator[FarSide]:
    host, _, port = address.strip().rpartition(":")
    if host and port.isdigit() and int(port) < 65_536:
        yield FarSide(at=at, host=host.strip("[]"), port=int(port))


def _of_url(at: str, url: str, *, gms: bool, token: str = "") -> Iterator[FarSide]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return
    if parts.hostname and port:
        yield FarSide(
            at=at, host=parts.hostname, port=port, tls=parts.scheme == "https", token=token,
            url=url.rstrip("/") if gms and parts.scheme in {"http", "https"} else "",
        )  # fmt: skip


def _ended(token: str) -> float | None:
    """When a JWT ended, in seconds since 1970; None for one that has not, or that is none. It is not verified."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = float(claims["exp"])
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return ends if ends < time.time() else None


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "nobody answered in time"
    return error.strerror or str(error)
