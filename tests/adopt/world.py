"""This file is where tests get a project, its ledger and a Glue to make things on."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.moto import CREDENTIALS
from services.tables import put_tables

from headgate.adopt import Adoption, GlueChange
from headgate.aws import Clients
from headgate.ledger.store import Ledger
from headgate.settings import Settings, load

PROJECT = """
jobs:
  load:
    engine: glue
    job_name: nightly
    timeout: 30m
    arguments: {--table: t}
    definition:
      Role: arn:aws:iam::123456789012:role/glue
      Command: {Name: glueetl, ScriptLocation: "s3://b/x.py"}
      WorkerType: G.1X
      NumberOfWorkers: 2
  views: {engine: glue, job_name: views}
triggers:
  start: {type: ON_DEMAND, on: glue, workflow: w, actions: [load]}
  after:
    type: CONDITIONAL
    on: glue
    workflow: w
    predicate: {conditions: [{job: load, state: SUCCEEDED}]}
    actions: [{job: views, arguments: {--fast: "1"}, timeout: 5m}]
"""
VIEWS = {"Role": "r", "Command": {"Name": "pythonshell", "ScriptLocation": "s3://b/v.py"}}
#: What is done of PROJECT where nothing of it is there.
CREATED = ["create workflow w", "create job nightly", "create trigger after", "create trigger start"]
ENVIRON = {**CREDENTIALS, "AWS_REGION": "us-east-1"}


@dataclass
class Near:
    """A project, and what `plan` and `apply` of it find and do. Nothing waits really."""

    folder: Path
    ledger: Ledger
    clients: Clients
    pauses: list[float] = field(default_factory=list[float])

    @property
    def settings(self) -> Settings:
        return load(self.folder, ENVIRON)

    @property
    def adoption(self) -> Adoption:
        return Adoption(self.ledger, clients=self.clients, environ=ENVIRON, pause=self.pauses.append)

    def says(self, text: str) -> None:
        (self.folder / "headgate.yaml").write_text(text, "utf-8")

    def plan(self) -> list[str]:
        return [line(one) for one in self.adoption.plan(self.settings)]

    def apply(self) -> list[str]:
        return [line(one) for one in self.adoption.apply(self.settings, actor="ann")]


def line(one: GlueChange) -> str:
    """A change in a few words: what it does, to what; `!` where somebody changed it on AWS."""
    return f"{one.does} {one.kind} {one.name}{' !' if one.drift else ''}"


@contextmanager
def near(folder: Path, clients: Clients, text: str = PROJECT) -> Generator[Near]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headgate.yaml").write_text(text, "utf-8")
    settings = load(folder, ENVIRON)
    settings.home.mkdir(exist_ok=True)
    put_tables(settings.home)
    ledger = Ledger(settings.database_url)
    ledger.open()
    try:
        yield Near(folder, ledger, clients)
    finally:
        ledger.close()
