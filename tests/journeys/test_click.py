"""This file is where a click goes its whole way: DataHub's facts in, an execution or an invocation on AWS out.

The server is the real command, DataHub's GMS is the fake written from its reference, AWS is moto.
"""

from __future__ import annotations

import io
import itertools
import json
import socket
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from cli.world import Project, address, serving, until
from fakes.gms import TOKEN, FakeGms
from fakes.gms_aspects import Aspects
from services.moto import ACCOUNT, CREDENTIALS, REGION, moto

DATASET = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
OTHER = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.other,PROD)"
BARE = OTHER.replace("other", "of_no_job")
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),example_job)"
STRANGER = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),of_the_other)"
PROPERTY = "urn:li:structuredProperty:awsStepFunctionArn"
SEED = {"datasetUrn": DATASET, "jobUrn": JOB}  #: the seed's example, as it is posted there
ANN = "urn:li:corpuser:ann"
FUNCTION = "polygon-lambda"


class Aws:
    """What there is on AWS, and what was started there."""

    def __init__(self, url: str) -> None:
        self.url = url
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        self._states: Any = boto3.client("stepfunctions", endpoint_url=url, **keys)
        self._functions: Any = boto3.client("lambda", endpoint_url=url, **keys)
        self._iam: Any = boto3.client("iam", endpoint_url=url, **keys)
        self.machines = [self._machine(name) for name in ("earnings-ingest", "newer-ingest")]
        self._function()

    def _machine(self, name: str) -> str:
        definition = '{"StartAt":"Done","States":{"Done":{"Type":"Succeed"}}}'
        role = f"arn:aws:iam::{ACCOUNT}:role/states"
        made = self._states.create_state_machine(name=name, definition=definition, roleArn=role)
        return str(made["stateMachineArn"])

    def _function(self) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("main.py", "def handler(event, context):\n    return event\n")
        role = self._iam.create_role(RoleName="lambda", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        self._functions.create_function(
            FunctionName=FUNCTION, Runtime="python3.11", Role=role, Handler="main.handler",
            Code={"ZipFile": packed.getvalue()},
        )  # fmt: skip

    def executions(self) -> list[str]:
        """Of every state machine."""
        return [
            str(one["executionArn"])
            for machine in self.machines
            for one in self._states.list_executions(stateMachineArn=machine)["executions"]
        ]

    def execution(self, arn: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._states.describe_execution(executionArn=arn)
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with moto() as url:
        yield Aws(url)


@pytest.fixture(scope="module")
def datahub() -> Iterator[FakeGms]:
    with FakeGms() as made:
        yield made


MARKS = itertools.count()


@pytest.fixture
def mark() -> str:
    """Ends the tokens of a test, so that nothing the server remembers of a caller is of another test."""
    return f"-{next(MARKS)}"


@pytest.fixture
def gms(datahub: FakeGms, mark: str) -> FakeGms:
    """That DataHub, with what every test begins with and nothing else."""
    datahub.behave()
    datahub.aspects = Aspects()
    datahub.define_property("awsStepFunctionArn")
    for one in (DATASET, OTHER, BARE):
        datahub.add_dataset(one)
    datahub.add_job(JOB, [DATASET])
    datahub.add_job(STRANGER, [OTHER])
    datahub.add_run("first", parent=JOB, outputs=[DATASET], at=1_000)
    datahub.add_user(f"ann{mark}", ANN, grants={one: ["EXECUTE_ENTITY"] for one in (DATASET, OTHER, BARE)})
    datahub.add_user(f"vic{mark}", "urn:li:corpuser:vic", grants={DATASET: ["VIEW_ENTITY_PAGE"]})
    return datahub


class Site:
    """A served Headgate with that DataHub and that AWS, as one test sees it."""

    def __init__(self, url: str, gms: FakeGms, aws: Aws, mark: str) -> None:
        self.url, self.gms, self.aws, self._mark = url, gms, aws, mark
        self.began = len(aws.executions())
        self._before = {one["id"] for one in self._listed()}

    def click(
        self, body: Mapping[str, Any] = SEED, *, token: str = "ann", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        whole = {**(headers or {}), **({"authorization": f"Bearer {token}{self._mark}"} if token else {})}
        return httpx.post(f"{self.url}/api/ingestion/run", json=body, headers=whole, timeout=60, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        return self._get(path, f"ann{self._mark}")

    def runs(self) -> list[dict[str, Any]]:
        """Those that this test started, the newest first."""
        return [one for one in self._listed() if one["id"] not in self._before]

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("/headgate/api/v1/runs?limit=100", TOKEN).json()["items"]
        return found

    def _get(self, path: str, token: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"}
        return httpx.get(self.url + path, headers=headers, timeout=30, trust_env=False)


ENVIRON = {**CREDENTIALS, "AWS_REGION": REGION}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, datahub: FakeGms, aws: Aws) -> Iterator[str]:
    """The seeds' configuration and nothing else: three variables, no headgate.yaml."""
    project = Project(tmp_path_factory.mktemp("click"), "jobs: {}\n")
    environ = {
        **ENVIRON,
        "AWS_ENDPOINT_URL": aws.url,
        "DATAHUB_GMS_URL": datahub.url,
        "DATAHUB_GMS_TOKEN": TOKEN,
        "DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN": PROPERTY,
        "DATAHUB_INGESTION_LAMBDA_MAPPING": json.dumps({DATASET: FUNCTION}),
    }
    with serving(project, env=environ):
        yield address(project)


@pytest.fixture
def site(served: str, gms: FakeGms, aws: Aws, mark: str) -> Site:
    return Site(served, gms, aws, mark)


def test_a_datajob_with_the_property_is_executed_and_one_without_is_mapped(site: Site, aws: Aws) -> None:
    """With the ARN on the DataJob: StartExecution with that ARN, mapping or not. Without it: Invoke of the function."""
    site.gms.set_property(JOB, PROPERTY, aws.machines[1])
    answer = site.click({**SEED, "reason": "numbers look old", "metadata": {"ticket": 7}})

    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"runId", "status"}
    execution = aws.execution(answer.json()["runId"])
    assert execution["stateMachineArn"] == aws.machines[1]
    given = json.loads(execution["input"])
    assert (given["datasetUrn"], given["jobUrn"]) == (DATASET, JOB)
    assert (given["reason"], given["actor"]) == ("numbers look old", ANN)
    assert json.loads(given["arguments"]["--metadata"]) == {"ticket": 7}

    site.gms.set_property(JOB, PROPERTY)
    answer = site.click()

    assert answer.status_code == 200, answer.text
    request = answer.json()["runId"]
    assert len(aws.executions()) == site.began + 1
    mapped, executed = site.runs()
    assert (mapped["engine"], mapped["external_id"]) == ("lambda", request)
    assert (executed["engine"], executed["external_id"]) == ("step_functions", execution["executionArn"])
    assert executed["cause"]["actor"] == ANN
    assert executed["cause"]["reason"] == "numbers look old"


def test_without_a_job_the_newest_runs_job_is_found(site: Site, aws: Aws) -> None:
    """The button need not name one: the dataset's latest run has a parent, and that names the state machine."""
    newer = JOB.replace("example_job", "newer_job")
    site.gms.add_job(newer, [DATASET])
    site.gms.add_run("newest", parent=newer, outputs=[DATASET], at=9_000)
    site.gms.set_property(newer, PROPERTY, aws.machines[0])
    site.gms.set_property(JOB, PROPERTY, aws.machines[1])

    answer = site.click({"datasetUrn": DATASET})

    assert aws.execution(answer.json()["runId"])["stateMachineArn"] == aws.machines[0]


def test_every_id_finds_the_run_and_nothing_names_aws(site: Site, aws: Aws) -> None:
    """The execution's ARN as the badge asks for it; no other answer has a name of AWS in it."""
    site.gms.set_property(JOB, PROPERTY, aws.machines[1])
    arn = site.click().json()["runId"]
    ours = site.runs()[0]["id"]

    for name in (arn, quote(arn, safe=""), ours):
        body = site.get(f"/api/ingestion/runs/{name}").json()
        assert body["runId"] == arn
        assert body["job"] == "an AWS Step Functions state machine"
    told = site.get(f"/api/ingestion/runnable?datasetUrn={quote(DATASET)}").json()
    assert told["code"] == "ok"
    assert told["lastRun"]["runId"] == arn
    told["lastRun"]["runId"] = ""
    assert not [name for name in (ACCOUNT, "newer-ingest", FUNCTION, "arn:") if name in json.dumps(told)]


@pytest.mark.parametrize(
    ("body", "token", "status"),
    [
        (SEED, "", 401),
        (SEED, "forged", 401),
        (SEED, "vic", 403),
        ({**SEED, "jobUrn": STRANGER}, "ann", 403),
        ({"datasetUrn": DATASET.replace("us_stocks", "no_stocks")}, "ann", 404),
        ({"datasetUrn": BARE}, "ann", 422),
        ({"datasetUrn": "urn:li:foo"}, "ann", 400),
    ],
)
def test_what_is_refused_starts_nothing(site: Site, aws: Aws, body: dict[str, str], token: str, status: int) -> None:
    """Neither here nor on AWS. The stranger's job has an ARN; it is not the dataset's."""
    site.gms.set_property(STRANGER, PROPERTY, aws.machines[0])
    before = len(site.gms.proposals)
    answer = site.click(body, token=token)

    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == "failed"
    assert (site.runs(), len(aws.executions()), len(site.gms.proposals)) == ([], site.began, before)


@pytest.mark.parametrize("how", ["500", "html", "truncated", "graphql_error", "disconnect", "redirect", "drip"])
def test_a_datahub_that_fails_starts_nothing(site: Site, aws: Aws, how: Any) -> None:
    """500s, HTML, half an answer, an error in a 200, a hang-up, a redirect, a trickle: a clear answer, and no run."""
    site.gms.set_property(JOB, PROPERTY, aws.machines[1])
    site.gms.misbehave("/", how, times=1_000, seconds=60.0)
    answer = site.click()

    assert answer.status_code == 503, answer.text
    assert set(answer.json()) == {"status", "message"}
    assert answer.json()["status"] == "failed"
    assert answer.json()["message"].startswith("DataHub at ")
    assert "nothing was started" in answer.json()["message"].lower()
    site.gms.behave()
    assert site.runs() == []
    assert len(aws.executions()) == site.began


def test_a_session_of_datahubs_frontend_clicks(tmp_path: Path, gms: FakeGms, aws: Aws, mark: str) -> None:
    """As the button does behind our proxy: with the login's two cookies, which must agree, from our own page."""
    gms.add_user("boss", "urn:li:corpuser:boss", ["MANAGE_INGESTION"])
    gms.set_property(JOB, PROPERTY, aws.machines[0])
    project = Project(
        tmp_path, f"jobs: {{}}\ndatahub: {{gms_url: '{gms.url}', frontend_url: '{gms.frontend_url}', token: {TOKEN}}}\n"
    )
    with serving(project, env={**ENVIRON, "AWS_ENDPOINT_URL": aws.url}):
        site = Site(address(project), gms, aws, mark)
        session = gms.session(ANN)
        page = {"x-headgate-request": "1", "origin": site.url, "sec-fetch-site": "same-origin", "cookie": session}
        forgeries = [
            {"cookie": session.replace(f"actor={ANN}", "actor=urn:li:corpuser:boss")},
            {"cookie": session.partition(";")[0]},
            {"cookie": "PLAY_SESSION=made-up; actor=urn:li:corpuser:boss"},
            {"cookie": "", "x-datahub-actor": "urn:li:corpuser:boss"},
        ]
        for forged in forgeries:
            answer = site.click(token="", headers={**page, **forged})
            assert (answer.status_code, answer.json()["status"]) == (401, "failed"), forged
        foreign = site.click(token="", headers={**page, "origin": "https://evil.example.com"})
        assert foreign.status_code == 403
        assert site.runs() == []

        answer = site.click(token="", headers={**page, "x-datahub-actor": "urn:li:corpuser:boss"})
        assert answer.status_code == 200, answer.text
        assert aws.execution(answer.json()["runId"])["stateMachineArn"] == aws.machines[0]
        assert site.runs()[0]["cause"]["actor"] == ANN


def test_what_aws_does_not_know_is_refused_for_good(site: Site, aws: Aws) -> None:
    """502 with a message of its own; the name that is wrong is told to operators only."""
    site.gms.set_property(JOB, PROPERTY, aws.machines[0].replace("earnings-ingest", "no-such-machine"))
    answer = site.click()

    assert answer.status_code == 502, answer.text
    assert answer.json()["status"] == "failed"
    assert not [name for name in ("no-such-machine", ACCOUNT, "arn:") if name in answer.text]
    assert "no-such-machine" in site.runs()[0]["error"]


def test_aws_that_is_away_is_told_and_the_run_waits(tmp_path: Path, gms: FakeGms, aws: Aws, mark: str) -> None:
    """202 after at most ten seconds: the run is recorded, and starts when AWS is there."""
    project = Project(tmp_path, "jobs: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    environ = {
        **ENVIRON, "AWS_ENDPOINT_URL": away, "DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN,
        "DATAHUB_INGESTION_LAMBDA_MAPPING": json.dumps({DATASET: FUNCTION}),
    }  # fmt: skip
    with serving(project, env=environ):
        site = Site(address(project), gms, aws, mark)
        answer = site.click({"datasetUrn": DATASET})

        assert answer.status_code == 202, answer.text
        assert answer.json()["status"] == "started"
        assert answer.json()["runId"] == site.runs()[0]["id"]
        assert answer.json()["message"].startswith("recorded; it")
        assert FUNCTION not in answer.text


def test_on_a_laptop_the_seeds_example_works_as_posted(tmp_path: Path, aws: Aws) -> None:
    """No DataHub, any bearer; the DataJob is not known, so the mapping decides. Another dataset is told of."""
    project = Project(tmp_path, f"jobs: {{}}\ndatasets:\n  - {{urn: '{DATASET}', lambda: {FUNCTION}}}\n")
    with serving(project, env={**ENVIRON, "AWS_ENDPOINT_URL": aws.url}):
        url = address(project)
        answer = httpx.post(
            f"{url}/api/ingestion/run", json=SEED, headers={"authorization": "Bearer <token>"}, timeout=60
        )

        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"runId", "status"}
        other = httpx.post(f"{url}/api/ingestion/run", json={"datasetUrn": OTHER}, timeout=60)
        assert other.status_code == 404
        assert other.json()["message"].startswith(f"the embedded catalog knows no dataset {OTHER}; name it")
        found = until(lambda: httpx.get(f"{url}/headgate/api/v1/runs").json()["items"], "the run is listed")
        assert found[0]["cause"]["actor"] == "urn:li:corpuser:local"
        assert found[0]["external_id"] == answer.json()["runId"]
