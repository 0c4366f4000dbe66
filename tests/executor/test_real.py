"""This file is where real programs carry out real recipes: `headgate executor`, and `datahub actions` with our part."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cli.world import DEADLINE, Project, address, environment, serving, until
from fakes.execution_requests import RequestGms
from fakes.gms import TOKEN
from fakes.schema_registry import SchemaRegistry
from services.kafka import change_log_schema, kafka

from headgate.ledger.store import Ledger
from headgate.model import Run, RunState

pytestmark = pytest.mark.slow

#: The seed's file, word for word, but for the token it has commented out.
SEEDS_FILE = """\
name: "pipeline-name"
source:
  # source configs
action:
  type: "executor"
# Requires DataHub API configurations to report to DataHub
datahub:
  server: "http://${DATAHUB_GMS_HOST:-localhost}:${DATAHUB_GMS_PORT:-8080}"
  # token: <token> # Must have "Manage Secrets" privilege
"""

ACTION = """\
name: ours
source:
  type: kafka
  config:
    connection:
      bootstrap: "{bootstrap}"
      schema_registry_url: "{registry}"
      consumer_config: {{auto.offset.reset: earliest, session.timeout.ms: 1000, heartbeat.interval.ms: 200}}
    async_commit_interval: 200
filter:
  event_type: MetadataChangeLogEvent_v1
action:
  type: headgate
  config: {{executor_id: default, project: "{project}"}}
datahub: {{server: "{gms}", token: {token}}}
"""


#: A source that begins, waits to be told to go on, and then has three datasets.
SOURCE = """\
import time
from pathlib import Path

from datahub.emitter.mcp import MetadataChangeProposalWrapper
from datahub.ingestion.api.source import Source, SourceReport
from datahub.metadata.schema_classes import StatusClass


class Slow(Source):
    def __init__(self, config, ctx):
        super().__init__(ctx)
        self.config = config
        self.report = SourceReport()

    @classmethod
    def create(cls, config_dict, ctx):
        return cls(config_dict, ctx)

    def get_workunits_internal(self):
        print("begun", flush=True)
        while not Path(self.config["go"]).exists():
            time.sleep(0.02)
        print("gone on", flush=True)
        for number in range(3):
            urn = f"urn:li:dataset:(urn:li:dataPlatform:glue,db.t{number},PROD)"
            yield MetadataChangeProposalWrapper(entityUrn=urn, aspect=StatusClass(removed=False)).as_workunit()

    def get_report(self):
        return self.report
"""


@contextmanager
def program(
    folder: Path, words: list[str], env: Mapping[str, str], *, killed: bool = False
) -> Generator[subprocess.Popen[bytes]]:
    """A program until SIGTERM ends it, which it must obey with exit code 0; or until it is `killed` with -9."""
    with (folder / "program.log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, env=environment(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
        code = process.wait(DEADLINE)
    assert code == (-signal.SIGKILL if killed else 0), (folder / "program.log").read_text("utf-8")


def test_the_seeds_file_is_carried_out_as_it_is(tmp_path: Path) -> None:
    """`headgate executor -c` with the seed's text, killed with -9 in the middle: the ingestion goes on, and is told."""
    project = Project(tmp_path, "jobs: {}\n")
    (tmp_path / "executor.yml").write_text(SEEDS_FILE, "utf-8")
    (tmp_path / "slow_source.py").write_text(SOURCE, "utf-8")
    recipe = {
        "source": {"type": "slow_source.Slow", "config": {"go": str(tmp_path / "go")}},
        "sink": {"type": "file", "config": {"filename": str(tmp_path / "out.json")}},
    }
    with RequestGms() as gms:
        host, port = gms.url.removeprefix("http://").split(":")
        env = {"DATAHUB_GMS_HOST": host, "DATAHUB_GMS_PORT": port, "DATAHUB_GMS_TOKEN": TOKEN}
        words = [sys.executable, "-m", "headgate", "executor", "-c", "executor.yml"]
        urn = gms.ask(recipe)
        with program(tmp_path, words, env, killed=True) as process:
            until(lambda: process.poll() is not None or "begun" in log_of(tmp_path), "the ingestion to begin")
        (tmp_path / "go").touch()
        with program(tmp_path, words, env) as process:
            until(lambda: process.poll() is not None or gms.status(urn) not in ("", "RUNNING"), f"{urn} to end")
        [run] = runs_of(project)
        told = gms.result(urn)
        assert told["status"] == "SUCCESS", told
        report = json.loads(told["structuredReport"]["serializedValue"])
        assert report["source"]["report"]["events_produced"] == 3
        assert report["sink"]["report"]["total_records_written"] == 3
        assert told["report"].index("begun") < told["report"].index("gone on")
        assert (run.job, run.state) == ("ingestion:glue", RunState.SUCCEEDED)
        assert len(json.loads((tmp_path / "out.json").read_text("utf-8"))) == 3
        assert TOKEN not in (tmp_path / "program.log").read_text("utf-8")


def runs_of(project: Project) -> Sequence[Run]:
    """All runs, by the ledger that nobody uses any more."""
    ledger = Ledger(f"sqlite:///{project.home / 'ledger.db'}")
    ledger.open(create=False)
    try:
        return ledger.runs().items
    finally:
        ledger.close()


def log_of(folder: Path) -> str:
    """The logs of all runs so far."""
    return "".join(one.read_text("utf-8") for one in (folder / ".headgate" / "logs").glob("jr_*/log"))


def test_the_framework_runs_our_action(tmp_path: Path) -> None:
    """`datahub actions` finds us by our entry point; a change that comes again, before or after, starts nothing."""
    assert "headgate" in {one.name for one in entry_points(group="datahub_actions.action.plugins")}, "make setup"
    project = Project(tmp_path, "jobs: {}\n")
    with RequestGms(events=False) as gms, kafka() as broker, SchemaRegistry(change_log_schema()) as registry:
        text = ACTION.format(
            bootstrap=broker.bootstrap, registry=registry.url, project=tmp_path, gms=gms.url, token=TOKEN
        )
        words = [str(Path(sys.executable).parent / "datahub"), "actions", "-c", "ours.yml"]
        env = {"DATAHUB_TELEMETRY_ENABLED": "false", "HOME": str(tmp_path)}
        (tmp_path / "ours.yml").write_text(text, "utf-8")
        # a secret that nobody has: the run ends before DataHub's SDK is loaded, which takes seconds
        urn = gms.ask({"source": {"type": "file", "config": {"path": "${NOBODY_HAS_THIS}"}}})
        change = gms.changing.log[0]
        broker.publish(change, change)
        with program(tmp_path, words, env) as process:
            until(lambda: process.poll() is not None or gms.status(urn) == "FAILURE", f"{urn} to end")
            broker.publish(change)
            until(lambda: process.poll() is not None or broker.committed("ours") == 3, "all to be read")
        [run] = runs_of(project)
        assert (run.job, run.state, run.arguments["--request"]) == ("ingestion:glue", RunState.FAILED, urn)
        assert "NOBODY_HAS_THIS" in gms.result(urn)["report"]
        assert gms.statuses(urn) == ["RUNNING", "FAILURE"]


def test_a_server_carries_requests_out_for_its_own_catalog(tmp_path: Path) -> None:
    """With `datahub.executor` and no DataHub, what is asked of the embedded catalog is run and told there."""
    project = Project(tmp_path, "jobs: {}\ndatahub: {executor: executor.yml}\n")
    (tmp_path / "executor.yml").write_text(SEEDS_FILE, "utf-8")
    urn = "urn:li:dataHubExecutionRequest:served"
    given = {
        "task": "RUN_INGEST", "executorId": "default", "requestedAt": int(time.time() * 1000),
        "source": {"type": "MANUAL_INGESTION_SOURCE", "ingestionSource": "urn:li:dataHubIngestionSource:laptop"},
        "args": {"recipe": json.dumps({"source": {"type": "file", "config": {"path": "${NOBODY_HAS_THIS}"}}})},
    }  # fmt: skip
    with serving(project):
        url = address(project)
        proposal = {
            "entityType": "dataHubExecutionRequest", "entityUrn": urn, "changeType": "UPSERT",
            "aspectName": "dataHubExecutionRequestInput",
            "aspect": {"contentType": "application/json", "value": json.dumps(given)},
        }  # fmt: skip
        body = {"proposal": proposal, "async": "false"}
        httpx.post(f"{url}/aspects?action=ingestProposal", json=body, timeout=30, trust_env=False).raise_for_status()
        until(lambda: _result(url, urn).get("status") == "FAILURE", "the request to be carried out")
        assert "NOBODY_HAS_THIS" in _result(url, urn)["report"]
    assert [run.job for run in runs_of(project)] == ["ingestion:laptop"]


def _result(url: str, urn: str) -> dict[str, Any]:
    found = httpx.get(
        f"{url}/openapi/v3/entity/datahubexecutionrequest/{quote(urn, safe='')}/dataHubExecutionRequestResult",
        timeout=10, trust_env=False,
    )  # fmt: skip
    return found.json()["value"] if found.status_code == 200 else {}
