"""This file is where the declared work is looked up: which jobs there are, and which triggers an event concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headgate.model import Job, JobName, Trigger, TriggerName, TriggerType


@dataclass(frozen=True, slots=True)
class PrefixIndex:
    """The EVENT triggers of one bucket, found by key in as many steps as there are lengths of prefix."""

    everyone: Sequence[Trigger]
    by_prefix: Mapping[str, Sequence[Trigger]]
    lengths: Sequence[int]

    @staticmethod
    def of(triggers: Sequence[Trigger]) -> PrefixIndex:
        by_prefix: dict[str, list[Trigger]] = defaultdict(list)
        for trigger in triggers:
            if trigger.objects is not None:
                by_prefix[trigger.objects.prefix].append(trigger)
        return PrefixIndex(tuple(triggers), dict(by_prefix), sorted({len(prefix) for prefix in by_prefix}))

    def under(self, key: str) -> list[Trigger]:
        """The triggers whose prefix the key starts with."""
        found: list[Trigger] = []
        for length in self.lengths:
            if length > len(key):
                break
            found.extend(self.by_prefix.get(key[:length], ()))
        return found


@dataclass(frozen=True, slots=True)
class Catalog:
    """The jobs and triggers of one version of the ledger. Never changed: a change makes a new one."""

    version: int
    jobs: Mapping[JobName, Job]
    triggers: Mapping[TriggerName, Trigger]
    buckets: Mapping[str, PrefixIndex] = field(default_factory=dict[str, PrefixIndex])
    watching: Mapping[JobName, Sequence[Trigger]] = field(default_factory=dict[JobName, Sequence[Trigger]])
    scheduled: Sequence[Trigger] = ()
    watched: Sequence[Trigger] = ()  #: EVENT triggers that watch a catalog
    untouched: frozenset[TriggerName] = frozenset()  #: never switched on or off since an API made them

    @staticmethod
    def of(
        version: int, jobs: Iterable[Job], triggers: Iterable[Trigger], *, untouched: Iterable[TriggerName] = ()
    ) -> Catalog:
        by_name = {trigger.name: trigger for trigger in triggers}
        buckets: dict[str, list[Trigger]] = defaultdict(list)
        watching: dict[JobName, list[Trigger]] = defaultdict(list)
        for trigger in by_name.values():
            if trigger.type is TriggerType.EVENT and trigger.objects is not None:
                buckets[trigger.objects.bucket].append(trigger)
            # a workflow's fire within its runs only, each of which has kept them as they were when it started
            outside = trigger.workflow is None
            if outside and trigger.type is TriggerType.CONDITIONAL and trigger.predicate is not None:
                for job in {condition.job for condition in trigger.predicate.conditions}:
                    watching[job].append(trigger)
        return Catalog(
            version=version,
            jobs={job.name: job for job in jobs},
            triggers=by_name,
            buckets={bucket: PrefixIndex.of(those) for bucket, those in buckets.items()},
            watching=dict(watching),
            scheduled=tuple(t for t in by_name.values() if t.type is TriggerType.SCHEDULED),
            watched=tuple(t for t in by_name.values() if t.type is TriggerType.EVENT and t.catalog is not None),
            untouched=frozenset(untouched),
        )
