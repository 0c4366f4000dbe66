"""This file is where what DataHub answers is taken apart, carefully: any field may be missing or of another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from headgate.errors import Forbidden, HeadgateError, Invalid, NotFound, Unavailable
from headgate.model import Json

SHOWN = 120  #: characters of an answer that an error shows


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer: its status, its type in lower case, and its bytes."""

    status: int
    kind: str
    body: bytes
    retry_after: str = ""

    @property
    def html(self) -> bool:
        return "html" in self.kind or self.body[:100].lstrip().lower().startswith((b"<!doctype", b"<html"))

    def seen(self) -> str:
        """What came, for a person: status, type, and how it begins."""
        text = self.body[: SHOWN * 4].decode("utf-8", "replace")
        begins = "".join(one if one.isprintable() else " " for one in " ".join(text.split()))[:SHOWN]
        return f"{self.status} {self.kind or 'without a type'}" + (f", “{begins}”" if begins else ", empty")


def decoded(answer: Answer, where: str) -> Json:
    """The JSON an answer holds, whatever it is. Raises Unavailable with what was seen in its place."""
    if answer.html:
        raise Unavailable(f"{where} answered a page ({answer.seen()}): is that address DataHub's?")
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unavailable(f"{where} answered what is no JSON ({answer.seen()})") from error


def document(answer: Answer, where: str) -> Mapping[str, Any]:
    """The JSON object an answer holds. Raises Unavailable with what was seen in its place."""
    value = decoded(answer, where)
    if not isinstance(value, dict):
        raise Unavailable(f"{where} answered JSON that is no object ({answer.seen()})")
    return cast("dict[str, Any]", value)


def message(answer: Answer) -> str:
    """Why DataHub refused, in its own words where it has some: rest.li's, OpenAPI's, or how the answer begins."""
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError):
        return answer.seen()
    found = record(value)
    words = [one for one in (found.get("error"), found.get("message")) if isinstance(one, str) and one]
    text = ": ".join(words)[:1000]
    return "".join(one if one.isprintable() else " " for one in text) or answer.seen()


def data(answer: Answer, where: str) -> Mapping[str, Any]:
    """The `data` of a GraphQL answer.

    Raises:
        Invalid, Forbidden, NotFound, Unavailable: by the code of the first error; of none that is known: Unavailable.
    """
    whole = document(answer, where)
    errors = sequence(whole.get("errors"))
    if errors:
        raise failure(record(errors[0]), where)
    found = whole.get("data")
    if not isinstance(found, dict):
        raise Unavailable(f"{where} answered neither data nor errors ({answer.seen()})")
    return cast("dict[str, Any]", found)


def failure(error: Mapping[str, Any], where: str) -> HeadgateError:
    """A GraphQL error as one of ours, by `extensions.code` or, without it, by `type`."""
    extensions = record(error.get("extensions"))
    said = str(error.get("message") or "no message")[:1000]
    if extensions.get("classification") in SYNTAX:
        return Unavailable(f"{where} does not understand what we ask; is it older than 1.4? It says: {said}")
    names = {"BAD_REQUEST": 400, "CONFLICT": 400, "UNAUTHORIZED": 403, "NOT_FOUND": 404}
    code = extensions.get("code")
    if not isinstance(code, int):
        code = names.get(str(extensions.get("type")), 500)
    if code in (400, 409, 422):
        return Invalid(f"{where} refused: {said}")
    if code in (401, 403):
        return Forbidden(f"{where}: {said}")
    if code == 404:
        return NotFound("such entity", where, said)
    return Unavailable(f"{where} failed: {said}")


SYNTAX = ("ValidationError", "InvalidSyntax")  #: what graphql-java says of a document its schema does not take


def record(value: Json) -> Mapping[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def sequence(value: Json) -> Sequence[Any]:
    """A JSON list, or an empty one in place of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else ()


def texts(values: Sequence[Json]) -> list[str]:
    """The texts of it, each once, in their order."""
    return list(dict.fromkeys(one for one in values if isinstance(one, str) and one))
