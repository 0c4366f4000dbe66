"""This file is where every way in which an upload comes to nothing is seeded: on moto's S3, and in a folder."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from doctor_world import World, world
from services.moto import ACCOUNT, CREDENTIALS, REGION, moto

from headgate.aws import Clients, Fault, Place
from headgate.doctor import Finding, Rank
from headgate.doctor.deliveries import lets
from headgate.doctor.s3 import diagnose

BUCKET = "raw-data"
SOURCE = f"arn:aws:s3:::{BUCKET}"


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with moto() as url:
        yield url


class Aws:
    """boto3 on moto, and what the tests make there. Each test has a bucket of its own, of the same name."""

    def __init__(self, url: str) -> None:
        self.url = url
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
        made: dict[str, Any] = {
            name: boto3.client(name, endpoint_url=url, **keys)  # type: ignore[call-overload] - by a variable name
            for name in ("s3", "sqs", "lambda", "iam", "events", "logs")
        }
        self.s3, self.sqs, self.functions, self.iam = made["s3"], made["sqs"], made["lambda"], made["iam"]
        self.events, self.logs = made["events"], made["logs"]

    def bucket(self, **config: Any) -> None:
        self.s3.create_bucket(Bucket=BUCKET)
        if config:
            self.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=config)

    def queue(self, *, policy: bool = True) -> tuple[str, str]:
        """A queue's URL and ARN; with a policy the bucket may send to it."""
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:uploads"
        statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage",
                     "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": SOURCE}}}  # fmt: skip
        attributes = {"Policy": json.dumps({"Statement": [statement]})} if policy else {}
        return self.sqs.create_queue(QueueName="uploads", Attributes=attributes)["QueueUrl"], arn

    def function(self, *, permitted: bool = True) -> str:
        role = self.iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        made = self.functions.create_function(
            FunctionName="trigger-glue-job-lambda", Runtime="python3.11", Role=role, Handler="m.h",
            Code={"ZipFile": _packed()},
        )  # fmt: skip
        if permitted:
            self.functions.add_permission(
                FunctionName="trigger-glue-job-lambda", StatementId="s3", Action="lambda:InvokeFunction",
                Principal="s3.amazonaws.com", SourceArn=SOURCE,
            )  # fmt: skip
        return str(made["FunctionArn"])


def _packed() -> bytes:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m.py", "def h(event, context):\n    return event\n")
    return packed.getvalue()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    import httpx

    httpx.post(f"{moto_url}/moto-api/reset", timeout=30).raise_for_status()
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": moto_url}.items():
        monkeypatch.setenv(name, value)
    return Aws(moto_url)


def project(queue: str = "") -> str:
    read = f"sqs: [{{queue_url: '{queue}', region: {REGION}}}]\n" if queue else ""
    return f"""\
jobs:
  first: {{engine: local, command: ["true"]}}
triggers:
  uploaded: {{type: EVENT, s3: {{bucket: {BUCKET}, prefix: collections-data/, suffix: [.csv]}}, actions: [first]}}
{read}"""


class Bridged(Clients):
    """moto keeps a bucket's EventBridgeConfiguration and does not show it, as S3 does (an empty object)."""

    def call(self, place: Place, service: str, operation: str, *args: Any, **more: Any) -> dict[str, Any] | Fault:
        answer = super().call(place, service, operation, *args, **more)
        if operation != "get_bucket_notification_configuration" or isinstance(answer, Fault):
            return answer
        return {**answer, "EventBridgeConfiguration": {}}


def look(folder: Path, text: str, *, served: bool = True, clients: Clients | None = None) -> list[Finding]:
    with world(folder, text) as made:
        made.records.served = served
        return diagnose(made.records, made.settings, clients or Clients(), datetime.now(UTC))


def told(arn: str, prefix: str = "collections-data/", suffix: str = "", events: str = "s3:ObjectCreated:*") -> Any:
    rules = [{"Name": "prefix", "Value": prefix}, *([{"Name": "suffix", "Value": suffix}] if suffix else [])]
    kind = "QueueArn" if ":sqs:" in arn else "LambdaFunctionArn"
    return {kind: arn, "Events": [events], "Filter": {"Key": {"FilterRules": rules}}}


def typed(aws: Aws, line: str) -> None:
    """Run the `aws` command a finding names, as a person would."""
    words = shlex.split(line)
    assert words[0] == "aws"
    command = [str(Path(sys.executable).parent / "aws"), *words[1:], "--endpoint-url", aws.url]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_set_up_well_has_no_finding(aws: Aws, tmp_path: Path) -> None:
    url, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn)])
    aws.sqs.purge_queue(QueueUrl=url)

    assert look(tmp_path, project(url)) == []


def test_a_missing_notification_is_mended_by_the_command_it_names(aws: Aws, tmp_path: Path) -> None:
    """The command is typed, and the finding is gone."""
    url, _ = aws.queue()
    aws.bucket()
    found = look(tmp_path, project(url))
    assert found[0].what == "bucket 'raw-data' tells nobody of new objects"
    assert found[0].rank is Rank.BROKEN
    typed(aws, found[0].mend)
    aws.sqs.purge_queue(QueueUrl=url)

    assert look(tmp_path, project(url)) == []


def test_another_prefix_is_found_with_both(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the command keeps what else the bucket tells; the queue is where AWS's own settings say, if nothing else."""
    url, arn = aws.queue()
    other = arn.replace("uploads", "others")
    aws.sqs.create_queue(QueueName="others")
    aws.bucket(QueueConfigurations=[told(other, "colections-data/")])
    found = look(tmp_path, project(url))

    assert found[0].what.startswith("bucket 'raw-data' tells of another prefix")
    assert "colections-data/" in found[0].evidence
    assert "collections-data/….csv" in found[0].evidence
    assert other in found[0].mend
    assert arn in found[0].mend
    monkeypatch.setenv("AWS_REGION", REGION)
    assert arn in look(tmp_path, project(url).replace(f", region: {REGION}", ""))[0].mend


@pytest.mark.parametrize(
    ("config", "rank", "said"),
    [
        (("collections-data/2026/", ""), Rank.LIKELY, "a part only"),
        (("collections-data/", ".gz"), Rank.LIKELY, "a part only"),
        (("collections-data/", "", "s3:ObjectRemoved:*"), Rank.BROKEN, "other things than new objects"),
    ],
)
def test_what_is_told_in_part_or_not_at_all(
    aws: Aws, tmp_path: Path, config: tuple[str, ...], rank: Rank, said: str
) -> None:
    url, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn, *config)])
    found = look(tmp_path, project(url))[0]

    assert (found.rank, said in found.what) == (rank, True)


def test_a_duplicate_notification_is_found(aws: Aws, tmp_path: Path) -> None:
    """A queue and a function: Headgate is told once, the function starts a second time."""
    url, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn)], LambdaFunctionConfigurations=[told(aws.function())])
    aws.sqs.purge_queue(QueueUrl=url)
    found = look(tmp_path, project(url))

    assert found[0].what.startswith("2 notifications tell of what the trigger 'uploaded' waits for")
    assert "trigger-glue-job-lambda" in found[0].evidence


def test_a_missing_lambda_permission_is_mended_by_the_command_it_names(aws: Aws, tmp_path: Path) -> None:
    """The one cause the console hides, since it adds the permission by itself."""
    arn = aws.function(permitted=False)
    aws.bucket(LambdaFunctionConfigurations=[told(arn)])
    found = look(tmp_path, project())
    assert found[0].what == "bucket 'raw-data' may not call the function 'trigger-glue-job-lambda'"
    typed(aws, found[0].mend)

    assert Rank.BROKEN not in {one.rank for one in look(tmp_path, project())}


def test_a_function_that_is_gone_is_found(aws: Aws, tmp_path: Path) -> None:
    arn = aws.function()
    aws.bucket(LambdaFunctionConfigurations=[told(arn)])
    aws.functions.delete_function(FunctionName=arn)

    assert look(tmp_path, project())[0].what == "the function 'trigger-glue-job-lambda' cannot be called"


def test_errors_of_the_function_are_found_in_its_log(aws: Aws, tmp_path: Path) -> None:
    """With the seed's own command to read on."""
    aws.bucket(LambdaFunctionConfigurations=[told(aws.function())])
    group = "/aws/lambda/trigger-glue-job-lambda"
    if not aws.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        aws.logs.create_log_group(logGroupName=group)
    aws.logs.create_log_stream(logGroupName=group, logStreamName="s")
    line = {"timestamp": int(time.time() * 1000), "message": "[ERROR] KeyError: 'Records'"}
    aws.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[line])
    found = look(tmp_path, project())[0]

    assert "KeyError" in found.evidence
    assert found.mend == f"aws logs tail {group} --follow"


def test_a_queue_that_the_bucket_may_not_send_to_is_mended(aws: Aws, tmp_path: Path) -> None:
    url, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn)])
    aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    aws.sqs.purge_queue(QueueUrl=url)
    found = look(tmp_path, project(url))
    assert found[0].what == "bucket 'raw-data' may not send to the queue uploads"
    typed(aws, found[0].mend)

    assert look(tmp_path, project(url)) == []


def test_a_queue_nobody_reads_is_found(aws: Aws, tmp_path: Path) -> None:
    _, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn)])

    assert "a queue that Headgate does not read" in look(tmp_path, project())[0].what


def test_messages_that_wait_are_told(aws: Aws, tmp_path: Path) -> None:
    """Without a server nobody takes them."""
    url, arn = aws.queue()
    aws.bucket(QueueConfigurations=[told(arn)])
    aws.s3.put_object(Bucket=BUCKET, Key="collections-data/a.csv", Body=b"a")
    found = look(tmp_path, project(url), served=False)

    assert found[0].mend == "headgate serve"
    assert any("messages wait in the queue uploads" in one.what for one in found)


def test_eventbridge_without_a_rule_disabled_and_without_targets(aws: Aws, tmp_path: Path) -> None:
    """Each in turn, until nothing is left."""
    url, arn = aws.queue()
    aws.bucket(EventBridgeConfiguration={})
    aws.sqs.purge_queue(QueueUrl=url)
    found = look(tmp_path, project(url), clients=Bridged())
    assert found[0].what == "bucket 'raw-data' tells EventBridge, and no rule takes it"
    typed(aws, found[0].mend)
    found = look(tmp_path, project(url), clients=Bridged())
    assert found[0].what == "EventBridge's rule 'raw-data-uploads' has no target"
    typed(aws, found[0].mend)
    assert aws.events.list_targets_by_rule(Rule="raw-data-uploads")["Targets"][0]["Arn"] == arn
    aws.events.disable_rule(Name="raw-data-uploads")
    found = look(tmp_path, project(url), clients=Bridged())
    assert found[0].what == "EventBridge's rule 'raw-data-uploads' is disabled"
    typed(aws, found[0].mend)

    assert look(tmp_path, project(url), clients=Bridged()) == []


def test_eventbridge_that_is_off_is_found_when_a_rule_waits(aws: Aws, tmp_path: Path) -> None:
    aws.bucket()
    pattern = json.dumps({"source": ["aws.s3"], "detail": {"bucket": {"name": [BUCKET]}}})
    aws.events.put_rule(Name="waits", EventPattern=pattern)
    found = look(tmp_path, project())[0]

    assert found.what == "EventBridge is off for bucket 'raw-data', and a rule waits for its events"
    assert "EventBridgeConfiguration" in found.mend


def test_a_bucket_that_is_not_there_is_found(aws: Aws, tmp_path: Path) -> None:
    del aws
    assert look(tmp_path, project())[0].what == "there is no bucket 'raw-data'"


def test_an_aws_that_cannot_be_asked_is_no_good_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be looked at, and says so."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    [found] = look(tmp_path, project())

    assert found.rank is Rank.UNSEEN
    assert "could not be looked at" in found.what


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        ({"Action": "SQS:*", "Principal": "*"}, True),
        ({"Action": ["sqs:SendMessage"], "Principal": {"AWS": "*"}}, True),
        ({"Action": "sqs:SendMessage", "Principal": {"Service": ["s3.amazonaws.com", "x"]}}, True),
        ({"Action": "sqs:SendMessage", "Principal": {"Service": "sns.amazonaws.com"}}, False),
        ({"Action": "sqs:ReceiveMessage", "Principal": "*"}, False),
        ({"Action": "sqs:*", "Principal": "*", "Effect": "Deny"}, False),
        (
            {"Action": "sqs:*", "Principal": "*", "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:raw-*"}}},
            True,
        ),
        (
            {"Action": "sqs:*", "Principal": "*", "Condition": {"ArnEquals": {"AWS:SourceArn": ["arn:aws:s3:::x"]}}},
            False,
        ),
    ],
)
def test_policies_are_read_as_aws_reads_them(policy: dict[str, Any], may: bool) -> None:
    text = json.dumps({"Statement": {"Effect": "Allow", **policy}})

    assert lets(text, "s3.amazonaws.com", "sqs:SendMessage", SOURCE) is may
    assert lets("no json", "s3.amazonaws.com", "sqs:SendMessage", SOURCE) is False


# -- folders


FOLDER = project() + f"inboxes: {{{BUCKET}: ./inbox}}\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "inbox" / "collections-data").mkdir(parents=True)
    with world(tmp_path, FOLDER) as made:
        yield made


def seen(here: World) -> list[Finding]:
    return diagnose(here.records, here.settings, Clients(), datetime.now(UTC))


def put(here: World, key: str, text: str = "a\n", *, old: float = 60.0) -> Path:
    file = here.settings.inboxes[BUCKET] / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    at = (datetime.now(UTC) - timedelta(seconds=old)).timestamp()
    os.utime(file, (at, at))
    return file


def test_a_folder_that_is_well_has_no_finding(here: World) -> None:
    """Its file was reported."""
    put(here, "collections-data/a.csv")
    put(here, ".gitkeep", "")
    here.uploaded("collections-data/a.csv")

    assert seen(here) == []


def test_a_folder_that_is_missing_a_file_or_closed(here: World) -> None:
    """Each with the command that mends it; root may read everything, so closing it cannot be seeded by root."""
    folder = here.settings.inboxes[BUCKET]
    folder.rename(folder.with_name("away"))
    [found] = seen(here)
    assert (found.rank, found.mend) == (Rank.BROKEN, f"mkdir -p {folder}")
    folder.write_text("x", "utf-8")
    assert seen(here)[0].what.endswith("is no folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write whatever the mode says")
def test_a_folder_that_is_closed(here: World) -> None:
    folder = here.settings.inboxes[BUCKET]
    folder.chmod(0o500)
    assert seen(here)[0].mend == f"chmod u+w {folder}"
    folder.chmod(0o300)
    assert seen(here)[0].mend == f"chmod u+rx {folder}"
    folder.chmod(0o700)


@pytest.mark.parametrize(
    ("key", "text", "old", "said"),
    [
        ("collections-data/a.csv", "", 60.0, "empty"),
        ("collections-data/a.csv.tmp", "a", 60.0, "unfinished"),
        ("collections-data/.a.csv", "a", 60.0, "hidden"),
        ("collections-data/a.csv", "a", 0.0, "still being written"),
        ("Collections-Data/a.csv", "a", 60.0, "upper and lower case"),
        ("a.csv", "a", 60.0, "taken by no trigger"),
        ("collections-data/b.csv", "a", 60.0, "no event tells of them"),
    ],
)
def test_files_that_come_to_nothing_say_why(here: World, key: str, text: str, old: float, said: str) -> None:
    put(here, key, text, old=old)
    [found] = seen(here)

    assert said in found.what
    assert key in found.what


def test_an_inbox_nobody_waits_for_is_found(tmp_path: Path) -> None:
    text = FOLDER.replace(f"bucket: {BUCKET}", "bucket: raw-dta").replace(f"{{{BUCKET}:", "{raw-dta: ./b, other:")
    (tmp_path / "b").mkdir()
    with world(tmp_path, text) as made:
        found = seen(made)

    assert found[0].what == "no trigger waits for objects of the inbox 'other'"
