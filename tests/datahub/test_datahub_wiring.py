"""This file is where the app is seen to have DataHub's client, and to tell DataHub what the outbox holds for it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.gms import TOKEN, FakeGms
from worlds import DATASET, assigned, dataset, job

from headgate.app import App, open_reading
from headgate.datahub import GmsClient
from headgate.errors import Unavailable
from headgate.ledger.store import wait_for
from headgate.reports.datahub import messages_for
from headgate.settings.load import load

HEAVY = ("datahub", "duckdb", "pyarrow", "pyiceberg", "boto3", "graphql", "fastapi", "sqlalchemy")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "headgate.yaml").write_text("jobs: {a: {engine: local, command: ['true']}}\n")
    return tmp_path


def test_the_app_tells_datahub_what_the_outbox_holds(gms: FakeGms, project: Path) -> None:
    """Written while DataHub was away, delivered when it is back; what is refused for good is counted in /readyz."""
    app = App.build(load(project, {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN}), worker=True, doors=False)
    gms.misbehave("/aspects", "503", times=2, seconds=0.01)
    app.start()
    try:
        assert isinstance(app.gate.datahub, GmsClient)
        wait_for(app.ledger.tell(messages_for(dataset(DATASET, "urn:li:tag:a"))))
        until = time.monotonic() + 30
        while not app.gate.datahub.dataset(DATASET).exists and time.monotonic() < until:
            time.sleep(0.02)
        facts = app.gate.datahub.dataset(DATASET)
        wait_for(app.ledger.tell(messages_for([assigned(job("a"), nowhere="x")])))
        while app.readiness()["outbox"]["refused_by_datahub"] == 0 and time.monotonic() < until:  # type: ignore[index] # a dict
            time.sleep(0.02)
        refused = app.readiness()["outbox"]["refused_by_datahub"]  # type: ignore[index] # a dict
    finally:
        app.close()

    assert (facts.exists, list(facts.tags)) == (True, ["urn:li:tag:a"])
    assert refused == 1
    with pytest.raises(Unavailable, match="closed"):
        app.gate.datahub.dataset(DATASET)


def test_looking_lets_go_of_datahub(gms: FakeGms, project: Path) -> None:
    """A command that only looks leaves no connection open behind it."""
    settings = load(project, {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN})
    with open_reading(settings) as gate:
        assert gate.datahub is not None
        assert not gate.datahub.dataset(DATASET).exists

    with pytest.raises(Unavailable, match="closed"):
        gate.datahub.dataset(DATASET)


def test_the_client_is_light() -> None:
    """It loads httpx, and neither DataHub's SDK nor anything else that is heavy."""
    script = "import sys, headgate.datahub; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())

    assert "httpx" in loaded
    assert loaded & set(HEAVY) == set()
