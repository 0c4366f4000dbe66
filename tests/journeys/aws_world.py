"""This file is where a whole Headgate is served for AWS's own clients: engine, ledger and port, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import uvicorn
from botocore.config import Config
from services.moto import CREDENTIALS, REGION

from headgate.app import App
from headgate.http import build
from headgate.runtime.home import forget_server, note_server

from .world import DEADLINE, running, until

#: AWS's command of the second version, where Debian's package `awscli` is installed: only it has `logs tail`.
CLI_2 = Path("/usr/bin/aws")


@dataclass(frozen=True, slots=True)
class Served:
    """A server with what runs behind it."""

    app: App
    url: str

    def client(self, service: str) -> Any:
        config = Config(retries={"total_max_attempts": 1}, read_timeout=DEADLINE)
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, config=config,
            aws_access_key_id="any", aws_secret_access_key="any",
        )  # fmt: skip

    def aws(self, *words: str, two: bool = False, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """One of AWS's commands, as it is typed, with the endpoint in the environment."""
        return subprocess.run(
            [*command(self.url, two=two), *words], env=environment(self.url), cwd=cwd, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip


def command(url: str, *, two: bool) -> Sequence[str]:
    """Debian's does not know AWS_ENDPOINT_URL yet, so it is told by an option."""
    return [str(CLI_2), "--endpoint-url", url] if two else [str(Path(sys.executable).parent / "aws")]


def environment(url: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **CREDENTIALS, "AWS_ENDPOINT_URL": url, "AWS_PAGER": "", "PYTHONWARNINGS": "ignore"}


@contextmanager
def served(project: Path) -> Generator[Served]:
    """The project, served on a free port of loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = int(listening.getsockname()[1])
    url = f"http://localhost:{port}"
    with running(project, doors=True) as app:
        asgi = build(app.gate, readiness=app.readiness, host="127.0.0.1", port=port)
        server = uvicorn.Server(
            uvicorn.Config(asgi, access_log=False, log_config=None, lifespan="off", timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started, "the server to start")
        note_server(app.settings.home, url)
        try:
            yield Served(app, url)
        finally:
            forget_server(app.settings.home)
            asgi.close()
            server.should_exit = True
            thread.join(DEADLINE)
            listening.close()
