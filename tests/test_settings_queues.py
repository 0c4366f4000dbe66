"""This file is where queues and functions are read from headgate.yaml, and told when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headgate.settings import InvalidSettings, Settings, load

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/uploads"


def written(folder: Path, text: str) -> Settings:
    file = folder / "headgate.yaml"
    file.write_text(text, "utf-8")
    return load(file, {})


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(InvalidSettings) as raised:
        written(folder, text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (QUEUE, "eu-west-1"),
        ("https://eu-central-1.queue.amazonaws.com/123456789012/q", "eu-central-1"),
        ("http://localhost:9324/000000000000/q", ""),
    ],
)
def test_a_queues_region_is_its_urls_own(tmp_path: Path, url: str, region: str) -> None:
    """Where the URL does not say it, AWS's own settings do."""
    [queue] = written(tmp_path, f"sqs: [{{queue_url: '{url}'}}]").sqs

    assert (queue.url, queue.region, queue.poison_after) == (url, region, 3)


def test_a_queue_may_be_read_as_somebody_else_and_elsewhere(tmp_path: Path) -> None:
    """Every key has its place."""
    text = f"""
sqs:
  - {{queue_url: "{QUEUE}", region: us-east-1, role_arn: "arn:aws:iam::123456789012:role/r", external_id: x,
      endpoint_url: "http://localhost:9324", poison_after: 5, pollers: 4}}
"""
    [queue] = written(tmp_path, text).sqs

    assert (queue.region, queue.role_arn, queue.external_id) == ("us-east-1", "arn:aws:iam::123456789012:role/r", "x")
    assert (queue.endpoint_url, queue.poison_after, queue.pollers) == ("http://localhost:9324", 5, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sqs: [{}]", "sqs[0]: expected the key 'queue_url'"),
        ("sqs: [uploads]", "sqs[0]: expected a mapping"),
        ("sqs: [{queue_url: uploads}]", "expected a queue's URL"),
        (f"sqs: [{{queue_url: '{QUEUE}', queue: 1}}]", "there is no key 'queue' in sqs[0]"),
        (f"sqs: [{{queue_url: '{QUEUE}'}}, {{queue_url: '{QUEUE}'}}]", "this queue is read already"),
        (f"sqs: [{{queue_url: '{QUEUE}', poison_after: 0}}]", "expected a whole number from 1 to 1000"),
        ("functions: {f: {}}", "functions.f: expected the key 'handler'"),
        ("functions: {f: {handler: main}}", "expected a handler as module.function"),
        ("functions: {f: {handler: a.b, timeout: 16m}}", "at most 15m"),
        ("functions: {f: {handler: a.b, env: [HEADGATE_TOKEN]}}", "other than our own HEADGATE_*"),
        ("functions: {f: {handler: a.b, variables: {A: [1]}}}", "functions.f.variables.A: expected text, found a list"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """And what was expected there."""
    assert said in wrong(tmp_path, text)


def test_a_function_is_a_job_that_triggers_may_start(tmp_path: Path) -> None:
    """Under the name `function:NAME`, with its handler and variables among its arguments."""
    settings = written(
        tmp_path,
        """
functions:
  f: {handler: handlers.main, variables: {A: 1}, env: [AWS_PROFILE], timeout: 2m, memory: 512M}
triggers:
  t: {type: EVENT, s3: {bucket: raw}, actions: ["function:f"]}
""",
    )
    [(name, job)] = settings.jobs.items()

    assert (name, job.engine, job.timeout, job.max_retries) == ("function:f", "local", 120.0, 0)
    assert job.target["env"] == ["AWS_PROFILE"]
    assert job.target["memory"] == 512 * 2**20
    assert (job.arguments["--handler"], json.loads(job.arguments["--variables"])) == ("handlers.main", {"A": "1"})
    assert settings.functions["f"].job is job
