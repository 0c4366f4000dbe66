"""This file is where a catalog is read by `datahub ingest` and by our engine, and what they wrote is compared.

`python benchmarks/equality.py [--tables 1 100 1000]`. moto plays AWS, filled with so many tables: nested, partitioned,
Iceberg ones, views, and odd names and types beside them. The stock recipe in our engine must write what the command
writes, record for record; our own source in our engine what the stock source says, aspect by aspect. Prints JSON; exit
code 1 where they differ. (With 1 and 100 tables it is a test, too: tests/glue_source/test_equal.py.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

PATIENCE = 1800.0  #: seconds for one run


class Watching:
    """A watcher that waits for one end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.ending: Any = None

    def running(self, attempt_id: str, external_id: str, at: object) -> None: ...

    def progressed(self, attempt_id: str, values: Mapping[str, Any]) -> None: ...

    def ended(self, attempt_id: str, ending: Any) -> None:  # noqa: ARG002 -- a watcher's
        self.ending = ending
        self.over.set()


def plain(recipe: Mapping[str, Any], folder: Path) -> float:
    """Seconds that `datahub ingest` takes over it."""
    file = folder / "plain.json"
    file.write_text(json.dumps(recipe), "utf-8")
    command = [str(Path(sys.executable).with_name("datahub")), "ingest", "-c", str(file), "--no-default-report"]
    began = time.monotonic()
    subprocess.run(
        command, capture_output=True, timeout=PATIENCE, check=False
    )  # what some tables fail is its exit code
    return time.monotonic() - began


def ours(recipe: Mapping[str, Any], folder: Path) -> tuple[float, Mapping[str, Any]]:
    """Seconds that a run of our engine takes over it, and its result."""
    from engines.orders import order

    from headgate.engines.recipe import RecipeEngine

    (folder / "recipe.json").write_text(json.dumps(recipe), "utf-8")
    watching = Watching()
    engine = RecipeEngine(folder / ".headgate", watching, folder, environ=dict(os.environ))
    asked = order({"recipe": "recipe.json"})
    began = time.monotonic()
    engine.start(asked)
    assert watching.over.wait(PATIENCE), "a run did not end"
    took = time.monotonic() - began
    engine.close()
    return took, dict(watching.ending.result)


def compared(url: str, many: int, folder: Path) -> dict[str, Any]:
    """Fill a catalog, read it three ways, and say where they differ."""
    from glue_source.test_equal import sensible
    from glue_source.world import CATALOG, OURS, STOCK, differing, fill, lake, recipe_of, said, stripped

    tables: dict[str, list[dict[str, Any]]] = {}
    for database, one in lake(many):
        tables.setdefault(database, []).append(one)
    fill(url, CATALOG)
    fill(url, {name: ({}, found) for name, found in tables.items()})

    out = {name: folder / f"{name}.out" for name in ("plain", "stock", "own")}
    plain_s = plain(recipe_of(STOCK, out["plain"], {}), folder)
    stock_s, result = ours(recipe_of(STOCK, out["stock"], {}), folder)
    own_s, own_result = ours(recipe_of(OURS, out["own"], {}), folder)
    # read anew for each comparison, which takes them apart
    theirs, in_ours = (stripped(json.loads(out[name].read_text("utf-8"))) for name in ("plain", "stock"))
    aspects, own = (
        {key[:4]: times for key, times in said(json.loads(out[name].read_text("utf-8"))).items()}
        for name in ("plain", "own")
    )
    wanted = {key[:4]: aspects[key[:4]] for key in sensible(said(json.loads(out["plain"].read_text("utf-8"))))}
    return {
        "tables": many + sum(len(found) for _, found in CATALOG.values()),
        "records": len(theirs),
        "records_that_differ": len(differing(in_ours, theirs)),
        "aspects": sum(wanted.values()),
        "aspects_that_differ": len({*wanted.items()} ^ {*own.items()}),
        "failures": [result["failures"], own_result["failures"]],
        "seconds": {
            "datahub ingest": round(plain_s, 1),
            "our engine": round(stock_s, 1),
            "our source": round(own_s, 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, nargs="*", default=[1, 100, 1000])
    given = parser.parse_args()
    from services.moto import CREDENTIALS, moto

    nobody = {"DATAHUB_TELEMETRY_ENABLED": "false", "HTTPS_PROXY": "http://127.0.0.1:9"}
    os.environ.update({**CREDENTIALS, **nobody})
    found: list[dict[str, Any]] = []
    for many in given.tables:
        with moto() as url, tempfile.TemporaryDirectory() as folder:
            os.environ["AWS_ENDPOINT_URL"] = url
            found.append(compared(url, many, Path(folder)))
    print(json.dumps(found, indent=2))
    if any(one["records_that_differ"] or one["aspects_that_differ"] for one in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
