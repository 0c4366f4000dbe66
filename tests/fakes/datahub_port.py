"""This file is where DataHub is played in memory, for tests of those who ask it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headgate.errors import NotAuthenticated, Unavailable
from headgate.model import Json
from headgate.ports import Credential, DatasetFacts, Identity, Ingestion, LastWrite, Proposal


@dataclass
class DataHubInMemory:
    """Implements ports.DataHub. `away`: every call fails with that text. `asked`: the calls, in order."""

    datasets: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  #: URN -> tags
    jobs: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  #: DataJob -> datasets it produces
    properties: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    users: dict[str, Identity] = field(default_factory=dict[str, Identity])  #: by the whole header's value
    grants: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict[tuple[str, str], frozenset[str]])
    away: str = ""
    hold: threading.Event | None = None  #: every call waits for it
    asked: list[str] = field(default_factory=list[str])
    emitted: list[Proposal] = field(default_factory=list[Proposal])
    requests: list[Ingestion] = field(default_factory=list[Ingestion])
    writes: list[LastWrite] = field(default_factory=list[LastWrite])

    def add_user(self, credential: str, actor: str, *platform: str) -> None:
        """Whoever shows this header's value is the actor, with these privileges on the platform."""
        self.users[credential] = Identity(actor=actor, privileges=frozenset(platform))

    def grant(self, actor: str, dataset: str, *privileges: str) -> None:
        self.grants[actor, dataset] = frozenset(privileges)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.hold is not None:
            self.hold.wait(60)
        if self.away:
            raise Unavailable(self.away)

    def identify(self, credential: Credential) -> Identity:
        self._ask("identify")
        found = self.users.get(credential.authorization or credential.cookie)
        if found is None:
            raise NotAuthenticated("DataHub does not take the credential")
        return found

    def privileges(self, credential: Credential, identity: Identity, dataset: str) -> frozenset[str]:
        del credential
        self._ask("privileges")
        return self.grants.get((identity.actor, dataset), frozenset()) | identity.privileges

    def dataset(self, urn: str) -> DatasetFacts:
        self._ask("dataset")
        return DatasetFacts(urn=urn, exists=urn in self.datasets, tags=self.datasets.get(urn, ()))

    def producers(self, dataset: str) -> Sequence[str]:
        self._ask("producers")
        return [job for job, made in self.jobs.items() if dataset in made]

    def produces(self, job: str, dataset: str) -> bool:
        self._ask("produces")
        return dataset in self.jobs.get(job, ())

    def property_of(self, job: str, prop: str) -> str | None:
        self._ask("property_of")
        return self.properties.get((job, prop))

    def aspect(self, urn: str, name: str) -> Mapping[str, Json] | None:
        self._ask("aspect")
        return {"name": urn} if urn in self.jobs and name == "dataJobInfo" else None

    def ingestions(self, *, most: int, executor: str | None = None) -> Sequence[Ingestion]:
        self._ask("ingestions")
        return [one for one in self.requests if executor in (None, one.executor)][:most]

    def last_writes(self, *, most: int) -> Sequence[LastWrite]:
        self._ask("last_writes")
        return self.writes[:most]

    def emit(self, proposals: Sequence[Proposal]) -> None:
        self._ask("emit")
        self.emitted.extend(proposals)
