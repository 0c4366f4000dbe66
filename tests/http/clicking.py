"""This file is where a gate is made that people click at: DataHub in memory, and engines that do what the test says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from fakes.datahub_port import DataHubInMemory
from served import World

from headgate.http.ingestion import IngestionDoor
from headgate.model import Run, RunState
from headgate.ports import Ended, Ending, Postponed, Started
from headgate.settings.record import DataHub

RUN: Final = "/api/ingestion/run"
RUNNABLE: Final = "/api/ingestion/runnable"
ACCOUNT: Final = "123456789012"
MACHINE: Final = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:earnings-ingest"
EXECUTION: Final = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:earnings-ingest:jr_1"

EARNINGS: Final = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.earnings,PROD)"
STOCKS: Final = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
POLYGON: Final = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.polygon.daily,PROD)"
PICKY: Final = "urn:li:dataset:(urn:li:dataPlatform:athena,c.d.picky,PROD)"
ALIKE: Final = "urn:li:dataset:(urn:li:dataPlatform:hive,is.alike,PROD)"  #: its job is called as its state machine
UNMAPPED: Final = "urn:li:dataset:(urn:li:dataPlatform:hive,nobody.cares,PROD)"
UNKNOWN: Final = "urn:li:dataset:(urn:li:dataPlatform:hive,is.not.there,PROD)"
AIRFLOW: Final = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),example_job)"
STRANGER: Final = "urn:li:dataJob:(urn:li:dataFlow:(airflow,example_flow,PROD),of_another_dataset)"

ANN: Final = "urn:li:corpuser:ann"  #: may run the datasets
VIEWER: Final = "urn:li:corpuser:vic"
BOSS: Final = "urn:li:corpuser:boss"  #: manages ingestion
SESSION: Final = "PLAY_SESSION=signed; actor=urn:li:corpuser:ann"
OURS: Final = "http://localhost:8090"
LISTED: Final = "https://datahub.example.com"

PROJECT: Final = f"""
jobs:
  earnings: {{engine: step_functions, state_machine_arn: "{MACHINE}", description: Reads what was earned.}}
  earnings-ingest: {{engine: step_functions, state_machine_arn: "{MACHINE}"}}
  stocks: {{engine: local, command: ["true"], max_concurrent_runs: 1}}
  picky: {{engine: local, command: ["true"], queue: false}}
datasets:
  - {{urn: "{EARNINGS}", job: earnings}}
  - {{urn: "{STOCKS}", job: stocks}}
  - {{urn: "{ALIKE}", job: earnings-ingest}}
  - {{urn: "{POLYGON}", lambda: polygon-lambda}}
  - {{urn: "{PICKY}", job: picky}}
"""

Play = Callable[["Clicks", Run], None]


def accepts(world: Clicks, run: Run) -> None:
    """The engine takes it; the execution is named after the run."""
    external = f"arn:aws:states:us-east-1:{ACCOUNT}:execution:earnings-ingest:{run.id}"
    world.ledger.started(Started(run.id, run.attempt, external, datetime.now(UTC), None))


def keeps_silent(world: Clicks, run: Run) -> None:
    """The engine does not answer."""


def is_away(world: Clicks, run: Run) -> None:
    later = datetime.now(UTC).timestamp() + 3_600
    world.ledger.postponed(
        Postponed(run.id, run.attempt, f"engine unavailable: throttled when starting {MACHINE}", later)
    )


def refuses(why: str) -> Play:
    """The engine will never take it."""

    def play(world: Clicks, run: Run) -> None:
        ending = Ending(state=RunState.FAILED, at=datetime.now(UTC), error=why, detail="refused", retryable=False)
        world.ledger.ended(Ended(run.id, run.attempt, ending))

    return play


class Clicks(World):
    """`engine` plays what is claimed. With `configured`, callers are DataHub's users."""

    def __init__(self, folder: Path, *, configured: bool = True, token: str = "", **datahub: Any) -> None:
        self.engine: Play = accepts
        self.catalog = DataHubInMemory(
            datasets={one: [] for one in (EARNINGS, STOCKS, POLYGON, PICKY, ALIKE, UNMAPPED)},
            jobs={AIRFLOW: [EARNINGS], STRANGER: [UNMAPPED]},
        )
        self.catalog.add_user("Bearer ann", ANN)
        self.catalog.add_user(SESSION, ANN)
        self.catalog.add_user("Bearer vic", VIEWER)
        self.catalog.add_user("Bearer boss", BOSS, "MANAGE_INGESTION")
        for dataset in (EARNINGS, STOCKS, POLYGON, PICKY, ALIKE, UNMAPPED):
            self.catalog.grant(ANN, dataset, "EXECUTE_ENTITY")
            self.catalog.grant(VIEWER, dataset, "VIEW_ENTITY_PAGE")
        settings = DataHub(
            gms_url="http://localhost:1" if configured else "",
            job_arn_property="urn:li:structuredProperty:awsStepFunctionArn",
            **datahub,
        )
        super().__init__(folder, token=token, project=PROJECT, datahub=self.catalog, settings={"datahub": settings})
        self.door: IngestionDoor = self.port.app.state.ingestion
        self.door.patience = 20.0

    def close(self) -> None:
        self.port.close()
        super().close()

    def click(self, dataset: str = EARNINGS, *, bearer: str = "ann", **more: Any) -> httpx.Response:
        body = {"datasetUrn": dataset, **more.pop("body", {})}
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return self.call("POST", RUN, json=body, headers={**headers, **more.pop("headers", {})}, **more)

    def runs(self) -> list[Run]:
        return list(self.ledger.runs().items)

    def runs_waiting(self) -> list[Run]:
        return self.ledger.live_runs()

    def on_claimed(self, run: Run) -> None:
        super().on_claimed(run)
        self.engine(self, run)
