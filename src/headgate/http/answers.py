"""This file is where results and errors become HTTP answers: one encoder, one shape of error, one status per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from starlette.responses import Response

from headgate.errors import (
    Conflict,
    EngineUnavailable,
    Forbidden,
    HeadgateError,
    Invalid,
    InvalidConfiguration,
    MissingExtra,
    NotAuthenticated,
    NotFound,
    Unavailable,
    UnconvertibleEvent,
)

#: Bytes of a request body; S3, SNS and SQS send at most 256 KB, a batch of ours may be larger.
MAX_BODY: Final = 8 * 1024 * 1024

#: On every answer: whatever it holds is taken for what it says it is, and for no other site's eyes.
SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class TooLarge(Invalid):
    """The body is larger than MAX_BODY."""

    def __init__(self) -> None:
        super().__init__(f"body: larger than {MAX_BODY:,} bytes; send it in several parts")


class WrongEncoding(Invalid):
    """The body is compressed, which no sender of events does."""


#: The first class that fits counts, so the finer ones come first.
STATUS: Final[Sequence[tuple[type[HeadgateError], int]]] = (
    (NotAuthenticated, 401),
    (TooLarge, 413),
    (WrongEncoding, 415),
    (UnconvertibleEvent, 422),
    (Invalid, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Forbidden, 403),
    (MissingExtra, 501),
    (Unavailable, 503),
    (EngineUnavailable, 503),
)

_encoder = msgspec.json.Encoder(enc_hook=str)
encode = _encoder.encode


def status_of(error: HeadgateError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem_headers(status: int) -> dict[str, str]:
    """What the status obliges us to add."""
    if status == 401:
        return {"www-authenticate": "Bearer"}
    return {"retry-after": "5"} if status == 503 else {}


class Answer(Response):
    """Anything msgspec can encode, as JSON."""

    media_type = "application/json"

    def __init__(self, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, headers)

    def render(self, content: object) -> bytes:
        return encode(content)


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer({"message": message}, status, {**problem_headers(status), **(headers or {})})


def refusal(error: HeadgateError) -> Answer:
    """Its text; of a configuration that is wrong also `problems`, each with its place."""
    if not isinstance(error, InvalidConfiguration):
        return problem(status_of(error), str(error))
    found: Sequence[InvalidConfiguration] = getattr(error, "problems", (error,))
    places = [{"file": one.file, "line": one.line, "column": one.column, "message": one.message} for one in found]
    return Answer({"message": str(error), "problems": places}, status_of(error))


def field_problems(errors: Sequence[Mapping[str, Any]]) -> str:
    """Pydantic's findings in one sentence: `limit: Input should be less than or equal to 500; …`."""
    return "; ".join(_field_problem(one) for one in errors[:5])


def _field_problem(found: Mapping[str, Any]) -> str:
    place = cast("Sequence[object]", found.get("loc", ()))
    where, *names = [str(one) for one in place] or ["request"]
    message = str(found.get("msg", "is wrong"))
    if found.get("type") == "json_invalid":
        reason = cast("Mapping[str, object]", found.get("ctx") or {}).get("error", "")
        return f"body: expected JSON ({reason} at character {names[0] if names else 0})"
    if found.get("type") == "model_attributes_type":
        return "body: expected a JSON object, sent with Content-Type: application/json"
    return f"{'.'.join(names) or where}: {message}"
