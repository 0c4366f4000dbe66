"""This file is where the embedded catalog is put together: what may be asked of it, as one call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from headgate.embedded import deleting, reading, store, urns
from headgate.embedded.changes import Change, make
from headgate.embedded.reading import Aspect, Entity, Point, Related, Search
from headgate.embedded.registry import registry
from headgate.embedded.store import Written
from headgate.errors import Invalid, NotFound
from headgate.ledger.store import Ledger, wait_for

T = TypeVar("T")
SYSTEM: Final = "urn:li:corpuser:__datahub_system"


class Catalog:
    """Aspects in the ledger's database. From any thread; writes are durable when they return, and reads see them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # -- writing

    def write(self, changes: Sequence[Change], actor: str) -> list[Written]:
        """All of them, or none.

        Raises:
            Unmet: a condition of the writer's does not hold. Invalid: a rule of the catalog forbids one.
            LedgerUnavailable: the database is away.
        """
        if not changes:
            return []
        return wait_for(self._ledger.write(lambda batch: store.write(batch, changes, actor)))

    def delete(
        self, urn: str, aspect: str | None = None, *, begin_ms: int | None = None, end_ms: int | None = None
    ) -> tuple[int, int]:
        """For good. Answers how many rows of aspects and of series there were."""
        parsed = urns.parse(urn)
        if aspect is not None and aspect not in parsed.spec.aspects:
            raise Invalid(f"aspectName: {parsed.spec.name} has no aspect {aspect[:80]!r}")
        whole = None if aspect == parsed.spec.key else aspect
        return wait_for(self._ledger.write(lambda batch: deleting.delete(batch, parsed.text, whole, begin_ms, end_ms)))

    def register(self, datasets: Sequence[str]) -> int:
        """Let these datasets be known, if they are not; answers how many were new. One that was deleted stays so."""
        wanted = sorted(set(datasets))
        there = self.entities(wanted)
        new = [urns.parse(urn) for urn in wanted if urn not in there]
        changes = [
            make(entity=one.spec.name, urn=one.text, aspect="status", kind="UPSERT", value={"removed": False})
            for one in new
        ]
        self.write(changes, SYSTEM)
        return len(new)

    # -- reading

    def aspect(self, urn: str, name: str, version: int = 0) -> Aspect | None:
        return self._read(lambda connection: reading.aspect(connection, urn, name, version))

    def value(self, urn: str, name: str) -> Mapping[str, Any]:
        """The newest value of an aspect; nothing in it where there is none."""
        found = self.aspect(urn, name)
        return found.value if found else {}

    def aspects(self, those: Sequence[str], names: Sequence[str] = ()) -> dict[str, dict[str, Aspect]]:
        return self._read(lambda connection: reading.aspects(connection, those, names))

    def entities(self, those: Sequence[str]) -> dict[str, Entity]:
        return self._read(lambda connection: reading.entities(connection, those))

    def exists(self, urn: str) -> bool:
        """Whether it is there and not softly deleted."""
        found = self.entities([urn]).get(urn)
        return found is not None and not found.removed

    def series(self, urn: str, name: str, **how: Any) -> list[Point]:
        """See reading.series. Raises NotFound: there is no such kind of series."""
        spec = registry().aspects.get(name)
        if spec is None or not spec.timeseries:
            raise NotFound("timeseries aspect", name)
        return self._read(lambda connection: reading.series(connection, urn, name, **how))

    def related(
        self, urn: str, types: Sequence[str], *, outgoing: bool, start: int = 0, count: int = 20
    ) -> tuple[int, list[Related]]:
        return self._read(
            lambda connection: reading.related(connection, urn, types, outgoing=outgoing, start=start, count=count)
        )

    def runs_of(self, urn: str, edge: str, *, start: int = 0, count: int = 20) -> tuple[int, list[str]]:
        return self._read(lambda connection: reading.runs_of(connection, urn, edge, start=start, count=count))

    def search(self, wanted: Search, *, after: str = "", start: int = 0, count: int = 10) -> tuple[int, list[str]]:
        return self._read(lambda connection: reading.search(connection, wanted, after=after, start=start, count=count))

    def last_written(self, kind: str, names: Sequence[str], count: int) -> list[Aspect]:
        return self._read(lambda connection: reading.last_written(connection, kind, names, count))

    def count_aspects(self, name: str, like: str | None) -> int:
        return self._read(lambda connection: reading.count_aspects(connection, name, like))

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._ledger.read(work)
