"""This file is where both sources read one catalog, and every aspect that one makes is held against the other's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .world import OURS, STOCK, Said, fill, ingest, lake, told

pytestmark = pytest.mark.filterwarnings("ignore:")  # DataHub's own, of which there are many

#: A table that neither source can make sense of. Theirs tells of its creation all the same.
SENSELESS = ("without columns", "untyped column")


@pytest.fixture(scope="module", autouse=True)
def catalog(aws: str) -> None:
    fill(aws)
    fill(aws, {"alone": ({}, [next(lake(1))[1]]), **hundred()})


def hundred() -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for database, one in lake(100):
        tables.setdefault(database, []).append(one)
    return {name: ({}, found) for name, found in tables.items()}


def sensible(seen: Said) -> Said:
    return Said({key: times for key, times in seen.items() if not any(f".{name}," in key[0] for name in SENSELESS)})


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"database_pattern": {"deny": ["alone", "database_.*"]}}, id="as it is"),
        pytest.param({"database_pattern": {"allow": ["alone"]}}, id="one table"),
        pytest.param({"database_pattern": {"allow": ["database_.*"]}}, id="a hundred tables"),
        pytest.param(
            {
                "database_pattern": {"deny": ["database_.*"]},
                "platform_instance": "lake (eu)",
                "env": "DEV",
                "extract_delta_schema_from_parameters": True,
                "emit_s3_lineage": True,
                "domain": {"sales": {"allow": ["views.*"]}, "urn:li:domain:rest": {"allow": [".*"]}},
                "extract_owners": False,
                "table_pattern": {"deny": [".*partitioned"]},
            },
            id="with much",
        ),
        pytest.param(
            {
                "emit_storage_lineage": True,
                "glue_s3_lineage_direction": "downstream",
                "include_view_lineage": False,
                "platform": "athena",
                "database_pattern": {"deny": ["views", "database_.*"]},
                "catalog_id": "123456789012",
            },
            id="the other way round",
        ),
    ],
)
def test_every_aspect_is_theirs(tmp_path: Path, options: dict[str, Any]) -> None:
    """Nothing is missing, nothing is more, nothing is different."""
    theirs, stock = ingest(STOCK, tmp_path / "theirs.json", **options)
    ours, own = ingest(OURS, tmp_path / "ours.json", **options)

    assert sorted(sensible(theirs) - ours) == []
    assert sorted(ours - sensible(theirs)) == []
    assert told(own) == told(stock)
