"""This file is where the rules that find a dataset's job are read: `datasets:`, and the environment's mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from headgate.errors import Invalid
from headgate.flow.resolve import Rule, RuleKind, RuleSource, parse_dataset
from headgate.flow.targets import Target, parse_target
from headgate.model import Job, JobName
from headgate.settings.engines import STATE_MACHINE
from headgate.settings.kinds import TEXT, Kind, pattern
from headgate.settings.nodes import Node, Place, Table, Text, read
from headgate.settings.reading import Key, Named, Part, Report, Section, found
from headgate.settings.triggers import known_job


def _function(text: str) -> str:
    if _parsed(text).engine != "lambda":
        raise ValueError(text)
    return text.strip()


def _state_machine(text: str) -> str:
    if _parsed(text).engine != "step_functions":
        raise ValueError(text)
    return text.strip()


def _parsed(text: str) -> Target:
    target = parse_target(text)
    if target is None:
        raise ValueError(text)
    return target


DATASETS: Final = Part(
    name="datasets",
    expected="a list of rules",
    description="Which job refreshes a dataset: first what its DataJob's property names, then the most precise rule"
    " (urn, tag, longest prefix, default); among equals the inline variable's, its file's, one of these, one kept in"
    " the ledger.",
)
URN: Final = Key(name="urn", kind=TEXT, default="", description="A rule for the dataset with this URN.")
TAG: Final = Key(
    name="tag",
    kind=pattern("a tag's URN such as urn:li:tag:layer.raw", r"urn:li:tag:.+"),
    default="",
    description="A rule for the datasets that have this tag in DataHub.",
)
PREFIX: Final = Key(
    name="prefix",
    kind=TEXT,
    default="",
    description="A rule for the datasets whose name begins with this and goes on at a boundary, as in"
    " `athena:AwsDataCatalog.financial_data`; the platform may be left out.",
)
DEFAULT: Final = Key(
    name="default",
    kind=pattern("true", r"(?i)true"),
    default="",
    description="A rule for every dataset no other rule covers: `default: true`.",
)
JOB: Final = Key(name="job", kind=TEXT, default="", description="The declared job the rule starts.")
FUNCTION: Final = Key(
    name="lambda",
    kind=Kind("the name or the ARN of a Lambda function", _function),
    default="",
    description="The Lambda function the rule starts, as a job that is made when it is first started.",
)
ARN: Final = Key(
    name="state_machine_arn",
    kind=Kind(STATE_MACHINE.expected, _state_machine),
    default="",
    description="The state machine the rule starts, as a job that is made when it is first started.",
)
REGION: Final = Key(
    name="region",
    kind=pattern("an AWS region such as us-east-1", r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}"),
    default="",
    shown="`aws.lambda_region`",
    description="The AWS region of a Lambda function that is given by its bare name.",
)
WHICH: Final = (URN, TAG, PREFIX, DEFAULT)
TARGET: Final = (JOB, FUNCTION, ARN)
RULE: Final[Sequence[Named]] = (*WHICH, *TARGET, REGION)

INLINE: Final = "DATAHUB_INGESTION_LAMBDA_MAPPING"
FILE: Final = "DATAHUB_INGESTION_LAMBDA_MAPPING_FILE"
FALLBACK: Final = "DATAHUB_INGESTION_LAMBDA_DEFAULT"


def read_rules(top: Section, jobs: Mapping[JobName, Job]) -> list[Rule]:
    """Read `datasets:`."""
    rules: list[Rule] = []
    first: dict[tuple[RuleKind, str], Place] = {}
    for index, node in enumerate(top.items(DATASETS)):
        name = f"datasets[{index}]"
        if not isinstance(node, Table):
            top.report.unexpected(node, name, "a mapping")
            continue
        rule = _rule(Section(node, name, top.report), jobs)
        if rule is None:
            continue
        before = first.setdefault((rule.kind, rule.value), node.place)
        if before is not node.place:
            top.report.problem(
                node.place, f"{name}: there is a rule for the same {rule.kind.value} already, at {before}"
            )
        rules.append(rule)
    return rules


def _rule(section: Section, jobs: Mapping[JobName, Job]) -> Rule | None:
    section.only(RULE)
    which = [key for key in WHICH if section.has(key)]
    target = [key for key in TARGET if section.has(key)]
    for keys, given in ((WHICH, which), (TARGET, target)):
        if len(given) != 1:
            names = ", ".join(key.name for key in keys)
            has = " and ".join(key.name for key in given) or "none"
            section.report.problem(section.place, f"{section.name}: expected exactly one of {names}, found {has}")
    if len(which) != 1 or len(target) != 1:
        return None
    value, started = section.required(which[0]), section.required(target[0])
    if value is None or started is None:
        return None
    kind = RuleKind(which[0].name)
    if kind is RuleKind.URN and not _is_dataset(value, section.place_of(URN), section.report):
        return None
    return Rule(
        kind=kind,
        value="" if kind is RuleKind.DEFAULT else value,
        job=known_job(section, started, section.place_of(JOB), jobs) if target[0] is JOB else None,
        function=started if target[0] is FUNCTION else None,
        state_machine_arn=started if target[0] is ARN else None,
        region=_region(section, target[0]),
        place=f"{section.place.file}:{section.place.line}",
        source=RuleSource.CONFIGURATION,
    )


def _region(section: Section, target: Key[str]) -> str:
    if not section.has(REGION):
        return ""
    if target is not FUNCTION:
        section.report.problem(section.place_of(REGION), f"{section.name}: region goes with lambda only")
    return section.get(REGION)


def _is_dataset(urn: str, place: Place, report: Report) -> bool:
    try:
        parse_dataset(urn)
    except Invalid as error:
        report.problem(place, str(error))
        return False
    return True


def environment_rules(environ: Mapping[str, str], report: Report) -> list[Rule]:
    """The rules of the seeds' environment variables: a mapping inline, a mapping in a file, and a default.

    A mapping is YAML or JSON, of datasets' URNs (or tags' URNs, or prefixes) to Lambda functions; a state machine's
    ARN may stand in a function's place.
    """
    rules: list[Rule] = []
    if inline := environ.get(INLINE):
        rules.extend(mapping_rules(inline, INLINE, RuleSource.ENVIRONMENT, report))
        report.note(INLINE, len(rules), INLINE)
    if file := environ.get(FILE):
        text = read_text(Path(file), FILE, report)
        if text is not None:
            rules.extend(mapping_rules(text, file, RuleSource.ENVIRONMENT_FILE, report))
        report.note(FILE, file, FILE)
    if function := environ.get(FALLBACK):
        node = Text(Place(FALLBACK), function)
        rules += _rule_to(node, RuleKind.DEFAULT, "", node.place, given_by=RuleSource.ENVIRONMENT, report=report)
        report.note(FALLBACK, function, FALLBACK)
    return rules


def read_text(path: Path, named: str, report: Report) -> str | None:
    """The text of a file; None when it can not be read, which is noted as a problem of what names the file."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        report.problem(Place(named), f"the file {path} can not be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        report.problem(Place(str(path), line, column), "this is not UTF-8 text; save the file as UTF-8")
    return None


def mapping_rules(text: str, file: str, given_by: RuleSource, report: Report) -> list[Rule]:
    """The rules of one mapping; what is wrong is noted with its place, for which the text is called `file`."""
    node = read(_without_tabs(text), file, environ=None, problems=report.problems)
    if node is None:
        return []
    if not isinstance(node, Table):
        report.problem(
            node.place, f"expected a mapping of dataset URNs to names of Lambda functions, found {found(node)}"
        )
        return []
    return [
        rule for name, value in node.entries.items() for rule in _mapped(name, node.keys[name], value, given_by, report)
    ]


def _without_tabs(text: str) -> str:
    """JSON may be indented with tabs, YAML may not; in JSON no tab can stand anywhere else."""
    if "\t" not in text:
        return text
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.replace("\t", " ")


def _mapped(name: str, place: Place, value: Node, given_by: RuleSource, report: Report) -> list[Rule]:
    if name.startswith("urn:li:tag:"):
        kind = RuleKind.TAG
    elif name.startswith("urn:"):
        kind = RuleKind.URN
        if not _is_dataset(name, place, report):
            return []
    else:
        kind = RuleKind.PREFIX
        if not name.strip():
            report.problem(place, "expected a dataset's URN, a tag's URN or the beginning of a name, found nothing")
            return []
    return _rule_to(value, kind, name, place, given_by=given_by, report=report)


def _rule_to(
    value: Node, kind: RuleKind, name: str, place: Place, *, given_by: RuleSource, report: Report
) -> list[Rule]:
    """The rule that starts what the value names; none where that is nothing we can start."""
    target = parse_target(value.text) if isinstance(value, Text) and not value.null else None
    if target is None:
        report.problem(value.place, f"expected the name of a Lambda function, found {found(value)}")
        return []
    function = target.engine == "lambda"
    return [
        Rule(
            kind=kind,
            value=name,
            function=target.named if function else None,
            state_machine_arn=None if function else target.named,
            place=f"{place.file}:{place.line}" if place.line else place.file,
            source=given_by,
        )
    ]
