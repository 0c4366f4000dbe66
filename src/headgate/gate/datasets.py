"""This file is where a dataset leads to a job: the rules in force, what they come to, and a person's click on it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from headgate.errors import Forbidden, Unavailable
from headgate.flow import click as clicking
from headgate.flow import resolution, targets
from headgate.flow.resolution import Resolution
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.gate.limits import check
from headgate.ledger import clicks
from headgate.ledger import rules as kept
from headgate.ledger.accepting import Ask
from headgate.ledger.rules import KeptRule
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Cause, Event, JobName, Run, RunId, new_event_id
from headgate.ports import DataHub, DatasetFacts
from headgate.settings import Settings
from headgate.settings.mapping import MappingFile

#: Of a job that refreshes many datasets, so many runs are looked through for one dataset's last.
LOOKED_BACK, _PORTION = 1_000, 200
_ASKING = 8  #: questions to DataHub that may be under way for one person
_UNKNOWN = "DataHub knows no dataset {}"
_NOT_EMBEDDED = (
    "the embedded catalog knows no dataset {}; name it in a rule under datasets:, or write it there"
    " (`datahub put`, see docs/embedded-catalog.md)"
)


class Datasets:
    """`settings` and `datahub` answer those of now: settings change by `apply`, DataHub is set by the app."""

    def __init__(
        self, ledger: Ledger, *, settings: Callable[[], Settings], datahub: Callable[[], DataHub | None]
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._datahub = datahub
        self._mapping = MappingFile.of(settings())

    # -- what refreshes a dataset

    def resolve(self, urn: str, *, job_urn: str | None = None, facts: DatasetFacts | None = None) -> Resolution:
        """What a click on the dataset starts; `job` is None where nothing. Hand `implicit` on to `ask` or `start`.

        `facts`: what DataHub knows of the dataset, where the caller has asked it already.

        Raises:
            Invalid: a malformed URN. Forbidden: `job_urn` does not produce the dataset, or the target is not allowed.
            Unavailable: DataHub can not be asked.
        """
        found = resolution.resolve_dataset(urn, self._grounds(), job_urn=job_urn, facts=facts)
        if found.refused is not None:
            raise Forbidden(found.refused)
        return found

    def explain(self, urn: str, *, job_urn: str | None = None) -> Resolution:
        """The same, with why every other rule lost; goes on when DataHub is away. Raises Invalid and, for a `job_urn`
        that does not produce the dataset, Forbidden.
        """
        found = resolution.resolve_dataset(urn, self._grounds(), job_urn=job_urn, thorough=True)
        return replace(found, notes=[*self.warnings(), *found.notes])

    def rules(self) -> list[Rule]:
        """The rules in force, from every source; the mapping file as it is now."""
        declared = [one for one in self._settings().rules if one.source is not RuleSource.ENVIRONMENT_FILE]
        from_file = self._mapping.rules() if self._mapping is not None else ()
        return [*declared, *from_file, *(one.rule for one in self.kept_rules())]

    def kept_rules(self) -> list[KeptRule]:
        """Those of the ledger."""
        return self._ledger.read(kept.read)

    def set_rule(self, rule: Rule, *, actor: str, reason: str | None = None) -> KeptRule:
        """Keep a rule in the ledger, in place of the one that covers the same. Raises Invalid and Forbidden."""
        check({}, reason)
        grounds = self._grounds()
        checked = targets.checked(rule, grounds.jobs, arns=grounds.arns, region=grounds.region)
        return wait_for(self._ledger.write(lambda batch: kept.put(batch, checked, actor=actor, reason=reason)))

    def delete_rule(self, name: str, *, actor: str, reason: str | None = None) -> KeptRule:
        """Take a rule of the ledger away, by its id or by what it covers. Raises NotFound."""
        check({}, reason)
        return wait_for(self._ledger.write(lambda batch: kept.delete(batch, name, actor=actor, reason=reason)))

    def stale_rules(self) -> list[Rule]:
        """The rules for datasets that DataHub does not know: renamed, removed, or misspelt. One question a rule.

        Raises:
            Unavailable: there is no DataHub, or it can not be asked.
        """
        datahub = self._datahub()
        if datahub is None:
            raise Unavailable("no DataHub is configured, so nobody knows which datasets there are (datahub.gms_url)")
        rules = [one for one in self.rules() if one.kind is RuleKind.URN]
        with ThreadPoolExecutor(_ASKING) as pool:
            facts = list(pool.map(datahub.dataset, [one.value for one in rules]))
        return [one for one, known in zip(rules, facts, strict=True) if not known.exists]

    def warnings(self) -> list[str]:
        """What is wrong and hinders nobody yet, for /readyz and `explain`."""
        return [self._mapping.problem] if self._mapping is not None and self._mapping.problem else []

    def _grounds(self) -> resolution.Grounds:
        datahub = self._settings().datahub
        return resolution.Grounds(
            rules=self.rules(),
            jobs=self._ledger.refresh().jobs,
            datahub=self._datahub(),
            job_arn_property=datahub.job_arn_property,
            arns=datahub.arns,
            region=self._settings().lambda_region,
            strict=datahub.strict,
        )

    # -- clicks

    def consider(self, click: clicking.Click, who: clicking.Who) -> clicking.Wish | clicking.Refusal:
        """What a click would start, or why it may not. Starts and writes nothing. Raises Unavailable."""
        return clicking.consider(
            click,
            who,
            datahub=self._datahub(),
            resolve=lambda urn, job_urn, facts: resolution.resolve_dataset(
                urn, self._grounds(), job_urn=job_urn, facts=facts
            ),
            privileges=self._settings().datahub.privileges,
            unknown=_UNKNOWN if self._settings().datahub.configured else _NOT_EMBEDDED,
        )

    def click(self, wish: clicking.Wish) -> Future[Run]:
        """Start what a click may start, or be given the run of another click on the dataset within the window.

        The future fails with TooManyRuns, NotFound (the job was deleted meanwhile) or LedgerUnavailable.
        """
        asked = wish.click
        check(wish.arguments, asked.reason)
        event = Event(
            id=new_event_id(),
            door=clicking.DOOR,
            kind="Asked",
            identity=f"asked:{secrets.token_hex(16)}",
            at=datetime.now(UTC),
            payload={"job": wish.job, "actor": wish.actor, "dataset": asked.dataset,
                     **({"reason": asked.reason} if asked.reason else {})},
        )  # fmt: skip
        ask = Ask(
            job=wish.job,
            event=event,
            cause=Cause(actor=wish.actor, reason=asked.reason),
            arguments=wish.arguments,
            implicit=wish.implicit,
        )
        known, window = self._ledger.catalog, self._settings().datahub.click_window
        return self._ledger.write(
            lambda batch: clicks.take(batch, known, ask, dataset=asked.dataset, key=clicking.DATASET, window=window)
        )

    def now_of(self, runs: Sequence[RunId]) -> dict[RunId, Run]:
        """These runs as they are now, read in one go."""
        return self._ledger.read(lambda connection: clicks.find(connection, runs))

    def last_for(self, job: JobName, dataset: str) -> Run | None:
        """The newest run of the job that was not asked for another dataset; of its newest LOOKED_BACK."""
        return next(iter(self.runs_for(job, dataset, most=1)), None)

    def runs_for(self, job: JobName, dataset: str, *, most: int) -> list[Run]:
        """The newest such runs, at most so many."""
        found: list[Run] = []
        before: int | None = None
        for _ in range(0, LOOKED_BACK, _PORTION):
            page = self._ledger.runs(job=job, before=before, limit=_PORTION)
            found += [run for run in page.items if run.arguments.get(clicking.DATASET, dataset) == dataset]
            before = page.next
            if before is None or len(found) >= most:
                break
        return found[:most]
