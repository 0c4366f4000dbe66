"""This file is where it is found out what a click on a dataset starts: DataHub is asked, then the rules decide.

First the Step Functions ARN that a DataJob's structured property names, then rules by URN, tag, prefix and default.
Nothing is started and nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.errors import Forbidden, Invalid, Unavailable
from headgate.flow.resolve import Rule, RuleKind, RuleSource, beaten, check_data_job, explain, parse_dataset
from headgate.flow.targets import Target, allowed, implicit_job, parse_target, target_of
from headgate.model import Job, JobName
from headgate.ports import DataHub, DatasetFacts

#: DataJobs of one dataset that are looked at.
MOST_PRODUCERS: Final = 20
_NO_DATAHUB: Final = "no DataHub is configured"
_ENVIRONMENTS: Final = ("PROD", "DEV", "TEST", "QA", "UAT", "STG")
_BY: Final = {
    RuleKind.PROPERTY: "its DataJob names",
    RuleKind.URN: "its rule names",
    RuleKind.TAG: "the rule for its tag names",
    RuleKind.PREFIX: "the rule for its database or schema names",
    RuleKind.DEFAULT: "the default rule names",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a resolution goes by."""

    rules: Sequence[Rule]  #: from every source
    jobs: Collection[str]  #: the names of those there are
    datahub: DataHub | None
    job_arn_property: str  #: URN of the structured property; "": DataJobs are not looked up
    arns: Sequence[str] = ()  #: patterns of allowed ARNs, see targets.allowed
    region: str = ""  #: of functions given by their bare name
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a click on a dataset would start, and why that and nothing else."""

    urn: str
    job: JobName | None  #: None: nothing can be started, `words` says why
    implicit: Job | None = None  #: that job, where it may not be in the ledger yet; hand it to `Gate.ask`
    words: str  #: for everyone: no ARN, account or function name is in it
    message: str  #: for operators: the target, the rule and where it is written
    rule: Rule | None  #: the one that wins
    losers: Sequence[tuple[Rule, str]] = ()  #: every other one, and why it lost
    notes: Sequence[str] = ()  #: what could not be looked at, or is odd
    refused: str | None = None  #: why the target may not be started (for everyone); `job` is then None
    facts: DatasetFacts | None = None  #: what DataHub knows of the dataset, where it was asked


def resolve_dataset(
    urn: str,
    grounds: Grounds,
    *,
    job_urn: str | None = None,
    facts: DatasetFacts | None = None,
    thorough: bool = False,
) -> Resolution:
    """Find what refreshes a dataset.

    Args:
        urn: the dataset's.
        grounds: what to go by.
        job_urn: the DataJob whose property counts; None: those that produce the dataset, in DataHub's order.
        facts: what DataHub knows of the dataset, where it was asked already.
        thorough: for a person who wants to know why: ask DataHub everything, and go on when it is away.

    Raises:
        Invalid: `urn` or `job_urn` is no such URN.
        Forbidden: `job_urn` is a DataJob that does not produce the dataset.
        Unavailable: DataHub is needed and can not be asked (not when `thorough`).
    """
    parse_dataset(urn)
    if job_urn is not None:
        check_data_job(job_urn)
    asking = _Asking(urn, grounds, job_urn, facts, thorough)
    asking.ask()
    rules = [*asking.named, *grounds.rules]
    found = explain(urn, rules, tags=asking.tags, strict=grounds.strict, untagged=asking.untagged)
    losers = [*asking.broken, *found.losers]
    if found.winner is None:
        return Resolution(
            urn=urn, job=None, words=found.message, message=found.message, rule=None, losers=losers,
            notes=asking.notes, facts=asking.facts,
        )  # fmt: skip
    asking.notes.extend(_ambiguous(found.winner, found.losers))
    job, implicit, words, problem, refused = _started(found.winner, grounds)
    return Resolution(
        urn=urn,
        job=job,
        implicit=implicit,
        words=words,
        message=f"{found.message}; {problem}" if problem else found.message,
        rule=found.winner,
        losers=losers,
        notes=asking.notes,
        refused=refused,
        facts=asking.facts,
    )


def _ambiguous(winner: Rule, losers: Sequence[tuple[Rule, str]]) -> list[str]:
    """A note where nothing but the order decided between two tags, or two DataJobs."""
    others = [
        rule.value for rule, reason in losers
        if rule.kind is winner.kind and rule.source is winner.source and reason == beaten(rule, winner)
    ]  # fmt: skip
    if not others or winner.kind not in (RuleKind.TAG, RuleKind.PROPERTY):
        return []
    return [f"{winner.value} and {' and '.join(others)} say what refreshes it, too: the first of them decides"]


def _started(rule: Rule, grounds: Grounds) -> tuple[JobName | None, Job | None, str, str, str | None]:
    """The job a rule starts, the same where it is implicit, the words for it; what is wrong; why it may not be."""
    by = _BY[rule.kind]
    if rule.job is not None:
        if rule.job in grounds.jobs:
            return rule.job, None, f"the job {rule.job}", "", None
        problem = f"there is no job {str(rule.job)!r}; change the rule, or declare the job"
        return None, None, f"the job that {by} does not exist", problem, None
    target = target_of(rule, region=grounds.region)
    if target is None:
        return None, None, f"what {by} can not be started", "that is not the name of anything on AWS; change it", None
    if refused := _refusal(rule, target, grounds):
        return None, None, refused, f"{target.arn} is covered by no pattern of datahub.allow.arns", refused
    job = implicit_job(target)
    return job.name, job, f"{target.words} that {by}", "", None


def _refusal(rule: Rule, target: Target, grounds: Grounds) -> str | None:
    """Why the target may not be started: metadata and rules kept in the ledger can be edited by many."""
    if rule.source not in (RuleSource.DATAHUB, RuleSource.LEDGER) or allowed(target, grounds.arns):
        return None
    return f"{target.words} that {_BY[rule.kind]} is not among those that may be started here (datahub.allow.arns)"


@dataclass(slots=True)
class _Asking:
    """What DataHub said, as far as it was asked."""

    urn: str
    grounds: Grounds
    job_urn: str | None
    facts: DatasetFacts | None
    thorough: bool
    named: list[Rule] = field(default_factory=list[Rule])  #: by DataJobs' properties
    broken: list[tuple[Rule, str]] = field(default_factory=list[tuple[Rule, str]])
    notes: list[str] = field(default_factory=list[str])
    untagged: str = _NO_DATAHUB

    @property
    def tags(self) -> Sequence[str] | None:
        return self.facts.tags if self.facts is not None else None

    def ask(self) -> None:
        datahub = self.grounds.datahub
        if datahub is None:
            self.notes.append(f"{_NO_DATAHUB}: neither DataJobs nor tags were looked up")
            return
        try:
            self._ask_for_jobs(datahub)
            self._ask_for_dataset(datahub)
        except Unavailable as error:
            if not self.thorough:
                raise
            self.untagged = "DataHub can not be asked"
            self.notes.append(f"DataHub can not be asked, and a click is refused until it can: {error}")

    def _ask_for_jobs(self, datahub: DataHub) -> None:
        prop = self.grounds.job_arn_property
        if not prop:
            self.notes.append(
                "no structured property is set (DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN): DataJobs were not looked up"
            )
            return
        for job in self._candidates(datahub):
            try:
                value = datahub.property_of(job, prop)
            except Invalid as error:  # several values: metadata that is wrong is no fault of who clicks
                self._leave_out(job, prop, str(error))
                continue
            if value is None:
                self.notes.append(f"{job} does not have the property {prop}")
                continue
            self._take(job, prop, value)
            if self.named and not self.thorough:
                return

    def _candidates(self, datahub: DataHub) -> Sequence[str]:
        if self.job_urn is None:
            return datahub.producers(self.urn)[:MOST_PRODUCERS]
        if datahub.produces(self.job_urn, self.urn):
            return [self.job_urn]
        if datahub.aspect(self.job_urn, "dataJobInfo") is not None:
            raise Forbidden(f"{self.job_urn} does not produce {self.urn}: it may not say what refreshes that")
        self.notes.append(f"DataHub does not know {self.job_urn}: the rules decide")
        return []

    def _leave_out(self, job: str, prop: str, why: str) -> None:
        rule = Rule(kind=RuleKind.PROPERTY, value=job, place=f"{prop} in DataHub", source=RuleSource.DATAHUB)
        self.broken.append((rule, why))
        self.notes.append(f"{why}; the rules decide")

    def _take(self, job: str, prop: str, value: str) -> None:
        target = parse_target(value)
        rule = Rule(
            kind=RuleKind.PROPERTY,
            value=job,
            function=value.strip() if target is not None and target.engine == "lambda" else None,
            state_machine_arn=value.strip() if target is None or target.engine != "lambda" else None,
            place=f"{prop} in DataHub",
            source=RuleSource.DATAHUB,
        )
        if target is None or not target.account:  # a property is to say it in full
            self.broken.append((rule, "the property's value is not the ARN of a state machine or of a function"))
            self.notes.append(f"{job}: the value of {prop} is no ARN that can be started; the rules decide")
        else:
            self.named.append(rule)

    def _ask_for_dataset(self, datahub: DataHub) -> None:
        tagged = any(rule.kind is RuleKind.TAG for rule in self.grounds.rules)
        if self.facts is None and (self.thorough or tagged):
            self.facts = datahub.dataset(self.urn)
        if self.thorough and self.facts is not None and not self.facts.exists:
            near = [one for one in _variants(self.urn) if datahub.dataset(one).exists]
            known = f"; it knows {' and '.join(near)}: is it this one you mean?" if near else ""
            self.notes.append(f"DataHub does not know {self.urn}, and a click on it is refused{known}")


def _variants(urn: str) -> list[str]:
    """What a URN is mistaken for most often: another environment, another case. Few enough to ask for each."""
    head, _, _ = urn.rpartition(",")
    platform, _, name = head.partition(",")
    others = [f"{head},{environment})" for environment in _ENVIRONMENTS]
    others.append(f"{platform},{name.lower()},{urn.rpartition(',')[2]}")
    return [one for one in dict.fromkeys(others) if one != urn]
