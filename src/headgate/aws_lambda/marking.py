"""This file is where invocations that meet at one moment agree on who starts: the first to put a marker into S3.

Glue's starts know no names, and what was started by another invocation a moment ago cannot be seen yet. S3 lets one of
two conditional puts win. Who finds another's marker starts nothing and is tried again, when that start can be seen.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

#: Seconds after which a marker without a start is nobody's any more: a start takes 13 at most, or was never asked for.
STALE: Final = 30.0
_TAKEN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_GONE: Final = frozenset({"NoSuchKey", "404"})


class Unmarked(Exception):
    """S3 did not say whether the marker is ours; the text has its words."""


class Marks:
    """The markers below one place, for one invocation. Lambda may run an event twice under one request id, so each
    execution has a name of its own.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        self._owner = uuid.uuid4().hex

    def claim(self, name: str, mark: str) -> bool:
        """Whether this invocation is the one that starts. False: another's marker is there, and young.

        Raises:
            Unmarked.
        """
        if self._put(name, mark, IfNoneMatch="*"):
            return True
        said = self._call("get_object", name, mark)
        if said is None:
            return False  # it was given back between the two: whoever comes next starts
        with said["Body"] as body:
            owner = body.read(1_000).decode("utf-8", "replace")
        if owner == self._owner:
            return True  # boto3 sent the put twice, because the first answer was lost
        return _age(said) > STALE and self._put(name, mark, IfMatch=str(said["ETag"]))

    def give_back(self, name: str, mark: str) -> None:
        """What was claimed was not started, for certain. A marker that stays all the same is stale soon."""
        with contextlib.suppress(Unmarked):
            self._call("delete_object", name, mark)

    def ours(self, bucket: str, key: str) -> bool:
        """Whether an object is a marker, and so starts nothing."""
        return bucket == self.bucket and key.startswith(self.prefix) and len(key) == len(self.prefix) + 64

    def _put(self, name: str, mark: str, **condition: str) -> bool:
        return self._call("put_object", name, mark, Body=self._owner.encode(), **condition) is not None

    def _call(self, operation: str, name: str, mark: str, **more: Any) -> dict[str, Any] | None:
        """Ask S3; None where the condition does not hold, or there is no such object."""
        import botocore.exceptions  # noqa: PLC0415 - it is there on Lambda; who has no markers does without

        key = self.prefix + hashlib.sha256(f"{name}\0{mark}".encode("utf-8", "surrogatepass")).hexdigest()
        try:
            return getattr(_client(), operation)(Bucket=self.bucket, Key=key, **more)
        except botocore.exceptions.ClientError as error:
            said: Mapping[str, Any] = error.response.get("Error") or {}
            code = str(said.get("Code") or "")
            if code in _TAKEN | _GONE:
                return None
            raise Unmarked(f"{operation} in s3://{self.bucket}/{self.prefix}: {code}: {said.get('Message')}") from error
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise Unmarked(f"{operation} in s3://{self.bucket}/{self.prefix}: {str(error)[:500]}") from error


def _age(said: Mapping[str, Any]) -> float:
    """Seconds since the marker was put, by S3's own clock where it says what time it is."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - only where two have met

    headers: Mapping[str, str] = (said.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    try:
        now = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        now = datetime.now(UTC)
    put: datetime = said["LastModified"]
    return (now - put).total_seconds()


_clients: dict[str, Any] = {}


def forget() -> None:
    """Forget what this container has, as a new one does."""
    _clients.clear()


def _client() -> Any:
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415

    if "s3" not in _clients:
        settings = Config(
            connect_timeout=3.0,
            read_timeout=10.0,
            retries={"mode": "standard", "total_max_attempts": 4},
            user_agent_extra="headgate-lambda",
        )
        _clients["s3"] = boto3.client("s3", config=settings)
    return _clients["s3"]
