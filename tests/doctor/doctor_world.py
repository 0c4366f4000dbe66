"""This file is where a ledger with jobs and triggers is made, in which tests seed what the doctor is to find."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.tables import put_tables

from headgate.cli.commands.doctor import Asked
from headgate.cli.local import Local
from headgate.doctor import Finding
from headgate.doctor.trigger import diagnose
from headgate.embedded.port import EmbeddedDataHub
from headgate.flow.match import object_identity
from headgate.gate import Gate
from headgate.ledger.accepting import Receipt
from headgate.ledger.store import Ledger, wait_for
from headgate.model import Event, Run, RunState, StoredObject, new_event_id
from headgate.ports import Ended, Ending, Started
from headgate.settings import Settings, load

WELL: Mapping[str, Any] = {"workers": [{"id": "w", "alive": True}], "readiness": {"problems": []}}


class Served(Asked):
    """The same, as a server with a worker would answer it."""

    def __init__(self, local: Local) -> None:
        super().__init__(local)
        self.served = True
        self.says: Mapping[str, Any] = WELL

    def status(self) -> Mapping[str, Any]:
        return self.says


class World:
    """A project and its ledger. No engine: a test says what becomes of a run."""

    def __init__(self, settings: Settings, ledger: Ledger, gate: Gate) -> None:
        self.settings = settings
        self.ledger = ledger
        self.gate = gate
        self.records = Served(Local(gate))

    def uploaded(
        self, key: str, bucket: str = "raw-data", *, size: int = 9, kind: str = "ObjectCreated:Put"
    ) -> Receipt:
        """An object's event, as a door hands it over."""
        stored = StoredObject(bucket=bucket, key=key, size=size, etag="e", sequencer=f"{new_event_id()[3:19]}")
        identity = object_identity(stored, kind, "")
        event = Event(id=new_event_id(), door="s3", kind=kind, identity=identity, at=datetime.now(UTC), object=stored)
        return self.gate.accept([event])[0]

    def started(self, job: str, **more: Any) -> Run:
        """A run that somebody started by hand, and that its engine has."""
        return self.taken(self.gate.start(job, arguments={}, actor="urn:li:corpuser:ann", **more))

    def taken(self, run: Run) -> Run:
        wait_for(self.ledger.started(Started(run.id, run.attempt, "x", datetime.now(UTC), None)))
        return self.ledger.run(run.id)

    def ended(self, run: Run, state: RunState = RunState.SUCCEEDED, error: str | None = None, **how: Any) -> Run:
        ending = Ending(state=state, at=datetime.now(UTC), error=error, retryable=False, **how)
        wait_for(self.ledger.ended(Ended(run.id, run.attempt, ending)))
        return self.ledger.run(run.id)

    def switch(self, trigger: str, *, on: bool) -> None:
        self.gate.switch(trigger, enabled=on, actor="urn:li:corpuser:ann")

    def diagnose(self, trigger: str, *, at: datetime | None = None) -> list[Finding]:
        return diagnose(trigger, self.records, self.settings, at or datetime.now(UTC))


@contextmanager
def world(folder: Path, text: str, **environ: str) -> Generator[World]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headgate.yaml").write_text(text, "utf-8")
    settings = load(folder, environ)
    put_tables(settings.home)
    ledger = Ledger(settings.database_url, fires_for=settings.conditional_fires_for, claims=True)
    ledger.open()
    try:
        gate = Gate(settings, ledger)
        gate.datahub = EmbeddedDataHub(ledger)
        gate.definitions.apply(everything=False, actor="urn:li:corpuser:ann")
        ledger.refresh()
        yield World(settings, ledger, gate)
    finally:
        ledger.close()
