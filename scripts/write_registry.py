"""This file is where the embedded catalog's table of entities and aspects is made from the SDK's description of them.

Run it when the SDK has moved on: `.venv/bin/python scripts/write_registry.py`. It needs the extra [datahub].
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datahub.metadata.schema_classes import ASPECT_NAME_MAP, KEY_ASPECTS

FILE = Path(__file__).parent.parent / "src" / "headgate" / "embedded" / "registry.json"


def registry() -> dict[str, Any]:
    """Entities: key aspect, the key's fields, aspects. Aspects: record name, whether timeseries, what must be there."""
    names: dict[str, Any] = dict(ASPECT_NAME_MAP)
    keys: dict[str, Any] = dict(KEY_ASPECTS)
    return {
        "entities": {
            name: {
                "key": key.ASPECT_NAME,
                "fields": [field.name for field in key.RECORD_SCHEMA.fields],
                "aspects": sorted(key.ASPECT_INFO["entityAspects"]),
            }
            for name, key in sorted(keys.items())
        },
        "aspects": {
            name: {
                "record": aspect.RECORD_SCHEMA.fullname.replace(".pegasus2avro", ""),
                "timeseries": aspect.get_aspect_type() == "timeseries",
                "required": [field.name for field in aspect.RECORD_SCHEMA.fields if not field.has_default],
            }
            for name, aspect in sorted(names.items())
        },
    }


def lines() -> str:
    """The registry as JSON with one line for each entity and aspect, so that a change of one shows as one."""
    parts: list[str] = []
    for title, those in registry().items():
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in those.items())
        parts.append(f"{json.dumps(title)}: {{\n{rows}\n}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(lines(), "utf-8")
