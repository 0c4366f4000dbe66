"""This file is where the small surface of AWS is closed to those who may not call it, and answers whatever comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError
from hypothesis import given, settings
from hypothesis import strategies as st
from served import PROJECT, World, serving, until

from headgate.runtime.access_keys import AccessKeys

FUNCTIONS = "functions: {echo: {handler: handlers.echo}}\n"
INVOKE = "/2015-03-31/functions/echo/invocations"


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, project=PROJECT + FUNCTIONS)
    yield made
    made.close()


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[World]:
    """A gate that wants a token, so that AWS's clients must sign with a key of ours."""
    made = World(tmp_path, project=PROJECT + FUNCTIONS, token="secret", events_token="events")
    yield made
    made.close()


def client(service: str, url: str, key: str, secret: str) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip


def calls(url: str, key: str, secret: str) -> list[str]:
    """What each of the three services answers: `ok`, or the error's code."""
    said: list[str] = []
    for service, operation, asked in (
        ("lambda", "get_function", {"FunctionName": "echo"}),
        ("lambda", "invoke", {"FunctionName": "echo", "InvocationType": "Event", "Payload": b'{"a b": "c/d+e"}'}),
        ("logs", "describe_log_groups", {}),
        ("s3", "get_bucket_notification_configuration", {"Bucket": "raw-data"}),
    ):
        try:
            getattr(client(service, url, key, secret), operation)(**asked)
            said.append("ok")
        except ClientError as error:
            response: Any = error.response
            said.append(response["Error"]["Code"])
    return said


def test_who_signs_with_a_key_of_ours_may_call(closed: World) -> None:
    """All three services; a wrong secret or a key nobody gave out opens none."""
    made = AccessKeys(closed.ledger, closed.settings).create(name="ci", actor="ann")
    with serving(closed) as url:
        assert calls(url, made.key.id, made.secret) == ["ok"] * 4
        runs = len(closed.ledger.runs().items)
        wrong, unknown = calls(url, made.key.id, "wrong"), calls(url, "AKIANOBODY", "wrong")
        with pytest.raises(ClientError, match="UnknownOperationException"):
            client("stepfunctions", url, made.key.id, made.secret).list_state_machines()

    # as each service names it
    assert wrong == ["InvalidSignatureException"] * 3 + ["SignatureDoesNotMatch"]
    assert unknown == ["UnrecognizedClientException"] * 3 + ["InvalidAccessKeyId"]
    assert len(closed.ledger.runs().items) == runs == 1
    assert closed.ledger.runs().items[0].cause.actor == "urn:li:corpuser:key-ci"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", INVOKE), ("GET", "/2015-03-31/functions"), ("GET", "/raw-data?notification")],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"host": "evil.example"},
    ],
)
def test_another_sites_page_may_not_call(open_to_all: World, method: str, path: str, headers: dict[str, str]) -> None:
    """Foreign Origin, foreign Host (DNS rebinding), a browser's cross-site call: nothing is told, nothing starts."""
    answer = open_to_all.call(method, path, headers=headers, content=b"{}" if method == "POST" else None)

    assert answer.status_code == 403
    assert "raw-data" not in answer.text
    assert open_to_all.ledger.runs().items == []


def test_without_a_signature_nothing_is_told(closed: World) -> None:
    """In each service's own form."""
    for method, path in (("POST", INVOKE), ("GET", "/2015-03-31/functions"), ("GET", "/raw-data?notification")):
        answer = closed.call(method, path, content=b"{}" if method == "POST" else None)
        assert answer.status_code == 403
        assert "csv" not in answer.text
    assert closed.ledger.runs().items == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", INVOKE, 404),
        ("POST", "/2015-03-31/functions", 404),
        ("DELETE", "/2015-03-31/functions/echo", 404),
        ("GET", "/2015-03-31/functions/echo/nothing", 404),
        ("GET", "/2015-03-31/functions/" + "x" * 3000, 404),
        ("GET", "/2015-03-31/functions/%ff%00", 404),
        ("GET", "/2015-03-31/functions//", 404),
    ],
)
def test_what_is_not_served_is_a_json_error(open_to_all: World, method: str, path: str, status: int) -> None:
    """Never HTML, never a 500, with the header SDKs look for."""
    answer = open_to_all.call(method, path)

    assert (answer.status_code, answer.json()["Type"]) == (status, "User")
    assert answer.headers["x-amzn-errortype"].endswith("Exception")


def test_a_bucket_nobody_knows_is_not_s3s_business(open_to_all: World) -> None:
    """Unsigned, such a path is like any other that is not there; other methods are not taken, either."""
    assert open_to_all.call("GET", "/nobodys?notification").status_code == 404
    assert "NoSuchBucket" not in open_to_all.call("GET", "/nobodys?notification").text
    assert open_to_all.call("PUT", "/raw-data?notification", content=b"x").status_code in (404, 405)
    assert open_to_all.call("GET", "/raw-data").status_code == 404


# -- whatever comes

LOGS: dict[str, list[str]] = {
    "DescribeLogGroups": ["logGroupNamePrefix", "logGroupNamePattern", "nextToken", "limit", "accountIdentifiers"],
    "DescribeLogStreams": ["logGroupName", "logGroupIdentifier", "logStreamNamePrefix", "orderBy", "descending",
                           "nextToken", "limit"],
    "GetLogEvents": ["logGroupName", "logGroupIdentifier", "logStreamName", "startTime", "endTime", "nextToken",
                     "limit", "startFromHead", "unmask"],
    "FilterLogEvents": ["logGroupName", "logStreamNames", "logStreamNamePrefix", "startTime", "endTime",
                        "filterPattern", "nextToken", "limit", "interleaved"],
}  # fmt: skip
RUN = "jr_" + "0" * 64
TEXTS = st.sampled_from(["", "/aws-glue/jobs/output", "/aws-glue/jobs/error", "/aws/lambda/echo", RUN, f"a/{RUN}",
                         "2026/01/01/[$LATEST]" + "0" * 32, "arn:aws:logs:r:1:log-group:/aws-glue/jobs/output:*",
                         "f/1", "b/" + "9" * 56, "n/3", "e/1/2/x", "e/1/-1/x", "LastEventTime",
                         "line -2 ?3"])  # fmt: skip
ANYTHING = TEXTS | st.text(max_size=8) | st.integers(-(2**40), 2**65) | st.booleans() | st.none() | st.lists(TEXTS)


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gate with one run that said something."""
    made = World(tmp_path_factory.mktemp("talkative"), project=PROJECT + FUNCTIONS)
    run = made.begin(made.start("views"))
    made.write_log(run.id, "line 1\nline 2\n", over=True)
    made.end(run)
    yield made
    made.close()


@given(st.sampled_from(sorted(LOGS)), st.data())
@settings(max_examples=150, deadline=None)
def test_no_question_about_logs_is_an_error_of_ours(talkative: World, operation: str, data: st.DataObject) -> None:
    """It is answered, or refused with a 400 and a code, whatever stands in whatever member."""
    body = data.draw(st.dictionaries(st.sampled_from(LOGS[operation]), ANYTHING, max_size=5))
    headers = {"x-amz-target": f"Logs_20140328.{operation}", "content-type": "application/x-amz-json-1.1"}
    answer = talkative.call("POST", "/", content=json.dumps(body), headers=headers)

    assert answer.status_code in (200, 400), (body, answer.text)
    if answer.status_code == 400:
        assert answer.json()["__type"] != "InternalServiceException"


@given(
    st.binary(max_size=30) | st.sampled_from([b"{}", b"null", b'"\\ud800"', b"1e999", b'{"a":NaN}', b"\xff"]),
    st.sampled_from(["Event", "DryRun", "", "event", "x" * 300]),
    st.sampled_from(
        ["echo", "echo:1", "arn:aws:lambda:us-east-1:000000000000:function:echo", "", "a/b", "%2e%2e", ":"]
    ),
)
@settings(max_examples=100, deadline=None)
def test_no_invocation_is_an_error_of_ours(talkative: World, payload: bytes, kind: str, name: str) -> None:
    """Accepted, or refused in Lambda's form."""
    path = f"/2015-03-31/functions/{quote(name, safe='%')}/invocations"
    answer = talkative.call("POST", path, content=payload, headers={"x-amz-invocation-type": kind})

    assert answer.status_code in (202, 204, 400, 404, 413), answer.text
    if answer.status_code >= 400:
        assert answer.headers["x-amzn-errortype"]
        assert answer.json()["Message"]


def test_functions_are_no_jobs_of_glues_lists(open_to_all: World) -> None:
    """Each is run as a job `function:NAME`, which Glue's API knows nothing of, and the REST API does."""
    with serving(open_to_all) as url:
        glue = client("glue", url, "any", "any")
        own, command = "function:echo", {"Name": "pythonshell", "ScriptLocation": "x.py"}
        for name in ("get_job", "get_job_runs", "start_job_run"):
            with pytest.raises(glue.exceptions.EntityNotFoundException):
                getattr(glue, name)(JobName=own)
        with pytest.raises(glue.exceptions.EntityNotFoundException):
            glue.update_job(JobName=own, JobUpdate={"Role": "r", "Command": command})
        with pytest.raises(glue.exceptions.InvalidInputException, match="are functions' of headgate"):
            glue.create_job(Name="function:mine", Role="r", Command=command)
        assert glue.batch_get_jobs(JobNames=[own])["JobsNotFound"] == [own]
        glue.delete_job(JobName=own)
        size = {"PageSize": 1}
        jobs = [page["Jobs"] for page in glue.get_paginator("get_jobs").paginate(PaginationConfig=size)]
        names = [page["JobNames"] for page in glue.get_paginator("list_jobs").paginate(PaginationConfig=size)]
    assert [one["Name"] for page in jobs for one in page] == ["a/b <i>&", "ingest", "picky", "views"]
    assert [one for page in names for one in page] == ["a/b <i>&", "ingest", "picky", "views"]
    told = open_to_all.call("GET", "/headgate/api/v1/jobs").json()["items"]
    assert "function:echo" in [one["name"] for one in told]


def test_lambdas_waiters_find_a_function_ready(open_to_all: World) -> None:
    """At the first look, each of the three that ask whether it can be invoked; of none that is not there."""
    with serving(open_to_all) as url:
        functions = client("lambda", url, "any", "any")
        for name in ("function_exists", "function_active", "function_active_v2", "function_updated_v2"):
            functions.get_waiter(name).wait(FunctionName="echo", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
        with pytest.raises(WaiterError, match="Max attempts exceeded"):
            functions.get_waiter("function_exists").wait(
                FunctionName="none", WaiterConfig={"Delay": 0, "MaxAttempts": 2}
            )


def test_functions_are_listed_in_pages(tmp_path: Path) -> None:
    """As many as are asked for, and a marker for the rest; a size or a marker of nobody's is refused."""
    many = "functions: {" + ", ".join(f"f{n}: {{handler: handlers.f}}" for n in range(5)) + "}\n"
    world = World(tmp_path, project=PROJECT + many)
    path, seen, marker = "/2015-03-31/functions", list[list[str]](), ""
    while len(seen) < 9:
        page = world.call("GET", f"{path}?MaxItems=2{marker}").json()
        seen.append([one["FunctionName"] for one in page["Functions"]])
        if "NextMarker" not in page:
            break
        marker = f"&Marker={page['NextMarker']}"
    wrong = [world.call("GET", f"{path}?{query}") for query in ("MaxItems=0", "MaxItems=x", "Marker=nobody")]
    world.close()

    assert seen == [["f0", "f1"], ["f2", "f3"], ["f4"]]
    assert [(one.status_code, one.headers["x-amzn-errortype"]) for one in wrong] == (
        [(400, "InvalidParameterValueException")] * 3
    )


def test_an_invocation_that_a_stop_cuts_off_is_answered_in_lambdas_form(open_to_all: World) -> None:
    """503, which SDKs send again; what runs goes on, and the same call finds it."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def cut_off() -> None:
        headers = [(b"host", b"localhost"), (b"amz-sdk-invocation-id", b"once")]
        scope = {"type": "http", "method": "POST", "path": INVOKE, "query_string": b"", "headers": headers}
        task = asyncio.ensure_future(open_to_all.port(scope, receive, send))
        await asyncio.to_thread(until, lambda: open_to_all.claimed, "the run is claimed")
        task.cancel()
        await asyncio.wait([task], timeout=30)

    asyncio.run(cut_off())
    start, body = sent
    [run] = open_to_all.ledger.runs().items

    assert (start["status"], json.loads(body["body"])["Type"]) == (503, "Service")
    assert (b"x-amzn-errortype", b"ServiceException") in start["headers"]
    assert run.ended_at is None
