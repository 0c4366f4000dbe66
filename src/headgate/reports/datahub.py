"""This file is where DataHub is told, from the outbox: proposals become messages, and messages proposals again.

DataHub being away delays a message and what comes after it for the same entity. A proposal that DataHub refuses for
good is dropped with an error in the log, so that it does not hold up those after it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import structlog

from headgate.errors import Invalid
from headgate.model import Json
from headgate.ports import DataHub, Message, Proposal

CHANNEL: Final = "datahub"
MOST: Final = 50  #: proposals in a message

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class DataHubReporter:
    """Emits what messages of the channel `datahub` hold. `dropped` counts the proposals refused for good."""

    def __init__(self, datahub: DataHub) -> None:
        self._datahub = datahub
        self._counting = threading.Lock()
        self.dropped = 0

    @property
    def name(self) -> str:
        return CHANNEL

    def report(self, kind: str, payload: Mapping[str, Json]) -> None:  # noqa: ARG002 - the port's
        """Emit the payload's proposals. Raises Unavailable: not now; the whole message is to be told again."""
        try:
            proposals = from_payload(payload)
        except Invalid as error:
            self._drop("a message", str(error))
            return
        self._emit(proposals)

    def _emit(self, proposals: Sequence[Proposal]) -> None:
        """One bad proposal makes DataHub refuse all that came with it: it is looked for by halves, in the same order.

        Not one by one: a message must be told within the time that the outbox keeps it from other deliverers.
        """
        try:
            self._datahub.emit(proposals)
        except Invalid as error:
            if len(proposals) == 1:
                self._drop(_named(proposals[0]), str(error))
                return
            middle = len(proposals) // 2
            self._emit(proposals[:middle])
            self._emit(proposals[middle:])

    def _drop(self, what: str, why: str) -> None:
        with self._counting:
            self.dropped += 1
        _log.error("DataHub refuses it for good; dropped", what=what, why=why)


def messages_for(proposals: Sequence[Proposal]) -> list[Message]:
    """Messages that hold these proposals: one entity each, so that an entity's changes keep their order."""
    by_entity: dict[str, list[Proposal]] = {}
    for one in proposals:
        by_entity.setdefault(one.entity_urn, []).append(one)
    return [
        Message(CHANNEL, urn, {"proposals": [_plain(one) for one in those[start : start + MOST]]})
        for urn, those in by_entity.items()
        for start in range(0, len(those), MOST)
    ]


def _plain(one: Proposal) -> dict[str, Json]:
    plain: dict[str, Json] = {
        "entity_type": one.entity_type,
        "entity_urn": one.entity_urn,
        "aspect_name": one.aspect_name,
        "aspect": one.aspect,
    }
    if one.change_type != "UPSERT":
        plain["change_type"] = one.change_type
    if one.headers:
        plain["headers"] = dict(one.headers)
    return plain


def from_payload(payload: Mapping[str, Json]) -> list[Proposal]:
    """The proposals a message holds. Raises Invalid: it holds none, or something else."""
    given = payload.get("proposals")
    if not isinstance(given, list | tuple) or not given:
        raise Invalid("the message holds no list `proposals`")
    return [_proposal(one) for one in cast("Sequence[Json]", given)]


def _proposal(given: Json) -> Proposal:
    if not isinstance(given, Mapping):
        raise Invalid("a proposal is no object")
    one = cast("Mapping[str, Any]", given)
    names = ("entity_type", "entity_urn", "aspect_name")
    if not all(isinstance(one.get(name), str) for name in names):
        raise Invalid(f"a proposal needs the texts {', '.join(names)}; it has {sorted(one)}")
    aspect = one.get("aspect")
    if not isinstance(aspect, Mapping | list | tuple):
        raise Invalid(f"the aspect {one['aspect_name']} of {one['entity_urn']} is neither an object nor a list")
    headers = one.get("headers") or {}
    return Proposal(
        entity_type=one["entity_type"],
        entity_urn=one["entity_urn"],
        aspect_name=one["aspect_name"],
        aspect=cast("Mapping[str, Json] | Sequence[Json]", aspect),
        change_type=str(one.get("change_type", "UPSERT")),
        headers={str(name): str(value) for name, value in cast("Mapping[str, Any]", headers).items()},
    )


def _named(one: Proposal) -> str:
    return f"{one.aspect_name} of {one.entity_urn}"
