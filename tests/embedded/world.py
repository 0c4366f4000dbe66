"""This file is where the embedded catalog is opened for tests: over a ledger of its own, behind a port."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from services.asgi import call
from services.tables import put_tables

from headgate.embedded.changes import Change, make
from headgate.embedded.port import EmbeddedDataHub
from headgate.gate import Gate
from headgate.http import build
from headgate.ledger.store import Ledger
from headgate.settings import load
from headgate.settings.record import Secret

DATASET = "urn:li:dataset:(urn:li:dataPlatform:iceberg,sales.orders,PROD)"
FLOW = "urn:li:dataFlow:(airflow,daily,PROD)"
JOB = f"urn:li:dataJob:({FLOW},load)"
ACTOR = "urn:li:corpuser:local"


def change(urn: str, aspect: str, value: Any, kind: str = "UPSERT", **headers: str) -> Change:
    """A change as a client would make it; headers with _ for -."""
    entity = urn.split(":")[2]
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return make(entity=entity, urn=urn, aspect=aspect, kind=kind, value=value, headers=named)


class World:
    """A catalog, and the HTTP port in front of it."""

    def __init__(self, folder: Path, *, token: str = "", host: str = "127.0.0.1", url: str = "") -> None:
        file = folder / "headgate.yaml"
        file.write_text("jobs: {load: {engine: local, command: ['true']}}\n", "utf-8")
        self.settings = load(file, {"HEADGATE_TOKEN": token} if token else {})
        put_tables(self.settings.home)
        self.ledger = Ledger(url or self.settings.database_url, claims=True)
        self.ledger.open()
        self.datahub = EmbeddedDataHub(self.ledger, token=Secret(token) if token else None)
        self.catalog = self.datahub.catalog
        self.gate = Gate(self.settings, self.ledger)
        self.gate.datahub = self.datahub
        self.port = build(self.gate, readiness=lambda: {"ready": True, "problems": []}, host=host, port=8090)

    def close(self) -> None:
        self.ledger.close()

    def put(self, urn: str, aspect: str, value: Any, kind: str = "UPSERT", **headers: str) -> Any:
        """Write one change; answers what was written."""
        return self.catalog.write([change(urn, aspect, value, kind, **headers)], ACTOR)[0]

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call, without a server."""
        return call(self.port, method, path, **more)

    def ask(self, query: str, **variables: Any) -> Any:
        """What GraphQL answers, without errors."""
        answer = self.call("POST", "/api/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]
