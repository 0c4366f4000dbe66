"""This file is where who we are on AWS is got wrong in every way, and what jobs start is missing or forbidden."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from doctor_world import world
from fakes.aws import FakeAws
from services.moto import ACCOUNT, CREDENTIALS, REGION, moto

from headgate.aws import Clients, Fault, FaultKind, Place
from headgate.doctor import Finding, Rank, log_groups
from headgate.doctor.aws import diagnose
from headgate.doctor.permissions import principal_of

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orders"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:polygon-lambda"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/loader"
ALL = f"""\
jobs:
  orders: {{engine: step_functions, state_machine_arn: "{MACHINE}"}}
  nightly: {{engine: glue, job_name: nightly}}
datasets:
  - {{prefix: "athena:x", lambda: "{FUNCTION}"}}
"""
ONE = f'jobs:\n  orders: {{engine: step_functions, state_machine_arn: "{MACHINE}"}}\n'


class Played(Clients):
    """AWS as IAM's documentation describes SimulatePrincipalPolicy, which moto has not; the rest is asked for real."""

    def __init__(self, *, allows: tuple[str, ...] | None = (), environ: Mapping[str, str] = CREDENTIALS) -> None:
        super().__init__(environ=environ, read=2.0)
        self.allows = allows  #: actions; None: we may not even ask
        self.asked: list[Mapping[str, Any]] = []

    def call(
        self, place: Place, service: str, operation: str, arguments: Mapping[str, Any], *, doing: str,
        **more: Any,
    ) -> dict[str, Any] | Fault:  # fmt: skip
        if operation != "simulate_principal_policy":
            return super().call(place, service, operation, arguments, doing=doing, **more)
        self.asked.append(arguments)
        if self.allows is None:
            return Fault(FaultKind.DENIED, "AccessDenied", "not authorized to perform iam:Simulate…", doing)
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": arguments["ResourceArns"][0],
                    "EvalDecision": "allowed" if action in self.allows else "implicitDeny",
                }
                for action in arguments["ActionNames"]
            ]
        }


EVERYTHING = (
    "states:StartExecution", "states:DescribeExecution", "states:StopExecution",
    "glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun",
)  # fmt: skip


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """A state machine, a function and a Glue job."""
    with moto() as url:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        made: dict[str, Any] = {
            name: boto3.client(name, endpoint_url=url, **keys)  # type: ignore[call-overload] - by a variable name
            for name in ("stepfunctions", "lambda", "iam", "glue")
        }
        role = made["iam"].create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = '{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}'
        made["stepfunctions"].create_state_machine(name="orders", definition=definition, roleArn=role)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("m.py", "def h(event, context):\n    return event\n")
        made["lambda"].create_function(
            FunctionName="polygon-lambda", Runtime="python3.11", Role=role, Handler="m.h",
            Code={"ZipFile": packed.getvalue()},
        )  # fmt: skip
        for name, retries in (("nightly", 0), ("stubborn", 2)):
            made["glue"].create_job(Name=name, Role=role, Command={"Name": "glueetl"}, MaxRetries=retries)
        yield url


@pytest.fixture
def environ(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    return _environ(monkeypatch, moto_url)


def _environ(monkeypatch: pytest.MonkeyPatch, url: str, **more: str) -> dict[str, str]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = {**CREDENTIALS, "AWS_ENDPOINT_URL": url, **more}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def look(folder: Path, text: str, environ: Mapping[str, str], clients: Clients | None = None) -> list[Finding]:
    with world(folder, text) as made:
        return diagnose(made.records, made.settings, clients or Played(allows=EVERYTHING, environ=environ), environ)


def test_what_is_well_has_only_a_note_of_who_we_are(tmp_path: Path, environ: dict[str, str]) -> None:
    """By which way the credentials came; none of them is shown."""
    found = look(tmp_path, ALL, environ)

    assert {one.rank for one in found} == {Rank.NOTE}
    assert f"arn:aws:sts::{ACCOUNT}:" in found[0].what
    assert "credentials by env" in found[0].evidence
    assert "testing" not in repr(found)


def test_a_glue_job_that_retries_by_itself_is_told(tmp_path: Path, environ: dict[str, str]) -> None:
    """What Glue starts again has no run here: the retries belong to the job of ours."""
    found = look(tmp_path, ALL.replace("job_name: nightly", "job_name: stubborn"), environ)[0]

    assert (found.rank, found.what) == (
        Rank.POSSIBLE, "job 'nightly' starts stubborn, which Glue starts again by itself when it fails",
    )  # fmt: skip
    assert "max_retries: 2" in found.mend


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (("stateMachine:orders", "stateMachine:ordres"), "job 'orders' starts"),
        (("job_name: nightly", "job_name: nigthly"), "job 'nightly' starts nigthly"),
        (("function:polygon-lambda", "function:polygn"), "rule prefix athena:x"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, environ: dict[str, str], wrong: tuple[str, str], what: str) -> None:
    """By the job or the rule that names it, with the command that lists what is there."""
    found = look(tmp_path, ALL.replace(*wrong), environ)[0]

    assert found.rank is Rank.BROKEN
    assert found.what.startswith(what)
    assert "and there is none" in found.what
    assert found.mend.startswith("aws ")


def test_a_queue_that_is_not_there_is_named(tmp_path: Path, environ: dict[str, str], moto_url: str) -> None:
    """A queue that was deleted, or misspelt, is found before anybody wonders why nothing comes."""
    url = f"{moto_url}/{ACCOUNT}/none"
    read = f"sqs: [{{queue_url: '{url}', region: {REGION}, endpoint_url: '{moto_url}'}}]\n"
    found = look(tmp_path, ALL + read, environ)

    assert (found[0].rank, found[0].what) == (Rank.BROKEN, f"queue {url} is to be read, and there is none")
    assert found[0].mend == f"aws sqs list-queues --region {REGION}"


def test_a_missing_permission_is_named_with_the_policy_that_gives_it(tmp_path: Path, environ: dict[str, str]) -> None:
    """Of the role that is assumed when the job names one, and of ourselves otherwise."""
    clients = Played(allows=("states:StartExecution", "states:DescribeExecution"), environ=environ)
    found = look(tmp_path, ONE, environ, clients)[0]

    assert found.rank is Rank.BROKEN
    assert "may not states:StopExecution" in found.what
    assert "aws iam put-" in found.mend
    assert f"{MACHINE.replace('stateMachine', 'execution')}:*" in found.mend
    assert {one["PolicySourceArn"] for one in clients.asked} == {f"arn:aws:iam::{ACCOUNT}:user/moto"} or clients.asked


def test_not_being_allowed_to_ask_is_said(tmp_path: Path, environ: dict[str, str]) -> None:
    """Nobody knows then whether the job may be started."""
    found = look(tmp_path, ONE, environ, Played(allows=None, environ=environ))

    assert [one.mend for one in found if one.rank is Rank.UNSEEN] == ["give us iam:SimulatePrincipalPolicy"]


def test_no_credentials_are_said_first_and_alone(
    tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else is wrong cannot be known without them."""
    environ = _environ(monkeypatch, moto_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
        del environ[name]
    [found] = look(tmp_path, ALL, environ)

    assert (found.rank, found.what, found.mend) == (Rank.BROKEN, "there are no AWS credentials", "aws configure")


def test_a_profile_that_is_not_there(tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _environ(monkeypatch, moto_url, AWS_PROFILE="prodution")
    [found] = look(tmp_path, ALL, environ)

    assert found.what == "there is no AWS profile 'prodution'"


@pytest.mark.parametrize(
    ("kind", "rank", "said"),
    [
        ("expired", Rank.BROKEN, "ran out"),
        ("denied", Rank.BROKEN, "does not take the credentials"),
        ("html", Rank.UNSEEN, "could not be looked at"),
        ("error", Rank.UNSEEN, "could not be looked at"),
    ],
)
def test_credentials_aws_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rank: Rank, said: str
) -> None:
    """Expired, refused, and an answer that is none."""
    with FakeAws() as fake:
        environ = _environ(monkeypatch, fake.url)
        fake.fault("GetCallerIdentity", kind, times=9)
        [found] = look(tmp_path, ONE, environ)

    assert found.rank is rank
    assert said in found.what


def test_a_role_that_cannot_be_assumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trust policy and the command that tries it."""
    with FakeAws() as fake:
        environ = _environ(monkeypatch, fake.url)
        fake.fault("AssumeRole", "denied", times=9)
        text = ONE.replace("engine: step_functions,", f'engine: step_functions, role_arn: "{ROLE}", external_id: x1,')
        found = look(tmp_path, text, environ)[0]

    assert found.what == f"the role {ROLE} of job 'orders' cannot be assumed"
    assert found.mend == f"aws sts assume-role --role-arn {ROLE} --role-session-name headgate-doctor --external-id x1"


def test_nobody_there_is_no_good_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = _environ(monkeypatch, "http://127.0.0.1:9")
    [found] = look(tmp_path, ONE, environ)

    assert found.rank is Rank.UNSEEN


def test_two_regions_and_none(tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one counts is told; without one what needs it is named."""
    environ = _environ(monkeypatch, moto_url, AWS_REGION="eu-west-1")
    found = look(tmp_path / "two", ONE, environ)[0]
    assert found.what == "two regions are set: AWS_REGION=eu-west-1 and AWS_DEFAULT_REGION=us-east-1"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
        del environ[name]
    found = look(tmp_path / "none", ALL, environ)[0]

    assert found.what == "no AWS region is set, and job 'nightly' names none"


def test_without_anything_on_aws_nothing_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when nobody is there."""
    environ = _environ(monkeypatch, "http://127.0.0.1:9")
    found = look(tmp_path, 'jobs:\n  a: {engine: local, command: ["true"]}\n', environ)

    assert {one.rank for one in found} == {Rank.NOTE}


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/loader/jr_1", ROLE),
        (f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:user/ann"),
    ],
)
def test_a_sessions_policies_are_its_roles(arn: str, principal: str) -> None:
    assert principal_of(arn) == principal


# -- log groups


@pytest.fixture
def group(moto_url: str) -> str:
    """A group with three lines that speak of `datahub ingest`, and others that do not."""
    name = f"/ecs/sync-{time.time_ns()}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
    logs: Any = boto3.client("logs", endpoint_url=moto_url, **keys)  # type: ignore[call-overload] - by keys
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="task-1")
    now = int(time.time() * 1000)
    said = ["datahub ingest -c a.yml --token hush", "quiet", "datahub ingest -c b.yml", "datahub ingest -c c.yml"]
    lines = [{"timestamp": now - 4000 + number * 1000, "message": one} for number, one in enumerate(said)]
    logs.put_log_events(logGroupName=name, logStreamName="task-1", logEvents=lines)
    return name


def search(*groups: str, clients: Clients | None = None) -> list[Finding]:
    return list(log_groups.examine(groups, clients or Clients(), datetime.now(UTC) + timedelta(seconds=1)))


@pytest.mark.usefixtures("environ")
def test_a_log_group_that_speaks_of_ingestions_is_found(group: str) -> None:
    """Counted, with the newest's time and stream, and the command that shows them; no line is quoted."""
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:*"
    by_name, by_arn = search(group, arn)

    assert by_name.rank is Rank.NOTE
    assert by_name.what.startswith(f"the log group {group} speaks of `datahub ingest`, last at ")
    assert by_name.evidence == "3 lines in 14 days; the newest in the stream task-1"
    assert by_name.mend.startswith(f"aws logs filter-log-events --log-group-name {group} --filter-pattern")
    assert by_arn.what == by_name.what
    assert f"--region {REGION}" in by_arn.mend
    assert "hush" not in repr([by_name, by_arn])


@pytest.mark.usefixtures("environ")
def test_a_log_group_that_is_not_there_is_said(group: str) -> None:
    """So is one that says nothing of it."""
    found = search(group.replace("sync", "nothing"))

    assert [one.rank for one in found] == [Rank.UNSEEN]
    assert found[0].mend == "aws logs describe-log-groups"


class Paged(Clients):
    """CloudWatch Logs as its documentation describes its pages: some are empty, and there are ever more."""

    def __init__(self, *, events: bool, fault: Fault | None = None) -> None:
        super().__init__(environ=CREDENTIALS)
        self.events, self.fault, self.given = events, fault, 0

    def call(self, place: Place, service: str, operation: str, *args: Any, doing: str, **more: Any) -> Any:
        del place, service, operation, args, doing, more
        if self.fault is not None:
            return self.fault
        self.given += 1
        event = {"timestamp": 1_767_225_600_000 + self.given, "message": "datahub ingest", "logStreamName": "s"}
        return {"events": [event] if self.events and self.given % 2 else [], "nextToken": str(self.given)}


def test_pages_are_bounded_and_that_is_said() -> None:
    """What was found is a least count; what was not found is not claimed to be absent."""
    some, none = Paged(events=True), Paged(events=False)

    assert search("g", clients=some)[0].evidence.startswith("at least 10 lines")
    assert search("g", clients=none)[0].rank is Rank.UNSEEN
    assert (some.given, none.given) == (20, 20)


@pytest.mark.parametrize(
    ("kind", "mend"),
    [(FaultKind.DENIED, "give us logs:FilterLogEvents on it"), (FaultKind.AWAY, "headgate doctor aws")],
)
def test_who_may_not_look_is_told(kind: FaultKind, mend: str) -> None:
    """Denied and unreachable are not the same as nothing there."""
    [found] = search("g", clients=Paged(events=False, fault=Fault(kind, "X", "no", "searching")))

    assert found.rank is Rank.UNSEEN
    assert found.mend.startswith(mend)
