"""This file is where scripts that lie on S3 are fetched and run, from a fake S3 that misbehaves when it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = """
import sys
from awsglue.utils import getResolvedOptions
print(getResolvedOptions(sys.argv, ["JOB_NAME", "JOB_RUN_ID", "day"]))
sys.exit(int(sys.argv[-1] == "never"))
"""


class FakeS3:
    """Answers GET by the key: `ok` with the script, `flaky` with 503 twice and then the script, others with errors."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.path.partition("?")[0].rpartition("/")[2]
                fake.asked.append(key)
                status, body = 200, SCRIPT
                if key == "away" or (key == "flaky" and fake.asked.count(key) < 3):
                    status, body = 503, "<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>"
                elif key == "secret":
                    status, body = 403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                elif key == "none":
                    status, body = 404, "<Error><Code>NoSuchKey</Code><Message>No such key</Message></Error>"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 - the base class's
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def s3() -> Iterator[FakeS3]:
    made = FakeS3()
    yield made
    made.close()


def run(folder: Path, url: str, key: str) -> subprocess.CompletedProcess[str]:
    """As the local engine starts it."""
    arguments = folder / "arguments.json"
    arguments.write_text(json.dumps({"--day": "1", "--JOB_NAME": "somebody's"}), "utf-8")
    environ = {
        "PATH": os.environ["PATH"], "HEADGATE_ARGUMENTS": str(arguments), "HEADGATE_JOB": "etl",
        "HEADGATE_ATTEMPT": "jr_1_attempt_1", "AWS_ENDPOINT_URL_S3": url, "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
    }  # fmt: skip
    command = [sys.executable, "-m", "headgate.engines.local.from_s3", f"s3://scripts/{key}"]
    return subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_script_is_fetched_and_run_as_glue_runs_it(tmp_path: Path, s3: FakeS3) -> None:
    """With its arguments, the job's and the attempt's names, and `awsglue` to import; a busy S3 is asked again."""
    done = run(tmp_path, s3.url, "flaky")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "{'day': '1', 'JOB_NAME': 'etl', 'JOB_RUN_ID': 'jr_1_attempt_1'}"
    assert s3.asked == ["flaky"] * 3


@pytest.mark.parametrize(("key", "code", "words"), [("none", 66, "No such key"), ("secret", 77, "Access Denied")])
def test_what_no_further_attempt_mends_says_so(tmp_path: Path, s3: FakeS3, key: str, code: int, words: str) -> None:
    """By its exit code, and in one line of the log."""
    done = run(tmp_path, s3.url, key)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"s3://scripts/{key} cannot be fetched: {words}\n"


def test_an_s3_that_is_away_is_worth_another_attempt(tmp_path: Path, s3: FakeS3) -> None:
    """Nobody at the address: a temporary failure."""
    url = s3.url.rpartition(":")[0] + ":1"
    done = run(tmp_path, url, "ok")
    assert done.returncode == 75
    assert "cannot be fetched" in done.stderr
    assert "Traceback" not in done.stderr
