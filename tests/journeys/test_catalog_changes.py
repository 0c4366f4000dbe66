"""This file is where a table of Glue's catalog changes, and a run ingests just that one; also while nobody looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.glue_catalog import FakeGlue
from services.moto import CREDENTIALS

from headgate.app import App
from headgate.model import RunState

from .world import ended, running, runs_of, until

CONFIGURATION = """\
jobs:
  glue-metadata: {engine: recipe, recipe: glue.yml}
triggers:
  tables-changed:
    type: EVENT
    catalog: {glue: {region: us-east-1, databases: [sales]}}
    every: 1s
    settle: 200ms
    actions: [glue-metadata]
"""
RECIPE = """\
source: {type: headgate-glue, config: {aws_region: us-east-1, extract_transforms: false}}
sink: {type: file, config: {filename: out.json}}
"""


def looked(app: App) -> bool:
    """Whether there is something to compare with."""
    from headgate.ledger import watches

    return app.ledger.read(lambda connection: watches.seen(connection, "tables-changed"))[0]


def test_a_changed_table_is_ingested_alone(tmp_path: Path) -> None:
    """Two tables change while the server is down: after its start one run brings these two, and no third."""
    (tmp_path / "headgate.yaml").write_text(CONFIGURATION, "utf-8")
    (tmp_path / "glue.yml").write_text(RECIPE, "utf-8")
    tables: dict[str, list[dict[str, Any]]] = {"sales": [{"Name": name} for name in ("a", "b", "c")], "hr": []}
    with FakeGlue({name: {} for name in tables}, tables) as glue, pytest.MonkeyPatch.context() as patched:
        for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL_GLUE": glue.url}.items():
            patched.setenv(name, value)
        with running(tmp_path, doors=True) as app:
            until(lambda: looked(app), "the first look")
            first = runs_of(app, "glue-metadata")
        tables["sales"][0] |= {"VersionId": "2"}
        tables["sales"].append({"Name": "d"})
        glue.failing = lambda operation, _asked, _number: "denied" if operation == "GetTables" else None
        glue.forget_pages()
        with running(tmp_path, doors=True) as app:
            until(lambda: "cannot be read" in str(app.readiness()["warnings"]), "the trouble to be told")
            glue.failing = None
            until(lambda: runs_of(app, "glue-metadata"), "a run for what changed meanwhile")
            run = ended(app, runs_of(app, "glue-metadata")[0])
            log = app.gate.log(run.id, limit=1 << 22).text
            manifest = [one.uri for one in app.ledger.manifest(run.id) or ()]
            until(lambda: not app.readiness()["warnings"], "the trouble to be over")
    told: list[dict[str, Any]] = json.loads((tmp_path / "out.json").read_text("utf-8"))
    datasets = {one["entityUrn"].split(",")[1] for one in told if one["entityUrn"].startswith("urn:li:dataset:")}

    assert first == []
    assert (run.state, run.objects) == (RunState.SUCCEEDED, 2), log
    assert sorted(manifest) == ["glue:us-east-1/sales.a", "glue:us-east-1/sales.d"]
    assert (datasets, sorted(run.result["tables"])) == ({"sales.a", "sales.d"}, ["sales.a", "sales.d"])  # pyright: ignore[reportArgumentType] - JSON
