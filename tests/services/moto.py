"""This file is where a throw-away moto server is started: AWS's wire format, and little of its behaviour."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

REGION = "us-east-1"
ACCOUNT = "123456789012"

#: What a process needs in its environment to speak to it, beside AWS_ENDPOINT_URL.
CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


@contextmanager
def moto(*, tasks_at: int | None = None) -> Generator[str]:
    """The URL of a fresh moto server. Without Docker Lambda runs nothing there: an invocation echoes its payload.

    `tasks_at`: the port of this machine that the tasks of state machines speak to, in place of moto's own.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=None if tasks_at is None else {**os.environ, "MOTO_PORT": str(tasks_at)},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None, "moto ended at its start"
            assert time.monotonic() < give_up, "moto did not answer within 60 s"
            time.sleep(0.05)
        configure(url, {"lambda": {"use_docker": False}})
        yield url
    finally:
        process.terminate()
        process.wait(20)


def configure(url: str, config: Mapping[str, object]) -> None:
    """Change how moto behaves, by its own interface."""
    status, text = _ask(url, "POST", "/moto-api/config", json.dumps(config))
    assert status in (200, 201), f"{status}: {text}"


def _answers(url: str) -> bool:
    try:
        return _ask(url, "GET", "/moto-api/", "")[0] < 500
    except OSError:
        return False


def _ask(url: str, method: str, path: str, body: str) -> tuple[int, str]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
