"""This file is where calls to AWS are made: which credentials, which region, how long, and what came of it.

Credentials and endpoints are boto3's own business (its chain of credentials, AWS_ENDPOINT_URL and its relatives); a
role to assume is ours, so that every call of a run carries the run's name into CloudTrail.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from headgate.aws.faults import Fault, FaultKind, fault_of
from headgate.aws_lambda.answers import whole
from headgate.errors import MissingExtra
from headgate.model import Json

CONNECT: Final = 3.0  #: seconds
READ: Final = 10.0  #: seconds
_KEPT: Final = 128  #: clients; one with a role belongs to one run
_EARLY: Final = 300.0  #: seconds before the end of an assumed role's credentials that new ones are got


class Named(Protocol):
    """What in the settings names a place: a queue, a watched catalog, a provider of secrets, a job of Glue's."""

    @property
    def region(self) -> str: ...
    @property
    def role_arn(self) -> str: ...
    @property
    def external_id(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where calls go, and as whom."""

    region: str = ""  #: "" takes AWS_REGION, AWS_DEFAULT_REGION or the profile's
    role_arn: str = ""  #: "" stays who we are
    external_id: str = ""
    session: str = ""  #: the assumed role's session name; CloudTrail shows it
    endpoint: str = ""  #: where the service is; "" leaves it to AWS_ENDPOINT_URL and its relatives

    @classmethod
    def of(cls, named: Named, *, session: str, endpoint: str = "") -> Place:
        """What settings name. Without a role to assume, an external id and a session's name mean nothing."""
        role = named.role_arn
        return cls(
            region=named.region,
            role_arn=role,
            external_id=named.external_id if role else "",
            session=session if role else "",
            endpoint=endpoint,
        )


def place_of(target: Mapping[str, Json], *, region: str, attempt_id: str = "") -> Place:
    """Read `role_arn` and `external_id` of a job's target.

    A role is assumed under the attempt's name: the 64 hex digits of a run id are just as many as AWS allows.
    """
    role = str(target.get("role_arn") or "")
    return Place(
        region=region,
        role_arn=role,
        external_id=str(target.get("external_id") or "") if role else "",
        session=(attempt_id.removeprefix("jr_")[:64] or "headgate") if role else "",
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What makes one client different from another."""

    place: Place
    service: str
    attempts: int
    read: float


@dataclass(frozen=True, slots=True)
class _Client:
    made: Any
    until: float  #: seconds since the epoch; when its credentials run out


class Clients:
    """boto3's clients, made when they are first needed and kept. Safe from any thread."""

    def __init__(self, *, environ: Mapping[str, str] = os.environ, read: float = READ) -> None:
        self._environ = environ
        self._read = read  #: seconds an answer is waited for, unless the call says otherwise
        self._lock = threading.RLock()
        self._session: Any = None
        self._made: OrderedDict[_Wanted, _Client] = OrderedDict()

    def call(
        self,
        place: Place,
        service: str,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        doing: str,
        attempts: int = 1,
        read: float | None = None,
        stream: str = "",
    ) -> dict[str, Any] | Fault:
        """Call an operation (by boto3's name, `start_execution`); answers what it answered, or the fault.

        `attempts` is how often boto3 itself tries: more than 1 only where the call may safely be made twice. `read` is
        how many seconds it waits for the answer. `doing` says what it is for, in words that name the thing. `stream`
        names a member of the answer that boto3 leaves to be read: it is read, and stands there as bytes.
        """
        wanted = _Wanted(place, service, attempts, read or self._read)
        answer = self._once(wanted, operation, arguments, doing, stream)
        if isinstance(answer, Fault) and answer.kind is FaultKind.EXPIRED:
            self.forget()  # whoever keeps them may have renewed them meanwhile
            answer = self._once(wanted, operation, arguments, doing, stream)
        return answer

    def pages(
        self,
        place: Place,
        service: str,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        doing: str,
        attempts: int,
        most: int,
    ) -> Iterator[dict[str, Any] | Fault]:
        """Each page of a list that goes on by `NextToken`, at most so many of them; after a Fault there is none."""
        more: dict[str, str] = {}
        for _ in range(most):
            answer = self.call(place, service, operation, {**arguments, **more}, doing=doing, attempts=attempts)
            yield answer
            token = None if isinstance(answer, Fault) else answer.get("NextToken")
            if not token:
                return
            more = {"NextToken": str(token)}

    def region(self, named: str = "") -> str:
        """The region of calls that name this one, or none; "" where it is not known without loading boto3."""
        return named or self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or self._own_region()

    def _own_region(self) -> str:
        with self._lock:
            return str(getattr(self._session, "region_name", None) or "")

    def forget(self) -> None:
        """Forget every client and all credentials: the next call looks for them again."""
        with self._lock:
            self._made.clear()
            self._session = None

    def _once(
        self, wanted: _Wanted, operation: str, arguments: Mapping[str, Any], doing: str, stream: str = ""
    ) -> dict[str, Any] | Fault:
        try:
            client = self._client(wanted)
            if isinstance(client, Fault):
                return replace(client, doing=f"{doing}: {client.doing}")
            answer = cast("dict[str, Any]", getattr(client, operation)(**arguments))
            return {**answer, stream: answer[stream].read()} if stream else answer
        except MissingExtra as error:
            return Fault(FaultKind.REFUSED, "MissingExtra", str(error), doing)
        except Exception as error:
            if not _of_botocore(error):
                raise
            return fault_of(error, doing)

    def _client(self, wanted: _Wanted) -> Any:
        """Return boto3's client, or the fault that kept us from the role it should have."""
        with self._lock:
            found = self._made.get(wanted)
            if found is not None and found.until > time.time():
                self._made.move_to_end(wanted)
                return found.made
        credentials: dict[str, str] = {}
        until = float("inf")
        if wanted.place.role_arn:
            assumed = self._assume(wanted.place)
            if isinstance(assumed, Fault):
                return assumed
            credentials, until = assumed
        made = self._make(wanted, credentials)
        with self._lock:
            self._made[wanted] = _Client(made, until)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def _make(self, wanted: _Wanted, credentials: Mapping[str, str]) -> Any:
        session, config = load()
        settings = config.Config(
            connect_timeout=CONNECT,
            read_timeout=wanted.read,
            retries={"mode": "standard", "total_max_attempts": wanted.attempts},
            max_pool_connections=32,
            tcp_keepalive=True,
            user_agent_extra="headgate",
        )
        # boto3 itself does not know AWS_REGION, which every other SDK and Lambda do
        where = (
            wanted.place.region or self._environ.get("AWS_REGION") or self._environ.get("AWS_DEFAULT_REGION") or None
        )
        with self._lock:  # making clients of one session is not safe from several threads
            if self._session is None:
                self._session = session.Session()
            client = self._session.client(
                wanted.service,
                region_name=where,
                endpoint_url=wanted.place.endpoint or None,
                config=settings,
                **credentials,
            )
        client.meta.events.register("after-call", whole)
        return client

    def _assume(self, place: Place) -> tuple[dict[str, str], float] | Fault:
        own = replace(place, role_arn="", external_id="", session="", endpoint="")
        more = {"ExternalId": place.external_id} if place.external_id else {}
        doing = f"assuming the role {place.role_arn}"
        asked = {"RoleArn": place.role_arn, "RoleSessionName": place.session or "headgate", **more}
        answer = self._once(_Wanted(own, "sts", 2, self._read), "assume_role", asked, doing)
        if isinstance(answer, Fault):
            return answer
        given = answer["Credentials"]
        ends = given.get("Expiration")
        until = ends.timestamp() if isinstance(ends, datetime) else datetime.now(UTC).timestamp() + 3600
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }, until - min(_EARLY, max(0.0, (until - time.time()) / 2))


def load() -> tuple[Any, Any]:
    """Import boto3.session and botocore.config, now.

    Raises:
        MissingExtra: they are not installed.
    """
    try:
        from boto3 import session  # noqa: PLC0415 - it takes a quarter of a second, and servers without AWS jobs do without
        from botocore import config  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("calling AWS", "aws") from error
    return session, config


def _of_botocore(error: Exception) -> bool:
    """Whether it is botocore's (or its HTTP library's), and no mistake of ours."""
    return any(base.__module__.startswith(("botocore.", "urllib3.")) for base in type(error).__mro__) or isinstance(
        error, OSError
    )
