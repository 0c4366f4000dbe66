"""This file is where tests get recipes that need nothing but this machine: from a file into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def proposal(name: str) -> dict[str, Any]:
    """One proposal, as DataHub's `file` source reads it."""
    return {
        "entityType": "dataset",
        "entityUrn": f"urn:li:dataset:(urn:li:dataPlatform:hive,{name},PROD)",
        "changeType": "UPSERT",
        "aspectName": "status",
        "aspect": {"json": {"removed": False}},
    }


def file_recipe(folder: Path, *, many: int = 1) -> dict[str, Any]:
    """A recipe that reads `many` proposals from in.json and writes out.json; both in the folder."""
    (folder / "in.json").write_text(json.dumps([proposal(f"db.t{number}") for number in range(many)]), "utf-8")
    return {
        "source": {"type": "file", "config": {"path": str(folder / "in.json")}},
        "sink": {"type": "file", "config": {"filename": str(folder / "out.json")}},
    }
