"""This file is where a dataset finds what refreshes it: by URN, tag, name prefix or default, most precise first."""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from headgate.errors import Invalid
from headgate.model import JobName

_DATASET: Final = "urn:li:dataset:"
_PLATFORM: Final = "urn:li:dataPlatform:"
_SHAPE: Final = "urn:li:dataset:(urn:li:dataPlatform:PLATFORM,NAME,ENVIRONMENT)"
_DATA_JOB: Final = "urn:li:dataJob:"
_JOB_SHAPE: Final = "urn:li:dataJob:(urn:li:dataFlow:(ORCHESTRATOR,FLOW,CLUSTER),JOB)"
LONGEST: Final = 4_096  #: characters of a URN; DataHub keeps none that is nearly as long
_BOUNDARY: Final = "./:"  #: what stands between the parts of a dataset's name, on one platform or another
_QUALIFIED: Final = re.compile(r"([a-z][a-z0-9_-]*):(?!//)(.+)", re.DOTALL)


class RuleKind(StrEnum):
    """What a rule goes by, most precise first. PROPERTY is no one's to write: it is what a DataJob's property says."""

    PROPERTY = "property"
    URN = "urn"
    TAG = "tag"
    PREFIX = "prefix"
    DEFAULT = "default"


class RuleSource(IntEnum):
    """Who gave the rule; among equally precise ones the first of these wins."""

    DATAHUB = -1
    ENVIRONMENT = 0
    ENVIRONMENT_FILE = 1
    CONFIGURATION = 2
    LEDGER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Datasets that `value` covers are refreshed by exactly one of `job`, `function` and `state_machine_arn`."""

    kind: RuleKind
    value: str  #: a dataset's URN, a tag's URN, `[platform:]name`, "" for the default, the DataJob's URN
    job: JobName | None = None
    function: str | None = None  #: `lambda:` in the file; the name or ARN of a Lambda function
    state_machine_arn: str | None = None
    region: str = ""  #: of a function that is given by its bare name; "" is the region of all of them
    place: str = ""  #: headgate.yaml:14, or the environment variable
    source: RuleSource = RuleSource.CONFIGURATION

    @property
    def target(self) -> str:
        """What it starts, in words."""
        if self.job is not None:
            return f"job {self.job}"
        return f"Lambda {self.function}" if self.function is not None else f"state machine {self.state_machine_arn}"

    def __str__(self) -> str:
        what = self.kind.value if self.kind is RuleKind.DEFAULT else f"{self.kind.value} {self.value}"
        return f"{what} ({self.place})" if self.place else what


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The parts of a dataset's URN, percent-decoded."""

    platform: str
    name: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Which rule wins for a dataset, and why every other one does not. `message` says it in a sentence or two."""

    winner: Rule | None
    losers: Sequence[tuple[Rule, str]]
    message: str


@lru_cache(maxsize=16_384)  # the same rules are compared at every click
def parse_dataset(urn: str) -> Dataset:
    """Take a dataset's URN apart. Commas and parentheses in a name are percent-encoded, or parentheses come in pairs.

    Raises:
        Invalid: it is no dataset URN; the message says which part is wrong.
    """
    if len(urn) > LONGEST:
        raise Invalid(f"{urn[:80]}… has {len(urn)} characters; a URN has at most {LONGEST}")
    if not urn.startswith(_DATASET):
        raise Invalid(f"{urn!r} is not a dataset's URN; expected {_SHAPE}")
    key = urn.removeprefix(_DATASET)
    if not (key.startswith("(") and key.endswith(")")):
        raise Invalid(f"{urn!r}: what follows {_DATASET} must stand in parentheses, as in {_SHAPE}")
    parts = _split(key[1:-1], urn)
    if len(parts) != 3:
        advice = "; write a comma of the name as %2C" if len(parts) > 3 else ""
        raise Invalid(f"{urn!r} has {len(parts)} parts in its parentheses, expected 3 as in {_SHAPE}{advice}")
    platform, name, environment = parts
    if not platform.startswith(_PLATFORM) or platform == _PLATFORM:
        raise Invalid(f"{urn!r}: its first part must be a platform's URN ({_PLATFORM}athena), found {platform!r}")
    if not name.strip():
        raise Invalid(f"{urn!r}: its second part, the dataset's name, is empty")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", environment):
        raise Invalid(f"{urn!r}: its third part must be an environment such as PROD, found {environment!r}")
    return Dataset(platform=unquote(platform.removeprefix(_PLATFORM)), name=unquote(name), environment=environment)


def check_data_job(urn: str) -> None:
    """Raises Invalid where it is no DataJob's URN; the message says what is wrong."""
    if len(urn) > LONGEST:
        raise Invalid(f"{urn[:80]}… has {len(urn)} characters; a URN has at most {LONGEST}")
    key = urn.removeprefix(_DATA_JOB)
    if key == urn or not (key.startswith("(") and key.endswith(")")):
        raise Invalid(f"{urn!r} is not a DataJob's URN; expected {_JOB_SHAPE}")
    parts = _split(key[1:-1], urn)
    flow = parts[0].removeprefix("urn:li:dataFlow:")
    inner = _split(flow[1:-1], urn) if flow.startswith("(") and flow.endswith(")") else []
    if len(parts) != 2 or len(inner) != 3 or flow == parts[0] or not all(one.strip() for one in (*parts, *inner)):
        raise Invalid(f"{urn!r} is not a DataJob's URN; expected {_JOB_SHAPE}")


def _split(key: str, urn: str) -> list[str]:
    """Split at the commas that are inside no further parentheses."""
    parts, depth, start = list[str](), 0, 0
    for at, character in enumerate(key):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == "," and depth == 0:
            parts.append(key[start:at])
            start = at + 1
    if depth != 0:
        raise Invalid(f"{urn!r}: its parentheses do not pair; write those of the name as %28 and %29")
    return [*parts, key[start:]]


def explain(
    urn: str,
    rules: Sequence[Rule],
    *,
    tags: Sequence[str] | None,
    strict: bool = False,
    untagged: str = "no DataHub is configured",
) -> Explanation:
    """Find the rule that says what refreshes a dataset. Nothing is started.

    The most precise rule wins: property, urn, tag, longest prefix, default. Among equally precise ones the source
    decides (environment, environment file, headgate.yaml, ledger), then the order in which they are given.

    Args:
        urn: the dataset's.
        rules: from every source.
        tags: URNs of the dataset's tags; None when they are not known.
        strict: leave the default rules out.
        untagged: why the tags are not known, where they are not.

    Raises:
        Invalid: `urn` is no dataset's URN.
    """
    dataset = parse_dataset(urn)
    matching: list[tuple[tuple[int, ...], int, Rule]] = []
    reasons: dict[int, str] = {}
    for index, rule in enumerate(rules):
        reason = _why_not(rule, dataset, tags, strict=strict, untagged=untagged)
        if reason is None:
            matching.append((precision(rule), index, rule))
        else:
            reasons[index] = reason
    matching.sort(key=lambda match: match[:2])
    if not matching:
        losers = [(rule, reasons[index]) for index, rule in enumerate(rules)]
        return Explanation(winner=None, losers=losers, message=_nothing(urn, rules, tags, strict, untagged))
    (_, first, winner), *others = matching
    reasons.update({index: beaten(rule, winner) for _, index, rule in others})
    losers = [(rule, reasons[index]) for index, rule in enumerate(rules) if index != first]
    return Explanation(winner=winner, losers=losers, message=f"{urn} is refreshed by {winner.target}, by {winner}")


def _why_not(rule: Rule, dataset: Dataset, tags: Sequence[str] | None, *, strict: bool, untagged: str) -> str | None:
    """Why the rule does not cover the dataset; None when it does."""
    match rule.kind:
        case RuleKind.PROPERTY:
            return None  # it was looked up for this very dataset
        case RuleKind.URN:
            return _other_dataset(rule.value, dataset)
        case RuleKind.TAG if tags is None:
            return f"the dataset's tags are not known, because {untagged}"
        case RuleKind.TAG:
            known = {unquote(tag) for tag in tags or ()}
            return None if unquote(rule.value) in known else f"the dataset does not have the tag {rule.value}"
        case RuleKind.PREFIX:
            return _other_prefix(rule.value, dataset)
        case RuleKind.DEFAULT:
            return "strict is on, so there is no default" if strict else None


def _other_dataset(value: str, dataset: Dataset) -> str | None:
    try:
        meant = parse_dataset(value)
    except Invalid as error:
        return f"the rule is wrong: {error}"
    for part in ("name", "platform", "environment"):
        if getattr(meant, part) != getattr(dataset, part):
            return f"it is for {part} {getattr(meant, part)!r}, not {getattr(dataset, part)!r}"
    return None


def split_prefix(value: str) -> tuple[str | None, str]:
    """`athena:Catalog.db` is a platform and a name; without a platform (`Catalog.db`, `s3://x`) it is for any."""
    qualified = _QUALIFIED.fullmatch(value)
    return (qualified[1], qualified[2]) if qualified else (None, value)


def _other_prefix(value: str, dataset: Dataset) -> str | None:
    platform, name = split_prefix(value)
    if platform is not None and platform != dataset.platform:
        return f"it is for platform {platform!r}, not {dataset.platform!r}"
    if not dataset.name.startswith(name):
        return f"the name {dataset.name!r} does not begin with {name!r}"
    rest = dataset.name[len(name) :]
    if not rest or name[-1] in _BOUNDARY or rest[0] in _BOUNDARY:
        return None
    return f"{name!r} ends inside a part of the name {dataset.name!r}, not at its boundary"


def precision(rule: Rule) -> tuple[int, ...]:
    """What rules are sorted by: the smaller wins."""
    platform, name = split_prefix(rule.value) if rule.kind is RuleKind.PREFIX else (None, "")
    return (list(RuleKind).index(rule.kind), -len(name), platform is None, rule.source)


def beaten(rule: Rule, winner: Rule) -> str:
    """Why a rule that covers the dataset too does not win."""
    if rule.kind is not winner.kind:
        return f"it covers the dataset too, but a {winner.kind.value} rule is more precise"
    if precision(rule)[:3] != precision(winner)[:3]:
        return f"it covers the dataset too, but the prefix {winner.value!r} is longer or names the platform"
    if rule.source is not winner.source:
        return f"it is as precise, but {_words(winner.source)} wins over {_words(rule.source)}"
    return f"it is as precise, but {winner} stands before it"


def _words(source: RuleSource) -> str:
    match source:
        case RuleSource.DATAHUB:
            return "DataHub"
        case RuleSource.ENVIRONMENT:
            return "the environment"
        case RuleSource.ENVIRONMENT_FILE:
            return "the environment's mapping file"
        case RuleSource.CONFIGURATION:
            return "headgate.yaml"
        case RuleSource.LEDGER:
            return "the ledger"


def _nothing(urn: str, rules: Sequence[Rule], tags: Sequence[str] | None, strict: bool, untagged: str) -> str:
    message = f"no mapping: no rule says what refreshes {urn}"
    if strict and any(rule.kind is RuleKind.DEFAULT for rule in rules):
        message += " (there is a default rule, but strict is on)"
    if tags is None and any(rule.kind is RuleKind.TAG for rule in rules):
        message += f" (rules by tag could not be tried: {untagged})"
    if near := _near(urn, {rule.value for rule in rules if rule.kind is RuleKind.URN}):
        return f"{message}; there is one for {' and for '.join(near)}: is it one of these you mean?"
    return f"{message}; add one under datasets: in headgate.yaml (by urn, tag, prefix or default)"


def _near(urn: str, known: set[str]) -> list[str]:
    """The URNs that could be meant, the nearest first."""

    def alike(one: str) -> int:
        return _shared(one, urn) + _shared(one[::-1], urn[::-1])

    # Comparing well is slow, so only those that begin and end most alike are compared well.
    return difflib.get_close_matches(urn, heapq.nlargest(20, sorted(known), key=alike), n=3, cutoff=0.85)


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
