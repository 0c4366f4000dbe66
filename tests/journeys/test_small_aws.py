"""This file is where AWS's own clients use the small surface: functions, logs, a bucket's notifications."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from headgate.model import RunState
from headgate.project import write_project

from .aws_world import CLI_2, Served, command, environment, served
from .world import ended, make_project, runs_of, until

HANDLERS = """
import os, time

import boto3


def echo(event, context):
    print("hello", event, os.environ["GREETING"], context.function_name)
    return {"event": event, "id": context.aws_request_id, "left": context.get_remaining_time_in_millis() > 0}


def fails(event, context):
    raise KeyError("no such column")


def slow(event, context):
    time.sleep(60)


def odd(event, context):
    return object()


def large(event, context):
    return "x" * (1 << 20)


def leaves(event, context):
    raise SystemExit(0)


def start(event, context):
    record = event["Records"][0]["s3"]
    given = {"--key": record["object"]["key"], "--bucket": record["bucket"]["name"]}
    return boto3.client("glue").start_job_run(JobName="ingest", Arguments=given)["JobRunId"]
"""
CONFIGURATION = """
jobs:
  ingest: {engine: local, run: journey_jobs.first}
  talks: {engine: local, command: [sh, -c, "for n in $(seq 1 25); do echo line $n; done; echo ERROR at the end"]}
  breaks: {engine: local, command: [sh, -c, "echo no luck; exit 3"]}
  steady: {engine: local, command: [sh, -c, "n=0; while [ ! -e stop ]; do n=$((n+1)); echo tick $n; sleep 0.2; done"]}
functions:
  echo: {handler: handlers.echo, variables: {GREETING: hi}, description: Says what it hears.}
  fails: {handler: handlers.fails}
  slow: {handler: handlers.slow, timeout: 1s}
  odd: {handler: handlers.odd}
  large: {handler: handlers.large}
  leaves: {handler: handlers.leaves}
  nowhere: {handler: no_such_module.handler}
  trigger-glue-job-lambda: {handler: handlers.start}
triggers:
  csv-uploaded: {type: EVENT, s3: {bucket: raw-data, prefix: in/, suffix: [.csv, .gz]}, actions: [ingest]}
  told: {type: EVENT, s3: {bucket: told, prefix: a&b/}, actions: ["function:trigger-glue-job-lambda"]}
inboxes: {raw-data: ./inbox}
"""


@pytest.fixture(scope="module")
def headgate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = make_project(tmp_path_factory.mktemp("aws") / "project", CONFIGURATION)
    (folder / "handlers.py").write_text(HANDLERS, "utf-8")
    with served(folder) as made:
        yield made


def invoke(headgate: Served, name: str, payload: object = None, **more: Any) -> Any:
    text = json.dumps({} if payload is None else payload).encode()
    return headgate.client("lambda").invoke(FunctionName=name, Payload=text, **more)


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# -- functions


def test_functions_are_listed_and_described(headgate: Served) -> None:
    """By name and by ARN, with what headgate.yaml says of them."""
    client = headgate.client("lambda")
    listed = client.list_functions()["Functions"]
    assert [one["FunctionName"] for one in listed][:2] == ["echo", "fails"]
    for name in ("echo", "echo:$LATEST", listed[0]["FunctionArn"], "000000000000:function:echo"):
        found = client.get_function(FunctionName=name)["Configuration"]
        assert (found["Handler"], found["Timeout"]) == ("handlers.echo", 60)
        assert found["Environment"] == {"Variables": {"GREETING": "hi"}}
    assert client.get_function_configuration(FunctionName="slow")["Timeout"] == 1


def test_an_invocation_is_answered_by_the_handler(headgate: Served) -> None:
    """What it returned, the end of its log, and the run it was."""
    answer = invoke(headgate, "echo", {"a": [1, "ü"]}, LogType="Tail")
    said = json.load(answer["Payload"])

    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    assert said["event"] == {"a": [1, "ü"]}
    assert said["left"] is True
    assert answer["ResponseMetadata"]["RequestId"] == said["id"]
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "START RequestId: " + said["id"] in tail
    assert "hello {'a': [1, 'ü']} hi echo" in tail
    run = runs_of(headgate.app, "function:echo")[-1]
    assert (run.state, run.cause.reason) == (RunState.SUCCEEDED, "aws lambda invoke")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("fails", "KeyError", "no such column"),
        ("odd", "TypeError", "Unable to marshal response"),
        ("nowhere", "ModuleNotFoundError", "no_such_module"),
        ("large", "Function.ResponseSizeTooLarge", "Response payload size (1048578 bytes) exceeded maximum"),
        ("leaves", "Runtime.ExitError", "Runtime exited without providing a reason"),
        ("slow", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_what_goes_wrong_in_a_function_is_told_as_lambda_tells_it(
    headgate: Served, name: str, kind: str, message: str
) -> None:
    """Status 200, FunctionError, and what it was; it is not tried again by itself."""
    before = len(runs_of(headgate.app, f"function:{name}"))
    answer = invoke(headgate, name)
    said = json.load(answer["Payload"])

    assert (answer["StatusCode"], answer["FunctionError"], said["errorType"]) == (200, "Unhandled", kind)
    assert message in said["errorMessage"]
    runs = runs_of(headgate.app, f"function:{name}")
    assert (len(runs), runs[-1].attempt) == (before + 1, 0)


def test_an_event_is_accepted_and_run(headgate: Served) -> None:
    """InvocationType Event: 202 at once, and a run that ends by itself. DryRun starts nothing."""
    before = len(runs_of(headgate.app, "function:echo"))
    assert invoke(headgate, "echo", {"n": 1}, InvocationType="Event")["StatusCode"] == 202
    assert invoke(headgate, "echo", {"n": 2}, InvocationType="DryRun")["StatusCode"] == 204
    [run] = runs_of(headgate.app, "function:echo")[before:]

    assert ended(headgate.app, run).result["payload"]["event"] == {"n": 1}  # type: ignore[index, call-overload]


def test_a_function_finds_this_headgate_in_awss_place(headgate: Served) -> None:
    """The seed's function calls StartJobRun by boto3, with nothing configured: the run is ours."""
    event = {"Records": [{"s3": {"bucket": {"name": "test"}, "object": {"key": "test.csv"}}}]}
    run = json.load(invoke(headgate, "trigger-glue-job-lambda", event)["Payload"])

    found = ended(headgate.app, run)
    assert (found.job, found.arguments["--key"], found.state) == ("ingest", "test.csv", RunState.SUCCEEDED)


def test_a_trigger_starts_a_function_with_the_objects_it_is_about(headgate: Served) -> None:
    """In the shape S3 tells a function of them."""
    about = {"key": "a%26b/my+file.csv", "size": 3, "eTag": "x"}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "s3": {"bucket": {"name": "told"}, "object": about}}
    answer = httpx.post(f"{headgate.url}/api/ingestion/events", json={"Records": [record]}, trust_env=False).json()
    done = ended(headgate.app, answer["events"][0]["decisions"][0]["run"])

    started = ended(headgate.app, str(done.result["payload"]))
    assert (started.job, started.arguments["--key"]) == ("ingest", "a%26b/my+file.csv")


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("unknown", b"{}", ("ResourceNotFoundException", 404)),
        ("echo", b"no JSON", ("InvalidRequestContentException", 400)),
        ("echo", b'{"a": NaN}', ("InvalidRequestContentException", 400)),
        ("echo", b'"' + b"x" * 70_000 + b'"', ("RequestTooLargeException", 413)),
        ("echo", b"[" * 20_000, ("InvalidRequestContentException", 400)),
    ],
)
def test_a_wrong_invocation_starts_nothing(headgate: Served, name: str, payload: bytes, code: tuple[str, int]) -> None:
    """With Lambda's own words for it."""
    before = len(runs_of(headgate.app, "function:echo"))
    with pytest.raises(ClientError) as raised:
        headgate.client("lambda").invoke(FunctionName=name, Payload=io.BytesIO(payload))

    assert code_of(raised) == code
    assert len(runs_of(headgate.app, "function:echo")) == before


def test_a_call_that_is_sent_again_is_one_invocation(headgate: Served) -> None:
    """Both attempts of one SDK call are answered by the same run."""
    client = headgate.client("lambda")

    def again(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = "same"

    client.meta.events.register("before-send.lambda.Invoke", again)
    before = len(runs_of(headgate.app, "function:echo"))
    ids = {client.invoke(FunctionName="echo")["ResponseMetadata"]["RequestId"] for _ in range(2)}

    assert len(ids) == 1
    assert len(runs_of(headgate.app, "function:echo")) == before + 1


def test_the_command_invokes_as_the_seed_types_it(headgate: Served, tmp_path: Path) -> None:
    """`aws lambda invoke` of both versions, with the seed's payload."""
    payload = '{"Records":[{"s3":{"bucket":{"name":"test"},"object":{"key":"test.csv"}}}]}'
    words = ("lambda", "invoke", "--function-name", "trigger-glue-job-lambda", "--payload", payload)
    done = headgate.aws(*words, "response.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["StatusCode"] == 200
    assert json.loads((tmp_path / "response.json").read_text("utf-8")).startswith("jr_")
    if CLI_2.exists():
        done = headgate.aws(*words, "--cli-binary-format", "raw-in-base64-out", "two.json", two=True, cwd=tmp_path)
        assert (done.returncode, json.loads(done.stdout)["StatusCode"]) == (0, 200), done.stderr


# -- logs


@pytest.fixture(scope="module")
def talked(headgate: Served) -> str:
    """The id of a run that said 26 lines."""
    return ended(headgate.app, headgate.app.gate.start("talks", arguments={}, actor="ann")).id


def test_groups_are_listed(headgate: Served) -> None:
    """Glue's two, and one for each function."""
    client = headgate.client("logs")
    names = [one["logGroupName"] for one in client.describe_log_groups()["logGroups"]]
    assert "/aws-glue/jobs/output" in names
    assert "/aws-glue/jobs/error" in names
    found = client.describe_log_groups(logGroupNamePrefix="/aws/lambda/trig")["logGroups"]
    assert [one["logGroupName"] for one in found] == ["/aws/lambda/trigger-glue-job-lambda"]
    pages = client.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [one["logGroupName"] for page in pages for one in page["logGroups"]] == names


@pytest.mark.parametrize("prefix", ["", "talks/"])
def test_a_runs_log_is_found_by_its_id_and_by_its_job(headgate: Served, talked: str, prefix: str) -> None:
    """Forward from the head, page by page, until the token stays the same; and the newest first."""
    client = headgate.client("logs")
    stream = f"{prefix}{talked}"
    described = client.describe_log_streams(logGroupName="/aws-glue/jobs/output", logStreamNamePrefix=stream)
    assert [one["logStreamName"] for one in described["logStreams"]] == [stream]
    asked: dict[str, Any] = {"logGroupName": "/aws-glue/jobs/output", "logStreamName": stream, "limit": 10}
    lines: list[str] = []
    token = None
    while True:
        more = {"nextToken": token} if token else {"startFromHead": True}
        page = client.get_log_events(**asked, **more)
        lines += [one["message"] for one in page["events"]]
        if page["nextForwardToken"] == token:
            break
        token = page["nextForwardToken"]
    assert lines == [*(f"line {number}" for number in range(1, 26)), "ERROR at the end"]
    assert [one["message"] for one in client.get_log_events(**{**asked, "limit": 1})["events"]] == lines[-1:]


def test_lines_are_searched_by_words_and_time(headgate: Served, talked: str) -> None:
    """In order, with times between the run's start and its end, in pages, each line once."""
    client = headgate.client("logs")
    group = "/aws-glue/jobs/output"
    asked: dict[str, Any] = {"logGroupName": group, "logStreamNames": [talked]}
    pages = client.get_paginator("filter_log_events").paginate(**asked, PaginationConfig={"PageSize": 7})
    events = [one for page in pages for one in page["events"]]
    run = headgate.app.ledger.run(talked)
    assert [one["message"] for one in events][:2] == ["line 1", "line 2"]
    assert len(events) == len({one["eventId"] for one in events}) == 26
    assert [one["timestamp"] for one in events] == sorted(one["timestamp"] for one in events)
    assert run.started_at is not None
    assert events[0]["timestamp"] >= int(run.started_at.timestamp() * 1000)
    found = client.filter_log_events(**asked, filterPattern='line -"line 2" ?0 ?5')["events"]
    assert [one["message"] for one in found] == ["line 5", "line 10", "line 15"]
    assert client.filter_log_events(logGroupName=group, filterPattern="ERROR")["events"][-1]["logStreamName"] == talked
    tomorrow = int((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1000)
    assert client.filter_log_events(**asked, startTime=tomorrow)["events"] == []


def test_how_a_run_failed_is_in_the_error_group(headgate: Served) -> None:
    """One line; what it printed is in the other group."""
    run = ended(headgate.app, headgate.app.gate.start("breaks", arguments={}, actor="ann"))
    client = headgate.client("logs")
    said = client.get_log_events(logGroupName="/aws-glue/jobs/error", logStreamName=run.id)["events"]
    assert [one["message"] for one in said] == [run.error]
    printed = client.get_log_events(logGroupName="/aws-glue/jobs/output", logStreamName=run.id)["events"]
    assert [one["message"] for one in printed] == ["no luck"]


def test_a_functions_log_is_in_its_own_group(headgate: Served) -> None:
    """One stream an invocation, named as Lambda names them; runs of jobs are not in it, nor it among theirs."""
    invoke(headgate, "fails")
    client = headgate.client("logs")
    [*_, newest] = client.describe_log_streams(logGroupName="/aws/lambda/fails")["logStreams"]
    said = client.get_log_events(logGroupName="/aws/lambda/fails", logStreamName=newest["logStreamName"])["events"]
    lines = [one["message"] for one in said]
    assert lines[0].startswith("START RequestId: ")
    assert any(line.startswith("REPORT RequestId: ") for line in lines)
    # as Lambda prints it: once, and from the handler on
    assert lines[1:3] == ["[ERROR] KeyError: 'no such column'", "Traceback (most recent call last):"]
    assert "handlers.py" in lines[3]
    assert len(lines) == 7, lines
    found = client.filter_log_events(logGroupName="/aws/lambda/fails", filterPattern="REPORT")["events"]
    assert found[-1]["logStreamName"].partition("[")[2].startswith("$LATEST]")
    run = runs_of(headgate.app, "function:fails")[-1]
    with pytest.raises(ClientError):
        client.get_log_events(logGroupName="/aws-glue/jobs/output", logStreamName=run.id)


@pytest.mark.parametrize(
    ("operation", "asked", "code"),
    [
        ("get_log_events", {"logGroupName": "/aws-glue/jobs/output", "logStreamName": "none"},
         "ResourceNotFoundException"),
        ("get_log_events", {"logGroupName": "/aws/lambda/none", "logStreamName": "none"}, "ResourceNotFoundException"),
        ("filter_log_events", {"logGroupName": "/else"}, "ResourceNotFoundException"),
        ("filter_log_events", {"logGroupName": "/aws-glue/jobs/output", "filterPattern": '{ $.x = "y" }'},
         "InvalidParameterException"),
        ("filter_log_events", {"logGroupName": "/aws-glue/jobs/output", "nextToken": "x"}, "InvalidParameterException"),
        ("filter_log_events", {"logGroupName": "/aws-glue/jobs/output", "filterPattern": '"open'},
         "InvalidParameterException"),
        ("describe_log_streams", {"logGroupName": "/aws-glue/jobs/output", "nextToken": "x"},
         "InvalidParameterException"),
        ("describe_log_streams", {"logGroupName": "/aws-glue/jobs/output", "logStreamNamePrefix": "a",
                                  "orderBy": "LastEventTime"}, "InvalidParameterException"),
        ("describe_queries", {}, "UnknownOperationException"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_in_awss_words(
    headgate: Served, operation: str, asked: dict[str, Any], code: str
) -> None:
    """Never a 500."""
    with pytest.raises(ClientError) as raised:
        getattr(headgate.client("logs"), operation)(**asked)

    assert code_of(raised) == (code, 400)


def follow(headgate: Served, group: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*command(headgate.url, two=True), "logs", "tail", group, "--follow", "--format", "short"],
        env={**environment(headgate.url), "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.skipif(not CLI_2.exists(), reason="`aws logs tail` is a command of version 2 (Debian's awscli)")
def test_the_command_follows_a_log_live(headgate: Served) -> None:
    """`aws logs tail --follow`: every line once and in order, those that come while it looks, too."""
    run = headgate.app.gate.start("steady", arguments={}, actor="ann")
    until(lambda: "tick 3" in headgate.app.gate.log(run.id).text, "the run to talk")
    with follow(headgate, "/aws-glue/jobs/output") as tail:
        try:
            assert tail.stdout is not None
            lines: list[str] = []
            give_up = time.monotonic() + 60
            while not any("tick 20" in line for line in lines):
                assert time.monotonic() < give_up, (lines, tail.poll())
                lines.append(tail.stdout.readline())
        finally:
            tail.terminate()
            (headgate.app.settings.project / "stop").touch()
    ended(headgate.app, run)
    ticks = [int(line.rpartition(" ")[2]) for line in lines if " tick " in line]

    assert ticks == list(range(1, 21))


# -- a bucket's notifications


def test_a_buckets_notifications_are_its_triggers(headgate: Served) -> None:
    """One for each suffix; the function a trigger starts, or the trigger in a function's place."""
    client = headgate.client("s3")
    found = client.get_bucket_notification_configuration(Bucket="raw-data")["LambdaFunctionConfigurations"]
    assert [one["Id"] for one in found] == ["csv-uploaded-1", "csv-uploaded-2"]
    assert found[0]["LambdaFunctionArn"].endswith(":function:csv-uploaded")
    assert found[0]["Events"] == ["s3:ObjectCreated:*"]
    assert found[0]["Filter"]["Key"]["FilterRules"] == [
        {"Name": "Prefix", "Value": "in/"},
        {"Name": "Suffix", "Value": ".csv"},
    ]
    [one] = client.get_bucket_notification_configuration(Bucket="told")["LambdaFunctionConfigurations"]
    assert one["LambdaFunctionArn"].endswith(":function:trigger-glue-job-lambda")
    assert one["Filter"]["Key"]["FilterRules"] == [{"Name": "Prefix", "Value": "a&b/"}]
    done = headgate.aws("s3api", "get-bucket-notification-configuration", "--bucket", "raw-data")
    assert [one["Id"] for one in json.loads(done.stdout)["LambdaFunctionConfigurations"]] == [
        one["Id"] for one in found
    ]


def test_a_bucket_nobody_knows_is_none(headgate: Served) -> None:
    """S3's own error."""
    with pytest.raises(ClientError) as raised:
        headgate.client("s3").get_bucket_notification_configuration(Bucket="nobodys")

    assert code_of(raised) == ("NoSuchBucket", 404)


# -- the example project


def test_the_seeds_test_invocation_says_why_nothing_starts(tmp_path: Path) -> None:
    """In the example project, as it is written: the payload's key is outside the prefix, and response.json says so."""
    write_project(tmp_path)
    payload = '{"Records":[{"s3":{"bucket":{"name":"test"},"object":{"key":"test.csv"}}}]}'
    words = ("lambda", "invoke", "--function-name", "trigger-glue-job-lambda", "--payload", payload, "response.json")
    with served(tmp_path) as example:
        done = example.aws(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        [said] = json.loads((tmp_path / "response.json").read_text("utf-8"))["events"]
        assert (said["outcome"], said["reason"]) == (
            "skipped",
            "prefix: key 'test.csv' does not start with 'collections-data/'",
        )
        event = {"Records": [{"s3": {"bucket": {"name": "raw-data"}, "object": {"key": "collections-data/x.csv"}}}]}
        [said] = json.load(invoke(example, "trigger-glue-job-lambda", event)["Payload"])["events"]
        assert said["outcome"] == "started"
        run = ended(example.app, str(said["run"]))
        assert (run.job, run.arguments["--key"]) == ("csv-to-iceberg-ingestion", "collections-data/x.csv")
