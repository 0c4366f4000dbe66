"""This file is where it is tested what may be named on AWS, which job that is, and which ARNs an allow-list covers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Forbidden, Invalid
from headgate.flow import targets
from headgate.flow.resolve import LONGEST, Rule, RuleKind, RuleSource
from headgate.flow.targets import allowed, checked, implicit_job, parse_target, target_of
from headgate.model import JobName, Origin

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
FUNCTION = "arn:aws:lambda:eu-west-1:210987654321:function:polygon-lambda"
DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.t,PROD)"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (MACHINE, ("step_functions", "earnings-ingest", "", "us-east-1", "123456789012")),
        (f" {MACHINE}\n", ("step_functions", "earnings-ingest", "", "us-east-1", "123456789012")),
        (f"{MACHINE}:3", ("step_functions", "earnings-ingest", "3", "us-east-1", "123456789012")),
        (f"{MACHINE}:live", ("step_functions", "earnings-ingest", "live", "us-east-1", "123456789012")),
        (
            MACHINE.replace("aws:", "aws-us-gov:"),
            ("step_functions", "earnings-ingest", "", "us-east-1", "123456789012"),
        ),
        (FUNCTION, ("lambda", "polygon-lambda", "", "eu-west-1", "210987654321")),
        (f"{FUNCTION}:$LATEST", ("lambda", "polygon-lambda", "$LATEST", "eu-west-1", "210987654321")),
        ("polygon-lambda", ("lambda", "polygon-lambda", "", "ours", "")),
        ("polygon_lambda:live", ("lambda", "polygon_lambda", "live", "ours", "")),
    ],
)
def test_what_is_named_is_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    """An ARN says its own region; a bare name is in the region of all of them."""
    target = parse_target(text, region="ours")

    assert target is not None
    assert (target.engine, target.name, target.qualifier, target.region, target.account) == parts
    assert target.named == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "arn:aws:states",
        "arn:aws:states:us-east-1:12:stateMachine:x",
        "arn:aws:states:us-east-1:123456789012:execution:x:y",
        "arn:aws:states:us-east-1:123456789012:stateMachine:",
        "arn:aws:states:us-east-1:123456789012:stateMachine:x*",
        "arn:aws:states:us-east-1:123456789012:stateMachine:x:y:z",
        "arn:aws:s3:::bucket",
        "arn:evil:states:us-east-1:123456789012:stateMachine:x",
        "x" * 65,
        "name;rm",
        "https://states.amazonaws.com",
    ],
)
def test_what_can_not_be_started_is_nothing(text: str) -> None:
    """Neither half an ARN nor another service's nor an execution's is a target."""
    assert parse_target(text) is None


@given(st.text(max_size=200))
def test_any_text_is_a_target_or_none(text: str) -> None:
    """No text breaks the reading of it, and a target's ARN has the parts an ARN has."""
    target = parse_target(text)

    assert target is None or target.arn.count(":") in (6, 7)


def test_one_target_has_one_job_and_two_have_two() -> None:
    """Name, version, region and account each make another job; the same ARN, however given, is the same job."""
    texts = [
        "f", "f:live", "f:2", "g", FUNCTION, f"{FUNCTION}:live", FUNCTION.replace("eu-west-1", "eu-west-2"),
        FUNCTION.replace("210987654321", "310987654321"), MACHINE, f"{MACHINE}:3",
        MACHINE.replace("us-east-1", "us-east-2"), MACHINE.replace("1234", "4321"),
    ]  # fmt: skip
    targets = [parse_target(text, region=region) for text, region in itertools.product(texts, ["us-east-1", "eu-1"])]
    jobs = {(job := implicit_job(target)).name: job for target in targets if target is not None}

    assert len(jobs) == 4 * 2 + 8, "bare names are two each, ARNs say their region"
    assert len({str(sorted(job.target.items())) for job in jobs.values()}) == len(jobs)


def test_the_job_of_a_target_starts_that_target() -> None:
    """Its engine and keys are those a declared job would have; it is made through an API, so `plan` leaves it alone."""
    machine, function, bare = (parse_target(text, region="us-east-2") for text in (MACHINE, FUNCTION, "f"))
    assert machine is not None
    assert function is not None
    assert bare is not None

    assert implicit_job(machine).name == "state-machine:earnings-ingest@us-east-1.123456789012"
    assert implicit_job(machine).engine == "step_functions"
    assert implicit_job(machine).target == {"state_machine_arn": MACHINE, "region": "us-east-1"}
    assert implicit_job(function).target == {"function": FUNCTION, "region": "eu-west-1"}
    assert implicit_job(bare).name == "lambda:f@us-east-2"
    assert implicit_job(bare).engine == "lambda"
    assert implicit_job(bare).target == {"function": "f", "region": "us-east-2"}
    assert implicit_job(bare).origin is Origin.API


def test_a_rules_own_region_wins() -> None:
    """`region:` of a rule counts before the region of all functions, and an ARN's own before both."""
    rule = Rule(kind=RuleKind.DEFAULT, value="", function="f", region="eu-west-3")
    target = target_of(rule, region="us-east-1")
    assert target is not None
    assert target.region == "eu-west-3"
    target = target_of(Rule(kind=RuleKind.DEFAULT, value="", function=FUNCTION, region="eu-west-3"))
    assert target is not None
    assert target.region == "eu-west-1"


@pytest.mark.parametrize(
    ("pattern", "text", "covers"),
    [
        (MACHINE, MACHINE, True),
        (MACHINE, f"{MACHINE}:3", False),
        (f"{MACHINE}:*", f"{MACHINE}:3", True),
        ("*", MACHINE, True),
        ("arn:aws:states:*", MACHINE, True),
        ("arn:aws:states:*", FUNCTION, False),
        ("arn:aws:states:us-east-1:123456789012:stateMachine:*", MACHINE, True),
        ("arn:aws:states:*:123456789012:stateMachine:earnings-*", MACHINE, True),
        ("arn:aws:states:*:123456789012:stateMachine:earnings", MACHINE, False),
        ("arn:aws:states:*:999999999999:stateMachine:*", MACHINE, False),
        ("arn:aws:states:us-east-1:*:stateMachine:other-*", MACHINE, False),
        ("arn:aws:states:us-*-1:*:stateMachine:*ingest", MACHINE, True),
        ("arn:aws:STATES:*", MACHINE, False),
        ("arn:aws:states:us-east-1:123456789012:stateMachine:earnings.ingest", MACHINE, False),
        ("arn:aws:lambda:us-east-1:*:function:poly*", "polygon-lambda", True),
        ("arn:aws:lambda:eu-west-1:*:function:poly*", "polygon-lambda", False),
        ("arn:aws:lambda:us-east-1:210987654321:function:polygon-lambda", "polygon-lambda", False),
        ("polygon-lambda", "polygon-lambda", False),
        ("", MACHINE, False),
    ],
)
def test_patterns_cover_part_by_part(pattern: str, text: str, covers: bool) -> None:
    """`*` stands for anything in one part of an ARN, at the end for all that follows; a bare name has no account."""
    target = parse_target(text, region="us-east-1")
    assert target is not None

    assert allowed(target, [pattern]) is covers
    assert allowed(target, ["arn:aws:nothing", pattern]) is covers
    assert allowed(target, [])


def kept(kind: RuleKind = RuleKind.URN, value: str = DATASET, **target: str) -> Rule:
    about = {"function": None, "state_machine_arn": None, "job": None, **target}
    return Rule(
        kind=kind,
        value=value,
        job=JobName(about["job"]) if about["job"] else None,
        function=about["function"],
        state_machine_arn=about["state_machine_arn"],
        region=target.get("region", ""),
        source=RuleSource.LEDGER,
    )


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (kept(), "exactly one of job, lambda and state_machine_arn, found 0"),
        (kept(function="f", state_machine_arn=MACHINE), "found 2"),
        (kept(job="nowhere"), "job: there is no job 'nowhere'"),
        (kept(function="a b"), "lambda: expected the name or the ARN of a Lambda function, found 'a b'"),
        (kept(function=MACHINE), "lambda: expected"),
        (kept(state_machine_arn=FUNCTION), "state_machine_arn: expected an ARN"),
        (kept(job="j", region="us-east-1"), "region goes with lambda only"),
        (kept(value="urn:li:dataset:x", job="j"), "must stand in parentheses"),
        (kept(value="", job="j"), "is not a dataset's URN"),
        (kept(RuleKind.TAG, "layer.raw", job="j"), "tag: expected a tag's URN"),
        (kept(RuleKind.TAG, "urn:li:tag:", job="j"), "tag: expected a tag's URN"),
        (kept(RuleKind.PREFIX, " ", job="j"), "prefix: expected the beginning"),
        (kept(RuleKind.PREFIX, DATASET, job="j"), "prefix: expected the beginning"),
        (kept(RuleKind.PREFIX, "x" * (LONGEST + 1), job="j"), "at most"),
        (kept(RuleKind.PROPERTY, DATASET, job="j"), "is written in DataHub"),
    ],
)
def test_a_rule_that_is_wrong_is_not_kept(rule: Rule, problem: str) -> None:
    """The field that is wrong is named."""
    with pytest.raises(Invalid, match=problem):
        checked(rule, {"j"}, arns=())


def test_a_rule_is_kept_as_it_was_meant() -> None:
    """Blanks around values do not count, and a default covers nothing in particular."""
    rule = checked(kept(RuleKind.PREFIX, " athena:db ", function=" f "), {"j"}, arns=())
    assert (rule.value, rule.function) == ("athena:db", "f")
    assert checked(kept(RuleKind.DEFAULT, "whatever", job="j"), {"j"}, arns=()).value == ""


def test_a_target_that_is_not_allowed_is_not_kept() -> None:
    """The refusal names neither the ARN nor the account; a job is allowed whatever the list says."""
    with pytest.raises(Forbidden) as raised:
        checked(kept(state_machine_arn=MACHINE), (), arns=["arn:aws:states:*:999999999999:*"])
    assert "datahub.allow.arns" in str(raised.value)
    assert "earnings" not in str(raised.value)
    assert "123456789012" not in str(raised.value)
    assert checked(kept(job="j"), {"j"}, arns=["arn:aws:states:*:999999999999:*"]).job == "j"


def test_a_run_that_brings_a_recipe_makes_its_job() -> None:
    """`ingestion:NAME` with a recipe is a job of the engine `recipe`, one run at a time; without one it is none."""
    job = targets.implied("ingestion:urn-of-source", {targets.RECIPE: "{}"})

    assert job is not None
    assert (job.name, job.engine, job.target, job.max_concurrent_runs) == ("ingestion:urn-of-source", "recipe", {}, 1)
    assert targets.implied("ingestion:urn-of-source", {}) is None
    assert targets.implied("ingestion:", {targets.RECIPE: "{}"}) is None
    assert targets.implied("other", {targets.RECIPE: "{}"}) is None
    assert len(targets.implicit_ingestion("x" * 400).name) == 255
