"""This file is where executors share a ledger: a stop finds the replica that has the run, and so does its log."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.execution_requests import RequestGms
from fakes.gms import TOKEN
from journeys.world import until

from headgate.model import RunState

from .world import built, file, reporting, runs, script, the_run, until_status

pytestmark = pytest.mark.postgres


def test_a_stop_finds_the_replica_that_has_the_run(tmp_path: Path, postgres_url: str) -> None:
    """One replica runs it and hears nothing any more; the other hears the cancel, and the first ends the process."""
    with RequestGms() as gms:
        environ = {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN, "HEADGATE_DATABASE_URL": postgres_url}
        with built(tmp_path / "a", environ) as a, built(tmp_path / "b", environ) as b:
            a.carry_out(file("stops"))
            urn = gms.ask(script("sleep 600"), executor="stops")
            until_status(gms, urn, "RUNNING")
            until(lambda: the_run(a).state is RunState.RUNNING, "the run")
            other = b if the_run(a).owner == a.ledger.id else a
            assert a.executor is not None
            a.executor.close()
            other.carry_out(file("stops"))
            gms.cancel(urn)
            until_status(gms, urn, "CANCELLED")
            assert the_run(a).state is RunState.STOPPED


def test_results_come_with_their_logs(tmp_path: Path, postgres_url: str) -> None:
    """Whichever replica takes a result out of the outbox, its log is with it; none comes twice."""
    with RequestGms() as gms:
        environ = {"DATAHUB_GMS_URL": gms.url, "DATAHUB_GMS_TOKEN": TOKEN, "HEADGATE_DATABASE_URL": postgres_url}
        with built(tmp_path / "a", environ) as a, built(tmp_path / "b", environ) as b:
            a.carry_out(file("logs"))
            b.carry_out(file("logs"))
            urns = [gms.ask(reporting(f"echo this is {n}"), executor="logs", source=f"s{n}") for n in range(4)]
            for number, urn in enumerate(urns):
                until_status(gms, urn, "SUCCESS")
                assert f"this is {number}" in gms.result(urn)["report"]
                assert gms.statuses(urn).count("SUCCESS") == 1
            ran = [run.arguments["--request"] for run in runs(a) if run.arguments["--executor_id"] == "logs"]
            assert sorted(ran) == sorted(urns)
