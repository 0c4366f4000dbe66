"""This file is where proposals take the form that goes over the wire, in portions that DataHub takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from headgate.errors import Invalid
from headgate.model import Json
from headgate.ports import Proposal

MOST = 200  #: proposals in a batch
LARGEST = 10 << 20  #: bytes of aspects in a batch; DataHub takes some 15 MB
_CONDITIONS: Final = frozenset({"if-version-match", "if-modified-since", "if-unmodified-since"})


def wire_form(proposal: Proposal) -> dict[str, Json]:
    """The proposal as rest.li wants it: the aspect is a text that holds JSON."""
    kind = "application/json-patch+json" if proposal.change_type == "PATCH" else "application/json"
    form: dict[str, Json] = {
        "entityType": proposal.entity_type,
        "entityUrn": proposal.entity_urn,
        "changeType": proposal.change_type,
        "aspectName": proposal.aspect_name,
    }
    if proposal.change_type != "DELETE":
        form["aspect"] = {"contentType": kind, "value": _aspect(proposal).decode()}
    if proposal.headers:
        form["headers"] = dict(proposal.headers)
    return form


def repeatable(proposal: Proposal) -> bool:
    """Whether it may be sent again when nobody knows if the first arrived.

    Not so with a condition, which the first would have made untrue, and with a patch that appends.
    """
    if proposal.change_type in ("CREATE", "CREATE_ENTITY"):
        return proposal.headers.get("If-None-Match") == "*"
    if any(name.lower() in _CONDITIONS for name in proposal.headers):
        return False
    return proposal.change_type != "PATCH" or not any(
        str(one.get("path", "")).endswith("/-") for one in operations(proposal)
    )


def operations(proposal: Proposal) -> list[Mapping[str, Any]]:
    """The operations of a PATCH, out of their envelope where they are in one."""
    inner: Json = proposal.aspect
    if isinstance(inner, Mapping):
        inner = cast("Mapping[str, Any]", inner).get("patch")
    found = cast("Sequence[Any]", inner) if isinstance(inner, list | tuple) else ()
    return [cast("Mapping[str, Any]", one) for one in found if isinstance(one, Mapping)]


def portions(proposals: Sequence[Proposal]) -> Iterator[list[Proposal]]:
    """The proposals in their order, at most MOST and about LARGEST bytes at a time."""
    portion: list[Proposal] = []
    size = 0
    for one in proposals:
        more = len(_aspect(one))
        if portion and (len(portion) == MOST or size + more > LARGEST):
            yield portion
            portion, size = [], 0
        portion.append(one)
        size += more
    if portion:
        yield portion


def _aspect(proposal: Proposal) -> bytes:
    try:
        return msgspec.json.encode(proposal.aspect)
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{proposal.aspect_name} of {proposal.entity_urn} cannot be written as JSON: {error}") from error
