"""This file is where an upload goes the whole way on moto's AWS: S3 tells SQS, Headgate takes it, the job runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from fakes.aws import FakeAws
from fakes.sqs import FakeSqs
from services.moto import CREDENTIALS, REGION, moto

from headgate.app import App
from headgate.model import RunState
from headgate.runtime.dead_letters import DeadLetters

from .world import ended, in_state, make_project, running, runs_of, until

TO_SQS = "arn:aws:sqs:us-east-1:123456789012:uploads"


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def on_moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    return moto_url


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def project(folder: Path, url: str, queue: str) -> Path:
    return make_project(
        folder,
        f"""
jobs: {{ingest: {{engine: local, run: journey_jobs.first}}}}
triggers:
  uploaded: {{type: EVENT, s3: {{bucket: raw, prefix: in/, suffix: [.csv]}}, actions: [ingest]}}
sqs: [{{queue_url: "{queue}", region: {REGION}, endpoint_url: "{url}", poison_after: 1}}]
""",
    )


def queue_of(name: str) -> str:
    """A new queue that S3 may send to; what moto hands out as its URL is at moto's own address."""
    return str(client("sqs").create_queue(QueueName=name)["QueueUrl"])


def empty(queue: str) -> bool:
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=wanted)["Attributes"]
    return all(found[name] == "0" for name in wanted)


def led_to_nothing(app: App) -> list[str]:
    return [one.decision.reason for one in app.ledger.decisions(limit=100).items if one.decision.run is None]


def test_an_upload_to_s3_becomes_a_run(on_moto: str, tmp_path: Path) -> None:
    """With the key decoded; S3's test message is no event, the same message again is no second run."""
    queue = queue_of("uploads")
    s3 = client("s3")
    s3.create_bucket(Bucket="raw")
    told = {"QueueArn": TO_SQS, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="raw", NotificationConfiguration={"QueueConfigurations": [told]})
    with running(project(tmp_path, on_moto, queue), doors=True) as app:
        s3.put_object(Bucket="raw", Key="in/ingest_ts=1/my file+1.csv", Body=b"a\n1\n")
        until(lambda: len(runs_of(app, "ingest")) == 1, "the run")
        run = ended(app, runs_of(app, "ingest")[0])
        assert (run.state, run.result) == (RunState.SUCCEEDED, {"objects": ["in/ingest_ts=1/my file+1.csv"]})
        event = app.ledger.event(run.cause.event)  # type: ignore[arg-type]
        assert event.event.door == "sqs"
        s3.put_object(Bucket="raw", Key="in/ingest_ts=1/my file+1.csv", Body=b"a\n1\n")
        s3.put_object(Bucket="raw", Key="in/a.csv", Body=b"a\n2\n")
        s3.put_object(Bucket="raw", Key="in/_SUCCESS", Body=b"")
        s3.put_object(Bucket="raw", Key="other/a.csv", Body=b"a\n2\n")
        until(lambda: empty(queue), "the queue to be empty")
        until(lambda: not app.ledger.counts(), "every run to end")
        reasons = sorted(reason.partition(":")[0] for reason in led_to_nothing(app))

        assert [run.result["objects"] for run in runs_of(app, "ingest")][1:] == [["in/a.csv"]]
        assert reasons == ["marker", "prefix"]


def test_an_event_of_eventbridge_becomes_a_run(on_moto: str, tmp_path: Path) -> None:
    """moto gives every one the same id and sequencer: new bytes under a key are a new event all the same."""
    queue = queue_of("bridge")
    s3, events = client("s3"), client("events")
    s3.create_bucket(Bucket="bridged")
    s3.put_bucket_notification_configuration(
        Bucket="bridged", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = json.dumps({"source": ["aws.s3"], "detail-type": ["Object Created"]})
    events.put_rule(Name="uploads", EventPattern=pattern)
    events.put_targets(Rule="uploads", Targets=[{"Id": "1", "Arn": TO_SQS.replace("uploads", "bridge")}])
    folder = project(tmp_path, on_moto, queue)
    (folder / "headgate.yaml").write_text((folder / "headgate.yaml").read_text("utf-8").replace("raw", "bridged"))
    with running(folder, doors=True) as app:
        for body in (b"a\n1\n", b"a\n22\n"):
            count = len(runs_of(app, "ingest"))
            s3.put_object(Bucket="bridged", Key="in/my file+1.csv", Body=body)
            until(lambda count=count: len(runs_of(app, "ingest")) == count + 1, "the run")
            assert ended(app, runs_of(app, "ingest")[-1]).result == {"objects": ["in/my file+1.csv"]}


def test_what_cannot_be_read_is_listed_and_can_be_tried_again(on_moto: str, tmp_path: Path) -> None:
    """A message that is no event leaves the queue for the dead-letter list; the audit says who took it from there."""
    queue = queue_of("poison")
    with running(project(tmp_path, on_moto, queue), doors=True) as app:
        letters = DeadLetters(app.ledger)
        client("sqs").send_message(QueueUrl=queue, MessageBody="not JSON")
        until(letters.count, "the dead letter")
        until(lambda: empty(queue), "the queue to be empty")
        [kept] = letters.page().items
        assert (kept.letter.body, kept.letter.receives, kept.letter.source) == ("not JSON", 1, queue)
        assert "expected JSON" in kept.letter.error
        assert app.readiness()["warnings"] == ["1 messages cannot be read: `headgate events dead list`"]
        letters.delete(kept.id, actor="ann", reason="a typo")

        assert letters.page().items == []
        newest = app.ledger.audit().items[0]
        assert (newest.action, newest.subject, newest.reason) == ("dead.delete", kept.id, "a typo")


def test_a_queue_that_is_gone_is_a_warning_and_no_more(on_moto: str, tmp_path: Path) -> None:
    """/readyz warns without a name of AWS, and the server is ready all the same."""
    with running(project(tmp_path, on_moto, f"{on_moto}/123456789012/nowhere"), doors=True) as app:
        until(lambda: app.readiness()["warnings"], "the warning")
        said = str(app.readiness()["warnings"])

        assert app.readiness()["ready"]
        assert "sqs[0]: the queue cannot be read now" in said
        assert "nowhere" not in said


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeAws, FakeSqs]]:
    with FakeAws() as fake, FakeSqs() as queue:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        yield fake, queue


def test_a_state_change_ends_the_run_at_once(aws: tuple[FakeAws, FakeSqs], tmp_path: Path) -> None:
    """What EventBridge says of an execution ends its run without another look; Glue's is the reason for a look."""
    fake, queue = aws
    folder = make_project(
        tmp_path,
        f"""
jobs:
  machine: {{engine: step_functions, state_machine_arn: "{fake.machine("stuck")}"}}
  glue: {{engine: glue, job_name: lasts}}
sqs: [{{queue_url: "https://sqs.us-east-1.amazonaws.com/123456789012/states", endpoint_url: "{queue.url}"}}]
""",
    )
    with running(folder, doors=True) as app:
        machine = in_state(app, app.gate.start("machine", arguments={}, actor="ann"), RunState.RUNNING)
        glue = in_state(app, app.gate.start("glue", arguments={}, actor="ann"), RunState.RUNNING)
        detail = {"executionArn": machine.external_id, "status": "SUCCEEDED", "output": '{"rows": 7}',
                  "stopDate": 1767225600000}  # fmt: skip
        queue.send({"detail-type": "Step Functions Execution Status Change", "source": "aws.states", "detail": detail})
        done = ended(app, machine)
        assert (done.state, done.result) == (RunState.SUCCEEDED, {"rows": 7})

        fake.let_go()
        detail = {"jobName": "lasts", "jobRunId": glue.external_id, "state": "SUCCEEDED"}
        queue.send({"detail-type": "Glue Job State Change", "source": "aws.glue", "detail": detail})
        assert ended(app, glue).state is RunState.SUCCEEDED
        until(queue.empty, "the queue to be empty")


def uploads(queue: FakeSqs, count: int) -> None:
    for number in range(count):
        about = {"key": f"in/{number}.csv", "size": 5, "eTag": f"{number:032x}", "sequencer": "0A"}
        queue.send({"Records": [{"s3": {"bucket": {"name": "raw"}, "object": about}}]})


def test_what_could_not_be_deleted_is_known_when_it_comes_again(aws: tuple[FakeAws, FakeSqs], tmp_path: Path) -> None:
    """The ledger has it, the queue still has it, too: one run."""
    _, queue = aws
    queue.fault("DeleteMessageBatch", "error", 3)  # as often as boto3 tries
    with running(project(tmp_path, queue.url, "https://sqs.us-east-1.amazonaws.com/1/q"), doors=True) as app:
        uploads(queue, 1)
        until(lambda: queue.count("DeleteMessageBatch") == 3, "the deletion to fail")
        assert len(runs_of(app, "ingest")) == 1
        queue.show(next(iter(queue.messages)))
        until(queue.empty, "the queue to be empty")

        assert len(runs_of(app, "ingest")) == 1


_SERVER = """
import sys
from pathlib import Path
from headgate.app import App
from headgate.settings.load import load

app = App.build(load(Path(sys.argv[1]), {}), worker=True, doors=True)
app.start()
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.chaos
def test_killed_servers_lose_nothing_and_start_nothing_twice(aws: tuple[FakeAws, FakeSqs], tmp_path: Path) -> None:
    """Killed with -9 before and after commits and deletions: in the end every upload was given to exactly one run."""
    _, queue = aws
    folder = project(tmp_path, queue.url, "https://sqs.us-east-1.amazonaws.com/1/q")
    uploads(queue, 60)
    for operation, count in (("ReceiveMessage", 1), ("DeleteMessageBatch", 2)):
        begun = queue.count(operation)
        with subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as server:
            until(
                lambda begun=begun, operation=operation, count=count: queue.count(operation) >= begun + count, operation
            )
            server.kill()
        for name in list(queue.messages):
            queue.show(name)
    with running(folder, doors=True) as app:
        until(queue.empty, "the queue to be empty")
        until(lambda: not app.ledger.counts(), "every run to end")
        given = [one.key for run in runs_of(app, "ingest") for one in app.ledger.manifest(run.id) or ()]

    assert sorted(given) == sorted(f"in/{number}.csv" for number in range(60))
