"""This file is where `catalog:` of EVENT triggers is read as it is meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headgate.model import CatalogWatch, TriggerName
from headgate.settings import load

ROLE = "arn:aws:iam::123456789012:role/looks"


@pytest.mark.parametrize(
    ("written", "meant", "name"),
    [
        ("{glue: {}}", CatalogWatch(kind="glue"), "glue:"),
        ("{glue: }", CatalogWatch(kind="glue"), "glue:"),
        (
            "{glue: {region: eu-west-1, databases: [sales, raw_*]}, changes: [removed]}",
            CatalogWatch(kind="glue", region="eu-west-1", databases=("sales", "raw_*"), changes=("removed",)),
            "glue:eu-west-1",
        ),
        (
            f"{{glue: {{region: eu-west-1, databases: sales, catalog_id: '210987654321', role_arn: '{ROLE}'}}}}",
            CatalogWatch(
                kind="glue", region="eu-west-1", databases=("sales",), catalog_id="210987654321", role_arn=ROLE
            ),
            "glue:eu-west-1:210987654321",
        ),
        ("{iceberg: lake}", CatalogWatch(kind="iceberg", place="lake"), "iceberg:lake"),
        ("{iceberg: s3://b/wh/}", CatalogWatch(kind="iceberg", place="s3://b/wh"), "iceberg:s3://b/wh"),
        (
            "{iceberg: {location: s3://b, region: eu-west-1, databases: [x]}}",
            CatalogWatch(kind="iceberg", place="s3://b", region="eu-west-1", databases=("x",)),
            "iceberg:s3://b",
        ),
    ],
)
def test_a_catalog_is_read(tmp_path: Path, written: str, meant: CatalogWatch, name: str) -> None:
    """In each of its forms; its name is what stands for a bucket in its events."""
    (tmp_path / "headgate.yaml").write_text(
        "jobs:\n  a: {engine: local, run: m.f}\ntriggers:\n"
        f"  t: {{type: EVENT, catalog: {written}, every: 5m, at_first_start: true, actions: [a]}}\n",
        "utf-8",
    )
    trigger = load(tmp_path, {}).triggers[TriggerName("t")]
    watch = trigger.catalog

    assert watch is not None
    assert (watch.every, trigger.at_first_start, trigger.objects, watch.name) == (300.0, True, None, name)
    assert replace(watch, every=meant.every) == meant
