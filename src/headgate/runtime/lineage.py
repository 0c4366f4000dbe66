"""This file is where lineage's messages become what their receivers take: aspects for DataHub, events for a URL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from headgate import __version__
from headgate.errors import Invalid, NotFound, Unavailable
from headgate.flow import lineage
from headgate.ledger.housekeeping import Letter
from headgate.ledger.store import Ledger
from headgate.model import Event, EventId, Run
from headgate.openlineage import Options, convert, definition
from headgate.ports import DataHub, Proposal

if TYPE_CHECKING:
    import httpx

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_TRIES: Final = 3
PAUSE = 0.2  #: seconds before the second try; doubles
_TIMEOUT: Final = 15.0  #: seconds for one call
_RETRY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(slots=True)
class Teller:
    """Makes the event of a note; None where the run is gone (retention) and nobody can say more about it."""

    ledger: Ledger
    namespace: str = "headgate"

    def event(self, note: Mapping[str, Any]) -> tuple[dict[str, Any], str | None] | None:
        """The event, and the URN of the dataset the run was asked for."""
        try:
            run = self.ledger.run(str(note["run"]))
        except NotFound:
            return None
        dataset = lineage.dataset_of(run)
        made = lineage.event_of(
            run,
            str(note["kind"]),
            datetime.fromisoformat(str(note["at"])),
            lineage.Telling(namespace=self.namespace, version=__version__),
            job=self.ledger.catalog.jobs.get(run.job),
            event=self._cause(run),
            dataset=dataset,
        )
        return made, dataset

    def _cause(self, run: Run) -> Event | None:
        if run.cause.event is None:
            return None
        try:
            return self.ledger.event(EventId(run.cause.event)).event
        except NotFound:
            return None


@dataclass(slots=True)
class ToDataHub:
    """Sends what others said (converted when it was accepted) and what our own runs did. For `Relay`."""

    datahub: DataHub
    teller: Teller
    options: Options
    _defined: set[str] = field(default_factory=set[str])

    def __call__(self, letters: Sequence[Letter]) -> None:
        proposals = [one for letter in letters for one in self._proposals(letter)]
        if not proposals:
            return
        self._define(proposals)
        try:
            self.datahub.emit(proposals)
        except Invalid:
            if len(letters) > 1:
                raise  # each is sent alone then
            self._emit_singly(proposals)

    def _proposals(self, letter: Letter) -> list[Proposal]:
        said = letter.payload.get("proposals")
        if isinstance(said, list):
            return [_proposal(cast("Mapping[str, Any]", one)) for one in cast("list[Any]", said)]
        told = self.teller.event(letter.payload)
        if told is None:
            return []
        event, dataset = told
        options = replace(self.options, fabric=lineage.environment_of(dataset)) if dataset else self.options
        return [_proposal(one) for one in convert(event, options, now=int(time.time() * 1000))]

    def _define(self, proposals: Sequence[Proposal]) -> None:
        """See to it, once, that the structured properties exist that are about to be assigned."""
        if not any(one.aspect_name == "structuredProperties" for one in proposals):
            return
        for rule in self.options.properties:
            one = definition(rule)
            urn = one["entityUrn"]
            if urn in self._defined:
                continue
            if self.datahub.aspect(urn, one["aspectName"]) is None:
                self.datahub.emit([_proposal(one)])
            self._defined.add(urn)

    def _emit_singly(self, proposals: Sequence[Proposal]) -> None:
        """One of them is refused for good; the others are not to be lost with it."""
        for one in proposals:
            try:
                self.datahub.emit([one])
            except Invalid as error:
                _log.error("an aspect was refused", entity=one.entity_urn, aspect=one.aspect_name, why=str(error)[:500])


def _client() -> httpx.Client:
    import httpx  # noqa: PLC0415 - see ToUrl

    return httpx.Client(timeout=_TIMEOUT, follow_redirects=False)


@dataclass(slots=True)
class ToUrl:
    """Sends our own runs' events to an OpenLineage receiver over HTTP. For `Relay`."""

    url: str  #: whole, with its path
    teller: Teller
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    client: Callable[[], httpx.Client] = field(default=_client, repr=False)
    _made: httpx.Client | None = field(default=None, repr=False)

    def __call__(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            told = self.teller.event(letter.payload)
            if told is not None:
                self._post(told[0])

    def _post(self, event: Mapping[str, Any]) -> None:
        import httpx  # noqa: PLC0415 - only where there is a receiver

        if self._made is None:
            self._made = self.client()
        why = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(PAUSE * 2**attempt * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            try:
                answer = self._made.post(self.url, json=event, headers=dict(self.headers))
            except httpx.HTTPError as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success:
                return
            why = f"HTTP {answer.status_code}: {answer.text[:200]}"
            if answer.status_code not in _RETRY and answer.status_code not in (401, 403, 404):
                raise Invalid(f"the OpenLineage receiver refuses the event: {why}")
        raise Unavailable(f"the OpenLineage receiver (OPENLINEAGE_URL) does not take events: {why}")

    def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.close()


def _proposal(one: Mapping[str, Any]) -> Proposal:
    """From the form of `headgate openlineage convert`."""
    return Proposal(
        entity_type=one["entityType"],
        entity_urn=one["entityUrn"],
        aspect_name=one["aspectName"],
        change_type=one.get("changeType", "UPSERT"),
        aspect=one["aspect"],
        headers=one.get("headers") or {},
    )
