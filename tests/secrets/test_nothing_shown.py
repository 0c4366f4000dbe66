"""This file is where what we show and log is looked through for secrets of the settings and of those who resolve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from secret_forms import held, written

from headgate.settings import describe, load
from headgate.settings.private import secret_texts

TOKEN = "t0ken/of+headgate=="
PASSWORD = "pässw0rd of the database"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts"
HOOK = "https://hooks.example.com/services/x/9f8e7d6c5b4a?key=0a1b2c3d4e"
RESOLVED = 'resolved"s3cr3t/value'
CONFIGURATION = f"""\
auth: {{token: "${{TOKEN}}"}}
database_url: "postgresql+psycopg://me:{quote(PASSWORD)}@db/headgate"
notify:
  - {{on: [FAILED], url: "{SLACK}"}}
  - {{on: [FAILED], webhook: "{HOOK}"}}
jobs:
  leaky: {{engine: local, command: [curl, "-H", "Bearer ${{TOKEN}}", x], arguments: {{--header: "Bearer ${{TOKEN}}"}}}}
x-mine: 1
"""

#: Configures the log as a server does, then lets everything go wrong with a secret in it.
LOGGING = """
import logging, os, sys, threading, structlog
from pathlib import Path
from headgate.cli import logs
from headgate.secrets import Secrets
from headgate.secrets.plain import Environment
from headgate.settings import load

settings = load(Path(sys.argv[1]), os.environ)
logs.of_server(settings)
value = Secrets([Environment()]).resolve(["MY_SECRET"])["MY_SECRET"]
texts = sys.stdin.read().split("\\n")
log = structlog.get_logger()
for text in texts:
    log.error("a line", text=text, nested={"deep": [text]})
    logging.getLogger("uvicorn.error").error("a line of others: %s", text)
try:
    raise RuntimeError(value)
except RuntimeError:
    log.exception("it failed", where=repr(value))
    logging.getLogger("urllib3").exception("it failed for others")
def fail():
    raise ValueError(value)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
raise SystemExit(0)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "headgate.yaml").write_text(CONFIGURATION, "utf-8")
    return tmp_path


def test_every_secret_of_the_settings_is_known(project: Path) -> None:
    """Tokens, the passwords of URLs as written and as meant, addresses and the keys in them; no plain words."""
    found = secret_texts(load(project, {"TOKEN": TOKEN}))

    assert {TOKEN, PASSWORD, quote(PASSWORD), SLACK, HOOK} <= set(found)
    assert {"TIiajkdnlazkcOXrIdevi7FQ", "A1BRTD4JD", "9f8e7d6c5b4a", "0a1b2c3d4e"} <= set(found)
    assert {"services", "hooks.example.com", "headgate", "x"} & set(found) == set()


def test_the_effective_settings_hold_none_of_them(project: Path) -> None:
    """Not even where a job's command or argument repeats one."""
    shown = json.dumps(describe(load(project, {"TOKEN": TOKEN})), ensure_ascii=False)

    assert [held(text, shown) for text in (TOKEN, PASSWORD, "TIiajkdnlazkcOXrIdevi7FQ")] == [[], [], []]
    assert "Bearer ****" in shown


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_log_of_a_server_holds_none_of_them(project: Path, log_format: str) -> None:
    """Our lines, libraries' lines, tracebacks, and threads that end badly: of each the rest is there."""
    texts = [form for text in (TOKEN, PASSWORD, SLACK, RESOLVED) for form in written(text)]
    environ = {"TOKEN": TOKEN, "MY_SECRET": RESOLVED, "HEADGATE_LOG_FORMAT": log_format, "PYTHONIOENCODING": "utf-8"}

    done = subprocess.run(
        [sys.executable, "-c", LOGGING, str(project)], input="\n".join(texts), env=environ, capture_output=True,
        encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert [held(text, done.stderr) for text in (TOKEN, PASSWORD, SLACK, RESOLVED)] == [[], [], [], []]
    for word in ("a line of others: ****", "RuntimeError: ****", "ValueError: ****", "it failed for others"):
        assert word in done.stderr, word
    assert done.stderr.count("****") > 2 * len(texts)
