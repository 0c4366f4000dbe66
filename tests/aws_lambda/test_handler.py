"""This file is where the Lambda function is held to its word: every shape starts one run, and only once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from fakes.aws import FakeAws, Work
from services.moto import CREDENTIALS

import headgate
from headgate.aws_lambda import handler, starting
from headgate.aws_lambda.handling import Failed
from headgate.aws_lambda.starting import Misconfigured

KEY: Final = "in/ingest_ts=1/my file+1.csv"
Doc = dict[str, Any]


class Context:
    """What Lambda hands a function beside the event."""

    aws_request_id = "11111111-2222-3333-4444-555555555555"


def native(key: str = "in/ingest_ts%3D1/my+file%2B1.csv", **about: Any) -> Doc:
    stored = {"key": key, "size": 5, "eTag": "abc", "sequencer": "0A", **about}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-01-01T00:00:00.000Z",
              "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "raw"}, "object": stored}}  # fmt: skip
    return {"Records": [record]}


def eventbridge() -> Doc:
    stored = {"key": KEY, "size": 5, "etag": "abc", "sequencer": "0A"}
    return {"detail-type": "Object Created", "source": "aws.s3", "time": "2026-01-01T00:00:00Z",
            "detail": {"bucket": {"name": "raw"}, "object": stored, "reason": "PutObject"}}  # fmt: skip


def sns(inner: Doc) -> Doc:
    said = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:t", "Message": json.dumps(inner)}
    return {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": said}]}


def sqs(*bodies: object) -> Doc:
    return {"Records": [{"messageId": f"m{number}", "receiptHandle": "r", "eventSource": "aws:sqs",
                         "messageAttributes": {}, "attributes": {"ApproximateReceiveCount": "1"},
                         "body": body if isinstance(body, str) else json.dumps(body)}
                        for number, body in enumerate(bodies)]}  # fmt: skip


def env(monkeypatch: pytest.MonkeyPatch, url: str, given: Mapping[str, str]) -> None:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url, **given}.items():
        monkeypatch.setenv(name, value)
    forget()


def forget() -> None:
    """As in a new container."""
    starting.forget()


@pytest.fixture
def glue(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """moto's Glue with a workflow and a job of this test's own."""
    env(monkeypatch, moto_url, {"HEADGATE_GLUE_WORKFLOW": "ingest"})
    client: Any = boto3.client("glue")
    client.create_workflow(Name="ingest")
    client.create_job(Name="ingest", Role="r", Command={"Name": "glueetl", "ScriptLocation": "s3://b/k"})
    yield client
    client.delete_workflow(Name="ingest")
    client.delete_job(JobName="ingest")


def properties(glue: Any) -> list[Doc]:
    return [run["WorkflowRunProperties"] for run in glue.get_workflow_runs(Name="ingest")["Runs"]]


def by_hand(event: Doc) -> list[Doc]:
    return list(handler(event, Context())["events"])


@pytest.mark.parametrize("event", [native(), eventbridge(), sns(native()), sns(eventbridge())])
def test_a_workflow_run_has_the_object_in_its_properties(glue: Any, event: Doc) -> None:
    """Whatever the shape: bucket, decoded key, size and etag, and who it was that started it."""
    [said] = by_hand(event)

    assert (said["outcome"], said["bucket"], said["key"]) == ("started", "raw", KEY)
    [found] = properties(glue)
    mark = found.pop("headgate_event")
    assert found == {"bucket": "raw", "key": KEY, "size": "5", "etag": "abc"}
    assert len(mark) == 64


@pytest.mark.parametrize("inner", [native(), eventbridge(), sns(native())["Records"][0]["Sns"]])
def test_a_batch_of_sqs_answers_what_is_to_come_again(glue: Any, inner: Doc) -> None:
    """Nothing, where all of it was done; S3's test message is done with, too."""
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"}

    assert handler(sqs(inner, test), Context()) == {"batchItemFailures": []}
    assert [one["key"] for one in properties(glue)] == [KEY]


def test_a_bad_message_does_not_keep_the_others_back(glue: Any) -> None:
    """Only the one that cannot be read comes again."""
    said = handler(sqs("no JSON", native(), {"Records": [{"s3": {}}]}), Context())

    assert said == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]}
    assert len(properties(glue)) == 1


@pytest.mark.parametrize("way", ["workflow", "job"])
def test_the_same_event_starts_nothing_twice(glue: Any, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """In the same container and in another one, in another shape, and inside SQS."""
    monkeypatch.setenv("HEADGATE_START", way)
    monkeypatch.setenv("HEADGATE_GLUE_JOB", "ingest")
    [first] = by_hand(native())
    [again] = by_hand(native())
    forget()
    [elsewhere] = by_hand(eventbridge())
    forget()
    assert handler(sqs(native()), Context()) == {"batchItemFailures": []}

    assert [first["outcome"], again["outcome"], elsewhere["outcome"]] == ["started", "found", "found"]
    assert first["run"] == again["run"] == elsewhere["run"]
    runs = properties(glue) if way == "workflow" else glue.get_job_runs(JobName="ingest")["JobRuns"]
    assert len(runs) == 1


def test_changed_bytes_under_the_same_key_start_another(glue: Any) -> None:
    """What makes an event is the object's version or etag, and its sequencer."""
    by_hand(native())
    by_hand(native(eTag="other", sequencer="0B"))

    assert len(properties(glue)) == 2


def test_the_seeds_test_payload_is_one_event_an_invocation(glue: Any) -> None:
    """A record with a bucket and a key alone; a retry of the same request finds the first one's run."""
    event = {"Records": [{"s3": {"bucket": {"name": "test"}, "object": {"key": "test.csv"}}}]}
    [first] = by_hand(event)
    forget()
    [again] = by_hand(event)

    assert (first["outcome"], again["outcome"]) == ("started", "found")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (native("in/_SUCCESS"), "marker"),
        (native("in/"), "folder marker"),
        (native(size=0), "empty"),
        (native("other/a.csv"), "prefix"),
        (native("in/a.txt"), "suffix"),
        ({"Records": [{**native()["Records"][0], "eventName": "ObjectRemoved:Delete"}]}, "event"),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"}, "test event"),
        ({"Records": [{**native()["Records"][0], "s3": {"bucket": {"name": "else"}, "object": {"key": "in/a.csv"}}}]},
         "bucket"),
    ],
)  # fmt: skip
def test_what_starts_nothing_says_why(glue: Any, monkeypatch: pytest.MonkeyPatch, event: Doc, reason: str) -> None:
    """The answer of an invocation by hand has it; nothing is started."""
    monkeypatch.setenv("HEADGATE_BUCKET", "raw")
    monkeypatch.setenv("HEADGATE_PREFIX", "in/")
    monkeypatch.setenv("HEADGATE_SUFFIX", ".csv, .CSV.GZ")
    [said] = by_hand(event)

    assert (said["outcome"], said["run"]) == ("skipped", None)
    assert said["reason"].startswith(reason)
    assert properties(glue) == []


def test_a_job_run_has_the_object_in_its_arguments(glue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEADGATE_START=job: keys with their dashes."""
    monkeypatch.setenv("HEADGATE_START", "job")
    monkeypatch.setenv("HEADGATE_GLUE_JOB", "ingest")
    [said] = by_hand(native())

    [run] = glue.get_job_runs(JobName="ingest")["JobRuns"]
    assert run["Id"] == said["run"]
    assert (run["Arguments"]["--bucket"], run["Arguments"]["--key"]) == ("raw", KEY)


# -- a Glue that misbehaves


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws() as made:
        env(monkeypatch, made.url, {"HEADGATE_START": "job", "HEADGATE_GLUE_JOB": "succeeds"})
        yield made


def test_a_lost_answer_is_not_asked_for_twice(fake: FakeAws) -> None:
    """The start was made and nobody heard of it: the invocation fails, the retry finds what it started."""
    fake.fault("StartJobRun", "lost")
    with pytest.raises(Failed, match="may have been done"):
        handler(native(), Context())
    assert fake.count("StartJobRun") == 1
    [said] = by_hand(native())

    assert said["outcome"] == "found"
    assert len(fake.runs) == 1


@pytest.mark.parametrize("operation", ["StartJobRun", "GetJobRuns"])
def test_half_an_answer_starts_nothing_twice(fake: FakeAws, operation: str) -> None:
    """Of an answer with status 200 half has come: the others of the batch are done, and the next try looks."""
    handler(sqs(native("in/before.csv")), Context())
    forget()
    fake.fault(operation, "whole half")
    again = handler(sqs(native("in/before.csv"), native("in/new.csv")), Context())
    assert again == {"batchItemFailures": [{"itemIdentifier": "m1" if operation == "StartJobRun" else "m0"}]}
    forget()
    assert handler(sqs(native("in/before.csv"), native("in/new.csv")), Context()) == {"batchItemFailures": []}

    assert len(fake.runs) == 2


@pytest.mark.parametrize("kind", ["throttle", "error", "html", "denied", "expired"])
def test_a_start_that_is_refused_comes_again(fake: FakeAws, kind: str) -> None:
    """Through SQS: the message is to come again, and starts one run then."""
    fake.fault("StartJobRun", kind)

    assert handler(sqs(native()), Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert handler(sqs(native()), Context()) == {"batchItemFailures": []}
    assert len(fake.runs) == 1


def test_a_search_that_is_throttled_is_made_again(fake: FakeAws) -> None:
    """Looking may be repeated by boto3 itself."""
    fake.fault("GetJobRuns", "throttle", 1)

    assert by_hand(native())[0]["outcome"] == "started"


def test_a_full_job_is_asked_again_and_told_to_queue(fake: FakeAws) -> None:
    """ConcurrentRunsExceeded is a failure of the message; every start asks for queueing, unless it is told not to."""
    fake.full = True

    assert handler(sqs(native()), Context())["batchItemFailures"] == [{"itemIdentifier": "m0"}]
    assert next(one.body for one in fake.calls if one.operation == "StartJobRun")["JobRunQueuingEnabled"] is True


def test_the_search_goes_back_no_further_than_the_event(fake: FakeAws) -> None:
    """Page by page through runs that began since it happened; one page is enough for an event of just now."""
    for number in range(250):
        fake.runs[f"jr_{number}"] = Work("succeeds", 1.0, {"Arguments": {"--n": str(number)}})
    by_hand(native())
    assert fake.count("GetJobRuns") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"HEADGATE_START": "glue"}, "expected workflow, job or headgate, found 'glue'"),
        ({"HEADGATE_START": "job", "HEADGATE_GLUE_JOB": ""}, "HEADGATE_GLUE_JOB: expected the name of a Glue job"),
        ({"HEADGATE_START": ""}, "HEADGATE_GLUE_WORKFLOW: expected the name of a Glue workflow"),
        ({"HEADGATE_START": "headgate", "HEADGATE_URL": "file:///etc/passwd"}, "HEADGATE_URL: expected the http or"),
    ],
)
def test_a_wrong_variable_is_named(
    fake: FakeAws, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str], said: str
) -> None:
    """With what was expected, before anything is started."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match=said):
        handler(native(), Context())


def test_a_malformed_event_fails_and_names_the_record(fake: FakeAws) -> None:
    """Lambda retries it and then puts it into the dead-letter queue; nothing of it was started."""
    event = {"Records": [*native()["Records"], {"s3": {"bucket": {"name": "raw"}, "object": {"key": 7}}}]}
    with pytest.raises(Failed, match=r"Records\[1\]\.s3\.object\.key: expected a string, got a number"):
        handler(event, Context())

    assert fake.runs == {}


# -- alone


def test_it_is_deployed_alone(fake: FakeAws, tmp_path: Path) -> None:
    """Its folder and headgate/__init__.py are all of ours it needs, and boto3 all of others'."""
    source, target = Path(headgate.__file__).parent, tmp_path / "headgate"
    shutil.copytree(source / "aws_lambda", target / "aws_lambda", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "__init__.py", target)
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from headgate.aws_lambda import handler
assert "boto3" not in sys.modules  # a cold start that starts nothing does without
print(handler({native()!r}, None)["events"][0]["outcome"])
others = {{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
print(sorted(others & {{"msgspec", "httpx", "structlog", "pydantic", "yaml", "sqlalchemy", "attrs"}}))
print(sorted(name for name in sys.modules if name.startswith("headgate")))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert ran.stdout.splitlines()[:2] == ["started", "[]"], ran
    assert ran.stdout.splitlines()[2] == str(
        [
            "headgate",
            *(
                f"headgate.aws_lambda{one}"
                for one in ("", ".answers", ".handling", ".marking", ".messages", ".objects", ".starting")
            ),
        ]
    )
