"""This file is where the embedded catalog stands in DataHub's place, for everything in Headgate that asks DataHub."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, cast

from headgate.embedded.catalog import SYSTEM, Catalog
from headgate.embedded.changes import Unmet, of_proposal
from headgate.embedded.ingestions import Request, requests
from headgate.embedded.nodes import PRIVILEGES
from headgate.embedded.urns import kind_of
from headgate.errors import Invalid, NotAuthenticated
from headgate.flow.external import INGESTED, ingestion_of, milliseconds, newest, write_of
from headgate.flow.resolve import Rule, RuleKind
from headgate.ledger.store import Ledger
from headgate.model import Json
from headgate.ports import Credential, DatasetFacts, Identity, Ingestion, LastWrite, Proposal
from headgate.settings.record import Secret

LOCAL: Final = "urn:li:corpuser:local"
TOKEN: Final = "urn:li:corpuser:headgate"  # noqa: S105 - a name, no secret
_PROPERTY: Final = "urn:li:structuredProperty:"
_JOBS: Final = 100  #: DataJobs that are looked at for one dataset
_RUNS: Final = 20  #: of its runs


class EmbeddedDataHub:
    """Implements ports.DataHub on the ledger's database, in this process: nothing here waits for a network.

    Without a token the caller is whoever sits at this machine, whatever credential is shown; with one, who shows it.
    """

    def __init__(
        self, ledger: Ledger, *, token: Secret | None = None, rules: Callable[[], Sequence[Rule]] = lambda: ()
    ) -> None:
        self.catalog = Catalog(ledger)
        self._token = token.reveal().encode() if token else b""
        self._rules = rules

    def start(self) -> int:
        """Make the datasets known that rules name by their URN; answers how many were new. The ledger must be open."""
        return self.catalog.register([one.value for one in self._rules() if one.kind is RuleKind.URN])

    # -- ports.DataHub

    def identify(self, credential: Credential) -> Identity:
        if not self._token:
            return Identity(actor=LOCAL, privileges=PRIVILEGES)
        scheme, _, shown = credential.authorization.partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self._token):
            raise NotAuthenticated("this needs `Authorization: Bearer …` with the token of HEADGATE_TOKEN (auth.token)")
        return Identity(actor=TOKEN, privileges=PRIVILEGES)

    def privileges(self, credential: Credential, identity: Identity, dataset: str) -> frozenset[str]:
        del dataset
        return self.identify(credential).privileges & identity.privileges

    def dataset(self, urn: str) -> DatasetFacts:
        known = self.catalog.entities([urn]).get(urn)
        if known is None and any(one.kind is RuleKind.URN and one.value == urn for one in self._rules()):
            self.catalog.register([urn])  # a rule that was given after the start
            known = self.catalog.entities([urn]).get(urn)
        found = self.catalog.aspects([urn], ["globalTags"])[urn].get("globalTags")
        listed: Any = found.value.get("tags") if found else []
        tags = [one.get("tag") for one in cast("list[Any]", listed or []) if isinstance(one, Mapping)]
        return DatasetFacts(
            urn=urn, exists=known is not None and not known.removed, tags=[one for one in tags if isinstance(one, str)]
        )

    def producers(self, dataset: str) -> Sequence[str]:
        _, runs = self.catalog.runs_of(dataset, "Produces", count=_RUNS)
        by_run = [self._template(run) for run in runs]
        _, related = self.catalog.related(dataset, ["Produces"], outgoing=False, count=_JOBS)
        by_lineage = [one.other for one in related if kind_of(one.other) == "dataJob"]
        found = dict.fromkeys([*(one for one in by_run if one is not None), *by_lineage])
        removed = {one.urn for one in self.catalog.entities(list(found)).values() if one.removed}
        return [one for one in found if one not in removed]

    def produces(self, job: str, dataset: str) -> bool:
        if kind_of(job) != "dataJob":
            return False
        _, outputs = self.catalog.related(job, ["Produces"], outgoing=True, count=5_000)
        if any(one.other == dataset for one in outputs):
            return True
        return job in self.producers(dataset)

    def property_of(self, job: str, prop: str) -> str | None:
        listed: Any = self.catalog.value(job, "structuredProperties").get("properties")
        for one in cast("list[Any]", listed or []):
            given = cast("Mapping[str, Any]", one)
            values = cast("list[Mapping[str, Any]]", given.get("values") or [])
            urn = str(given.get("propertyUrn"))
            if prop in (urn, urn.removeprefix(_PROPERTY)) and len(values) == 1:
                text = values[0].get("string")
                return text if isinstance(text, str) else None
        return None

    def aspect(self, urn: str, name: str) -> Mapping[str, Json] | None:
        found = self.catalog.aspect(urn, name)
        return found.value if found else None

    def ingestions(self, *, most: int, executor: str | None = None) -> Sequence[Ingestion]:
        found = (_ingestion(one) for one in requests(self.catalog))
        return list(islice((one for one in found if executor in (None, one.executor)), most))

    def last_writes(self, *, most: int) -> Sequence[LastWrite]:
        written = self.catalog.last_written("dataset", INGESTED, most * len(INGESTED))
        return newest([write_of(one.urn, one.name, one.system, actor=one.actor) for one in written], most)

    def emit(self, proposals: Sequence[Proposal]) -> None:
        try:
            self.catalog.write([of_proposal(one) for one in proposals], SYSTEM)
        except Unmet as error:
            raise Invalid(str(error)) from error

    def _template(self, run: str) -> str | None:
        """The DataJob a process instance is a run of."""
        _, found = self.catalog.related(run, ["InstanceOf"], outgoing=True, count=1)
        return next((one.other for one in found if kind_of(one.other) == "dataJob"), None)


def _ingestion(one: Request) -> Ingestion:
    actor = one.input.get("actorUrn")
    return ingestion_of(
        one.urn,
        task=str(one.input.get("task") or ""),
        executor=str(one.input.get("executorId") or ""),
        source=one.source,
        actor=actor if isinstance(actor, str) else None,
        requested_ms=milliseconds(one.input.get("requestedAt")),
        status=str(one.result.get("status") or ""),
        start_ms=milliseconds(one.result.get("startTimeMs")),
        duration_ms=milliseconds(one.result.get("durationMs")),
    )
