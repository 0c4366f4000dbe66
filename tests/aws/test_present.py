"""This file is where AWS is asked whether what a job would start is there, and misbehaves."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from fakes.aws import FakeAws
from services.moto import ACCOUNT, CREDENTIALS, REGION, moto

from headgate.aws import Clients, Place
from headgate.aws.present import Found, Presence, look

ORDERS = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:orders"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:polygon-lambda"


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """One state machine, one function and one Glue job, and no other."""
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
            archive.writestr("main.py", "def handler(event, context):\n    return event\n")
        made["lambda"].create_function(
            FunctionName="polygon-lambda", Runtime="python3.11", Role=role, Handler="main.handler",
            Code={"ZipFile": packed.getvalue()},
        )  # fmt: skip
        made["glue"].create_job(Name="nightly", Role=role, Command={"Name": "glueetl"})
        yield url


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch, aws: str) -> Clients:
    return _clients(monkeypatch, aws)


def _clients(monkeypatch: pytest.MonkeyPatch, url: str) -> Clients:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
        monkeypatch.setenv(name, value)
    return Clients()


@pytest.mark.parametrize(
    ("engine", "target", "presence"),
    [
        ("step_functions", {"state_machine_arn": ORDERS}, Presence.THERE),
        ("step_functions", {"state_machine_arn": ORDERS.replace("orders", "ordrs")}, Presence.MISSING),
        ("step_functions", {"state_machine_arn": ORDERS.replace(REGION, "eu-west-1")}, Presence.MISSING),
        ("lambda", {"function": "polygon-lambda"}, Presence.THERE),
        ("lambda", {"function_name": FUNCTION}, Presence.THERE),
        ("lambda", {"function": "polygon-lamda"}, Presence.MISSING),
        ("lambda", {"function": "polygon-lambda", "region": "eu-west-1"}, Presence.MISSING),
        ("glue", {"job_name": "nightly"}, Presence.THERE),
        ("glue", {"job_name": "nigthly"}, Presence.MISSING),
    ],
)
def test_what_is_there_and_what_is_not(
    clients: Clients, engine: str, target: dict[str, str], presence: Presence
) -> None:
    """By name and by ARN, in the region that counts; what is missing is said in AWS's words."""
    found = look(clients, engine, target)

    assert found.presence is presence
    assert bool(found.said) is (presence is not Presence.THERE)


@pytest.mark.parametrize(
    ("kind", "presence", "said"),
    [("denied", Presence.DENIED, "permission"), ("throttle", Presence.UNKNOWN, "looking for"),
     ("error", Presence.UNKNOWN, "looking for"), ("html", Presence.UNKNOWN, "looking for")],
)  # fmt: skip
def test_who_gives_no_answer_is_not_taken_for_missing(
    monkeypatch: pytest.MonkeyPatch, kind: str, presence: Presence, said: str
) -> None:
    """Denied, throttled, broken: nobody knows whether it is there, and it is said why."""
    with FakeAws() as fake:
        fake.fault("DescribeStateMachine", kind, times=9)
        found = look(_clients(monkeypatch, fake.url), "step_functions", {"state_machine_arn": ORDERS})

    assert found.presence is presence
    assert said in found.said
    assert {one.operation for one in fake.calls} == {"DescribeStateMachine"}


def test_an_alias_is_asked_for_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a version as the state machine that it is."""
    with FakeAws() as fake:
        clients = _clients(monkeypatch, fake.url)
        for qualifier in ("live", "3"):
            look(clients, "step_functions", {"state_machine_arn": f"{ORDERS}:{qualifier}"})

    assert [one.operation for one in fake.calls] == ["DescribeStateMachineAlias", "DescribeStateMachine"]


class Saying(Clients):
    """An AWS that says this of everything."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer
        self.regions: list[str] = []

    def call(self, place: Place, *_: object, **__: object) -> dict[str, Any]:
        self.regions.append(place.region)
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "DELETING"}, Found(Presence.UNUSABLE, "AWS says that it is DELETING")),
        (
            {"Configuration": {"State": "Failed", "StateReason": "no subnet"}},
            Found(Presence.UNUSABLE, "AWS says that it is Failed: no subnet"),
        ),
        ({"Configuration": {"State": "Pending"}}, Found(Presence.THERE)),
        ({"status": "ACTIVE"}, Found(Presence.THERE)),
    ],
)
def test_what_is_there_may_be_of_no_use(answer: dict[str, Any], expected: Found) -> None:
    """A state machine that is being deleted, a function that could not be made."""
    engine = "lambda" if "Configuration" in answer else "step_functions"
    target = {"function": "f"} if engine == "lambda" else {"state_machine_arn": ORDERS}

    assert look(Saying(answer), engine, target) == expected


@pytest.mark.parametrize(
    ("engine", "target", "region"),
    [
        ("lambda", {"function": "f"}, "eu-north-1"),
        ("lambda", {"function": "f", "region": "eu-west-1"}, "eu-west-1"),
        ("lambda", {"function": FUNCTION, "region": "eu-west-1"}, REGION),
        ("glue", {"job_name": "j"}, ""),
        ("glue", {"job_name": "j", "region": "eu-west-1"}, "eu-west-1"),
        ("step_functions", {"state_machine_arn": ORDERS}, REGION),
    ],
)
def test_it_is_looked_for_where_it_would_be_started(engine: str, target: dict[str, str], region: str) -> None:
    """An ARN's region, else the job's, else for functions that of all functions; else what AWS's settings say ("")."""
    clients = Saying({})
    look(clients, engine, target, region="eu-north-1")

    assert clients.regions == [region]


def test_nothing_but_looking_is_done(clients: Clients, aws: str) -> None:
    """No execution begins of the state machine that was found."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
    states: Any = boto3.client("stepfunctions", endpoint_url=aws, **keys)
    look(clients, "step_functions", {"state_machine_arn": ORDERS})

    assert states.list_executions(stateMachineArn=ORDERS)["executions"] == []
