"""This file is where tables of catalogs change, while a server looks and while none does, and runs start for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.glue_catalog import FakeGlue
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from services.moto import CREDENTIALS

from headgate.app import App
from headgate.ledger import watches
from headgate.model import Run, RunState

from .world import ended, running, runs_of, until

CONFIGURATION = """\
jobs:
  refresh: {engine: local, command: [sh, -c, "cat $HEADGATE_MANIFEST"]}
  check: {engine: local, command: ["true"]}
triggers:
  tables-changed:
    type: EVENT
    catalog: {glue: {region: us-east-1, databases: [sales]}}
    every: 1s
    settle: 200ms
    actions: [refresh]
  lake-changed: {type: EVENT, catalog: {iceberg: lake}, every: 1s, at_first_start: true, actions: [check]}
"""


def compared(app: App) -> bool:
    """Whether both have something to compare with."""
    seen = [
        app.ledger.read(lambda connection, name=name: watches.seen(connection, name))[0]
        for name in ("tables-changed", "lake-changed")
    ]
    return all(seen)


def tables_of(app: App, run: Run) -> list[str]:
    return sorted(one.uri for one in app.ledger.manifest(run.id) or ())


def test_changed_tables_start_a_run(tmp_path: Path) -> None:
    """What changed while the server was down is one run after its start, whose manifest names the tables.

    A catalog that cannot be read is told in /readyz, and loses nothing.
    """
    (tmp_path / "headgate.yaml").write_text(CONFIGURATION, "utf-8")
    tables: dict[str, list[dict[str, Any]]] = {"sales": [{"Name": name} for name in ("a", "b", "c")], "hr": []}
    with FakeGlue({name: {} for name in tables}, tables) as glue, pytest.MonkeyPatch.context() as patched:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_GLUE": glue.url}.items():
            patched.setenv(name, value)
        with running(tmp_path, doors=True) as app:
            until(lambda: compared(app), "the first looks")
            first = runs_of(app, "refresh")
            lake = app.settings.lake
        tables["sales"][0] |= {"VersionId": "2"}
        tables["sales"].append({"Name": "d"})
        glue.failing = lambda operation, _asked, _number: "denied" if operation == "GetTables" else None
        glue.forget_pages()
        with running(tmp_path, doors=True) as app:
            until(lambda: "cannot be read" in str(app.readiness()["warnings"]), "the trouble to be told")
            warned: Any = app.readiness()
            glue.failing = None
            until(lambda: runs_of(app, "refresh"), "a run for what changed meanwhile")
            run = ended(app, runs_of(app, "refresh")[0])
            log = app.gate.log(run.id).text
            until(lambda: not app.readiness()["warnings"], "the trouble to be over")
            (app.settings.home / "lake").mkdir()
            catalog = SqlCatalog(lake.catalog, uri=lake.uri, warehouse=lake.warehouse, schema_version="v1")
            catalog.create_namespace("sales")
            catalog.create_table("sales.orders", Schema(NestedField(1, "id", LongType(), required=False)))
            catalog.engine.dispose()
            until(lambda: runs_of(app, "check"), "a run for the lake's new table")
            checked = tables_of(app, runs_of(app, "check")[0])
            found = tables_of(app, run)

    assert first == []
    assert warned["ready"] is True
    assert warned["warnings"] == [
        "trigger tables-changed: a database of its catalog cannot be read: AccessDeniedException;"
        " the server's log has the names"
    ]
    assert (run.state, run.objects) == (RunState.SUCCEEDED, 2), log
    assert found == ["glue:us-east-1/sales.a", "glue:us-east-1/sales.d"]
    assert sorted(json.loads(line)["key"] for line in log.splitlines()) == ["sales.a", "sales.d"]
    assert checked == ["iceberg:lake/sales.orders"]
