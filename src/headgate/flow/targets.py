"""This file is where what nobody declared becomes a job: what a rule or a DataJob names on AWS, a recipe that is given.

What is named on AWS must have an allowed ARN.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headgate.errors import Forbidden, Invalid
from headgate.flow.resolve import LONGEST, Rule, RuleKind, parse_dataset
from headgate.model import Job, JobName, Origin

#: Function and state machine as AWS lets them be named; a version or an alias may follow.
_FUNCTION: Final = re.compile(
    r"(?:arn:(?P<partition>aws(?:-[a-z]+)*):lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):function:)?"
    r"(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)
_STATE_MACHINE: Final = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]+)*):states:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):stateMachine:"
    r"(?P<name>[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80})(?::(?P<qualifier>[A-Za-z0-9_.-]{1,128}))?"
)
#: How many runs of such a job may be under way. AWS has limits of its own, and the seeds start one at every click.
LIMIT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something on AWS that a run may start, by its parts; `account` and `region` are "" where they are not said."""

    engine: str  #: lambda | step_functions
    named: str  #: as it was given: an ARN, or a function's bare name
    name: str
    qualifier: str
    region: str
    account: str
    partition: str

    @property
    def words(self) -> str:
        """What it is, for those who are not to know its name."""
        return "an AWS Lambda function" if self.engine == "lambda" else "an AWS Step Functions state machine"

    @property
    def arn(self) -> str:
        """Its ARN as far as it is known; what is not known is `-`, which no part of an ARN is."""
        service, kind = ("lambda", "function") if self.engine == "lambda" else ("states", "stateMachine")
        parts = ["arn", self.partition or "aws", service, self.region or "-", self.account or "-", kind, self.name]
        return ":".join([*parts, *([self.qualifier] if self.qualifier else [])])


def parse_target(text: str, *, region: str = "") -> Target | None:
    """A Lambda function's name or ARN, or a state machine's ARN; None for anything else.

    Args:
        text: as it was written; blanks around it do not count.
        region: where a function is that is given by its bare name.
    """
    named = text.strip()
    for engine, pattern in (("step_functions", _STATE_MACHINE), ("lambda", _FUNCTION)):
        if found := pattern.fullmatch(named):
            return Target(
                engine=engine,
                named=named,
                name=found["name"],
                qualifier=found["qualifier"] or "",
                region=found["region"] or region,
                account=found["account"] or "",
                partition=found["partition"] or "",
            )
    return None


def target_of(rule: Rule, *, region: str = "") -> Target | None:
    """What the rule names on AWS; None for a rule that names a job, or something that can not be started."""
    if rule.job is not None:
        return None
    target = parse_target(rule.function or rule.state_machine_arn or "", region=rule.region or region)
    expected = "lambda" if rule.function is not None else "step_functions"
    return target if target is not None and target.engine == expected else None


def checked(rule: Rule, jobs: Collection[str], *, arns: Sequence[str], region: str = "") -> Rule:
    """The rule as it may be kept: nothing in it is malformed, and what it names exists, or is allowed to be started.

    Raises:
        Invalid: what is wrong, by the field's name. Forbidden: no pattern of `arns` covers the target.
    """
    value = _checked_value(rule.kind, rule.value.strip())
    named = [one for one in (rule.job, rule.function, rule.state_machine_arn) if one is not None]
    if len(named) != 1:
        raise Invalid(f"expected exactly one of job, lambda and state_machine_arn, found {len(named)}")
    if rule.region and rule.function is None:
        raise Invalid("region goes with lambda only")
    if rule.job is not None:
        if rule.job not in jobs:
            raise Invalid(f"job: there is no job {str(rule.job)!r}; see `headgate jobs list`")
        return replace(rule, value=value)
    target = target_of(rule, region=region)
    if target is None and rule.function is not None:
        raise Invalid(f"lambda: expected the name or the ARN of a Lambda function, found {rule.function[:80]!r}")
    if target is None:
        raise Invalid("state_machine_arn: expected an ARN such as arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")
    if not allowed(target, arns):
        raise Forbidden(f"{target.words} of that name may not be started here; datahub.allow.arns says what may")
    return replace(
        rule,
        value=value,
        function=target.named if rule.function is not None else None,
        state_machine_arn=target.named if rule.function is None else None,
    )


def _checked_value(kind: RuleKind, value: str) -> str:
    """What a rule covers. Raises Invalid."""
    if len(value) > LONGEST:
        raise Invalid(f"{kind.value}: {len(value)} characters; at most {LONGEST} can be meant")
    match kind:
        case RuleKind.PROPERTY:
            raise Invalid("a DataJob's property is written in DataHub, not as a rule")
        case RuleKind.URN:
            parse_dataset(value)
        case RuleKind.TAG:
            if not value.removeprefix("urn:li:tag:") or not value.startswith("urn:li:tag:"):
                raise Invalid(f"tag: expected a tag's URN such as urn:li:tag:layer.raw, found {value[:80]!r}")
        case RuleKind.PREFIX:
            if not value or value.startswith("urn:"):
                raise Invalid(f"prefix: expected the beginning of a dataset's name, found {value[:80]!r}")
        case RuleKind.DEFAULT:
            return ""
    return value


def implicit_job(target: Target) -> Job:
    """The job that starts it. One target has one name, whatever names it: `lambda:NAME@REGION.ACCOUNT`.

    It is no declared job: whoever wants another policy for it declares a job of that name in headgate.yaml.
    """
    kind = "lambda" if target.engine == "lambda" else "state-machine"
    qualified = f"{target.name}:{target.qualifier}" if target.qualifier else target.name
    where = ".".join(part for part in (target.region, target.account) if part)
    key = "function" if target.engine == "lambda" else "state_machine_arn"
    return Job(
        name=JobName(f"{kind}:{qualified}{where and f'@{where}'}"),
        engine=target.engine,
        target={key: target.named, **({"region": target.region} if target.region else {})},
        max_concurrent_runs=LIMIT,
        description="Made when a dataset's rule or DataJob first named its target.",
        origin=Origin.API,
    )


#: What the names of jobs begin with that are made of the recipes their runs are given.
INGESTION: Final = "ingestion:"
#: The argument that holds such a run's recipe: JSON text, its `${…}` not put in.
RECIPE: Final = "--recipe_json"
LONGEST_VALUE: Final = 65_536  #: characters of an argument
_LONGEST_RECIPE: Final = 1 << 20


def longest(argument: str) -> int:
    """How many characters the value of an argument may have; a recipe that a run brings may have more than others."""
    return _LONGEST_RECIPE if argument == RECIPE else LONGEST_VALUE


def implicit_ingestion(name: str, *, at_most: int = 1) -> Job:
    """The job `ingestion:NAME`, of the engine `recipe` and without a recipe of its own: each run brings one.

    Hand it to `Gate.ask` or `Gate.start` as `implicit`, with the arguments

    * `--recipe_json`: the recipe as JSON text, its `${…}` as they are (needed);
    * `--version`: of acryl-datahub: a number, a wheel's URL, or one of bundled, native and latest, which mean the
      installed one;
    * `--task`: `TEST_CONNECTION` only tries the source's connection; anything else ingests;
    * `--debug_mode`: `true` for DataHub's debug log;
    * `--extra_env_vars` (a JSON object), `--extra_pip_requirements` and `--extra_pip_plugins` (JSON lists), as in
      DataHub's execution requests.

    Other arguments are kept with the run and mean nothing to the engine. A job that is declared with a recipe takes
    none of these. Two runs of one source at once would write over each other, so one is the limit (`at_most`).
    """
    return Job(
        name=JobName(f"{INGESTION}{name}"[:255]),
        engine="recipe",
        target={},
        max_concurrent_runs=at_most,
        description="Made when a run of it was first asked for; each run brings its recipe.",
        origin=Origin.API,
    )


def implied(job: str, arguments: Mapping[str, str]) -> Job | None:
    """The job that a name and the arguments of a run make; None: it has to be there already."""
    if job.startswith(INGESTION) and len(job) > len(INGESTION) and RECIPE in arguments:
        return implicit_ingestion(job.removeprefix(INGESTION))
    return None


def allowed(target: Target, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns covers the target's ARN; without any pattern everything is allowed.

    Patterns are compared part by part, so that `*` in one part never reaches into the next; a `*` at the end covers
    all that follows. A bare name has no account: a pattern that names one does not cover it.
    """
    return not patterns or any(_covers(pattern.split(":"), target.arn.split(":")) for pattern in patterns)


def _covers(pattern: Sequence[str], arn: Sequence[str]) -> bool:
    if len(pattern) > len(arn) or (len(pattern) < len(arn) and pattern[-1] != "*"):
        return False
    return all(_fits(one, part) for one, part in zip(pattern, arn, strict=False))


def _fits(pattern: str, part: str) -> bool:
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), part, re.DOTALL) is not None
