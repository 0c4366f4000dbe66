"""This file is where it is tested what a click starts: every source against every other, and DataHub's misbehaviour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fakes.datahub_port import DataHubInMemory

from headgate.errors import Forbidden, Invalid, Unavailable
from headgate.flow.resolution import Grounds, Resolution, resolve_dataset
from headgate.flow.resolve import Rule, RuleKind, RuleSource
from headgate.model import JobName
from headgate.ports import DatasetFacts

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
TAG = "urn:li:tag:layer.raw"
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),example_job)"
OTHER = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),other_job)"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"
FUNCTION = "arn:aws:lambda:eu-west-1:210987654321:function:polygon-lambda"
SECRETS = ("arn:", "123456789012", "210987654321", "earnings", "polygon", "us-east-1")


def rule(kind: RuleKind, value: str, source: RuleSource, **target: str) -> Rule:
    target = target or {"function": f"f-{source.name}-{kind}".lower()}
    return Rule(
        kind=kind,
        value=value,
        job=JobName(target["job"]) if "job" in target else None,
        function=target.get("function"),
        state_machine_arn=target.get("state_machine_arn"),
        place=f"{source.name}:{kind}",
        source=source,
    )


VALUES = {RuleKind.URN: URN, RuleKind.TAG: TAG, RuleKind.PREFIX: "athena:AwsDataCatalog", RuleKind.DEFAULT: ""}
GIVEN = [one for one in RuleSource if one is not RuleSource.DATAHUB]
#: Every rule there may be, the one that wins first: by precision, then by source.
LADDER = [rule(kind, value, source) for kind, value in VALUES.items() for source in GIVEN]


def known(arn: str | None = None) -> DataHubInMemory:
    """A DataHub that knows the dataset, its tag and the DataJob that makes it, which perhaps has an ARN."""
    return DataHubInMemory(
        datasets={URN: [TAG]}, jobs={JOB: [URN]}, properties={(JOB, PROPERTY): arn} if arn is not None else {}
    )


def grounds(rules: Sequence[Rule] = (), datahub: DataHubInMemory | None = None, **more: object) -> Grounds:
    made = Grounds(rules=rules, jobs={"declared"}, datahub=datahub, job_arn_property=PROPERTY, region="us-east-1")
    return replace(made, **more)


def both(urn: str, what: Grounds, *, job_urn: str | None = None) -> Resolution:
    """What a click starts; a person who asks why is told the same."""
    click = resolve_dataset(urn, what, job_urn=job_urn)
    asked = resolve_dataset(urn, what, job_urn=job_urn, thorough=True)
    assert (click.job, click.rule, click.words, click.message) == (asked.job, asked.rule, asked.words, asked.message)
    return click


@pytest.mark.parametrize("arn", [None, MACHINE], ids=["no property", "property"])
@pytest.mark.parametrize("strict", [False, True], ids=["", "strict"])
def test_every_source_against_every_other(arn: str | None, strict: bool) -> None:
    """The property first, then URN, tag, prefix, default, each by environment, file, headgate.yaml, ledger.

    From each rung of the ladder down, and each pair of rungs, in both orders.
    """
    below = [LADDER[at:] for at in range(len(LADDER) + 1)]
    pairs = [list(pair) for pair in itertools.permutations(LADDER, 2)]
    for rules in [*below, *(some[::-1] for some in below), *pairs]:
        found = both(URN, grounds(rules, known(arn), strict=strict))
        counting = [one for one in rules if not (strict and one.kind is RuleKind.DEFAULT)]
        wins = min(counting, key=LADDER.index, default=None)
        if arn is not None:
            assert found.rule is not None
            assert (found.rule.kind, found.rule.value, found.rule.state_machine_arn) == (RuleKind.PROPERTY, JOB, arn)
            assert found.job == "state-machine:earnings-ingest@us-east-1.123456789012"
        else:
            assert found.rule == wins
            assert found.job == (f"lambda:{wins.function}@us-east-1" if wins else None)
        assert len(found.losers) == len(rules) - (arn is None and wins is not None)
        assert all(reason for _, reason in found.losers)
        assert not any(secret in found.words for secret in SECRETS if found.job)


@pytest.mark.parametrize(
    ("target", "engine", "words"),
    [
        (
            {"state_machine_arn": MACHINE},
            "step_functions",
            "an AWS Step Functions state machine that its rule names",
        ),
        ({"function": FUNCTION}, "lambda", "an AWS Lambda function that its rule names"),
        ({"function": "polygon-lambda"}, "lambda", "an AWS Lambda function that its rule names"),
        ({"job": "declared"}, None, "the job declared"),
    ],
)
def test_a_rule_may_name_any_target(target: dict[str, str], engine: str | None, words: str) -> None:
    """A declared job is taken as it is; a function or a state machine is a job that is made with its first run."""
    found = both(URN, grounds([rule(RuleKind.URN, URN, RuleSource.CONFIGURATION, **target)], known()))

    assert found.words == words
    assert (found.implicit.engine if found.implicit else None) == engine
    assert found.job == (found.implicit.name if found.implicit else "declared")
    assert target.get("job", next(iter(target.values()))) in found.message, "an operator reads the target"


def test_a_property_may_name_a_function() -> None:
    """The ARN of a Lambda function starts that function."""
    found = both(URN, grounds(datahub=known(FUNCTION)))

    assert found.implicit is not None
    assert found.implicit.target == {"function": FUNCTION, "region": "eu-west-1"}


@pytest.mark.parametrize("value", ["", "earnings-ingest", "arn:aws:states:us-east-1:12:stateMachine:x", "a b", "${X}"])
def test_a_property_that_is_no_arn_is_said_and_the_rules_decide(value: str) -> None:
    """A bare name, half an ARN and rubbish are no target, and the rule below them is not hindered."""
    found = both(URN, grounds(LADDER[:1], known(value)))

    assert found.rule == LADDER[0]
    (broken, reason) = found.losers[0]
    assert (broken.kind, broken.value) == (RuleKind.PROPERTY, JOB)
    assert "not the ARN of a state machine" in reason
    assert any("is no ARN that can be started" in note for note in found.notes)


def test_a_property_with_several_values_is_said_and_the_rules_decide() -> None:
    """Metadata that is wrong is no fault of who clicks; an operator is told whose it is."""

    class Several(DataHubInMemory):
        def property_of(self, job: str, prop: str) -> str | None:
            raise Invalid(f"{prop} of {job} has 2 values; give it one")

    datahub = Several(datasets={URN: []}, jobs={JOB: [URN]})
    for named in (JOB, None):
        found = both(URN, grounds(LADDER[:1], datahub), job_urn=named)
        assert found.rule == LADDER[0]
        assert found.losers[0][1] == f"{PROPERTY} of {JOB} has 2 values; give it one"
        assert any("2 values; give it one; the rules decide" in note for note in found.notes)


def test_only_the_set_property_counts() -> None:
    """Another property of the DataJob is not read, and a click that names its job makes exactly one read."""
    datahub = known()
    datahub.properties[JOB, "urn:li:structuredProperty:other"] = MACHINE
    found = resolve_dataset(URN, grounds(LADDER[:1], datahub), job_urn=JOB)

    assert found.rule == LADDER[0]
    assert datahub.asked.count("property_of") == 1
    assert f"{JOB} does not have the property {PROPERTY}" in found.notes


def test_without_a_property_no_datajob_is_looked_up() -> None:
    """Neither for a click nor for one who asks why, who is told so."""
    datahub = known(MACHINE)
    found = both(URN, grounds(LADDER[:1], datahub, job_arn_property=""))

    assert found.rule == LADDER[0]
    assert {"producers", "produces", "property_of"}.isdisjoint(datahub.asked)
    assert any("DataJobs were not looked up" in note for note in found.notes)


def test_the_first_producer_with_an_arn_decides() -> None:
    """In DataHub's order; one without the property is passed over, a second one with it loses and is named."""
    datahub = known()
    third = JOB.replace("example_job", "third")
    datahub.jobs.update({OTHER: [URN], third: [URN]})
    datahub.properties = {(OTHER, PROPERTY): MACHINE, (third, PROPERTY): FUNCTION}
    click = resolve_dataset(URN, grounds(datahub=datahub))
    assert click.rule is not None
    assert click.rule.value == OTHER
    assert datahub.asked.count("property_of") == 2, "a click asks no further than it must"
    asked = resolve_dataset(URN, grounds(datahub=datahub), thorough=True)

    assert asked.rule == click.rule
    assert [(one.value, reason.startswith("it is as precise, but")) for one, reason in asked.losers] == [(third, True)]


def test_the_named_datajob_counts_and_no_other() -> None:
    """A click that names its DataJob is decided by that one's property, though another producer has one, too."""
    datahub = known(MACHINE)
    datahub.jobs[OTHER] = [URN]
    found = both(URN, grounds(LADDER[:1], datahub), job_urn=OTHER)
    assert found.rule == LADDER[0]
    assert both(URN, grounds(LADDER[:1], datahub), job_urn=JOB).rule != LADDER[0]


def test_a_datajob_that_does_not_produce_the_dataset_is_refused() -> None:
    """The confused deputy: nobody starts another dataset's state machine through this one."""
    datahub = known()
    datahub.jobs[OTHER] = ["urn:li:dataset:(urn:li:dataPlatform:athena,secret,PROD)"]
    datahub.properties[OTHER, PROPERTY] = MACHINE
    for thorough in (False, True):
        with pytest.raises(Forbidden, match="does not produce"):
            resolve_dataset(URN, grounds(LADDER, datahub), job_urn=OTHER, thorough=thorough)
    assert "property_of" not in datahub.asked, "its property is not even looked at"


def test_a_datajob_nobody_knows_leaves_it_to_the_rules() -> None:
    """As the seeds post it: the example's job is in no catalog, and the mapping decides."""
    found = both(URN, grounds(LADDER[:1], DataHubInMemory(datasets={URN: []})), job_urn=JOB)

    assert found.rule == LADDER[0]
    assert f"DataHub does not know {JOB}: the rules decide" in found.notes


@pytest.mark.parametrize(
    "urn",
    [
        "", "urn:li:foo", URN, "urn:li:dataJob:", "urn:li:dataJob:()", "urn:li:dataJob:(a,b)",
        "urn:li:dataJob:(urn:li:dataFlow:(airflow,f),j)", "urn:li:dataJob:(urn:li:dataFlow:(airflow,f,PROD),)",
        "urn:li:dataJob:(urn:li:dataFlow:(airflow,f,PROD),j", JOB.rstrip(")"), JOB.replace("example_job", "j" * 5000),
    ],
)  # fmt: skip
def test_a_malformed_datajob_is_invalid(urn: str) -> None:
    """Before anybody is asked."""
    datahub = known()
    with pytest.raises(Invalid):
        resolve_dataset(URN, grounds(LADDER, datahub), job_urn=urn)
    assert datahub.asked == []


def test_away_is_unavailable_to_a_click_and_a_note_to_who_asks() -> None:
    """Nothing is started on a guess; `explain` shows what the rules would say and that DataHub was not heard."""
    datahub = known(MACHINE)
    datahub.away = "DataHub did not answer within 5 s"
    with pytest.raises(Unavailable):
        resolve_dataset(URN, grounds(LADDER, datahub))
    found = resolve_dataset(URN, grounds(LADDER, datahub), thorough=True)

    assert found.rule == LADDER[0]
    assert any("a click is refused until it can: DataHub did not answer within 5 s" in note for note in found.notes)
    reasons = {reason for one, reason in found.losers if one.kind is RuleKind.TAG}
    assert reasons == {"the dataset's tags are not known, because DataHub can not be asked"}


def test_facts_that_are_known_are_not_asked_again() -> None:
    """A door that has looked the dataset up hands over what it saw."""
    datahub = known()
    found = resolve_dataset(URN, grounds(LADDER[4:], datahub), facts=DatasetFacts(urn=URN, exists=True, tags=[TAG]))
    assert found.rule == LADDER[4]
    assert "dataset" not in datahub.asked


@pytest.mark.parametrize("source", [RuleSource.DATAHUB, *GIVEN])
@pytest.mark.parametrize(("patterns", "covered"), [
    ((), True), (["arn:aws:states:*:123456789012:stateMachine:*"], True), (["arn:aws:states:*:999999999999:*"], False),
])  # fmt: skip
def test_what_many_may_edit_passes_the_allow_list(source: RuleSource, patterns: list[str], covered: bool) -> None:
    """ARNs of DataJobs and of rules in the ledger; what the environment and headgate.yaml say needs no leave."""
    if source is RuleSource.DATAHUB:
        what = grounds(LADDER, known(MACHINE), arns=patterns)
    else:
        what = grounds([rule(RuleKind.URN, URN, source, state_machine_arn=MACHINE)], known(), arns=patterns)
    found = both(URN, what)
    free = covered or source not in (RuleSource.DATAHUB, RuleSource.LEDGER)

    assert (found.job is not None) is free
    assert (found.refused is None) is free
    if not free:
        assert found.refused == found.words
        assert not any(secret in found.words for secret in SECRETS)
        assert MACHINE in found.message, "an operator is told which"


def test_two_tags_are_no_coin_toss() -> None:
    """The rule that stands first wins, whatever the order of the dataset's tags, and a note says that it is so."""
    other = "urn:li:tag:source.sip"
    rules = [rule(RuleKind.TAG, TAG, RuleSource.CONFIGURATION), rule(RuleKind.TAG, other, RuleSource.CONFIGURATION)]
    for tags in ([TAG, other], [other, TAG]):
        found = both(URN, grounds(rules, DataHubInMemory(datasets={URN: tags})))
        assert found.rule == rules[0]
        assert f"{TAG} and {other} say what refreshes it, too: the first of them decides" in found.notes
    found = both(URN, grounds(rules, DataHubInMemory(datasets={URN: [TAG]})))
    assert not any("the first of them" in note for note in found.notes)


def test_a_rule_for_a_job_that_is_gone_starts_nothing() -> None:
    """Rules in the ledger outlive jobs; no other rule takes their place behind one's back."""
    found = both(URN, grounds([rule(RuleKind.URN, URN, RuleSource.LEDGER, job="gone"), *LADDER[4:]], known()))

    assert (found.job, found.refused) == (None, None)
    assert "there is no job 'gone'" in found.message
    assert found.words == "the job that its rule names does not exist"


def test_a_broken_target_starts_nothing() -> None:
    """A rule of the ledger that an older version let in."""
    found = both(URN, grounds([rule(RuleKind.URN, URN, RuleSource.LEDGER, function="a b")], known()))

    assert found.job is None
    assert found.words == "what its rule names can not be started"


NEAR = [
    ("another environment", URN.replace("PROD", "DEV")),
    ("another case", URN.replace("AwsDataCatalog", "awsdatacatalog")),
    ("another platform", URN.replace("athena", "glue")),
    ("a typing mistake", URN.replace("stocks", "stoks")),
    ("a platform instance", URN.replace("AwsDataCatalog", "prod-instance.AwsDataCatalog")),
]


@pytest.mark.parametrize("urn", [urn for _, urn in NEAR], ids=[name for name, _ in NEAR])
def test_a_near_miss_is_told(urn: str) -> None:
    """To the one who clicks, too: a mapped URN that was nearly meant is named; nothing is started in its place."""
    rules = [rule(RuleKind.URN, URN, RuleSource.ENVIRONMENT)]
    found = both(urn, grounds(rules, DataHubInMemory(datasets={urn: []})))

    assert found.job is None
    assert f"there is one for {URN}" in found.words
    assert found.words.startswith("no mapping")


@pytest.mark.parametrize(("urn", "known_as"), [
    (URN.replace("PROD", "DEV"), URN), (URN.replace("us_stocks", "US_STOCKS").replace("AwsDataCatalog", "x"),
     URN.replace("AwsDataCatalog", "x")),
])  # fmt: skip
def test_the_catalogs_near_miss_is_told(urn: str, known_as: str) -> None:
    """A dataset DataHub does not know, which is there in another environment or case."""
    found = resolve_dataset(urn, grounds(LADDER, DataHubInMemory(datasets={known_as: []})), thorough=True)

    assert any(f"it knows {known_as}" in note for note in found.notes)


def test_without_datahub_the_rules_alone_decide() -> None:
    """And it is said what was not looked at."""
    found = both(URN, grounds(LADDER[4:], None), job_urn=JOB)

    assert found.rule == LADDER[8], "a rule by tag can not be tried"
    assert found.notes == ["no DataHub is configured: neither DataJobs nor tags were looked up"]
