"""This file is where it is tested what a click may start, what it is refused for, and what its clicker is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fakes.datahub_port import DataHubInMemory
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Forbidden, Invalid, Unavailable
from headgate.flow import click, clicked
from headgate.flow.click import Click, Refusal, Who, Why, Wish, consider, read
from headgate.flow.clicked import HIDDEN, Stage, aws_names, conceal, public_name, run_id, stage
from headgate.flow.resolution import Resolution
from headgate.flow.targets import implicit_job, parse_target
from headgate.model import Cause, Job, JobName, Json, Run, RunId, RunState
from headgate.ports import Credential, DatasetFacts, Identity

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),example_job)"
ANN = Identity(actor="urn:li:corpuser:ann")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:earnings-ingest"


# -- what was asked for


def test_the_seeds_body_is_read() -> None:
    """Every field of the contract, and null or absent where it may be."""
    whole = read({"datasetUrn": URN, "jobUrn": JOB, "reason": " because ", "metadata": {"from": ["button", 1]}})

    assert whole == Click(dataset=URN, job_urn=JOB, reason="because", metadata={"from": ["button", 1]})
    assert read({"datasetUrn": URN, "jobUrn": None, "reason": None, "metadata": None}) == Click(dataset=URN)
    assert read({"datasetUrn": URN, "someday": True}) == Click(dataset=URN)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "body: expected a JSON object"),
        ("text", "body: expected a JSON object"),
        ({}, "datasetUrn: is missing"),
        ({"datasetUrn": ""}, "datasetUrn: is missing"),
        ({"datasetUrn": 7}, "datasetUrn: expected a URN as text, got a number"),
        ({"datasetUrn": [URN]}, "datasetUrn: expected a URN as text, got a list"),
        ({"datasetUrn": "urn:li:foo"}, "datasetUrn: 'urn:li:foo' is not a dataset's URN"),
        ({"datasetUrn": URN[:-1]}, "datasetUrn:"),
        ({"datasetUrn": URN + ")"}, "datasetUrn:"),
        ({"datasetUrn": URN.replace("financial", "(financial")}, "parentheses do not pair"),
        ({"datasetUrn": URN.replace("us_stocks", "x" * 10_000)}, "datasetUrn: 10,"),
        ({"datasetUrn": f" {URN}"}, "spaces around it"),
        ({"datasetUrn": URN.replace("us_", "\n")}, "control characters"),
        ({"datasetUrn": URN.replace("us_", "\ud800")}, "half a character"),
        ({"datasetUrn": URN, "jobUrn": ""}, "jobUrn:"),
        ({"datasetUrn": URN, "jobUrn": URN}, "jobUrn:"),
        ({"datasetUrn": URN, "jobUrn": "urn:li:dataJob:(x)"}, "jobUrn:"),
        ({"datasetUrn": URN, "jobUrn": {}}, "jobUrn: expected a URN as text, got an object"),
        ({"datasetUrn": URN, "reason": 1}, "reason: expected text"),
        ({"datasetUrn": URN, "reason": "x" * 2_001}, "reason: 2,001 characters"),
        ({"datasetUrn": URN, "reason": "a\0b"}, "reason: has a NUL"),
        ({"datasetUrn": URN, "metadata": "x"}, "metadata: expected a JSON object, got text"),
        ({"datasetUrn": URN, "metadata": {"a": "x" * 20_000}}, "metadata: 20,"),
        ({"datasetUrn": URN, "metadata": {"a": "\0"}}, "metadata: has a NUL"),
    ],
)
def test_a_malformed_body_is_refused_by_its_field(body: Json, said: str) -> None:
    """The message begins with the field, and says what was expected."""
    with pytest.raises(Invalid) as refused:
        read(body)

    assert said in str(refused.value)
    assert len(str(refused.value)) < 5_000


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON | st.fixed_dictionaries({"datasetUrn": _JSON | st.just(URN)}, optional={
    "jobUrn": _JSON, "reason": _JSON, "metadata": _JSON,
}))  # fmt: skip
def test_whatever_is_sent_is_read_or_refused(body: Json) -> None:
    """No JSON value makes anything but a click or an Invalid."""
    try:
        found = read(body)
    except Invalid:
        return
    assert found.dataset == URN


# -- whether it may


def resolution(job: str | None = "ingest", **more: object) -> Resolution:
    return replace(
        Resolution(urn=URN, job=JobName(job) if job else None, words=f"the job {job}", message="m", rule=None), **more
    )


class Resolver:
    """Answers what it was given, and keeps what it was asked."""

    def __init__(self, answer: Resolution | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str | None, DatasetFacts | None]] = []

    def __call__(self, urn: str, job_urn: str | None, facts: DatasetFacts | None) -> Resolution:
        self.asked.append((urn, job_urn, facts))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def judged(
    answer: Resolution | Exception,
    *,
    datahub: DataHubInMemory | None,
    who: Who | None = None,
    privileges: Sequence[str] = ("EXECUTE_ENTITY",),
) -> tuple[Wish | Refusal, Resolver]:
    resolver = Resolver(answer)
    who = who or Who(actor=ANN.actor, identity=ANN, credential=Credential(authorization="Bearer ann"))
    asked = Click(dataset=URN, job_urn=JOB, reason="because", metadata={"a": 1})
    return consider(asked, who, datahub=datahub, resolve=resolver, privileges=privileges), resolver


def known(*granted: str) -> DataHubInMemory:
    datahub = DataHubInMemory(datasets={URN: ["urn:li:tag:raw"]})
    datahub.grant(ANN.actor, URN, *granted)
    return datahub


@pytest.mark.parametrize(
    ("granted", "platform", "wanted", "may"),
    [
        ([], [], ["EXECUTE_ENTITY"], False),
        (["VIEW_ENTITY_PAGE", "EDIT_ENTITY"], [], ["EXECUTE_ENTITY"], False),
        (["EXECUTE_ENTITY"], [], ["EXECUTE_ENTITY"], True),
        (["EDIT_ENTITY"], [], ["EXECUTE_ENTITY", "EDIT_ENTITY"], True),
        (["EDIT_ENTITY"], [], [], False),
        ([], ["MANAGE_INGESTION"], ["EXECUTE_ENTITY"], True),
        ([], ["MANAGE_SECRETS"], ["EXECUTE_ENTITY"], False),
        ([], ["MANAGE_INGESTION"], [], True),
    ],
)
def test_one_of_the_privileges_is_needed(granted: list[str], platform: list[str], wanted: list[str], may: bool) -> None:
    """On the dataset, or to manage ingestion on the platform; which ones count is a setting."""
    who = Who(actor=ANN.actor, identity=replace(ANN, privileges=frozenset(platform)))
    found, resolver = judged(resolution(), datahub=known(*granted), who=who, privileges=wanted)

    assert isinstance(found, Wish) is may
    assert bool(resolver.asked) is may
    if isinstance(found, Refusal):
        assert found.why is Why.NO_RIGHT


def test_someone_we_trust_ourselves_needs_no_privilege() -> None:
    """Whoever sits at this machine, or has our own token, is not known to DataHub."""
    found, _ = judged(resolution(), datahub=known(), who=Who(actor="urn:li:corpuser:local"))

    assert isinstance(found, Wish)


def test_what_may_happen_says_all_that_is_to_be_started() -> None:
    """Job, actor, and arguments with dataset, DataJob and metadata; the resolver gets what was known already."""
    found, resolver = judged(resolution(), datahub=known("EXECUTE_ENTITY"))

    assert isinstance(found, Wish)
    assert (found.job, found.actor, found.click.reason) == ("ingest", ANN.actor, "because")
    assert found.arguments == {"--datasetUrn": URN, "--jobUrn": JOB, "--metadata": '{"a":1}'}
    assert resolver.asked == [(URN, JOB, DatasetFacts(urn=URN, exists=True, tags=["urn:li:tag:raw"]))]
    assert replace(found, click=Click(dataset=URN)).arguments == {"--datasetUrn": URN}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Forbidden("it does not produce that"), Why.NOT_PRODUCER),
        (resolution(None, refused="it is not among those allowed"), Why.POLICY),
        (resolution(None, words="no rule says what refreshes it"), Why.NO_JOB),
    ],
)
def test_what_the_resolver_refuses_is_refused(answer: Resolution | Exception, why: Why) -> None:
    """Each for its own reason, with the resolver's words for everyone."""
    found, _ = judged(answer, datahub=known("EXECUTE_ENTITY"))

    assert isinstance(found, Refusal)
    assert found.why is why
    assert found.message


def test_a_dataset_nobody_knows_is_refused_before_anything_else() -> None:
    """Neither rights nor rules are looked at."""
    datahub = DataHubInMemory()
    found, resolver = judged(resolution(), datahub=datahub)

    assert isinstance(found, Refusal)
    assert found.why is Why.UNKNOWN_DATASET
    assert (datahub.asked, resolver.asked) == (["dataset"], [])


def test_a_datahub_that_is_away_is_no_permission() -> None:
    """Unavailable goes through: nothing is decided without DataHub."""
    datahub = known("EXECUTE_ENTITY")
    datahub.away = "it is down"

    with pytest.raises(Unavailable):
        judged(resolution(), datahub=datahub)


# -- what is told


def run(state: RunState, **more: object) -> Run:
    whole = Run(
        id=RunId("jr_" + "0" * 64), seq=1, job=JobName("ingest"), engine="step_functions", state=state, detail="",
        attempt=0, cause=Cause(), arguments={}, external_id=None, created_at=NOW, started_at=None, ended_at=None,
        error=None, result={},
    )  # fmt: skip
    return replace(whole, **more)


@pytest.mark.parametrize("state", RunState)
def test_every_state_has_a_stage_and_words(state: RunState) -> None:
    """A run that an engine has taken is accepted whatever became of it; one in the queue is pending."""
    taken = stage(run(state, external_id="x", started_at=NOW))

    waits = state in (RunState.WAITING, RunState.STARTING)
    assert taken is (Stage.PENDING if waits else Stage.ACCEPTED)
    assert isinstance(clicked.message(run(state)), str)
    assert len(clicked.message(run(state, error="x" * 5_000))) <= clicked.LONGEST


@pytest.mark.parametrize(
    ("state", "detail", "expected"),
    [
        (RunState.FAILED, "refused", Stage.REFUSED),
        (RunState.FAILED, "engine error", Stage.REFUSED),
        (RunState.FAILED, "exit 3", Stage.ACCEPTED),
        (RunState.ERROR, "", Stage.REFUSED),
        (RunState.EXPIRED, "", Stage.REFUSED),
        (RunState.STOPPED, "", Stage.REFUSED),
        (RunState.SUCCEEDED, "dispatched", Stage.ACCEPTED),
    ],
)
def test_only_what_no_engine_took_is_refused(state: RunState, detail: str, expected: Stage) -> None:
    """A job that began and failed was started all the same."""
    assert stage(run(state, detail=detail)) is expected


def test_the_engines_id_is_given_where_people_know_it() -> None:
    """Execution ARN and request id; ours for local jobs, before there is one, and where ids are to be opaque."""
    one = run(RunState.RUNNING, external_id="arn:aws:states:…")

    assert run_id(one, opaque=False) == "arn:aws:states:…"
    assert run_id(one, opaque=True) == one.id
    assert run_id(replace(one, engine="local"), opaque=False) == one.id
    assert run_id(replace(one, external_id=None), opaque=False) == one.id


def test_a_jobs_own_name_is_told_though_its_target_has_it() -> None:
    """Who declares the job `earnings-ingest` for the state machine of that name has told the name."""
    machine = Job(name=JobName("earnings-ingest"), engine="step_functions", target={"state_machine_arn": ARN})

    assert conceal("the job earnings-ingest", aws_names([machine])) == "the job earnings-ingest"
    assert conceal(f"starting {ARN}: no such thing", aws_names([machine])) == "starting [hidden]: no such thing"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no answer of https://states.us-east-1.amazonaws.com/ in time", "no answer of https://[hidden]/ in time"),
        ("DataHub at internal-gms.eu-west-1.elb.amazonaws.com:8080 is away", "DataHub at [hidden]:8080 is away"),
        ("lambda.cn-north-1.amazonaws.com.cn: reset", "[hidden]: reset"),
        ("see my-amazonaws.com.example.com", "see my-amazonaws.com.example.com"),
        ("the key AKIAIOSFODNN7EXAMPLE is not valid", "the key [hidden] is not valid"),
        (f"'{ARN}', ({ARN}), {ARN}.", "'[hidden]', ([hidden]), [hidden]."),
    ],
)  # fmt: skip
def test_hosts_and_keys_of_aws_are_not_told(text: str, told: str) -> None:
    """They say where things are, and in whose account."""
    assert conceal(text, ()) == told


def test_no_name_of_aws_is_told() -> None:
    """ARNs, accounts, the target's own name, and jobs' names that are made of it."""
    machine = Job(name=JobName("e"), engine="step_functions", target={"state_machine_arn": ARN, "region": "us-east-1"})
    function = Job(name=JobName("f"), engine="lambda", target={"function": "polygon-lambda"})
    names = aws_names([machine, function, Job(name=JobName("l"), engine="local", target={"script": "function.py"})])
    target = parse_target("polygon-lambda", region="us-east-1")
    assert target is not None
    implied = implicit_job(target).name

    told = conceal(
        f"{ARN} in 123456789012 is earnings-ingest; {implied} is polygon-lambda, not my-polygon-lambda or function.py",
        names,
    )

    assert told == f"{HIDDEN} in {HIDDEN} is {HIDDEN}; {HIDDEN} is {HIDDEN}, not my-polygon-lambda or function.py"
    assert public_name(implied) == "an AWS Lambda function"
    assert public_name("earnings") == "earnings"


@given(st.text(), st.text())
def test_hiding_leaves_no_arn(before: str, after: str) -> None:
    """Wherever it stands in a text."""
    assert "earnings-ingest" not in conceal(f"{before} {ARN} {after}", {"earnings-ingest"})


def test_metadata_is_passed_on_as_it_was() -> None:
    """As one JSON text."""
    asked = Click(dataset=URN, metadata={"ü": [1, {"b": None}]})
    wish = Wish(click=asked, actor="a", job=JobName("j"), words="w")

    assert json.loads(wish.arguments[click.METADATA]) == asked.metadata
